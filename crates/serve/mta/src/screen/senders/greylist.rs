//! Who is asked to come again, and who has done so: programs that send spam seldom do, mail servers always
//! (RFC 5321 §4.5.4.1, RFC 6647).
//!
//! Large senders try again from other addresses. Where SPF proves the sender's domain, any address that passes counts as the
//! same; otherwise its network does, and after a while a sender who keeps trying is taken wherever he comes from.

use std::net::IpAddr;

use mail_types::{Address, ReversePath};
use platform::clock::Timestamp;
use platform::network::Network;
use storage::StorageError;

use super::book::{Book, Key, Kind, Row, key};
use super::{NOBODY, block};

/// Where mail comes from, as far as that stays the same when it is tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// From wherever this domain lets its mail be sent.
    Domain(String),
    /// From this network.
    Network(Network),
}

/// Prefix lengths of the networks within which mail is expected to come again.
const AROUND: (u8, u8) = (24, 64);

impl Origin {
    pub(crate) fn network(address: IpAddr) -> Option<Self> {
        block(address, AROUND).map(Self::Network)
    }

    fn text(&self) -> String {
        match self {
            Self::Domain(domain) => format!("domain {domain}"),
            Self::Network(network) => format!("network {network}"),
        }
    }
}

/// One attempt to bring mail.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) origin: Origin,
    /// See [`constant_sender`].
    pub(crate) sender: String,
    pub(crate) recipient: String,
}

/// How long one has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GreyBounds {
    /// Before this has passed nobody is taken.
    pub(crate) delay_seconds: i64,
    /// Whoever comes later than this begins anew.
    pub(crate) window_seconds: i64,
}

/// Delays after which one who keeps trying is taken from wherever.
const DELAYS_FROM_ANYWHERE: i64 = 6;
/// Messages taken from a network after which all its senders are known to come again.
const SUCCESSES_OF_NETWORK: f32 = 5.0;

/// What becomes of an attempt.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Greylisted {
    /// It is let through: it came again, or nothing can be kept in mind now.
    #[default]
    CameAgain,
    /// It has to come again after so many seconds.
    Wait(u32),
}

impl Book {
    pub(super) fn greylist(
        &mut self,
        attempt: &Attempt,
        bounds: GreyBounds,
        now: Timestamp,
    ) -> Result<Greylisted, StorageError> {
        let (sender, recipient) = (attempt.sender.as_bytes(), attempt.recipient.as_bytes());
        let here = key(&[attempt.origin.text().as_bytes(), sender, recipient]);
        let anywhere = key(&[sender, recipient]);
        let waited = self.wait(Kind::Waiting, &here, bounds, now)?;
        let waited_anywhere = self.wait(Kind::WaitingAnywhere, &anywhere, bounds, now)?;
        let far = bounds.delay_seconds.saturating_mul(DELAYS_FROM_ANYWHERE);
        if waited >= bounds.delay_seconds || waited_anywhere >= far {
            return Ok(Greylisted::CameAgain);
        }
        let left = (bounds.delay_seconds - waited).min(far - waited_anywhere).max(1);
        Ok(Greylisted::Wait(u32::try_from(left).unwrap_or(u32::MAX)))
    }

    /// How many seconds ago somebody came first.
    fn wait(
        &mut self,
        kind: Kind,
        key: &Key,
        bounds: GreyBounds,
        now: Timestamp,
    ) -> Result<i64, StorageError> {
        let seconds = now.unix_seconds();
        let known = self.row(kind, NOBODY, key, now)?;
        // A clock that was set back must not make anybody wait for ever.
        let is_within = |row: &Row| (0..=bounds.window_seconds).contains(&(seconds - row.first));
        let row = known.filter(is_within).map_or(Row::new(now), |row| Row { last: seconds, ..row });
        self.put(kind, NOBODY, key, row)?;
        Ok(seconds - row.first)
    }

    pub(super) fn is_allowed(
        &self,
        origin: &Origin,
        sender_domain: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        if self.has(Kind::Allowed, NOBODY, &pair(origin, sender_domain), now)? {
            return Ok(true);
        }
        let standing = self.standing(Kind::Allowed, &alone(origin), now)?;
        Ok(standing.wanted >= SUCCESSES_OF_NETWORK)
    }

    pub(super) fn allow(
        &mut self,
        origin: &Origin,
        sender_domain: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.see(Kind::Allowed, NOBODY, &pair(origin, sender_domain), now)?;
        self.count_success(origin, now)
    }

    pub(super) fn count_success(&mut self, origin: &Origin, now: Timestamp) -> Result<(), StorageError> {
        self.count(Kind::Allowed, &alone(origin), 1.0, 0.0, now)
    }

    pub(super) fn has_succeeded(&self, origin: &Origin, now: Timestamp) -> Result<bool, StorageError> {
        self.has(Kind::Allowed, NOBODY, &alone(origin), now)
    }
}

