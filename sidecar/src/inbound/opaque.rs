//! Opaque connections in: to the application, with a status byte for a sidecar that waits for one.

use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use weft_model::error_code::ErrorCode;

use crate::{
    data::thread::Thread,
    hop::Status,
    pool::OpaqueStream,
    record::RecordGuard,
    relay::{End, relay},
    stream::Stream,
};

/// From another sidecar: it hears whether the application has accepted.
pub(super) async fn with_status(thread: &Rc<Thread>, mut stream: Stream) {
    let mut record = begin(thread);
    match connect(thread).await {
        Ok(application) => {
            if stream.write_all(&[Status::Accepted.to_byte()]).await.is_ok() {
                carry(thread, stream, application, &mut record).await;
            }
        }
        Err(code) => {
            record.fail(code);
            refuse(stream, code).await;
        }
    }
}

/// From a bare client.
pub(super) async fn bare(thread: &Rc<Thread>, stream: Stream) {
    let mut record = begin(thread);
    match connect(thread).await {
        Ok(application) => carry(thread, stream, application, &mut record).await,
        Err(code) => record.fail(code),
    }
}

/// Says why not, and closes.
pub(super) async fn refuse(mut stream: Stream, code: ErrorCode) {
    // A peer that is gone already needs no answer.
    let _ = stream.write_all(&[Status::Refused(code).to_byte()]).await;
    let _ = stream.shutdown().await;
}

async fn carry(thread: &Thread, client: Stream, application: OpaqueStream, record: &mut RecordGuard) {
    let OpaqueStream { io, _open } = application;
    let idle_max = thread.config.limits.relay_idle_timeout;
    relay(End::Socket(client), End::Socket(Stream::new(io)), idle_max, record).await;
}

fn begin(thread: &Rc<Thread>) -> RecordGuard {
    let metrics = thread.inbound.metrics.as_ref().unwrap_or(&thread.unrouted);
    let mut record = RecordGuard::begin(&thread.recorder, metrics, None);
    record.active = Some(thread.inbound.begin());
    record.attempts = 1;
    record
}

async fn connect(thread: &Rc<Thread>) -> Result<OpaqueStream, ErrorCode> {
    let pool = thread.inbound.pool.as_ref().ok_or(ErrorCode::WrongEndpoint)?;
    pool.connect_opaque().await.map_err(|error| error.code())
}
