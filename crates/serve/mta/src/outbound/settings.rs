//! What the operator may choose about mail going out, as plain values that are already valid.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mail_types::{Address, AddressDomain, DomainName, Secret};
use queue::{CredentialsName, Destination};
use smtp::client::ChunkingUse;

use crate::deliver::routing::Routing;
use crate::report::author::ReportAuthor;

/// The settings of mail going out.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// Who we are to other servers, where no sending domain has an identity of its own.
    pub identity: Identity,
    /// Identities of sending domains: mail of each leaves from its own addresses, with its own name.
    pub identities: HashMap<DomainName, Identity>,
    /// Further addresses of ours, those we listen on: an MX that leads to one of them leads back to us.
    pub own_addresses: Vec<IpAddr>,
    /// Further names of ours.
    pub own_names: Vec<DomainName>,
    /// Whether mail may go to hosts on this machine. Never on the Internet: a name that leads to 127.0.0.1 would have
    /// us talk to ourselves. Tests and `demo` live there.
    pub loopback: Loopback,
    /// The port of mail exchangers.
    pub port: u16,
    /// Which protocol families are used.
    pub families: dns::Families,
    /// How connections to exchangers are protected.
    pub tls: TlsWish,
    /// The same for single domains.
    pub tls_wishes: TlsWishes,
    /// The port of servers that have MTA-STS policies.
    pub sts_port: u16,
    /// Certificate authorities (PEM) that are believed where a certificate has to be right.
    pub trusted_roots: Vec<String>,
    /// Passwords of relays, by the names that [`queue::Relay`] has for them.
    pub credentials: HashMap<CredentialsName, RelayCredentials>,
    /// Whether messages go in chunks.
    pub chunking: ChunkingUse,
    /// How long we wait for what.
    pub timeouts: Timeouts,
    /// How long a connection is kept for more mail after the last.
    pub idle_wait: Duration,
    /// Messages of one connection.
    pub messages_max: u32,
    /// Recipients of one transaction; at least 100 are taken everywhere (RFC 5321 §4.5.3.1.8).
    pub recipients_max: usize,
    /// Whom reports come from: an address that somebody reads.
    pub report_from: ReportAuthor,
    /// Octets up to which a report of failure returns the whole message; of larger ones the header.
    pub returned_octets_max: u64,
    /// Where mail goes; reports go the same ways.
    pub routing: Routing,
}

/// Whether mail may go to this machine by the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loopback {
    /// Such an address is ourselves.
    Ourselves,
    /// Other hosts live there: tests.
    Others,
}

/// How connections to a domain's exchangers are protected, as the operator says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsWish {
    /// Never.
    Never,
    /// Where offered, believing any certificate, in clear where it fails (RFC 7435).
    Opportunistic,
    /// Always, believing any certificate.
    Encrypted,
    /// Always, with a certificate that an authority gave to the exchanger, or to this name.
    Verified(Option<Box<str>>),
    /// As DNS says (DANE); opportunistic where it says nothing.
    Dane,
    /// As DNS says; no mail where it says nothing.
    DaneOnly,
    /// As DNS says, else as the domain says (MTA-STS); opportunistic where neither speaks.
    Automatic,
}

/// The operator's wishes for single domains.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsWishes {
    /// For a domain itself.
    pub domains: HashMap<DomainName, TlsWish>,
    /// For every domain below one.
    pub below: HashMap<DomainName, TlsWish>,
}

impl TlsWishes {
    /// The wish for a domain: its own, or that for the nearest domain above it.
    fn find(&self, domain: &DomainName) -> Option<&TlsWish> {
        if let Some(wish) = self.domains.get(domain) {
            return Some(wish);
        }
        let above = domain.as_str().match_indices('.').filter_map(|(dot, _)| domain.as_str().get(dot + 1..));
        above.filter_map(|above| DomainName::parse(above).ok()).find_map(|above| self.below.get(&above))
    }
}

