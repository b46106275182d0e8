//! From the DNS library's messages to our answers: chains of aliases, proofs, absences, times.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{self, RData, Record};

use crate::answer::{Answer, LookupError, Security};
use crate::cache::Outcome;
use crate::name::Name;
use crate::record::{Authorization, MailExchanger, RecordData, RecordType, ServiceHost, TlsaRecord};
use crate::wildcard;

/// Aliases (CNAME) that are followed one after the other.
pub(crate) const ALIASES_MAX: usize = 16;
/// Octets of a failure's reason that are kept; names from outside are in it.
pub(crate) const REASON_OCTETS_MAX: usize = 300;

/// How an answer is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Whether the library validated; if not, everything is insecure.
    pub(crate) validated: Validated,
    /// What an absence without the zone's SOA record is worth.
    pub(crate) bare_absence: BareAbsence,
    /// Records of the asked type in one answer.
    pub(crate) records_max: usize,
}

/// Whether the library validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Validated {
    Yes,
    No,
}

/// What "no such name" without the zone's SOA record is worth (RFC 2308 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BareAbsence {
    /// A resolver we forward to says so; it has seen the rest.
    Believed,
    /// No server that is responsible for a zone leaves it out; lame ones do.
    Lame,
}

/// The library's form of a name.
pub(crate) fn name_out(name: &Name) -> Result<rr::Name, LookupError> {
    let text = if name.is_root() { ".".to_owned() } else { format!("{name}.") };
    rr::Name::from_ascii(text).map_err(|error| LookupError::Unreachable(reason(&error)))
}

/// The library's form of a type.
pub(crate) fn kind_out(kind: RecordType) -> rr::RecordType {
    match kind {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Caa => rr::RecordType::CAA,
        RecordType::Cname => rr::RecordType::CNAME,
        RecordType::Dnskey => rr::RecordType::DNSKEY,
        RecordType::Ds => rr::RecordType::DS,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
        RecordType::Srv => rr::RecordType::SRV,
        RecordType::Tlsa => rr::RecordType::TLSA,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

impl Reading {
    /// The answer that a message's answer section holds: from the name asked for, along its aliases, to the records.
    pub(crate) fn answer(&self, asked: &rr::Name, kind: RecordType, records: &[Record]) -> Outcome {
        let wanted = kind_out(kind);
        let mut name = asked.clone();
        let mut least = Security::Secure;
        let mut ttl = u32::MAX;
        for _ in 0..=ALIASES_MAX {
            let mut found = Vec::new();
            for record in
                records.iter().filter(|record| record.record_type() == wanted && record.name == name)
            {
                if found.len() == self.records_max {
                    return Err(LookupError::Excessive(format!("more than {} records", self.records_max)));
                }
                least = least.min(self.security(record)?);
                ttl = ttl.min(record.ttl);
                found.extend(data_in(&record.data, kind));
            }
            if !found.is_empty() {
                return Ok(Answer {
                    records: found,
                    canonical: name_in(&name).ok_or_else(uncarried)?,
                    security: least,
                    valid_for: Duration::from_secs(ttl.into()),
                });
            }
            let alias = records.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == name => Some((record, target.0.clone())),
                _ => None,
            });
            let Some((record, target)) = alias else {
                // Records there were, but none that we can carry; or an alias to a name without the records.
                let is_empty =
                    !records.iter().any(|record| record.record_type() == wanted && record.name == name);
                return Err(if is_empty { self.bare_no_data() } else { uncarried() });
            };
            least = least.min(self.security(record)?);
            ttl = ttl.min(record.ttl);
            name = target;
        }
        Err(LookupError::Excessive(format!("more than {ALIASES_MAX} aliases, or aliases in a circle")))
    }

    /// What an absence comes to.
    pub(crate) fn absence(&self, absent: &NoRecords) -> LookupError {
        let is_name = absent.response_code == ResponseCode::NXDomain;
        let Some(soa) = &absent.soa else {
            return match (is_name, self.bare_absence) {
                (true, BareAbsence::Lame) => {
                    LookupError::Unreachable("no responsible server answers".to_owned())
                }
                (true, BareAbsence::Believed) => {
                    LookupError::NoSuchName { security: Security::Insecure, valid_for: Duration::ZERO }
                }
                (false, _) => self.bare_no_data(),
            };
        };
        let authorities = absent.authorities.as_deref().unwrap_or_default();
        let proofs = authorities.iter().map(|record| record.proof).chain([soa.proof]);
        if self.validated == Validated::Yes && proofs.into_iter().any(|proof| proof == Proof::Bogus) {
            return LookupError::Bogus("the proof of absence is not to be believed".to_owned());
        }
        // The library has checked what the records prove; without one of them nothing is proven.
        let is_proven = self.validated == Validated::Yes
            && authorities.iter().any(|record| {
                record.proof == Proof::Secure
                    && matches!(record.record_type(), rr::RecordType::NSEC | rr::RecordType::NSEC3)
            });
        let security = if is_proven { Security::Secure } else { Security::Insecure };
        // RFC 2308 §5: the lesser of the SOA record's TTL and its MINIMUM field.
        let valid_for = Duration::from_secs(soa.ttl.min(soa.data.minimum).into());
        if is_name {
            LookupError::NoSuchName { security, valid_for }
        } else {
            LookupError::NoData { security, valid_for }
        }
    }

    /// What a failure comes to.
    pub(crate) fn failed(&self, asked: &rr::Name, kind: RecordType, error: NetError) -> Outcome {
        match error {
            // Nothing is proven, since the proofs cost too much to be read (RFC 9276 §3.2); but there may be records.
            NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })
                if !response.answers.is_empty() =>
            {
                let answer = self.answer(asked, kind, &response.answers)?;
                Ok(Answer { security: Security::Insecure, ..answer })
            }
            NetError::Dns(DnsError::Nsec { query, response, .. })
                if wildcard::is_proven(&query, &response) =>
            {
                self.answer(asked, kind, &response.answers)
            }
            error => Err(self.failure(error)),
        }
    }

    /// What a failure without records comes to.
    pub(crate) fn failure(&self, error: NetError) -> LookupError {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(absent)) => self.absence(&absent),
            NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. }) => {
                match DnsError::from_response(*response) {
                    Err(DnsError::NoRecordsFound(absent)) => insecure(self.absence(&absent)),
                    Err(error) => LookupError::Unreachable(reason(&error)),
                    Ok(_) => self.bare_no_data(),
                }
            }
            NetError::Dns(error @ (DnsError::Nsec { .. } | DnsError::DnssecBogus)) => {
                LookupError::Bogus(reason(&error))
            }
            NetError::Timeout => LookupError::Timeout,
            error => LookupError::Unreachable(reason(&error)),
        }
    }

    /// How far one record is proven.
    pub(crate) fn security(&self, record: &Record) -> Result<Security, LookupError> {
        if self.validated == Validated::No {
            return Ok(Security::Insecure);
        }
        match record.proof {
            Proof::Secure => Ok(Security::Secure),
            Proof::Insecure => Ok(Security::Insecure),
            // Whether it should have been signed cannot be found out: as good as forged (RFC 4035 §5.5).
            Proof::Bogus | Proof::Indeterminate => Err(LookupError::Bogus(shortened(format!(
                "the signature of {} {} is missing or wrong",
                record.name,
                record.record_type()
            )))),
        }
    }

    /// An empty answer that says nothing more (RFC 2308 §2.2, type 3): many servers give it. Not to be remembered.
    fn bare_no_data(&self) -> LookupError {
        LookupError::NoData { security: Security::Insecure, valid_for: Duration::ZERO }
    }
}

