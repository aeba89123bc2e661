//! The account manager: keeps accounts and reserves credits. It stands behind the API server in several
//! replicas and says in each answer which of them it is. It calls nobody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, put},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Ledger, Refused},
    serve::{Options, Refusal, serve},
};

/// An account as it is told to callers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountView {
    /// Its name.
    pub(crate) account: String,
    /// Credits left, at this replica.
    pub(crate) credits: u64,
    /// The replica that answered.
    pub(crate) account_manager: String,
}

/// The body of a reservation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reservation {
    /// How many.
    pub(crate) credits: u64,
}

#[derive(Debug, Clone)]
struct Manager {
    instance: Arc<str>,
    ledger: Arc<Mutex<Ledger>>,
}

/// Serves until told to stop.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let manager =
        Manager { instance: options.instance().into(), ledger: Arc::new(Mutex::new(Ledger::seeded())) };
    let routes = Router::new()
        .route("/accounts/{account}", get(show))
        .route("/accounts/{account}/reservations/{id}", put(reserve))
        .with_state(manager);
    serve(&options, routes).await
}

async fn show(
    State(manager): State<Manager>,
    Path(account): Path<String>,
) -> Result<Json<AccountView>, Refusal> {
    let credits = manager.ledger().credits(&account);
    match credits {
        Some(credits) => Ok(manager.view(account, credits)),
        None => Err(unknown(&account)),
    }
}

async fn reserve(
    State(manager): State<Manager>,
    Path((account, id)): Path<(String, String)>,
    Json(reservation): Json<Reservation>,
) -> Result<Json<AccountView>, Refusal> {
    let reserved = manager.ledger().reserve(&account, &id, reservation.credits);
    match reserved {
        Ok(left) => Ok(manager.view(account, left)),
        Err(Refused::Unknown) => Err(unknown(&account)),
        Err(Refused::Short(left)) => Err(Refusal::new(
            StatusCode::PAYMENT_REQUIRED,
            format!("account {account} has {left} credits, not {}", reservation.credits),
        )),
        Err(Refused::Differs(held)) => {
            Err(Refusal::new(StatusCode::CONFLICT, format!("{id} already holds {held} credits")))
        }
    }
}

impl Manager {
    /// A holder cannot leave the ledger half changed, so one that panicked is no reason to stop.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self, account: String, credits: u64) -> Json<AccountView> {
        Json(AccountView { account, credits, account_manager: self.instance.to_string() })
    }
}

fn unknown(account: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no account {account}"))
}
