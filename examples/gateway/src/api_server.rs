//! The API server: takes job requests, has an account manager reserve the credits, and remembers what became
//! of each job. It reaches account managers by the name `account-manager` only; which replica answers is the
//! mesh's business. (Putting the job into a queue comes with messaging.)

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    account_manager::{AccountView, Reservation},
    mesh::{Answer, Mesh},
    serve::{Refusal, serve},
};

/// The service that is asked about accounts.
const ACCOUNT_MANAGER: &str = "account-manager";
/// Jobs remembered; the oldest is forgotten when one more comes.
const JOBS_MAX: usize = 10_000;
/// The longest job id and account name, in bytes.
const NAME_LENGTH_MAX: usize = 64;

/// The role's arguments.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    serve: crate::serve::Options,
    /// The sidecar's outbound port: it sets this
    #[arg(long, env = "WEFT_OUTBOUND", value_name = "URL", default_value = "http://127.0.0.1:4140")]
    outbound: String,
}

/// `POST /jobs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobRequest {
    account: String,
    jobtype: String,
    #[serde(default = "one")]
    credits: u64,
}

/// A job as it is told to callers.
#[derive(Debug, Clone, Serialize)]
struct Job {
    id: String,
    account: String,
    jobtype: String,
    credits: u64,
    state: &'static str,
    account_manager: String,
}

#[derive(Debug, Clone)]
struct Api {
    mesh: Mesh,
    instance: Arc<str>,
    started: u128,
    next: Arc<AtomicU64>,
    jobs: Arc<Mutex<Jobs>>,
}

/// The newest jobs.
#[derive(Debug, Default)]
struct Jobs {
    by_id: HashMap<String, Job>,
    order: VecDeque<String>,
}

/// Serves until told to stop.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let api = Api {
        mesh: Mesh::new(&options.outbound),
        instance: options.serve.instance().into(),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
        next: Arc::default(),
        jobs: Arc::default(),
    };
    let routes = Router::new()
        .route("/jobs", post(submit))
        .route("/jobs/{id}", get(show))
        .route("/accounts/{account}", get(account))
        .with_state(api);
    serve(&options.serve, routes).await
}

async fn submit(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(request): Json<JobRequest>,
) -> Result<(StatusCode, Json<Job>), Refusal> {
    let id = match headers.get("idempotency-key") {
        Some(key) => name("idempotency-key", key.to_str().unwrap_or_default())?.to_owned(),
        None => api.fresh_id(),
    };
    if let Some(job) = api.job(&id) {
        return Ok((StatusCode::OK, Json(job)));
    }
    let path = format!("/accounts/{}/reservations/{id}", name("account", &request.account)?);
    let reservation = serde_json::to_vec(&Reservation { credits: request.credits }).map_err(internal)?;
    let view: AccountView = api.ask(&headers, Method::PUT, &path, reservation).await?;
    let job = Job {
        id,
        account: request.account,
        jobtype: request.jobtype,
        credits: request.credits,
        state: "accepted",
        account_manager: view.account_manager,
    };
    api.remember(job.clone());
    Ok((StatusCode::CREATED, Json(job)))
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Job>, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("{} knows no job {id}", api.instance));
    api.job(&id).map(Json).ok_or_else(unknown)
}

async fn account(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(account): Path<String>,
) -> Result<Json<AccountView>, Refusal> {
    let path = format!("/accounts/{}", name("account", &account)?);
    api.ask(&headers, Method::GET, &path, Bytes::new()).await.map(Json)
}

impl Api {
    /// Asks an account manager; a refusal of it, or of the mesh, becomes ours.
    async fn ask(
        &self,
        incoming: &HeaderMap,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<AccountView, Refusal> {
        let answer =
            self.mesh.call(incoming, method, ACCOUNT_MANAGER, path, body).await.map_err(|error| {
                tracing::warn!(error = format!("{error:#}"), "an account manager was not reached");
                Refusal::new(StatusCode::BAD_GATEWAY, format!("{error:#}"))
            })?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(internal)
    }

    /// Not used before, also not by an earlier start of this replica.
    fn fresh_id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}-{:x}-{number}", self.instance, self.started)
    }

    fn job(&self, id: &str) -> Option<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    fn remember(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.order.len() >= JOBS_MAX
            && let Some(oldest) = jobs.order.pop_front()
        {
            jobs.by_id.remove(&oldest);
        }
        jobs.order.push_back(job.id.clone());
        jobs.by_id.insert(job.id.clone(), job);
    }
}

fn refused(answer: &Answer) -> Refusal {
    let reason = match &answer.weft_error {
        Some(code) => format!("no account manager could be asked: {code}"),
        None => serde_json::from_slice::<serde_json::Value>(&answer.body)
            .ok()
            .and_then(|body| body.get("error")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("the account manager answered {}", answer.status)),
    };
    Refusal::new(answer.status, reason)
}

/// The text, if it can stand in a path as it is.
fn name<'a>(what: &str, text: &'a str) -> Result<&'a str, Refusal> {
    let shape = !text.is_empty()
        && text.len() <= NAME_LENGTH_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if shape {
        Ok(text)
    } else {
        let rule = format!("{what} must be 1 to {NAME_LENGTH_MAX} letters, digits, - or _");
        Err(Refusal::new(StatusCode::BAD_REQUEST, rule))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn internal(error: serde_json::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

const fn one() -> u64 {
    1
}
