//! The HTTP/2 backend: a whole request is answered with a small body, or, as gRPC, what comes is sent back
//! message by message, which serves unary and streaming calls alike.

use std::{pin::Pin, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::SMALL;
use crate::wire::{
    block::{Block, Sent},
    frame,
    link::{End, Event, Link},
};

/// Room for many frames.
const BUFFER_SIZE: usize = 64 * 1_024;

/// What is spoken over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Grpc,
}

/// One connection's side of it.
struct Server {
    kind: Kind,
    link: Link,
    block: Rc<Block>,
    sent: Sent,
}

/// A backend of this kind.
pub(super) fn backend(kind: Kind) -> impl Fn(TcpStream) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>> {
    let block = Rc::new(match kind {
        Kind::Plain => {
            Block::new(&[(":status", "200"), ("content-type", "text/plain"), ("content-length", "128")])
        }
        Kind::Grpc => Block::new(&[(":status", "200"), ("content-type", "application/grpc")]),
    });
    move |io| {
        let server = Server { kind, link: Link::new(false), block: Rc::clone(&block), sent: Sent::default() };
        Box::pin(server.serve(io))
    }
}

impl Server {
    async fn serve(mut self, mut io: TcpStream) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(BUFFER_SIZE);
        let mut preface = [0; frame::PREFACE.len()];
        io.read_exact(&mut preface).await?;
        anyhow::ensure!(preface == frame::PREFACE, "not HTTP/2");
        loop {
            let out = self.link.take_out();
            io.write_all(&out).await?;
            if io.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let mut read = 0;
            while let Some((length, event)) = self.link.feed(bytes.get(read..).unwrap_or_default())? {
                read += length;
                if let Some(event) = event {
                    self.answer(event);
                }
            }
            bytes.drain(..read);
        }
    }

    fn answer(&mut self, event: Event) {
        match (self.kind, event) {
            (Kind::Plain, Event::Headers { stream, is_last: true }) => {
                self.head(stream);
                self.link.put_data(stream, SMALL, End::Last);
            }
            (Kind::Plain, Event::Data { stream, is_last: true, .. }) => {
                self.head(stream);
                self.link.put_data(stream, SMALL, End::Last);
            }
            (Kind::Grpc, Event::Headers { stream, is_last: false }) => self.head(stream),
            (Kind::Grpc, Event::Data { stream, length, is_last }) => {
                self.link.put_data(stream, length, if is_last { End::Trailers } else { End::Open });
            }
            (Kind::Grpc, Event::Headers { stream, is_last: true }) => {
                self.link.put_data(stream, 0, End::Trailers);
            }
            (Kind::Plain, _) | (_, Event::Reset { .. }) => {}
        }
    }

    fn head(&mut self, stream: u32) {
        let block = self.block.next(&mut self.sent, self.link.has_table());
        self.link.put_headers(stream, block, false);
    }
}
