//! What becomes of the protection of connections, as reports to their owners tell it (RFC 8460): each try is a
//! [`TlsResult`], and a [`TlsTally`] counts them by day, domain and policy.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mail_types::DomainName;
use parking_lot::Mutex;
use platform::clock::Timestamp;
use sender_auth::reports::{TlsFailureType, TlsPolicyType};

/// Days that are counted side by side: today, and yesterday until its report has left.
pub const TALLY_DAYS_MAX: usize = 2;
/// Policies of one day, of all domains together; beyond them nothing is counted.
pub const TALLY_POLICIES_MAX: usize = 10_000;
/// Kinds of failure of one policy on one day; what does not fit is counted without its details.
pub const TALLY_FAILURES_MAX: usize = 50;
/// Octets of what is counted on one day, names and texts included: ten thousand policies of usual length.
pub const TALLY_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// What an entry takes beside its texts, about.
const ENTRY_OCTETS: usize = 256;

const DAY_SECONDS: i64 = 86_400;

/// Takes results. Called while connections are made: must be quick and must not block.
pub type TlsResultSink = Arc<dyn Fn(&TlsResult) + Send + Sync>;

/// What one try to protect a connection came to.
#[derive(Clone, Debug)]
pub struct TlsResult {
    /// When.
    pub time: Timestamp,
    /// Whose mail it was for.
    pub domain: DomainName,
    /// The policy that was applied.
    pub policy: AppliedPolicy,
    /// Where it was tried; nowhere when the policy itself could not be had.
    pub place: Option<TlsPlace>,
    /// What failed; nothing if the connection was protected as it should be.
    pub failure: Option<TlsFailureType>,
    /// More of it, in words.
    pub detail: Box<str>,
}

/// Between which hosts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TlsPlace {
    /// The exchanger.
    pub host: Box<str>,
    /// Its address, where it was reached.
    pub address: Option<IpAddr>,
    /// The name we gave ourselves.
    pub hello: DomainName,
}

/// A policy as its domain published it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AppliedPolicy {
    /// Its kind.
    pub kind: TlsPolicyType,
    /// Its text, line by line; TLSA records one by one.
    pub texts: Vec<String>,
    /// The patterns of exchangers that it names (MTA-STS).
    pub exchangers: Vec<String>,
}

impl AppliedPolicy {
    /// What a domain without a policy has.
    #[must_use]
    pub fn none() -> Self {
        Self { kind: TlsPolicyType::NoPolicyFound, texts: Vec::new(), exchangers: Vec::new() }
    }

    fn octets(&self) -> usize {
        self.texts.iter().chain(&self.exchangers).map(String::len).sum()
    }
}

/// Counts results by day, domain and policy. Clones count together.
#[derive(Clone, Default, Debug)]
pub struct TlsTally(Arc<Mutex<BTreeMap<TallyDay, Day>>>);

/// A day of UTC, counted from 1970 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TallyDay(pub i64);

impl TallyDay {
    /// The day of a time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.unix_seconds().div_euclid(DAY_SECONDS))
    }
}

#[derive(Default, Debug)]
struct Day {
    policies: BTreeMap<(DomainName, AppliedPolicy), PolicyTally>,
    octets: usize,
}

/// What became of the connections that one policy was applied to, on one day.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PolicyTally {
    /// Connections that were protected as they should be.
    pub successes: u64,
    /// Connections that were not, the known failures and all others.
    pub failures: u64,
    /// How often what failed, and where.
    pub details: BTreeMap<FailureDetail, u64>,
}

/// What failed, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FailureDetail {
    /// What.
    pub failure: TlsFailureType,
    /// Where.
    pub place: Option<TlsPlace>,
    /// The words of the first such failure.
    pub detail: Box<str>,
}

impl TlsTally {
    /// Counts a result. Of the days that are counted the latest stay.
    pub fn record(&self, result: &TlsResult) {
        let mut days = self.0.lock();
        let day = TallyDay::of(result.time);
        days.entry(day).or_default();
        while days.len() > TALLY_DAYS_MAX {
            days.pop_first();
        }
        if let Some(day) = days.get_mut(&day) {
            day.count(result);
        }
    }

    /// Takes what was counted on a day: for its reports.
    #[must_use]
    pub fn take(&self, day: TallyDay) -> Vec<(DomainName, AppliedPolicy, PolicyTally)> {
        let taken = self.0.lock().remove(&day).unwrap_or_default();
        taken.policies.into_iter().map(|((domain, policy), tally)| (domain, policy, tally)).collect()
    }
}

