//! `bare-proxy` knows one upstream and no routes.

use super::{Setup, Site};
use crate::load::Work;

pub(super) fn setup(site: &Site<'_>) -> Option<Setup> {
    if site.case.endpoints > 1 || site.case.routes > 1 {
        return None;
    }
    let wire = match site.case.work {
        Work::Http1 => "http1",
        Work::Http2 | Work::GrpcUnary | Work::GrpcStreaming => "http2",
        Work::Tcp => "tcp",
    };
    let arguments = [
        "--listen".to_owned(),
        format!("127.0.0.1:{}", site.port),
        "--upstream".to_owned(),
        format!("127.0.0.1:{}", site.backend_port),
        "--wire".to_owned(),
        wire.to_owned(),
    ];
    Some(Setup { arguments: arguments.into(), files: Vec::new() })
}
