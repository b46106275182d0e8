//! The world that checks look at: a signed zone with everything in it, and ways to spoil it.

use std::io::Write;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dns::{
    Authority, Families, Mode, Name, RecordData, RecordType, Resolver, RootHint, Settings, TrustAnchor,
};
use mail_types::{Address, DomainName};
use platform::clock::Clock;
use platform::egress::Egress;
use platform::metrics::Metrics;
use provision::{
    Certificate, Checker, Domain, Finding, Host, Key, Probes, Purpose, Services, Site, Status, Validation,
    Wanted, World,
};
use testkit::{NameWorld, Signing};

/// The domain that is looked at, and its host.
pub(crate) const DOMAIN: &str = "good.test";
pub(crate) const HOST: &str = "mail.good.test";
const KEY_RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// A world, a site in it, and what is looked at besides.
pub(crate) struct Place {
    pub(crate) names: NameWorld,
    /// The domain's name servers.
    pub(crate) servers: Vec<IpAddr>,
    pub(crate) site: Site,
    pub(crate) probes: Probes,
}

impl Place {
    /// A world where everything is as it should be.
    pub(crate) fn good(signing: Signing) -> Result<Self> {
        let place = Self::bare(signing)?;
        place.publish(&place.site.host_records()?)?;
        place.publish(&place.site.domain_records(&place.site.domains[0])?)?;
        // What a careful owner has after some weeks.
        place.names.clear("_dmarc.good.test");
        place.text("_dmarc.good.test", "v=DMARC1; p=reject; rua=mailto:postmaster@good.test");
        Ok(place)
    }

    /// The same world before anybody added a record.
    pub(crate) fn bare(signing: Signing) -> Result<Self> {
        let mut names = NameWorld::start(signing)?;
        names.zone("test", signing)?;
        names.zone("arpa", Signing::Unsigned)?;
        names.zone("list.test", Signing::Unsigned)?;
        let first = names.zone(DOMAIN, signing)?;
        let second = names.server(&[DOMAIN])?;
        names.delegate(DOMAIN, "ns2.good.test", second)?;
        // An exchanger of somebody else, which greets and no more.
        let exchanger = TcpListener::bind("127.0.0.1:0")?;
        let port = exchanger.local_addr()?.port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = exchanger.accept() {
                drop(stream.write_all(b"220 mx.test ESMTP\r\n"));
            }
        });
        let place =
            Self { names, servers: vec![first, second], site: site()?, probes: probes(signing, port)? };
        place.add("mx.test", &RecordData::address([127, 0, 0, 1]));
        place.add("2.0.0.127.list.test", &RecordData::address([127, 0, 0, 2]));
        Ok(place)
    }

    pub(crate) fn publish(&self, records: &[Wanted]) -> Result<()> {
        for wanted in records {
            for value in &wanted.values {
                let (kind, data) = wire(value).context("a record of a kind that is published")?;
                self.names.add_raw(wanted.name.as_str(), kind, data);
            }
        }
        Ok(())
    }

    pub(crate) fn add(&self, name: &str, record: &RecordData) {
        if let Some((kind, data)) = wire(record) {
            self.names.add_raw(name, kind, data);
        }
    }

    pub(crate) fn text(&self, name: &str, text: &str) {
        self.add(name, &RecordData::Text(text.as_bytes().to_vec()));
    }

    /// Gives a name this one text instead of all it had.
    pub(crate) fn only_text(&self, name: &str, text: &str) {
        self.names.clear(name);
        self.text(name, text);
    }

    pub(crate) async fn check_domain(&self) -> Result<Vec<Finding>> {
        let world = self.world()?;
        Ok(Checker::new(&world, &self.site, &self.probes).domain(&self.site.domains[0]).await)
    }

    pub(crate) async fn check_host(&self) -> Result<Vec<Finding>> {
        let world = self.world()?;
        Ok(Checker::new(&world, &self.site, &self.probes).host().await)
    }

    /// Seen for the first time: nothing is remembered from a former check.
    pub(crate) fn world(&self) -> Result<World> {
        let mut settings = Settings {
            mode: Mode::Recursive { root_hints: vec![RootHint(self.names.root())] },
            trust_anchors: self.names.trust_anchor().map(TrustAnchor::RootKey).into_iter().collect(),
            allowed_servers: vec!["127.0.0.0/8".parse()?],
            server_port: self.names.port(),
            families: Families::Ipv4,
            ..Settings::default()
        };
        settings.bounds.query_time_max = Duration::from_millis(500);
        let resolver = Resolver::new(&settings, Clock::system(), &Metrics::default())?;
        Ok(World::new(resolver, Authority::new(&settings), Families::Ipv4))
    }
}

