//! A virtual host with clients whose bytes are made and read here.

use bytes::BytesMut;

use super::disk::OnDisk;
use crate::{
    access::Access,
    amqp::{
        frame::{FrameKind, scan, write_body},
        method::{Basic, Method, basic, channel, confirm, delivery::write_header, exchange, queue, tx},
        properties::{ContentHeader, Properties, PropertiesView},
        table::{RawTable, encode_table},
        value::{FieldTable, FieldValue},
    },
    log::{checkpoint::CheckpointWriter, tests::sim_disk::SimDisk},
    vhost::{Load, SessionId, SessionInfo, UserChannels, Vhost, VhostLimits},
};

/// Frames of the tests are small, so that bodies are split.
const FRAME_MAX: u32 = 4096;
/// Under which name the consumer of a delivery stands among its headers.
pub(super) const CONSUMER_TAG: &str = "consumer-tag";
/// The time at which worlds begin.
pub(super) const START_MS: u64 = 1_000_000;

/// Segments of the tests.
const SEGMENT_BYTES: u32 = 1 << 20;

/// A virtual host, the time, and the hands of its log.
pub(super) struct World {
    pub(super) vhost: Vhost,
    pub(super) now_ms: u64,
    /// What is to be read from the log.
    pub(super) loads: Vec<Load>,
    /// Whether the last group was written past the cache.
    pub(super) past_cache: bool,
    on: Option<OnDisk>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(&SimDisk::new(1), VhostLimits::default(), START_MS)
    }

    fn on(disk: &SimDisk, limits: VhostLimits, now_ms: u64) -> Self {
        let (vhost, on) = OnDisk::open(disk, SEGMENT_BYTES, limits, now_ms).expect("the log opens");
        Self { on: Some(on), ..Self::around(vhost, now_ms) }
    }

    /// A virtual host that somebody else has opened, and whose log is somebody else's.
    pub(super) fn around(vhost: Vhost, now_ms: u64) -> Self {
        Self { vhost, now_ms, loads: Vec::new(), past_cache: false, on: None }
    }

    /// Ends a turn.
    pub(super) fn turn(&mut self) {
        let end = self.vhost.end_turn();
        self.loads.extend(end.loads);
    }

    /// A connection with channel 1 open.
    pub(super) fn client(&mut self) -> Client {
        let access = Access::initial([1, 2, 3, 4]);
        let capabilities = ["consumer_cancel_notify", "connection.blocked"];
        let capabilities =
            capabilities.map(|name| (name.to_owned(), FieldValue::Bool(true))).into_iter().collect();
        let mut client_properties = FieldTable::new();
        client_properties.push("capabilities".to_owned(), FieldValue::Table(capabilities));
        let info = SessionInfo {
            user: access.user("guest").expect("guest is there").clone(),
            user_channels: UserChannels::default(),
            peer: "127.0.0.1:40000".parse().expect("an address"),
            local: "127.0.0.1:5672".parse().expect("an address"),
            frame_max: FRAME_MAX,
            channel_max: 2047,
            heartbeat: 0,
            mechanism: "PLAIN".to_owned(),
            client_properties,
            connected_at_ms: self.now_ms,
        };
        let id = self.vhost.enter(info, self.now_ms);
        let mut client = Client { id, out: Vec::new() };
        client.open_channel(self, 1);
        client
    }

    /// Time passes.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.vhost.tick(self.now_ms);
        self.turn();
    }

    /// The log's hands: whatever waits is written and safe.
    pub(super) fn sync(&mut self) {
        while let Some(group) = self.vhost.take_group(self.now_ms) {
            let on = self.on.as_mut().expect("the log is here");
            self.past_cache = group.past_cache;
            let completed = on.writer.run(&group).expect("the disk takes it");
            self.vhost.completed(completed, self.now_ms);
            self.turn();
        }
    }

    /// Reads what was asked for.
    pub(super) fn read(&mut self) {
        self.turn();
        while let Some(load) = self.loads.pop() {
            let on = self.on.as_mut().expect("the log is here");
            on.read(&mut self.vhost, &load, self.now_ms);
            self.turn();
        }
    }

    /// What waits in a queue.
    pub(super) fn ready(&self, name: &str) -> Option<u64> {
        let id = self.vhost.topology.queues().find(name)?;
        Some(self.vhost.queues.one(id)?.ready())
    }

    /// The process is killed after all that it did was written, and started again.
    pub(super) fn crash(mut self) -> Self {
        self.vhost.store.request_sync();
        self.sync();
        let on = self.on.take().expect("the log is here");
        on.disk.kill();
        Self::on(&on.disk, self.vhost.limits, self.now_ms)
    }

    /// What would wait in a queue if it were killed now and started again.
    pub(super) fn crash_and_look(&mut self, name: &str) -> Option<u64> {
        self.vhost.store.request_sync();
        self.sync();
        let disk = self.on.as_ref().expect("the log is here").disk.fork();
        Self::on(&disk, self.vhost.limits, self.now_ms).ready(name)
    }

    /// The same after a checkpoint.
    pub(super) fn restart(mut self) -> Self {
        self.vhost.store.request_sync();
        self.sync();
        let checkpoint = self.vhost.checkpoint().expect("no chain is open");
        let on = self.on.as_mut().expect("the log is here");
        let mut writer = CheckpointWriter::new(on.log, checkpoint);
        while !writer.step(on.writer.disk()).expect("the disk takes it") {}
        writer.finish(on.writer.disk()).expect("the disk takes it");
        self.crash()
    }
}

