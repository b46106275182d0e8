//! Where a domain's mail goes: its exchangers by preference, those of equal preference in random order, or else its own
//! addresses (RFC 5321 §5.1). A null MX takes none (RFC 7505). Where we are an exchanger ourselves, only better ones are
//! left: mail that went to equal or worse ones could come back for ever.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns::{LookupError, MailExchanger, Name, Resolver, Security};
use mail_types::{AddressLiteral, DomainName, Situation};

use crate::outbound::settings::{Loopback, OutboundSettings};

/// Exchangers of a domain that are looked at. Large providers name five; some domains name a hundred.
const EXCHANGERS_MAX: usize = 10;
/// Addresses of one exchanger.
const ADDRESSES_MAX: usize = 8;

/// A host to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    /// Its name, or its address in brackets.
    pub(crate) name: Box<str>,
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether its name was proven to be the domain's exchanger.
    pub(crate) security: Security,
    /// What DNS said of its name; nothing of a host that is named by its address.
    pub(crate) proof: Option<Proof>,
}

/// What DNS said of a host's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proof {
    /// The name that has the addresses, aliases followed.
    pub(crate) canonical: Name,
    /// How far the addresses are proven, each alias included.
    pub(crate) addresses: Security,
    /// The domain whose mail it takes, by each of its names.
    pub(crate) destination: Vec<Name>,
}

/// Why there is no host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoHost {
    /// There will be none.
    Never(Situation),
    /// There may be one later; in the words of the resolver.
    Later(Situation, String),
}

/// A domain's exchangers, looked up as they are needed.
pub(crate) struct Search<'a> {
    resolver: &'a Resolver,
    settings: &'a OutboundSettings,
    waiting: VecDeque<MailExchanger>,
    security: Security,
    /// The domain's names: its own, and the one that has the exchangers if that is another.
    names: Vec<Name>,
    /// There were hosts.
    has_found: bool,
    /// We have met ourselves.
    is_loop: bool,
    failed: Option<LookupError>,
}

impl<'a> Search<'a> {
    /// Asks for a domain's exchangers.
    pub(crate) async fn begin(
        resolver: &'a Resolver,
        settings: &'a OutboundSettings,
        domain: &DomainName,
    ) -> Result<Self, NoHost> {
        let domain = name_of(domain)?;
        let mut names = vec![domain.clone()];
        let (mut exchangers, security) = match resolver.mx(&domain).await {
            Ok(answer) => {
                if answer.canonical != domain {
                    names.push(answer.canonical);
                }
                (answer.records, answer.security)
            }
            Err(LookupError::NoData { security, .. }) => {
                (vec![MailExchanger { preference: 0, exchange: domain }], security)
            }
            Err(LookupError::NoSuchName { .. }) => return Err(NoHost::Never(Situation::NoSuchDomain)),
            Err(error) => return Err(later(&error)),
        };
        // RFC 7505 §3: beside others it has no meaning.
        exchangers.retain(|exchanger| !exchanger.exchange.is_root());
        if exchangers.is_empty() {
            return Err(NoHost::Never(Situation::NullMx));
        }
        let ours = exchangers.iter().find(|exchanger| is_our_name(settings, &exchanger.exchange));
        let ours = ours.map(|exchanger| exchanger.preference);
        if let Some(ours) = ours {
            exchangers.retain(|exchanger| exchanger.preference < ours);
        }
        exchangers.truncate(EXCHANGERS_MAX);
        Ok(Self {
            resolver,
            settings,
            waiting: exchangers.into(),
            security,
            names,
            has_found: false,
            is_loop: ours.is_some(),
            failed: None,
        })
    }

