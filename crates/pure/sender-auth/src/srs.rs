//! The Sender Rewriting Scheme: reverse-paths of forwarded mail under a domain of ours, so that SPF of whoever comes
//! next agrees and reports still find their way back.
//!
//! Addresses are those of libsrs2 and postsrsd: `SRS0=HHHH=TT=domain=user@ours` for mail from its sender,
//! `SRS1=HHHH=forwarder==HHH=TT=domain=user@ours` for mail that somebody else rewrote before. With their secret, those
//! that they made are read here.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use mail_types::{
    ADDRESS_OCTETS_MAX, Address, AddressDomain, AddressError, AddressLiteral, DomainName, ReversePath, Secret,
};

/// How long reports find their way back, by default: as long as libsrs2 has it. Queues keep mail for five days or so.
pub const VALID_DAYS: u16 = 21;
/// As long as they may be made to hold: well below the days after which timestamps begin again.
const VALID_DAYS_MAX: u16 = 365;
/// Characters of the hash that we write: 24 bits, 22 or so where somebody changed their case. Enough for addresses that
/// only hold for weeks and of which each guess costs a transaction.
const HASH_OCTETS: usize = 4;
/// Characters of the whole hash. Others may write more of it than we do.
const HASH_OCTETS_MAX: usize = 27;
/// Days after which timestamps begin again: two digits of base32.
const DAY_CYCLE: u64 = 1024;
/// Digits of base32 (RFC 4648 §6).
const DAY_DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Keys besides the present one that are still tried.
pub const OLD_KEYS_MAX: usize = 8;

/// Why there is no other address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SrsError {
    /// Not rewritten by anybody: use it as it is.
    #[error("not an SRS address")]
    NotSrs,
    /// It begins like one, but lacks parts: nobody's address.
    #[error("an SRS address that lacks parts")]
    Malformed,
    /// Not made with any of our keys: nobody's address.
    #[error("an SRS address that was not made here")]
    Forged,
    /// Made too long ago: nobody's address any more.
    #[error("an SRS address that has expired")]
    Expired,
    /// Rewritten, it would be longer than a path.
    #[error("rewritten, the address would be longer than {ADDRESS_OCTETS_MAX} octets")]
    TooLong,
}

/// The keys that addresses are made and checked with.
#[derive(Clone, Debug)]
pub struct Secrets {
    current: Secret,
    old: Vec<OldKey>,
    valid_days: u16,
}

/// A key that makes no addresses any more.
#[derive(Clone, Debug)]
struct OldKey {
    secret: Secret,
    /// The last day on which it made some.
    last_day: u64,
}

/// A local part of SRS, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Parsed<'a> {
    /// The sender's own address and when it was rewritten.
    Zero { hash: &'a str, stamp: &'a str, host: &'a str, user: &'a str },
    /// Another forwarder and what follows `SRS0` in its local part, separator included.
    One { hash: &'a str, host: &'a str, rest: &'a str },
}

impl Secrets {
    /// Makes and checks addresses with one key.
    #[must_use]
    pub fn new(current: Secret) -> Self {
        Self { current, old: Vec::new(), valid_days: VALID_DAYS }
    }

    /// Reads what a key made that was in use until a day, counted from 1970, for as long as that holds. Of more than
    /// [`OLD_KEYS_MAX`] the first are forgotten.
    #[must_use]
    pub fn with_old(mut self, secret: Secret, last_day: u64) -> Self {
        if self.old.len() >= OLD_KEYS_MAX {
            self.old.remove(0);
        }
        self.old.push(OldKey { secret, last_day });
        self
    }

    /// Takes addresses for so many days after they were made; a year at most.
    #[must_use]
    pub fn with_valid_days(mut self, valid_days: u16) -> Self {
        self.valid_days = valid_days.min(VALID_DAYS_MAX);
        self
    }

