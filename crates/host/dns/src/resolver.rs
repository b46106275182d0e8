//! The resolver: typed questions, answered from the cache, from a question that is already open, or from the network.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::tasks::Shutdown;

use crate::answer::{Answer, LookupError};
use crate::fixed::FixedRecords;
use crate::name::Name;
use crate::question::Questions;
use crate::record::{MailExchanger, RecordData, RecordType, TlsaRecord};
use crate::settings::{Families, Settings, SettingsError};
use crate::trail::Step;

/// Asks DNS. Clones share the cache and the bounds.
#[derive(Clone)]
pub struct Resolver(Arc<Source>);

enum Source {
    Network(Questions),
    Fixed(FixedRecords),
}

impl Resolver {
    /// A resolver as `settings` say. It opens no socket before the first question. To be called inside a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: &Settings, clock: Clock, metrics: &Metrics) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(Source::Network(Questions::new(settings, clock, metrics)?))))
    }

    /// A resolver that knows what it was told and nothing else: for tests.
    #[must_use]
    pub fn fixed(records: FixedRecords) -> Self {
        Self(Arc::new(Source::Fixed(records)))
    }

    /// What has to be done between questions: asks again for answers that are wanted often before they end. To be
    /// spawned once, as a task; it ends at `stop`.
    pub async fn tend(self, stop: Shutdown) {
        let Source::Network(questions) = &*self.0 else { return };
        // Questions that are open lose their answers: nobody waits for them.
        tokio::select! {
            () = stop.triggered() => {}
            () = questions.refresh() => {}
        }
    }

    /// The records of one type that a name has, aliases (CNAME) followed, in the order of the answer.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn resolve(&self, name: &Name, kind: RecordType) -> Result<Answer<RecordData>, LookupError> {
        match &*self.0 {
            Source::Network(questions) => questions.ask(name, kind).await,
            Source::Fixed(records) => records.lookup(name, kind),
        }
    }

    /// The same, asked of the network whatever is known already, with every query that it took: for people who want to
    /// see the way.
    ///
    /// # Errors
    /// [`LookupError`], beside the way that led to it.
    pub async fn trace(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> (Result<Answer<RecordData>, LookupError>, Vec<Step>) {
        match &*self.0 {
            Source::Network(questions) => questions.trace(name, kind).await,
            Source::Fixed(records) => (records.lookup(name, kind), Vec::new()),
        }
    }

    /// A host's addresses of the families given, IPv6 first.
    ///
    /// Both families are asked at the same time. If one gives addresses and the other fails, the answer has the ones
    /// there are; the answer is only as secure as the least secure part of it.
    ///
    /// # Errors
    /// [`LookupError`]; an absence only when no family failed.
    pub async fn addresses(&self, name: &Name, families: Families) -> Result<Answer<IpAddr>, LookupError> {
        let answer = match families {
            Families::Ipv4 => self.resolve(name, RecordType::A).await?,
            Families::Ipv6 => self.resolve(name, RecordType::Aaaa).await?,
            Families::Both => {
                let (six, four) =
                    tokio::join!(self.resolve(name, RecordType::Aaaa), self.resolve(name, RecordType::A));
                both(six, four)?
            }
        };
        Ok(answer.filter_map(|record| match record {
            RecordData::Address(address) => Some(address),
            _ => None,
        }))
    }

    /// A domain's mail exchangers, lowest preference first, those of equal preference in random order (RFC 5321 §5.1).
    /// A null MX (RFC 7505) is an exchanger whose name is the root.
    ///
    /// # Errors
    /// [`LookupError`]; [`LookupError::NoData`] means that the domain's own addresses take its mail, if it has any.
    pub async fn mx(&self, domain: &Name) -> Result<Answer<MailExchanger>, LookupError> {
        let mut answer = self.resolve(domain, RecordType::Mx).await?.filter_map(|record| match record {
            RecordData::Mx(exchanger) => Some(exchanger),
            _ => None,
        });
        answer.records.sort_by_cached_key(|exchanger| (exchanger.preference, random()));
        Ok(answer)
    }

    /// A name's texts, each with its character-strings joined (RFC 7208 §3.3). Any octets.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn txt(&self, name: &Name) -> Result<Answer<Vec<u8>>, LookupError> {
        Ok(self.resolve(name, RecordType::Txt).await?.filter_map(|record| match record {
            RecordData::Text(text) => Some(text),
            _ => None,
        }))
    }

    /// The TLSA records of a TCP port of a host (RFC 6698 §3). Only those of a [`Secure`](crate::Security::Secure)
    /// answer mean anything.
    ///
    /// # Errors
    /// [`LookupError`]; a failure that is no absence must not be taken for "no TLSA records" (RFC 7672 §2.1.2).
    pub async fn tlsa(&self, port: u16, host: &Name) -> Result<Answer<TlsaRecord>, LookupError> {
        // A host whose name leaves no room for the prefix cannot have the records.
        let name = Name::tlsa(port, host).map_err(|_| LookupError::NoSuchName {
            security: crate::Security::Insecure,
            valid_for: std::time::Duration::ZERO,
        })?;
        Ok(self.resolve(&name, RecordType::Tlsa).await?.filter_map(|record| match record {
            RecordData::Tlsa(tlsa) => Some(tlsa),
            _ => None,
        }))
    }

    /// The names that an address's owner gives it (RFC 1035 §3.5). A claim: it is true of a name only if that name has
    /// the address too.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn ptr(&self, address: IpAddr) -> Result<Answer<Name>, LookupError> {
        Ok(self.resolve(&Name::reverse(address), RecordType::Ptr).await?.filter_map(|record| match record {
            RecordData::Name(RecordType::Ptr, name) => Some(name),
            _ => None,
        }))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Source::Network(_) => "Resolver",
            Source::Fixed(_) => "Resolver(fixed)",
        })
    }
}

