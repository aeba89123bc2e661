//! When a group is due, and what is in it.

use std::borrow::Cow;

use super::*;
use crate::log::record::{Message, MessageFlags, Target};

fn appender() -> Appender {
    let options = Options { segment_bytes: 64 << 10, free_bytes_min: 0 };
    Appender::new(LogId::from_bytes([5; 16]), 1, Position::NONE, 1, options)
}

const TARGETS: [Target; 1] = [Target { queue: 1, seq: 1, flags: 0 }];

fn message(flags: MessageFlags, body: &[Bytes]) -> Record<'_> {
    Record::Message(Message {
        flags,
        expires_at_ms: 0,
        published_at_ms: 0,
        priority: 0,
        exchange: b"",
        routing_key: b"tasks",
        properties: b"",
        targets: Cow::Borrowed(&TARGETS),
        body: Body::Pieces(body),
    })
}

#[test]
fn a_persistent_message_is_synced_at_once() {
    let mut appender = appender();
    assert_eq!(appender.sync_due(), None);
    let position = appender.append(&message(MessageFlags::PERSISTENT, &[]), 5).unwrap();
    let group = appender.take_group(5).unwrap();
    assert!(group.sync);
    assert!(!appender.is_durable(position));
    appender.completed(Completed { number: group.number, durable: group.end });
    assert!(appender.is_durable(position));
    assert_eq!(appender.durable(), appender.end());
}

#[test]
fn settlements_wait_for_company_but_not_long() {
    let mut appender = appender();
    appender.settle(1, 1, 1000);
    appender.settle(1, 2, 1050);
    let due = appender.sync_due().unwrap();
    assert!(due < 1000 + ACK_SYNC_MS_MAX);
    assert!(appender.take_group(due - 1).is_none());
    assert!(appender.take_group(due).unwrap().sync);
    assert_eq!(appender.sync_due(), None);
}

#[test]
fn settlements_travel_with_a_group_that_goes_anyway() {
    let mut appender = appender();
    appender.settle(1, 1, 1000);
    appender.append(&message(MessageFlags::PERSISTENT, &[]), 1001).unwrap();
    assert!(appender.take_group(1001).is_some());
    assert_eq!(appender.sync_due(), None);
    assert_eq!(appender.pending_bytes(), 0);
}

#[test]
fn spilled_messages_are_written_when_there_are_many_and_never_synced_for_themselves() {
    let mut appender = appender();
    let body = [Bytes::from(vec![0; 8000])];
    let mut group = None;
    for _ in 0..40 {
        appender.append(&message(MessageFlags::SPILLED_TRANSIENT, &body), 0).unwrap();
        group = group.or(appender.take_group(u64::MAX));
    }
    assert!(!group.unwrap().sync);
}

#[test]
fn a_large_body_is_not_copied() {
    let mut appender = appender();
    let body = [Bytes::from(vec![1; 20_000]), Bytes::new(), Bytes::from(vec![2; 10_000])];
    appender.append(&message(MessageFlags::PERSISTENT, &body), 0).unwrap();
    let group = appender.take_group(0).unwrap();
    let pieces: Vec<*const u8> = group.writes[0].pieces.iter().map(|piece| piece.as_ptr()).collect();
    assert_eq!(pieces[1..], [body[0].as_ptr(), body[2].as_ptr()]);
}

#[test]
fn writes_follow_each_other_without_gaps() {
    let mut appender = appender();
    let mut end = None;
    for size in [10, 20_000, 30, 60_000, 16_384, 16_385, 100_000, 1] {
        let body = [Bytes::from(vec![1; size])];
        appender.append(&message(MessageFlags::PERSISTENT, &body), 0).unwrap();
        for write in appender.take_group(0).unwrap().writes {
            match write.begins {
                Some(_) => assert_eq!(write.offset, 0),
                None => assert_eq!(end, Some((write.segment, u64::from(write.offset)))),
            }
            end = Some((write.segment, u64::from(write.offset) + write.bytes()));
        }
        let at = appender.end();
        assert_eq!(end, Some((at.segment(), at.offset().into())));
    }
}

#[test]
fn no_group_and_no_checkpoint_cuts_a_chain() {
    let mut appender = appender();
    appender.begin_chain();
    appender.append(&message(MessageFlags::PERSISTENT, &[]), 0).unwrap();
    assert!(appender.take_group(u64::MAX).is_none());
    assert_eq!(appender.checkpoint_position(), None);
    appender.end_chain();
    assert_eq!(appender.checkpoint_position(), Some(appender.end()));
    assert!(appender.take_group(0).is_some());
}
