//! Bytes of a connection that is open: frames, one after the other, each applied at once. Messages that stand whole in
//! the buffer go straight to the exchange; others are gathered by their channel.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Vhost,
    channel::{ChannelState, Publishing},
    publish::{Body, Publish},
    refuse::{self, Refusal},
    session::{Session, SessionId, SessionState},
};
use crate::{
    amqp::{
        content::{self, Assembler, Content},
        frame::{FrameKind, RawFrame, scan},
        method::{Basic, Method, basic},
        properties::ContentHeader,
        reply::ReplyCode,
    },
    message::INLINE_BODY_BYTES_MAX,
    queue::Address,
};

impl Vhost {
    /// Takes what a connection has sent: all whole frames go, the rest of the buffer stays. Whether it has to stop before
    /// that, until [`Self::may_take`].
    pub fn receive(&mut self, id: SessionId, buffer: &mut BytesMut, now_ms: u64) -> bool {
        self.set_time(now_ms);
        let before = self.store.appended;
        let mut at = 0;
        let mut stops = false;
        while let Some(frame_max) = self.reads_from(id, &mut stops) {
            match self.frame(id, buffer, at, frame_max) {
                Ok(Some(Step::In(end))) => at = end,
                Ok(Some(Step::Cut)) => at = 0,
                Ok(None) => break,
                Err(refusal) => {
                    // Nothing that follows makes sense any more.
                    self.refuse(Address { session: id, channel: 0 }, &refusal);
                    at = buffer.len();
                }
            }
        }
        buffer.advance(at.min(buffer.len()));
        self.tend_all();
        self.owe(id, self.store.appended - before);
        stops
    }

    /// Whether a connection is listened to: not while it waits for what it asked for, whose answer comes before all others,
    /// nor while so much waits for it that it must read first.
    pub fn may_take(&self, id: SessionId) -> bool {
        self.sessions.one(id).is_some_and(Session::listens)
    }

    /// What a connection has just put into the log counts against its credit until it is written there. Not until it is
    /// safe: what memory hands the log of messages that no restart keeps is never synced.
    fn owe(&mut self, id: SessionId, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let end = self.store.end();
        if let Some(session) = self.sessions.one_mut(id) {
            session.unsynced_bytes = session.unsynced_bytes.saturating_add(bytes);
            self.unsynced.push_back((end, id, bytes));
        }
    }

    /// The limit of frames of a connection that is listened to; `stops` is whether it will be later.
    fn reads_from(&self, id: SessionId, stops: &mut bool) -> Option<u32> {
        let session = self.sessions.one(id)?;
        *stops = !session.listens();
        (!*stops && session.state != SessionState::Closed).then_some(session.info.frame_max)
    }

    fn frame(
        &mut self,
        id: SessionId,
        buffer: &mut BytesMut,
        at: usize,
        frame_max: u32,
    ) -> Result<Option<Step>, Refusal> {
        let rest = buffer.get(at..).unwrap_or_default();
        let Some(frame) = scan(rest, frame_max)? else { return Ok(None) };
        if let Some(session) = self.sessions.one_mut(id) {
            session.received_bytes += frame.end as u64;
        }
        let address = Address { session: id, channel: frame.channel };
        match frame.kind {
            FrameKind::Heartbeat => Ok(Some(Step::In(at + frame.end))),
            FrameKind::Method => {
                let payload = frame.payload(rest);
                let method = Method::decode(payload).map_err(|error| Refusal::undecodable(error, payload))?;
                if let Method::Basic(Basic::Publish(publish)) = &method {
                    let behind = rest.get(frame.end..).unwrap_or_default();
                    let taken = self.begin_publish(address, publish, behind, frame_max)?;
                    return Ok(Some(Step::In(at + frame.end + taken)));
                }
                self.expect_method(address)?;
                if !(method.has_content() && self.begin_unwanted(address, &method)) {
                    self.method(address, &method);
                }
                Ok(Some(Step::In(at + frame.end)))
            }
            FrameKind::Header => {
                self.content_frame(address, &frame, frame.payload(rest), None)?;
                Ok(Some(Step::In(at + frame.end)))
            }
            FrameKind::Body if frame.payload.len() > INLINE_BODY_BYTES_MAX => {
                // A large body keeps the bytes that it was read into.
                buffer.advance(at);
                let held = buffer.split_to(frame.end).freeze();
                let payload = held.slice(frame.payload.clone());
                self.content_frame(address, &frame, &payload, Some(&payload))?;
                Ok(Some(Step::Cut))
            }
            FrameKind::Body => {
                self.content_frame(address, &frame, frame.payload(rest), None)?;
                Ok(Some(Step::In(at + frame.end)))
            }
        }
    }