/// What came for a client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Got {
    /// A method, by its name.
    Method(&'static str),
    /// A delivery: tag, redelivered, body.
    Delivery(u64, bool, String),
    /// `basic.get-ok`: tag, body.
    GetOk(u64, String),
    /// `basic.return`: the body.
    Returned(String),
    /// `basic.ack` as a confirm: tag, multiple.
    Ack(u64, bool),
    /// `basic.nack` as a confirm.
    Nack(u64),
    /// `channel.close`, `connection.close`: the text.
    Closed(String),
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: SessionId,
    out: Vec<u8>,
}

impl Client {
    /// Hands over what was written, and takes what came.
    pub(super) fn go(&mut self, world: &mut World) -> Vec<Got> {
        self.go_whole(world).into_iter().map(|(got, _)| got).collect()
    }

    /// The same, with the headers of messages.
    pub(super) fn go_whole(&mut self, world: &mut World) -> Vec<(Got, FieldTable)> {
        let mut buffer = BytesMut::from(&self.out[..]);
        self.out.clear();
        world.vhost.receive(self.id, &mut buffer, world.now_ms);
        assert!(buffer.is_empty(), "whole frames are taken in");
        world.turn();
        self.messages(world)
    }

    /// What has come.
    pub(super) fn got(&mut self, world: &mut World) -> Vec<Got> {
        self.messages(world).into_iter().map(|(got, _)| got).collect()
    }

    /// What has come, with the headers of messages.
    pub(super) fn messages(&mut self, world: &mut World) -> Vec<(Got, FieldTable)> {
        world.turn();
        let mut bytes = Vec::new();
        while let Some(outbox) = world.vhost.outbox(self.id).filter(|outbox| !outbox.is_empty()) {
            let mut slices = [std::io::IoSlice::new(&[]); 16];
            let filled = outbox.slices(&mut slices);
            let chunk: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            bytes.extend_from_slice(&chunk);
            world.vhost.written(self.id, chunk.len());
            world.turn();
        }
        read(&bytes)
    }

    pub(super) fn open_channel(&mut self, world: &mut World, number: u16) {
        channel::Open {}.encode(number, &mut self.out);
        assert!(self.go(world).contains(&Got::Method("channel.open_ok")));
    }

    pub(super) fn send(&mut self, method: &Method<'_>) -> &mut Self {
        method.encode(1, &mut self.out);
        self
    }

    pub(super) fn declare(&mut self, name: &str, arguments: &[(&str, FieldValue)]) -> &mut Self {
        let table = encode_table(
            &arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        );
        let declare = queue::Declare {
            queue: name,
            durable: true,
            arguments: RawTable::new(&table),
            ..Default::default()
        };
        declare.encode(1, &mut self.out);
        self
    }

    pub(super) fn declare_exchange(
        &mut self,
        name: &str,
        kind: &str,
        arguments: &[(&str, FieldValue)],
    ) -> &mut Self {
        let table = encode_table(
            &arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        );
        let arguments = RawTable::new(&table);
        exchange::Declare { exchange: name, kind, durable: true, arguments, ..Default::default() }
            .encode(1, &mut self.out);
        self
    }

    pub(super) fn bind(&mut self, queue: &str, exchange: &str, routing_key: &str) -> &mut Self {
        queue::Bind { queue, exchange, routing_key, ..Default::default() }.encode(1, &mut self.out);
        self
    }

    pub(super) fn publish(&mut self, exchange: &str, routing_key: &str, body: &str) -> &mut Self {
        let properties = Properties { delivery_mode: Some(2), ..Default::default() };
        self.publish_with(basic::Publish { exchange, routing_key, ..Default::default() }, &properties, body)
    }

    pub(super) fn publish_with(
        &mut self,
        publish: basic::Publish<'_>,
        properties: &Properties,
        body: &str,
    ) -> &mut Self {
        publish.encode(1, &mut self.out);
        write_header(1, &properties.encode(), body.len(), &mut self.out);
        write_body(1, body.as_bytes(), FRAME_MAX, &mut self.out);
        self
    }

    /// Begins a publish whose end does not come.
    pub(super) fn begin_publish(&mut self, channel: u16, size: usize, sent: usize) -> &mut Self {
        basic::Publish { routing_key: "nowhere", ..Default::default() }.encode(channel, &mut self.out);
        write_header(channel, &Properties::default().encode(), size, &mut self.out);
        write_body(channel, &vec![0; sent], FRAME_MAX, &mut self.out);
        self
    }

    pub(super) fn consume(&mut self, queue: &str, prefetch: u16) -> &mut Self {
        basic::Qos { prefetch_count: prefetch, ..Default::default() }.encode(1, &mut self.out);
        basic::Consume { queue, ..Default::default() }.encode(1, &mut self.out);
        self
    }

