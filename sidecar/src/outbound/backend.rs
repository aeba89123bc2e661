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
        let version = thread.table_version();
        if let (known_in, Some(known)) = self.known()
            && known_in == version
        {
            return Ok(known);
        }
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

    fn known(&self) -> (u64, Option<Rc<LocalService>>) {
        let found = self.found.borrow();
        (found.0, found.1.upgrade())
    }
}
