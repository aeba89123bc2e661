//! How entries, leases and the store's own record look in sled. Knows bytes only: no file, no tree.
//!
//! ```text
//!  key                               value
//!  e <record, u64> <chunk, u16>      a chunk of: checksum, create, mod, lease, key length, key, value
//!  l <lease, u64>                    checksum, time in milliseconds
//!  m                                 checksum, revision, fingerprint, store id
//! ```
//! Integers in keys are big-endian, so that sled's order is theirs; in values little-endian.
//!
//! An entry has a record number instead of its name as sled's key, and is cut into small chunks, because sled puts a
//! page of over 128 KiB into a file of its own (`blobs/`), which it never syncs. A leaf has at most 17 keys, 20 for a
//! moment when two are merged, so with chunks of 4 KiB none comes near; an index page has 257 keys of 11 bytes.
//!
//! The fingerprint is the sum over all entries and leases. sled skips what it cannot read when it recovers; the
//! fingerprint tells when something is missing or is an older version of itself.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::store::{LeaseId, Revision, Versioned};

/// Bytes a chunk, at most.
pub(super) const CHUNK_BYTES: usize = 4_096;
/// sled's key of [`Meta`].
pub(super) const META_KEY: &[u8] = b"m";

const ENTRY_TAG: u8 = b'e';
const LEASE_TAG: u8 = b'l';

/// What one key of sled stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordKey {
    Chunk { record: u64, chunk: u16 },
    Lease(LeaseId),
    Meta,
}

/// The store's own record, written with every group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) revision: Revision,
    pub(super) fingerprint: u64,
    pub(super) id: String,
}

/// A checksum that did not hold or a length that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not as it was written")]
pub(super) struct BadRecord {
    what: &'static str,
}

impl RecordKey {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Chunk { record, chunk } => {
                [&[ENTRY_TAG], &record.to_be_bytes()[..], &chunk.to_be_bytes()].concat()
            }
            Self::Lease(lease) => [&[LEASE_TAG], &lease.to_be_bytes()[..]].concat(),
            Self::Meta => META_KEY.to_vec(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader { bytes, what: "a key" };
        match reader.array::<1>()? {
            [ENTRY_TAG] => {
                let record = u64::from_be_bytes(reader.array()?);
                Ok(Self::Chunk { record, chunk: u16::from_be_bytes(reader.array()?) })
            }
            [LEASE_TAG] => Ok(Self::Lease(u64::from_be_bytes(reader.array()?))),
            _ if bytes == META_KEY => Ok(Self::Meta),
            _ => Err(BadRecord { what: reader.what }),
        }
    }
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let fields = [&self.revision.to_le_bytes()[..], &self.fingerprint.to_le_bytes(), self.id.as_bytes()];
        seal(&fields)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = unseal(bytes, "the store's own record")?;
        let (revision, fingerprint) = (reader.u64()?, reader.u64()?);
        Ok(Self { revision, fingerprint, id: reader.text(reader.bytes.len())?.to_owned() })
    }
}

/// The bytes of an entry, to be cut into chunks.
pub(super) fn encode_entry(entry: &Versioned) -> Vec<u8> {
    // Keys have at most 2,048 bytes.
    let key_length = u16::try_from(entry.key.len()).unwrap_or(u16::MAX);
    seal(&[
        &entry.create_revision.to_le_bytes()[..],
        &entry.mod_revision.to_le_bytes(),
        &entry.lease.unwrap_or(0).to_le_bytes(),
        &key_length.to_le_bytes(),
        entry.key.as_bytes(),
        &entry.value,
    ])
}

/// The entry whose chunks, joined, are `bytes`.
pub(super) fn decode_entry(bytes: &[u8]) -> Result<Versioned, BadRecord> {
    let mut reader = unseal(bytes, "an entry")?;
    let (create_revision, mod_revision, lease) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let key_length = usize::from(u16::from_le_bytes(reader.array()?));
    let key: Arc<str> = reader.text(key_length)?.into();
    let value = Bytes::copy_from_slice(reader.bytes);
    Ok(Versioned { key, value, create_revision, mod_revision, lease: (lease != 0).then_some(lease) })
}

