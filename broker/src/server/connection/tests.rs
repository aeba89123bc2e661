//! One connection on a thread of its own, with a client that misbehaves. Time passes when all wait.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::{Arc, mpsc::sync_channel},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::LocalSet,
    time::timeout,
};

use super::{CLOSE_TIMEOUT, serve};
use crate::{
    access::Access,
    amqp::{method::connection, value::FieldTable},
    log::{
        appender::{Appender, Options},
        identity::LogId,
        position::Position,
        state::State,
    },
    server::{
        Alarms,
        counts::Counts,
        host::{Arrival, Ended, Host},
        shared::Standing,
    },
    vhost::{SessionInfo, UserChannels, Vhost, VhostLimits},
};

/// More than sockets hold, and not so much that nothing is read.
const MUCH: usize = 16 * 1024 * 1024;

fn host() -> Rc<Host> {
    let log = LogId::from_bytes([7; 16]);
    let appender = Appender::new(log, 1, Position::NONE, 1, Options::default());
    let access = Arc::new(Access::initial([1, 2, 3, 4]));
    let vhost = Vhost::recover("/", State::default(), appender, access, VhostLimits::default(), 1);
    let (jobs, reads) = (sync_channel(1).0, sync_channel(1).0);
    Host::new(vhost.expect("it is built"), log, jobs, reads)
}

/// A client's end of a connection, and ours.
fn arrival() -> (TcpStream, Arrival) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (socket, peer) = listener.accept().expect("a client comes");
    socket.set_nonblocking(true).expect("a socket");
    let info = SessionInfo {
        user: Access::initial([1, 2, 3, 4]).user("guest").expect("guest is there").clone(),
        user_channels: UserChannels::default(),
        peer,
        local: SocketAddr::from(([127, 0, 0, 1], 5672)),
        frame_max: 4096,
        channel_max: 10,
        heartbeat: 1,
        mechanism: "PLAIN".to_owned(),
        client_properties: FieldTable::new(),
        connected_at_ms: 1,
    };
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("there is room");
    let counted = Arc::new(Counts::default()).count("guest", "/");
    (client, Arrival { socket, buffer: BytesMut::new(), info, counted, permit })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_goodbye_and_never_reads_is_let_go_of() {
    let (mut client, arrival) = arrival();
    let local = LocalSet::new();
    let ended = local.run_until(async {
        let host = host();
        let serving = tokio::task::spawn_local(serve(Rc::clone(&host), arrival));
        tokio::task::yield_now().await;
        let [id] = host.vhost().session_ids()[..] else { panic!("it has entered") };
        host.vhost().outbox(id).expect("it is there").buffer().resize(MUCH, 0);
        let mut goodbye = Vec::new();
        let close = connection::Close { reply_code: 200, reply_text: "", class_id: 0, method_id: 0 };
        close.encode(0, &mut goodbye);
        client.write_all(&goodbye).expect("the broker reads");
        timeout(2 * CLOSE_TIMEOUT + Duration::from_secs(1), serving).await
    });
    assert!(ended.await.is_ok(), "it is still served");
}

#[tokio::test(start_paused = true)]
async fn a_virtual_host_ends_with_a_task_that_panics() {
    let access = Arc::new(Access::initial([1, 2, 3, 4]));
    let (_say, mut standing) = watch::channel(Standing { access, alarms: Alarms::default() });
    let (_order, mut orders) = mpsc::channel(1);
    let local = LocalSet::new();
    let ended = local.run_until(async {
        let host = host();
        host.spawn(async { panic!("as it should") });
        timeout(Duration::from_secs(1), host.obey(&mut orders, &mut standing)).await
    });
    assert_eq!(ended.await, Ok(Ended::Broken));
}
