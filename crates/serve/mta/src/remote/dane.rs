//! What DNS proves of a host's certificate: where its TLSA records are looked for, and what they ask (RFC 7672 §2.2).

use dns::{LookupError, Name, RecordData, RecordType, Resolver, Security, TlsaRecord};
use tls::{DaneTrust, TlsaFields};

use super::mx::{Host, Proof};

/// The TLSA records of a host, proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsaRecords {
    /// The name that has them, and that the server is asked for (RFC 7672 §8.1).
    pub(crate) base: Box<str>,
    /// What they say of the certificate; nothing where none of them can be used.
    pub(crate) trust: Option<DaneTrust>,
    /// As they stand in DNS, for reports.
    pub(crate) texts: Vec<String>,
}

/// The records of a host's port; `None` where DNS proves nothing of the host.
///
/// # Errors
/// Where DNS fails, nobody knows whether there are any, and mail must wait (RFC 7672 §2.1.2).
pub(crate) async fn look_up(
    resolver: &Resolver,
    host: &Host,
    port: u16,
) -> Result<Option<TlsaRecords>, LookupError> {
    let Some(proof) = host.proof.as_ref().filter(|_| host.security == Security::Secure) else {
        return Ok(None);
    };
    for base in bases(resolver, host, proof).await? {
        match resolver.tlsa(port, &base).await {
            Ok(answer) if answer.security == Security::Secure && !answer.records.is_empty() => {
                return Ok(Some(TlsaRecords::of(&answer.records, &base, host, proof)));
            }
            // Those that nobody signed mean nothing.
            Ok(_) => {}
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The names that may have the records, the better one first: the end of the chain of aliases if all of it is proven,
/// then the host's own (RFC 7672 §2.2.2). Where nobody signs the host's zone nobody is asked: many name servers there
/// fail at such a question.
async fn bases(resolver: &Resolver, host: &Host, proof: &Proof) -> Result<Vec<Name>, LookupError> {
    let Ok(name) = Name::parse(&host.name) else { return Ok(Vec::new()) };
    let is_alias = proof.canonical != name;
    match (proof.addresses, is_alias) {
        (Security::Secure, false) => Ok(vec![name]),
        (Security::Secure, true) => Ok(vec![proof.canonical.clone(), name]),
        (Security::Insecure, false) => Ok(Vec::new()),
        // The alias itself may be proven, and what it leads to not.
        (Security::Insecure, true) => match resolver.resolve(&name, RecordType::Cname).await {
            Ok(alias) if alias.security == Security::Secure => Ok(vec![name]),
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.is_absence() => Ok(Vec::new()),
            Err(error) => Err(error),
        },
    }
}

impl TlsaRecords {
    fn of(records: &[TlsaRecord], base: &Name, host: &Host, proof: &Proof) -> Self {
        let fields = records.iter().map(|record| TlsaFields {
            usage: record.usage,
            selector: record.selector,
            matching: record.matching,
            data: &record.data,
        });
        // RFC 7672 §3.2.2: all of these names were proven to lead here.
        let mut names = vec![base.as_str(), &*host.name];
        names.extend(proof.destination.iter().map(Name::as_str));
        Self {
            base: base.as_str().into(),
            trust: DaneTrust::new(fields, &names),
            texts: records.iter().map(|record| RecordData::Tlsa(record.clone()).to_string()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use dns::FixedRecords;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn records(secure: &[&str]) -> FixedRecords {
        let records = FixedRecords::new();
        for text in secure {
            records.set_security(&name(text), Security::Secure);
        }
        records
    }

    fn add_tlsa(records: &FixedRecords, host: &str, usage: u8) {
        let tlsa = TlsaRecord { usage, selector: 1, matching: 1, data: vec![usage; 32] };
        records.add(&name(&format!("_25._tcp.{host}")), RecordData::Tlsa(tlsa));
    }

    /// A host as it was found: its canonical name, and how far its addresses are proven.
    fn host(canonical: &str, addresses: Security) -> Host {
        let proof = Proof { canonical: name(canonical), addresses, destination: vec![name("far.example")] };
        Host {
            name: "mx.far.example".into(),
            addresses: vec![IpAddr::from([203, 0, 113, 1])],
            security: Security::Secure,
            proof: Some(proof),
        }
    }

    /// The base domain, `!` behind it where nothing is usable; `-` where there are no records.
    async fn found(records: &FixedRecords, host: &Host) -> String {
        match look_up(&Resolver::fixed(records.clone()), host, 25).await {
            Ok(Some(TlsaRecords { base, trust: Some(_), .. })) => base.into(),
            Ok(Some(TlsaRecords { base, trust: None, .. })) => format!("{base}!"),
            Ok(None) => "-".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn every_link_has_to_be_proven() {
        let all = ["_25._tcp.mx.far.example"];
        let names = records(&all);
        add_tlsa(&names, "mx.far.example", 3);
        let proven = host("mx.far.example", Security::Secure);
        assert_eq!(found(&names, &proven).await, "mx.far.example");
        assert_eq!(found(&names, &Host { security: Security::Insecure, ..proven.clone() }).await, "-");
        assert_eq!(found(&names, &Host { proof: None, ..proven.clone() }).await, "-");
        assert_eq!(found(&names, &host("mx.far.example", Security::Insecure)).await, "-");
        names.set_security(&name(all[0]), Security::Insecure);
        assert_eq!(found(&names, &proven).await, "-");
    }

    #[tokio::test]
    async fn the_end_of_the_aliases_comes_first_and_then_their_beginning() {
        let names = records(&["_25._tcp.mx.far.example", "_25._tcp.mx.other.example"]);
        let alias = host("mx.other.example", Security::Secure);
        assert_eq!(found(&names, &alias).await, "-");
        add_tlsa(&names, "mx.far.example", 3);
        assert_eq!(found(&names, &alias).await, "mx.far.example");
        add_tlsa(&names, "mx.other.example", 3);
        assert_eq!(found(&names, &alias).await, "mx.other.example");
        names.set_security(&name("_25._tcp.mx.other.example"), Security::Insecure);
        assert_eq!(found(&names, &alias).await, "mx.far.example");
    }

    #[tokio::test]
    async fn a_proven_alias_into_the_unknown_has_records_of_its_own() {
        let names = records(&["_25._tcp.mx.far.example", "mx.far.example"]);
        add_tlsa(&names, "mx.far.example", 3);
        add_tlsa(&names, "mx.other.example", 3);
        names.add(&name("mx.far.example"), RecordData::Name(RecordType::Cname, name("mx.other.example")));
        let alias = host("mx.other.example", Security::Insecure);
        assert_eq!(found(&names, &alias).await, "mx.far.example");
        names.set_security(&name("mx.far.example"), Security::Insecure);
        assert_eq!(found(&names, &alias).await, "-");
        names.fail(&name("mx.far.example"), RecordType::Cname, LookupError::Timeout);
        assert_eq!(found(&names, &alias).await, LookupError::Timeout.to_string());
    }

    #[tokio::test]
    async fn failures_are_no_absence_and_useless_records_are_there() {
        let names = records(&["_25._tcp.mx.far.example"]);
        let proven = host("mx.far.example", Security::Secure);
        names.fail(&name("_25._tcp.mx.far.example"), RecordType::Tlsa, LookupError::Bogus("x".into()));
        assert!(found(&names, &proven).await.contains("DNSSEC"));
        names.clear(&name("_25._tcp.mx.far.example"));
        add_tlsa(&names, "mx.far.example", 1);
        assert_eq!(found(&names, &proven).await, "mx.far.example!");
        add_tlsa(&names, "mx.far.example", 3);
        assert_eq!(found(&names, &proven).await, "mx.far.example");
    }
}
