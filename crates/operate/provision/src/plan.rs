//! From what the world serves to what it should: what has to change in which zone, and what a person has to see to.
//!
//! What is there and right in its own way stays: records that a check does not call wrong, other texts at the same name,
//! what a policy lets others do.

use dns::{LookupError, Name, RecordChange, RecordData, RecordType, Security};
use sender_auth::{dmarc, spf};

use crate::check::Checker;
use crate::finding::{Finding, Status};
use crate::record::{Keeper, Purpose, TTL_SECONDS, Wanted};
use crate::wanted::Domain;
use crate::world::Served;

/// What has to change.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Plan {
    /// By zone; no zone without a change.
    pub zones: Vec<ZoneChanges>,
    /// What is not changed although it is not as wanted, and why.
    pub left: Vec<String>,
}

/// What has to change in one zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneChanges {
    /// The zone.
    pub zone: Name,
    /// The changes, by name and type.
    pub changes: Vec<RecordChange>,
}

impl Plan {
    fn add(&mut self, zone: &Name, change: RecordChange) {
        match self.zones.iter_mut().find(|changes| changes.zone == *zone) {
            Some(changes) => changes.changes.push(change),
            None => self.zones.push(ZoneChanges { zone: zone.clone(), changes: vec![change] }),
        }
    }
}

/// What becomes of one name and type.
enum Decision {
    /// It is well as it is.
    Keep,
    /// These records go, those come.
    Change(Vec<RecordData>, Vec<RecordData>),
    /// A person has to see to it.
    Leave(String),
}

impl Checker<'_> {
    /// What has to change for the host and these domains.
    pub async fn plan(&self, domains: &[&Domain]) -> Plan {
        let mut plan = Plan::default();
        match self.site.host_records() {
            Ok(records) => {
                for wanted in &records {
                    self.plan_one(wanted, None, &mut plan).await;
                }
            }
            Err(error) => plan.left.push(format!("{}: {error}", self.site.host.name)),
        }
        for domain in domains {
            match self.site.domain_records(domain) {
                Ok(records) => {
                    for wanted in &records {
                        self.plan_one(wanted, Some(domain), &mut plan).await;
                    }
                }
                Err(error) => plan.left.push(format!("{}: {error}", domain.name)),
            }
        }
        plan
    }

    async fn plan_one(&self, wanted: &Wanted, domain: Option<&Domain>, plan: &mut Plan) {
        if wanted.purpose.keeper() == Keeper::AddressProvider {
            return;
        }
        match self.decide(wanted, domain).await {
            Ok((zone, Decision::Change(remove, add))) => {
                let (name, kind) = (wanted.name.clone(), wanted.purpose.kind());
                plan.add(&zone, RecordChange { name, kind, remove, add, ttl: TTL_SECONDS });
            }
            Ok((_, Decision::Leave(why))) => plan.left.push(format!("{}: {why}", wanted.title())),
            Ok((_, Decision::Keep)) => {}
            Err(error) => plan.left.push(format!("{}: {error}", wanted.title())),
        }
    }

    async fn decide(
        &self,
        wanted: &Wanted,
        domain: Option<&Domain>,
    ) -> Result<(Name, Decision), LookupError> {
        let zone = self.world.zone_of(&wanted.name).await?;
        let apex = zone.apex.clone();
        if zone.apex.is_root() {
            return Ok((apex, Decision::Leave("nobody has registered the domain".to_owned())));
        }
        let served = self.world.served(&wanted.name, wanted.purpose.kind()).await?;
        if let Some(alias) = &served.alias {
            let why = format!("the name is an alias of {alias}; change it there, or remove the alias");
            let is_right = self.judge(wanted, domain).await.iter().all(|f| f.status == Status::Right);
            return Ok((apex, if is_right { Decision::Keep } else { Decision::Leave(why) }));
        }
        if wanted.purpose == Purpose::CertificateKey
            && !matches!(self.world.security(&apex).await, Ok(Security::Secure))
        {
            // It would count for nothing, and be forgotten until it does harm.
            return Ok((apex, Decision::Keep));
        }
        if wanted.purpose.kind() == RecordType::Cname && served.records().is_empty() {
            // An alias bears no other records beside it (RFC 2181 §10.1).
            let four = self.world.served(&wanted.name, RecordType::A).await?;
            if !four.records().is_empty() {
                let why = "the name has addresses of its own; let it lead to the server by hand";
                let is_right = self.judge(wanted, domain).await.iter().all(|f| f.status == Status::Right);
                return Ok((apex, if is_right { Decision::Keep } else { Decision::Leave(why.to_owned()) }));
            }
        }
        let findings = self.judge(wanted, domain).await;
        Ok((apex, decide(wanted, &served, &findings)))
    }
}

