//! Codes, texts and what they end.

use super::*;
use crate::amqp::{
    content::ContentError,
    frame::{FrameKind, scan},
    method::Method,
};

#[test]
fn codes_are_hard_or_soft_as_the_specification_says() {
    let soft: Vec<_> =
        ReplyCode::ALL.into_iter().filter(|code| !code.is_hard()).map(ReplyCode::number).collect();
    assert_eq!(soft, [200, 311, 312, 313, 403, 404, 405, 406]);
    assert!(ReplyCode::ALL.is_sorted());
    assert_eq!(ReplyCode::of(530), Some(ReplyCode::NotAllowed));
    assert_eq!(ReplyCode::of(999), None);
}

#[test]
fn a_soft_refusal_ends_its_channel_and_a_hard_one_the_connection() {
    let soft = Refusal::new(ReplyCode::NotFound, "no queue 'q' in vhost '/'").by((50, 10));
    let mut out = Vec::new();
    assert_eq!(soft.write(3, &mut out), Ended::Channel(3));
    let frame = scan(&out, 0).unwrap().unwrap();
    let close = channel::Close {
        reply_code: 404,
        reply_text: "NOT_FOUND - no queue 'q' in vhost '/'",
        class_id: 50,
        method_id: 10,
    };
    let method = Method::decode(frame.payload(&out));
    assert_eq!(method, Ok(Method::Channel(crate::amqp::method::Channel::Close(close))));
    assert_eq!(soft.ends(0), Ended::Connection);
    assert_eq!(Refusal::new(ReplyCode::ChannelError, "x").ends(3), Ended::Connection);
}

#[test]
fn a_long_text_ends_in_dots_between_characters() {
    let long = Refusal::new(ReplyCode::NotFound, "é".repeat(300));
    assert_eq!(long.text().len(), 255);
    assert!(long.text().ends_with("é..."));
    let just = Refusal::new(ReplyCode::NotFound, "a".repeat(243));
    assert_eq!((just.text().len(), just.text().ends_with('a')), (255, true));
}

#[test]
fn broken_frames_are_shown_as_rabbitmq_shows_them() {
    let refused = |bytes: &[u8]| Refusal::from(scan(bytes, 4_096).unwrap_err()).text().to_owned();
    assert_eq!(
        refused(&[1, 0, 0, 1, 0, 0, 0]),
        "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,16777216,4088}"
    );
    assert_eq!(
        refused(&[1, 0, 0, 0, 0, 0, 2, 0, 200, 0]),
        "FRAME_ERROR - type 1, all octets = <<0,200>>: {invalid_frame_end_marker,0}"
    );
    assert_eq!(
        refused(&[&[9, 0, 0, 0, 0, 0, 17][..], b"it's \"17\" octets", &[0xCE, 0xCE]].concat()),
        "FRAME_ERROR - type 9, first 16 octets = <<\"it's \\\"17\\\" octets\">>: unknown_frame"
    );
    assert_eq!(refused(&[8, 0, 1, 0, 0, 0, 0, 0xCE]), "UNEXPECTED_FRAME - type 8, all octets = <<>>");
    assert_eq!(
        Refusal::unexpected_frame(FrameKind::Body, &[7; 20]).text(),
        "UNEXPECTED_FRAME - type 3, first 16 octets = <<7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7>>"
    );
}

#[test]
fn methods_that_cannot_be_read_are_refused_by_kind() {
    let refused = |payload: &[u8]| Refusal::undecodable(Method::decode(payload).unwrap_err(), payload);
    let truncated = refused(&[0, 60, 0, 31, 5, 1]);
    assert_eq!((truncated.text(), truncated.ids()), ("FRAME_ERROR - cannot decode <<5,1>>", (60, 31)));
    assert_eq!(refused(&[0, 60, 0, 31, 1, 255]).text(), "FRAME_ERROR - Malformed UTF-8 in shortstr");
    assert_eq!(refused(&[0, 77, 0, 1]).code(), ReplyCode::NotImplemented);
    assert_eq!(refused(&[0, 60]).code(), ReplyCode::FrameError);
    let table = refused(&[0, 50, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3, 1, b'a', b'?']);
    assert_eq!((table.code(), table.ids()), (ReplyCode::SyntaxError, (50, 10)));
}

#[test]
fn content_out_of_order_ends_the_connection_and_a_large_body_the_channel() {
    let order = Refusal::from(ContentError::NoHeader).by((60, 40));
    assert_eq!(
        order.text(),
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"
    );
    assert_eq!(order.ends(1), Ended::Connection);
    let large = Refusal::from(ContentError::TooLarge { size: 20, limit: 10 });
    assert_eq!(large.text(), "PRECONDITION_FAILED - message size 20 is larger than configured max size 10");
    assert_eq!(large.ends(1), Ended::Channel(1));
}
