//! Bytes between sockets, whole and in order, however they are moved; and what each way costs.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream as Blocking},
    ops::Range,
    thread,
    time::Duration,
};

use super::*;

/// A connection: one end for the relay, one for a thread of the test.
fn pair() -> (Blocking, Blocking) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = Blocking::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    near.set_nonblocking(true).unwrap();
    (near, far)
}

fn stream(io: Blocking) -> Stream {
    Stream::new(TcpStream::from_std(io).unwrap())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at / 7 % 251).unwrap_or_default()).collect()
}

#[tokio::test]
async fn much_passes_whole_while_both_sides_are_slow_to_read() {
    let (client, mut client_far) = pair();
    let (upstream, mut upstream_far) = pair();
    let sent = pattern(20_000_000);
    let ends: Vec<_> = [(&mut client_far, 1), (&mut upstream_far, 3)]
        .into_iter()
        .map(|(far, pause)| {
            let (mut writer, mut reader) = (far.try_clone().unwrap(), far.try_clone().unwrap());
            let sent = sent.clone();
            thread::spawn(move || {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            thread::spawn(move || {
                let (mut read, mut piece) = (Vec::new(), vec![0; 300_000]);
                loop {
                    thread::park_timeout(Duration::from_millis(pause));
                    match reader.read(&mut piece).unwrap() {
                        0 => return read,
                        length => read.extend_from_slice(&piece[..length]),
                    }
                }
            })
        })
        .collect();
    let moved = Moved::default();
    assert_eq!(relay(stream(client), stream(upstream), &moved).await, Outcome::Whole);
    assert_eq!((moved.up.get(), moved.down.get()), (20_000_000, 20_000_000));
    for end in ends {
        assert!(end.join().unwrap() == sent);
    }
}

#[tokio::test]
async fn what_was_read_ahead_goes_first() {
    let (client, mut client_far) = pair();
    let (upstream, mut upstream_far) = pair();
    let mut client = stream(client);
    client.give_back(b"first, ");
    client_far.write_all(b"then the rest").unwrap();
    client_far.shutdown(Shutdown::Write).unwrap();
    upstream_far.shutdown(Shutdown::Write).unwrap();
    let outcome = relay(client, stream(upstream), &Moved::default()).await;
    let mut read = String::new();
    upstream_far.read_to_string(&mut read).unwrap();
    assert_eq!((outcome, &*read), (Outcome::Whole, "first, then the rest"));
}

/// One way of moving everything from one socket to another.
#[derive(Debug, Clone, Copy)]
enum Moving {
    /// As before there was anything better: a buffer of 16 KiB.
    Buffered,
    /// Through the scratch only.
    Copied,
    /// As relays do.
    Relayed,
}

/// The relaying thread's own CPU time for `length` bytes.
fn cost(moving: Moving, length: usize) -> Duration {
    let (from, mut source) = pair();
    let (to, mut sink) = pair();
    let writer = thread::spawn(move || {
        let piece = pattern(256 * 1_024);
        for _ in 0..length / piece.len() {
            source.write_all(&piece).unwrap();
        }
    });
    let reader = thread::spawn(move || {
        let mut piece = vec![0; 256 * 1_024];
        while sink.read(&mut piece).unwrap() > 0 {}
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = cpu();
    runtime.block_on(async {
        let (mut from, mut to) = (TcpStream::from_std(from).unwrap(), TcpStream::from_std(to).unwrap());
        let moved = Cell::new(0);
        match moving {
            Moving::Buffered => {
                let mut from = tokio::io::BufReader::with_capacity(16 * 1_024, &mut from);
                tokio::io::copy_buf(&mut from, &mut to).await.map(drop).unwrap();
            }
            Moving::Copied => while copy(&from, &to, &moved).await.unwrap() > 0 {},
            Moving::Relayed => flow(&from, &to, &[], &moved).await.unwrap(),
        }
    });
    let spent = cpu() - before;
    writer.join().unwrap();
    reader.join().unwrap();
    spent
}

/// What this thread has run so far.
fn cpu() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(line.split(' ').next().unwrap().parse().unwrap())
}

/// Rounds of which the least disturbed counts: what one costs depends on where the scheduler puts its three threads.
const ROUNDS: Range<usize> = 5..15;

#[test]
fn heavy_bulk_costs_less_through_a_pipe_than_through_the_scratch() {
    let length = 1 << 30;
    let least = |least: &mut Duration, moving| *least = cost(moving, length).min(*least);
    let [mut buffered, mut copied, mut relayed] = [Duration::MAX; 3];
    for round in 0..ROUNDS.end {
        least(&mut buffered, Moving::Buffered);
        least(&mut copied, Moving::Copied);
        least(&mut relayed, Moving::Relayed);
        if round >= ROUNDS.start && relayed < copied {
            break;
        }
    }
    // What fits a cache is copied for little, so the small buffer may be cheaper where both cores share one.
    println!("cpu a GiB at least: 16 KiB buffer {buffered:?}, scratch {copied:?}, relay {relayed:?}");
    assert!(relayed < copied, "the pipe costs more than the scratch");
}