    /// The hosts of the next preference; none when all have been named.
    pub(crate) async fn next(&mut self) -> Option<Vec<Host>> {
        while let Some(first) = self.waiting.front() {
            let preference = first.preference;
            let mut hosts = Vec::new();
            while let Some(exchanger) =
                self.waiting.pop_front_if(|exchanger| exchanger.preference == preference)
            {
                match host(self.resolver, self.settings, &exchanger.exchange).await {
                    Ok(mut host) => {
                        host.security = host.security.min(self.security);
                        if let Some(proof) = &mut host.proof {
                            proof.destination.clone_from(&self.names);
                        }
                        hosts.push(host);
                    }
                    Err(NoAddress::Ourselves) => {
                        self.waiting.clear();
                        self.is_loop = true;
                        return None;
                    }
                    Err(NoAddress::Absent) => {}
                    Err(NoAddress::Failed(error)) => self.failed = Some(error),
                }
            }
            if !hosts.is_empty() {
                self.has_found = true;
                return Some(hosts);
            }
        }
        None
    }

    /// An exchanger that could not be looked up may be a host later.
    pub(crate) fn failure(&self) -> Option<NoHost> {
        self.failed.as_ref().map(later)
    }

    /// Why there was no host at all; `None` if there were.
    pub(crate) fn conclusion(&self) -> Option<NoHost> {
        match (self.has_found, &self.failed, self.is_loop) {
            (true, ..) => None,
            (false, Some(error), _) => Some(later(error)),
            (false, None, true) => Some(NoHost::Never(Situation::Loop)),
            (false, None, false) => Some(NoHost::Never(Situation::NoRoute)),
        }
    }
}

/// A relay's own addresses: no exchangers are asked for. `localhost` is this machine, whatever the DNS says (RFC 6761
/// §6.3): the operator may name another server here.
pub(crate) async fn relay_host(
    resolver: &Resolver,
    settings: &OutboundSettings,
    name: &DomainName,
) -> Result<Host, NoHost> {
    if name.as_str().eq_ignore_ascii_case("localhost") {
        let addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(Host { name: name.as_str().into(), addresses, security: Security::Secure, proof: None });
    }
    match host(resolver, settings, &name_of(name)?).await {
        Ok(host) => Ok(host),
        Err(NoAddress::Ourselves) => Err(NoHost::Later(Situation::Loop, "the relay is this server".into())),
        // The operator's settings are wrong, or the DNS is: mail waits until one of them is right.
        Err(NoAddress::Absent) => {
            Err(NoHost::Later(Situation::NoRoute, format!("the relay {name} has no address")))
        }
        Err(NoAddress::Failed(error)) => Err(later(&error)),
    }
}

/// A host that was named by its address.
pub(crate) fn literal_host(settings: &OutboundSettings, literal: AddressLiteral) -> Result<Host, NoHost> {
    if is_our_address(settings, literal.0) {
        return Err(NoHost::Never(Situation::Loop));
    }
    Ok(Host {
        name: literal.to_string().into(),
        addresses: vec![literal.0],
        // Nobody can have changed it on the way.
        security: Security::Secure,
        proof: None,
    })
}

enum NoAddress {
    Ourselves,
    Absent,
    Failed(LookupError),
}

async fn host(resolver: &Resolver, settings: &OutboundSettings, name: &Name) -> Result<Host, NoAddress> {
    let answer = match resolver.addresses(name, settings.families).await {
        Ok(answer) => answer,
        Err(error) if error.is_absence() => return Err(NoAddress::Absent),
        Err(error) => return Err(NoAddress::Failed(error)),
    };
    let proof = Proof { canonical: answer.canonical, addresses: answer.security, destination: Vec::new() };
    let mut addresses = answer.records;
    if addresses.iter().any(|&address| is_our_address(settings, address)) {
        return Err(NoAddress::Ourselves);
    }
    addresses.retain(|address| !address.is_multicast());
    if addresses.is_empty() {
        return Err(NoAddress::Absent);
    }
    keep_both_families(&mut addresses);
    // The addresses need no proof: whoever leads us elsewhere lacks the certificate for the name.
    Ok(Host { name: name.as_str().into(), addresses, security: Security::Secure, proof: Some(proof) })
}

