//! HTTP/2 and gRPC: several streams at a time on each connection. A request that ends is followed by the next
//! one on a new stream; a streaming call follows each message's echo by the next message.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Shared, Work, h1, schedule::Schedule};
use crate::{
    backend::{GRPC_FRAME, SMALL},
    wire::{
        block::{Block, Sent},
        link::{End, Event, Link},
    },
};

/// Room for many frames.
const BUFFER_SIZE: usize = 64 * 1_024;
/// Messages of a streaming call.
const MESSAGES: u32 = 100;
/// A framed gRPC message, in bytes.
const MESSAGE: usize = SMALL + GRPC_FRAME;

/// A connection with its streams.
struct Client<'a> {
    shared: &'a Shared,
    link: Link,
    block: Block,
    sent: Sent,
    stream_next: u32,
    open: Vec<Call>,
}

/// One stream.
struct Call {
    stream: u32,
    due: Option<Instant>,
    /// Body bytes that have come.
    received: usize,
    messages_left: u32,
}

pub(super) async fn connection(shared: &Shared) -> anyhow::Result<()> {
    let mut io = h1::connect(shared).await?;
    let mut client = Client {
        shared,
        link: Link::new(true),
        block: block(shared),
        sent: Sent::default(),
        stream_next: 1,
        open: Vec::new(),
    };
    if shared.schedule.is_none() {
        for _ in 0..shared.args.streams {
            client.start(None);
        }
    }
    client.serve(&mut io).await
}

fn block(shared: &Shared) -> Block {
    let (path, host) = (shared.args.path.as_str(), shared.args.host.as_str());
    if shared.args.work == Work::Http2 {
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", host),
            (":path", path),
            ("user-agent", "weft-bench"),
            ("accept", "*/*"),
        ];
        return Block::new(&fields);
    }
    Block::new(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "weft-bench"),
    ])
}

impl Client<'_> {
    async fn serve(&mut self, io: &mut TcpStream) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(BUFFER_SIZE);
        loop {
            let out = self.link.take_out();
            io.write_all(&out).await?;
            let has_room = self.open.len() < self.shared.args.streams;
            tokio::select! {
                // What is due first: it must not wait behind answers.
                biased;
                due = due(self.shared.schedule.as_ref()), if has_room => self.start(Some(due)),
                read = io.read_buf(&mut bytes) => {
                    anyhow::ensure!(read? > 0, "the proxy closed a connection");
                    let read = self.take(&bytes)?;
                    bytes.drain(..read);
                }
            }
        }
    }

    /// Reads all the frames that are whole; their length.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut read = 0;
        while let Some((length, event)) = self.link.feed(bytes.get(read..).unwrap_or_default())? {
            read += length;
            match event {
                Some(Event::Headers { stream, is_last: true }) => self.end(stream)?,
                Some(Event::Data { stream, length, is_last }) => self.data(stream, length, is_last)?,
                Some(Event::Reset { stream }) => anyhow::bail!("the proxy reset stream {stream}"),
                Some(Event::Headers { is_last: false, .. }) | None => {}
            }
        }
        Ok(read)
    }

    fn start(&mut self, due: Option<Instant>) {
        if !self.shared.tally.may_start() {
            return;
        }
        let stream = self.stream_next;
        self.stream_next += 2;
        let work = self.shared.args.work;
        let block = self.block.next(&mut self.sent, self.link.has_table());
        self.link.put_headers(stream, block, work == Work::Http2);
        match work {
            Work::GrpcUnary => self.link.put_data(stream, MESSAGE, End::Last),
            Work::GrpcStreaming => self.link.put_data(stream, MESSAGE, End::Open),
            Work::Http1 | Work::Http2 | Work::Tcp => {}
        }
        self.open.push(Call { stream, due, received: 0, messages_left: MESSAGES - 1 });
    }

    fn data(&mut self, stream: u32, length: usize, is_last: bool) -> anyhow::Result<()> {
        let is_streaming = self.shared.args.work == Work::GrpcStreaming;
        let call = self.open.iter_mut().find(|call| call.stream == stream);
        let Some(call) = call else { anyhow::bail!("data on stream {stream}, which is not open") };
        call.received += length;
        if is_streaming && call.received == MESSAGE {
            self.shared.tally.done(None);
            call.received = 0;
            match call.messages_left.checked_sub(1) {
                Some(left) => {
                    call.messages_left = left;
                    self.link.put_data(stream, MESSAGE, End::Open);
                }
                None => self.link.put_data(stream, 0, End::Last),
            }
        }
        if is_last { self.end(stream) } else { Ok(()) }
    }

    fn end(&mut self, stream: u32) -> anyhow::Result<()> {
        let place = self.open.iter().position(|call| call.stream == stream);
        let Some(place) = place else { anyhow::bail!("end of stream {stream}, which is not open") };
        let call = self.open.swap_remove(place);
        let expected = match self.shared.args.work {
            Work::GrpcStreaming => 0,
            Work::GrpcUnary => MESSAGE,
            Work::Http1 | Work::Http2 | Work::Tcp => SMALL,
        };
        anyhow::ensure!(call.received == expected, "an answer has {} bytes, not {expected}", call.received);
        if self.shared.args.work != Work::GrpcStreaming {
            self.shared.tally.done(call.due);
        }
        if self.shared.schedule.is_none() {
            self.start(None);
        }
        Ok(())
    }
}

/// The next request of a schedule; never, where there is none.
async fn due(schedule: Option<&Schedule>) -> Instant {
    match schedule {
        Some(schedule) => schedule.next().await,
        None => std::future::pending().await,
    }
}
