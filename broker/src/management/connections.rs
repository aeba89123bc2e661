//! `/api/connections`, `/api/channels` and `/api/consumers`: who is there. Connections can be closed.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Failure, READ},
    context::{Context, gather, gather_of},
    json::rate,
    login, paging,
    request::Request,
};
use crate::{
    access::json_table,
    server::{VhostHandle, clock::now_ms},
    vhost::{
        Vhost,
        views::{ChannelView, ConnectionView, ConsumerView, Peer},
    },
};

/// What a closed connection reads where nobody gave a reason.
const REASON: &str = "Closed via management plugin";
/// Bytes of a reason at most.
const REASON_BYTES_MAX: usize = 200;
/// The methods of connections that may be closed.
const READ_DELETE: &str = "HEAD, GET, DELETE, OPTIONS";

/// Everything below the three; `path` begins with which.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, path) {
        (&Method::GET, ["connections"]) => connections(context, request, None, None).await,
        (&Method::GET, ["connections", "username", user]) => {
            connections(context, request, None, Some(user)).await
        }
        (&Method::DELETE, ["connections", "username", user]) => close_all(context, request, user).await,
        (&Method::GET, ["connections", name]) => connection(context, request, name).await,
        (&Method::DELETE, ["connections", name]) => close(context, request, name).await,
        (&Method::GET, ["connections", name, "channels"]) => channels_of(context, request, name).await,
        (&Method::GET, ["channels"]) => channels(context, request, None).await,
        (&Method::GET, ["channels", name]) => channel(context, request, name).await,
        (&Method::GET, ["consumers"]) => consumers(context, request, None).await,
        (&Method::GET, ["consumers", vhost]) => consumers(context, request, Some(vhost)).await,
        (&Method::GET, ["stream", "connections" | "publishers" | "consumers", ..]) => {
            paging::list(&request.query, Vec::new).await
        }
        (_, ["connections", "username", _] | ["connections", _]) => Err(Failure::Method(READ_DELETE)),
        (_, ["connections" | "channels" | "consumers"] | [_, _] | [_, _, "channels"]) => {
            Err(Failure::Method(READ))
        }
        _ => Err(Failure::NotFound),
    }
}

/// Who may see a connection: monitors all of them, others their own.
fn may_see(request: &Request, owner: &str) -> bool {
    request.user.may_monitor() || *request.user.name == *owner
}

/// The connections of a virtual host, or of all, of a user, or of all.
pub(super) async fn connections(
    context: &Context,
    request: &Request,
    vhost: Option<&str>,
    user: Option<&str>,
) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let mut found = gather(&vhosts, Vhost::connection_views).await;
    found.retain(|(_, connection)| {
        let owner = &*connection.info.user.name;
        may_see(request, owner) && user.is_none_or(|user| user == owner)
    });
    let node: Arc<str> = context.node().into();
    let render = move || found.iter().map(|(vhost, connection)| show(vhost, connection, &node)).collect();
    paging::list(&request.query, render).await
}

/// A connection, and where it is.
async fn find(
    context: &Context,
    request: &Request,
    name: &str,
) -> Result<(VhostHandle, ConnectionView), Failure> {
    for vhost in context.seen(&request.user) {
        let asked = name.to_owned();
        let Ok(found) = vhost.with(move |vhost| vhost.connection_view(&asked)).await else { continue };
        if let Some(found) = found.filter(|found| may_see(request, &found.info.user.name)) {
            return Ok((vhost, found));
        }
    }
    Err(Failure::NotFound)
}

async fn connection(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    let (vhost, found) = find(context, request, name).await?;
    paging::one(&request.query, &show(vhost.name(), &found, context.node()))
}

fn reason(request: &Request) -> String {
    let mut reason = request.reason.clone().unwrap_or_else(|| REASON.to_owned());
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

async fn close(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    let (vhost, found) = find(context, request, name).await?;
    may_close(request, &found)?;
    let (name, reason) = (name.to_owned(), reason(request));
    let closed = vhost.with(move |vhost| vhost.close_connection(&name, &reason, now_ms())).await?;
    closed.map(|_| Answer::Done).ok_or(Failure::NotFound)
}

/// One's own, or as an administrator any.
fn may_close(request: &Request, connection: &ConnectionView) -> Result<(), Failure> {
    if *connection.info.user.name == *request.user.name {
        Ok(())
    } else {
        login::administrator(&request.user)
    }
}

async fn close_all(context: &Context, request: &Request, user: &str) -> Result<Answer, Failure> {
    if *request.user.name != *user {
        login::administrator(&request.user)?;
    }
    close_all_of(context, user, &reason(request)).await;
    Ok(Answer::Done)
}

/// Closes all connections of a user with these words, in every virtual host.
pub(super) async fn close_all_of(context: &Context, user: &str, reason: &str) {
    let mine = |connection: &ConnectionView| *connection.info.user.name == *user;
    for vhost in context.shared.vhosts() {
        // A virtual host that has ended has no connections.
        let Ok(all) = gather_of(&vhost, Vhost::connection_views).await else { continue };
        let names: Vec<String> = all.into_iter().filter(mine).map(|connection| connection.name).collect();
        let reason = reason.to_owned();
        let close = move |vhost: &mut Vhost| {
            for name in names {
                vhost.close_connection(&name, &reason, now_ms());
            }
        };
        if vhost.with(close).await.is_err() {
            tracing::debug!(vhost = vhost.name(), "ends");
        }
    }
}

async fn channels_of(context: &Context, request: &Request, connection: &str) -> Result<Answer, Failure> {
    let (vhost, _) = find(context, request, connection).await?;
    let asked = connection.to_owned();
    let found = vhost.with(move |vhost| vhost.channel_views_of(&asked)).await?.ok_or(Failure::NotFound)?;
    let node: Arc<str> = context.node().into();
    let name = vhost.name().to_owned();
    let render = move || found.iter().map(|channel| show_channel(&name, channel, &node)).collect();
    paging::list(&request.query, render).await
}

/// The channels of a virtual host, or of all.
pub(super) async fn channels(
    context: &Context,
    request: &Request,
    vhost: Option<&str>,
) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let mut found = gather(&vhosts, Vhost::channel_views).await;
    found.retain(|(_, channel)| may_see(request, &channel.peer.user));
    let node: Arc<str> = context.node().into();
    let render = move || found.iter().map(|(vhost, channel)| show_channel(vhost, channel, &node)).collect();
    paging::list(&request.query, render).await
}

