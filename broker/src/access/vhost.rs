//! What is known of a virtual host besides its exchanges and queues. RabbitMQ: "Virtual Hosts".

use super::limits::VhostLimits;
use crate::policy::kind::QueueKind;

/// The data of a virtual host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualHost {
    /// Its name.
    pub name: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// For people.
    pub tags: Vec<Box<str>>,
    /// What a queue declared without `x-queue-type` becomes; `None` is a classic queue and nothing is written into
    /// its arguments.
    pub default_queue_type: Option<QueueKind>,
    /// Whether messages are copied to `amq.rabbitmq.trace`.
    pub tracing: bool,
    /// Connections and queues it may have.
    pub limits: VhostLimits,
}

impl VirtualHost {
    /// One without description and limits.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            description: "".into(),
            tags: Vec::new(),
            default_queue_type: None,
            tracing: false,
            limits: VhostLimits::default(),
        }
    }
}
