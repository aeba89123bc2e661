//! Both sides against each other, and each against peers that misbehave.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    client::{ClientConfig, ClientEvent, ClientHandshake},
    sasl::{Login, Mechanism, SaslError, amqplain_response, plain_response},
    server::{Farewell, ServerConfig, ServerEvent, ServerHandshake},
    *,
};
use crate::amqp::{
    frame::{FRAME_MAX_INITIAL, scan},
    method::{Connection, Method, basic, connection},
    table::encode_table,
};

fn server() -> ServerHandshake {
    let properties = server_properties(&Product { product: "Weft", version: "4.1.0", ..Product::default() });
    let mechanisms = [Mechanism::Plain, Mechanism::AmqPlain];
    ServerHandshake::new(Arc::new(ServerConfig::new(&properties, &mechanisms, Tuning::default())))
}

fn capable(names: &[&str]) -> Vec<u8> {
    let table = names.iter().map(|name| ((*name).to_owned(), FieldValue::Bool(true))).collect();
    encode_table(&[("capabilities".to_owned(), FieldValue::Table(table))].into_iter().collect())
}

fn client(wish: Tuning) -> ClientConfig {
    ClientConfig {
        properties: capable(&["connection.blocked", "authentication_failure_close"]),
        mechanism: "PLAIN".to_owned(),
        response: plain_response("guest", b"secret"),
        virtual_host: "/prod".to_owned(),
        wish,
    }
}

/// Feeds `bytes` and asserts that nothing is asked.
fn quiet(server: &mut ServerHandshake, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let step = server.receive(bytes, &mut out);
    assert_eq!((step.consumed, step.event), (bytes.len(), None));
    out
}

fn start_ok(properties: &[u8], mechanism: &str, response: &[u8]) -> Vec<u8> {
    let client_properties = RawTable::new(properties);
    let mut out = Vec::new();
    connection::StartOk { client_properties, mechanism, response, locale: "en_US" }.encode(0, &mut out);
    out
}

fn tune_ok(channel_max: u16, frame_max: u32) -> Vec<u8> {
    let mut out = Vec::new();
    connection::TuneOk { channel_max, frame_max, heartbeat: 5 }.encode(0, &mut out);
    out
}

/// A server that has accepted a login.
fn tuning_server() -> ServerHandshake {
    let mut server = server();
    quiet(&mut server, &PROTOCOL_HEADER);
    server.receive(&start_ok(&[], "PLAIN", b"\0guest\0guest"), &mut Vec::new());
    server.accept(&mut Vec::new());
    server
}

fn failure(event: Option<ServerEvent<'_>>) -> (Refusal, Farewell) {
    match event {
        Some(ServerEvent::Failed { refusal, farewell }) => (refusal, farewell),
        other => panic!("{other:?}"),
    }
}

