//! Which way mail for other servers leaves by: the recipient domain's own way, a relay, or its mail exchangers.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mail_types::{Address, AddressDomain, DomainName, ReversePath};
use platform::clock::Timestamp;
use platform::network::Network;
use queue::{Destination, Recipient, Relay};
use sender_auth::srs::{Secrets, SrsError};

/// Where mail for other servers goes, and who may send it.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// Ways of single recipient domains, before all else: a relay, or an LMTP server that has their mailboxes. Strangers'
    /// mail for them is taken only where they are among `backup_domains` as well.
    pub transports: HashMap<DomainName, Destination>,
    /// Recipient domains whose mail goes to their own exchangers, whatever relay there is.
    pub direct_domains: HashSet<DomainName>,
    /// Relays (smart hosts) of sending domains.
    pub sender_relays: HashMap<DomainName, Relay>,
    /// The relay for everything else.
    pub relay: Option<Relay>,
    /// Domains for which mail from strangers is taken and passed on: we are one of their exchangers, but not the best.
    pub backup_domains: HashSet<DomainName>,
    /// Networks whose hosts may send anywhere without logging in.
    pub relay_networks: Vec<Network>,
    /// How long submitted mail waits before it leaves, so that its sender may change their mind; zero for not at all.
    pub undo_window: Duration,
    /// What each account may send.
    pub limits: SendingLimits,
    /// The keys with which senders of forwarded mail are rewritten (SRS); without them it keeps its sender, and hosts
    /// that check SPF refuse it.
    pub srs: Option<Arc<ArcSwap<Secrets>>>,
}

/// What one account may send, so that a stolen password does not cost the host its reputation. `None`: as much as it
/// likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendingLimits {
    /// Messages in an hour.
    pub messages_an_hour: Option<u32>,
    /// Messages in a day.
    pub messages_a_day: Option<u32>,
    /// Recipients in an hour.
    pub recipients_an_hour: Option<u32>,
    /// Recipients in a day.
    pub recipients_a_day: Option<u32>,
}

impl Default for SendingLimits {
    /// More than a person writes, a mailing among friends included; less than is worth stealing a password for.
    fn default() -> Self {
        Self {
            messages_an_hour: Some(500),
            messages_a_day: Some(2_000),
            recipients_an_hour: Some(2_000),
            recipients_a_day: Some(5_000),
        }
    }
}

/// Days since 1970.
fn days(now: Timestamp) -> u64 {
    u64::try_from(now.unix_seconds()).unwrap_or_default() / (24 * 3_600)
}

impl Routing {
    /// The way from a sender to a recipient elsewhere.
    pub(crate) fn destination(&self, sender: &ReversePath, recipient: &Address) -> Destination {
        let domain = match recipient.domain() {
            AddressDomain::Literal(literal) => {
                return match self.relay_for(sender) {
                    Some(relay) => Destination::Relay(relay.clone()),
                    None => Destination::Literal(*literal),
                };
            }
            AddressDomain::Name(name) => name,
        };
        if let Some(transport) = self.transports.get(domain) {
            return transport.clone();
        }
        match self.relay_for(sender).filter(|_| !self.direct_domains.contains(domain)) {
            Some(relay) => Destination::Relay(relay.clone()),
            None => Destination::Domain(domain.clone()),
        }
    }

