//! Who makes the requests: workers of an application, each with a connection to its own sidecar.

use std::{convert::Infallible, ops::Range, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::{
    application,
    history::{Asked, History, Told},
    socket::Place,
};
use crate::forward::{WEFT_ERROR, WEFT_RETRY};

/// Where the sidecar takes calls.
pub(super) const OUTBOUND_PORT: u16 = 4_140;
/// Longer than anything takes: a request without an answer by then never has one.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest body that is sent, in bytes.
const BODY_MAX: usize = 20_000;

/// One worker.
pub(super) struct Worker {
    pub(super) place: Place,
    pub(super) history: History,
    pub(super) rng: fastrand::Rng,
    pub(super) think_ms_max: u64,
    /// Of its requests: this, and every one of [`Worker::stride`] after it.
    pub(super) next_id: u64,
    pub(super) stride: u64,
}

type Connection = SendRequest<Full<Bytes>>;

impl Worker {
    /// Makes requests in this time, in milliseconds since the beginning.
    pub(super) async fn work(mut self, time: Range<u64>) {
        self.place.shared.until(time.start).await;
        let mut connection = None;
        loop {
            sleep(Duration::from_millis(self.rng.u64(..self.think_ms_max))).await;
            let begun = self.place.shared.now();
            if begun >= time.end {
                return;
            }
            let id = self.next_id;
            self.next_id += self.stride;
            let (method, has_key) = match self.rng.u32(..8) {
                0..4 => ("GET", false),
                4 => ("PUT", false),
                5 => ("POST", true),
                _ => ("POST", false),
            };
            let told = self.ask(&mut connection, id, method, has_key).await;
            if matches!(told, Told::Nothing(_)) {
                connection = None;
            }
            let time = begun..self.place.shared.now();
            self.history.ask(Asked { id, method, is_idempotent: has_key || method != "POST", time, told });
        }
    }

    async fn ask(
        &mut self,
        connection: &mut Option<Connection>,
        id: u64,
        method: &str,
        has_key: bool,
    ) -> Told {
        let length = if method == "GET" { 0 } else { self.rng.usize(..BODY_MAX) };
        let mut request =
            Request::builder().method(method).uri("/").header("host", "orders").header("sim-id", id);
        if has_key {
            request = request.header("idempotency-key", id);
        }
        let request = request.body(Full::from(vec![b'x'; length])).unwrap();
        let exchange = async {
            let sender = match connection.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => connection.insert(sender),
                None => connection.insert(connect(&self.place).await?),
            };
            sender.ready().await.map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            let text = |headers: &HeaderMap, name| Some(headers.get(name)?.to_str().ok()?.to_owned());
            Ok::<_, String>(Told::Answer {
                status: head.status.as_u16(),
                error: text(&head.headers, &WEFT_ERROR),
                is_budget_spent: text(&head.headers, &WEFT_RETRY).as_deref() == Some("budget-exhausted"),
                is_right: body.is_ok_and(|body| *body == *application::body(id).as_bytes()),
            })
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => Told::Nothing(error),
            Err(_) => Told::Nothing("never".to_owned()),
        }
    }
}

async fn connect(place: &Place) -> Result<Connection, String> {
    let address = (place.host, OUTBOUND_PORT).into();
    let socket = place.connect(address).await.map_err(|error| error.to_string())?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(|error| error.to_string())?;
    tokio::task::spawn_local(async move {
        // Its end shows at the next request.
        drop(connection.await);
        Ok::<_, Infallible>(())
    });
    Ok(sender)
}
