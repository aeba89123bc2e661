//! Versions and digests: 64-bit hashes that are the same after a restart, on another control plane and in
//! another release. Changing this algorithm re-sends everything once.

use std::fmt;

/// The hash of a resource's bytes; on the wire 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version(u64);

/// XOR of the hashes of (name, version) over a set of resources: equal for equal sets in any order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(u64);

impl Version {
    /// A version that no bytes have: for text that is not one of ours.
    pub const FOREIGN: Self = Self(0);

    /// Of these bytes; never [`Version::FOREIGN`].
    pub fn of(bytes: &[u8]) -> Self {
        Self(mix(fnv(FNV_OFFSET, bytes)).max(1))
    }

    /// From the wire; what is not 16 hexadecimal digits is [`Version::FOREIGN`], equal to nothing that is
    /// sent, so such a resource is sent again.
    pub fn parse(text: &str) -> Self {
        let ours = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !ours {
            return Self::FOREIGN;
        }
        u64::from_str_radix(text, 16).map_or(Self::FOREIGN, Self)
    }
}

impl Digest {
    /// Adds a resource, or takes it out again.
    pub fn toggle(&mut self, name: &str, version: Version) {
        let hash = fnv(FNV_OFFSET, name.as_bytes());
        self.0 ^= mix(fnv(hash, &version.0.to_be_bytes()));
    }

    /// Of a whole set.
    pub fn of<'a>(resources: impl IntoIterator<Item = (&'a str, Version)>) -> Self {
        let mut digest = Self::default();
        for (name, version) in resources {
            digest.toggle(name, version);
        }
        digest
    }

    /// The set of both; the two have no member in common.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// For the wire.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From the wire.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Parameters of 64-bit FNV-1a (draft-eastlake-fnv).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Spreads FNV's weak high bits, so that XORs of similar names don't cancel out.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}
hexadecimal!(Version);
hexadecimal!(Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_in_every_release() {
        assert_eq!(Version::of(b"").to_string(), "f52a15e9a9b5e89b");
        assert_eq!(Version::of(b"weft").to_string(), "6ae65afecbe8478d");
    }

    #[test]
    fn a_version_survives_its_text_and_foreign_text_equals_nothing() {
        let version = Version::of(b"orders");
        assert_eq!(Version::parse(&version.to_string()), version);
        for text in ["", "1", "xyz", "+23456789abcdef0", "00000000000000001"] {
            assert_eq!(Version::parse(text), Version::FOREIGN, "{text}");
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_order_and_sees_every_change() {
        let (one, two) = (Version::of(b"1"), Version::of(b"2"));
        let digest = Digest::of([("a", one), ("b", two)]);
        assert_eq!(digest, Digest::of([("b", two), ("a", one)]));
        assert_ne!(digest, Digest::of([("a", two), ("b", one)]));
        assert_ne!(digest, Digest::of([("a", one)]));
        assert_eq!(Digest::of([("a", one), ("a", one)]), Digest::default());
    }
}