/// Who we are to another server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The name in EHLO; it should lead to the addresses and they to it.
    pub hello: DomainName,
    /// The address that connections over IPv4 leave from; the system's choice where not set.
    pub ipv4: Option<Ipv4Addr>,
    /// The same over IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

/// A name and a password for a relay.
#[derive(Clone)]
pub struct RelayCredentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayCredentials({})", self.user)
    }
}

/// How long we wait for another server, at the least what RFC 5321 §4.5.3.2 has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For one TCP connection to be made. The RFC leaves it to the system, whose minutes are too long for a list of
    /// addresses.
    pub connect: Duration,
    /// How much later the next address is tried beside one that does not answer (RFC 8305 §5).
    pub fall_over: Duration,
    /// For TLS to be agreed on.
    pub handshake: Duration,
    /// For the greeting (§4.5.3.2.1).
    pub greeting: Duration,
    /// For each reply to a command (§4.5.3.2.2 and following).
    pub command: Duration,
    /// For the server to take 64 KiB of the message (§4.5.3.2.5).
    pub data: Duration,
    /// For the reply to the message (§4.5.3.2.6): servers look at it before they answer.
    pub final_reply: Duration,
    /// For the reply to QUIT, which nothing depends on.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            fall_over: Duration::from_millis(250),
            handshake: Duration::from_secs(60),
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(180),
            final_reply: Duration::from_secs(600),
            quit: Duration::from_secs(5),
        }
    }
}

impl OutboundSettings {
    /// A host's settings where nobody wishes otherwise.
    #[must_use]
    pub fn new(hostname: DomainName, report_from: Address) -> Self {
        Self {
            identity: Identity { hello: hostname, ipv4: None, ipv6: None },
            identities: HashMap::new(),
            own_addresses: Vec::new(),
            own_names: Vec::new(),
            loopback: Loopback::Ourselves,
            port: 25,
            families: dns::Families::Both,
            tls: TlsWish::Automatic,
            tls_wishes: TlsWishes::default(),
            sts_port: 443,
            trusted_roots: Vec::new(),
            credentials: HashMap::new(),
            chunking: ChunkingUse::WhenOffered,
            timeouts: Timeouts::default(),
            idle_wait: Duration::from_secs(2),
            messages_max: 1_000,
            recipients_max: 100,
            report_from: ReportAuthor::Postmaster(report_from),
            returned_octets_max: 100 * 1024,
            routing: Routing::default(),
        }
    }

    /// How connections to a destination are protected.
    pub(crate) fn tls_wish(&self, destination: &Destination) -> &TlsWish {
        let own = match destination {
            Destination::Domain(domain) => self.tls_wishes.find(domain),
            _ => None,
        };
        own.unwrap_or(&self.tls)
    }

    /// Who we are for a sender's mail. Reports, which have no sender, come from the host itself.
    pub(crate) fn identity_for(&self, sender: Option<&Address>) -> &Identity {
        let domain = sender.and_then(|sender| match sender.domain() {
            AddressDomain::Name(name) => Some(name),
            AddressDomain::Literal(_) => None,
        });
        domain.and_then(|domain| self.identities.get(domain)).unwrap_or(&self.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wish_counts() {
        let domain = |text: &str| DomainName::parse(text).unwrap();
        let mut settings =
            OutboundSettings::new(domain("mail.example.org"), Address::parse("a@example.org").unwrap());
        settings.tls_wishes.domains.insert(domain("example.com"), TlsWish::Encrypted);
        settings.tls_wishes.below.insert(domain("example.com"), TlsWish::DaneOnly);
        settings.tls_wishes.below.insert(domain("b.example.com"), TlsWish::Never);
        for (name, expected) in [
            ("example.com", TlsWish::Encrypted),
            ("a.example.com", TlsWish::DaneOnly),
            ("b.example.com", TlsWish::DaneOnly),
            ("a.b.example.com", TlsWish::Never),
            ("notexample.com", TlsWish::Automatic),
            ("com", TlsWish::Automatic),
        ] {
            assert_eq!(*settings.tls_wish(&Destination::Domain(domain(name))), expected, "{name}");
        }
    }
}