fn close_text(out: &[u8]) -> String {
    let frame = scan(out, 0).unwrap().unwrap();
    match Method::decode(frame.payload(out)) {
        Ok(Method::Connection(Connection::Close(close))) => close.reply_text.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Plays both sides to the end, handing over at most `piece` octets at once.
fn play(wish: Tuning, piece: usize) -> (ServerHandshake, ClientHandshake) {
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let (mut server, mut client) = (server(), ClientHandshake::begin(client(wish), &mut to_server));
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    for _ in 0..10_000 {
        at_server.extend(to_server.drain(..piece.min(to_server.len())));
        let step = server.receive(&at_server, &mut to_client);
        match step.event {
            Some(ServerEvent::Authenticate(Login::Password {
                user: "guest", password: b"secret", ..
            })) => {
                server.accept(&mut to_client);
            }
            Some(ServerEvent::Open { virtual_host: "/prod" }) => server.admit(&mut to_client),
            None => {}
            other => panic!("{other:?}"),
        }
        at_server.drain(..step.consumed);
        at_client.extend(to_client.drain(..piece.min(to_client.len())));
        let step = client.receive(&at_client, &mut to_server);
        if step.event == Some(ClientEvent::Opened) {
            break;
        }
        assert_eq!(step.event, None);
        at_client.drain(..step.consumed);
    }
    (server, client)
}

#[test]
fn both_sides_open_a_connection_with_the_lower_limits() {
    let wish = Tuning { channel_max: 0, frame_max: 8_192, heartbeat_seconds: 600 };
    let (server, client) = play(wish, usize::MAX);
    assert!(server.is_open() && client.is_open());
    let agreed = Tuning { channel_max: 2_047, frame_max: 8_192, heartbeat_seconds: 60 };
    assert_eq!((server.tuning(), client.tuning()), (agreed, agreed));
    assert!(server.peer().capabilities.connection_blocked);
    assert!(!server.peer().capabilities.consumer_cancel_notify);
    assert!(client.peer().capabilities.publisher_confirms);
    let properties = client.peer().properties();
    assert_eq!(properties.find("product").unwrap().as_str(), Some("Weft"));
}

#[test]
fn octet_by_octet_comes_to_the_same() {
    let (server, client) = play(Tuning::default(), 1);
    assert!(server.is_open() && client.is_open());
}

#[test]
fn another_protocol_is_told_which_is_spoken() {
    for header in [b"AMQP\x00\x01\x00\x00", b"GET / HT", b"\x16\x03\x01\x02\x00\x01\x00\x01"] {
        let (mut server, mut out) = (server(), Vec::new());
        let step = server.receive(header, &mut out);
        assert_eq!(step.event, Some(ServerEvent::WrongProtocol(*header)));
        assert_eq!(out, PROTOCOL_HEADER);
    }
    let mut client = ClientHandshake::begin(client(Tuning::default()), &mut Vec::new());
    let answer = client.receive(b"AMQP\x03\x01\x00\x00", &mut Vec::new());
    assert_eq!(answer.event, Some(ClientEvent::WrongProtocol(*b"AMQP\x03\x01\x00\x00")));
}

#[test]
fn a_wrong_login_is_told_to_whom_wants_to_know() {
    for (names, farewell) in
        [(&["authentication_failure_close"][..], Farewell::Told), (&[], Farewell::Silent)]
    {
        let (mut server, mut out) = (server(), Vec::new());
        quiet(&mut server, &PROTOCOL_HEADER);
        server.receive(&start_ok(&capable(names), "PLAIN", b"\0u\0p"), &mut Vec::new());
        assert_eq!(server.deny(&mut out), farewell);
        if farewell == Farewell::Told {
            let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the \
                        broker logfile.";
            assert_eq!(close_text(&out), text);
        } else {
            assert!(out.is_empty());
        }
    }
}

#[test]
fn before_the_login_errors_are_silent() {
    let publish = &mut Vec::new();
    basic::Publish::default().encode(0, publish);
    // A payload may pass the limit by the grace, no further.
    let huge = &[1, 0, 0, 0, 0, 0x20, 1];
    assert_eq!(huge[4..7], (FRAME_MAX_INITIAL + 1).to_be_bytes()[1..]);
    let (unknown, external) = (start_ok(&[], "SCRAM", b""), start_ok(&[], "EXTERNAL", b""));
    let (garbled, early) = (start_ok(&[], "PLAIN", b"guest"), tune_ok(1, 4_096));
    let cases: [(&[u8], &str); 6] = [
        (publish, "CHANNEL_ERROR - unexpected method in connection state starting"),
        (huge, "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}"),
        (&unknown, "COMMAND_INVALID - unknown authentication mechanism 'SCRAM'"),
        (&external, "COMMAND_INVALID - invalid authentication mechanism 'EXTERNAL'"),
        (&garbled, "SYNTAX_ERROR - PLAIN response invalid"),
        (&early, "CHANNEL_ERROR - unexpected method in connection state starting"),
    ];
    for (bytes, text) in cases {
        let (mut server, mut out) = (server(), Vec::new());
        quiet(&mut server, &PROTOCOL_HEADER);
        let (refusal, farewell) = failure(server.receive(bytes, &mut out).event);
        assert_eq!((refusal.text(), farewell, out.len()), (text, Farewell::Silent, 0));
    }
}

#[test]
fn limits_beyond_the_offer_are_refused_with_the_reason() {
    let cases = [
        (2_048, 131_072, "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)"),
        (0, 131_072, "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"),
        (10, 131_073, "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)"),
        (10, 0, "negotiated frame_max = 0 is higher than the maximum allowed value (131072)"),
        (10, 4_095, "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"),
    ];
    for (channel_max, frame_max, text) in cases {
        let (mut server, mut out) = (tuning_server(), Vec::new());
        let (refusal, farewell) = failure(server.receive(&tune_ok(channel_max, frame_max), &mut out).event);
        assert_eq!((close_text(&out), farewell), (format!("NOT_ALLOWED - {text}"), Farewell::Told));
        assert_eq!(refusal.ids(), (10, 30));
    }
}

#[test]
fn a_refused_virtual_host_is_closed_in_order() {
    let (mut server, mut out) = (tuning_server(), Vec::new());
    quiet(&mut server, &tune_ok(10, 8_192));
    let mut bytes = Vec::new();
    connection::Open { virtual_host: "none" }.encode(0, &mut bytes);
    assert_eq!(server.receive(&bytes, &mut out).event, Some(ServerEvent::Open { virtual_host: "none" }));
    let refusal = Refusal::new(ReplyCode::NotAllowed, "vhost none not found");
    assert_eq!(server.refuse(refusal, &mut out), Farewell::Told);
    assert_eq!(close_text(&out), "NOT_ALLOWED - vhost none not found");
    quiet(&mut server, &bytes);
    bytes.clear();
    connection::CloseOk {}.encode(0, &mut bytes);
    assert_eq!(server.receive(&bytes, &mut out).event, Some(ServerEvent::Closed));
}

#[test]
fn a_mechanism_may_ask_once_more() {
    let (mut server, mut out) = (server(), Vec::new());
    quiet(&mut server, &PROTOCOL_HEADER);
    let first = start_ok(&[], "PLAIN", b"\0a\0b");
    assert!(server.receive(&first, &mut out).event.is_some());
    assert_eq!(server.receive(&first, &mut out).consumed, 0, "it waits for the decision");
    server.challenge(b"sure?", &mut out);
    let mut answer = Vec::new();
    connection::SecureOk { response: b"\0c\0d" }.encode(0, &mut answer);
    let login = Login::Password { mechanism: Mechanism::Plain, user: "c", password: b"d" };
    assert_eq!(server.receive(&answer, &mut out).event, Some(ServerEvent::Authenticate(login)));
}

#[test]
fn logins_are_read_in_each_mechanism() {
    let password = |mechanism, user, password| Ok(Login::Password { mechanism, user, password });
    assert_eq!(Mechanism::Plain.login(b"\0u\0p"), password(Mechanism::Plain, "u", &b"p"[..]));
    assert_eq!(Mechanism::Plain.login(b"\0u\0"), password(Mechanism::Plain, "u", &b""[..]));
    assert_eq!(Mechanism::Plain.login(b"admin\0u\0p"), Err(SaslError::Plain), "nobody is somebody else");
    assert_eq!(Mechanism::Plain.login(b"\0u\0p\0"), Err(SaslError::Plain));
    assert_eq!(Mechanism::Plain.login(b"\0\xFF\0p"), Err(SaslError::User));
    let table = amqplain_response("u", "p");
    assert_eq!(Mechanism::AmqPlain.login(&table), password(Mechanism::AmqPlain, "u", &b"p"[..]));
    assert_eq!(Mechanism::AmqPlain.login(&[]), Err(SaslError::Missing));
    assert_eq!(Mechanism::AmqPlain.login(b"guest"), Err(SaslError::NotATable));
    assert_eq!(Mechanism::AmqPlain.login(b"\x05LOGINV\x08PASSWORDV"), Err(SaslError::Type));
    assert!(!format!("{:?}", Mechanism::Plain.login(b"\0u\0hidden")).contains("hidden"));
}

#[test]
fn a_client_is_told_why_it_was_refused() {
    let (mut client, mut bytes, mut out) =
        (ClientHandshake::begin(client(Tuning::default()), &mut Vec::new()), Vec::new(), Vec::new());
    Refusal::new(ReplyCode::ConnectionForced, "over").connection_close().encode(0, &mut bytes);
    let event = client.receive(&bytes, &mut out).event;
    let refused = ClientEvent::Refused { code: 320, text: "CONNECTION_FORCED - over", ids: (0, 0) };
    assert_eq!((event, out.is_empty()), (Some(refused), false));
}

proptest! {
    #[test]
    fn any_bytes_end_or_wait(
        header in any::<bool>(), stage in 0..3, bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut server = if stage == 0 { server() } else { tuning_server() };
        if stage == 2 {
            quiet(&mut server, &tune_ok(3, 4_096));
        }
        let bytes = if header { [&PROTOCOL_HEADER[..], &bytes].concat() } else { bytes };
        let (mut rest, mut out) = (&bytes[..], Vec::new());
        loop {
            let step = server.receive(rest, &mut out);
            rest = &rest[step.consumed..];
            if step.consumed == 0 || step.event.is_some() {
                break;
            }
        }
        prop_assert!(!server.is_open());
    }
}
