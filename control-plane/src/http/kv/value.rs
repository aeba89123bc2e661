//! A pair as it is stored and as it is shown. Pure.
//!
//! Stored: one byte of format (1), 8 bytes of flags (big-endian), then the value.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Versioned;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 9;

/// Value and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The client's own number.
    pub(super) flags: u64,
    /// The client's bytes.
    pub(super) value: Bytes,
}

impl Pair {
    /// As it is stored.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + self.value.len());
        bytes.put_u8(FORMAT);
        bytes.put_u64(self.flags);
        bytes.put_slice(&self.value);
        bytes.freeze()
    }

    /// From what is stored; `None` if it was not made by [`Pair::encode`].
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let flags: [u8; 8] = bytes.get(1..HEAD_BYTES)?.try_into().ok()?;
        let known = bytes.first() == Some(&FORMAT);
        known.then(|| Self { flags: u64::from_be_bytes(flags), value: bytes.slice(HEAD_BYTES..) })
    }
}

/// A pair as Consul shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PairView {
    /// Always 0: locks belong to sessions, which are not there yet.
    lock_index: u64,
    key: String,
    flags: u64,
    /// Base64; null for an empty value.
    value: Option<String>,
    create_index: u64,
    modify_index: u64,
}

impl PairView {
    /// Of an entry of the store; `None` for one that is no pair.
    pub(super) fn of(key: &str, entry: &Versioned) -> Option<Self> {
        let pair = Pair::decode(&entry.value)?;
        Some(Self {
            lock_index: 0,
            key: key.to_owned(),
            flags: pair.flags,
            value: (!pair.value.is_empty()).then(|| STANDARD.encode(&pair.value)),
            create_index: entry.create_revision,
            modify_index: entry.mod_revision,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pair_survives_the_store(flags: u64, value: Vec<u8>) {
            let pair = Pair { flags, value: value.into() };
            prop_assert_eq!(Pair::decode(&pair.encode()), Some(pair));
        }

        #[test]
        fn foreign_bytes_are_no_pair_and_no_panic(bytes: Vec<u8>) {
            let made = bytes.len() >= HEAD_BYTES && bytes[0] == FORMAT;
            prop_assert_eq!(Pair::decode(&bytes.into()).is_some(), made);
        }
    }
}
