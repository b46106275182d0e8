//! Whether the world lets our addresses send from a domain, and greet with the host's name (RFC 7208): decided by evaluating
//! the record as others do, whatever it says besides.

use std::net::IpAddr;

use dns::{LookupError, Name, RecordData};
use mail_types::ReversePath;
use sender_auth::spf::{self, Limits, Mechanism, Outcome, Qualifier, Sender, SpfResult};
use sender_auth::{Answers, QueryName, Question, Reply, ReplyError};

use super::{Checker, failed, quoted, texts_of, to_add, to_replace};
use crate::finding::Finding;
use crate::record::Wanted;
use crate::wanted::{Domain, dns_name};
use crate::world::World;
use crate::zone_file::text_strings;

/// Rounds of questions for one evaluation: the limits of RFC 7208 §4.6.4 end it long before.
const ROUNDS_MAX: usize = 100;

impl Checker<'_> {
    /// Whether others believe mail that leaves from our addresses with a reverse-path in the domain.
    pub(super) async fn sender_policy(&self, domain: &Domain, wanted: &Wanted) -> Vec<Finding> {
        let title = wanted.title();
        let text = match self.only_policy(wanted, "large providers refuse mail of domains without it").await {
            Ok(text) => text,
            Err(finding) => return vec![finding],
        };
        let greeting = domain.identity.as_ref().map_or(&self.site.host.greeting, |i| &i.greeting);
        let sender = Sender { local_part: "postmaster".to_owned(), domain: domain.name.to_string() };
        let mut findings = Vec::new();
        for address in self.sending_addresses(domain).await {
            match evaluate(self.world, &sender, address, greeting.as_str()).await {
                Some(outcome) if outcome.result == SpfResult::Pass => {}
                Some(outcome) => findings.push(not_passing(wanted, &text, address, &outcome)),
                None => findings.push(Finding::unknown(&title, "evaluating it takes too many questions")),
            }
        }
        if findings.is_empty() {
            findings.push(match lets_anybody(&text) {
                true => Finding::advice(
                    &title,
                    format!("{} lets anybody send in the domain's name", quoted(&text)),
                    "it protects nobody",
                    "end it with -all",
                ),
                false => Finding::right(&title, quoted(&text)),
            });
        }
        findings
    }

    /// Whether others believe the name that we greet with.
    pub(super) async fn greeting_policy(&self, wanted: &Wanted) -> Vec<Finding> {
        let title = wanted.title();
        let text = match self.only_policy(wanted, "").await {
            Ok(text) => text,
            Err(finding) => return vec![finding],
        };
        let greeting = self.site.host.greeting.as_str();
        let sender = Sender { local_part: "postmaster".to_owned(), domain: greeting.to_owned() };
        let Ok(name) = dns_name(&self.site.host.name) else { return Vec::new() };
        let mut addresses = self.addresses(&name).await;
        addresses.extend(&self.site.host.senders);
        for address in addresses {
            match evaluate(self.world, &sender, address, greeting).await {
                Some(outcome) if outcome.result == SpfResult::Pass => {}
                Some(outcome) => return vec![not_passing(wanted, &text, address, &outcome)],
                None => return vec![Finding::unknown(&title, "evaluating it takes too many questions")],
            }
        }
        vec![Finding::right(&title, quoted(&text))]
    }

    /// The one policy that a name has.
    async fn only_policy(&self, wanted: &Wanted, missing_causes: &str) -> Result<Vec<u8>, Finding> {
        let title = wanted.title();
        let served = match self.world.served(&wanted.name, wanted.purpose.kind()).await {
            Ok(served) => served,
            Err(error) => return Err(failed(&title, &error)),
        };
        match texts_of(&served, spf::is_record).as_slice() {
            [] if missing_causes.is_empty() => Err(Finding::advice(
                &title,
                "there is none",
                "reports and bounces, which come from no address, cannot be checked",
                to_add(wanted),
            )),
            [] => Err(Finding::wrong(&title, "there is none", missing_causes, to_add(wanted))),
            [text] => match spf::Record::parse(text) {
                Ok(_) => Ok(text.to_vec()),
                Err(error) => Err(Finding::wrong(
                    &title,
                    format!("{} cannot be read: {error}", quoted(text)),
                    "others take every check for failed",
                    to_replace(wanted),
                )),
            },
            several => Err(Finding::wrong(
                &title,
                format!("there are {} SPF records", several.len()),
                "others take every check for failed (RFC 7208 §4.5)",
                format!(
                    "make one of them all, with the terms of each: {}",
                    several.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
                ),
            )),
        }
    }

    async fn sending_addresses(&self, domain: &Domain) -> Vec<IpAddr> {
        let host = &self.site.host;
        match (&domain.identity, dns_name(&host.name)) {
            (Some(identity), _) if !identity.addresses.is_empty() => identity.addresses.clone(),
            (_, Ok(name)) if host.senders.is_empty() => self.addresses(&name).await,
            _ => host.senders.clone(),
        }
    }
}