    /// A reader of a stream from an offset on.
    pub(super) fn follow(&mut self, queue: &str, offset: FieldValue) -> &mut Self {
        let table = encode_table(&[("x-stream-offset".to_owned(), offset)].into_iter().collect());
        basic::Qos { prefetch_count: 10, ..Default::default() }.encode(1, &mut self.out);
        basic::Consume { queue, arguments: RawTable::new(&table), ..Default::default() }
            .encode(1, &mut self.out);
        self
    }

    /// A consumer with a name, and a prefetch of its own.
    pub(super) fn consume_as(&mut self, queue: &str, consumer_tag: &str, prefetch: u16) -> &mut Self {
        basic::Qos { prefetch_count: prefetch, ..Default::default() }.encode(1, &mut self.out);
        basic::Consume { queue, consumer_tag, ..Default::default() }.encode(1, &mut self.out);
        self
    }

    pub(super) fn cancel(&mut self, consumer_tag: &str) -> &mut Self {
        basic::Cancel { consumer_tag, no_wait: true }.encode(1, &mut self.out);
        self
    }

    pub(super) fn get(&mut self, queue: &str) -> &mut Self {
        basic::Get { queue, no_ack: false }.encode(1, &mut self.out);
        self
    }

    pub(super) fn ack(&mut self, delivery_tag: u64, multiple: bool) -> &mut Self {
        basic::Ack { delivery_tag, multiple }.encode(1, &mut self.out);
        self
    }

    pub(super) fn nack(&mut self, delivery_tag: u64, requeue: bool) -> &mut Self {
        basic::Nack { delivery_tag, multiple: false, requeue }.encode(1, &mut self.out);
        self
    }

    pub(super) fn confirm(&mut self) -> &mut Self {
        confirm::Select { no_wait: true }.encode(1, &mut self.out);
        self
    }

    pub(super) fn select_tx(&mut self) -> &mut Self {
        self.send(&Method::Tx(tx::Tx::Select(tx::Select {})))
    }

    /// The connection breaks.
    pub(super) fn vanish(self, world: &mut World) {
        world.vhost.leave(self.id, world.now_ms);
        world.turn();
    }
}

/// Only the deliveries, as (body, redelivered).
pub(super) fn deliveries(got: &[Got]) -> Vec<(&str, bool)> {
    got.iter()
        .filter_map(|got| match got {
            Got::Delivery(_, redelivered, body) => Some((body.as_str(), *redelivered)),
            _ => None,
        })
        .collect()
}

fn read(mut bytes: &[u8]) -> Vec<(Got, FieldTable)> {
    let mut all = Vec::new();
    let mut content: Option<(Basic<'_>, u64, FieldTable, Vec<u8>)> = None;
    while let Some(frame) = scan(bytes, FRAME_MAX).expect("frames are whole") {
        let payload = frame.payload(bytes);
        bytes = &bytes[frame.end..];
        match frame.kind {
            FrameKind::Method => {
                let method = Method::decode(payload).expect("a method");
                match method {
                    Method::Basic(basic) if method.has_content() => {
                        content = Some((basic, 0, FieldTable::new(), Vec::new()));
                    }
                    other => all.push((plain(&other), FieldTable::new())),
                }
            }
            FrameKind::Header => {
                let header = ContentHeader::decode(payload).expect("a content header");
                let view = PropertiesView::parse(header.properties).expect("properties");
                let headers = view.headers.map(|raw| raw.decode().expect("headers")).unwrap_or_default();
                let (_, size, kept, _) = content.as_mut().expect("a method came before");
                (*size, *kept) = (header.body_size, headers);
            }
            FrameKind::Body => content.as_mut().expect("a header came before").3.extend_from_slice(payload),
            FrameKind::Heartbeat => {}
        }
        if frame.kind != FrameKind::Method
            && let Some((basic, _, mut headers, body)) =
                content.take_if(|(_, size, _, body)| *size == body.len() as u64)
        {
            let body = String::from_utf8(body).expect("text");
            let got = match basic {
                Basic::Deliver(deliver) => {
                    headers.set(CONSUMER_TAG, FieldValue::text(deliver.consumer_tag));
                    Got::Delivery(deliver.delivery_tag, deliver.redelivered, body)
                }
                Basic::GetOk(got) => Got::GetOk(got.delivery_tag, body),
                _ => Got::Returned(body),
            };
            all.push((got, headers));
        }
    }
    all
}

fn plain(method: &Method<'_>) -> Got {
    match method {
        Method::Basic(Basic::Ack(ack)) => Got::Ack(ack.delivery_tag, ack.multiple),
        Method::Basic(Basic::Nack(nack)) => Got::Nack(nack.delivery_tag),
        Method::Channel(channel::Channel::Close(close)) => Got::Closed(close.reply_text.to_owned()),
        Method::Connection(crate::amqp::method::connection::Connection::Close(close)) => {
            Got::Closed(close.reply_text.to_owned())
        }
        other => Got::Method(other.name()),
    }
}
