//! The DNS questions that checks ask, and the answers they were given.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name in octets, written with dots (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 253;
/// Longest label in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// A name to ask DNS for: lower case, no final dot. Wider than a host name: `_dmarc.example.org`, and whatever ASCII
/// the macros of an SPF record make, blanks included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryName(Box<str>);

/// Why a text is no name to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueryNameError {
    /// Nothing there, or nothing between two dots.
    #[error("a name has no empty labels")]
    Empty,
    /// Longer than DNS can carry.
    #[error("a name is at most 253 octets, each label at most 63")]
    TooLong,
    /// Not visible ASCII or a blank.
    #[error("a name has visible ASCII characters and blanks alone")]
    BadCharacter,
}

impl QueryName {
    /// Reads a name in A-labels, with or without its final dot.
    ///
    /// # Errors
    /// [`QueryNameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, QueryNameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > NAME_OCTETS_MAX {
            return Err(QueryNameError::TooLong);
        }
        for label in text.split('.') {
            match label.len() {
                0 => return Err(QueryNameError::Empty),
                octets if octets > LABEL_OCTETS_MAX => return Err(QueryNameError::TooLong),
                _ if !label.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') => {
                    return Err(QueryNameError::BadCharacter);
                }
                _ => {}
            }
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name, without its final dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryName({})", self.0)
    }
}

impl From<&mail_types::DomainName> for QueryName {
    fn from(domain: &mail_types::DomainName) -> Self {
        Self(domain.as_str().into())
    }
}

/// One question.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Question {
    /// Texts.
    Txt(QueryName),
    /// IPv4 addresses.
    A(QueryName),
    /// IPv6 addresses.
    Aaaa(QueryName),
    /// Mail exchangers.
    Mx(QueryName),
    /// The names that an address gives itself.
    Ptr(IpAddr),
}

/// What DNS said: at least one record, of the type that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Each record's strings joined without a gap (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
    Txt(Vec<Box<[u8]>>),
    /// IPv4 addresses.
    A(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Aaaa(Vec<Ipv6Addr>),
    /// Hosts with their preference, least first.
    Mx(Vec<(u16, QueryName)>),
    /// Names.
    Ptr(Vec<QueryName>),
}

/// Why there are no records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyError {
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has no such records.
    NoData,
    /// DNS fails now: no answer, a broken one, or one that DNSSEC disproves. Asking later may do better.
    Failure,
}

/// What a check waits for. It may name several questions at once; all of them are needed or likely to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs(pub Vec<Question>);

/// What [`Answers`] have about a question: records, why there are none, or that it has to be asked first.
pub type Looked<'a, T> = Result<Result<&'a T, ReplyError>, Needs>;

/// What is known so far: each question's reply.
#[derive(Clone, Default, Debug)]
pub struct Answers {
    known: HashMap<Question, Result<Reply, ReplyError>>,
}

impl Answers {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what DNS said.
    pub fn add(&mut self, question: Question, reply: Result<Reply, ReplyError>) {
        self.known.insert(question, reply);
    }

    /// Whether a question has its reply.
    #[must_use]
    pub fn knows(&self, question: &Question) -> bool {
        self.known.contains_key(question)
    }

    /// The texts of a name.
    ///
    /// # Errors
    /// [`Needs`] as long as nobody has asked.
    pub fn txt(&self, name: &QueryName) -> Looked<'_, [Box<[u8]>]> {
        self.find(Question::Txt(name.clone()), |reply| match reply {
            Reply::Txt(texts) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// The IPv4 addresses of a name.
    ///
    /// # Errors
    /// [`Needs`] as long as nobody has asked.
    pub fn a(&self, name: &QueryName) -> Looked<'_, [Ipv4Addr]> {
        self.find(Question::A(name.clone()), |reply| match reply {
            Reply::A(addresses) => Some(addresses.as_slice()),
            _ => None,
        })
    }

    /// The IPv6 addresses of a name.
    ///
    /// # Errors
    /// [`Needs`] as long as nobody has asked.
    pub fn aaaa(&self, name: &QueryName) -> Looked<'_, [Ipv6Addr]> {
        self.find(Question::Aaaa(name.clone()), |reply| match reply {
            Reply::Aaaa(addresses) => Some(addresses.as_slice()),
            _ => None,
        })
    }

    /// The mail exchangers of a name, least preference first.
    ///
    /// # Errors
    /// [`Needs`] as long as nobody has asked.
    pub fn mx(&self, name: &QueryName) -> Looked<'_, [(u16, QueryName)]> {
        self.find(Question::Mx(name.clone()), |reply| match reply {
            Reply::Mx(exchangers) => Some(exchangers.as_slice()),
            _ => None,
        })
    }

    /// The names that an address gives itself.
    ///
    /// # Errors
    /// [`Needs`] as long as nobody has asked.
    pub fn ptr(&self, address: IpAddr) -> Looked<'_, [QueryName]> {
        self.find(Question::Ptr(address), |reply| match reply {
            Reply::Ptr(names) => Some(names.as_slice()),
            _ => None,
        })
    }

    fn find<'a, T: ?Sized>(
        &'a self,
        question: Question,
        of_type: impl FnOnce(&'a Reply) -> Option<&'a T>,
    ) -> Looked<'a, T> {
        match self.known.get(&question) {
            // A reply of another type is its asker's mistake; no verdict may rest on it.
            Some(Ok(reply)) => Ok(of_type(reply).ok_or(ReplyError::Failure)),
            Some(Err(error)) => Ok(Err(*error)),
            None => Err(Needs(vec![question])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_dns_can_carry() {
        assert_eq!(QueryName::parse("_DMARC.Example.ORG.").unwrap().as_str(), "_dmarc.example.org");
        assert_eq!(QueryName::parse("a..b"), Err(QueryNameError::Empty));
        assert_eq!(QueryName::parse(""), Err(QueryNameError::Empty));
        assert_eq!(QueryName::parse("a\tb"), Err(QueryNameError::BadCharacter));
        assert!(QueryName::parse("a b").is_ok());
        assert!(QueryName::parse(&"x".repeat(63)).is_ok());
        assert_eq!(QueryName::parse(&"x".repeat(64)), Err(QueryNameError::TooLong));
        let long = |octets: usize| ["x"; 127].join(".").get(..octets).unwrap().to_owned();
        assert!(QueryName::parse(&long(253)).is_ok());
        assert_eq!(QueryName::parse(&format!("{}.x", long(253))), Err(QueryNameError::TooLong));
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let name = QueryName::parse("example.org").unwrap();
        let mut answers = Answers::new();
        assert_eq!(answers.txt(&name), Err(Needs(vec![Question::Txt(name.clone())])));
        answers.add(Question::Txt(name.clone()), Ok(Reply::Txt(vec![b"v=spf1 -all"[..].into()])));
        assert_eq!(answers.txt(&name).unwrap().unwrap().len(), 1);
        answers.add(Question::Mx(name.clone()), Err(ReplyError::NoData));
        assert_eq!(answers.mx(&name), Ok(Err(ReplyError::NoData)));
    }
}
