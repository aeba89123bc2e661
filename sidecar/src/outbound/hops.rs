//! What a call takes along from the one that it is made for, and whether it goes round in circles. The way between
//! the two is the application, which forwards a trace (see [`crate::trace`]), or all headers it was sent.

use http::HeaderMap;
use weft_model::error_code::ErrorCode;

use super::decide::Limit;
use crate::{
    fields::{Field, Fields},
    forward::{REQUEST_ID, WEFT_HOPS, WEFT_RETRIED, number},
    record::RecordGuard,
    trace::{Inherited, Traces},
};

/// Services that call each other in one chain, at most: a longer one is a loop.
const HOPS_MAX: u32 = 32;

/// What is inherited, with the request id if the call has none of its own.
pub(super) fn inherit(traces: &Traces, headers: &mut HeaderMap, fields: &mut Fields) -> Option<Inherited> {
    let inherited = if fields.has(Field::TRACE) { traces.inherit(headers)? } else { return None };
    if let (false, Some(id)) = (fields.has(Field::REQUEST_ID), inherited.from.request_id.clone()) {
        headers.insert(REQUEST_ID, id);
        fields.add(Field::REQUEST_ID);
    }
    Some(inherited)
}

/// How many sidecars a call will have passed with this one; 0 for one that nothing says to be made for another.
pub(super) fn count(
    headers: &HeaderMap,
    fields: Fields,
    inherited: Option<&Inherited>,
    has_request_id: bool,
) -> u32 {
    // An application that forwards all headers forwards the request id among them: without one, nothing is
    // looked for.
    if inherited.is_none() && !has_request_id {
        return 0;
    }
    let told = if fields.has(Field::MESH) { number(headers, &WEFT_HOPS).unwrap_or(0) } else { 0 };
    told.max(inherited.map_or(0, |inherited| inherited.from.hops)).saturating_add(1)
}

/// The shorter of the call's own limit and the inherited deadline, or why it is not carried.
pub(super) fn limit(record: &RecordGuard, own: Option<Limit>) -> Result<Option<Limit>, ErrorCode> {
    if record.hops > HOPS_MAX {
        return Err(ErrorCode::LoopDetected);
    }
    let Some(left) = record.inherited().and_then(Inherited::time_left) else { return Ok(own) };
    match own {
        _ if left.is_zero() => Err(ErrorCode::DeadlineExceeded),
        Some(own) if own.time <= left => Ok(Some(own)),
        _ => Ok(Some(Limit { time: left, is_deadline: true })),
    }
}

/// Retries that were spent further on count for the call that this one is made for, too.
pub(super) fn note_retries(record: &RecordGuard, answer: &HeaderMap) {
    if let Some(inherited) = record.inherited() {
        inherited.note_retries(number(answer, &WEFT_RETRIED).unwrap_or(0));
    }
}
