//! The HTTP/1.1 backend: counts the ends of request heads and sends as many answers. Requests have no bodies.

use std::{pin::Pin, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::wire::message;

/// Room for many heads.
const BUFFER_SIZE: usize = 16 * 1_024;

/// Answers each request with so many bytes.
pub(super) fn backend(
    body_length: usize,
) -> impl Fn(TcpStream) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>> {
    let answer: Rc<[u8]> = message::answer(body_length).into();
    move |io| Box::pin(connection(io, Rc::clone(&answer)))
}

async fn connection(mut io: TcpStream, answer: Rc<[u8]>) -> anyhow::Result<()> {
    let mut bytes = Vec::with_capacity(BUFFER_SIZE);
    loop {
        if io.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let mut answered = 0;
        while let Some(length) = message::request_length(bytes.get(answered..).unwrap_or_default())? {
            answered += length;
            io.write_all(&answer).await?;
        }
        bytes.drain(..answered);
    }
}