fn decide(wanted: &Wanted, served: &Served, findings: &[Finding]) -> Decision {
    if wanted.values.is_empty() {
        return match served.records().is_empty() {
            true => Decision::Leave(
                "the server's address is not known here; name it in dns.public_addresses".to_owned(),
            ),
            false => Decision::Keep,
        };
    }
    let status = findings.iter().map(|finding| finding.status).max();
    if status == Some(Status::Right) {
        return Decision::Keep;
    }
    let existing = served.records();
    let ours: Vec<&RecordData> =
        existing.iter().filter(|record| is_replaced(wanted.purpose, record)).collect();
    let missing: Vec<RecordData> =
        wanted.values.iter().filter(|value| !existing.contains(value)).cloned().collect();
    match status {
        _ if ours.is_empty() => Decision::Change(Vec::new(), missing),
        Some(Status::Wrong) => match wanted.purpose {
            Purpose::SenderPolicy | Purpose::GreetingPolicy => merge_policy(wanted, &ours),
            // Others may go on issuing certificates.
            Purpose::CertificateIssuer => Decision::Change(Vec::new(), missing),
            _ => {
                let stale =
                    ours.into_iter().filter(|record| !wanted.values.contains(record)).cloned().collect();
                match (&stale, missing.is_empty()) {
                    (stale, true) if Vec::<RecordData>::is_empty(stale) => Decision::Leave(reasons(findings)),
                    _ => Decision::Change(stale, missing),
                }
            }
        },
        Some(Status::Unknown) => Decision::Leave(reasons(findings)),
        // It works, and is somebody's choice.
        _ => Decision::Keep,
    }
}

fn reasons(findings: &[Finding]) -> String {
    let worst = findings.iter().filter(|finding| finding.status >= Status::Unknown);
    worst.map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; ")
}

/// Whether a record at a name of ours is one of those that ours take the place of.
fn is_replaced(purpose: Purpose, record: &RecordData) -> bool {
    let RecordData::Text(text) = record else { return true };
    match purpose {
        Purpose::SenderPolicy | Purpose::GreetingPolicy => spf::is_record(text),
        Purpose::SigningKey | Purpose::RetiredKey => {
            text.split(|octet| *octet == b';').any(|tag| tag.trim_ascii().starts_with(b"p="))
        }
        Purpose::AuthorPolicy => text.starts_with(b"v=DMARC1") || dmarc::Record::parse(text).is_some(),
        Purpose::EncryptionPolicy => text.starts_with(b"v=STSv1"),
        Purpose::EncryptionReports => text.starts_with(b"v=TLSRPTv1"),
        _ => true,
    }
}

