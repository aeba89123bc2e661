//! AMQP frames and the content they carry: whatever comes, scanning ends in frames, a wait or an
//! error; what stands in place is what the assembler gathers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::amqp::{
    content::{Assembler, in_place},
    frame::{FrameKind, scan},
};

const FRAME_MAX: u32 = 4_096;
const BODY_MAX: u64 = 1_000;

fuzz_target!(|bytes: &[u8]| {
    let (mut rest, mut assembler) = (bytes, Assembler::new(BODY_MAX));
    while let Ok(Some(frame)) = scan(rest, FRAME_MAX) {
        assert!(frame.end <= rest.len() && frame.end == frame.payload.end + 1);
        assert!(matches!(scan(&rest[..frame.end - 1], FRAME_MAX), Ok(None)), "a part is a frame");
        let channel = frame.channel;
        let payload = frame.payload(rest);
        rest = &rest[frame.end..];
        let content = match frame.kind {
            FrameKind::Method => {
                assembler.begin(in_place(rest, channel, FRAME_MAX, BODY_MAX).ok().flatten()).map(|()| None)
            }
            FrameKind::Header => assembler.header(payload),
            FrameKind::Body => assembler.body(payload),
            FrameKind::Heartbeat => Ok(None),
        };
        if let Ok(Some(content)) = content {
            assert!(content.body.as_slice().len() <= bytes.len());
            if let Some(at_once) = content.method {
                assert_eq!((at_once.properties, at_once.body), (content.properties, content.body.as_slice()));
            }
        }
    }
});
