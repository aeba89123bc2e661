//! Mechanisms of login: PLAIN (RFC 4616), RabbitMQ's AMQPLAIN, EXTERNAL (RFC 4422, appendix A). Bytes to user and password
//! and back; whether they are right is asked of the caller.

use thiserror::Error;

use crate::amqp::{
    table::{RawTable, encode_table, view::ValueView},
    value::{FieldTable, FieldValue},
};

/// A mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// User and password, separated by zero octets.
    Plain,
    /// User and password in a table.
    AmqPlain,
    /// The user is known already, by a certificate.
    External,
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::AmqPlain, Self::External];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
            Self::External => "EXTERNAL",
        }
    }

    /// That of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// What a response says.
    pub fn login(self, response: &[u8]) -> Result<Login<'_>, SaslError> {
        let (user, password) = match self {
            Self::Plain => plain(response).ok_or(SaslError::Plain)?,
            Self::AmqPlain => amqplain(response)?,
            Self::External => return Ok(Login::External { response }),
        };
        let user = std::str::from_utf8(user).map_err(|_| SaslError::User)?;
        Ok(Login::Password { mechanism: self, user, password })
    }
}

/// Who wants in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Login<'a> {
    /// A user with a password.
    Password {
        /// PLAIN or AMQPLAIN.
        mechanism: Mechanism,
        /// The user's name.
        user: &'a str,
        /// The password.
        password: &'a [u8],
    },
    /// Whoever the transport says it is.
    External {
        /// The mechanism's response, mostly empty.
        response: &'a [u8],
    },
}

/// Without the password, which belongs in no log.
impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { mechanism, user, .. } => f
                .debug_struct("Password")
                .field("mechanism", mechanism)
                .field("user", user)
                .finish_non_exhaustive(),
            Self::External { .. } => f.debug_struct("External").finish_non_exhaustive(),
        }
    }
}

/// Why a response says nothing. The response itself is left out: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SaslError {
    /// Not two parts after zero octets.
    #[error("PLAIN response invalid")]
    Plain,
    /// Not a table.
    #[error("AMQPLAIN response is not a table")]
    NotATable,
    /// A table without what is needed.
    #[error("AMQPLAIN auth info is missing LOGIN or PASSWORD field")]
    Missing,
    /// Fields that are no strings.
    #[error("AMQPLAIN auth info uses unsupported type for LOGIN or PASSWORD field")]
    Type,
    /// A user's name that is not UTF-8.
    #[error("user name is not UTF-8")]
    User,
}

/// The response of PLAIN.
pub fn plain_response(user: &str, password: &[u8]) -> Vec<u8> {
    [b"\0", user.as_bytes(), b"\0", password].concat()
}

/// The response of AMQPLAIN: a table without its length.
pub fn amqplain_response(user: &str, password: &str) -> Vec<u8> {
    let fields = [("LOGIN", user), ("PASSWORD", password)];
    let table: FieldTable =
        fields.into_iter().map(|(name, text)| (name.to_owned(), FieldValue::text(text))).collect();
    encode_table(&table)
}

/// User and password of `authzid \0 user \0 password`. As in RabbitMQ nobody may be somebody else: authzid is empty.
fn plain(response: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = response.strip_prefix(b"\0")?.split(|octet| *octet == 0);
    let (user, password) = (parts.next()?, parts.next()?);
    parts.next().is_none().then_some((user, password))
}

fn amqplain(response: &[u8]) -> Result<(&[u8], &[u8]), SaslError> {
    let table = RawTable::new(response);
    table.validate().map_err(|_| SaslError::NotATable)?;
    let (user, password) = table.find("LOGIN").zip(table.find("PASSWORD")).ok_or(SaslError::Missing)?;
    match (user, password) {
        (ValueView::LongString(user), ValueView::LongString(password)) => Ok((user, password)),
        _ => Err(SaslError::Type),
    }
}
