//! Random bytes for passwords.

use crate::access::password::SALT_BYTES;

/// A new salt.
pub(crate) fn salt() -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    for (to, from) in salt.iter_mut().zip(uuid::Uuid::new_v4().as_bytes()) {
        *to = *from;
    }
    salt
}