    /// The sender that a host is told. What an alias passes on leaves with an address of the alias's domain, which brings
    /// reports back to the sender: a host that checks SPF would refuse another. Mail of our own domains keeps its sender,
    /// and so does what cannot be rewritten.
    pub(crate) fn passed_on_from<'a>(
        &self,
        reverse_path: &ReversePath,
        mut recipients: impl Iterator<Item = &'a Recipient>,
        is_ours: impl Fn(&DomainName) -> bool,
        now: Timestamp,
    ) -> ReversePath {
        let rewritten = || {
            let srs = self.srs.as_ref()?.load();
            let ReversePath::Address(sender) = reverse_path else { return None };
            if sender.domain_name().is_some_and(is_ours) {
                return None;
            }
            let alias = recipients.find_map(|recipient| recipient.expanded_from.as_ref())?;
            let rewritten = srs.rewrite(reverse_path, alias.domain_name()?, days(now));
            rewritten
                .inspect_err(|error| tracing::info!(%sender, %error, "passed on with its own sender"))
                .ok()
        };
        rewritten().unwrap_or_else(|| reverse_path.clone())
    }

    /// Where mail to an address of ours goes that was made for reports on mail we passed on; none if it is no such
    /// address.
    pub(crate) fn returned_to(&self, address: &Address, now: Timestamp) -> Option<Address> {
        let reversed = self.srs.as_ref()?.load().reverse(address, days(now));
        match reversed {
            Ok(sender) => Some(sender),
            Err(SrsError::NotSrs) => None,
            Err(error) => {
                tracing::info!(%address, %error, "no address of ours");
                None
            }
        }
    }

    fn relay_for(&self, sender: &ReversePath) -> Option<&Relay> {
        let of_domain = match sender {
            ReversePath::Address(sender) => {
                sender.domain_name().and_then(|domain| self.sender_relays.get(domain))
            }
            ReversePath::Null => None,
        };
        of_domain.or(self.relay.as_ref())
    }

    /// Whether strangers' mail for this recipient is taken and passed on.
    pub(crate) fn is_backup_for(&self, recipient: &Address) -> bool {
        recipient.domain_name().is_some_and(|domain| self.backup_domains.contains(domain))
    }

    /// Whether a host may send anywhere without logging in.
    pub(crate) fn may_relay(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.relay_networks.iter().any(|network| network.contains(peer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::{RelayHost, RelayTls};

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn relay(host: &str) -> Relay {
        Relay { host: RelayHost::Name(domain(host)), port: 587, tls: RelayTls::StartTls, credentials: None }
    }

    fn way(routing: &Routing, sender: &str, recipient: &str) -> String {
        let sender = match sender {
            "" => ReversePath::Null,
            text => ReversePath::Address(Address::parse(text).unwrap()),
        };
        routing.destination(&sender, &Address::parse(recipient).unwrap()).key()
    }

    #[test]
    fn mail_goes_to_exchangers_unless_told_otherwise() {
        let routing = Routing::default();
        assert_eq!(way(&routing, "ann@example.org", "bob@example.com"), "example.com");
        assert_eq!(way(&routing, "", "bob@[192.0.2.1]"), "[192.0.2.1]");
    }

    #[test]
    fn the_nearest_rule_wins() {
        let inside = Destination::Relay(relay("inside.example"));
        let routing = Routing {
            transports: HashMap::from([(domain("corp.example"), inside.clone())]),
            direct_domains: HashSet::from([domain("near.example")]),
            sender_relays: HashMap::from([(domain("example.org"), relay("ours.example"))]),
            relay: Some(relay("smart.example")),
            ..Routing::default()
        };
        let key = |host: &str| Destination::Relay(relay(host)).key();
        assert_eq!(way(&routing, "ann@example.org", "bob@corp.example"), inside.key());
        assert_eq!(way(&routing, "ann@example.org", "bob@near.example"), "near.example");
        assert_eq!(way(&routing, "ann@example.org", "bob@far.example"), key("ours.example"));
        assert_eq!(way(&routing, "carl@example.net", "bob@far.example"), key("smart.example"));
        assert_eq!(way(&routing, "", "bob@[192.0.2.1]"), key("smart.example"));
    }

    #[test]
    fn strangers_are_passed_on_where_we_are_an_exchanger() {
        let routing = Routing {
            backup_domains: HashSet::from([domain("friend.example")]),
            relay_networks: vec![Network::new([192, 0, 2, 0].into(), 24).unwrap()],
            ..Routing::default()
        };
        let recipient = |text: &str| Address::parse(text).unwrap();
        assert!(routing.is_backup_for(&recipient("a@friend.example")));
        assert!(!routing.is_backup_for(&recipient("a@sub.friend.example")));
        assert!(!routing.is_backup_for(&recipient("a@[192.0.2.1]")));
        assert!(routing.may_relay(Some([192, 0, 2, 255].into())));
        assert!(!routing.may_relay(Some([192, 0, 3, 0].into())));
        assert!(!routing.may_relay(None));
    }
}
