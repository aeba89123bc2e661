//! Talks to the admin servers of the sidecars that the control plane knows: all are asked at once, each with a time
//! limit, and one that does not answer is told of and passed over. It knows no path but the list of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    client::{Client, ClientError, REQUEST_TIMEOUT},
    output,
};

/// For a connection, and for the head of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Sidecars asked at once.
const ASKED_MAX: usize = 32;
/// The largest answer that is read, in bytes.
const ANSWER_SIZE_MAX: usize = 16 * 1024 * 1024;

/// One of `/v1/weft/sidecars`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Sidecar {
    /// Its node.
    pub node: String,
    /// Unique a node.
    pub id: String,
    /// Where its admin server listens.
    pub admin_address: String,
}

/// Asks admin servers.
#[derive(Debug, Clone)]
pub struct Admins {
    hyper: Hyper<HttpConnector, Empty<Bytes>>,
}

/// Those that are attached now.
///
/// # Errors
/// See [`ClientError`].
pub async fn list(client: &Client) -> Result<Vec<Sidecar>, ClientError> {
    Ok(client.json(&client.get("/v1/weft/sidecars", REQUEST_TIMEOUT).await?)?.unwrap_or_default())
}

impl Sidecar {
    /// `<node>/<id>`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.node, self.id)
    }
}

impl Admins {
    /// Connects when it is asked to.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ANSWER_TIMEOUT));
        connector.set_nodelay(true);
        Self { hyper: Hyper::builder(TokioExecutor::new()).build(connector) }
    }

    /// An answer that goes on; its status is 200.
    ///
    /// # Errors
    /// When there is none in time, or it is a refusal.
    pub async fn stream(&self, sidecar: &Sidecar, path: &str) -> anyhow::Result<Incoming> {
        let request =
            Request::get(format!("http://{}{path}", sidecar.admin_address)).body(Empty::<Bytes>::new())?;
        let response = tokio::time::timeout(ANSWER_TIMEOUT, self.hyper.request(request)).await??;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response.into_body());
        }
        let reason = Limited::new(response.into_body(), ANSWER_SIZE_MAX).collect().await;
        let reason = reason.map(|body| body.to_bytes()).unwrap_or_default();
        anyhow::bail!("{status}: {}", String::from_utf8_lossy(&reason).trim())
    }

    /// The whole answer.
    ///
    /// # Errors
    /// As for [`Self::stream`], and when it does not end in time.
    pub async fn get(&self, sidecar: &Sidecar, path: &str) -> anyhow::Result<Bytes> {
        let body = Limited::new(self.stream(sidecar, path).await?, ANSWER_SIZE_MAX);
        let body = tokio::time::timeout(ANSWER_TIMEOUT, body.collect()).await?;
        Ok(body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes())
    }

    /// The answers of all that answer; who does not is told of.
    pub async fn ask_all(&self, sidecars: &[Sidecar], path: &str) -> Vec<(Sidecar, Bytes)> {
        let places = Arc::new(Semaphore::new(ASKED_MAX));
        let mut asked = JoinSet::new();
        for sidecar in sidecars {
            let (admins, sidecar, path) = (self.clone(), sidecar.clone(), path.to_owned());
            let places = Arc::clone(&places);
            asked.spawn(async move {
                // Never closed: an error cannot be.
                let _place = places.acquire().await;
                let answer = admins.get(&sidecar, &path).await;
                (sidecar, answer)
            });
        }
        let mut answers = Vec::new();
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((sidecar, Ok(answer))) => answers.push((sidecar, answer)),
                Ok((sidecar, Err(error))) => tell_silent(&sidecar, &error),
                Err(error) => output::note(format!("asking a sidecar has failed: {error}")),
            }
        }
        answers
    }
}

impl Default for Admins {
    fn default() -> Self {
        Self::new()
    }
}

/// Says that a sidecar has not answered.
pub fn tell_silent(sidecar: &Sidecar, error: &anyhow::Error) {
    let (name, address) = (sidecar.name(), &sidecar.admin_address);
    output::note(format!("sidecar {name} has not answered at its admin address {address}: {error}"));
}
