//! Bodies of requests: how long they may be and take, and how many large ones are read at once. Who may not send one is
//! told before it is read.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{answer::Failure, login};
use crate::access::{UserRef, definitions::DOCUMENT_BYTES_MAX};

/// Bytes of a body at most, but for messages and definitions.
const BYTES_MAX: usize = 1024 * 1024;
/// Definitions that are read at once.
const DEFINITIONS_MAX: usize = 2;
/// Messages of more than [`BYTES_MAX`] that are read at once.
const PUBLISHES_MAX: usize = 4;
/// How long a body may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The same for definitions.
const DEFINITIONS_TIMEOUT: Duration = Duration::from_secs(300);

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small,
    Publish,
    Definitions,
}

impl Kind {
    fn of(method: &Method, path: &[String]) -> Self {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (method, path.as_slice()) {
            (
                &Method::POST,
                ["definitions" | "all-configuration"] | ["definitions" | "all-configuration", _],
            ) => Self::Definitions,
            (&Method::POST, ["exchanges", _, _, "publish"]) => Self::Publish,
            _ => Self::Small,
        }
    }

    /// Bytes at most: a message comes as JSON, in base64 at worst.
    fn limit(self, message_bytes_max: usize) -> usize {
        match self {
            Self::Small => BYTES_MAX,
            Self::Publish => message_bytes_max.saturating_mul(2).saturating_add(BYTES_MAX),
            Self::Definitions => DOCUMENT_BYTES_MAX,
        }
    }

    fn within(self) -> Duration {
        if self == Self::Definitions { DEFINITIONS_TIMEOUT } else { TIMEOUT }
    }
}

/// Places for large bodies: those of definitions leave messages theirs.
#[derive(Debug)]
pub(super) struct Bodies {
    definitions: Semaphore,
    publishes: Semaphore,
}

/// A body, and its place until it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { definitions: Semaphore::new(DEFINITIONS_MAX), publishes: Semaphore::new(PUBLISHES_MAX) }
    }
}

impl Bodies {
    /// Reads the body of a request by this user.
    pub(super) async fn take(
        &self,
        (method, path): (&Method, &[String]),
        user: &UserRef,
        body: Incoming,
        message_bytes_max: usize,
    ) -> Result<Taken<'_>, Failure> {
        let kind = Kind::of(method, path);
        if kind == Kind::Definitions {
            login::administrator(user)?;
        }
        let place = self.place(kind, &body).await;
        let read = read(body, kind.limit(message_bytes_max));
        let late = |_| Failure::Slow("the body takes too long".to_owned());
        let bytes = timeout(kind.within(), read).await.map_err(late)??;
        Ok(Taken { bytes, _place: place })
    }

    async fn place(&self, kind: Kind, body: &Incoming) -> Option<SemaphorePermit<'_>> {
        let is_large = body.size_hint().upper().is_none_or(|upper| upper > BYTES_MAX as u64);
        match kind {
            Kind::Definitions if is_large => self.definitions.acquire().await.ok(),
            Kind::Publish if is_large => self.publishes.acquire().await.ok(),
            _ => None,
        }
    }
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge(limit)),
        Err(_) => Err(Failure::Bad("the body ended early".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_imported_or_published_may_be_long() {
        let kind = |method: Method, path: &str| {
            Kind::of(&method, &path.split('/').map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(kind(Method::POST, "definitions"), Kind::Definitions);
        assert_eq!(kind(Method::POST, "definitions/v"), Kind::Definitions);
        assert_eq!(kind(Method::GET, "definitions"), Kind::Small);
        assert_eq!(kind(Method::POST, "definitions/v/x"), Kind::Small);
        assert_eq!(kind(Method::POST, "exchanges/v/x/publish"), Kind::Publish);
        assert_eq!(kind(Method::PUT, "exchanges/v/x/publish"), Kind::Small);
        assert_eq!(kind(Method::POST, "exchanges/v/x/y/publish"), Kind::Small);
    }
}
