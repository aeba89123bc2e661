//! `weft explain`, `weft tap` and `weft top` as they are typed.

use std::time::Duration;

use clap::Args;

use super::{Connection, Output};

/// `weft explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainOptions {
    /// Its `x-request-id`, or the id of its trace
    #[arg(value_name = "REQUEST-ID")]
    pub id: String,
    /// How the result looks.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft tap`.
#[derive(Debug, Clone, Args)]
pub struct TapOptions {
    /// The service that is called: `orders` or `orders.shop`
    pub service: String,
    /// Only requests with this method
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Only requests whose path begins so
    #[arg(long, value_name = "PREFIX")]
    pub path: Option<String>,
    /// Only answers with this status, or of this class: 503 or 5xx
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Only requests that this rule counted for
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Only requests to this endpoint: its id, or NODE/ID
    #[arg(long, value_name = "ENDPOINT")]
    pub to: Option<String>,
    /// Only requests that failed
    #[arg(long)]
    pub errors: bool,
    /// As callers' sidecars see it (outbound), as the replicas' do (inbound), or both
    #[arg(long, value_enum, default_value_t)]
    pub direction: Side,
    /// End after so many requests
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// How the result looks; JSON is one line a request.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft top`.
#[derive(Debug, Clone, Args)]
pub struct TopOptions {
    /// Only this service: `orders` or `orders.shop`
    pub service: Option<String>,
    /// What a row is
    #[arg(long, value_enum, default_value_t)]
    pub by: Rows,
    /// As callers' sidecars count (outbound), or as the replicas' do (inbound)
    #[arg(long, value_enum, default_value_t)]
    pub direction: Side,
    /// Between two looks, as 1s or 500ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Print one table and end
    #[arg(long)]
    pub once: bool,
    /// How the result looks; JSON is one line a look.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// Whose view it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Side {
    /// The callers'.
    #[default]
    Outbound,
    /// The replicas'.
    Inbound,
    /// All.
    Both,
}

/// What a row of `weft top` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Rows {
    /// A service.
    #[default]
    Service,
    /// One of the rules of its routes, as callers' sidecars count.
    Route,
    /// One of its endpoints, as callers see it.
    Endpoint,
}

impl Side {
    /// The label's value; `None` = any.
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Outbound => Some("outbound"),
            Self::Inbound => Some("inbound"),
            Self::Both => None,
        }
    }
}

/// `1s` or `500ms`; at least 100 ms, since all sidecars are asked.
fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: give 1s or 500ms, at least 100ms");
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1_000),
    };
    let millis = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if (100..=3_600_000).contains(&millis) { Ok(Duration::from_millis(millis)) } else { Err(wrong()) }
}
