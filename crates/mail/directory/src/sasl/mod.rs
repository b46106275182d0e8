//! SASL's server side (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, without I/O.
//!
//! A door talks to [`crate::Login`], which drives an [`Exchange`]: octets in, a [`Step`] out.

mod exchange;
mod line;
mod plain;
mod scram;
mod scram_keys;

use std::fmt;

pub use exchange::{Exchange, NONCE_OCTETS, Step};
pub use line::{LINE_OCTETS_MAX, Response, challenge_line, read_line};
pub use scram_keys::{SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN, ScramKeys};

/// A mechanism we speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// RFC 4616: user and password in one message. Only under TLS.
    Plain,
    /// draft-murchison-sasl-login: user and password one after the other. Only under TLS.
    Login,
    /// RFC 7677: the password never leaves the client.
    ScramSha256,
    /// RFC 7677 bound to the TLS channel (RFC 5802 §6): nobody sits in between.
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

    /// The mechanisms a channel allows, the best first.
    #[must_use]
    pub fn offered(channel: &Channel) -> Vec<Self> {
        match channel {
            Channel::Clear => Vec::new(),
            Channel::Tls(bindings) if bindings.is_some() => {
                vec![Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login]
            }
            Channel::Trusted | Channel::Tls(_) => vec![Self::ScramSha256, Self::Plain, Self::Login],
        }
    }

    /// Whether the server needs SCRAM keys for it.
    #[must_use]
    pub fn is_scram(self) -> bool {
        matches!(self, Self::ScramSha256 | Self::ScramSha256Plus)
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
    /// No TLS: no mechanism is offered, as no password may be sent, and SCRAM without TLS invites guessing.
    Clear,
    /// A connection that needs no TLS, where the door says so: loopback or a socket. Nothing to bind to.
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

impl ChannelBindings {
    /// Whether there is any.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.exporter.is_some() || self.server_end_point.is_some()
    }

    /// The octets of the binding type a client names.
    fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_deref(),
            "tls-server-end-point" => self.server_end_point.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_in_any_case() {
        for mechanism in
            [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256, Mechanism::ScramSha256Plus]
        {
            assert_eq!(Mechanism::from_name(&mechanism.to_string().to_lowercase()), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name("CRAM-MD5"), None);
        assert_eq!(Mechanism::from_name(""), None);
    }

    #[test]
    fn nothing_is_offered_in_the_clear_and_plus_only_with_a_binding() {
        let names = |channel| -> Vec<_> { Mechanism::offered(&channel).iter().map(|m| m.name()).collect() };
        assert!(names(Channel::Clear).is_empty());
        assert_eq!(names(Channel::Trusted), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
        assert_eq!(names(Channel::Tls(ChannelBindings::default())), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
        let bound = ChannelBindings { exporter: Some(vec![0; 32]), server_end_point: None };
        assert_eq!(names(Channel::Tls(bound)), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    }
}
