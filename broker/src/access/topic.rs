//! Permissions on routing keys of one topic exchange. RabbitMQ: "Access Control: topic authorisation".
//!
//! A pattern may name `{username}` and `{vhost}`, which are known when it is set, so it is compiled once. Unlike in
//! RabbitMQ their values stand for themselves: a dot in a user's name matches a dot alone. `{client_id}` is a matter
//! of MQTT; over AMQP 0-9-1 RabbitMQ leaves it as it is, and so it matches those very letters.

use super::{
    pattern::{Pattern, PatternError, literal},
    permission::{self, Action},
};

/// The two patterns of a user for an exchange of a virtual host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPermission {
    write: Pattern,
    read: Pattern,
}

impl TopicPermission {
    /// Compiles both for that user and virtual host.
    ///
    /// # Errors
    /// For the first that is no pattern.
    pub fn new(write: &str, read: &str, user: &str, vhost: &str) -> Result<Self, PatternError> {
        Ok(Self { write: expand(write, user, vhost)?, read: expand(read, user, vhost)? })
    }

    /// Whether `routing_key` may be published with (write) or bound to (read). Nothing is configured by a key.
    pub fn allows(&self, action: Action, routing_key: &str) -> bool {
        match action {
            Action::Configure => true,
            Action::Write => self.write.is_match(routing_key),
            Action::Read => self.read.is_match(routing_key),
        }
    }

    /// The pattern for publishing, as it was written.
    pub fn write(&self) -> &str {
        self.write.as_str()
    }

    /// The pattern for binding, as it was written.
    pub fn read(&self) -> &str {
        self.read.as_str()
    }
}

fn expand(text: &str, user: &str, vhost: &str) -> Result<Pattern, PatternError> {
    if !text.contains('{') {
        return permission::pattern(text);
    }
    let source = text
        .replace("{client_id}", &literal("{client_id}"))
        .replace("{vhost}", &literal(vhost))
        .replace("{username}", &literal(user));
    Pattern::compile(text, &source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_user_and_vhost() {
        let topic = TopicPermission::new("^{username}\\.", "^{vhost}-{username}$", "ann.b", "/prod").unwrap();
        assert!(topic.allows(Action::Write, "ann.b.orders"));
        assert!(!topic.allows(Action::Write, "annxb.orders"));
        assert!(topic.allows(Action::Read, "/prod-ann.b"));
        assert_eq!(topic.write(), "^{username}\\.");
    }

    #[test]
    fn the_client_id_stays_as_it_is() {
        let topic = TopicPermission::new("^{client_id}$", "a{2}", "u", "/").unwrap();
        assert!(topic.allows(Action::Write, "{client_id}") && !topic.allows(Action::Write, "mqtt-1"));
        assert!(topic.allows(Action::Read, "aa") && !topic.allows(Action::Read, "a"));
    }

    #[test]
    fn an_empty_pattern_allows_no_key_but_the_empty() {
        let topic = TopicPermission::new("", ".*", "u", "/").unwrap();
        assert!(!topic.allows(Action::Write, "a") && topic.allows(Action::Write, ""));
    }
}
