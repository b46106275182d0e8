//! The DNS tree walk: which records stand at a domain and above it, and which domain is the organisation's own
//! (RFC 9989 §4.10).

use mail_types::DomainName;

use super::record::{PublicSuffix, Record};
use crate::lookup::{Answers, Needs, QueryName, Question, ReplyError};

/// Labels of the longest name that is asked for behind the first one, so that a walk asks at most eight times.
const PARENT_LABELS_MAX: usize = 7;
/// TXT records at one name that are looked at; the second DMARC record already spoils the first.
const TEXTS_MAX: usize = 64;

/// Why a walk has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DnsFailure;

/// What stands at one name.
type Found = Result<Option<Record>, DnsFailure>;

/// The record at one name, `None` if there is none or more than one.
pub(crate) fn record_at(domain: &str, answers: &Answers) -> Result<Found, Needs> {
    // No such name fits into DNS, so nothing can stand there.
    let Ok(name) = QueryName::parse(&format!("_dmarc.{domain}")) else { return Ok(Ok(None)) };
    Ok(match answers.txt(&name)? {
        Ok(texts) => {
            let mut records = texts.iter().take(TEXTS_MAX).filter_map(|text| Record::parse(text));
            let first = records.next();
            Ok(if records.next().is_some() { None } else { first })
        }
        Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(None),
        Err(ReplyError::Failure) => Err(DnsFailure),
    })
}

/// The records from a domain upwards.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'d> {
    start: &'d str,
    /// Domains with their records, the longest first.
    found: Vec<(&'d str, Record)>,
}

impl<'d> Walk<'d> {
    /// Walks up from a domain. Asks for all names at once: a walk stops early only below a registry or where somebody
    /// says `psd=n`, and most names have two labels.
    pub(crate) fn from(domain: &'d DomainName, answers: &Answers) -> Result<Result<Self, DnsFailure>, Needs> {
        let start = domain.as_str();
        let mut walk = Self { start, found: Vec::new() };
        let mut missing: Vec<Question> = Vec::new();
        for target in targets(start) {
            match record_at(target, answers) {
                Err(Needs(questions)) => missing.extend(questions),
                Ok(Err(failure)) if missing.is_empty() => return Ok(Err(failure)),
                Ok(Ok(Some(record))) if missing.is_empty() => {
                    let is_end = record.public_suffix != PublicSuffix::Unknown;
                    walk.found.push((target, record));
                    if is_end {
                        break;
                    }
                }
                Ok(_) => {}
            }
        }
        if missing.is_empty() { Ok(Ok(walk)) } else { Err(Needs(missing)) }
    }

    /// The organisation's own domain (RFC 9989 §4.10.2).
    pub(crate) fn organisational_domain(&self) -> &'d str {
        // A walk ends at the first record that tells, so only the last one can.
        let Some((domain, record)) = self.found.last() else { return self.start };
        match record.public_suffix {
            PublicSuffix::Yes if *domain != self.start => {
                suffix_of(self.start, labels(domain) + 1).unwrap_or(self.start)
            }
            _ => domain,
        }
    }

    /// The record that speaks for the domain where it has none of its own: its organisation's, or its registry's.
    pub(crate) fn inherited(&self) -> Option<(&'d str, &Record)> {
        let organisation = self.organisational_domain();
        let at = |wanted: &str| self.found.iter().find(|(domain, _)| *domain == wanted);
        let registry = || self.found.last().filter(|(_, record)| record.public_suffix == PublicSuffix::Yes);
        at(organisation).or_else(registry).map(|(domain, record)| (*domain, record))
    }
}

/// The names a walk asks for, the longest first.
fn targets(domain: &str) -> impl Iterator<Item = &str> {
    let parents = labels(domain).saturating_sub(1).min(PARENT_LABELS_MAX);
    let parents = (1..=parents).rev().filter_map(move |count| suffix_of(domain, count));
    std::iter::once(domain).chain(parents)
}

fn labels(domain: &str) -> usize {
    domain.split('.').count()
}

