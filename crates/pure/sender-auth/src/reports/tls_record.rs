//! Who wants reports on TLS with a domain's mail hosts (RFC 8460 §3).

use mail_types::{Address, DomainName};

use super::address::parse_mailto;
use super::https_url::HttpsUrl;
use crate::dmarc::tags::{tags, value};
use crate::lookup::{Answers, Needs, QueryName, ReplyError};

/// Destinations of one record that are kept.
const DESTINATIONS_MAX: usize = 10;
/// TXT records at one name that are looked at.
const TEXTS_MAX: usize = 64;

/// A domain's wish for TLS reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsReportRecord {
    /// Where to, in the order of its liking; what is not understood is left out.
    pub destinations: Vec<TlsReportDestination>,
}

/// Where TLS reports go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsReportDestination {
    /// By mail.
    Mail(Address),
    /// By POST (RFC 8460 §5.4).
    Https(HttpsUrl),
}

impl TlsReportRecord {
    /// Reads a TXT record; `None` if it is no such record or names nobody.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let tags = tags(record, "TLSRPTv1")?;
        let destinations = value(&tags, "rua")?.split(',').filter_map(destination);
        let destinations: Vec<_> = destinations.take(DESTINATIONS_MAX).collect();
        (!destinations.is_empty()).then_some(Self { destinations })
    }

    /// Writes the record as it is published.
    #[must_use]
    pub fn write(&self) -> String {
        let destinations: Vec<String> = self
            .destinations
            .iter()
            .map(|destination| match destination {
                TlsReportDestination::Mail(address) => format!("mailto:{}", encoded(&address.to_string())),
                TlsReportDestination::Https(url) => url.to_string(),
            })
            .collect();
        format!("v=TLSRPTv1; rua={}", destinations.join(","))
    }
}

/// Percent-encodes what a list of URIs in a record gives another meaning.
fn encoded(address: &str) -> String {
    let mut uri = String::with_capacity(address.len());
    for octet in address.bytes() {
        match octet {
            b'%' | b',' | b';' | b'!' | b'?' | b'"' | b'\\' | b'#' | ..=b' ' | 0x7f.. => {
                uri.push_str(&format!("%{octet:02X}"));
            }
            other => uri.push(char::from(other)),
        }
    }
    uri
}

fn destination(uri: &str) -> Option<TlsReportDestination> {
    let uri = uri.trim();
    if let Some(address) = parse_mailto(uri) {
        return Some(TlsReportDestination::Mail(address));
    }
    HttpsUrl::parse(uri).map(TlsReportDestination::Https)
}

/// Finds a domain's record: `Err` inside where DNS fails, `None` where there is none or more than one.
///
/// # Errors
/// [`Needs`] as long as the answer is missing.
pub fn tls_report_record(
    domain: &DomainName,
    answers: &Answers,
) -> Result<Result<Option<TlsReportRecord>, ReplyError>, Needs> {
    let Ok(name) = QueryName::parse(&format!("_smtp._tls.{domain}")) else { return Ok(Ok(None)) };
    Ok(match answers.txt(&name)? {
        Ok(texts) => {
            let mut records = texts.iter().take(TEXTS_MAX).filter(|text| tags(text, "TLSRPTv1").is_some());
            match (records.next(), records.next()) {
                (Some(only), None) => Ok(TlsReportRecord::parse(only)),
                _ => Ok(None),
            }
        }
        Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(None),
        Err(ReplyError::Failure) => Err(ReplyError::Failure),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Question, Reply};

    #[test]
    fn records_of_the_rfc() {
        let record = TlsReportRecord::parse(b"v=TLSRPTv1;rua=mailto:reports@example.com").unwrap();
        assert_eq!(record.write(), "v=TLSRPTv1; rua=mailto:reports@example.com");
        let two = "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt,mailto:a@example.org";
        assert_eq!(TlsReportRecord::parse(two.as_bytes()).unwrap().write(), two);
        for text in [
            "",
            "v=TLSRPTv1",
            "v=TLSRPTv1; rua=",
            "v=TLSRPTv1; rua=http://x",
            "rua=mailto:a@b",
            "v=TLSRPTv1;rua=https://",
        ] {
            assert_eq!(TlsReportRecord::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_odd_address_comes_back() {
        let address = Address::parse("\"a,b;%! \u{e4}\"@example.org").unwrap();
        let record = TlsReportRecord { destinations: vec![TlsReportDestination::Mail(address)] };
        assert_eq!(TlsReportRecord::parse(record.write().as_bytes()), Some(record));
    }

    #[test]
    fn the_bounds_hold() {
        for count in [9, 10, 11] {
            let text = format!("v=TLSRPTv1; rua={}", "mailto:a@b.example,".repeat(count));
            let record = TlsReportRecord::parse(text.as_bytes()).unwrap();
            assert_eq!(record.destinations.len(), count.min(DESTINATIONS_MAX));
        }
    }

    #[test]
    fn looking_for_a_record() {
        let domain = DomainName::parse("example.org").unwrap();
        let mut answers = Answers::new();
        let Err(Needs(questions)) = tls_report_record(&domain, &answers) else { panic!() };
        assert_eq!(questions, [Question::Txt(QueryName::parse("_smtp._tls.example.org").unwrap())]);
        let question = questions.into_iter().next().unwrap();
        let mut find = |reply| {
            answers.add(question.clone(), reply);
            tls_report_record(&domain, &answers).unwrap().map(|record| record.is_some())
        };
        let text: Box<[u8]> = b"v=TLSRPTv1; rua=mailto:a@example.org"[..].into();
        assert_eq!(find(Ok(Reply::Txt(vec![b"x"[..].into(), text.clone()]))), Ok(true));
        assert_eq!(find(Ok(Reply::Txt(vec![text.clone(), text]))), Ok(false));
        assert_eq!(find(Err(ReplyError::NoData)), Ok(false));
        assert_eq!(find(Err(ReplyError::Failure)), Err(ReplyError::Failure));
    }
}