    /// A publish: done at once if its content stands right behind it; how many bytes that were.
    fn begin_publish(
        &mut self,
        at: Address,
        publish: &basic::Publish<'_>,
        behind: &[u8],
        frame_max: u32,
    ) -> Result<usize, Refusal> {
        self.expect_method(at)?;
        let listens =
            self.sessions.one(at.session).is_some_and(|session| session.state == SessionState::Open);
        let Some(channel) = self.sessions.one(at.session).and_then(|session| session.channel(at.channel))
        else {
            self.method(at, &Method::Basic(Basic::Publish(*publish)));
            return Ok(0);
        };
        if !listens || channel.state != ChannelState::Open {
            // Passed over with the content behind it, of which a client that sees our close may leave something out.
            return Ok(0);
        }
        let limit = u64::try_from(self.limits.message_bytes_max).unwrap_or(u64::MAX);
        if let Some(whole) = content::in_place(behind, at.channel, frame_max, limit)?
            && whole.body.len() <= INLINE_BODY_BYTES_MAX
        {
            let publish = Publish {
                exchange: publish.exchange,
                routing_key: publish.routing_key,
                mandatory: publish.mandatory,
                immediate: publish.immediate,
                properties: whole.properties,
                body: Body::Borrowed(whole.body),
            };
            self.publish_or_refuse(at, &publish);
            return Ok(whole.end);
        }
        let mut assembler = Assembler::new(limit);
        assembler.begin(())?;
        self.note_publisher(at.session);
        if let Some(channel) = self.channel_mut(at) {
            channel.publishing = Some(Box::new(Publishing::begun(publish, assembler)));
        }
        Ok(0)
    }

    /// A method with content that only servers send: it is refused once its content is there, as by RabbitMQ. Whether
    /// there is an open channel to wait on.
    fn begin_unwanted(&mut self, at: Address, method: &Method<'_>) -> bool {
        let limit = u64::try_from(self.limits.message_bytes_max).unwrap_or(u64::MAX);
        let Some(channel) = self.channel_mut(at).filter(|channel| channel.state == ChannelState::Open) else {
            return false;
        };
        let mut assembler = Assembler::new(limit);
        if assembler.begin(()).is_err() {
            return false;
        }
        channel.publishing = Some(Box::new(Publishing {
            ids: method.ids(),
            exchange: "".into(),
            routing_key: "".into(),
            mandatory: false,
            immediate: false,
            assembler,
            gathered: 0,
        }));
        true
    }

    fn publish_or_refuse(&mut self, at: Address, publish: &Publish<'_>) {
        if let Err(refusal) = self.publish(at, publish) {
            self.refuse(at, &refusal.or_by(basic::Publish::IDS));
        }
    }

    /// No content may be on its way when a method comes.
    fn expect_method(&mut self, at: Address) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        match channel.publishing.take() {
            Some(mut publishing) => {
                self.let_go(at.session, publishing.gathered);
                publishing.assembler.expect_method().map_err(|error| Refusal::from(error).by(publishing.ids))
            }
            None => Ok(()),
        }
    }

    /// Whether content of a channel is listened to; an error where none may come at all.
    fn expects_content(&self, at: Address, frame: &RawFrame, payload: &[u8]) -> Result<bool, Refusal> {
        let Some(session) = self.sessions.one(at.session) else { return Ok(false) };
        if session.state != SessionState::Open {
            return Ok(false);
        }
        if frame.kind == FrameKind::Header && ContentHeader::decode(payload).is_none() {
            return Err(Refusal::unknown_frame(frame.kind, payload));
        }
        let Some(channel) = session.channel(at.channel) else {
            return Err(match at.channel {
                0 => Refusal::unexpected_frame(frame.kind, payload),
                _ => Refusal::new(ReplyCode::ChannelError, "expected 'channel.open'"),
            });
        };
        Ok(channel.state == ChannelState::Open)
    }

    /// The connection goes, or the channel alone.
    fn refuse_content(&mut self, at: Address, refusal: Refusal) -> Result<(), Refusal> {
        if refusal.code().is_hard() {
            return Err(refusal);
        }
        self.refuse(at, &refusal);
        Ok(())
    }

    /// A header or a piece of a body; `held` where its bytes may be kept.
    fn content_frame(
        &mut self,
        at: Address,
        frame: &RawFrame,
        payload: &[u8],
        held: Option<&Bytes>,
    ) -> Result<(), Refusal> {
        if !self.expects_content(at, frame, payload)? {
            return Ok(());
        }
        let Some(mut publishing) = self.channel_mut(at).and_then(|channel| channel.publishing.take()) else {
            return Err(Refusal::from(content::ContentError::NoMethod));
        };
        let Publishing { ids, exchange, routing_key, mandatory, immediate, assembler, gathered } =
            &mut *publishing;
        let assembled = match frame.kind {
            FrameKind::Header => assembler.header(payload),
            _ => assembler.body(payload),
        };
        if !matches!(assembled, Ok(None)) {
            self.let_go(at.session, *gathered);
        } else if frame.kind == FrameKind::Body {
            *gathered += payload.len();
            self.keep_hold(at.session, payload.len())?;
        }
        let whole = match assembled {
            Ok(whole) => whole,
            Err(error) => return self.refuse_content(at, Refusal::from(error).by(*ids)),
        };
        if let Some(Content { properties, body, .. }) = whole {
            if *ids != basic::Publish::IDS {
                return Err(refuse::unimplemented().by(*ids));
            }
            let body = Body::of(body, held);
            let publish = Publish {
                exchange,
                routing_key,
                mandatory: *mandatory,
                immediate: *immediate,
                properties,
                body,
            };
            self.publish_or_refuse(at, &publish);
        } else if let Some(channel) = self.channel_mut(at) {
            channel.publishing = Some(publishing);
        }
        Ok(())
    }
}

/// Where reading goes on.
enum Step {
    /// At this place of the same buffer.
    In(usize),
    /// At the beginning of what is left of it.
    Cut,
}