fn not_passing(wanted: &Wanted, text: &[u8], address: IpAddr, outcome: &Outcome) -> Finding {
    let title = wanted.title();
    let result = outcome.result;
    if let Some(problem) = &outcome.problem {
        let what = format!("{} comes to {result}: {problem}", quoted(text));
        return match result {
            SpfResult::TempError => Finding::unknown(&title, what),
            _ => Finding::wrong(
                &title,
                what,
                "others take every check for failed",
                "take out the terms that are not needed; at most ten may ask DNS (RFC 7208 §4.6.4)",
            ),
        };
    }
    let own = match wanted.values.first() {
        Some(RecordData::Text(own)) => String::from_utf8_lossy(own).into_owned(),
        _ => String::new(),
    };
    let mechanism = own.split(' ').nth(1).unwrap_or("mx").to_owned();
    let has_it =
        text.split(|octet| *octet == b' ').any(|term| term.eq_ignore_ascii_case(mechanism.as_bytes()));
    // What a domain lets others do is kept: only we are added.
    let added = match (has_it, address) {
        (false, _) => mechanism,
        (true, IpAddr::V4(four)) => format!("ip4:{four}"),
        (true, IpAddr::V6(six)) => format!("ip6:{six}"),
    };
    let mended = String::from_utf8_lossy(text).replacen(' ', &format!(" {added} "), 1);
    let decided = outcome.matched.as_ref().map_or_else(String::new, |m| format!(" by {}", m.directive));
    Finding::wrong(
        &title,
        format!("{} comes to {result}{decided} for {address}", quoted(text)),
        "mail that leaves from this server looks forged and is refused or taken for spam",
        format!("replace it in the zone by: {}. IN TXT {}", wanted.name, text_strings(mended.as_bytes())),
    )
}

/// Whether a record ends by letting everybody pass, or by saying nothing.
fn lets_anybody(text: &[u8]) -> bool {
    let Ok(record) = spf::Record::parse(text) else { return false };
    let last = record.directives.iter().find(|directive| directive.mechanism == Mechanism::All);
    match last {
        Some(directive) => matches!(directive.qualifier, Qualifier::Pass | Qualifier::Neutral),
        None => record.redirect.is_none(),
    }
}

async fn evaluate(world: &World, sender: &Sender, address: IpAddr, greeting: &str) -> Option<Outcome> {
    let query = spf::Query {
        address,
        helo: greeting,
        reverse_path: &ReversePath::Null,
        receiver: greeting,
        now_seconds: 0,
    };
    let mut answers = Answers::new();
    for _ in 0..ROUNDS_MAX {
        match spf::check_host(sender, &query, Limits::default(), &answers) {
            Ok(outcome) => return Some(outcome),
            Err(needs) => {
                for question in needs.0 {
                    let reply = ask(world, &question).await;
                    answers.add(question, reply);
                }
            }
        }
    }
    None
}

async fn ask(world: &World, question: &Question) -> Result<Reply, ReplyError> {
    let resolver = world.resolver();
    let name = |name: &QueryName| Name::parse(name.as_str()).map_err(|_| ReplyError::NoSuchName);
    let failure = |error: LookupError| match error {
        LookupError::NoSuchName { .. } => ReplyError::NoSuchName,
        LookupError::NoData { .. } => ReplyError::NoData,
        _ => ReplyError::Failure,
    };
    let query_name = |name: Name| QueryName::parse(name.as_str()).ok();
    Ok(match question {
        Question::Txt(of) => {
            let texts = resolver.txt(&name(of)?).await.map_err(failure)?.records;
            Reply::Txt(texts.into_iter().map(Vec::into_boxed_slice).collect())
        }
        Question::A(of) => {
            let answer = resolver.addresses(&name(of)?, dns::Families::Ipv4).await.map_err(failure)?;
            let four = |address| if let IpAddr::V4(four) = address { Some(four) } else { None };
            Reply::A(answer.records.into_iter().filter_map(four).collect())
        }
        Question::Aaaa(of) => {
            let answer = resolver.addresses(&name(of)?, dns::Families::Ipv6).await.map_err(failure)?;
            let six = |address| if let IpAddr::V6(six) = address { Some(six) } else { None };
            Reply::Aaaa(answer.records.into_iter().filter_map(six).collect())
        }
        Question::Mx(of) => {
            let exchangers = resolver.mx(&name(of)?).await.map_err(failure)?.records;
            let pair =
                |exchanger: dns::MailExchanger| Some((exchanger.preference, query_name(exchanger.exchange)?));
            Reply::Mx(exchangers.into_iter().filter_map(pair).collect())
        }
        Question::Ptr(address) => {
            let names = resolver.ptr(*address).await.map_err(failure)?.records;
            Reply::Ptr(names.into_iter().filter_map(query_name).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_end_open_protect_nobody() {
        for (text, open) in [
            ("v=spf1 mx -all", false),
            ("v=spf1 mx ~all", false),
            ("v=spf1 mx ?all", true),
            ("v=spf1 +all", true),
            ("v=spf1 mx", true),
            ("v=spf1 redirect=_spf.example.org", false),
        ] {
            assert_eq!(lets_anybody(text.as_bytes()), open, "{text}");
        }
    }
}
