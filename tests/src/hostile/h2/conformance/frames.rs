//! The frames of one stream: DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, WINDOW_UPDATE, CONTINUATION.

use crate::hostile::{
    Part,
    h2::{
        Case, Expect,
        Expect::{Alive, Bounded, Connection, Forwarded, Stream},
        GET, OPEN, POST,
        Step::{Begin, Flood, Frame, Head, Long},
        WHOLE,
        code::{CLOSED, COMPRESSION, FLOW, PROTOCOL, SIZE},
        frame::{
            CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PRIORITISED, PRIORITY,
            PUSH_PROMISE, RST_STREAM, WINDOW_UPDATE,
        },
    },
};

/// The library says PROTOCOL_ERROR, an unspecific one (RFC 9113 section 7), of some frames whose size is the error.
const SIZED: &[u32] = &[SIZE, PROTOCOL];
const ANSWERED: Expect = Forwarded(1, &[]);
/// `:method GET`, `:scheme http`, `:path /`, and `:authority orders`.
const BLOCK: &[u8] = b"\x82\x86\x84\x01\x06orders";
/// The second half of it.
const AUTHORITY: &[u8] = b"\x01\x06orders";

pub(super) const CASES: &[Case] = &[
    Case::new("data-on-stream-0", "9113 6.1", &[Begin, Frame(DATA, 0, 0, b"x")], Connection(&[PROTOCOL])),
    Case::new(
        "data-on-idle-stream",
        "9113 5.1",
        &[Begin, Frame(DATA, END_STREAM, 1, b"x")],
        Connection(&[PROTOCOL, CLOSED]),
    ),
    Case::new(
        "data-padding-as-long-as-frame",
        "9113 6.1",
        &[Begin, Head(OPEN, 1, POST), Frame(DATA, PADDED | END_STREAM, 1, b"\x06hello")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "data-padded",
        "9113 6.1",
        &[Begin, Head(OPEN, 1, POST), Frame(DATA, PADDED | END_STREAM, 1, b"\x03hello\0\0\0")],
        Forwarded(1, &[crate::hostile::Sees::Body(b"hello")]),
    ),
    Case::new(
        "data-padding-not-zero",
        "9113 6.1",
        &[Begin, Head(OPEN, 1, POST), Frame(DATA, PADDED | END_STREAM, 1, b"\x03hello\x01\x02\x03")],
        Bounded,
    ),
    Case::new(
        "data-padded-without-length",
        "9113 6.1",
        &[Begin, Head(OPEN, 1, POST), Frame(DATA, PADDED | END_STREAM, 1, b"")],
        Connection(SIZED),
    ),
    Case::new(
        "data-longer-than-allowed",
        "9113 4.2",
        &[Begin, Head(OPEN, 1, POST), Long(DATA, END_STREAM, 1, &[Part::Times(b"x", 16_385)])],
        Stream(1, SIZED),
    ),
    Case::new(
        "data-over-the-window",
        "9113 6.9.1",
        &[Begin, Head(OPEN, 1, POST), Flood(200, DATA, 0, 1, &[b'x'; 16_384])],
        Bounded,
    ),
    Case::new(
        "data-empty-flood",
        "9113 10.5",
        &[Begin, Head(OPEN, 1, POST), Flood(50_000, DATA, 0, 1, b"")],
        Bounded,
    ).because("empty DATA frames without end are a load without use, and the library ends the connection with ENHANCE_YOUR_CALM (RFC 9113 section 10.5)"),
    Case::new(
        "headers-on-stream-0",
        "9113 6.2",
        &[Begin, Frame(HEADERS, WHOLE, 0, BLOCK)],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "headers-on-even-stream",
        "9113 5.1.1",
        &[Begin, Frame(HEADERS, WHOLE, 2, BLOCK)],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "headers-padding-as-long-as-frame",
        "9113 6.2",
        &[Begin, Frame(HEADERS, WHOLE | PADDED, 1, b"\x0c\x82\x86\x84\x01\x06orders")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "headers-padded-with-priority",
        "9113 6.2",
        &[
            Begin,
            Frame(
                HEADERS,
                WHOLE | PADDED | PRIORITISED,
                1,
                b"\x02\0\0\0\0\x10\x82\x86\x84\x01\x06orders\0\0",
            ),
        ],
        ANSWERED,
    ),
    Case::new(
        "headers-depend-on-themselves",
        "7540 5.3.1",
        &[Begin, Frame(HEADERS, WHOLE | PRIORITISED, 1, b"\0\0\0\x01\x10\x82\x86\x84\x01\x06orders")],
        Bounded,
    ),
    Case::new(
        "headers-priority-short",
        "9113 6.2",
        &[Begin, Frame(HEADERS, WHOLE | PRIORITISED, 1, b"\0\0\0")],
        Connection(&[PROTOCOL, SIZE, COMPRESSION]),
    ),
    Case::new(
        "headers-longer-than-allowed",
        "9113 4.2",
        &[Begin, Long(HEADERS, WHOLE, 1, &[Part::Raw(BLOCK), Part::Times(b"\x00\x01x\x01y", 4_000)])],
        Connection(SIZED),
    ),
    Case::new(
        "headers-then-other-stream-before-end",
        "9113 6.2",
        &[Begin, Frame(HEADERS, END_STREAM, 1, BLOCK), Frame(HEADERS, WHOLE, 3, BLOCK)],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "headers-unknown-flags",
        "9113 6.2",
        &[Begin, Frame(HEADERS, WHOLE | 0xd2, 1, BLOCK)],
        ANSWERED,
    ),
    Case::new(
        "priority-on-stream-0",
        "9113 6.3",
        &[Begin, Frame(PRIORITY, 0, 0, b"\0\0\0\0\x10")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "priority-four-bytes",
        "9113 6.3",
        &[Begin, Frame(PRIORITY, 0, 1, b"\0\0\0\0")],
        Stream(1, SIZED),
    ),
    Case::new(
        "priority-on-idle-stream",
        "9113 6.3",
        &[Begin, Frame(PRIORITY, 0, 5, b"\0\0\0\0\x10"), Head(WHOLE, 7, GET)],
        Forwarded(7, &[]),
    ),
    Case::new(
        "priority-on-itself",
        "7540 5.3.1",
        &[Begin, Frame(PRIORITY, 0, 1, b"\0\0\0\x01\x10")],
        Bounded,
    ),
    Case::new(
        "priority-flood",
        "9113 10.5",
        &[Begin, Flood(50_000, PRIORITY, 0, 3, b"\0\0\0\x01\x10")],
        Bounded,
    ),
    Case::new(
        "reset-on-stream-0",
        "9113 6.4",
        &[Begin, Frame(RST_STREAM, 0, 0, b"\0\0\0\x08")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "reset-on-idle-stream",
        "9113 6.4",
        &[Begin, Frame(RST_STREAM, 0, 1, b"\0\0\0\x08")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "reset-three-bytes",
        "9113 6.4",
        &[Begin, Head(OPEN, 1, POST), Frame(RST_STREAM, 0, 1, b"\0\0\x08")],
        Connection(SIZED),
    ),
    Case::new(
        "reset-of-unknown-code",
        "9113 7",
        &[Begin, Head(OPEN, 1, POST), Frame(RST_STREAM, 0, 1, b"\xff\xff\xff\xff"), Head(WHOLE, 3, GET)],
        Forwarded(3, &[]),
    ),
    Case::new(
        "push-promise-from-a-client",
        "9113 8.4",
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82\x86\x84\x01\x06orders"),
        ],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "push-promise-on-stream-0",
        "9113 6.6",
        &[Begin, Frame(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\x02\x82\x86\x84\x01\x06orders")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "window-zero-on-stream",
        "9113 6.9",
        &[Begin, Head(OPEN, 1, POST), Frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0")],
        Stream(1, &[PROTOCOL]),
    ),
    Case::new(
        "window-overflow-on-stream",
        "9113 6.9.1",
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"),
            Frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"),
        ],
        Stream(1, &[FLOW]),
    ),
    Case::new(
        "window-on-idle-stream",
        "9113 5.1",
        &[Begin, Frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-without-headers",
        "9113 6.10",
        &[Begin, Frame(CONTINUATION, END_HEADERS, 1, BLOCK)],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-on-stream-0",
        "9113 6.10",
        &[Begin, Frame(HEADERS, END_STREAM, 1, BLOCK), Frame(CONTINUATION, END_HEADERS, 0, b"")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-of-another-stream",
        "9113 6.10",
        &[Begin, Frame(HEADERS, END_STREAM, 1, BLOCK), Frame(CONTINUATION, END_HEADERS, 3, b"")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-after-the-end",
        "9113 6.10",
        &[Begin, Frame(HEADERS, END_HEADERS, 1, BLOCK), Frame(CONTINUATION, END_HEADERS, 1, b"")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-interrupted-by-ping",
        "9113 6.10",
        &[
            Begin,
            Frame(HEADERS, END_STREAM, 1, BLOCK),
            Frame(6, 0, 0, b"12345678"),
            Frame(CONTINUATION, END_HEADERS, 1, b""),
        ],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-interrupted-by-unknown-frame",
        "9113 5.5",
        &[
            Begin,
            Frame(HEADERS, END_STREAM, 1, BLOCK),
            Frame(0x42, 0, 1, b"x"),
            Frame(CONTINUATION, END_HEADERS, 1, b""),
        ],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-interrupted-by-data",
        "9113 6.10",
        &[Begin, Frame(HEADERS, 0, 1, BLOCK), Frame(DATA, END_STREAM, 1, b"x")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "continuation-in-pieces",
        "9113 6.10",
        &[
            Begin,
            Frame(HEADERS, END_STREAM, 1, b"\x82\x86\x84"),
            Frame(CONTINUATION, 0, 1, b""),
            Frame(CONTINUATION, END_HEADERS, 1, AUTHORITY),
        ],
        ANSWERED,
    ),
    Case::new(
        "continuation-flood-of-empty-ones",
        "9113 10.5",
        &[Begin, Frame(HEADERS, END_STREAM, 1, BLOCK), Flood(50_000, CONTINUATION, 0, 1, b"")],
        Bounded,
    ),
    Case::new(
        "continuation-flood-of-fields",
        "9113 10.5.1",
        &[Begin, Frame(HEADERS, END_STREAM, 1, BLOCK), Flood(50_000, CONTINUATION, 0, 1, b"\x00\x01x\x01y")],
        Bounded,
    ),
    Case::new(
        "frame-of-nothing-on-open-stream",
        "9113 5.5",
        &[Begin, Head(OPEN, 1, POST), Frame(0x42, 0, 1, b"")],
        Alive,
    ),
];
