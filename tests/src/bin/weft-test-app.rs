//! A plain application without any idea of Weft: answers HTTP/1.1 and HTTP/2 on `PORT` with its instance's
//! name, and notes the key of each request in a journal before it answers, so that a test can tell whether
//! one reached an application twice. `--mode tcp` echoes bytes, `--mode greet` speaks first.

use std::{convert::Infallible, fs::File, io::Write, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen on loopback.
    #[arg(long, env = "PORT")]
    port: u16,
    /// What to answer with.
    #[arg(long, default_value = "app")]
    id: String,
    /// Where to note requests.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Where to write the process id.
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// How long an answer takes.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// http, tcp or greet.
    #[arg(long, default_value = "http")]
    mode: String,
}

struct App {
    arguments: Arguments,
    journal: Option<File>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let journal = match &arguments.journal {
        Some(path) => Some(File::options().create(true).append(true).open(path)?),
        None => None,
    };
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    if let Some(path) = &arguments.pid_file {
        std::fs::write(path, std::process::id().to_string())?;
    }
    let app = Arc::new(App { arguments, journal });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, Arc::clone(&app)));
    }
}

async fn serve(mut stream: TcpStream, app: Arc<App>) -> anyhow::Result<()> {
    match app.arguments.mode.as_str() {
        "tcp" => echo(&mut stream).await,
        "greet" => {
            stream.write_all(format!("220 {} ready\r\n", app.arguments.id).as_bytes()).await?;
            echo(&mut stream).await
        }
        _ => {
            let service = service_fn(move |request| answer(request, Arc::clone(&app)));
            let server = auto::Builder::new(TokioExecutor::new());
            let _client_left = server.serve_connection(TokioIo::new(stream), service).await;
            Ok(())
        }
    }
}

/// Sends everything back; ends its own half only when the client ended its half.
async fn echo(stream: &mut TcpStream) -> anyhow::Result<()> {
    let (mut read, mut write) = stream.split();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = read.read(&mut buffer).await?;
        if count == 0 {
            return Ok(write.shutdown().await?);
        }
        write.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}

async fn answer(request: Request<Incoming>, app: Arc<App>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let health = head.uri.path() == "/health";
    let key = head.headers.get("x-key").and_then(|key| key.to_str().ok()).unwrap_or("-").to_owned();
    let received = body.collect().await.map(|body| body.to_bytes().len()).unwrap_or_default();
    if !health {
        if let Some(mut journal) = app.journal.as_ref() {
            let _disk_full_is_not_tested = journal.write_all(format!("{key}\n").as_bytes());
        }
        if app.arguments.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(app.arguments.delay_ms)).await;
        }
    }
    let text = serde_json::json!({
        "instance": app.arguments.id,
        "path": head.uri.path(),
        "method": head.method.as_str(),
        "bytes": received,
        "version": format!("{:?}", head.version),
        "trace": trace(&head.headers),
    });
    let response = Response::builder()
        .status(StatusCode::OK)
        .header("x-instance", &app.arguments.id)
        .header("content-type", "application/json")
        .body(Full::from(text.to_string()));
    Ok(response.unwrap_or_default())
}

/// What it was sent of traces.
fn trace(headers: &HeaderMap) -> Value {
    let is_told = |name: &str| name.starts_with("trace") || name == "b3" || name.starts_with("x-b3-");
    let told = headers.iter().filter(|(name, _)| is_told(name.as_str()));
    told.map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
        .collect()
}