/// A channel by its name: `127.0.0.1:50000 -> 127.0.0.1:5672 (1)`.
async fn channel(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    let parted = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
    let (connection, number) = parted.ok_or(Failure::NotFound)?;
    let number: u16 = number.parse().map_err(|_| Failure::NotFound)?;
    let (vhost, _) = find(context, request, connection).await?;
    let asked = connection.to_owned();
    let found = vhost.with(move |vhost| vhost.channel_views_of(&asked)).await?.unwrap_or_default();
    let found = found.iter().find(|channel| channel.number == number).ok_or(Failure::NotFound)?;
    paging::one(&request.query, &show_channel(vhost.name(), found, context.node()))
}

async fn consumers(context: &Context, request: &Request, vhost: Option<&str>) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let mut found = gather(&vhosts, Vhost::consumer_views).await;
    found.retain(|(_, consumer)| {
        may_see(request, consumer.peer.as_ref().map(|peer| &*peer.user).unwrap_or_default())
    });
    let node: Arc<str> = context.node().into();
    let render =
        move || found.iter().map(|(vhost, consumer)| show_consumer(vhost, consumer, &node)).collect();
    paging::list(&request.query, render).await
}

fn show(vhost: &str, connection: &ConnectionView, node: &str) -> Value {
    let info = &connection.info;
    let properties = json_table::to_json(&info.client_properties);
    let state = match (connection.closing, connection.blocked) {
        (true, _) => "closing",
        (false, true) => "blocked",
        (false, false) => "running",
    };
    let given = properties.get("connection_name").cloned();
    json!({
        "name": connection.name,
        "user_provided_name": given,
        "vhost": vhost,
        "user": &*info.user.name,
        "user_who_performed_action": &*info.user.name,
        "node": node,
        "type": "network",
        "protocol": "AMQP 0-9-1",
        "state": state,
        "connected_at": info.connected_at_ms,
        "host": info.local.ip().to_string(),
        "port": info.local.port(),
        "peer_host": info.peer.ip().to_string(),
        "peer_port": info.peer.port(),
        "ssl": false,
        "auth_mechanism": info.mechanism,
        "channel_max": info.channel_max,
        "frame_max": info.frame_max,
        "timeout": info.heartbeat,
        "client_properties": properties,
        "channels": connection.channels,
        "recv_oct": connection.received_bytes,
        "recv_oct_details": rate(0.0),
        "send_oct": connection.sent_bytes,
        "send_oct_details": rate(0.0),
        "send_pend": connection.waiting_bytes,
    })
}

fn show_channel(vhost: &str, channel: &ChannelView, node: &str) -> Value {
    let [published, confirmed, returned, delivered, acked] = channel.counts;
    json!({
        "name": channel_name(&channel.peer, channel.number),
        "number": channel.number,
        "vhost": vhost,
        "user": channel.peer.user,
        "user_who_performed_action": channel.peer.user,
        "node": node,
        "state": "running",
        "connection_details": peer_details(&channel.peer),
        "confirm": channel.confirms,
        "transactional": channel.transactional,
        "consumer_count": channel.consumers,
        "messages_unacknowledged": channel.unacked,
        "messages_unconfirmed": channel.unconfirmed,
        "messages_uncommitted": channel.uncommitted.0,
        "acks_uncommitted": channel.uncommitted.1,
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.prefetch_global,
        "message_stats": {
            "publish": published,
            "confirm": confirmed,
            "return_unroutable": returned,
            "deliver": delivered,
            "deliver_get": delivered,
            "ack": acked,
        },
    })
}

/// A consumer as RabbitMQ shows it.
pub(super) fn show_consumer(vhost: &str, consumer: &ConsumerView, node: &str) -> Value {
    let details = consumer.peer.as_ref().map_or_else(
        || json!({}),
        |peer| {
            json!({
                "name": channel_name(peer, consumer.channel),
                "number": consumer.channel,
                "user": peer.user,
                "node": node,
                "connection_name": peer.connection,
                "peer_host": peer.address.ip().to_string(),
                "peer_port": peer.address.port(),
            })
        },
    );
    json!({
        "queue": {"name": consumer.queue, "vhost": vhost},
        "consumer_tag": consumer.tag,
        "channel_details": details,
        "ack_required": consumer.acknowledges,
        "exclusive": consumer.exclusive,
        "active": consumer.active,
        "activity_status": if consumer.active { "up" } else { "waiting" },
        "prefetch_count": consumer.prefetch,
        "arguments": json_table::to_json(&consumer.arguments),
        "consumer_timeout": consumer.timeout_ms,
    })
}

fn channel_name(peer: &Peer, number: u16) -> String {
    format!("{} ({number})", peer.connection)
}

fn peer_details(peer: &Peer) -> Value {
    json!({
        "name": peer.connection,
        "peer_host": peer.address.ip().to_string(),
        "peer_port": peer.address.port(),
    })
}
