//! Comparing what is wanted with what the world serves, and telling what is wrong in plain words.

mod block_list;
mod certificate;
mod exchanger;
mod host;
mod port25;
mod records;
mod reverse;
mod sender_policy;
mod signing_key;
mod texts;
mod wildcard;
mod zone;

use std::net::IpAddr;

use dns::{LookupError, Name, RecordData, Told};
use platform::egress::Egress;

use crate::finding::Finding;
use crate::record::{Keeper, Purpose, Wanted};
use crate::wanted::{Domain, Site, dns_name};
use crate::world::{Served, World};
use crate::zone_file::text_strings;

/// What is looked at besides records.
#[derive(Clone, Debug)]
pub struct Probes {
    /// The certificate that the server shows for its name, if it has one.
    pub certificate: Option<Certificate>,
    /// Lists of senders of spam that are asked for the server's addresses.
    pub block_lists: Vec<Name>,
    /// A mail host of somebody else and the port to reach it at; none where that is not tried.
    pub mail_host: Option<(Name, u16)>,
    /// From where that host is connected to.
    pub egress: Egress,
    /// Whether signatures are validated here, so that it is known whether the world can.
    pub validation: Validation,
}

/// What a certificate says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The names it is for, in small letters; wildcards as `*.example.org`.
    pub names: Vec<String>,
    /// Whether nobody but itself vouches for it.
    pub is_self_signed: bool,
}

/// Whether signatures are validated here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validation {
    /// They are.
    On,
    /// There is no trust anchor.
    Off,
}

/// Compares a site with the world.
#[derive(Debug)]
pub struct Checker<'a> {
    pub(crate) world: &'a World,
    pub(crate) site: &'a Site,
    probes: &'a Probes,
}

impl<'a> Checker<'a> {
    /// Compares `site` with `world`.
    #[must_use]
    pub fn new(world: &'a World, site: &'a Site, probes: &'a Probes) -> Self {
        Self { world, site, probes }
    }

    /// Everything about one domain.
    pub async fn domain(&self, domain: &Domain) -> Vec<Finding> {
        let (name, records) = match (dns_name(&domain.name), self.site.domain_records(domain)) {
            (Ok(name), Ok(records)) => (name, records),
            (Err(error), _) | (_, Err(error)) => {
                return vec![Finding::unknown(domain.name.as_str(), error.to_string())];
            }
        };
        let zone = match self.world.zone_of(&name).await {
            Ok(zone) => zone,
            Err(error) => return vec![zone::not_found(&name, &error)],
        };
        // Below a top-level domain nobody but its registry could add anything.
        let is_unregistered = zone.apex != name && !zone.apex.as_str().trim_end_matches('.').contains('.');
        if is_unregistered && let Some(finding) = self.no_such_name(&name).await {
            return vec![finding];
        }
        let mut findings = Vec::new();
        for wanted in &records {
            findings.extend(self.judge(wanted, Some(domain)).await);
        }
        if let Some(identity) = &domain.identity
            && let Ok(greeting) = dns_name(&identity.greeting)
        {
            findings.extend(self.reverse_names(&identity.addresses, &greeting).await);
        }
        findings.extend(self.wildcards(&name).await);
        findings.extend(self.zone(&zone, zone::Role::Domain).await);
        findings
    }

    /// Everything about the host.
    pub async fn host(&self) -> Vec<Finding> {
        let host = &self.site.host;
        let names = (dns_name(&host.name), dns_name(&host.greeting), self.site.host_records());
        let (Ok(name), Ok(greeting), Ok(records)) = names else {
            return vec![Finding::unknown(host.name.as_str(), "the name is too long for DNS")];
        };
        let zone = match self.world.zone_of(&name).await {
            Ok(zone) => zone,
            Err(error) => return vec![zone::not_found(&name, &error)],
        };
        let mut findings = Vec::new();
        for wanted in &records {
            findings.extend(self.judge(wanted, None).await);
        }
        let addresses = self.addresses(&name).await;
        findings.extend(self.missing_ipv6(&addresses));
        let leaving: Vec<IpAddr> = match host.senders.as_slice() {
            [] => addresses.clone(),
            senders => addresses.iter().chain(senders).copied().collect(),
        };
        findings.extend(self.reverse_names(&leaving, &greeting).await);
        findings.extend(self.certificate_names());
        findings.extend(self.block_lists(&leaving).await);
        findings.extend(self.mail_host().await);
        findings.extend(self.zone(&zone, zone::Role::Host).await);
        findings
    }

    /// One name and type: what is there, against what is wanted. Reverse names are looked at by address.
    pub(crate) async fn judge(&self, wanted: &Wanted, domain: Option<&Domain>) -> Vec<Finding> {
        match (wanted.purpose, domain) {
            (Purpose::ReverseName, _) => Vec::new(),
            (Purpose::SenderPolicy, Some(domain)) => self.sender_policy(domain, wanted).await,
            (Purpose::GreetingPolicy, _) => self.greeting_policy(wanted).await,
            (Purpose::CertificateKey | Purpose::CertificateIssuer, _) => {
                let zone = match self.world.zone_of(&wanted.name).await {
                    Ok(zone) => zone,
                    Err(error) => return vec![failed(&wanted.title(), &error)],
                };
                match wanted.purpose {
                    Purpose::CertificateKey => self.certificate_key(wanted, &zone.apex).await,
                    _ => self.certificate_issuer(wanted, &zone).await,
                }
            }
            _ => self.record(wanted).await,
        }
    }

