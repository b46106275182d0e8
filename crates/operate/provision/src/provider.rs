//! Zones that a provider keeps, changed over its own interface: by way of the library `dns-update`, which knows them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use dns::{Name, RecordChange, RecordData, RecordType, TlsaRecord};
use dns_update::providers::route53::Route53Config;
use dns_update::{
    CAARecord, DnsRecord, DnsRecordType, DnsUpdater, MXRecord, SRVRecord, TLSARecord, TlsaCertUsage,
    TlsaMatching, TlsaSelector,
};

/// How long a provider may take for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The providers that can be named, and what each has to know of us. What ends with `?` may be left out.
pub const PROVIDERS: [(&str, &[&str]); 13] = [
    ("bunny", &["api_key"]),
    ("cloudflare", &["token"]),
    ("desec", &["token"]),
    ("digitalocean", &["token"]),
    ("gandi", &["token"]),
    ("hetzner", &["token"]),
    ("inwx", &["user", "password"]),
    ("ionos", &["api_key"]),
    ("linode", &["token"]),
    ("ovh", &["application_key", "application_secret", "consumer_key", "endpoint"]),
    ("porkbun", &["api_key", "secret_api_key"]),
    ("powerdns", &["api_key", "url", "server?"]),
    ("route53", &["access_key_id", "secret_access_key", "session_token?", "region?", "hosted_zone_id?"]),
];

/// A provider that knows us.
#[derive(Clone)]
pub struct Provider(Box<DnsUpdater>);

/// Why a provider cannot be used, or does not do what it is asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// Nobody of that name is known.
    #[error("no provider is called {0}; known are {known}", known = names())]
    Unknown(String),
    /// It has to know more of us.
    #[error("{provider} needs {what}; the file of credentials has lines such as {what} = \"…\"")]
    Missing {
        /// The provider.
        provider: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// It refuses, or cannot be reached.
    #[error("the provider does not change {record}: {why}")]
    Refused {
        /// Name and type.
        record: String,
        /// What it said.
        why: String,
    },
    /// It takes no such record.
    #[error("{0} cannot be written by way of a provider")]
    Unfit(String),
}

fn names() -> String {
    PROVIDERS.map(|(name, _)| name).join(", ")
}

impl Provider {
    /// The provider of this name, which knows us by these credentials.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`], [`ProviderError::Missing`].
    pub fn new(name: &str, credentials: &BTreeMap<String, String>) -> Result<Self, ProviderError> {
        let known = PROVIDERS.iter().find(|(known, _)| *known == name);
        let (provider, needs) = *known.ok_or_else(|| ProviderError::Unknown(name.to_owned()))?;
        let missing = needs.iter().find(|need| !need.ends_with('?') && !credentials.contains_key(**need));
        if let Some(what) = missing {
            return Err(ProviderError::Missing { provider, what });
        }
        let may = |what: &str| credentials.get(what).cloned();
        let has = |what: &str| may(what).unwrap_or_default();
        let timeout = Some(REQUEST_TIMEOUT);
        let updater = match provider {
            "bunny" => DnsUpdater::new_bunny(has("api_key"), timeout),
            "cloudflare" => DnsUpdater::new_cloudflare(has("token"), timeout),
            "desec" => DnsUpdater::new_desec(has("token"), timeout),
            "digitalocean" => DnsUpdater::new_digitalocean(has("token"), timeout),
            "gandi" => DnsUpdater::new_gandiv5(has("token"), timeout),
            "hetzner" => DnsUpdater::new_hetzner(has("token"), timeout),
            "inwx" => DnsUpdater::new_inwx(has("user"), has("password"), false, timeout),
            "ionos" => DnsUpdater::new_ionos(has("api_key"), timeout),
            "linode" => DnsUpdater::new_linode(has("token"), timeout),
            "ovh" => has("endpoint").parse().and_then(|endpoint| {
                let (key, secret) = (has("application_key"), has("application_secret"));
                DnsUpdater::new_ovh(key, secret, has("consumer_key"), endpoint, timeout)
            }),
            "porkbun" => DnsUpdater::new_porkbun(has("api_key"), has("secret_api_key"), timeout),
            "powerdns" => DnsUpdater::new_pdns(has("api_key"), may("url"), may("server"), timeout),
            _ => DnsUpdater::new_route53(Route53Config {
                access_key_id: has("access_key_id"),
                secret_access_key: has("secret_access_key"),
                session_token: may("session_token"),
                region: may("region"),
                hosted_zone_id: may("hosted_zone_id"),
                private_zone_only: None,
                endpoint: None,
            }),
        };
        updater.map(|updater| Self(Box::new(updater))).map_err(|error| ProviderError::Refused {
            record: format!("anything at {provider}"),
            why: error.to_string(),
        })
    }

