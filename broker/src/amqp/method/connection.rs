//! Class 10: the connection's own methods, all on channel 0.

use crate::amqp::{method::define::class, table::RawTable};

class! {
    'a;
    /// Methods of class `connection`.
    Connection<'a> = 10;

    /// `connection.start`: the server says what it is and how one may log in.
    Start<'a> = 10, "connection.start" {
        fields {
            /// 0.
            version_major: u8,
            /// 9.
            version_minor: u8,
            /// What the server is and can do.
            server_properties: RawTable<'a>,
            /// SASL mechanisms, separated by spaces.
            mechanisms: &'a [u8],
            /// Locales, separated by spaces.
            locales: &'a [u8],
        }
    }

    /// `connection.start-ok`: the client says what it is and logs in.
    StartOk<'a> = 11, "connection.start_ok" {
        fields {
            /// What the client is and can do.
            client_properties: RawTable<'a>,
            /// The mechanism it chose.
            mechanism: &'a str,
            /// The mechanism's first response.
            response: &'a [u8],
            /// The locale it chose.
            locale: &'a str,
        }
    }

    /// `connection.secure`: a mechanism's challenge.
    Secure<'a> = 20, "connection.secure" {
        fields {
            /// Of the mechanism's making.
            challenge: &'a [u8],
        }
    }

    /// `connection.secure-ok`: the response to a challenge.
    SecureOk<'a> = 21, "connection.secure_ok" {
        fields {
            /// Of the mechanism's making.
            response: &'a [u8],
        }
    }

    /// `connection.tune`: the server's limits.
    Tune = 30, "connection.tune" {
        fields {
            /// The highest channel number, 0 for no limit.
            channel_max: u16,
            /// Octets of a frame, 0 for no limit.
            frame_max: u32,
            /// Seconds, 0 for none.
            heartbeat: u16,
        }
    }

    /// `connection.tune-ok`: what counts from here on.
    TuneOk = 31, "connection.tune_ok" {
        fields {
            /// The highest channel number, 0 for no limit.
            channel_max: u16,
            /// Octets of a frame, 0 for no limit.
            frame_max: u32,
            /// Seconds, 0 for none.
            heartbeat: u16,
        }
    }

    /// `connection.open`: the virtual host that the connection is for.
    Open<'a> = 40, "connection.open" {
        fields {
            /// The name of the virtual host.
            virtual_host: &'a str,
        }
        end &'a str, u8;
    }

    /// `connection.open-ok`.
    OpenOk<'a> = 41, "connection.open_ok" {
        fields {
            /// Reserved; empty.
            known_hosts: &'a str,
        }
    }

    /// `connection.close`: the connection ends, with the reason.
    Close<'a> = 50, "connection.close" {
        fields {
            /// See [`ReplyCode`](crate::amqp::reply::ReplyCode).
            reply_code: u16,
            /// `CODE_NAME - explanation`.
            reply_text: &'a str,
            /// The class of the method that failed, 0 where none did.
            class_id: u16,
            /// The method that failed, 0 where none did.
            method_id: u16,
        }
    }

    /// `connection.close-ok`.
    CloseOk = 51, "connection.close_ok" {}

    /// `connection.blocked`: the server reads no more of this publisher for now (RabbitMQ).
    Blocked<'a> = 60, "connection.blocked" {
        fields {
            /// Why: `low on memory`, `low on disk`.
            reason: &'a str,
        }
    }

    /// `connection.unblocked` (RabbitMQ).
    Unblocked = 61, "connection.unblocked" {}

    /// `connection.update-secret`: a token before the old one expires (RabbitMQ).
    UpdateSecret<'a> = 70, "connection.update_secret" {
        fields {
            /// The new secret.
            new_secret: &'a [u8],
            /// Why, for the log.
            reason: &'a str,
        }
    }

    /// `connection.update-secret-ok` (RabbitMQ).
    UpdateSecretOk = 71, "connection.update_secret_ok" {}
}
