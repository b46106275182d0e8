//! Whole answers for programs that ask over a socket: the records with what proves them, and nothing beside.

use std::time::Duration;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable;

use crate::answer::{LookupError, Security};
use crate::cache::Kept;
use crate::wildcard;
use crate::wire::{ALIASES_MAX, Reading, reason};

/// Octets that a record takes beside its data's own.
const RECORD_OCTETS: usize = size_of::<Record>() + 64;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    /// The least proven part of it.
    pub(crate) security: Security,
    pub(crate) answers: Vec<Record>,
    /// The zone's SOA record, and what proves that something is not there.
    pub(crate) authorities: Vec<Record>,
    /// How long it may still be used.
    pub(crate) valid_for: Duration,
    /// Whether its time was over and no server answered.
    pub(crate) age: Age,
}

/// Whether the name that was asked for exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Exists,
    NoSuchName,
}

/// Whether an answer's time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Age {
    Fresh,
    Stale,
}

impl Reply {
    /// Where this answer's alias leads to, if it is one.
    pub(crate) fn target(&self) -> Option<Name> {
        self.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        })
    }

    /// What all names below this one stand for, if it says so (DNAME, RFC 6672 §2.1).
    pub(crate) fn renaming(&self) -> Option<Name> {
        self.answers.iter().find_map(|record| match &record.data {
            RData::Unknown { code, rdata } if *code == RecordType::DNAME => {
                // The name stands in full (RFC 6672 §2.5).
                Name::from_bytes(&rdata.anything).ok()
            }
            _ => None,
        })
    }

    /// An alias's answer and that of its target, as one.
    pub(crate) fn followed_by(mut self, end: Self) -> Self {
        self.answers.extend(end.answers);
        self.authorities.extend(end.authorities);
        self.status = end.status;
        self.security = self.security.min(end.security);
        self.valid_for = self.valid_for.min(end.valid_for);
        self
    }

    /// Octets it takes in memory, about.
    pub(crate) fn octets(&self) -> usize {
        let records = self.answers.iter().chain(&self.authorities);
        records.map(|record| RECORD_OCTETS + record.name.len() + data_octets(&record.data)).sum()
    }
}

/// Octets that a record's data takes on the heap, about.
fn data_octets(data: &RData) -> usize {
    match data {
        RData::TXT(text) => text.txt_data.iter().map(|part| part.len() + 16).sum(),
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.sig().len(),
        RData::TLSA(tlsa) => tlsa.cert_data.len(),
        RData::CAA(caa) => caa.tag.len() + caa.value.len(),
        // Names and keys; what we do not know is as long as it is.
        RData::Unknown { rdata, .. } => rdata.anything.len(),
        _ => 128,
    }
}

impl Kept for Result<Reply, LookupError> {
    fn with_time(&self, left: Duration) -> Self {
        let mut reply = self.clone();
        if let Ok(reply) = &mut reply {
            reply.valid_for = left;
        }
        reply
    }

    fn has_records(&self) -> bool {
        self.as_ref().is_ok_and(|reply| !reply.answers.is_empty() && reply.status == Status::Exists)
    }
}

impl Reading {
    /// What a message comes to: the records along its aliases and what signs them. Everything else in it is left out.
    pub(crate) fn reply(
        &self,
        query: &Query,
        answers: &[Record],
        authorities: &[Record],
    ) -> Result<Reply, LookupError> {
        let mut names = vec![query.name().clone()];
        while let Some(target) = next_name(names.last(), answers) {
            if names.contains(&target) || names.len() > ALIASES_MAX {
                return Err(LookupError::Excessive(format!("more than {ALIASES_MAX} aliases, or a circle")));
            }
            names.push(target);
        }
        let is_wanted = |record: &&Record| {
            let kind = match &record.data {
                RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().type_covered,
                _ => record.record_type(),
            };
            names.contains(&record.name) && (kind == query.query_type() || kind == RecordType::CNAME)
        };
        let answers: Vec<Record> = answers.iter().filter(is_wanted).cloned().collect();
        let mut security = Security::Secure;
        for record in answers.iter().filter(|record| record.record_type() != RecordType::RRSIG) {
            security = security.min(self.security(record)?);
        }
        if answers.is_empty() {
            return Ok(self.bare());
        }
        let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Reply {
            status: Status::Exists,
            security,
            answers,
            authorities: proofs(authorities),
            valid_for: Duration::from_secs(ttl.into()),
            age: Age::Fresh,
        })
    }

    /// What a failure comes to: an answer that there is nothing, or none.
    pub(crate) fn failed_reply(&self, query: &Query, error: NetError) -> Result<Reply, LookupError> {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(absent)) => self.absent_reply(&absent),
            NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })
                if !response.answers.is_empty() =>
            {
                let reply = self.reply(query, &response.answers, &response.authorities)?;
                Ok(Reply { security: Security::Insecure, ..reply })
            }
            NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. }) => {
                match DnsError::from_response(*response) {
                    Err(DnsError::NoRecordsFound(absent)) => {
                        let reply = self.absent_reply(&absent)?;
                        Ok(Reply { security: Security::Insecure, ..reply })
                    }
                    Err(error) => Err(LookupError::Unreachable(reason(&error))),
                    Ok(_) => Ok(self.bare()),
                }
            }
            NetError::Dns(DnsError::Nsec { query, response, .. })
                if wildcard::is_proven(&query, &response) =>
            {
                self.reply(&query, &response.answers, &response.authorities)
            }
            error => Err(self.failure(error)),
        }
    }

    /// What an absence comes to.
    pub(crate) fn absent_reply(&self, absent: &NoRecords) -> Result<Reply, LookupError> {
        let (status, security, valid_for) = match self.absence(absent) {
            LookupError::NoSuchName { security, valid_for } => (Status::NoSuchName, security, valid_for),
            LookupError::NoData { security, valid_for } => (Status::Exists, security, valid_for),
            error => return Err(error),
        };
        let mut authorities = proofs(absent.authorities.as_deref().unwrap_or_default());
        if let Some(soa) = &absent.soa {
            authorities.retain(|record| record.record_type() != RecordType::SOA);
            authorities.insert(0, (**soa).clone().into_record_of_rdata());
        }
        Ok(Reply { status, security, answers: Vec::new(), authorities, valid_for, age: Age::Fresh })
    }

    fn bare(&self) -> Reply {
        Reply {
            status: Status::Exists,
            security: Security::Insecure,
            answers: Vec::new(),
            authorities: Vec::new(),
            valid_for: Duration::ZERO,
            age: Age::Fresh,
        }
    }
}

/// The name that the alias of `name` leads to.
fn next_name(name: Option<&Name>, records: &[Record]) -> Option<Name> {
    records.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if Some(&record.name) == name => Some(target.0.clone()),
        _ => None,
    })
}

/// What proves an absence, or that a wildcard was rightly used, without the servers' names beside it.
fn proofs(records: &[Record]) -> Vec<Record> {
    let is_proof = |record: &&Record| {
        let kind = match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().type_covered,
            _ => record.record_type(),
        };
        matches!(kind, RecordType::SOA | RecordType::NSEC | RecordType::NSEC3)
    };
    records.iter().filter(is_proof).cloned().collect()
}