fn pair(origin: &Origin, sender_domain: &str) -> Key {
    key(&[origin.text().as_bytes(), sender_domain.as_bytes()])
}

pub(super) fn alone(origin: &Origin) -> Key {
    key(&[origin.text().as_bytes()])
}

/// A sender without what changes from message to message: the recipient and numbers that senders of newsletters write into
/// it (VERP), what forwarders put around it (SRS), signatures (BATV).
pub(crate) fn constant_sender(reverse_path: &ReversePath) -> String {
    match reverse_path {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => constant_address(address),
    }
}

fn constant_address(address: &Address) -> String {
    let local = address.local_part().to_lowercase();
    let domain = address.domain_name().map_or_else(|| "[]".to_owned(), ToString::to_string);
    if let Some(original) = before_srs(&local) {
        return format!("{}@{}", constant_local_part(original.0), original.1);
    }
    let local =
        local.strip_prefix("prvs=").and_then(|tagged| tagged.split_once('=')).map_or(&*local, |(_, l)| l);
    format!("{}@{domain}", constant_local_part(local))
}

/// The sender before a forwarder rewrote it: `srs0=hash=day=domain=user`, `srs1=hash=forwarder==hash=day=domain=user`.
fn before_srs(local: &str) -> Option<(&str, &str)> {
    let inner = match (local.get(..4)?, local.as_bytes().get(4)?) {
        ("srs0", b'=' | b'+' | b'-') => local.get(5..)?,
        ("srs1", b'=' | b'+' | b'-') => {
            let (_, inner) = local.split_once("==")?;
            inner
        }
        _ => return None,
    };
    let mut parts = inner.splitn(4, '=');
    let (_hash, _day, domain, user) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((user, domain))
}

/// Up to a `+`, and where there is a `=` up to what stands before the recipient; words with digits in them, and those that
/// may be hexadecimal, are `#`.
fn constant_local_part(local: &str) -> String {
    let local = local.split('+').next().unwrap_or_default();
    let local = match local.split_once('=') {
        Some((before, _)) => before.rsplit_once(['-', '.', '_']).map_or(before, |(fixed, _)| fixed),
        None => local,
    };
    let mut constant = String::with_capacity(local.len());
    for (at, word) in local.split(['-', '.', '_']).enumerate() {
        if at > 0 {
            constant.push('-');
        }
        constant.push_str(if is_number(word) { "#" } else { word });
    }
    constant
}

/// Shortest word of hexadecimal digits that is taken for a number although no digit is among them.
const HEXADECIMAL_OCTETS_MIN: usize = 8;

fn is_number(word: &str) -> bool {
    let is_hexadecimal =
        word.len() >= HEXADECIMAL_OCTETS_MIN && word.bytes().all(|octet| octet.is_ascii_hexdigit());
    word.bytes().any(|octet| octet.is_ascii_digit()) || is_hexadecimal
}

#[cfg(test)]
mod tests {
    use mail_types::AddressDomain;
    use mail_types::DomainName;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn senders_are_told_apart_by_what_stays_the_same() {
        for (sender, expected) in [
            ("Ann@Example.org", "ann@example.org"),
            ("ann+news@example.org", "ann@example.org"),
            ("bounce-4711-ann=example.org@list.example", "bounce-#@list.example"),
            ("news.bounces-bob=example.org@list.example", "news-bounces@list.example"),
            ("0100018f2ab0-4c9d-000000@ses.example", "#-#-#@ses.example"),
            ("deadbeef@x.example", "#@x.example"),
            ("dead@x.example", "dead@x.example"),
            ("SRS0=HHHH=TT=origin.example=ann@forward.example", "ann@origin.example"),
            ("SRS0+HHHH=TT=origin.example=ann@forward.example", "ann@origin.example"),
            ("SRS1=HHHH=first.example==HHH=TT=origin.example=ann@forward.example", "ann@origin.example"),
            ("SRS0=broken@forward.example", "srs#@forward.example"),
            ("prvs=0123456789=ann@example.org", "ann@example.org"),
        ] {
            let path = ReversePath::Address(Address::parse(sender).unwrap());
            let found = constant_sender(&path);
            if sender.starts_with("SRS0=broken") {
                assert!(found.ends_with("@forward.example"), "{found}");
            } else {
                assert_eq!(found, expected, "{sender}");
            }
        }
        assert_eq!(constant_sender(&ReversePath::Null), "");
    }

    proptest! {
        #[test]
        fn any_sender_has_a_constant_one(local in "[a-zA-Z0-9=+._#é-]{1,40}", prefix in "(|SRS0=|srs1=|prvs=)") {
            let domain = AddressDomain::Name(DomainName::parse("x.example").unwrap());
            let address = Address::new(&format!("{prefix}{local}"), domain.clone()).unwrap();
            let once = constant_address(&address);
            prop_assert!(once.contains('@'));
            let (local, _) = once.rsplit_once('@').unwrap();
            // What is constant stays so.
            prop_assert_eq!(constant_local_part(local), local);
        }
    }
}
