//! From what a server is and offers to the records that its host and its domains need.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dns::{Authorization, MailExchanger, Name, NameError, RecordData, RecordType, ServiceHost, TlsaRecord};
use mail_types::{Address, DomainName};
use sender_auth::mta_sts::PolicyId;

use crate::record::{Purpose, Wanted};

/// The server.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name: in greetings, certificates and MX records.
    pub name: DomainName,
    /// The name it greets other servers with: commonly the same.
    pub greeting: DomainName,
    /// Where the world reaches it; none where that is not known here.
    pub addresses: Vec<IpAddr>,
    /// The addresses from which its mail leaves, where they are told; else it leaves from those above.
    pub senders: Vec<IpAddr>,
    /// What it offers to mail programs.
    pub services: Services,
    /// SHA-256 of the public keys (SubjectPublicKeyInfo) of the certificates that port 25 shows, or soon will.
    pub certificate_keys: Vec<[u8; 32]>,
    /// Who issues its certificates, as CAA records name them: `letsencrypt.org`.
    pub certificate_issuers: Vec<String>,
}

/// What mail programs are offered, at which port. What is not offered is said to be so.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Services {
    /// Sending, TLS from the start.
    pub submissions: Option<u16>,
    /// Sending, STARTTLS.
    pub submission: Option<u16>,
    /// Reading by IMAP, TLS from the start.
    pub imaps: Option<u16>,
    /// Reading by IMAP, STARTTLS.
    pub imap: Option<u16>,
    /// Writing Sieve scripts by ManageSieve, STARTTLS.
    pub sieve: Option<u16>,
    /// JMAP over HTTPS.
    pub jmap: Option<u16>,
    /// Files from which mail programs set themselves up, over HTTPS.
    pub configuration: Option<u16>,
}

/// A domain whose mail is the server's.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// How its mail leaves, if not as the host's.
    pub identity: Option<Identity>,
    /// The keys that sign its mail, will sign it, or have signed what is still under way.
    pub keys: Vec<Key>,
    /// Which MTA-STS policy is served for it, if one is.
    pub encryption_policy: Option<PolicyId>,
    /// Who reads what others report.
    pub reports_to: Address,
}

/// Another name and other addresses under which a domain's mail leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name that it greets with.
    pub greeting: DomainName,
    /// The addresses that it leaves from.
    pub addresses: Vec<IpAddr>,
}

/// A key that is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its selector.
    pub selector: String,
    /// The text of its record.
    pub record: String,
    /// [`Purpose::SigningKey`] or [`Purpose::RetiredKey`].
    pub purpose: Purpose,
}

/// The port of mail from other servers, whose certificate DANE is about.
const SMTP_PORT: u16 = 25;
/// Ports of services, by preference: what begins with TLS comes first (RFC 8314 §3). POP3 is never offered.
const PREFERRED: u16 = 0;
const SECOND: u16 = 10;

/// A server and the domains whose mail is its own.
#[derive(Clone, Debug)]
pub struct Site {
    /// The server.
    pub host: Host,
    /// Its domains.
    pub domains: Vec<Domain>,
}

impl Site {
    /// The records of the host itself.
    ///
    /// # Errors
    /// When a name below the host's is longer than DNS carries.
    pub fn host_records(&self) -> Result<Vec<Wanted>, NameError> {
        let host = &self.host;
        let (name, greeting) = (dns_name(&host.name)?, dns_name(&host.greeting)?);
        let mut wanted = host_addresses(&name, &host.addresses);
        wanted.extend(reverse_names(host.addresses.iter().chain(&host.senders), &greeting));
        // A domain of that name has its own policy; a second record at one name is a fault.
        if self.domains.iter().all(|domain| domain.name != host.greeting) {
            let policy = sender_policy("a", &host.addresses, &host.senders);
            wanted.push(Wanted::new(greeting, Purpose::GreetingPolicy, vec![text(policy)]));
        }
        if !host.certificate_keys.is_empty() {
            let hashes = host.certificate_keys.iter().map(|hash| {
                RecordData::Tlsa(TlsaRecord { usage: 3, selector: 1, matching: 1, data: hash.to_vec() })
            });
            wanted.push(Wanted::new(
                Name::tlsa(SMTP_PORT, &name)?,
                Purpose::CertificateKey,
                hashes.collect(),
            ));
        }
        if !host.certificate_issuers.is_empty() {
            let issuers = host.certificate_issuers.iter().map(|issuer| {
                let value = issuer.as_bytes().to_vec();
                RecordData::Authorization(Authorization {
                    is_critical: false,
                    tag: "issue".to_owned(),
                    value,
                })
            });
            wanted.push(Wanted::new(name, Purpose::CertificateIssuer, issuers.collect()));
        }
        Ok(wanted)
    }

