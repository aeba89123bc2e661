//! Content: in order, out of order, too large, in one piece and in many.

use proptest::prelude::*;

use super::*;
use crate::amqp::{
    frame::write_body,
    method::delivery::write_header,
    wire::{Reader, len_u32},
};

fn header(class: u16, size: u64) -> Vec<u8> {
    [&class.to_be_bytes()[..], &[0, 0], &size.to_be_bytes(), &[0x10, 0, 2]].concat()
}

fn begun() -> Assembler<&'static str> {
    let mut assembler = Assembler::new(BODY_OCTETS_MAX);
    assembler.begin("publish").unwrap();
    assembler
}

#[test]
fn an_empty_body_is_whole_with_its_header() {
    let mut assembler = begun();
    let content = assembler.header(&header(60, 0)).unwrap().unwrap();
    let body = Body::Frame(&[]);
    assert_eq!(content, Content { method: "publish", properties: &[0x10, 0, 2], body });
    assert!(assembler.is_idle());
}

#[test]
fn a_body_of_one_frame_is_handed_back_where_it_stands() {
    let (mut assembler, payload) = (begun(), b"body");
    assert_eq!(assembler.header(&header(60, 4)), Ok(None));
    let content = assembler.body(payload).unwrap().unwrap();
    assert_eq!(content.body.as_slice().as_ptr(), payload.as_ptr());
}

#[test]
fn empty_body_frames_are_passed_over() {
    let mut assembler = begun();
    assert_eq!(assembler.header(&header(60, 2)), Ok(None));
    assert_eq!(assembler.body(b""), Ok(None));
    assert_eq!(assembler.body(b"a"), Ok(None));
    assert_eq!(assembler.body(b""), Ok(None));
    assert_eq!(assembler.body(b"b").unwrap().unwrap().body, Body::Gathered(b"ab".to_vec()));
}

#[test]
fn frames_out_of_order_are_named() {
    let mut idle = Assembler::<()>::new(BODY_OCTETS_MAX);
    assert_eq!(idle.header(&header(60, 0)).err(), Some(ContentError::NoMethod));
    assert_eq!(idle.body(b"x").err(), Some(ContentError::NoMethod));
    assert_eq!(begun().body(b"x").err(), Some(ContentError::NoHeader));
    assert_eq!(begun().begin("another").err(), Some(ContentError::NoHeader));
    assert_eq!(begun().header(&header(50, 1)).err(), Some(ContentError::OtherClass { found: 50 }));
    assert_eq!(begun().header(&[0, 60, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).err(), Some(ContentError::NoHeader));
    let mut waiting = begun();
    assert_eq!(waiting.header(&header(60, 9)), Ok(None));
    assert_eq!(waiting.expect_method(), Err(ContentError::NoBody));
    assert!(waiting.is_idle(), "an error leaves nothing behind");
}

#[test]
fn sizes_have_limits() {
    let mut assembler = begun();
    assert_eq!(assembler.header(&header(60, 3)), Ok(None));
    assert_eq!(assembler.body(b"four").err(), Some(ContentError::TooMuch));
    let size = BODY_OCTETS_MAX + 1;
    let too_large = ContentError::TooLarge { size, limit: BODY_OCTETS_MAX };
    assert_eq!(begun().header(&header(60, size)).err(), Some(too_large));
    let absurd = ContentError::Absurd { size: u64::MAX };
    assert_eq!(begun().header(&header(60, u64::MAX)).err(), Some(absurd));
}

#[test]
fn a_body_that_is_only_announced_takes_no_memory() {
    let mut assembler = begun();
    assert_eq!(assembler.header(&header(60, BODY_OCTETS_MAX)), Ok(None));
    let State::Body { gathered, .. } = &assembler.state else { panic!("{assembler:?}") };
    assert_eq!(gathered.capacity(), 0);
}

proptest! {
    #[test]
    fn a_body_cut_anywhere_is_whole_again(
        body in proptest::collection::vec(any::<u8>(), 1..500), frame_max in 9..300_u32,
    ) {
        let mut wire = Vec::new();
        write_header(7, &[0x10, 0, 2], body.len(), &mut wire);
        write_body(7, &body, frame_max, &mut wire);
        let (mut assembler, mut rest) = (begun(), &wire[..]);
        let mut found = None;
        while let Some(frame) = scan(rest, 0).unwrap() {
            let content = match frame.kind {
                FrameKind::Header => assembler.header(frame.payload(rest)),
                _ => assembler.body(frame.payload(rest)),
            };
            found = content.unwrap().map(|content| content.body.as_slice().to_vec());
            rest = &rest[frame.end..];
        }
        prop_assert_eq!(found, Some(body));
    }

    #[test]
    fn what_stands_whole_is_found_in_place_and_no_part_of_it_is(
        body in proptest::collection::vec(any::<u8>(), 0..80), after in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut wire = Vec::new();
        write_header(7, &[0x10, 0, 2], body.len(), &mut wire);
        write_body(7, &body, 4_096, &mut wire);
        let end = wire.len();
        prop_assert_eq!(in_place(&wire, 8, 4_096, 100), Ok(None), "another channel's");
        if !body.is_empty() {
            prop_assert_eq!(in_place(&wire[..end - 1], 7, 4_096, 100), Ok(None));
            prop_assert_eq!(in_place(&wire, 7, 4_096, 0), Ok(None), "the assembler says what is wrong");
        }
        wire.extend(after);
        let whole = InPlace { properties: &[0x10, 0, 2], body: &body, end };
        prop_assert_eq!(in_place(&wire, 7, 4_096, 100), Ok(Some(whole)));
    }

    #[test]
    fn any_order_of_frames_is_content_or_an_error(frames in proptest::collection::vec((0..3, 0..4_u64), 0..30)) {
        let mut assembler = Assembler::new(2);
        for (kind, size) in frames {
            let body = vec![0; usize::try_from(size).unwrap()];
            let content = match kind {
                0 => assembler.begin(()).map(|()| None),
                1 => assembler.header(&header(60, size)),
                _ => assembler.body(&body),
            };
            if let Ok(Some(content)) = content {
                prop_assert!(len_u32(content.body.as_slice().len()) <= 2);
                prop_assert!(!Reader::new(content.properties).is_empty());
            }
        }
    }
}
