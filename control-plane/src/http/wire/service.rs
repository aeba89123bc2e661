//! Services as Consul's clients define them. Field names are folded (`super::super::body`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use weft_model::{
    endpoint::{Health, HopTarget, Port, Protocol},
    name::{Id, InstanceKey, Label, ServiceName},
};

use super::{super::error::ApiError, check::CheckDefinition, check_meta};
use crate::registry::{Origin, Registration, TaggedAddress, handle::CheckRegistration};

/// The body of `/v1/agent/service/register`, and `Service` of `/v1/catalog/register` (there `service` is the
/// name).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceDefinition {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) service: String,
    tags: Vec<String>,
    address: String,
    taggedaddresses: BTreeMap<String, WireAddress>,
    port: u16,
    meta: BTreeMap<String, String>,
    weights: Option<WireWeights>,
    enabletagoverride: bool,
    locality: WireLocality,
    check: Option<CheckDefinition>,
    checks: Vec<CheckDefinition>,
    // What would change meaning and is not there: refused by name.
    kind: String,
    socketpath: String,
    connect: Value,
    proxy: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireAddress {
    address: String,
    port: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireWeights {
    passing: u16,
    warning: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireLocality {
    zone: String,
}

/// Where a definition came from.
pub(crate) struct Registrar<'a> {
    /// The node it is registered on.
    pub(crate) node: &'a Id,
    /// What an empty `Address` means.
    pub(crate) address: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a Label,
    /// By which API.
    pub(crate) origin: Origin,
}

impl ServiceDefinition {
    /// The instance to register, with its checks. `known` tells the last status of a check that is there
    /// already: a check that names no status goes on from it, as in Consul.
    ///
    /// # Errors
    /// Consul's texts for what it refuses, and what Weft refuses by name.
    pub(crate) fn register(
        &self,
        registrar: &Registrar<'_>,
        known: impl Fn(&str) -> Option<Health>,
    ) -> Result<Registration, ApiError> {
        let name = if self.name.is_empty() { &self.service } else { &self.name };
        if name.is_empty() {
            return Err(ApiError::bad("Missing service name"));
        }
        if matches!(self.address.as_str(), "0.0.0.0" | "::" | "[::]") {
            return Err(ApiError::bad("Invalid service address"));
        }
        self.refuse_unsupported()?;
        check_meta("Service", &self.meta)?;
        let (weight, weight_warning) = self.weights()?;
        let id = if self.id.is_empty() { name } else { &self.id };
        let service = ServiceName { namespace: registrar.namespace.clone(), name: name.parse()? };
        Ok(Registration {
            checks: self.check_registrations(id, name, known)?,
            key: InstanceKey { service, node: registrar.node.clone(), id: id.parse()? },
            address: if self.address.is_empty() { registrar.address.into() } else { self.address.clone() },
            ports: vec![Port { name: String::new(), protocol: Protocol::Auto, port: self.port }],
            tags: self.tags.clone(),
            meta: self.meta.clone(),
            weight,
            weight_warning,
            tagged_addresses: self
                .taggedaddresses
                .iter()
                .map(|(tag, to)| (tag.clone(), TaggedAddress { address: to.address.clone(), port: to.port }))
                .collect(),
            enable_tag_override: self.enabletagoverride,
            zone: self.locality.zone.clone(),
            hop: HopTarget::Direct,
            origin: registrar.origin,
            replace_checks: false,
            deregister_after: None,
        })
    }

    fn check_registrations(
        &self,
        id: &str,
        name: &str,
        known: impl Fn(&str) -> Option<Health>,
    ) -> Result<Vec<CheckRegistration>, ApiError> {
        let given: Vec<_> = self
            .check
            .iter()
            .chain(&self.checks)
            .filter(|check| **check != CheckDefinition::default())
            .collect();
        let several = given.len() > 1;
        let own_id = |index: usize| {
            if several { format!("service:{id}:{}", index + 1) } else { format!("service:{id}") }
        };
        given
            .into_iter()
            .enumerate()
            .map(|(index, check)| {
                let initial = check.initial("Status for checks must 'passing', 'warning', 'critical'")?;
                let check_id =
                    if check.given_id().is_empty() { own_id(index) } else { check.given_id().to_owned() };
                let check_name = if check.name.is_empty() {
                    format!("Service '{name}' check")
                } else {
                    check.name.clone()
                };
                let initial = initial.or_else(|| known(&check_id)).unwrap_or(Health::Critical);
                check.register(check_id, check_name, initial)
            })
            .collect()
    }

    fn weights(&self) -> Result<(u16, u16), ApiError> {
        match &self.weights {
            None => Ok((1, 1)),
            Some(weights) if weights.passing == 0 => {
                Err(ApiError::bad("Invalid Weights: Passing must be greater than 0"))
            }
            Some(weights) => Ok((weights.passing, weights.warning)),
        }
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        const MESH: &str =
            "the mesh needs no registration of proxies, run `weft-sidecar run --service` instead";
        for (field, given, remedy) in [
            ("Kind", !matches!(self.kind.as_str(), "" | "typical"), MESH),
            ("Connect", holds_something(&self.connect), MESH),
            ("Proxy", holds_something(&self.proxy), MESH),
            ("SocketPath", !self.socketpath.is_empty(), "give Address and Port"),
        ] {
            if given {
                return Err(ApiError::Unsupported { field, remedy });
            }
        }
        Ok(())
    }
}

/// Whether a value asks for anything: null and objects of nothing do not.
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(holds_something),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::super::body, *};

    fn registered(value: &Value) -> Result<Registration, ApiError> {
        let definition: ServiceDefinition = body::decode(value.to_string().as_bytes())?;
        let registrar = Registrar {
            node: &"node-1".parse().unwrap(),
            address: "10.0.0.9",
            namespace: &"default".parse().unwrap(),
            origin: Origin::Agent,
        };
        definition.register(&registrar, |_| None)
    }

    #[test]
    fn the_least_registration_has_consuls_defaults() {
        let got = registered(&json!({"Name": "web"})).unwrap();
        assert_eq!(got.key.to_string(), "web.default/node-1/web");
        assert_eq!((got.address.as_str(), got.weight, got.weight_warning), ("10.0.0.9", 1, 1));
        assert!(got.checks.is_empty());
    }

    #[test]
    fn several_checks_are_numbered_and_a_single_one_is_not() {
        let one = registered(&json!({"Name": "web", "ID": "w1", "Check": {"TTL": "1s"}})).unwrap();
        assert_eq!(one.checks[0].id, "service:w1");
        assert_eq!(one.checks[0].name, "Service 'web' check");
        let two = registered(&json!({"Name": "web", "ID": "w1",
            "Checks": [{"TTL": "1s"}, {"TTL": "2s", "Status": "passing"}]}))
        .unwrap();
        let ids: Vec<_> = two.checks.iter().map(|check| check.id.as_str()).collect();
        assert_eq!(ids, ["service:w1:1", "service:w1:2"]);
        assert_eq!(two.checks[1].initial, Health::Passing);
    }

    #[test]
    fn fields_that_change_meaning_are_refused_by_name_and_unknown_ones_are_not() {
        for (field, value) in [
            ("Kind", json!("connect-proxy")),
            ("Connect", json!({"Native": true})),
            ("Proxy", json!({"a": 1})),
        ] {
            let error = registered(&json!({"Name": "web", field: value})).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
        registered(&json!({"Name": "web", "Kind": "", "Connect": {}, "Proxy": null, "Novel": 1})).unwrap();
    }

    #[test]
    fn what_consul_refuses_is_refused_in_its_words() {
        for (value, words) in [
            (json!({}), "Missing service name"),
            (json!({"Name": "w", "Address": "0.0.0.0"}), "Invalid service address"),
            (json!({"Name": "w", "Weights": {"Passing": 0}}), "Invalid Weights"),
            (json!({"Name": "w", "Meta": {"a b": ""}}), "Invalid Service Meta"),
            (json!({"Name": "w", "Port": "80"}), "Request decode failed"),
            (json!({"Name": "w", "Check": {"TTL": "1s", "Status": "good"}}), "Status for checks must"),
        ] {
            let error = registered(&value).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