    /// The records of one domain; those of the host are not among them, even if it has the same name.
    ///
    /// # Errors
    /// When a name below the domain's is longer than DNS carries.
    pub fn domain_records(&self, domain: &Domain) -> Result<Vec<Wanted>, NameError> {
        let host = &self.host;
        let (name, host_name) = (dns_name(&domain.name)?, dns_name(&host.name)?);
        let below = |label: &str| Name::parse(&format!("{label}.{name}"));
        let exchanger = MailExchanger { preference: 10, exchange: host_name.clone() };
        let senders = domain.identity.as_ref().map_or(&host.senders, |identity| &identity.addresses);
        let policy = sender_policy("mx", &host.addresses, senders);
        let mut wanted = vec![
            Wanted::new(name.clone(), Purpose::Exchanger, vec![RecordData::Mx(exchanger)]),
            Wanted::new(name.clone(), Purpose::SenderPolicy, vec![text(policy)]),
        ];
        for key in &domain.keys {
            let owner = below(&format!("{}._domainkey", key.selector))?;
            wanted.push(Wanted::new(owner, key.purpose, vec![text(key.record.clone())]));
        }
        let reports_to = &domain.reports_to;
        let policy = format!("v=DMARC1; p=none; rua=mailto:{reports_to}");
        wanted.push(Wanted::new(below("_dmarc")?, Purpose::AuthorPolicy, vec![text(policy)]));
        if let Some(id) = &domain.encryption_policy {
            let owner = below("_mta-sts")?;
            wanted.push(Wanted::new(owner, Purpose::EncryptionPolicy, vec![text(id.write_record())]));
            let alias = RecordData::Name(RecordType::Cname, host_name.clone());
            wanted.push(Wanted::new(below("mta-sts")?, Purpose::EncryptionPolicyHost, vec![alias]));
        }
        let reports = format!("v=TLSRPTv1; rua=mailto:{reports_to}");
        wanted.push(Wanted::new(below("_smtp._tls")?, Purpose::EncryptionReports, vec![text(reports)]));
        wanted.extend(services(&name, &host_name, host.services)?);
        if let Some(identity) = &domain.identity {
            wanted.extend(reverse_names(identity.addresses.iter(), &dns_name(&identity.greeting)?));
        }
        Ok(wanted)
    }
}

fn host_addresses(name: &Name, addresses: &[IpAddr]) -> Vec<Wanted> {
    let of_family = |is_wanted: fn(&IpAddr) -> bool| -> Vec<RecordData> {
        addresses.iter().filter(|a| is_wanted(a)).map(|a| RecordData::Address(*a)).collect()
    };
    [(Purpose::HostIpv4, of_family(IpAddr::is_ipv4)), (Purpose::HostIpv6, of_family(IpAddr::is_ipv6))]
        .into_iter()
        .filter(|(_, of_family)| !of_family.is_empty() || addresses.is_empty())
        .map(|(purpose, of_family)| Wanted::new(name.clone(), purpose, of_family))
        .collect()
}

fn reverse_names<'a>(addresses: impl Iterator<Item = &'a IpAddr>, greeting: &Name) -> Vec<Wanted> {
    let addresses: BTreeSet<&IpAddr> = addresses.collect();
    let pointer = || RecordData::Name(RecordType::Ptr, greeting.clone());
    addresses
        .into_iter()
        .map(|address| Wanted::new(Name::reverse(*address), Purpose::ReverseName, vec![pointer()]))
        .collect()
}

