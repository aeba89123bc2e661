//! The preface, and the frames of the whole connection: SETTINGS, PING, GOAWAY, WINDOW_UPDATE on stream 0, unknown ones.

use crate::hostile::h2::{
    Case,
    Expect::{Alive, Bounded, Connection, Forwarded},
    GET,
    Step::{Begin, Claiming, Flood, Frame, Head, Raw},
    WHOLE,
    code::{FLOW, PROTOCOL, SIZE},
    frame::{ACK, GOAWAY, PING, PREFACE, SETTINGS, WINDOW_UPDATE},
};

/// The library says PROTOCOL_ERROR, an unspecific one (RFC 9113 section 7), of some frames whose size is the error.
const SIZED: &[u32] = &[SIZE, PROTOCOL];
const ANSWERED: crate::hostile::h2::Expect = Forwarded(1, &[]);

pub(super) const CASES: &[Case] = &[
    Case::new(
        "preface-then-no-settings",
        "9113 3.4",
        &[Raw(PREFACE), Frame(PING, 0, 0, b"12345678")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "preface-then-headers",
        "9113 3.4",
        &[Raw(PREFACE), Head(WHOLE, 1, GET)],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "preface-spoilt",
        "9113 3.4",
        &[Raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "preface-spoilt-early",
        "9113 3.4",
        &[Raw(b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n")],
        Connection(&[PROTOCOL]),
    ),
    Case::new("preface-twice", "9113 3.4", &[Begin, Raw(PREFACE)], Connection(SIZED)),
    Case::new(
        "settings-ack-with-payload",
        "9113 6.5",
        &[Begin, Frame(SETTINGS, ACK, 0, b"\0\x03\0\0\0\x64")],
        Connection(SIZED),
    ),
    Case::new(
        "settings-on-a-stream",
        "9113 6.5",
        &[Begin, Frame(SETTINGS, 0, 1, b"")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "settings-length-not-of-six",
        "9113 6.5",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x03\0\0\0")],
        Connection(SIZED),
    ),
    Case::new(
        "settings-push-two",
        "9113 6.5.2",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x02\0\0\0\x02")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "settings-window-too-large",
        "9113 6.5.2",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x04\x80\0\0\0")],
        Connection(&[FLOW, PROTOCOL]),
    ),
    Case::new(
        "settings-frame-size-too-small",
        "9113 6.5.2",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x05\0\0\x3f\xff")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "settings-frame-size-too-large",
        "9113 6.5.2",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x05\x01\0\0\0")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "settings-connect-protocol-two",
        "8441 3",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x08\0\0\0\x02")],
        Bounded,
    ).because("the setting is 0 or 1 (RFC 8441 section 3), and the sidecar is the only one here that has to know it"),
    Case::new(
        "settings-unknown",
        "9113 6.5.2",
        &[Begin, Frame(SETTINGS, 0, 0, b"\xff\xff\0\0\0\x01")],
        Alive,
    ),
    Case::new(
        "settings-same-twice",
        "9113 6.5.3",
        &[Begin, Frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01\0\x04\0\0\xff\xff"), Head(WHOLE, 1, GET)],
        ANSWERED,
    ),
    Case::new("settings-unknown-flags", "9113 6.5", &[Begin, Frame(SETTINGS, 0xfe, 0, b"")], Alive),
    Case::new("settings-flood", "9113 10.5", &[Begin, Flood(50_000, SETTINGS, 0, 0, b"")], Bounded),
    Case::new("ping-is-answered", "9113 6.7", &[Begin, Frame(PING, 0, 0, b"12345678")], Alive),
    Case::new("ping-ack-unasked", "9113 6.7", &[Begin, Frame(PING, ACK, 0, b"12345678")], Alive),
    Case::new("ping-unknown-flags", "9113 6.7", &[Begin, Frame(PING, 0xfe, 0, b"12345678")], Alive),
    Case::new(
        "ping-on-a-stream",
        "9113 6.7",
        &[Begin, Frame(PING, 0, 1, b"12345678")],
        Connection(&[PROTOCOL]),
    ),
    Case::new("ping-seven-bytes", "9113 6.7", &[Begin, Frame(PING, 0, 0, b"1234567")], Connection(SIZED)),
    Case::new("ping-nine-bytes", "9113 6.7", &[Begin, Frame(PING, 0, 0, b"123456789")], Connection(SIZED)),
    Case::new("ping-flood", "9113 10.5", &[Begin, Flood(50_000, PING, 0, 0, b"12345678")], Bounded),
    Case::new(
        "goaway-on-a-stream",
        "9113 6.8",
        &[Begin, Frame(GOAWAY, 0, 1, b"\0\0\0\0\0\0\0\0")],
        Connection(&[PROTOCOL]),
    ),
    Case::new("goaway-short", "9113 6.8", &[Begin, Frame(GOAWAY, 0, 0, b"\0\0\0\0")], Connection(SIZED)),
    Case::new(
        "goaway-after-request",
        "9113 6.8",
        &[Begin, Head(WHOLE, 1, GET), Frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0")],
        ANSWERED,
    ),
    Case::new(
        "window-zero-on-connection",
        "9113 6.9",
        &[Begin, Frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0")],
        Connection(&[PROTOCOL]),
    ),
    Case::new(
        "window-three-bytes",
        "9113 6.9",
        &[Begin, Frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01")],
        Connection(SIZED),
    ),
    Case::new(
        "window-five-bytes",
        "9113 6.9",
        &[Begin, Frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01\0")],
        Connection(SIZED),
    ),
    Case::new(
        "window-overflow-on-connection",
        "9113 6.9.1",
        &[
            Begin,
            Frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
            Frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        ],
        Connection(&[FLOW, PROTOCOL]),
    ),
    Case::new(
        "window-reserved-bit",
        "9113 6.9",
        &[Begin, Frame(WINDOW_UPDATE, 0, 0, b"\x80\0\0\x01"), Head(WHOLE, 1, GET)],
        ANSWERED,
    ),
    Case::new(
        "frame-unknown-type",
        "9113 5.5",
        &[Begin, Frame(0x42, 0xff, 0, b"whatever"), Head(WHOLE, 1, GET)],
        ANSWERED,
    ),
    Case::new("frame-unknown-type-on-idle-stream", "9113 5.5", &[Begin, Frame(0x42, 0, 7, b"x")], Bounded),
    Case::new(
        "frame-unknown-type-flood",
        "9113 10.5",
        &[Begin, Flood(50_000, 0x42, 0, 0, b"whatever")],
        Bounded,
    ),
    Case::new(
        "frame-longer-than-allowed",
        "9113 4.2",
        &[Begin, Claiming(16_385, 0x42, 0, 0, b"")],
        Connection(SIZED),
    ),
    Case::new(
        "frame-of-sixteen-mebibytes",
        "9113 4.2",
        &[Begin, Claiming(0xff_ffff, SETTINGS, 0, 0, b"")],
        Connection(SIZED),
    ),
    Case::new(
        "frame-reserved-bit-of-stream",
        "9113 4.1",
        &[Begin, Frame(PING, 0, 0x8000_0000, b"12345678"), Head(WHOLE, 1, GET)],
        ANSWERED,
    ),
    Case::new(
        "window-update-flood",
        "9113 10.5",
        &[Begin, Flood(50_000, WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")],
        Bounded,
    ),
    Case::new(
        "goaway-flood",
        "9113 10.5",
        &[Begin, Flood(50_000, GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0")],
        Bounded,
    ),
    Case::new(
        "settings-enough-is-enough",
        "9113 10.5",
        &[Begin, Flood(20_000, SETTINGS, 0, 0, b"\0\x04\0\0\xff\xff\0\x04\0\0\0\x01")],
        Bounded,
    ),
    Case::new(
        "ping-before-settings-of-the-server",
        "9113 3.4",
        &[Begin, Flood(3, PING, 0, 0, b"abcdefgh")],
        Alive,
    ),
];
