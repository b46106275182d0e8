//! `check_host()`: a record's mechanisms one after the other, and whatever they ask of DNS (RFC 7208 §4.6, §5, §6.1).

use std::net::IpAddr;

use super::macro_string::{DomainSpec, MacroLetter};
use super::record::{Directive, DualPrefix, Mechanism, Qualifier, Record, is_record, shown};
use super::{
    Fault, Limits, Matched, NAMES_PER_TERM_MAX, POSTMASTER, Problem, Query, Sender, SpfResult, checkable,
};
use crate::lookup::{Answers, Needs, QueryName, Question, ReplyError};

/// A check on its way: what it knows, and how much it has asked for.
pub(super) struct Evaluation<'a> {
    query: &'a Query<'a>,
    /// The client's address; an IPv4 one where it came mapped into IPv6 (RFC 7208 §5).
    address: IpAddr,
    local_part: &'a str,
    sender_domain: &'a str,
    answers: &'a Answers,
    limits: Limits,
    lookups: u8,
    voids: u8,
}

/// Why an evaluation ends before its result.
pub(super) enum Stop {
    /// DNS has to be asked first.
    Needs(Needs),
    /// `temperror` or `permerror`.
    Problem(Box<Problem>),
}

impl From<Needs> for Stop {
    fn from(needs: Needs) -> Self {
        Self::Needs(needs)
    }
}

/// What a record says.
pub(super) struct Found {
    pub(super) result: SpfResult,
    pub(super) matched: Option<Matched>,
    /// Where the explanation is, and the domain whose record says so.
    pub(super) explanation: Option<(DomainSpec, QueryName)>,
}