/// The bytes of a lease; its number is in the checksum, so that two cannot change places.
pub(super) fn encode_lease(lease: LeaseId, ttl: Duration) -> Vec<u8> {
    // At most a day.
    let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    seal(&[&lease.to_le_bytes()[..], &milliseconds.to_le_bytes()])
}

/// The time of the lease that stands under this number.
pub(super) fn decode_lease(lease: LeaseId, bytes: &[u8]) -> Result<Duration, BadRecord> {
    let mut reader = unseal(bytes, "a lease")?;
    if reader.u64()? != lease {
        return Err(BadRecord { what: reader.what });
    }
    Ok(Duration::from_millis(reader.u64()?))
}

/// What a sealed record adds to the store's fingerprint.
pub(super) fn fingerprint(sealed: &[u8]) -> u64 {
    // The checksum spread over 64 bits (the finalizer of splitmix64), so that sums don't cancel out.
    let seed = (u64::from(crc32fast::hash(sealed)) << 32) ^ sealed.len() as u64;
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The fields after their checksum.
pub(super) fn seal(fields: &[&[u8]]) -> Vec<u8> {
    let mut sealed = vec![0; 4];
    fields.iter().for_each(|field| sealed.extend_from_slice(field));
    let (checksum, body) = sealed.split_at_mut(4);
    checksum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    sealed
}

/// Reads what [`seal`] wrote, if the checksum holds.
pub(super) fn unseal<'a>(sealed: &'a [u8], what: &'static str) -> Result<Reader<'a>, BadRecord> {
    let mut reader = Reader { bytes: sealed, what };
    let checksum = u32::from_le_bytes(reader.array()?);
    if checksum == crc32fast::hash(reader.bytes) { Ok(reader) } else { Err(BadRecord { what }) }
}

/// Takes fields off the front.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn u64(&mut self) -> Result<u64, BadRecord> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(BadRecord { what: self.what })?;
        self.bytes = rest;
        Ok(*array)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, BadRecord> {
        let bad = BadRecord { what: self.what };
        let Some((text, rest)) = self.bytes.split_at_checked(length) else { return Err(bad) };
        self.bytes = rest;
        std::str::from_utf8(text).map_err(|_| bad)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str, value: Vec<u8>, revisions: (u64, u64), lease: Option<u64>) -> Versioned {
        let (create_revision, mod_revision) = revisions;
        Versioned { key: key.into(), value: value.into(), create_revision, mod_revision, lease }
    }

    proptest! {
        #[test]
        fn entries_come_back(
            key in ".{0,40}",
            value in prop::collection::vec(any::<u8>(), 0..100),
            revisions in any::<(u64, u64)>(),
            lease in prop::option::of(1..u64::MAX),
        ) {
            let entry = entry(&key, value, revisions, lease);
            prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
        }

        #[test]
        fn any_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encode_entry(&entry("/weft/1/a", vec![1, 2, 3], (4, 5), Some(6)));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode_entry(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (decode_entry(&bytes), decode_lease(1, &bytes), Meta::decode(&bytes), RecordKey::decode(&bytes));
        }
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        let chunk = |record, chunk| RecordKey::Chunk { record, chunk };
        let keys =
            [chunk(1, 0), chunk(1, 255), chunk(1, 256), chunk(256, 0), RecordKey::Lease(1), RecordKey::Meta];
        let encoded: Vec<_> = keys.iter().map(RecordKey::encode).collect();
        assert!(encoded.is_sorted());
        for (key, bytes) in keys.iter().zip(&encoded) {
            assert_eq!(RecordKey::decode(bytes).as_ref(), Ok(key));
        }
    }

    #[test]
    fn meta_and_leases_come_back() {
        let meta = Meta { revision: 7, fingerprint: 9, id: "an id".to_owned() };
        assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
        let bytes = encode_lease(3, Duration::from_millis(1_500));
        assert_eq!(decode_lease(3, &bytes), Ok(Duration::from_millis(1_500)));
        assert!(decode_lease(4, &bytes).is_err(), "a lease under another's number");
    }
}