fn site() -> Result<Site> {
    let host = Host {
        name: DomainName::parse(HOST)?,
        greeting: DomainName::parse(HOST)?,
        addresses: vec!["192.0.2.7".parse()?, "2001:db8::7".parse()?],
        senders: Vec::new(),
        services: Services {
            submissions: Some(465),
            submission: Some(587),
            imaps: Some(993),
            ..Services::default()
        },
        certificate_keys: vec![[7; 32]],
        certificate_issuers: vec!["letsencrypt.org".into()],
    };
    let domain = Domain {
        name: DomainName::parse(DOMAIN)?,
        identity: None,
        keys: vec![Key { selector: "s1".into(), record: KEY_RECORD.into(), purpose: Purpose::SigningKey }],
        encryption_policy: None,
        reports_to: Address::parse("postmaster@good.test")?,
    };
    Ok(Site { host, domains: vec![domain] })
}

fn probes(signing: Signing, port: u16) -> Result<Probes> {
    Ok(Probes {
        certificate: Some(Certificate { names: vec![HOST.into()], is_self_signed: false }),
        block_lists: vec![Name::parse("list.test")?],
        mail_host: Some((Name::parse("mx.test")?, port)),
        egress: Egress {
            ipv4: None,
            ipv6: None,
            connect_timeout: Duration::from_secs(5),
            fall_over: Duration::from_millis(50),
        },
        validation: if signing == Signing::Signed { Validation::On } else { Validation::Off },
    })
}

/// A record as it goes over the wire.
fn wire(record: &RecordData) -> Option<(u16, Vec<u8>)> {
    let name = |name: &Name| {
        let mut wire = Vec::new();
        for label in name.as_str().split('.').filter(|label| !label.is_empty()) {
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    };
    Some(match record {
        RecordData::Address(IpAddr::V4(four)) => (1, four.octets().to_vec()),
        RecordData::Address(IpAddr::V6(six)) => (28, six.octets().to_vec()),
        RecordData::Mx(mx) => (15, [mx.preference.to_be_bytes().to_vec(), name(&mx.exchange)].concat()),
        RecordData::Text(text) => {
            let strings = text.chunks(255).flat_map(|part| {
                let length = u8::try_from(part.len()).unwrap_or(0);
                std::iter::once(length).chain(part.iter().copied())
            });
            (16, strings.collect())
        }
        RecordData::Tlsa(tlsa) => {
            (52, [vec![tlsa.usage, tlsa.selector, tlsa.matching], tlsa.data.clone()].concat())
        }
        RecordData::Service(place) => {
            let numbers = [place.priority, place.weight, place.port].map(u16::to_be_bytes).concat();
            (33, [numbers, name(&place.host)].concat())
        }
        RecordData::Authorization(caa) => {
            let length = u8::try_from(caa.tag.len()).unwrap_or(0);
            (257, [vec![0, length], caa.tag.clone().into_bytes(), caa.value.clone()].concat())
        }
        RecordData::Name(RecordType::Ptr, target) => (12, name(target)),
        RecordData::Name(RecordType::Cname, target) => (5, name(target)),
        RecordData::Name(..) | RecordData::Other(..) => return None,
    })
}

/// The findings that are not as they should be.
pub(crate) fn faults(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.status != Status::Right).collect()
}

/// That something of this status was found about it, with these words, and that it says what follows and what to do.
pub(crate) fn ensure_found(findings: &[Finding], about: &str, status: Status, what: &str) -> Result<()> {
    let found = findings.iter().find(|finding| {
        finding.about.contains(about) && finding.status == status && finding.what.contains(what)
    });
    let found = found.with_context(|| format!("no {status:?} about {about} saying {what}: {findings:#?}"))?;
    ensure!(!found.causes.is_empty() && !found.remedy.is_empty(), "{found:?}");
    Ok(())
}
