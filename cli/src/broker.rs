//! The message broker as the command line sees it: its management API, which is RabbitMQ's (RabbitMQ, "HTTP API"),
//! so that a RabbitMQ is shown as well. Objects stay the JSON that they came as; what of them is shown, the commands
//! know. AMQP is in [`amqp`], and what `weft redrive` decides in [`origin`], [`filter`] and [`redrive`].

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use crate::{
    args,
    client::{Address, Answer, Client, ClientError, REQUEST_TIMEOUT, encode},
};

pub mod amqp;
pub mod filter;
pub mod origin;
pub mod redrive;

/// Objects of a page: the most that the API gives.
const PAGE_SIZE: usize = 500;
/// Pages of a list that are asked for at most: two million objects.
const PAGES_MAX: u64 = 4_000;

/// Why the management API gives no good answer.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No answer, or a refusal.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Wrong user or password, or too few rights.
    #[error(
        "{address} refuses user {user}: {reason}; check --user and WEFT_BROKER_PASSWORD, and that the user has the tag `monitoring` or `management`"
    )]
    Login {
        /// Who.
        address: String,
        /// The user.
        user: String,
        /// Its words.
        reason: String,
    },
    /// A user and a password that no header can carry.
    #[error("the user or the password cannot be sent: {0}")]
    Credentials(#[from] http::header::InvalidHeaderValue),
}

/// A management API.
#[derive(Debug, Clone)]
pub struct Management {
    client: Client,
    user: String,
}

impl Management {
    /// Connects when the first request is sent.
    ///
    /// # Errors
    /// When user or password cannot be sent.
    pub fn new(options: &args::Management) -> Result<Self, BrokerError> {
        let args::Management { address, login } = options;
        let credentials = STANDARD.encode(format!("{}:{}", login.user, login.password()));
        let authorization = HeaderValue::try_from(format!("Basic {credentials}"))?;
        let client = Client::new(Address::management(address.as_deref())).authorized(authorization);
        Ok(Self { client, user: login.user.clone() })
    }

    /// All objects of a list, of one virtual host or of all; `None` when there is no such virtual host.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn list(&self, what: &str, vhost: Option<&str>) -> Result<Option<Vec<Value>>, BrokerError> {
        // Connections are below their virtual host, all others have it below them.
        let path = match (vhost, what) {
            (None, _) => format!("/api/{what}"),
            (Some(vhost), "connections") => format!("/api/vhosts/{}/connections", encode(vhost, false)),
            (Some(vhost), _) => format!("/api/{what}/{}", encode(vhost, false)),
        };
        let mut all = Vec::new();
        for page in 1..=PAGES_MAX {
            let Some(answer) = self.read(&format!("{path}?page={page}&page_size={PAGE_SIZE}")).await? else {
                return Ok(None);
            };
            let (items, pages) = page_of(answer).map_err(|reason| self.client.shape(&path, reason))?;
            all.extend(items);
            if page >= pages {
                break;
            }
        }
        Ok(Some(all))
    }

    /// One queue.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn queue(&self, vhost: &str, name: &str) -> Result<Option<Value>, BrokerError> {
        self.read(&queue_path(vhost, name)).await
    }

    /// The bindings that lead to a queue.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn bindings_of(&self, vhost: &str, name: &str) -> Result<Vec<Value>, BrokerError> {
        let bindings = self.read(&format!("{}/bindings", queue_path(vhost, name))).await?;
        Ok(bindings.map(page_of).and_then(Result::ok).map(|(items, _)| items).unwrap_or_default())
    }

    /// Takes out all that waits in a queue; `false` when there is no such queue.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn purge(&self, vhost: &str, name: &str) -> Result<bool, BrokerError> {
        let path = format!("{}/contents", queue_path(vhost, name));
        let answer = self.client.send(Method::DELETE, &path, Bytes::new(), REQUEST_TIMEOUT).await;
        Ok(self.judge(answer)?.status != StatusCode::NOT_FOUND)
    }

    async fn read(&self, path: &str) -> Result<Option<Value>, BrokerError> {
        let answer = self.judge(self.client.get(path, REQUEST_TIMEOUT).await)?;
        Ok(self.client.json(&answer)?)
    }

    /// 401 is about the person, not about the broker.
    fn judge(&self, answer: Result<Answer, ClientError>) -> Result<Answer, BrokerError> {
        match answer {
            Err(ClientError::Refused { address, status: StatusCode::UNAUTHORIZED, reason, .. }) => {
                let said = serde_json::from_str::<Value>(&reason).ok();
                let said = said.as_ref().and_then(|said| said.get("reason")?.as_str());
                let reason = said.unwrap_or(&reason).to_owned();
                Err(BrokerError::Login { address: address.to_string(), user: self.user.clone(), reason })
            }
            answer => Ok(answer?),
        }
    }
}

fn queue_path(vhost: &str, name: &str) -> String {
    format!("/api/queues/{}/{}", encode(vhost, false), encode(name, false))
}

/// The objects of an answer, and how many pages there are: lists that RabbitMQ does not page come whole.
fn page_of(answer: Value) -> Result<(Vec<Value>, u64), String> {
    match answer {
        Value::Array(items) => Ok((items, 1)),
        Value::Object(mut page) => {
            let pages = page.get("page_count").and_then(Value::as_u64).unwrap_or(1);
            match page.remove("items") {
                Some(Value::Array(items)) => Ok((items, pages)),
                _ => Err("a page without `items`".to_owned()),
            }
        }
        other => Err(format!("neither list nor page: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_come_whole_or_in_pages() {
        assert_eq!(page_of(json!([1, 2])), Ok((vec![json!(1), json!(2)], 1)));
        assert_eq!(page_of(json!({"items": [1], "page_count": 3})), Ok((vec![json!(1)], 3)));
        assert!(page_of(json!({"error": "x"})).is_err());
    }

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(queue_path("/", "a/b ü"), "/api/queues/%2F/a%2Fb%20%C3%BC");
    }
}
