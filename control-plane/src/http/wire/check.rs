//! Checks as Consul's clients define them. Field names are folded (`super::super::body`): `TTL`, `ttl` and
//! `Ttl` are one.

use std::collections::BTreeMap;

use serde::Deserialize;
use weft_model::{
    check::{CheckSpec, Probe},
    endpoint::Health,
};

use super::{
    super::{
        error::ApiError,
        limits::{CHECK_INTERVAL_MIN, CHECK_TIMEOUT_DEFAULT},
    },
    GoDuration, parse_health,
};
use crate::registry::handle::CheckRegistration;

/// `Check` of a registration, and the body of `/v1/agent/check/register`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct CheckDefinition {
    pub(crate) id: String,
    pub(crate) checkid: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) serviceid: String,
    pub(crate) status: String,
    pub(crate) ttl: GoDuration,
    http: String,
    method: String,
    header: BTreeMap<String, Vec<String>>,
    tcp: String,
    grpc: String,
    interval: GoDuration,
    timeout: GoDuration,
    deregistercriticalserviceafter: GoDuration,
    successbeforepassing: u32,
    failuresbeforewarning: u32,
    failuresbeforecritical: u32,
    // What would change meaning and is not there: refused by name.
    body: String,
    script: String,
    args: Vec<String>,
    scriptargs: Vec<String>,
    dockercontainerid: String,
    shell: String,
    udp: String,
    h2ping: String,
    osservice: String,
    aliasnode: String,
    aliasservice: String,
    grpcusetls: bool,
    tcpusetls: bool,
    tlsskipverify: bool,
    tlsservername: String,
}

impl CheckDefinition {
    /// The status to start with, if one is named.
    ///
    /// # Errors
    /// `refusal` for a word that is none of the three.
    pub(crate) fn initial(&self, refusal: &str) -> Result<Option<Health>, ApiError> {
        if self.status.is_empty() {
            return Ok(None);
        }
        parse_health(&self.status).map(Some).ok_or_else(|| ApiError::bad(refusal))
    }

    /// The id given, by either of Consul's two names.
    pub(crate) fn given_id(&self) -> &str {
        if self.checkid.is_empty() { &self.id } else { &self.checkid }
    }

    /// The check to register under this id and name.
    ///
    /// # Errors
    /// Consul's `Invalid check: …`, and what Weft does not run by name.
    pub(crate) fn register(
        &self,
        id: String,
        name: String,
        initial: Health,
    ) -> Result<CheckRegistration, ApiError> {
        Ok(CheckRegistration {
            id,
            name,
            notes: self.notes.clone(),
            spec: Some(self.spec()?),
            initial,
            output: String::new(),
            deregister_after: self.deregistercriticalserviceafter.given(),
        })
    }

    fn spec(&self) -> Result<CheckSpec, ApiError> {
        self.refuse_unsupported()?;
        let probe = self.probe()?;
        let interval = self.interval.given();
        let invalid = |why: &str| Err(ApiError::bad(format!("Invalid check: {why}")));
        if matches!(probe, Probe::Ttl { .. }) {
            if interval.is_some() {
                return invalid("Interval and TTL cannot both be specified");
            }
        } else if self.ttl.given().is_some() {
            return invalid("Interval and TTL cannot both be specified");
        } else if interval.is_none() {
            return invalid("Interval must be > 0 for HTTP, TCP or GRPC checks");
        }
        if self.failuresbeforewarning > self.failuresbeforecritical {
            return invalid("FailuresBeforeWarning can't be higher than FailuresBeforeCritical");
        }
        let warning = self.failuresbeforewarning;
        Ok(CheckSpec {
            interval: interval.unwrap_or(CHECK_INTERVAL_MIN).max(CHECK_INTERVAL_MIN),
            timeout: self.timeout.given().unwrap_or(CHECK_TIMEOUT_DEFAULT),
            failures_before_critical: self.failuresbeforecritical.max(1),
            failures_before_warning: if warning < self.failuresbeforecritical { warning } else { 0 },
            successes_before_passing: self.successbeforepassing.max(1),
            probe,
        })
    }

