//! Whether a report may go where a record asks it to: nobody is flooded with reports on somebody else's domain
//! (RFC 9990 §4).

use mail_types::DomainName;

use super::ReportAddress;
use crate::dmarc::tags::{tags, value};
use crate::dmarc::walk::{DnsFailure, Walk};
use crate::lookup::{Answers, Needs, QueryName, ReplyError};

/// TXT records of a consent that are looked at.
const TEXTS_MAX: usize = 64;

/// Where a report goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To these addresses: the one asked for, or those that its domain names instead.
    Send(Vec<ReportAddress>),
    /// Nowhere: its domain does not want it.
    Refused,
    /// DNS failed: nobody knows for now.
    Unknown,
}

/// Finds out where a report on `policy_domain` may go, if its record asks for `wanted`.
///
/// # Errors
/// [`Needs`] as long as answers are missing.
pub fn report_destination(
    policy_domain: &DomainName,
    wanted: &ReportAddress,
    answers: &Answers,
) -> Result<Destination, Needs> {
    let Some(host) = wanted.domain() else { return Ok(Destination::Refused) };
    match are_one_organisation(policy_domain, host, answers)? {
        Ok(true) => return Ok(Destination::Send(vec![wanted.clone()])),
        Ok(false) => {}
        Err(DnsFailure) => return Ok(Destination::Unknown),
    }
    // RFC 9990 §4 step 4: a name too long for DNS is nobody's consent.
    let Some(name) = consent_name(policy_domain, host) else { return Ok(Destination::Refused) };
    let texts = match answers.txt(&name)? {
        Ok(texts) => texts,
        Err(ReplyError::NoSuchName | ReplyError::NoData) => return Ok(Destination::Refused),
        Err(ReplyError::Failure) => return Ok(Destination::Unknown),
    };
    let consents: Vec<_> = texts.iter().take(TEXTS_MAX).filter_map(|text| tags(text, "DMARC1")).collect();
    if consents.is_empty() {
        return Ok(Destination::Refused);
    }
    let Some(list) = consents.iter().find_map(|tags| value(tags, "rua")) else {
        return Ok(Destination::Send(vec![wanted.clone()]));
    };
    let instead = ReportAddress::parse_list(list);
    // Step 9: who answers for one host must not point at another, or reports run in circles.
    let is_own = instead.iter().all(|address| address.domain() == Some(host));
    Ok(if is_own && !instead.is_empty() { Destination::Send(instead) } else { Destination::Refused })
}

/// `example.org._report._dmarc.thirdparty.example`.
#[must_use]
pub fn consent_name(policy_domain: &DomainName, host: &DomainName) -> Option<QueryName> {
    QueryName::parse(&format!("{policy_domain}._report._dmarc.{host}")).ok()
}

fn are_one_organisation(
    one: &DomainName,
    other: &DomainName,
    answers: &Answers,
) -> Result<Result<bool, DnsFailure>, Needs> {
    if one == other {
        return Ok(Ok(true));
    }
    if !crate::dmarc::walk::share_a_root(one.as_str(), other.as_str()) {
        return Ok(Ok(false));
    }
    let (one, other) = match (Walk::from(one, answers), Walk::from(other, answers)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(Needs(mut these)), Err(Needs(those))) => {
            these.extend(those.into_iter().filter(|question| !these.contains(question)).collect::<Vec<_>>());
            return Err(Needs(these));
        }
        (Err(needs), Ok(_)) | (Ok(_), Err(needs)) => return Err(needs),
    };
    Ok(match (one, other) {
        (Ok(one), Ok(other)) => Ok(one.organisational_domain() == other.organisational_domain()),
        _ => Err(DnsFailure),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Question, Reply};

    fn find(uri: &str, records: &[(&str, &str)]) -> Destination {
        let policy_domain = DomainName::parse("blue.example.com").unwrap();
        let wanted = ReportAddress::parse(uri).unwrap();
        let mut answers = Answers::new();
        loop {
            match report_destination(&policy_domain, &wanted, &answers) {
                Ok(destination) => return destination,
                Err(Needs(questions)) => {
                    for question in questions {
                        let Question::Txt(name) = &question else { panic!("{question:?}") };
                        let found = records.iter().find(|(at, _)| *at == name.as_str());
                        let reply = match found {
                            Some((_, "failure")) => Err(ReplyError::Failure),
                            Some((_, text)) => Ok(Reply::Txt(vec![text.as_bytes().into()])),
                            None => Err(ReplyError::NoSuchName),
                        };
                        answers.add(question, reply);
                    }
                }
            }
        }
    }

    fn sent(uris: &[&str]) -> Destination {
        Destination::Send(uris.iter().filter_map(|uri| ReportAddress::parse(uri)).collect())
    }

    const RED: &str = "mailto:reports@red.example.net";
    const CONSENT: &str = "blue.example.com._report._dmarc.red.example.net";

    #[test]
    fn ones_own_addresses_need_no_consent() {
        let own = "mailto:a@blue.example.com";
        assert_eq!(find(own, &[]), sent(&[own]));
        let organisation = "mailto:a@reports.example.com";
        assert_eq!(find(organisation, &[]), Destination::Refused);
        assert_eq!(find(organisation, &[("_dmarc.example.com", "v=DMARC1; p=none")]), sent(&[organisation]));
    }

    #[test]
    fn others_have_to_agree() {
        assert_eq!(find(RED, &[]), Destination::Refused);
        assert_eq!(find(RED, &[(CONSENT, "v=DMARC1")]), sent(&[RED]));
        assert_eq!(find(RED, &[(CONSENT, "v=DMARC1;")]), sent(&[RED]));
        assert_eq!(find(RED, &[(CONSENT, "v=spf1 -all")]), Destination::Refused);
        assert_eq!(find(RED, &[(CONSENT, "failure")]), Destination::Unknown);
        assert_eq!(find("mailto:a@b.com", &[("_dmarc.com", "failure")]), Destination::Unknown);
    }

    #[test]
    fn others_may_name_another_address_of_their_own() {
        let other = "mailto:other@red.example.net";
        assert_eq!(find(RED, &[(CONSENT, &format!("v=DMARC1; rua={other}"))]), sent(&[other]));
        for rua in ["mailto:a@victim.example", "mailto:a@red.example.net,mailto:a@victim.example", "x"] {
            assert_eq!(
                find(RED, &[(CONSENT, &format!("v=DMARC1; rua={rua}"))]),
                Destination::Refused,
                "{rua}"
            );
        }
    }

    #[test]
    fn a_name_too_long_is_no_consent() {
        let label = "a".repeat(63);
        let long = DomainName::parse(&format!("{label}.{label}.{label}.example")).unwrap();
        for (octets, is_consent) in [(33, true), (34, true), (35, false)] {
            let host = DomainName::parse(&format!("{}.net", "b".repeat(octets))).unwrap();
            assert_eq!(consent_name(&long, &host).is_some(), is_consent, "{octets}");
        }
    }
}
