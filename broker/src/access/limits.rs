//! Limits on a virtual host and on a user. RabbitMQ: "Virtual Hosts: limits" and "Per-User Resource Limits".
//! Who counts connections, channels and queues is not here; the texts of what is refused are in `refused`.

use serde_json::{Map, Value};
use thiserror::Error;

/// A limit that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LimitError {
    /// No such limit.
    #[error("Unrecognised terms in limits: '{name}'")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// Not a number.
    #[error("{name} should be a number, actually was {value}")]
    NotANumber {
        /// Its name.
        name: String,
        /// What stood there, as JSON.
        value: String,
    },
}

/// What a virtual host may hold. `None` is without limit, 0 allows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VhostLimits {
    /// `max-connections`
    pub connections_max: Option<u64>,
    /// `max-queues`
    pub queues_max: Option<u64>,
}

/// What a user may hold open. `None` is without limit, 0 allows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserLimits {
    /// `max-connections`
    pub connections_max: Option<u64>,
    /// `max-channels`, over all connections of the user.
    pub channels_max: Option<u64>,
}

impl VhostLimits {
    /// Reads an object of names and numbers.
    ///
    /// # Errors
    /// For a name that is none, and for what is not a whole number.
    pub fn parse(limits: &Map<String, Value>) -> Result<Self, LimitError> {
        let mut read = Self::default();
        for (name, value) in limits {
            read.set(name, value)?;
        }
        Ok(read)
    }

    /// Sets one limit by its name.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), LimitError> {
        *self.slot(name)? = number(name, value)?;
        Ok(())
    }

    /// Takes one limit away.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn clear(&mut self, name: &str) -> Result<(), LimitError> {
        *self.slot(name)? = None;
        Ok(())
    }

    /// As definitions show them.
    pub fn to_json(self) -> Map<String, Value> {
        object([("max-connections", self.connections_max), ("max-queues", self.queues_max)])
    }

    fn slot(&mut self, name: &str) -> Result<&mut Option<u64>, LimitError> {
        match name {
            "max-connections" => Ok(&mut self.connections_max),
            "max-queues" => Ok(&mut self.queues_max),
            _ => Err(LimitError::Unknown { name: name.to_owned() }),
        }
    }
}

impl UserLimits {
    /// Reads an object of names and numbers.
    ///
    /// # Errors
    /// For a name that is none, and for what is not a whole number.
    pub fn parse(limits: &Map<String, Value>) -> Result<Self, LimitError> {
        let mut read = Self::default();
        for (name, value) in limits {
            read.set(name, value)?;
        }
        Ok(read)
    }

    /// Sets one limit by its name.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), LimitError> {
        *self.slot(name)? = number(name, value)?;
        Ok(())
    }

    /// Takes one limit away.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn clear(&mut self, name: &str) -> Result<(), LimitError> {
        *self.slot(name)? = None;
        Ok(())
    }

    /// As definitions show them.
    pub fn to_json(self) -> Map<String, Value> {
        object([("max-connections", self.connections_max), ("max-channels", self.channels_max)])
    }

    fn slot(&mut self, name: &str) -> Result<&mut Option<u64>, LimitError> {
        match name {
            "max-connections" => Ok(&mut self.connections_max),
            "max-channels" => Ok(&mut self.channels_max),
            _ => Err(LimitError::Unknown { name: name.to_owned() }),
        }
    }
}

/// A negative number takes the limit away.
fn number(name: &str, value: &Value) -> Result<Option<u64>, LimitError> {
    match value.as_i64() {
        Some(number) => Ok(u64::try_from(number).ok()),
        None => Err(LimitError::NotANumber { name: name.to_owned(), value: value.to_string() }),
    }
}

fn object<const N: usize>(limits: [(&str, Option<u64>); N]) -> Map<String, Value> {
    limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?.into()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_negative_limit_is_none_and_zero_is_zero() {
        let limits = VhostLimits::parse(&map(&json!({"max-connections": -1, "max-queues": 0}))).unwrap();
        assert_eq!(limits, VhostLimits { connections_max: None, queues_max: Some(0) });
        assert_eq!(limits.to_json(), map(&json!({"max-queues": 0})));
    }

    #[test]
    fn limits_of_users_are_others_than_those_of_vhosts() {
        let limits = UserLimits::parse(&map(&json!({"max-connections": 5, "max-channels": 100}))).unwrap();
        assert_eq!(UserLimits::parse(&limits.to_json()), Ok(limits));
        let unknown = LimitError::Unknown { name: "max-channels".to_owned() };
        assert_eq!(VhostLimits::parse(&limits.to_json()), Err(unknown));
    }

    #[test]
    fn text_is_no_limit() {
        let error = UserLimits::parse(&map(&json!({"max-channels": "many"}))).unwrap_err();
        assert_eq!(error.to_string(), "max-channels should be a number, actually was \"many\"");
    }
}
