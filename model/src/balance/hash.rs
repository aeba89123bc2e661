//! The hash behind the ring and Maglev's table: XXH64 (xxHash specification 0.1.1), which is the same in every
//! process and release, so that two sidecars send one key to one endpoint. Not for anything an attacker may
//! choose to collide: keys that collide only land on one endpoint.

use std::iter;

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// The hash of `bytes`.
pub fn stable(bytes: &[u8]) -> u64 {
    seeded(bytes, 0)
}

/// One of many hashes of `bytes`.
pub(super) fn seeded(bytes: &[u8], seed: u64) -> u64 {
    let (stripes, tail) = bytes.as_chunks::<32>();
    let start = if stripes.is_empty() { seed.wrapping_add(PRIME_5) } else { converge(stripes, seed) };
    let mut hash = start.wrapping_add(bytes.len() as u64);
    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        let mixed = round(0, u64::from_le_bytes(*word));
        hash = (hash ^ mixed).rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
    }
    let (halves, tail) = tail.as_chunks::<4>();
    for half in halves {
        let mixed = u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIME_1);
        hash = (hash ^ mixed).rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
    }
    for byte in tail {
        let mixed = u64::from(*byte).wrapping_mul(PRIME_5);
        hash = (hash ^ mixed).rotate_left(11).wrapping_mul(PRIME_1);
    }
    avalanche(hash)
}

/// Another hash, out of two.
pub(super) fn combine(one: u64, other: u64) -> u64 {
    avalanche(round(one, other))
}

/// The hash as a share: at least 0, below 1.
pub(super) fn share(hash: u64) -> f64 {
    f64::from(u32::try_from(hash >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
}

fn converge(stripes: &[[u8; 32]], seed: u64) -> u64 {
    let mut lanes = [
        seed.wrapping_add(PRIME_1).wrapping_add(PRIME_2),
        seed.wrapping_add(PRIME_2),
        seed,
        seed.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let sum = iter::zip(lanes, [1, 7, 12, 18])
        .fold(0_u64, |sum, (lane, turn)| sum.wrapping_add(lane.rotate_left(turn)));
    lanes.iter().fold(sum, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4))
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

fn avalanche(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation (`xxhsum`), so that every length class is held.
    #[test]
    fn it_is_xxh64() {
        assert_eq!(stable(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(stable(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(stable(b"abc"), 0x44BC_2CF5_AD77_0999);
        assert_eq!(
            stable(b"Nobody inspects the spammish repetition"),
            0xFBCE_A83C_8A37_8BF1,
            "over 32 bytes"
        );
    }

    #[test]
    fn a_share_is_below_one() {
        assert_eq!(share(0), 0.0);
        assert!(share(u64::MAX) < 1.0 && share(1 << 63) == 0.5);
    }
}