/// What two families' answers come to.
fn both(
    six: Result<Answer<RecordData>, LookupError>,
    four: Result<Answer<RecordData>, LookupError>,
) -> Result<Answer<RecordData>, LookupError> {
    match (six, four) {
        (Ok(mut six), Ok(four)) => {
            six.records.extend(four.records);
            six.security = six.security.min(four.security);
            six.valid_for = six.valid_for.min(four.valid_for);
            Ok(six)
        }
        (Ok(mut answer), Err(other)) | (Err(other), Ok(mut answer)) => {
            answer.security = answer.security.min(other.security().unwrap_or(answer.security));
            Ok(answer)
        }
        // "Nothing there" may be said only when both said so.
        (Err(six), Err(four)) => Err(if six.is_absence() { four } else { six }),
    }
}

/// A number nobody can foretell, to spread load over hosts of equal preference; without randomness they stay in order.
fn random() -> u64 {
    let mut octets = [0; 8];
    match rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(octets),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::Security;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn mx(preference: u16, exchange: &str) -> RecordData {
        RecordData::Mx(MailExchanger { preference, exchange: name(exchange) })
    }

    #[tokio::test]
    async fn exchangers_come_by_preference_and_equal_ones_by_chance() {
        let domain = name("example.org");
        let records = FixedRecords::new().with(&domain, mx(20, "last.example.org"));
        for host in ["a.example.org", "b.example.org", "c.example.org"] {
            records.add(&domain, mx(10, host));
        }
        let resolver = Resolver::fixed(records);
        let mut firsts = std::collections::BTreeSet::new();
        // Three hosts: that one of them never comes first in 200 tries has odds of 3·(2/3)^200.
        for _ in 0..200 {
            let answer = resolver.mx(&domain).await.unwrap();
            assert_eq!(answer.records.last().unwrap().exchange, name("last.example.org"));
            firsts.insert(answer.records[0].exchange.clone());
        }
        assert_eq!(firsts.len(), 3);
    }

    #[tokio::test]
    async fn a_null_mx_is_seen_by_whoever_asks() {
        let resolver = Resolver::fixed(FixedRecords::new().with(&name("example.org"), mx(0, ".")));
        let answer = resolver.mx(&name("example.org")).await.unwrap();
        assert!(answer.records[0].exchange.is_root());
    }

    #[tokio::test]
    async fn one_family_that_fails_does_not_hide_the_other() {
        let host = name("mx.example.org");
        let four: IpAddr = "192.0.2.7".parse().unwrap();
        let records = FixedRecords::new().with(&host, RecordData::Address(four));
        records.set_security(&host, Security::Secure);
        let resolver = Resolver::fixed(records.clone());
        let answer = resolver.addresses(&host, Families::Both).await.unwrap();
        assert_eq!((answer.records, answer.security), (vec![four], Security::Secure));

        records.fail(&host, RecordType::Aaaa, LookupError::Timeout);
        assert_eq!(resolver.addresses(&host, Families::Both).await.unwrap().records, [four]);
        assert_eq!(resolver.addresses(&host, Families::Ipv6).await, Err(LookupError::Timeout));

        // No IPv4 address, and IPv6 is not known: that is not "no address".
        let other = name("other.example.org");
        records.add(&other, RecordData::Text(b"here".to_vec()));
        records.fail(&other, RecordType::Aaaa, LookupError::Timeout);
        assert_eq!(resolver.addresses(&other, Families::Both).await, Err(LookupError::Timeout));
    }

    #[tokio::test]
    async fn aliases_are_followed_and_only_as_secure_as_their_least() {
        let (alias, host) = (name("www.example.org"), name("host.example.net"));
        let records = FixedRecords::new()
            .with(&alias, RecordData::Name(RecordType::Cname, host.clone()))
            .with(&host, RecordData::Text(b"text".to_vec()));
        records.set_security(&alias, Security::Secure);
        let resolver = Resolver::fixed(records.clone());
        let answer = resolver.txt(&alias).await.unwrap();
        assert_eq!((answer.canonical, answer.security), (host.clone(), Security::Insecure));
        records.set_security(&host, Security::Secure);
        assert_eq!(resolver.txt(&alias).await.unwrap().security, Security::Secure);

        let circle = name("circle.example.org");
        records.add(&circle, RecordData::Name(RecordType::Cname, circle.clone()));
        assert!(matches!(resolver.txt(&circle).await, Err(LookupError::Excessive(_))));
    }

    #[tokio::test]
    async fn absences_are_told_apart() {
        let resolver = Resolver::fixed(FixedRecords::new().with(&name("example.org"), mx(0, ".")));
        let absent = resolver.txt(&name("nowhere.example.org")).await.unwrap_err();
        assert!(matches!(absent, LookupError::NoSuchName { security: Security::Insecure, .. }));
        let absent = resolver.txt(&name("example.org")).await.unwrap_err();
        assert!(matches!(absent, LookupError::NoData { valid_for, .. } if valid_for > Duration::ZERO));
        assert!(absent.is_absence() && !LookupError::Timeout.is_absence());
        assert!(resolver.ptr("192.0.2.7".parse().unwrap()).await.unwrap_err().is_absence());
        let long = Name::parse(&"a.".repeat(126)).unwrap();
        assert!(resolver.tlsa(25, &long).await.unwrap_err().is_absence());
    }
}