    fn probe(&self) -> Result<Probe, ApiError> {
        let given = [&self.http, &self.tcp, &self.grpc].into_iter().filter(|text| !text.is_empty()).count();
        if given > 1 {
            return Err(ApiError::bad("Invalid check: give only one of HTTP, TCP and GRPC"));
        }
        if !self.http.is_empty() {
            return self.http_probe();
        }
        if !self.tcp.is_empty() {
            return Ok(Probe::Tcp { address: dialled("TCP", &self.tcp)? });
        }
        if !self.grpc.is_empty() {
            let (address, service) = self.grpc.split_once('/').unwrap_or((&self.grpc, ""));
            return Ok(Probe::Grpc { address: dialled("GRPC", address)?, service: service.into() });
        }
        match self.ttl.given() {
            Some(ttl) => Ok(Probe::Ttl { ttl }),
            None => Err(ApiError::bad("Invalid check: TTL must be > 0 for TTL checks")),
        }
    }

    fn http_probe(&self) -> Result<Probe, ApiError> {
        let url: http::Uri =
            self.http.parse().map_err(|error| ApiError::bad(format!("Invalid check: HTTP: {error}")))?;
        match url.scheme_str() {
            Some("http") if url.host().is_some_and(|host| !host.is_empty()) => {}
            Some("https") => {
                return Err(ApiError::Unsupported {
                    field: "an https URL in HTTP",
                    remedy: "checks are not made over TLS yet, give an http URL or a TCP check",
                });
            }
            _ => return Err(ApiError::bad("Invalid check: HTTP must be an absolute http URL")),
        }
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        http::Method::from_bytes(method.as_bytes())
            .map_err(|_| ApiError::bad(format!("Invalid check: Method {method:?}")))?;
        let headers: Vec<_> = self
            .header
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.clone())))
            .collect();
        for (name, value) in &headers {
            if name.parse::<http::HeaderName>().is_err() || value.parse::<http::HeaderValue>().is_err() {
                return Err(ApiError::bad(format!("Invalid check: Header {name:?}")));
            }
        }
        Ok(Probe::Http { url: self.http.clone(), method: method.into(), headers })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        const SCRIPT: &str = "Weft runs no scripts, use an HTTP, TCP, GRPC or TTL check";
        const TLS: &str = "checks are not made over TLS yet, use a plain check";
        const KIND: &str = "use an HTTP, TCP, GRPC or TTL check";
        for (field, given, remedy) in [
            ("Script", !self.script.is_empty(), SCRIPT),
            ("Args", !self.args.is_empty(), SCRIPT),
            ("ScriptArgs", !self.scriptargs.is_empty(), SCRIPT),
            ("DockerContainerID", !self.dockercontainerid.is_empty(), SCRIPT),
            ("Shell", !self.shell.is_empty(), SCRIPT),
            ("GRPCUseTLS", self.grpcusetls, TLS),
            ("TCPUseTLS", self.tcpusetls, TLS),
            ("TLSSkipVerify", self.tlsskipverify, TLS),
            ("TLSServerName", !self.tlsservername.is_empty(), TLS),
            ("Body", !self.body.is_empty(), "use a check without a request body"),
            ("UDP", !self.udp.is_empty(), KIND),
            ("H2PING", !self.h2ping.is_empty(), KIND),
            ("OSService", !self.osservice.is_empty(), KIND),
            ("AliasNode", !self.aliasnode.is_empty(), KIND),
            ("AliasService", !self.aliasservice.is_empty(), KIND),
        ] {
            if given {
                return Err(ApiError::Unsupported { field, remedy });
            }
        }
        Ok(())
    }
}

/// A check of `/v1/catalog/register`: only its state, nobody runs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CatalogCheck {
    pub(crate) checkid: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) status: String,
    pub(crate) output: String,
    pub(crate) serviceid: String,
}

