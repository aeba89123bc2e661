//! What a request says beside its path and body: who asks, in which namespace and datacenter, and its query
//! parameters. It knows Consul's parameter rules and neither registry nor store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::{ConnectInfo, FromRequestParts, Query};
use http::request::Parts;
use weft_model::name::{DEFAULT_NAMESPACE, Id, Label};

use super::{
    Api, duration,
    error::ApiError,
    limits::{WAIT_DEFAULT, WAIT_JITTER_PARTS, WAIT_MAX},
};

/// The only datacenter.
pub(crate) const DATACENTER: &str = "dc1";
/// Names the node a request speaks for; without it, it is the caller's address.
pub(crate) const NODE_HEADER: &str = "x-weft-node";
/// Consul's other way to name the namespace.
const NAMESPACE_HEADER: &str = "x-consul-namespace";

/// What every request says.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The node whose agent Consul would have asked.
    pub(crate) node: Id,
    /// The caller's IP address.
    pub(crate) address: String,
    /// `?ns=`, else `default`.
    pub(crate) namespace: Label,
    params: Vec<(String, String)>,
}

/// A blocking query's two parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocking {
    /// Answer when the thing asked about changed beyond this revision; never 0.
    pub(crate) index: u64,
    /// Answer anyway after so long; jitter is in it.
    pub(crate) wait: Duration,
}

impl Ask {
    /// Whether the parameter is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(key, _)| key == name)
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a repeatable parameter, but empty ones.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.params
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// A parameter that holds a number.
    ///
    /// # Errors
    /// 400 when it is there and no number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        self.value(name)
            .map(|value| value.parse().map_err(|_| ApiError::bad(format!("Invalid {name}"))))
            .transpose()
    }

    /// `?passing`, `?passing=true`, `?passing=1`.
    ///
    /// # Errors
    /// 400 when the value is no truth value.
    pub(crate) fn passing(&self) -> Result<bool, ApiError> {
        match self.value("passing") {
            None => Ok(self.has("passing")),
            Some(value) => truth(value).ok_or_else(|| ApiError::bad("Invalid value for ?passing")),
        }
    }

    /// `index` and `wait`; `None` for a query that does not block.
    ///
    /// # Errors
    /// 400 when either cannot be read.
    pub(crate) fn blocking(&self) -> Result<Option<Blocking>, ApiError> {
        let wait = match self.value("wait") {
            None => WAIT_DEFAULT,
            Some(text) => duration::parse(text).ok_or_else(|| ApiError::bad("Invalid wait time"))?,
        };
        let index = self.number("index")?.unwrap_or(0);
        if index == 0 {
            return Ok(None);
        }
        let wait = if wait.is_zero() { WAIT_DEFAULT } else { wait.min(WAIT_MAX) };
        Ok(Some(Blocking { index, wait: wait + (wait / WAIT_JITTER_PARTS).mul_f64(fastrand::f64()) }))
    }

    /// Checks `Datacenter` of a request's body.
    ///
    /// # Errors
    /// Consul's 500 for one that is not ours.
    pub(crate) fn check_datacenter(datacenter: &str) -> Result<(), ApiError> {
        if datacenter.is_empty() || datacenter == DATACENTER { Ok(()) } else { Err(ApiError::Datacenter) }
    }
}

impl FromRequestParts<Arc<Api>> for Ask {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Query(params) = Query::<Vec<(String, String)>>::from_request_parts(parts, api)
            .await
            .map_err(|error| ApiError::bad(error.body_text()))?;
        let address = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or_else(|| "127.0.0.1".into(), |ConnectInfo(peer)| peer.ip().to_canonical().to_string());
        let ask = Self {
            node: Id::node(header(parts, NODE_HEADER)?.unwrap_or(&address))?,
            address,
            namespace: DEFAULT_NAMESPACE.parse()?,
            params,
        };
        Self::check_datacenter(ask.value("dc").unwrap_or_default())?;
        if ask.value("filter").is_some() {
            return Err(ApiError::Unsupported {
                field: "filter",
                remedy: "filter the answer, or select by tag and passing",
            });
        }
        let namespace = ask.value("ns").or(header(parts, NAMESPACE_HEADER)?);
        let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE).parse()?;
        Ok(Self { namespace, ..ask })
    }
}

/// Go's `strconv.ParseBool`.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> Result<Option<&'a str>, ApiError> {
    parts
        .headers
        .get(name)
        .map(|value| value.to_str().map_err(|_| ApiError::bad(format!("header {name} is not text"))))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &[(&str, &str)]) -> Ask {
        Ask {
            node: "n".parse().unwrap(),
            address: "127.0.0.1".into(),
            namespace: DEFAULT_NAMESPACE.parse().unwrap(),
            params: query.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn a_query_without_index_does_not_block() {
        assert_eq!(ask(&[("wait", "1s")]).blocking().unwrap(), None);
        assert_eq!(ask(&[("index", "0")]).blocking().unwrap(), None);
    }

    #[test]
    fn a_wait_is_cut_to_the_longest_and_lengthened_by_a_sixteenth_at_most() {
        let wait = ask(&[("index", "7"), ("wait", "1h")]).blocking().unwrap().unwrap().wait;
        assert!(wait >= WAIT_MAX && wait <= WAIT_MAX + WAIT_MAX / 16);
        let wait = ask(&[("index", "7")]).blocking().unwrap().unwrap().wait;
        assert!(wait >= WAIT_DEFAULT && wait <= WAIT_DEFAULT + WAIT_DEFAULT / 16);
    }

    #[test]
    fn what_is_no_index_or_wait_is_refused() {
        for query in [&[("index", "x")][..], &[("index", "1"), ("wait", "10")], &[("wait", "soon")]] {
            assert!(matches!(ask(query).blocking(), Err(ApiError::BadRequest(_))), "{query:?}");
        }
    }

    #[test]
    fn passing_is_a_flag_or_a_truth_value() {
        assert!(ask(&[("passing", "")]).passing().unwrap());
        assert!(!ask(&[("passing", "false")]).passing().unwrap());
        assert!(!ask(&[]).passing().unwrap());
        assert!(ask(&[("passing", "yes")]).passing().is_err());
    }
}