/// Leaves some of either family, where there are too many.
fn keep_both_families(addresses: &mut Vec<IpAddr>) {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv6());
    let half = ADDRESSES_MAX / 2;
    let six_max = ADDRESSES_MAX.saturating_sub(four.len().min(half));
    let four_max = ADDRESSES_MAX.saturating_sub(six.len().min(half));
    *addresses = six.into_iter().take(six_max).chain(four.into_iter().take(four_max)).collect();
}

fn is_our_name(settings: &OutboundSettings, name: &Name) -> bool {
    let identities = settings.identities.values().chain([&settings.identity]).map(|ours| &ours.hello);
    identities.chain(&settings.own_names).any(|ours| ours.as_str().eq_ignore_ascii_case(name.as_str()))
}

fn is_our_address(settings: &OutboundSettings, address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_unspecified() {
        return true;
    }
    if address.is_loopback() && settings.loopback == Loopback::Ourselves {
        return true;
    }
    let is_of_identity = settings.identities.values().chain([&settings.identity]).any(|identity| {
        identity.ipv4.is_some_and(|ours| address == ours) || identity.ipv6.is_some_and(|ours| address == ours)
    });
    is_of_identity || settings.own_addresses.contains(&address)
}

fn name_of(domain: &DomainName) -> Result<Name, NoHost> {
    Name::parse(domain.as_str()).map_err(|_| NoHost::Never(Situation::NoSuchDomain))
}

