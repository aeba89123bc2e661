//! CONNECT: bytes to a host and port (RFC 9110 section 9.3.6), on a connection of HTTP/1.1 or on a stream of HTTP/2.
//! To a service of the mesh they go as any opaque connection does: through its balancer, to the port that is
//! asked for; to anything else as the egress setting says. It knows nothing of what the bytes are.
//!
//! ```text
//!  CONNECT host:port ─▶ service? ─┬─ yes: an endpoint of it ─┐
//!                                 └─ no: egress ─────────────┴─▶ 200, relay │ named failure
//! ```

use std::{net::IpAddr, rc::Rc};

use http::{Response, Version, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use weft_model::{error_code::ErrorCode, name::ServiceName};

use super::{
    opaque::{self, Accepted},
    target::{self, Route},
};
use crate::{
    answer::refuse,
    body::ResponseBody,
    clock,
    config::Egress,
    data::thread::{LocalService, Thread},
    record::RecordGuard,
    upgrade::end_of,
};

/// Where a tunnel leads.
enum Place {
    Service(Rc<LocalService>),
    Outside(String, u16),
}

/// Opens the tunnel that a request asks for.
pub(super) async fn carry(
    thread: &Rc<Thread>,
    route: &Route,
    peer: Option<IpAddr>,
    mut head: Parts,
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let Some(client) = head.extensions.remove::<OnUpgrade>() else {
        return refuse(ErrorCode::BadRequest, false, record);
    };
    let place = match place(thread, route, &head).await {
        Ok(place) => place,
        Err(code) => return refuse(code, false, record),
    };
    let accepted = match place {
        Place::Service(service) => {
            record.belongs_to(&service.metrics);
            service.note_request(clock::now());
            opaque::connect(thread, &service, record, peer).await
        }
        Place::Outside(host, port) => outside(thread, &host, port, record).await,
    };
    match accepted {
        Ok(accepted) => open(thread, accepted, client, head.version),
        Err((code, record)) => refuse(code, false, record),
    }
}

async fn place(thread: &Thread, route: &Route, head: &Parts) -> Result<Place, ErrorCode> {
    // A fixed port leads to its service whatever the host; a client that takes it for a proxy is wrong.
    let Route::Host = route else { return Err(ErrorCode::BadRequest) };
    // It has no content, and what frames one would be read by some as the first bytes of the tunnel.
    if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| head.headers.contains_key(name))
    {
        return Err(ErrorCode::BadRequest);
    }
    // Host and port, both required, and no more (RFC 9110 section 9.3.6).
    let authority = head.uri.authority().ok_or(ErrorCode::BadRequest)?;
    let port = authority.port_u16().filter(|port| *port > 0).ok_or(ErrorCode::BadRequest)?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(ErrorCode::BadRequest);
    }
    let outside = || match thread.config.egress {
        Egress::Allow => {
            Ok(Place::Outside(host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
        }
        Egress::Registered => Err(ErrorCode::NoRoute),
    };
    let name = match ServiceName::from_host(host, &thread.config.namespace) {
        Ok(name) if host != "localhost" => name,
        _ => return outside(),
    };
    let service = match target::service(thread, &name, "").await {
        Ok(service) => service,
        Err(ErrorCode::NoRoute) => return outside(),
        Err(code) => return Err(code),
    };
    // The port that has this number, if one with a name has; a number that nobody has means the first port, as it
    // does in a Host header.
    let named = service.table.endpoints.iter().find_map(|known| {
        known.endpoint.ports.iter().find(|known| known.port == port && !known.name.is_empty())
    });
    let named = named.and_then(|port| thread.service(&name, &port.name));
    Ok(Place::Service(named.unwrap_or(service)))
}

async fn outside(
    thread: &Rc<Thread>,
    host: &str,
    port: u16,
    mut record: RecordGuard,
) -> Result<Accepted, (ErrorCode, RecordGuard)> {
    record.attempts = 1;
    record.endpoint = Some(format!("{host}:{port}").into());
    match thread.egress(host, port).connect_opaque().await {
        Ok(stream) => Ok(Accepted::new(stream, record, None)),
        Err(error) => {
            tracing::debug!(%error, host, port, "tunnel failed");
            Err((error.code(), record))
        }
    }
}

/// Says yes, and carries bytes once the client's side is there.
fn open(
    thread: &Rc<Thread>,
    mut accepted: Accepted,
    client: OnUpgrade,
    version: Version,
) -> Response<ResponseBody> {
    accepted.record.status = 200;
    let thread = Rc::clone(thread);
    tokio::task::spawn_local(async move {
        // An error means that the client went away.
        if let Ok(client) = client.await {
            opaque::carry(&thread, end_of(client), accepted).await;
        }
    });
    let mut response = Response::new(ResponseBody::Empty);
    *response.version_mut() = version;
    response
}
