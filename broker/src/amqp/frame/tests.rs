//! Frames in and out: whole, in pieces, too large, garbled.

use proptest::prelude::*;

use super::*;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes.push(FRAME_END);
    bytes
}

#[test]
fn a_size_beyond_the_limit_is_refused_before_the_payload_is_there() {
    let head = [1, 0, 5, 0, 0, 16, 1];
    let error = FrameError::TooLarge { kind: 1, channel: 5, size: 4_097, limit: 4_088 };
    assert_eq!(scan(&head, 4_096), Err(error));
    assert_eq!(scan(&[1, 0, 5, 0, 0, 16, 0], 4_096), Ok(None), "the grace of RabbitMQ");
    assert!(scan(&[1, 0, 5, 255, 255, 255, 255], 0).is_err(), "no limit agreed on is a limit too");
}

#[test]
fn a_wrong_end_octet_is_an_error() {
    let mut bytes = frame(1, 3, b"abcd");
    *bytes.last_mut().unwrap() = 0;
    let snippet = Snippet::of(b"abcd");
    assert_eq!(scan(&bytes, 4_096), Err(FrameError::BadEnd { kind: 1, channel: 3, found: 0, snippet }));
}

#[test]
fn unknown_kinds_and_stray_heartbeats_are_errors() {
    let unknown =
        |kind, payload: &[u8]| FrameError::Unknown { kind, channel: 0, snippet: Snippet::of(payload) };
    assert_eq!(scan(&frame(4, 0, b"x"), 4_096), Err(unknown(4, b"x")));
    assert_eq!(scan(&frame(8, 0, b"x"), 4_096), Err(unknown(8, b"x")));
    assert_eq!(scan(&frame(8, 7, b""), 4_096), Err(FrameError::HeartbeatOnChannel { channel: 7 }));
    let heartbeat = scan(&HEARTBEAT, 4_096).unwrap().unwrap();
    assert_eq!((heartbeat.kind, heartbeat.end), (FrameKind::Heartbeat, 8));
}

#[test]
fn a_snippet_shows_the_first_sixteen_octets() {
    assert!(Snippet::of(&[7; 16]).is_whole());
    let long = Snippet::of(&[7; 17]);
    assert_eq!((long.bytes(), long.is_whole()), (&[7; 16][..], false));
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_an_error_or_a_wait(bytes in proptest::collection::vec(any::<u8>(), 0..64), max in 0..200u32) {
        if let Ok(Some(frame)) = scan(&bytes, max) {
            prop_assert_eq!(frame.end, frame.payload.end + 1);
            prop_assert!(frame.end <= bytes.len());
        }
    }

    #[test]
    fn frames_fed_octet_by_octet_are_the_same(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..6),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(1, 9, payload)).collect();
        let (mut start, mut found) = (0, Vec::new());
        for seen in 1..=stream.len() {
            if let Some(frame) = scan(&stream[start..seen], 4_096).unwrap() {
                found.push(frame.payload(&stream[start..seen]).to_vec());
                start += frame.end;
            }
        }
        prop_assert_eq!(start, stream.len());
        prop_assert_eq!(found, payloads);
    }

    #[test]
    fn a_body_comes_back_from_its_frames(body in proptest::collection::vec(any::<u8>(), 0..3_000), max in 9..600u32) {
        let mut out = Vec::new();
        write_body(4, &body, max, &mut out);
        prop_assert_eq!(out.len(), body_wire_len(body.len(), max));
        let (mut back, mut rest) = (Vec::new(), &out[..]);
        while let Some(frame) = scan(rest, max).unwrap() {
            prop_assert!(frame.end <= usize::try_from(max).unwrap());
            back.extend_from_slice(frame.payload(rest));
            rest = &rest[frame.end..];
        }
        prop_assert_eq!(back, body);
    }
}