fn later(error: &LookupError) -> NoHost {
    NoHost::Later(Situation::DnsFailure, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::{FixedRecords, RecordData};
    use mail_types::Address;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn settings() -> OutboundSettings {
        let report_from = Address::parse("postmaster@example.org").unwrap();
        OutboundSettings {
            own_addresses: vec![[192, 0, 2, 1].into()],
            ..OutboundSettings::new(DomainName::parse("mail.example.org").unwrap(), report_from)
        }
    }

    fn exchanger(names: &FixedRecords, preference: u16, host: &str, last_octet: u8) {
        let exchange = name(host);
        names.add(
            &name("far.example"),
            RecordData::Mx(MailExchanger { preference, exchange: exchange.clone() }),
        );
        names.add(&exchange, RecordData::Address([203, 0, 113, last_octet].into()));
    }

    /// The hosts by preference, `|` between preferences, and how the search ended.
    async fn search(names: &FixedRecords) -> String {
        let (resolver, settings) = (Resolver::fixed(names.clone()), settings());
        let domain = DomainName::parse("far.example").unwrap();
        let mut search = match Search::begin(&resolver, &settings, &domain).await {
            Ok(search) => search,
            Err(no_host) => return format!("{no_host:?}"),
        };
        let mut found = Vec::new();
        while let Some(hosts) = search.next().await {
            let mut names: Vec<&str> =
                hosts.iter().map(|host| host.name.split('.').next().unwrap()).collect();
            names.sort_unstable();
            found.push(names.join(" "));
        }
        match search.conclusion() {
            Some(no_host) => format!("{no_host:?}"),
            None => found.join("|"),
        }
    }

    #[tokio::test]
    async fn better_exchangers_come_first() {
        let names = FixedRecords::new();
        exchanger(&names, 20, "c.far.example", 3);
        exchanger(&names, 10, "a.far.example", 1);
        exchanger(&names, 10, "b.far.example", 2);
        assert_eq!(search(&names).await, "a b|c");
    }

    #[tokio::test]
    async fn a_null_exchanger_beside_others_means_nothing() {
        let names = FixedRecords::new();
        let null = MailExchanger { preference: 0, exchange: Name::root() };
        names.add(&name("far.example"), RecordData::Mx(null));
        assert_eq!(search(&names).await, "Never(NullMx)");
        exchanger(&names, 10, "a.far.example", 1);
        assert_eq!(search(&names).await, "a");
    }

    #[tokio::test]
    async fn what_is_as_good_as_we_are_or_worse_is_cut_off() {
        let names = FixedRecords::new();
        exchanger(&names, 10, "a.far.example", 1);
        exchanger(&names, 20, "mail.example.org", 2);
        exchanger(&names, 20, "b.far.example", 3);
        exchanger(&names, 30, "c.far.example", 4);
        assert_eq!(search(&names).await, "a");
        let names = FixedRecords::new();
        exchanger(&names, 10, "a.far.example", 1);
        exchanger(&names, 20, "us.far.example", 2);
        names.add(&name("us.far.example"), RecordData::Address([192, 0, 2, 1].into()));
        exchanger(&names, 30, "c.far.example", 4);
        assert_eq!(search(&names).await, "a");
        let names = FixedRecords::new();
        exchanger(&names, 10, "mail.example.org", 1);
        assert_eq!(search(&names).await, "Never(Loop)");
    }

    #[tokio::test]
    async fn this_machine_is_ourselves_by_any_address() {
        for octets in [[127, 0, 0, 1], [0, 0, 0, 0], [192, 0, 2, 1]] {
            let names = FixedRecords::new();
            names.add(&name("far.example"), RecordData::Address(octets.into()));
            assert_eq!(search(&names).await, "Never(Loop)");
        }
        let names = FixedRecords::new();
        names.add(&name("far.example"), RecordData::Address("::ffff:127.0.0.1".parse().unwrap()));
        assert_eq!(search(&names).await, "Never(Loop)");
    }

    #[tokio::test]
    async fn a_relay_at_localhost_is_on_this_machine() {
        let resolver = Resolver::fixed(FixedRecords::new());
        let localhost = DomainName::parse("localhost").unwrap();
        let host = relay_host(&resolver, &settings(), &localhost).await.unwrap();
        assert!(host.addresses.len() == 2 && host.addresses.iter().all(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn exchangers_without_addresses_are_passed_over() {
        let names = FixedRecords::new();
        exchanger(&names, 10, "a.far.example", 1);
        names.clear(&name("a.far.example"));
        assert_eq!(search(&names).await, "Never(NoRoute)");
        exchanger(&names, 20, "b.far.example", 2);
        assert_eq!(search(&names).await, "b");
        names.clear(&name("b.far.example"));
        for kind in [dns::RecordType::A, dns::RecordType::Aaaa] {
            names.fail(&name("b.far.example"), kind, LookupError::Timeout);
        }
        assert!(search(&names).await.starts_with("Later(DnsFailure"), "one of them may have some later");
    }

    #[tokio::test]
    async fn a_hundred_exchangers_are_not_all_asked() {
        for count in [EXCHANGERS_MAX - 1, EXCHANGERS_MAX, EXCHANGERS_MAX + 1] {
            let names = FixedRecords::new();
            for number in 0..count {
                let preference = u16::try_from(number).unwrap();
                exchanger(&names, preference, &format!("h{number}.far.example"), 1);
            }
            let found = search(&names).await.split('|').count();
            assert_eq!(found, count.min(EXCHANGERS_MAX));
        }
    }

    #[test]
    fn both_families_keep_some_of_many_addresses() {
        let six =
            |count: u16| (0..count).map(|at| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, at])).collect();
        let four = |count: u8| (0..count).map(|at| IpAddr::from([203, 0, 113, at])).collect::<Vec<_>>();
        for (sixes, fours, expected) in
            [(9, 0, (8, 0)), (0, 9, (0, 8)), (9, 2, (6, 2)), (9, 9, (4, 4)), (3, 4, (3, 4))]
        {
            let mut addresses: Vec<IpAddr> = six(sixes);
            addresses.extend(four(fours));
            keep_both_families(&mut addresses);
            let kept = addresses.iter().filter(|address| address.is_ipv6()).count();
            assert_eq!((kept, addresses.len() - kept), expected);
        }
    }
}
