//! Whether a client's address has a name that agrees (RFC 8601 §3): the name that its owner gives the address leads back
//! to it.

use std::net::IpAddr;

use crate::lookup::{Answers, Looked, Needs, QueryName, Question, ReplyError};

/// Names of one address that are tried; each costs a question.
pub const NAMES_MAX: usize = 5;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Iprev {
    /// This name and the address lead to each other.
    Pass(QueryName),
    /// The address has names, and none of them leads back.
    Fail,
    /// The address has no name.
    NoName,
    /// DNS fails now.
    TempError,
}

impl Iprev {
    /// The name, if it is to be believed.
    #[must_use]
    pub fn name(&self) -> Option<&QueryName> {
        match self {
            Self::Pass(name) => Some(name),
            _ => None,
        }
    }
}

/// Checks an address.
///
/// # Errors
/// [`Needs`]: what has to be asked before the check can go on.
pub fn check(address: IpAddr, answers: &Answers) -> Result<Iprev, Needs> {
    let address = address.to_canonical();
    let names = match answers.ptr(address)? {
        Ok(names) => names,
        Err(ReplyError::Failure) => return Ok(Iprev::TempError),
        Err(ReplyError::NoSuchName | ReplyError::NoData) => return Ok(Iprev::NoName),
    };
    let names = names.get(..NAMES_MAX).unwrap_or(names);
    let mut missing: Vec<Question> = Vec::new();
    let mut has_failed = false;
    for name in names {
        let leads_back = match address {
            IpAddr::V4(ours) => has(answers.a(name), &ours),
            IpAddr::V6(ours) => has(answers.aaaa(name), &ours),
        };
        match leads_back {
            Ok(Ok(true)) => return Ok(Iprev::Pass(name.clone())),
            Ok(Ok(false)) => {}
            Ok(Err(())) => has_failed = true,
            Err(Needs(questions)) => missing.extend(questions),
        }
    }
    match (missing.is_empty(), has_failed) {
        (false, _) => Err(Needs(missing)),
        (true, true) => Ok(Iprev::TempError),
        (true, false) => Ok(Iprev::Fail),
    }
}

/// Whether a name has an address, or DNS failed.
fn has<T: PartialEq>(looked: Looked<'_, [T]>, ours: &T) -> Result<Result<bool, ()>, Needs> {
    Ok(match looked? {
        Ok(addresses) => Ok(addresses.contains(ours)),
        Err(ReplyError::Failure) => Err(()),
        Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Reply;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn name(text: &str) -> QueryName {
        QueryName::parse(text).unwrap()
    }

    /// `names` of the client, and whether each leads back (`Some`), or DNS fails for it.
    fn check_names(names: &[(&str, Option<bool>)]) -> Iprev {
        let mut answers = Answers::new();
        let named = names.iter().map(|(text, _)| name(text)).collect();
        answers.add(Question::Ptr(CLIENT), Ok(Reply::Ptr(named)));
        for (text, leads_back) in names {
            let reply = match leads_back {
                Some(true) => Ok(Reply::A(vec![[192, 0, 2, 9].into(), [192, 0, 2, 1].into()])),
                Some(false) => Err(ReplyError::NoSuchName),
                None => Err(ReplyError::Failure),
            };
            answers.add(Question::A(name(text)), reply);
        }
        check(CLIENT, &answers).unwrap()
    }

    #[test]
    fn a_name_must_lead_back() {
        assert_eq!(check_names(&[("mx.example.org", Some(true))]), Iprev::Pass(name("mx.example.org")));
        assert_eq!(check_names(&[("bank.example", Some(false))]), Iprev::Fail);
        let second = check_names(&[("a.example", None), ("b.example", Some(true))]);
        assert_eq!(second, Iprev::Pass(name("b.example")));
        assert_eq!(check_names(&[("a.example", None), ("b.example", Some(false))]), Iprev::TempError);
    }

    #[test]
    fn only_so_many_names_are_tried() {
        let texts: Vec<String> = (0..=NAMES_MAX).map(|number| format!("n{number}.example")).collect();
        let names_but = |right: usize| {
            let names = texts.iter().enumerate().map(|(at, text)| (text.as_str(), Some(at == right)));
            names.collect::<Vec<_>>()
        };
        assert!(matches!(check_names(&names_but(NAMES_MAX - 1)), Iprev::Pass(_)));
        assert_eq!(check_names(&names_but(NAMES_MAX)), Iprev::Fail);
    }

    #[test]
    fn what_is_not_known_is_asked_for_together() {
        let mut answers = Answers::new();
        assert_eq!(check(CLIENT, &answers), Err(Needs(vec![Question::Ptr(CLIENT)])));
        let named = vec![name("a.example"), name("b.example")];
        answers.add(Question::Ptr(CLIENT), Ok(Reply::Ptr(named)));
        let needs = Needs(vec![Question::A(name("a.example")), Question::A(name("b.example"))]);
        assert_eq!(check(CLIENT, &answers), Err(needs));
        answers.add(Question::Ptr(CLIENT), Err(ReplyError::NoData));
        assert_eq!(check(CLIENT, &answers), Ok(Iprev::NoName));
    }
}