/// The same absence, unproven: what stands beside it was signed, but proves nothing that we would compute.
pub(crate) fn insecure(absence: LookupError) -> LookupError {
    match absence {
        LookupError::NoSuchName { valid_for, .. } => {
            LookupError::NoSuchName { security: Security::Insecure, valid_for }
        }
        LookupError::NoData { valid_for, .. } => {
            LookupError::NoData { security: Security::Insecure, valid_for }
        }
        error => error,
    }
}

/// Why records were left out although they were there.
pub(crate) fn uncarried() -> LookupError {
    LookupError::Excessive("a name that no host can have".to_owned())
}

pub(crate) fn name_in(name: &rr::Name) -> Option<Name> {
    Name::parse(&name.to_ascii()).ok()
}

/// Our form of a record's data; `None` for data of another type, or with a name that we cannot carry.
pub(crate) fn data_in(data: &RData, kind: RecordType) -> Option<RecordData> {
    Some(match data {
        RData::A(address) => RecordData::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => RecordData::Address(IpAddr::V6(address.0)),
        RData::MX(mx) => {
            RecordData::Mx(MailExchanger { preference: mx.preference, exchange: name_in(&mx.exchange)? })
        }
        RData::TXT(text) => RecordData::Text(text.txt_data.concat()),
        RData::TLSA(tlsa) => RecordData::Tlsa(TlsaRecord {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        RData::SRV(service) => RecordData::Service(ServiceHost {
            priority: service.priority,
            weight: service.weight,
            port: service.port,
            host: name_in(&service.target)?,
        }),
        RData::CAA(caa) => RecordData::Authorization(Authorization {
            is_critical: caa.issuer_critical,
            tag: caa.tag.to_ascii_lowercase(),
            value: caa.value.clone(),
        }),
        RData::CNAME(name) => RecordData::Name(kind, name_in(&name.0)?),
        RData::NS(name) => RecordData::Name(kind, name_in(&name.0)?),
        RData::PTR(name) => RecordData::Name(kind, name_in(&name.0)?),
        other => RecordData::Other(kind, other.to_string()),
    })
}

/// A failure's text, shortened.
pub(crate) fn reason(error: &impl std::fmt::Display) -> String {
    shortened(error.to_string())
}

fn shortened(mut text: String) -> String {
    if text.len() > REASON_OCTETS_MAX {
        let end = (0..=REASON_OCTETS_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::rr::rdata;

    use super::*;

    const READING: Reading =
        Reading { validated: Validated::Yes, bare_absence: BareAbsence::Lame, records_max: 3 };

    fn name(text: &str) -> rr::Name {
        rr::Name::from_ascii(text).unwrap()
    }

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        record
    }

    fn alias(owner: &str, target: &str, proof: Proof) -> Record {
        record(owner, RData::CNAME(rdata::CNAME(name(target))), proof)
    }

    fn address(owner: &str, proof: Proof) -> Record {
        record(owner, RData::A(rdata::A(Ipv4Addr::LOCALHOST)), proof)
    }

    fn read(records: &[Record]) -> Outcome {
        READING.answer(&name("host0."), RecordType::A, records)
    }

    #[test]
    fn a_chain_is_as_secure_as_its_least() {
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        for (first, last, expected) in [
            (Secure, Secure, Some(Security::Secure)),
            (Insecure, Secure, Some(Security::Insecure)),
            (Secure, Insecure, Some(Security::Insecure)),
            (Secure, Bogus, None),
            (Bogus, Secure, None),
            (Secure, Indeterminate, None),
        ] {
            let outcome = read(&[alias("host0.", "Host1.", first), address("host1.", last)]);
            match expected {
                Some(security) => {
                    let answer = outcome.unwrap();
                    assert_eq!((answer.security, answer.canonical.as_str()), (security, "host1"));
                }
                None => assert!(matches!(outcome, Err(LookupError::Bogus(_))), "{outcome:?}"),
            }
        }
    }

    #[test]
    fn aliases_are_followed_to_the_bound_and_circles_end() {
        let chain = |aliases: usize| {
            let mut records: Vec<Record> = (0..aliases)
                .map(|at| alias(&format!("host{at}."), &format!("host{}.", at + 1), Proof::Secure))
                .collect();
            records.push(address(&format!("host{aliases}."), Proof::Secure));
            read(&records)
        };
        assert!(chain(ALIASES_MAX - 1).is_ok());
        assert!(chain(ALIASES_MAX).is_ok());
        assert!(matches!(chain(ALIASES_MAX + 1), Err(LookupError::Excessive(_))));
        let circle = [alias("host0.", "host1.", Proof::Secure), alias("host1.", "host0.", Proof::Secure)];
        assert!(matches!(read(&circle), Err(LookupError::Excessive(_))));
    }

    #[test]
    fn records_are_counted() {
        let many = |count| read(&vec![address("host0.", Proof::Insecure); count]);
        assert_eq!(many(2).unwrap().records.len(), 2);
        assert_eq!(many(3).unwrap().records.len(), 3);
        assert!(matches!(many(4), Err(LookupError::Excessive(_))));
    }

    #[test]
    fn records_of_strangers_are_no_answer() {
        let outcome = read(&[address("other.", Proof::Secure)]);
        assert!(matches!(outcome, Err(LookupError::NoData { security: Security::Insecure, .. })));
    }

    #[test]
    fn absence_needs_the_zones_word() {
        let mut absent = NoRecords::new(
            hickory_resolver::proto::op::Query::query(name("host0."), rr::RecordType::A),
            ResponseCode::NXDomain,
        );
        assert!(matches!(READING.absence(&absent), LookupError::Unreachable(_)));
        let believing = Reading { bare_absence: BareAbsence::Believed, ..READING };
        assert!(matches!(believing.absence(&absent), LookupError::NoSuchName { .. }));
        let soa = rdata::SOA::new(name("ns."), name("ops."), 1, 1, 1, 1, 30);
        absent.soa = Some(Box::new(Record::from_rdata(name("."), 60, soa)));
        assert_eq!(
            READING.absence(&absent),
            LookupError::NoSuchName { security: Security::Insecure, valid_for: Duration::from_secs(30) }
        );
    }

    #[test]
    fn reasons_are_short() {
        assert_eq!(reason(&"ü".repeat(REASON_OCTETS_MAX)).len(), REASON_OCTETS_MAX);
        assert_eq!(reason(&"x".repeat(REASON_OCTETS_MAX - 1)).len(), REASON_OCTETS_MAX - 1);
    }
}
