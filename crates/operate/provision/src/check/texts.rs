//! Policies and wishes that are texts: DMARC, MTA-STS and TLS-RPT.

use dns::RecordData;
use sender_auth::dmarc::{Policy, Record};
use sender_auth::mta_sts::PolicyId;
use sender_auth::reports::TlsReportRecord;

use super::{quoted, shown, texts_of, to_add, to_replace};
use crate::finding::Finding;
use crate::record::Wanted;
use crate::world::Served;

/// What others do with mail in the domain's name that nobody vouches for (RFC 9989).
pub(super) fn author_policy(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    let found = texts_of(served, |text| text.starts_with(b"v=DMARC1") || Record::parse(text).is_some());
    let text = match found.as_slice() {
        [] => {
            return vec![Finding::wrong(
                &title,
                "there is none",
                "anybody can write in the domain's name, and large providers refuse mail of domains without it",
                to_add(wanted),
            )];
        }
        [text] => text,
        _ => {
            return vec![Finding::wrong(
                &title,
                "there are several records",
                "others pass over them all (RFC 9989 §4.10.1)",
                to_replace(wanted),
            )];
        }
    };
    let Some(record) = Record::parse(text) else {
        return vec![unreadable(wanted, text)];
    };
    if record.is_broken {
        return vec![unreadable(wanted, text)];
    }
    let mut findings = Vec::new();
    if record.aggregate_reports_to.is_empty() {
        findings.push(Finding::advice(
            &title,
            "nobody hears the reports",
            "you do not learn who sends in the domain's name, nor whether your own mail passes",
            "add a rua tag, such as the one that `mailstead dns records` shows",
        ));
    }
    match record.policy {
        Policy::None => findings.push(Finding::advice(
            &title,
            format!("{}: others only report", quoted(text)),
            "mail that somebody forges in the domain's name is still delivered",
            "when a few weeks of reports show your own mail passing, write p=quarantine, later p=reject",
        )),
        _ => findings.push(Finding::right(&title, quoted(text))),
    }
    findings
}

/// Whether others learn of the policy that is served (RFC 8461 §3.1).
pub(super) fn encryption_policy(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    let Some(RecordData::Text(own)) = wanted.values.first() else { return Vec::new() };
    let own = PolicyId::parse_record(own);
    let found = texts_of(served, |text| text.starts_with(b"v=STSv1"));
    match found.as_slice() {
        [] => vec![Finding::advice(
            &title,
            "there is none",
            "nobody learns of the policy that this server has for the domain",
            to_add(wanted),
        )],
        [text] if PolicyId::parse_record(text).is_some_and(|id| Some(id) == own) => {
            vec![Finding::right(&title, quoted(text))]
        }
        [text] => vec![Finding::wrong(
            &title,
            format!("{} is not the policy that is served now", quoted(text)),
            "others keep to the policy that they fetched before, perhaps for other mail hosts",
            to_replace(wanted),
        )],
        _ => vec![Finding::wrong(
            &title,
            "there are several records",
            "others take the domain for one without a policy (RFC 8461 §3.1)",
            to_replace(wanted),
        )],
    }
}

/// Whether somebody hears of trouble with encryption (RFC 8460 §3).
pub(super) fn encryption_reports(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    match texts_of(served, |text| text.starts_with(b"v=TLSRPTv1")).as_slice() {
        [] => vec![Finding::advice(
            &title,
            "there is none",
            "you do not learn when others cannot encrypt mail to you, or somebody keeps them from it",
            to_add(wanted),
        )],
        [text] if TlsReportRecord::parse(text).is_some() => vec![Finding::right(&title, quoted(text))],
        [text] => vec![unreadable(wanted, text)],
        _ => vec![Finding::wrong(
            &title,
            format!("there are several records: {}", shown(served)),
            "others send no reports (RFC 8460 §3)",
            to_replace(wanted),
        )],
    }
}

fn unreadable(wanted: &Wanted, text: &[u8]) -> Finding {
    Finding::wrong(
        &wanted.title(),
        format!("{} cannot be read", quoted(text)),
        "others pass over it as if it were not there",
        to_replace(wanted),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dns::{Name, Told};

    use super::*;
    use crate::finding::Status;
    use crate::record::Purpose;

    fn check(judge: fn(&Wanted, &Served) -> Vec<Finding>, own: &str, texts: &[&str]) -> (Status, String) {
        let text = |text: &str| RecordData::Text(text.as_bytes().to_vec());
        let name = Name::parse("_x.example.org").unwrap();
        let wanted = Wanted::new(name, Purpose::AuthorPolicy, vec![text(own)]);
        let told = match texts {
            [] => Told::NoSuchName,
            texts => Told::Records {
                records: texts.iter().map(|t| text(t)).collect(),
                ttl: Duration::from_secs(1),
            },
        };
        let findings = judge(&wanted, &Served { told, alias: None, differing: Vec::new() });
        let worst = findings.into_iter().max_by_key(|finding| finding.status).unwrap();
        (worst.status, worst.what)
    }

    #[test]
    fn any_author_policy_that_can_be_read_will_do() {
        let own = "v=DMARC1; p=none; rua=mailto:postmaster@example.org";
        for (texts, status) in [
            (&[][..], Status::Wrong),
            (&["v=DMARC1; p=reject; rua=mailto:a@b.example"], Status::Right),
            (&["v=DMARC1; p=reject"], Status::Advice),
            (&[own], Status::Advice),
            (&["v=DMARC1; p=rejct; rua=mailto:a@b.example"], Status::Wrong),
            (&["v=DMARC1 p=none"], Status::Wrong),
            (&[own, own], Status::Wrong),
            (&["v=spf1 -all"], Status::Wrong),
        ] {
            assert_eq!(check(author_policy, own, texts).0, status, "{texts:?}");
        }
    }

    #[test]
    fn an_encryption_policy_is_the_one_that_is_served() {
        let own = "v=STSv1; id=20261126;";
        for (texts, status) in [
            (&[][..], Status::Advice),
            (&["v=STSv1; id=20261126;"], Status::Right),
            (&["v=STSv1;id=20261126"], Status::Right),
            (&["v=STSv1; id=20250101;"], Status::Wrong),
            (&["v=STSv1; id=20261126;", "v=STSv1; id=1;"], Status::Wrong),
        ] {
            assert_eq!(check(encryption_policy, own, texts).0, status, "{texts:?}");
        }
    }

    #[test]
    fn reports_go_to_somebody() {
        let own = "v=TLSRPTv1; rua=mailto:postmaster@example.org";
        for (texts, status) in [
            (&[][..], Status::Advice),
            (&["v=TLSRPTv1; rua=https://reports.example/tls"], Status::Right),
            (&["v=TLSRPTv1; rua="], Status::Wrong),
            (&[own, own], Status::Wrong),
        ] {
            assert_eq!(check(encryption_reports, own, texts).0, status, "{texts:?}");
        }
    }
}