impl CatalogCheck {
    /// The check to register.
    ///
    /// # Errors
    /// 400 without an id and a name, or with an unknown status.
    pub(crate) fn register(self) -> Result<CheckRegistration, ApiError> {
        let initial = match self.status.as_str() {
            "" => Health::Critical,
            text => parse_health(text).ok_or_else(|| ApiError::bad("Bad check status"))?,
        };
        let id = if self.checkid.is_empty() { self.name.clone() } else { self.checkid };
        if id.is_empty() {
            return Err(ApiError::bad("Must provide a check ID or name"));
        }
        Ok(CheckRegistration {
            name: if self.name.is_empty() { id.clone() } else { self.name },
            id,
            notes: self.notes,
            spec: None,
            initial,
            output: self.output,
            deregister_after: None,
        })
    }
}

/// The body of `/v1/agent/check/update/:id`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CheckUpdate {
    status: String,
    pub(crate) output: String,
}

impl CheckUpdate {
    /// What it reports.
    ///
    /// # Errors
    /// Consul's text for a word that is none of the three.
    pub(crate) fn health(&self) -> Result<Health, ApiError> {
        parse_health(&self.status)
            .ok_or_else(|| ApiError::bad(format!("Invalid check status: '{}'", self.status)))
    }
}

/// A `host:port` to dial.
fn dialled(field: &str, address: &str) -> Result<String, ApiError> {
    let shape =
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if shape {
        Ok(address.into())
    } else {
        Err(ApiError::bad(format!("Invalid check: {field} must be host:port")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{super::super::body, *};

    fn definition(value: &serde_json::Value) -> CheckDefinition {
        body::decode(value.to_string().as_bytes()).unwrap()
    }

    fn registered(value: &serde_json::Value) -> Result<CheckRegistration, ApiError> {
        definition(value).register("c".into(), "n".into(), Health::Critical)
    }

    #[test]
    fn both_cases_name_a_field() {
        for value in [
            json!({"HTTP": "http://127.0.0.1:1/h", "Interval": "10s", "Timeout": "1s",
                "DeregisterCriticalServiceAfter": "1m"}),
            json!({"http": "http://127.0.0.1:1/h", "interval": "10s", "timeout": "1s",
                "deregister_critical_service_after": "1m"}),
        ] {
            let check = registered(&value).unwrap();
            let spec = check.spec.unwrap();
            assert_eq!(check.deregister_after, Some(Duration::from_mins(1)));
            assert_eq!((spec.interval.as_secs(), spec.timeout.as_secs()), (10, 1));
            assert_eq!((spec.failures_before_critical, spec.successes_before_passing), (1, 1));
        }
    }

    #[test]
    fn a_duration_may_be_nanoseconds() {
        let spec = registered(&json!({"TTL": 15_000_000_000_u64})).unwrap().spec.unwrap();
        assert_eq!(spec.probe, Probe::Ttl { ttl: Duration::from_secs(15) });
    }

    #[test]
    fn what_consul_calls_invalid_is_invalid() {
        for (value, words) in [
            (json!({}), "TTL must be > 0"),
            (json!({"HTTP": "http://a:1/"}), "Interval must be > 0"),
            (json!({"TTL": "1s", "Interval": "1s"}), "cannot both"),
            (json!({"HTTP": "/path", "Interval": "1s"}), "absolute"),
            (json!({"TCP": "nowhere", "Interval": "1s"}), "host:port"),
            (json!({"TTL": "1s", "FailuresBeforeWarning": 2}), "can't be higher"),
        ] {
            let error = registered(&value).unwrap_err().to_string();
            assert!(error.starts_with("Invalid check: ") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (value, field) in [
            (json!({"Args": ["true"], "Interval": "1s"}), "Args"),
            (json!({"HTTP": "https://a/", "Interval": "1s"}), "https"),
            (json!({"GRPC": "a:1", "GRPCUseTLS": true, "Interval": "1s"}), "GRPCUseTLS"),
            (json!({"AliasService": "x"}), "AliasService"),
        ] {
            let error = registered(&value).unwrap_err();
            assert!(matches!(error, ApiError::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
