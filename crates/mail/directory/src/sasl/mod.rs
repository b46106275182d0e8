//! SASL's server side (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, without I/O.

use std::fmt;

/// A mechanism we speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// RFC 4616: user and password in one message. Only under TLS.
    Plain,
    /// draft-murchison-sasl-login: user and password one after the other. Only under TLS.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 bound to the TLS channel (RFC 5802 §6).
    ScramSha256Plus,
}

impl Mechanism {
    /// The mechanism of this name in any case, if we speak it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login, Self::ScramSha256, Self::ScramSha256Plus]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the connection is, as far as SASL cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// No TLS: no mechanism is offered.
    Clear,
    /// A connection that needs no TLS: loopback or a socket, where the door says so. No channel to bind to.
    Trusted,
    /// TLS.
    Tls(ChannelBindings),
}

/// What a TLS connection can be bound by; empty where it cannot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266): 32 octets.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of our certificate.
    pub server_end_point: Option<Vec<u8>>,
}
