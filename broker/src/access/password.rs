//! Hashes of passwords as RabbitMQ keeps them: base64 of a salt of 4 bytes and the digest of salt and password.
//! Sources: RabbitMQ's password guide, "This is the algorithm". Random bytes are passed in.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// Bytes of salt.
pub const SALT_BYTES: usize = 4;
/// Bytes of a password at most; a longer one never matches.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// What turns a password into its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hashing {
    /// `rabbit_password_hashing_sha256`: RabbitMQ's default since 3.6.
    #[default]
    Sha256,
    /// `rabbit_password_hashing_sha512`
    Sha512,
    /// `rabbit_password_hashing_md5`: for users of before 3.6, verified and never made.
    Md5,
}

impl Hashing {
    /// Its name in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
        }
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Md5 => 16,
        }
    }

    fn digest(self, salt: &[u8], password: &str) -> Vec<u8> {
        fn of<D: Digest>(salt: &[u8], password: &str) -> Vec<u8> {
            D::new().chain_update(salt).chain_update(password).finalize().to_vec()
        }
        match self {
            Self::Sha256 => of::<Sha256>(salt, password),
            Self::Sha512 => of::<Sha512>(salt, password),
            Self::Md5 => of::<Md5>(salt, password),
        }
    }
}

impl FromStr for Hashing {
    type Err = PasswordError;

    fn from_str(name: &str) -> Result<Self, PasswordError> {
        [Self::Sha256, Self::Sha512, Self::Md5]
            .into_iter()
            .find(|hashing| hashing.name() == name)
            .ok_or_else(|| PasswordError::Algorithm { name: name.to_owned() })
    }
}

/// Why a stored hash is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// No algorithm of that name.
    #[error("unknown password hashing algorithm '{name}'")]
    Algorithm {
        /// The name.
        name: String,
    },
    /// Not base64, or not as long as salt and digest are.
    #[error("not a password hash of {}", hashing.name())]
    Malformed {
        /// The algorithm it should be of.
        hashing: Hashing,
    },
}

/// A salted hash. It shows itself in definitions only.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    hashing: Hashing,
    /// Salt, then digest.
    bytes: Box<[u8]>,
}

impl PasswordHash {
    /// Hashes `password` with SHA-256. `salt` is random.
    pub fn make(password: &str, salt: [u8; SALT_BYTES]) -> Self {
        let hashing = Hashing::Sha256;
        let mut bytes = salt.to_vec();
        bytes.extend(hashing.digest(&salt, password));
        Self { hashing, bytes: bytes.into() }
    }

    /// Reads `password_hash` of definitions. An empty one is no hash: that user has no password to log in with.
    ///
    /// # Errors
    /// When it is not base64 or has not the length of `hashing`.
    pub fn parse(text: &str, hashing: Hashing) -> Result<Option<Self>, PasswordError> {
        if text.is_empty() {
            return Ok(None);
        }
        match STANDARD.decode(text) {
            Ok(bytes) if bytes.len() == SALT_BYTES + hashing.digest_bytes() => {
                Ok(Some(Self { hashing, bytes: bytes.into() }))
            }
            _ => Err(PasswordError::Malformed { hashing }),
        }
    }

    /// Whether `password` is the one. Takes as long whatever the digest is.
    pub fn verify(&self, password: &str) -> bool {
        let Some((salt, digest)) = self.bytes.split_at_checked(SALT_BYTES) else { return false };
        password.len() <= PASSWORD_BYTES_MAX
            && bool::from(self.hashing.digest(salt, password).as_slice().ct_eq(digest))
    }

    /// As definitions carry it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }

    /// The algorithm.
    pub fn hashing(&self) -> Hashing {
        self.hashing
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("hashing", &self.hashing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The worked example of RabbitMQ's password guide.
    const GUIDE_SALT: [u8; 4] = [0x90, 0x8D, 0xC6, 0x0A];
    const GUIDE_HASH: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

    #[test]
    fn the_example_of_the_guide_comes_out() {
        let made = PasswordHash::make("test12", GUIDE_SALT);
        assert_eq!(made.to_base64(), GUIDE_HASH);
        let read = PasswordHash::parse(GUIDE_HASH, Hashing::Sha256).unwrap().unwrap();
        assert!(read.verify("test12") && !read.verify("test13") && !read.verify(""));
    }

    /// Made with Python's hashlib: base64(salt + digest(salt + b"s3cret")), salt 01020304.
    #[test]
    fn other_algorithms_are_verified() {
        let cases = [(Hashing::Md5, MD5_OF_S3CRET), (Hashing::Sha512, SHA512_OF_S3CRET)];
        for (hashing, text) in cases {
            let hash = PasswordHash::parse(text, hashing).unwrap().unwrap();
            assert!(hash.verify("s3cret") && !hash.verify("secret"), "{hashing:?}");
            assert_eq!(hash.to_base64(), text);
        }
    }

    const MD5_OF_S3CRET: &str = "AQIDBBvSnShWbk2TDnnqVDQxSwc=";
    const SHA512_OF_S3CRET: &str =
        "AQIDBJI2yQQ1Neg30pob+8hkYUM1v4PXKNj0SQsACOdiROtY9rg4njiCt+kxn20grZ0gqjljOZFdD6T+LR1KKztwlAY=";

    #[test]
    fn an_empty_hash_is_none_and_a_broken_one_an_error() {
        assert_eq!(PasswordHash::parse("", Hashing::Sha256), Ok(None));
        for text in ["%%%", "AAAA", GUIDE_HASH] {
            let error = PasswordError::Malformed { hashing: Hashing::Sha512 };
            assert_eq!(PasswordHash::parse(text, Hashing::Sha512), Err(error));
        }
    }

    #[test]
    fn names_are_those_of_definitions() {
        for hashing in [Hashing::Sha256, Hashing::Sha512, Hashing::Md5] {
            assert_eq!(hashing.name().parse(), Ok(hashing));
        }
        assert!("rabbit_password_hashing_crc32".parse::<Hashing>().is_err());
    }

    #[test]
    fn debug_output_tells_nothing_of_the_hash() {
        let shown = format!("{:?}", PasswordHash::make("test12", GUIDE_SALT));
        assert!(!shown.contains("144") && !shown.contains("kI3G"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_hash_knows_its_password_alone(password in ".{1,40}", other in ".{0,40}", salt: [u8; 4]) {
            let hash = PasswordHash::make(&password, salt);
            prop_assert!(hash.verify(&password));
            prop_assert_eq!(hash.verify(&other), other == password);
            prop_assert_eq!(PasswordHash::parse(&hash.to_base64(), Hashing::Sha256), Ok(Some(hash)));
        }
    }
}