    /// Makes one change. What the provider has at that name and type besides stays.
    ///
    /// # Errors
    /// [`ProviderError::Refused`], [`ProviderError::Unfit`].
    pub async fn change(&self, zone: &Name, change: &RecordChange) -> Result<(), ProviderError> {
        let refused = |error: dns_update::Error| ProviderError::Refused {
            record: format!("{} {}", change.name, change.kind),
            why: error.to_string(),
        };
        let kind = kind_out(change.kind)?;
        let (name, origin) = (change.name.as_str(), zone.as_str());
        let (remove, add) = (records(&change.remove)?, records(&change.add)?);
        if remove.is_empty() {
            return self.0.add_to_rrset(name, kind, change.ttl, add, origin).await.map_err(refused);
        }
        // One step from the old set to the new one, so that nobody sees a name with both policies, or with none.
        let mut all = self.0.list_rrset(name, kind, origin).await.map_err(refused)?;
        all.retain(|record| !remove.iter().any(|other| is_same(record, other)));
        all.extend(add);
        self.0.set_rrset(name, kind, change.ttl, all, origin).await.map_err(refused)
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Provider")
    }
}

/// Providers give host names with and without their final dot.
fn is_same(one: &DnsRecord, other: &DnsRecord) -> bool {
    let text = |record: &DnsRecord| record.to_string().trim_end_matches('.').to_ascii_lowercase();
    match (one, other) {
        (DnsRecord::TXT(one), DnsRecord::TXT(other)) => one == other,
        _ => one == other || text(one) == text(other),
    }
}

fn records(records: &[RecordData]) -> Result<Vec<DnsRecord>, ProviderError> {
    records.iter().map(record_out).collect()
}

fn kind_out(kind: RecordType) -> Result<DnsRecordType, ProviderError> {
    Ok(match kind {
        RecordType::A => DnsRecordType::A,
        RecordType::Aaaa => DnsRecordType::AAAA,
        RecordType::Caa => DnsRecordType::CAA,
        RecordType::Cname => DnsRecordType::CNAME,
        RecordType::Mx => DnsRecordType::MX,
        RecordType::Srv => DnsRecordType::SRV,
        RecordType::Tlsa => DnsRecordType::TLSA,
        RecordType::Txt => DnsRecordType::TXT,
        other => return Err(ProviderError::Unfit(other.to_string())),
    })
}

fn record_out(record: &RecordData) -> Result<DnsRecord, ProviderError> {
    let unfit = || ProviderError::Unfit(record.to_string());
    let dotted = |name: &Name| if name.is_root() { ".".to_owned() } else { format!("{name}.") };
    Ok(match record {
        RecordData::Address(IpAddr::V4(four)) => DnsRecord::A(*four),
        RecordData::Address(IpAddr::V6(six)) => DnsRecord::AAAA(*six),
        RecordData::Mx(mx) => {
            DnsRecord::MX(MXRecord { exchange: dotted(&mx.exchange), priority: mx.preference })
        }
        RecordData::Text(text) => DnsRecord::TXT(String::from_utf8(text.clone()).map_err(|_| unfit())?),
        RecordData::Service(place) => DnsRecord::SRV(SRVRecord {
            target: dotted(&place.host),
            priority: place.priority,
            weight: place.weight,
            port: place.port,
        }),
        RecordData::Tlsa(TlsaRecord { usage: 3, selector: 1, matching: 1, data }) => {
            DnsRecord::TLSA(TLSARecord {
                cert_usage: TlsaCertUsage::DaneEe,
                selector: TlsaSelector::Spki,
                matching: TlsaMatching::Sha256,
                cert_data: data.clone(),
            })
        }
        RecordData::Authorization(caa) if caa.tag == "issue" && !caa.value.contains(&b';') => {
            let name = String::from_utf8(caa.value.clone()).map_err(|_| unfit())?;
            DnsRecord::CAA(CAARecord::Issue {
                issuer_critical: caa.is_critical,
                name: Some(name),
                options: Vec::new(),
            })
        }
        RecordData::Name(RecordType::Cname, name) => DnsRecord::CNAME(dotted(name)),
        _ => return Err(unfit()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_made_from_what_it_says_it_needs() {
        for (name, needs) in PROVIDERS {
            let value = |need: &str| if need == "endpoint" { "ovh-eu" } else { "x" }.to_owned();
            let all: BTreeMap<String, String> = needs
                .iter()
                .filter(|need| !need.ends_with('?'))
                .map(|need| ((*need).to_owned(), value(need)))
                .collect();
            assert!(Provider::new(name, &all).is_ok(), "{name}");
            for missing in all.keys() {
                let mut some = all.clone();
                some.remove(missing);
                let error = Provider::new(name, &some).unwrap_err();
                assert!(matches!(error, ProviderError::Missing { what, .. } if what == missing), "{error}");
            }
        }
        let error = Provider::new("nobody", &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("cloudflare, desec"), "{error}");
    }
}