/// What became of a mechanism.
enum Match {
    Yes,
    No,
    /// No, and DNS had nothing at all for it (RFC 7208 §4.6.4).
    Void,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        sender: &'a Sender,
        query: &'a Query<'a>,
        limits: Limits,
        answers: &'a Answers,
    ) -> Self {
        let local_part = match sender.local_part.as_str() {
            "" => POSTMASTER,
            local_part => local_part,
        };
        Self {
            query,
            address: query.address.to_canonical(),
            local_part,
            sender_domain: without_final_dot(&sender.domain),
            answers,
            limits,
            lookups: 0,
            voids: 0,
        }
    }

    pub(super) fn answers(&self) -> &'a Answers {
        self.answers
    }

    /// What a domain says about the client.
    pub(super) fn evaluate(&mut self, domain: QueryName) -> Result<Found, Stop> {
        match self.record(&domain)? {
            Some(record) => self.evaluate_record(domain, record),
            None => Ok(Found { result: SpfResult::None, matched: None, explanation: None }),
        }
    }

    /// Goes as deep as includes nest; [`Limits::lookups`] bounds that.
    fn evaluate_record(&mut self, mut domain: QueryName, mut record: Record) -> Result<Found, Stop> {
        loop {
            for directive in &record.directives {
                if self.matches(&directive.mechanism, &domain)? {
                    let matched =
                        Matched { directive: shown(&directive.to_string()), record_of: domain.clone() };
                    return Ok(Found {
                        result: meaning(directive),
                        matched: Some(matched),
                        explanation: record.explanation.map(|spec| (spec, domain)),
                    });
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(Found { result: SpfResult::Neutral, matched: None, explanation: None });
            };
            self.count_lookup(&domain)?;
            (domain, record) = self.record_of_target(redirect, &domain)?;
        }
    }

    /// The one record of a domain (RFC 7208 §4.4, §4.5).
    fn record(&self, domain: &QueryName) -> Result<Option<Record>, Stop> {
        let texts = match self.answers.txt(domain)? {
            Ok(texts) => texts,
            Err(ReplyError::NoSuchName | ReplyError::NoData) => return Ok(None),
            Err(ReplyError::Failure) => return Err(problem(domain, Fault::Dns(domain.clone()))),
        };
        let mut records = texts.iter().filter(|text| is_record(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => match Record::parse(text) {
                Ok(record) => Ok(Some(record)),
                Err(error) => Err(problem(domain, error.into())),
            },
            (Some(_), Some(_)) => Err(problem(domain, Fault::SeveralRecords)),
        }
    }

    /// The record that `include` or `redirect` lead to; there has to be one.
    fn record_of_target(&self, spec: &DomainSpec, domain: &QueryName) -> Result<(QueryName, Record), Stop> {
        let name = self.expand(spec, domain)?;
        if let Some(target) = checkable(&name)
            && let Some(record) = self.record(&target)?
        {
            return Ok((target, record));
        }
        Err(problem(domain, Fault::NoRecord(shown(&name))))
    }

    fn count_lookup(&mut self, domain: &QueryName) -> Result<(), Stop> {
        if self.lookups >= self.limits.lookups {
            return Err(problem(domain, Fault::TooManyLookups));
        }
        self.lookups += 1;
        Ok(())
    }

    fn matches(&mut self, mechanism: &Mechanism, domain: &QueryName) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip4(..) | Mechanism::Ip6(..) => return Ok(mechanism.has_in_network(self.address)),
            _ => self.count_lookup(domain)?,
        }
        let found = match mechanism {
            Mechanism::Include(spec) => return self.includes(spec, domain),
            Mechanism::A(spec, prefix) => self.a(spec.as_ref(), *prefix, domain)?,
            Mechanism::Mx(spec, prefix) => self.mx(spec.as_ref(), *prefix, domain)?,
            Mechanism::Exists(spec) => self.exists(spec, domain)?,
            Mechanism::Ptr(spec) => self.ptr(spec.as_ref(), domain)?,
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => Match::No,
        };
        if matches!(found, Match::Void) {
            if self.voids >= self.limits.voids {
                return Err(problem(domain, Fault::TooManyVoids));
            }
            self.voids += 1;
        }
        Ok(matches!(found, Match::Yes))
    }

    /// RFC 7208 §5.2: only what is a pass there is a match here.
    fn includes(&mut self, spec: &DomainSpec, domain: &QueryName) -> Result<bool, Stop> {
        let (target, record) = self.record_of_target(spec, domain)?;
        Ok(self.evaluate_record(target, record)?.result == SpfResult::Pass)
    }

    /// RFC 7208 §5.3.
    fn a(&self, spec: Option<&DomainSpec>, prefix: DualPrefix, domain: &QueryName) -> Result<Match, Stop> {
        match self.target(spec, domain)? {
            Some(target) => self.has_address(&target, prefix, domain),
            None => Ok(Match::No),
        }
    }

    /// RFC 7208 §5.4: never the target's own address.
    fn mx(&self, spec: Option<&DomainSpec>, prefix: DualPrefix, domain: &QueryName) -> Result<Match, Stop> {
        let Some(target) = self.target(spec, domain)? else { return Ok(Match::No) };
        let exchangers = match self.answers.mx(&target)? {
            Ok(exchangers) if exchangers.len() > NAMES_PER_TERM_MAX => {
                return Err(problem(domain, Fault::TooManyExchangers(target)));
            }
            Ok(exchangers) => exchangers,
            Err(ReplyError::NoSuchName | ReplyError::NoData) => return Ok(Match::Void),
            Err(ReplyError::Failure) => return Err(problem(domain, Fault::Dns(target))),
        };
        self.all_known(exchangers.iter().map(|(_, host)| host))?;
        let mut found = Match::Void;
        for (_, host) in exchangers {
            match self.has_address(host, prefix, domain)? {
                Match::Yes => return Ok(Match::Yes),
                Match::No => found = Match::No,
                Match::Void => {}
            }
        }
        Ok(found)
    }

    /// RFC 7208 §5.7: an IPv4 address, whatever the client's is.
    fn exists(&self, spec: &DomainSpec, domain: &QueryName) -> Result<Match, Stop> {
        let Some(target) = self.target(Some(spec), domain)? else { return Ok(Match::No) };
        match self.answers.a(&target)? {
            Ok([]) | Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(Match::Void),
            Ok(_) => Ok(Match::Yes),
            Err(ReplyError::Failure) => Err(problem(domain, Fault::Dns(target))),
        }
    }

    /// RFC 7208 §5.5. The client's own zone answers here: what it lacks is never counted against the domain.
    fn ptr(&self, spec: Option<&DomainSpec>, domain: &QueryName) -> Result<Match, Stop> {
        let Some(target) = self.target(spec, domain)? else { return Ok(Match::No) };
        let names = self.validated_names()?;
        let is_below = names.iter().any(|name| *name == &target || is_subdomain(name, &target));
        Ok(if is_below { Match::Yes } else { Match::No })
    }

    /// Whether a name has an address, of the client's family, that begins as the client's does.
    fn has_address(&self, name: &QueryName, prefix: DualPrefix, domain: &QueryName) -> Result<Match, Stop> {
        let covers = |address: IpAddr| prefix.covers(address, self.address);
        let found = match self.address {
            IpAddr::V4(_) => self.answers.a(name)?.map(|found| found.iter().any(|&four| covers(four.into()))),
            IpAddr::V6(_) => {
                self.answers.aaaa(name)?.map(|found| found.iter().any(|&six| covers(six.into())))
            }
        };
        match found {
            Ok(true) => Ok(Match::Yes),
            Ok(false) => Ok(Match::No),
            Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(Match::Void),
            Err(ReplyError::Failure) => Err(problem(domain, Fault::Dns(name.clone()))),
        }
    }

    /// The first names of the client's address that have that address (RFC 7208 §5.5). What fails is passed over.
    fn validated_names(&self) -> Result<Vec<&'a QueryName>, Needs> {
        let Ok(names) = self.answers.ptr(self.address)? else { return Ok(Vec::new()) };
        let names = names.get(..NAMES_PER_TERM_MAX).unwrap_or(names);
        self.all_known(names.iter())?;
        let mut validated = Vec::new();
        for name in names {
            let has_address = match self.address {
                IpAddr::V4(client) => self.answers.a(name)?.is_ok_and(|found| found.contains(&client)),
                IpAddr::V6(client) => self.answers.aaaa(name)?.is_ok_and(|found| found.contains(&client)),
            };
            if has_address {
                validated.push(name);
            }
        }
        Ok(validated)
    }

    /// Asks for the addresses of all names at once.
    fn all_known<'n>(&self, names: impl Iterator<Item = &'n QueryName>) -> Result<(), Needs> {
        let question = |name: &QueryName| match self.address {
            IpAddr::V4(_) => Question::A(name.clone()),
            IpAddr::V6(_) => Question::Aaaa(name.clone()),
        };
        let mut missing: Vec<Question> =
            names.map(question).filter(|asked| !self.answers.knows(asked)).collect();
        missing.sort();
        missing.dedup();
        if missing.is_empty() { Ok(()) } else { Err(Needs(missing)) }
    }

    /// The name that a mechanism is about: the domain itself unless it names one. `None` if DNS cannot be asked for
    /// it; then the mechanism does not match (RFC 7208 §4.8 leaves that open).
    fn target(&self, spec: Option<&DomainSpec>, domain: &QueryName) -> Result<Option<QueryName>, Needs> {
        match spec {
            None => Ok(Some(domain.clone())),
            Some(spec) => Ok(QueryName::parse(&self.expand(spec, domain)?).ok()),
        }
    }

    pub(super) fn expand(&self, spec: &DomainSpec, domain: &QueryName) -> Result<String, Needs> {
        spec.expand(|letter| self.value_of(letter, domain))
    }

    /// RFC 7208 §7.2, §7.3.
    pub(super) fn value_of(&self, letter: MacroLetter, domain: &QueryName) -> Result<String, Needs> {
        Ok(match letter {
            MacroLetter::Sender => format!("{}@{}", self.local_part, self.sender_domain),
            MacroLetter::LocalPart => self.local_part.to_owned(),
            MacroLetter::SenderDomain => self.sender_domain.to_owned(),
            MacroLetter::Domain => domain.to_string(),
            MacroLetter::Address => dotted(self.address),
            MacroLetter::ValidatedName => self.validated_name(domain)?,
            MacroLetter::ReverseZone => match self.address {
                IpAddr::V4(_) => "in-addr".to_owned(),
                IpAddr::V6(_) => "ip6".to_owned(),
            },
            MacroLetter::Helo => without_final_dot(self.query.helo).to_owned(),
            MacroLetter::ReadableAddress => self.address.to_string(),
            MacroLetter::Receiver if self.query.receiver.is_empty() => "unknown".to_owned(),
            MacroLetter::Receiver => self.query.receiver.to_owned(),
            MacroLetter::Timestamp => self.query.now_seconds.to_string(),
        })
    }

    /// The client's name: best the domain itself, else one below it, else any.
    fn validated_name(&self, domain: &QueryName) -> Result<String, Needs> {
        let names = self.validated_names()?;
        let best = names
            .iter()
            .find(|name| **name == domain)
            .or_else(|| names.iter().find(|name| is_subdomain(name, domain)))
            .or_else(|| names.first());
        Ok(best.map_or_else(|| "unknown".to_owned(), ToString::to_string))
    }
}

fn problem(record_of: &QueryName, fault: Fault) -> Stop {
    Stop::Problem(Box::new(Problem { record_of: record_of.clone(), fault }))
}

fn meaning(directive: &Directive) -> SpfResult {
    match directive.qualifier {
        Qualifier::Pass => SpfResult::Pass,
        Qualifier::Fail => SpfResult::Fail,
        Qualifier::SoftFail => SpfResult::SoftFail,
        Qualifier::Neutral => SpfResult::Neutral,
    }
}

/// Macros make names of it, in which nothing may stand between two dots.
fn without_final_dot(domain: &str) -> &str {
    domain.strip_suffix('.').unwrap_or(domain)
}

fn is_subdomain(name: &QueryName, parent: &QueryName) -> bool {
    name.as_str().strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.'))
}

/// An address as names in DNS are made of it: octets, or half octets, with dots between.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let digits: Vec<String> = six
                .octets()
                .iter()
                .flat_map(|octet| [octet >> 4, octet & 15])
                .map(|half| format!("{half:X}"))
                .collect();
            digits.join(".")
        }
    }
}