fn services(domain: &Name, host: &Name, services: Services) -> Result<Vec<Wanted>, NameError> {
    // What nobody looks for is not denied: only what RFC 6186 §3 lets programs ask for.
    let known = [
        ("_submissions._tcp", services.submissions, PREFERRED, Denial::Told),
        ("_submission._tcp", services.submission, SECOND, Denial::Told),
        ("_imaps._tcp", services.imaps, PREFERRED, Denial::Told),
        ("_imap._tcp", services.imap, SECOND, Denial::Told),
        ("_pop3s._tcp", None, PREFERRED, Denial::Told),
        ("_pop3._tcp", None, PREFERRED, Denial::Told),
        // RFC 5804 §1.8.
        ("_sieve._tcp", services.sieve, PREFERRED, Denial::NotTold),
        ("_jmap._tcp", services.jmap, PREFERRED, Denial::NotTold),
        ("_autodiscover._tcp", services.configuration, PREFERRED, Denial::NotTold),
    ];
    let mut wanted = Vec::new();
    for (label, port, priority, denial) in known {
        let place = match (port, denial) {
            (Some(port), _) => ServiceHost { priority, weight: 1, port, host: host.clone() },
            (None, Denial::Told) => ServiceHost { priority: 0, weight: 0, port: 0, host: Name::root() },
            (None, Denial::NotTold) => continue,
        };
        let owner = Name::parse(&format!("{label}.{domain}"))?;
        wanted.push(Wanted::new(owner, Purpose::Service, vec![RecordData::Service(place)]));
    }
    if services.configuration.is_some() {
        for label in ["autoconfig", "autodiscover"] {
            let alias = RecordData::Name(RecordType::Cname, host.clone());
            let owner = Name::parse(&format!("{label}.{domain}"))?;
            wanted.push(Wanted::new(owner, Purpose::Configuration, vec![alias]));
        }
    }
    Ok(wanted)
}

/// Whether the absence of a service is published.
#[derive(Clone, Copy)]
enum Denial {
    Told,
    NotTold,
}

/// The host's addresses through `mechanism`, those that it does not cover by themselves, and nobody else.
fn sender_policy(mechanism: &str, addresses: &[IpAddr], senders: &[IpAddr]) -> String {
    let further = senders.iter().filter(|sender| !addresses.contains(sender));
    let further: String = further
        .map(|sender| match sender {
            IpAddr::V4(four) => format!(" ip4:{four}"),
            IpAddr::V6(six) => format!(" ip6:{six}"),
        })
        .collect();
    format!("v=spf1 {mechanism}{further} -all")
}

fn text(text: String) -> RecordData {
    RecordData::Text(text.into_bytes())
}