/// The policy that is there, with us added to it.
fn merge_policy(wanted: &Wanted, ours: &[&RecordData]) -> Decision {
    let (Some(RecordData::Text(own)), [RecordData::Text(text)]) = (wanted.values.first(), ours) else {
        return Decision::Leave("there are several SPF records; make one of them".to_owned());
    };
    if spf::Record::parse(text).is_err() {
        return Decision::Leave(
            "the SPF record cannot be read; mend it, or remove it and run this again".to_owned(),
        );
    }
    let (own, text) = (String::from_utf8_lossy(own), String::from_utf8_lossy(text));
    let terms: Vec<&str> = text.split_ascii_whitespace().collect();
    let added = own
        .split_ascii_whitespace()
        .filter(|term| *term != "v=spf1" && !term.ends_with("all"))
        .filter(|term| !terms.iter().any(|have| have.trim_start_matches('+').eq_ignore_ascii_case(term)));
    let added: Vec<&str> = added.collect();
    match terms.split_first() {
        Some((version, rest)) if !added.is_empty() => {
            let merged = [&[*version][..], &added, rest].concat().join(" ");
            Decision::Change(
                vec![RecordData::Text(text.as_bytes().to_vec())],
                vec![RecordData::Text(merged.into_bytes())],
            )
        }
        _ => Decision::Leave(
            "the SPF record names this server and does not let it send; look what stands before".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dns::{MailExchanger, Told};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn text(text: &str) -> RecordData {
        RecordData::Text(text.as_bytes().to_vec())
    }

    fn mx(preference: u16, exchange: &str) -> RecordData {
        RecordData::Mx(MailExchanger { preference, exchange: name(exchange) })
    }

    fn change(
        purpose: Purpose,
        own: RecordData,
        existing: Vec<RecordData>,
        status: Option<Status>,
    ) -> Option<(Vec<RecordData>, Vec<RecordData>)> {
        let wanted = Wanted::new(name("example.org"), purpose, vec![own]);
        let told = Told::Records { records: existing, ttl: Duration::from_secs(60) };
        let finding = |status| Finding {
            about: String::new(),
            status,
            what: String::new(),
            causes: String::new(),
            remedy: String::new(),
        };
        let findings: Vec<Finding> = status.into_iter().map(finding).collect();
        match decide(&wanted, &Served { told, alias: None, differing: Vec::new() }, &findings) {
            Decision::Change(remove, add) => Some((remove, add)),
            Decision::Keep | Decision::Leave(_) => None,
        }
    }

    #[test]
    fn other_texts_at_the_same_name_stay() {
        let policy = text("v=DMARC1; p=none; rua=mailto:a@example.org");
        let verification = text("site-verification=1");
        let changed = change(
            Purpose::AuthorPolicy,
            policy.clone(),
            vec![verification.clone(), text("v=DMARC1 p=none")],
            Some(Status::Wrong),
        );
        assert_eq!(changed, Some((vec![text("v=DMARC1 p=none")], vec![policy.clone()])));
        let added = change(Purpose::AuthorPolicy, policy.clone(), vec![verification], Some(Status::Wrong));
        assert_eq!(added, Some((Vec::new(), vec![policy])));
    }

    #[test]
    fn what_works_is_somebodys_choice() {
        let own = mx(10, "mail.example.org");
        let both = vec![mx(5, "filter.example.net"), own.clone()];
        assert_eq!(change(Purpose::Exchanger, own.clone(), both, Some(Status::Advice)), None);
        let old = mx(10, "old.example.net");
        assert_eq!(
            change(Purpose::Exchanger, own.clone(), vec![old.clone()], Some(Status::Wrong)),
            Some((vec![old.clone()], vec![own.clone()]))
        );
        assert_eq!(change(Purpose::Exchanger, own, vec![old], Some(Status::Unknown)), None);
    }

    #[test]
    fn a_policy_keeps_what_it_lets_others_do() {
        let own = || text("v=spf1 mx ip4:192.0.2.9 -all");
        let merged = |existing: &str| {
            change(Purpose::SenderPolicy, own(), vec![text(existing), text("other")], Some(Status::Wrong))
        };
        for (existing, expected) in [
            ("v=spf1 include:_spf.example.net ~all", "v=spf1 mx ip4:192.0.2.9 include:_spf.example.net ~all"),
            ("v=spf1 +MX -all", "v=spf1 ip4:192.0.2.9 +MX -all"),
        ] {
            assert_eq!(merged(existing), Some((vec![text(existing)], vec![text(expected)])));
        }
        for existing in ["v=spf1 -ip4:192.0.2.9 mx ip4:192.0.2.9 -all", "v=spf1 ipv4:192.0.2.1 -all"] {
            assert_eq!(merged(existing), None, "{existing}");
        }
        let several = vec![text("v=spf1 -all"), text("v=spf1 mx -all")];
        assert_eq!(change(Purpose::SenderPolicy, own(), several, Some(Status::Wrong)), None);
    }

    #[test]
    fn an_issuer_is_added_to_the_others() {
        let caa = |issuer: &str| {
            RecordData::Authorization(dns::Authorization {
                is_critical: false,
                tag: "issue".into(),
                value: issuer.as_bytes().to_vec(),
            })
        };
        let changed =
            change(Purpose::CertificateIssuer, caa("a.example"), vec![caa("b.example")], Some(Status::Wrong));
        assert_eq!(changed, Some((Vec::new(), vec![caa("a.example")])));
    }
}
