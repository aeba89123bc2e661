//! The states of a stream, their numbers, and how many there may be.

use crate::hostile::h2::{
    Case,
    Expect::{Bounded, Connection, Forwarded, Refused, Stream},
    GET, OPEN, POST,
    Step::{Begin, Ended, Frame, Head, Resets},
    WHOLE,
    code::{CLOSED, PROTOCOL},
    frame::{DATA, END_STREAM, PRIORITY, RST_STREAM, WINDOW_UPDATE},
};

/// A stream or the connection ends, because it was over.
const OVER: &[u32] = &[CLOSED, PROTOCOL];

pub(super) const CASES: &[Case] = &[
    Case::new(
        "stream-number-goes-down",
        "9113 5.1.1",
        &[Begin, Head(WHOLE, 5, GET), Ended(5), Head(WHOLE, 3, GET)],
        Connection(OVER),
    ),
    Case::new(
        "stream-number-used-twice",
        "9113 5.1.1",
        &[Begin, Head(WHOLE, 1, GET), Ended(1), Head(WHOLE, 1, GET)],
        Connection(OVER),
    ),
    Case::new("stream-numbers-may-skip", "9113 5.1.1", &[Begin, Head(WHOLE, 101, GET)], Forwarded(101, &[])),
    Case::new(
        "stream-of-the-highest-number",
        "9113 5.1.1",
        &[Begin, Head(WHOLE, 0x7fff_ffff, GET)],
        Forwarded(0x7fff_ffff, &[]),
    ),
    Case::new(
        "half-closed-then-data",
        "9113 5.1",
        &[Begin, Head(WHOLE, 1, GET), Frame(DATA, END_STREAM, 1, b"x")],
        Stream(1, OVER),
    ),
    Case::new(
        "half-closed-then-headers",
        "9113 5.1",
        &[Begin, Head(WHOLE, 1, POST), Head(WHOLE, 1, &[("x", "y")])],
        Stream(1, OVER),
    ),
    Case::new(
        "half-closed-by-data-then-data",
        "9113 5.1",
        &[Begin, Head(OPEN, 1, POST), Frame(DATA, END_STREAM, 1, b"x"), Frame(DATA, END_STREAM, 1, b"y")],
        Stream(1, OVER),
    ),
    Case::new(
        "reset-then-data",
        "9113 5.1",
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(RST_STREAM, 0, 1, b"\0\0\0\x08"),
            Frame(DATA, END_STREAM, 1, b"x"),
        ],
        Bounded,
    ),
    Case::new(
        "reset-then-headers",
        "9113 5.1",
        &[Begin, Head(OPEN, 1, POST), Frame(RST_STREAM, 0, 1, b"\0\0\0\x08"), Head(WHOLE, 1, GET)],
        Stream(1, OVER),
    ),
    Case::new(
        "closed-then-data",
        "9113 5.1",
        &[Begin, Head(WHOLE, 1, GET), Ended(1), Frame(DATA, END_STREAM, 1, b"x")],
        Stream(1, OVER),
    ),
    Case::new(
        "closed-then-priority",
        "9113 5.1",
        &[Begin, Head(WHOLE, 1, GET), Ended(1), Frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), Head(WHOLE, 3, GET)],
        Forwarded(3, &[]),
    ),
    Case::new(
        "closed-then-window-update",
        "9113 5.1",
        &[
            Begin,
            Head(WHOLE, 1, GET),
            Ended(1),
            Frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"),
            Head(WHOLE, 3, GET),
        ],
        Forwarded(3, &[]),
    ),
    Case::new(
        "closed-then-reset",
        "9113 5.1",
        &[Begin, Head(WHOLE, 1, GET), Ended(1), Frame(RST_STREAM, 0, 1, b"\0\0\0\x08"), Head(WHOLE, 3, GET)],
        Forwarded(3, &[]),
    ),
    Case::new(
        "two-at-once",
        "9113 5.1.2",
        &[Begin, Head(WHOLE, 1, GET), Head(WHOLE, 3, GET)],
        Forwarded(3, &[]),
    ),
    Case::new(
        "headers-in-the-middle-without-end",
        "9113 8.1",
        &[Begin, Head(OPEN, 1, POST), Head(OPEN, 1, &[("x", "y")]), Frame(DATA, END_STREAM, 1, b"x")],
        Refused(1),
    ),
    Case::new(
        "rapid-reset-then-request",
        "9113 10.5",
        &[Begin, Resets(1, 30), Head(WHOLE, 101, GET)],
        Forwarded(101, &[]),
    ),
    Case::new("rapid-reset", "9113 10.5", &[Begin, Resets(1, 20_000)], Bounded),
];