/// The last labels of a domain; `None` if it has fewer.
fn suffix_of(domain: &str, count: usize) -> Option<&str> {
    let skipped = labels(domain).checked_sub(count)?;
    let mut rest = domain;
    for _ in 0..skipped {
        rest = rest.split_once('.')?.1;
    }
    Some(rest)
}

/// Whether a domain is another one or stands below it.
pub(crate) fn is_within(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether two domains stand below some common one, be it a registry.
pub(crate) fn share_a_root(one: &str, other: &str) -> bool {
    one.rsplit('.').next() == other.rsplit('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Reply;

    #[test]
    fn the_walk_of_the_rfc() {
        let targets: Vec<&str> = targets("a.b.c.d.e.f.g.h.i.j.mail.example.com").collect();
        assert_eq!(
            targets,
            [
                "a.b.c.d.e.f.g.h.i.j.mail.example.com",
                "g.h.i.j.mail.example.com",
                "h.i.j.mail.example.com",
                "i.j.mail.example.com",
                "j.mail.example.com",
                "mail.example.com",
                "example.com",
                "com",
            ]
        );
    }

    #[test]
    fn a_walk_asks_eight_times_at_most() {
        for labels in 1..40 {
            let domain = vec!["a"; labels].join(".");
            assert_eq!(targets(&domain).count(), labels.min(8), "{labels}");
        }
    }

    fn organisation(start: &str, records: &[(&str, &str)]) -> String {
        let domain = DomainName::parse(start).unwrap();
        let mut answers = Answers::new();
        loop {
            match Walk::from(&domain, &answers) {
                Ok(walk) => return walk.unwrap().organisational_domain().to_owned(),
                Err(Needs(questions)) => {
                    for question in questions {
                        let Question::Txt(name) = &question else { panic!("{question:?}") };
                        let texts: Vec<Box<[u8]>> = records
                            .iter()
                            .filter(|(at, _)| name.as_str() == format!("_dmarc.{at}"))
                            .map(|(_, text)| text.as_bytes().into())
                            .collect();
                        let reply =
                            if texts.is_empty() { Err(ReplyError::NoData) } else { Ok(Reply::Txt(texts)) };
                        answers.add(question, reply);
                    }
                }
            }
        }
    }

    #[test]
    fn organisations_of_the_rfc() {
        let plain = "v=DMARC1; p=none";
        let both = [("mail.example.com", plain), ("example.com", plain)];
        assert_eq!(organisation("a.mail.example.com", &both), "example.com");
        let own = [("mail.example.com", "v=DMARC1; psd=n"), ("example.com", plain)];
        assert_eq!(organisation("a.mail.example.com", &own), "mail.example.com");
        assert_eq!(organisation("a.mail.example.com", &[("com", "v=DMARC1; psd=y")]), "example.com");
        assert_eq!(organisation("a.mail.example.com", &[]), "a.mail.example.com");
    }

    #[test]
    fn registries_are_nobody_s_organisation_but_their_own() {
        let registry = "v=DMARC1; p=reject; psd=y";
        assert_eq!(organisation("gov.example", &[("gov.example", registry)]), "gov.example");
        assert_eq!(organisation("a.gov.example", &[("gov.example", registry)]), "a.gov.example");
        // The walk ends at the first registry; what stands above it is not asked.
        let two = [("co.example", registry), ("example", registry)];
        assert_eq!(organisation("x.shop.co.example", &two), "shop.co.example");
    }

    #[test]
    fn two_records_are_none() {
        let plain = "v=DMARC1; p=none";
        let records = [("example.com", plain), ("example.com", plain), ("example.com", "v=spf1")];
        assert_eq!(organisation("a.example.com", &records), "a.example.com");
    }

    #[test]
    fn within_means_at_a_dot() {
        assert!(is_within("a.example.org", "example.org") && is_within("example.org", "example.org"));
        assert!(!is_within("badexample.org", "example.org") && !is_within("org", "example.org"));
        assert!(share_a_root("a.org", "b.org") && !share_a_root("a.org", "a.net"));
    }
}