impl Day {
    fn count(&mut self, result: &TlsResult) {
        let key = (result.domain.clone(), result.policy.clone());
        if !self.policies.contains_key(&key) {
            let octets = ENTRY_OCTETS + result.domain.as_str().len() + result.policy.octets();
            if self.policies.len() >= TALLY_POLICIES_MAX || self.octets + octets > TALLY_OCTETS_MAX {
                return;
            }
            self.octets += octets;
        }
        let tally = self.policies.entry(key).or_default();
        let Some(failure) = result.failure else {
            tally.successes += 1;
            return;
        };
        tally.failures += 1;
        let is_same = |detail: &FailureDetail| detail.failure == failure && detail.place == result.place;
        if let Some((_, count)) = tally.details.iter_mut().find(|(detail, _)| is_same(detail)) {
            *count += 1;
            return;
        }
        let octets =
            ENTRY_OCTETS + result.detail.len() + result.place.as_ref().map_or(0, |place| place.host.len());
        if tally.details.len() < TALLY_FAILURES_MAX && self.octets + octets <= TALLY_OCTETS_MAX {
            self.octets += octets;
            let detail =
                FailureDetail { failure, place: result.place.clone(), detail: result.detail.clone() };
            tally.details.insert(detail, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_795_651_200);

    fn result(time: Timestamp, domain: &str, failure: Option<TlsFailureType>, host: &str) -> TlsResult {
        let hello = DomainName::parse("mail.example.org").unwrap();
        TlsResult {
            time,
            domain: DomainName::parse(domain).unwrap(),
            policy: AppliedPolicy::none(),
            place: Some(TlsPlace { host: host.into(), address: None, hello }),
            failure,
            detail: "".into(),
        }
    }

    fn later(days: i64) -> Timestamp {
        Timestamp::from_unix_seconds(NOON.unix_seconds() + days * DAY_SECONDS)
    }

    #[test]
    fn results_are_counted_by_day_domain_and_kind() {
        let tally = TlsTally::default();
        let failure = Some(TlsFailureType::CertificateExpired);
        for host in ["a.example", "b.example", "a.example"] {
            tally.record(&result(NOON, "example.com", failure, host));
        }
        tally.record(&result(NOON, "example.com", None, "a.example"));
        tally.record(&result(NOON, "example.net", None, "a.example"));
        tally.record(&result(later(1), "example.com", None, "a.example"));
        let counted = tally.take(TallyDay::of(NOON));
        assert_eq!(counted.len(), 2);
        let (domain, _, com) = &counted[0];
        assert_eq!((domain.as_str(), com.successes, com.failures), ("example.com", 1, 3));
        assert_eq!(com.details.values().copied().collect::<Vec<_>>(), [2, 1]);
        assert!(tally.take(TallyDay::of(NOON)).is_empty());
        assert_eq!(tally.take(TallyDay::of(later(1))).len(), 1);
    }

    #[test]
    fn old_days_make_room() {
        for (days, kept) in [(TALLY_DAYS_MAX - 1, true), (TALLY_DAYS_MAX, false), (TALLY_DAYS_MAX + 1, false)]
        {
            let tally = TlsTally::default();
            for day in 0..=i64::try_from(days).unwrap() {
                tally.record(&result(later(day), "example.com", None, "a.example"));
            }
            assert_eq!(!tally.take(TallyDay::of(NOON)).is_empty(), kept, "{days}");
        }
        let tally = TlsTally::default();
        for day in 1..=i64::try_from(TALLY_DAYS_MAX).unwrap() {
            tally.record(&result(later(day), "example.com", None, "a.example"));
        }
        tally.record(&result(NOON, "example.com", None, "a.example"));
        assert!(tally.take(TallyDay::of(NOON)).is_empty(), "nothing is counted for a day that was reported");
    }

    #[test]
    fn the_tally_does_not_grow_for_ever() {
        let tally = TlsTally::default();
        for number in 0..=TALLY_POLICIES_MAX {
            tally.record(&result(NOON, &format!("d{number}.example"), None, "a.example"));
            if number + 2 > TALLY_POLICIES_MAX {
                let counted = tally.0.lock()[&TallyDay::of(NOON)].policies.len();
                assert_eq!(counted, (number + 1).min(TALLY_POLICIES_MAX));
            }
        }
        tally.record(&result(NOON, "d0.example", None, "a.example"));
        assert_eq!(tally.take(TallyDay::of(NOON))[0].2.successes, 2);
        for hosts in [TALLY_FAILURES_MAX - 1, TALLY_FAILURES_MAX, TALLY_FAILURES_MAX + 1] {
            for host in 0..hosts {
                let failure = Some(TlsFailureType::TlsaInvalid);
                tally.record(&result(NOON, "example.com", failure, &format!("h{host}.example")));
            }
            let (_, _, counted) = tally.take(TallyDay::of(NOON)).remove(0);
            assert_eq!(counted.failures, hosts as u64);
            assert_eq!(counted.details.len(), hosts.min(TALLY_FAILURES_MAX));
        }
    }

    #[test]
    fn long_texts_do_not_fill_the_memory() {
        let long = |octets: usize| {
            let mut result = result(NOON, "example.com", None, "a.example");
            result.policy.texts = vec!["x".repeat(octets)];
            result
        };
        let most = TALLY_OCTETS_MAX - ENTRY_OCTETS - "example.com".len();
        for (octets, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
            let tally = TlsTally::default();
            tally.record(&long(octets));
            let mut failed = long(octets);
            failed.failure = Some(TlsFailureType::ValidationFailure);
            tally.record(&failed);
            let counted = tally.take(TallyDay::of(NOON));
            assert_eq!(counted.len(), usize::from(fits), "{octets}");
            assert!(counted.iter().all(|(_, _, tally)| tally.failures == 1 && tally.details.is_empty()));
        }
    }
}
