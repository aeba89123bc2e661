//! A beginning AMQP connection, both sides: whatever the peer sends, in whatever pieces, nothing is opened that the caller
//! has not admitted, and what is written is whole frames.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weft_broker::amqp::{
    frame::scan,
    handshake::{
        PROTOCOL_HEADER, Product, Tuning,
        client::{ClientConfig, ClientEvent, ClientHandshake},
        sasl::{Mechanism, plain_response},
        server::{ServerConfig, ServerEvent, ServerHandshake},
        server_properties,
    },
};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (as_server, piece, bytes) = input;
    let piece = usize::from(piece).max(1);
    let written = if as_server { serve(bytes, piece) } else { connect(bytes, piece) };
    let mut rest = written.strip_prefix(&PROTOCOL_HEADER).unwrap_or(&written);
    while let Ok(Some(frame)) = scan(rest, 0) {
        rest = &rest[frame.end..];
    }
    assert!(rest.is_empty(), "half a frame was written");
});

/// A server that lets everyone in, and no one beyond.
fn serve(bytes: &[u8], piece: usize) -> Vec<u8> {
    let properties = server_properties(&Product::default());
    let mechanisms = [Mechanism::Plain, Mechanism::AmqPlain, Mechanism::External];
    let config = ServerConfig::new(&properties, &mechanisms, Tuning::default());
    let (mut server, mut out) = (ServerHandshake::new(Arc::new(config)), Vec::new());
    feed(bytes, piece, |buf| {
        let step = server.receive(buf, &mut out);
        match step.event {
            Some(ServerEvent::Authenticate(_)) => server.accept(&mut out),
            Some(ServerEvent::Closed | ServerEvent::WrongProtocol(_)) => return None,
            _ => {}
        }
        assert!(!server.is_open());
        Some(step.consumed)
    });
    out
}

fn connect(bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let config = ClientConfig {
        properties: Vec::new(),
        mechanism: "PLAIN".to_owned(),
        response: plain_response("guest", b"guest"),
        virtual_host: "/".to_owned(),
        wish: Tuning::default(),
    };
    let mut client = ClientHandshake::begin(config, &mut out);
    feed(bytes, piece, |buf| {
        let step = client.receive(buf, &mut out);
        if let Some(ClientEvent::Challenge(_)) = step.event {
            client.answer(b"x", &mut out);
        }
        Some(step.consumed)
    });
    out
}

/// Gives `bytes` piece by piece to `take`, which says how many octets it is done with, or that it is done with all.
fn feed(bytes: &[u8], piece: usize, mut take: impl FnMut(&[u8]) -> Option<usize>) {
    let mut start = 0;
    for end in (0..bytes.len()).step_by(piece).map(|at| (at + piece).min(bytes.len())) {
        loop {
            match take(&bytes[start..end]) {
                None => return,
                Some(0) => break,
                Some(consumed) => start += consumed,
            }
        }
    }
}