    /// The reverse-path with which mail leaves again that came with another. The null path stays, and so does one that
    /// is of the forwarding domain already. Days are counted from 1970.
    ///
    /// # Errors
    /// [`SrsError::TooLong`], [`SrsError::Malformed`] if the path is a broken SRS address.
    pub fn rewrite(
        &self,
        reverse_path: &ReversePath,
        forwarding_domain: &DomainName,
        now_day: u64,
    ) -> Result<ReversePath, SrsError> {
        let sender = match reverse_path {
            ReversePath::Address(sender) if sender.domain_name() != Some(forwarding_domain) => sender,
            ReversePath::Address(_) | ReversePath::Null => return Ok(reverse_path.clone()),
        };
        let host = domain_text(sender.domain());
        let user = sender.local_part();
        let local_part = if let Some(rest) = after_tag(user, "SRS0") {
            self.srs1(&host, rest)
        } else if after_tag(user, "SRS1").is_some() {
            // Custom, not an RFC: whoever rewrites an SRS1 address keeps the first forwarder and drops the one between.
            match parse(user)? {
                Parsed::One { host, rest, .. } => self.srs1(host, rest),
                Parsed::Zero { .. } => return Err(SrsError::Malformed),
            }
        } else {
            let stamp = stamp_of(now_day);
            let hash = short_hash(&self.current, &[&stamp, &host, user]);
            format!("SRS0={hash}={stamp}={host}={user}")
        };
        match Address::new(&local_part, AddressDomain::Name(forwarding_domain.clone())) {
            Ok(address) => Ok(ReversePath::Address(address)),
            Err(AddressError::TooLong) => Err(SrsError::TooLong),
            Err(_) => Err(SrsError::Malformed),
        }
    }

    /// `rest` begins with the separator of the other forwarder's address.
    fn srs1(&self, host: &str, rest: &str) -> String {
        let hash = short_hash(&self.current, &[host, rest]);
        format!("SRS1={hash}={host}={rest}")
    }

    /// Where mail to a rewritten address goes: to the sender, or to the forwarder who rewrote it first. Whether the
    /// address is of a domain of ours is for the caller to know. Days are counted from 1970.
    ///
    /// # Errors
    /// [`SrsError::NotSrs`] if it is an address like any other; what else can be wrong means that nobody has it.
    pub fn reverse(&self, address: &Address, now_day: u64) -> Result<Address, SrsError> {
        let parsed = parse(address.local_part())?;
        let (hash, signed) = match parsed {
            Parsed::Zero { hash, stamp, host, user } => (hash, vec![stamp, host, user]),
            Parsed::One { hash, host, rest } => (hash, vec![host, rest]),
        };
        if !self.keys(now_day).any(|key| is_hash(hash, key, &signed)) {
            return Err(SrsError::Forged);
        }
        let (local_part, host) = match parsed {
            Parsed::Zero { stamp, host, user, .. } => {
                let age = age_days(stamp, now_day).ok_or(SrsError::Malformed)?;
                if age > u64::from(self.valid_days) {
                    return Err(SrsError::Expired);
                }
                (user.to_owned(), host)
            }
            Parsed::One { host, rest, .. } => (format!("SRS0{rest}"), host),
        };
        let domain = domain_of(host).map_err(|_| SrsError::Malformed)?;
        Address::new(&local_part, domain).map_err(|_| SrsError::Malformed)
    }

    fn keys(&self, now_day: u64) -> impl Iterator<Item = &Secret> {
        let holds = move |key: &&OldKey| now_day.saturating_sub(key.last_day) <= u64::from(self.valid_days);
        std::iter::once(&self.current).chain(self.old.iter().filter(holds).map(|key| &key.secret))
    }
}

/// Whether a local part looks rewritten, here or elsewhere.
#[must_use]
pub fn is_rewritten(address: &Address) -> bool {
    ["SRS0", "SRS1"].iter().any(|tag| after_tag(address.local_part(), tag).is_some())
}

