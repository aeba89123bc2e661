//! Bytes both ways, with half-close: one side's end is told to the other, which may go on.

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use weft_model::error_code::ErrorCode;

use crate::record::RecordGuard;

/// The buffer of each direction, in bytes: what an opaque connection costs in memory, twice.
const BUFFER_SIZE: usize = 16 * 1_024;

/// Relays until both sides have ended; the record gets the counts, and the failure if one broke off.
pub(crate) async fn relay<C, U>(client: &mut C, upstream: &mut U, record: &mut RecordGuard)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    match copy_bidirectional_with_sizes(client, upstream, BUFFER_SIZE, BUFFER_SIZE).await {
        Ok((received, sent)) => {
            record.received.add(usize::try_from(received).unwrap_or(usize::MAX));
            record.add_sent(usize::try_from(sent).unwrap_or(usize::MAX));
            record.complete();
        }
        Err(_) => record.fail(ErrorCode::UpstreamReset),
    }
}
