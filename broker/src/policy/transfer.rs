//! Policies between [`PolicySet`] and definitions. Operator policies are parameters of the component
//! `operator_policy` there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{ApplyTo, Level, Policy, PolicyError, PolicySet};
use crate::access::definitions::{Definitions, ParameterDefinition, PolicyDefinition};

/// The component of operator policies.
pub const OPERATOR_POLICY: &str = "operator_policy";

/// Why the policies of a document are refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransferError {
    /// One is refused; RabbitMQ's text with virtual host and name.
    #[error("{} ({vhost}/{name})", source.reason())]
    Policy {
        /// The virtual host.
        vhost: String,
        /// The policy.
        name: String,
        /// What is wrong.
        source: Box<PolicyError>,
    },
    /// An operator policy that is not written as one.
    #[error("operator policy '{name}' in vhost '{vhost}' is malformed: {reason}")]
    Malformed {
        /// The virtual host.
        vhost: String,
        /// The policy.
        name: String,
        /// What the reader says.
        reason: String,
    },
}

/// The value of an operator policy's parameter.
#[derive(Debug, Serialize, Deserialize)]
struct OperatorValue {
    pattern: String,
    #[serde(rename = "apply-to", default)]
    apply_to: Option<String>,
    definition: Map<String, Value>,
    #[serde(default)]
    priority: i64,
}

impl PolicySet {
    /// Adds the policies and operator policies that `definitions` hold for `vhost`; all of them or none.
    ///
    /// # Errors
    /// The first that is refused.
    pub fn import(&mut self, vhost: &str, definitions: &Definitions) -> Result<(), TransferError> {
        let mut next = self.clone();
        let is_here = |place: &Option<String>| place.as_deref() == Some(vhost);
        for policy in definitions.policies.iter().filter(|policy| is_here(&policy.vhost)) {
            next.add(vhost, Level::User, policy)?;
        }
        let operators = definitions.parameters.iter().filter(|p| p.component == OPERATOR_POLICY);
        for parameter in operators.filter(|parameter| is_here(&parameter.vhost)) {
            next.add(vhost, Level::Operator, &operator(vhost, parameter)?)?;
        }
        *self = next;
        Ok(())
    }

    /// Writes the policies of `vhost` into `definitions`, after what is there.
    pub fn export(&self, vhost: &str, definitions: &mut Definitions) {
        let written = |policy: &Policy| PolicyDefinition {
            vhost: Some(vhost.to_owned()),
            name: policy.name.to_string(),
            pattern: policy.pattern.as_str().to_owned(),
            apply_to: policy.apply_to.as_str().to_owned(),
            definition: policy.definition.as_map().clone(),
            priority: policy.priority,
        };
        definitions.policies.extend(self.iter(Level::User).map(|policy| written(policy)));
        definitions.parameters.extend(self.iter(Level::Operator).map(|policy| ParameterDefinition {
            vhost: Some(vhost.to_owned()),
            component: OPERATOR_POLICY.to_owned(),
            name: policy.name.to_string(),
            value: json!({
                "pattern": policy.pattern.as_str(),
                "apply-to": policy.apply_to.as_str(),
                "definition": policy.definition.as_map(),
                "priority": policy.priority,
            }),
        }));
    }

    fn add(&mut self, vhost: &str, level: Level, policy: &PolicyDefinition) -> Result<(), TransferError> {
        read(level, policy).and_then(|read| self.put(level, read)).map_err(|source| TransferError::Policy {
            vhost: vhost.to_owned(),
            name: policy.name.clone(),
            source: Box::new(source),
        })
    }
}

/// A checked policy of a written one.
///
/// # Errors
/// [`PolicyError`].
pub fn read(level: Level, policy: &PolicyDefinition) -> Result<Policy, PolicyError> {
    let apply_to = ApplyTo::parse(&policy.apply_to)?;
    let definition = policy.definition.clone();
    Policy::new(level, &policy.name, &policy.pattern, apply_to, policy.priority, definition)
}

fn operator(vhost: &str, parameter: &ParameterDefinition) -> Result<PolicyDefinition, TransferError> {
    let value: OperatorValue =
        serde_json::from_value(parameter.value.clone()).map_err(|error| TransferError::Malformed {
            vhost: vhost.to_owned(),
            name: parameter.name.clone(),
            reason: error.to_string(),
        })?;
    Ok(PolicyDefinition {
        vhost: parameter.vhost.clone(),
        name: parameter.name.clone(),
        pattern: value.pattern,
        apply_to: value.apply_to.unwrap_or_else(|| ApplyTo::All.as_str().to_owned()),
        definition: value.definition,
        priority: value.priority,
    })
}

#[cfg(test)]
mod tests;