/// What follows a tag: a separator and more.
fn after_tag<'a>(local_part: &'a str, tag: &str) -> Option<&'a str> {
    let (start, rest) = local_part.split_at_checked(tag.len())?;
    (start.eq_ignore_ascii_case(tag) && rest.starts_with(['=', '+', '-'])).then_some(rest)
}

fn parse(local_part: &str) -> Result<Parsed<'_>, SrsError> {
    let is_whole = |parts: &[&str]| parts.iter().all(|part| !part.is_empty());
    if let Some(rest) = after_tag(local_part, "SRS0") {
        let mut parts = rest.get(1..).unwrap_or_default().splitn(4, '=');
        let mut next = || parts.next().unwrap_or_default();
        let (hash, stamp, host, user) = (next(), next(), next(), next());
        return is_whole(&[hash, stamp, host, user])
            .then_some(Parsed::Zero { hash, stamp, host, user })
            .ok_or(SrsError::Malformed);
    }
    let rest = after_tag(local_part, "SRS1").ok_or(SrsError::NotSrs)?;
    let mut parts = rest.get(1..).unwrap_or_default().splitn(3, '=');
    let mut next = || parts.next().unwrap_or_default();
    let (hash, host, rest) = (next(), next(), next());
    // What follows `SRS0` begins with a separator; else the address would lead to no SRS0 address.
    let is_guarded = is_whole(&[hash, host]) && rest.starts_with(['=', '+', '-']);
    is_guarded.then_some(Parsed::One { hash, host, rest }).ok_or(SrsError::Malformed)
}

/// The whole hash of an address's parts, in base64. Case does not count: there are hosts that change it.
fn full_hash(key: &Secret, parts: &[&str]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.reveal());
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part.to_ascii_lowercase().as_bytes()));
    STANDARD_NO_PAD.encode(context.sign())
}

fn short_hash(key: &Secret, parts: &[&str]) -> String {
    let mut hash = full_hash(key, parts);
    hash.truncate(HASH_OCTETS);
    hash
}

/// Whether a hash, as long as somebody wrote it, is of these parts.
fn is_hash(hash: &str, key: &Secret, parts: &[&str]) -> bool {
    let full = full_hash(key, parts).to_ascii_lowercase();
    let has_length = (HASH_OCTETS..=HASH_OCTETS_MAX).contains(&hash.len());
    has_length
        && full.as_bytes().get(..hash.len()).is_some_and(|expected| {
            constant_time::verify_slices_are_equal(expected, hash.to_ascii_lowercase().as_bytes()).is_ok()
        })
}

fn stamp_of(day: u64) -> String {
    let digit = |value: u64| DAY_DIGITS.get((value % 32) as usize).map_or('A', |digit| char::from(*digit));
    [digit(day / 32), digit(day)].into_iter().collect()
}

/// How long ago a timestamp was written, if it is one. That of tomorrow is as good as of today: clocks differ.
fn age_days(stamp: &str, now_day: u64) -> Option<u64> {
    let [high, low] = stamp.as_bytes() else { return None };
    let value = |octet: &u8| DAY_DIGITS.iter().position(|digit| *digit == octet.to_ascii_uppercase());
    let day = value(high)? * 32 + value(low)?;
    let age = (now_day % DAY_CYCLE + DAY_CYCLE - day as u64) % DAY_CYCLE;
    Some(if age == DAY_CYCLE - 1 { 0 } else { age })
}

fn domain_text(domain: &AddressDomain) -> String {
    match domain {
        AddressDomain::Name(name) => name.to_string(),
        AddressDomain::Literal(literal) => literal.to_string(),
    }
}

fn domain_of(host: &str) -> Result<AddressDomain, AddressError> {
    Ok(if host.starts_with('[') {
        AddressDomain::Literal(AddressLiteral::parse(host)?)
    } else {
        AddressDomain::Name(DomainName::parse(host)?)
    })
}

#[cfg(test)]
mod tests;
