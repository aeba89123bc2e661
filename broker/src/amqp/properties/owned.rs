//! Properties of our own: for messages that the broker makes, and for the few changes it makes to others' (an expiration
//! dropped, a header added). What is not changed keeps its bytes.

use crate::amqp::{
    properties::{PropertiesError, PropertiesView, flag},
    table::{encode_table, put_table},
    value::FieldTable,
    wire::{put_long_bytes, put_short_bytes},
};

/// The fourteen properties, owned. Short strings are bytes, as in [`PropertiesView`]; `"text".into()` makes one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties {
    /// A MIME type.
    pub content_type: Option<Vec<u8>>,
    /// A MIME encoding.
    pub content_encoding: Option<Vec<u8>>,
    /// The headers.
    pub headers: Option<FieldTable>,
    /// 2 is persistent, everything else is not.
    pub delivery_mode: Option<u8>,
    /// For priority queues.
    pub priority: Option<u8>,
    /// Of the application's making.
    pub correlation_id: Option<Vec<u8>>,
    /// The queue for the answer.
    pub reply_to: Option<Vec<u8>>,
    /// Milliseconds to live, as digits.
    pub expiration: Option<Vec<u8>>,
    /// Of the application's making.
    pub message_id: Option<Vec<u8>>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// `type`: the application's name for the message's kind.
    pub kind: Option<Vec<u8>>,
    /// The user who published.
    pub user_id: Option<Vec<u8>>,
    /// The application that published.
    pub app_id: Option<Vec<u8>>,
    /// Reserved; passed on.
    pub cluster_id: Option<Vec<u8>>,
}

impl Properties {
    /// Owned ones of a view.
    pub fn of(view: &PropertiesView<'_>) -> Result<Self, PropertiesError> {
        let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Ok(Self {
            content_type: own(view.content_type),
            content_encoding: own(view.content_encoding),
            headers: view.headers.map(|table| table.decode()).transpose()?,
            delivery_mode: view.delivery_mode,
            priority: view.priority,
            correlation_id: own(view.correlation_id),
            reply_to: own(view.reply_to),
            expiration: own(view.expiration),
            message_id: own(view.message_id),
            timestamp: view.timestamp,
            kind: own(view.kind),
            user_id: own(view.user_id),
            app_id: own(view.app_id),
            cluster_id: own(view.cluster_id),
        })
    }

    /// Flags and property list, for a content header's end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(None, &mut out);
        out
    }

    /// Writes them; `headers` are bytes to write in place of the headers' own encoding.
    fn write(&self, headers: Option<&[u8]>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.flags().to_be_bytes());
        put_short(out, self.content_type.as_ref());
        put_short(out, self.content_encoding.as_ref());
        match (&self.headers, headers) {
            (Some(_), Some(bytes)) => put_long_bytes(out, bytes),
            (Some(table), None) => put_table(out, table),
            (None, _) => {}
        }
        out.extend(self.delivery_mode);
        out.extend(self.priority);
        put_short(out, self.correlation_id.as_ref());
        put_short(out, self.reply_to.as_ref());
        put_short(out, self.expiration.as_ref());
        put_short(out, self.message_id.as_ref());
        out.extend(self.timestamp.iter().flat_map(|seconds| seconds.to_be_bytes()));
        put_short(out, self.kind.as_ref());
        put_short(out, self.user_id.as_ref());
        put_short(out, self.app_id.as_ref());
        put_short(out, self.cluster_id.as_ref());
    }

    fn flags(&self) -> u16 {
        [
            (self.content_type.is_some(), flag::CONTENT_TYPE),
            (self.content_encoding.is_some(), flag::CONTENT_ENCODING),
            (self.headers.is_some(), flag::HEADERS),
            (self.delivery_mode.is_some(), flag::DELIVERY_MODE),
            (self.priority.is_some(), flag::PRIORITY),
            (self.correlation_id.is_some(), flag::CORRELATION_ID),
            (self.reply_to.is_some(), flag::REPLY_TO),
            (self.expiration.is_some(), flag::EXPIRATION),
            (self.message_id.is_some(), flag::MESSAGE_ID),
            (self.timestamp.is_some(), flag::TIMESTAMP),
            (self.kind.is_some(), flag::KIND),
            (self.user_id.is_some(), flag::USER_ID),
            (self.app_id.is_some(), flag::APP_ID),
            (self.cluster_id.is_some(), flag::CLUSTER_ID),
        ]
        .into_iter()
        .filter(|(is_there, _)| *is_there)
        .fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// The raw properties after `change`. Headers that `change` leaves alone keep their bytes, whatever they are.
pub fn rewrite(raw: &[u8], change: impl FnOnce(&mut Properties)) -> Result<Vec<u8>, PropertiesError> {
    let view = PropertiesView::parse(raw)?;
    let mut properties = Properties::of(&view)?;
    // Compared as bytes: a number that is no number does not equal itself.
    let headers_before = properties.headers.as_ref().map(encode_table);
    change(&mut properties);
    let untouched = view.headers.filter(|_| properties.headers.as_ref().map(encode_table) == headers_before);
    let mut out = Vec::with_capacity(raw.len());
    properties.write(untouched.map(|table| table.bytes()), &mut out);
    Ok(out)
}

fn put_short(out: &mut Vec<u8>, bytes: Option<&Vec<u8>>) {
    if let Some(bytes) = bytes {
        put_short_bytes(out, bytes);
    }
}
