//! A service that a rule gives requests to, found once a table: what it is found as is kept until the table
//! changes, so that a request looks up no name.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use weft_model::{
    error_code::ErrorCode,
    name::ServiceName,
    traffic::{BackendRef, PortRef},
};

use super::target;
use crate::data::thread::{LocalService, Thread};

/// See the module.
#[derive(Debug)]
pub(crate) struct BackendSlot {
    service: ServiceName,
    port: Option<PortRef>,
    /// In the table of this version. Weak, because services may send to each other in a circle.
    found: RefCell<(u64, Weak<LocalService>)>,
}

impl BackendSlot {
    pub(crate) fn new(backend: &BackendRef) -> Self {
        let found = RefCell::new((0, Weak::new()));
        Self { service: backend.service.clone(), port: backend.port.clone(), found }
    }

    /// The service; one that the table lacks is asked for, though a table's backends are asked for ahead.
    ///
    /// # Errors
    /// `no-backend` when there is none, `discovery-timeout` when nobody said so in time.
    pub(crate) async fn resolve(&self, thread: &Thread) -> Result<Rc<LocalService>, ErrorCode> {
        if let Some(known) = self.known(thread) {
            return Ok(known);
        }
        let version = thread.table_version();
        let port_name = match &self.port {
            None => Box::default(),
            Some(PortRef::Name(name)) => name.clone(),
            Some(PortRef::Number(number)) => thread.port_name(&self.service, *number).unwrap_or_default(),
        };
        let found = target::service(thread, &self.service, &port_name).await.map_err(|code| match code {
            ErrorCode::NoRoute => ErrorCode::NoBackend,
            code => code,
        })?;
        // The version of before, so that what changed meanwhile is looked at again.
        *self.found.borrow_mut() = (version, Rc::downgrade(&found));
        Ok(found)
    }

    /// The service, where it was found in this table before.
    pub(crate) fn known(&self, thread: &Thread) -> Option<Rc<LocalService>> {
        let found = self.found.borrow();
        (found.0 == thread.table_version()).then(|| found.1.upgrade()).flatten()
    }
}