/// The name as DNS has it.
pub(crate) fn dns_name(domain: &DomainName) -> Result<Name, NameError> {
    Name::parse(domain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            name: DomainName::parse("mail.example.org").unwrap(),
            greeting: DomainName::parse("mail.example.org").unwrap(),
            addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            senders: Vec::new(),
            services: Services {
                submissions: Some(465),
                submission: Some(587),
                imaps: Some(993),
                ..Services::default()
            },
            certificate_keys: vec![[0xab; 32]],
            certificate_issuers: vec!["letsencrypt.org".into()],
        }
    }

    fn domain() -> Domain {
        Domain {
            name: DomainName::parse("example.org").unwrap(),
            identity: None,
            keys: vec![Key {
                selector: "ed2026".into(),
                record: "v=DKIM1; k=ed25519; p=AAAA".into(),
                purpose: Purpose::SigningKey,
            }],
            encryption_policy: None,
            reports_to: Address::parse("postmaster@example.org").unwrap(),
        }
    }

    fn lines(wanted: &[Wanted]) -> Vec<String> {
        let line = |wanted: &Wanted, value: &RecordData| {
            format!("{} {} {value}", wanted.name, wanted.purpose.kind())
        };
        wanted.iter().flat_map(|wanted| wanted.values.iter().map(|value| line(wanted, value))).collect()
    }

    fn of_domain(domain: Domain, host: Host) -> Vec<Wanted> {
        Site { host, domains: Vec::new() }.domain_records(&domain).unwrap()
    }

    fn of_host(host: Host) -> Vec<Wanted> {
        Site { host, domains: vec![domain()] }.host_records().unwrap()
    }

    #[test]
    fn a_domain_has_everything_that_is_offered_and_nothing_else() {
        assert_eq!(
            lines(&of_domain(domain(), host())),
            [
                "example.org MX 10 mail.example.org.",
                "example.org TXT \"v=spf1 mx -all\"",
                "ed2026._domainkey.example.org TXT \"v=DKIM1; k=ed25519; p=AAAA\"",
                "_dmarc.example.org TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.org\"",
                "_smtp._tls.example.org TXT \"v=TLSRPTv1; rua=mailto:postmaster@example.org\"",
                "_submissions._tcp.example.org SRV 0 1 465 mail.example.org.",
                "_submission._tcp.example.org SRV 10 1 587 mail.example.org.",
                "_imaps._tcp.example.org SRV 0 1 993 mail.example.org.",
                "_imap._tcp.example.org SRV 0 0 0 .",
                "_pop3s._tcp.example.org SRV 0 0 0 .",
                "_pop3._tcp.example.org SRV 0 0 0 .",
            ]
        );
    }

    #[test]
    fn a_host_has_its_addresses_names_and_keys() {
        let reverse = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(
            lines(&of_host(host())),
            [
                "mail.example.org A 192.0.2.7".to_owned(),
                "mail.example.org AAAA 2001:db8::7".to_owned(),
                "7.2.0.192.in-addr.arpa PTR mail.example.org.".to_owned(),
                format!("{reverse} PTR mail.example.org."),
                "mail.example.org TXT \"v=spf1 a -all\"".to_owned(),
                format!("_25._tcp.mail.example.org TLSA 3 1 1 {}", "ab".repeat(32)),
                "mail.example.org CAA 0 issue \"letsencrypt.org\"".to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_served_later_is_published_later() {
        let mut domain = domain();
        domain.encryption_policy = PolicyId::new("20261126");
        let services =
            Services { jmap: Some(443), configuration: Some(443), sieve: Some(4190), ..Services::default() };
        let lines = lines(&of_domain(domain, Host { services, ..host() }));
        for line in [
            "_mta-sts.example.org TXT \"v=STSv1; id=20261126;\"",
            "mta-sts.example.org CNAME mail.example.org.",
            "_sieve._tcp.example.org SRV 0 1 4190 mail.example.org.",
            "_jmap._tcp.example.org SRV 0 1 443 mail.example.org.",
            "_autodiscover._tcp.example.org SRV 0 1 443 mail.example.org.",
            "autoconfig.example.org CNAME mail.example.org.",
            "_imaps._tcp.example.org SRV 0 0 0 .",
        ] {
            assert!(lines.iter().any(|have| have == line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn addresses_that_mail_leaves_from_are_allowed_to_send() {
        let senders = vec!["192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
        let wanted = of_domain(domain(), Host { senders, ..host() });
        assert_eq!(wanted[1].values[0].to_string(), "\"v=spf1 mx ip4:192.0.2.9 ip6:2001:db8::9 -all\"");
    }

    #[test]
    fn a_domain_with_an_identity_is_sent_from_there() {
        let identity = Identity {
            greeting: DomainName::parse("out.example.org").unwrap(),
            addresses: vec!["192.0.2.8".parse().unwrap()],
        };
        let wanted = of_domain(Domain { identity: Some(identity), ..domain() }, host());
        let lines = lines(&wanted);
        assert!(lines.contains(&"example.org TXT \"v=spf1 mx ip4:192.0.2.8 -all\"".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"8.2.0.192.in-addr.arpa PTR out.example.org.".to_owned()), "{lines:#?}");
    }

    #[test]
    fn a_host_named_as_a_domain_has_one_policy() {
        let name = domain().name;
        let wanted = of_host(Host { name: name.clone(), greeting: name, ..host() });
        assert!(wanted.iter().all(|wanted| wanted.purpose != Purpose::GreetingPolicy), "{wanted:?}");
    }

    #[test]
    fn addresses_that_nobody_knows_are_left_open() {
        let wanted = of_host(Host { addresses: Vec::new(), ..host() });
        let open: Vec<Purpose> =
            wanted.iter().filter(|wanted| wanted.values.is_empty()).map(|wanted| wanted.purpose).collect();
        assert_eq!(open, [Purpose::HostIpv4, Purpose::HostIpv6]);
    }
}
