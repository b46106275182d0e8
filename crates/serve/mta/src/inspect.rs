//! Step 6 of a message's way: who really sent it, and what follows from that. Checks run over what strangers bring;
//! `questions.rs` asks DNS for them, `findings.rs` gathers what they find, `policy.rs` decides, `fields.rs` writes it down.

pub(crate) mod fields;
pub(crate) mod findings;
pub(crate) mod policy;
mod questions;
pub(crate) mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dns::Resolver;
use mail_types::{DomainName, ReversePath};
use platform::clock::Timestamp;
use platform::network::Network;
use sender_auth::iprev::{self, Iprev};
use sender_auth::{Answers, Needs};

pub use findings::Findings;
pub use policy::{Applied, Override};

/// How long a client's name may take that milters are told when it comes.
const NAME_TIME_MAX: Duration = Duration::from_secs(5);

/// Whether a client's address proves to have a name (RFC 8601 §3), where somebody can be asked.
pub(crate) async fn client_iprev(resolver: Option<&Resolver>, address: Option<IpAddr>) -> Option<Iprev> {
    let mut asker = questions::Asker::new(resolver?, NAME_TIME_MAX);
    let address = address?;
    Some(Box::pin(asker.settle(|answers| iprev::check(address, answers))).await)
}

/// What the operator chose about the senders of strangers' mail.
#[derive(Clone, Debug)]
pub struct Checks {
    /// Whether anything is checked.
    pub is_on: bool,
    /// Hosts whose mail is not checked: on this machine, or in front of us and checking themselves.
    pub unchecked_networks: Vec<Network>,
    /// What becomes of mail that its author's domain disowns.
    pub dmarc: Enforcement,
    /// What becomes of mail that names no author.
    pub without_author: WithoutAuthor,
    /// What becomes of mail that DNS cannot tell us about now.
    pub on_dns_failure: OnDnsFailure,
    /// Who is believed about mail that they changed on its way: `d=` of ARC seals (RFC 8617 §7.2).
    pub trusted_sealers: Vec<DomainName>,
    /// Who may bring anybody's mail: mailing lists and forwarders, by the domain that SPF or DKIM proves.
    pub trusted_forwarders: Vec<DomainName>,
    /// How long all questions about one message may take.
    pub time_max: Duration,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            is_on: true,
            unchecked_networks: Vec::new(),
            dmarc: Enforcement::AsPublished,
            without_author: WithoutAuthor::Refuse,
            on_dns_failure: OnDnsFailure::Defer,
            trusted_sealers: Vec::new(),
            trusted_forwarders: Vec::new(),
            // RFC 7208 §4.6.4 wants 20 seconds at least for SPF alone.
            time_max: Duration::from_secs(30),
        }
    }
}

impl Checks {
    /// Whether this is the address of a host whose mail is not checked.
    pub(crate) fn has_unchecked(&self, address: IpAddr) -> bool {
        self.unchecked_networks.iter().any(|network| network.contains(address))
    }

    /// Whether mail from this address is checked.
    pub(crate) fn are_for(&self, address: Option<IpAddr>) -> bool {
        self.is_on && address.is_some_and(|address| !self.has_unchecked(address))
    }

    /// Whether this address is in front of us, or on this machine.
    pub(crate) fn is_unchecked(&self, address: Option<IpAddr>) -> bool {
        // Who has no address comes by a socket of this machine.
        address.is_none_or(|address| self.unchecked_networks.iter().any(|network| network.contains(address)))
    }
}

/// What becomes of mail that its author's domain disowns (RFC 9989 §5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enforcement {
    /// What the domain asks for: refused, or filed as junk.
    AsPublished,
    /// Filed as junk, whatever the domain asks for.
    Junk,
    /// Nothing; it is only told.
    Off,
}

/// What becomes of mail without a From field, or with nobody's address in it (RFC 5322 §3.6 wants one): no domain can
/// disown it, and people see whatever name stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithoutAuthor {
    /// It is refused; where nobody could be told of that, as with reports on delivery, filed as junk.
    Refuse,
    /// It is filed as junk.
    Junk,
    /// It is taken.
    Accept,
}

/// What becomes of mail about whose sender DNS cannot tell us now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDnsFailure {
    /// Its host is asked to try again.
    Defer,
    /// It is taken as mail of nobody in particular.
    Accept,
}

/// One message that was checked, for reports to those in whose name it came.
#[derive(Debug)]
pub struct CheckedMessage<'a> {
    /// When.
    pub time: Timestamp,
    /// Who brought it.
    pub client: IpAddr,
    /// The sender on the envelope.
    pub reverse_path: &'a ReversePath,
    /// Whether it calls itself a report on mail: were those counted, two servers would report on their reports for ever.
    pub is_report: bool,
    /// What was found.
    pub findings: &'a Findings,
    /// What was done.
    pub applied: Applied,
    /// Why not what the author's domain asks for.
    pub overridden: Option<&'a Override>,
}

/// Runs a check of `sender_auth` until DNS has told it all that it needs, or `time_max` has passed.
pub async fn settle<T>(
    resolver: &Resolver,
    time_max: Duration,
    check: impl Fn(&Answers) -> Result<T, Needs>,
) -> T {
    questions::Asker::new(resolver, time_max).settle(check).await
}

/// Takes checked messages. Called on a session's way to its reply: must be quick and must not block.
pub type CheckSink = Arc<dyn Fn(&CheckedMessage<'_>) + Send + Sync>;
