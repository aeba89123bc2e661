//! Delta discovery without IO: subscription, nonce, ACK and NACK, both roles.