    /// One record that needs no more than a comparison.
    async fn record(&self, wanted: &Wanted) -> Vec<Finding> {
        let title = wanted.title();
        let served = match self.world.served(&wanted.name, wanted.purpose.kind()).await {
            Ok(served) => served,
            Err(error) => return vec![failed(&title, &error)],
        };
        let mut findings = match wanted.purpose {
            Purpose::Exchanger => self.exchanger(wanted, &served).await,
            Purpose::HostIpv4 | Purpose::HostIpv6 => records::host_address(wanted, &served),
            Purpose::SigningKey | Purpose::RetiredKey => signing_key::judge(wanted, &served),
            Purpose::AuthorPolicy => texts::author_policy(wanted, &served),
            Purpose::EncryptionPolicy => texts::encryption_policy(wanted, &served),
            Purpose::EncryptionReports => texts::encryption_reports(wanted, &served),
            Purpose::EncryptionPolicyHost | Purpose::Configuration => self.same_place(wanted, &served).await,
            _ => records::service(wanted, &served),
        };
        findings.extend(records::quarrel(&title, &served));
        findings.extend(records::slow(&title, &served));
        findings
    }

    /// The host's addresses: as told, else as the world knows them.
    async fn addresses(&self, host: &Name) -> Vec<IpAddr> {
        if !self.site.host.addresses.is_empty() {
            return self.site.host.addresses.clone();
        }
        let answer = self.world.resolver().addresses(host, dns::Families::Both).await;
        answer.map_or_else(|_| Vec::new(), |answer| answer.records)
    }

    async fn no_such_name(&self, domain: &Name) -> Option<Finding> {
        let served = self.world.served(domain, dns::RecordType::Mx).await.ok()?;
        (served.told == Told::NoSuchName).then(|| {
            Finding::wrong(
                domain.as_str(),
                "the world knows no such domain",
                "no mail can come to it, and none from it is taken",
                "register it, or have your registrar delegate it to your name servers; then add what `mailstead dns records` shows",
            )
        })
    }
}

/// DNS failed.
fn failed(about: &str, error: &LookupError) -> Finding {
    match error {
        LookupError::Bogus(why) => Finding::wrong(
            about,
            format!("its signature proves it forged: {why}"),
            "whoever validates DNSSEC sees nothing there at all",
            "sign the zone anew, or have the registrar remove its DS record until it is signed rightly",
        ),
        error => Finding::unknown(about, error.to_string()),
    }
}

/// What to type so that records are there.
fn to_add(wanted: &Wanted) -> String {
    format!("add to the zone: {}", lines(wanted))
}

/// What to type so that records are the only ones there.
fn to_replace(wanted: &Wanted) -> String {
    format!("replace it in the zone by: {}", lines(wanted))
}

/// Records as they stand in a zone file.
fn lines(wanted: &Wanted) -> String {
    let line = |value: &RecordData| {
        let value = match value {
            RecordData::Text(octets) => text_strings(octets),
            other => other.to_string(),
        };
        format!("{}. IN {} {value}", wanted.name, wanted.purpose.kind())
    };
    let lines: Vec<String> = wanted.values.iter().map(line).collect();
    debug_assert_eq!(wanted.purpose.keeper(), Keeper::Zone);
    lines.join("; ")
}

/// Records as people read them in a sentence.
fn shown(served: &Served) -> String {
    let records: Vec<String> = served.records().iter().map(ToString::to_string).collect();
    match &served.alias {
        Some(alias) => format!("{} (by way of {alias})", records.join(", ")),
        None => records.join(", "),
    }
}

/// Texts that begin as records of one kind do.
fn texts_of(served: &Served, is_kind: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let texts = served.records().iter().filter_map(|record| match record {
        RecordData::Text(text) => Some(text.as_slice()),
        _ => None,
    });
    texts.filter(|text| is_kind(text)).collect()
}

/// Octets of a stranger's text that are shown.
const QUOTED_OCTETS_MAX: usize = 300;

/// A stranger's text in a sentence of ours: printable, and no longer than a screen.
fn quoted(text: &[u8]) -> String {
    let whole = text.escape_ascii().to_string();
    match whole.get(..QUOTED_OCTETS_MAX) {
        Some(part) if whole.len() > QUOTED_OCTETS_MAX => format!("\"{part}…\""),
        _ => format!("\"{whole}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_texts_are_short_and_harmless() {
        assert_eq!(quoted(b"a\"\x1b[2J"), r#""a\"\x1b[2J""#);
        for (octets, whole) in
            [(QUOTED_OCTETS_MAX - 1, true), (QUOTED_OCTETS_MAX, true), (QUOTED_OCTETS_MAX + 1, false)]
        {
            assert_eq!(!quoted(&vec![b'x'; octets]).contains('…'), whole, "{octets}");
        }
    }
}
