//! Reports that servers send each other: DMARC aggregate reports (RFC 9990), TLS reports (RFC 8460), complaints and failures
//! (RFC 5965, 6591, 9991). Where they are wanted, whether they may go there, how they are packed, written and read.
//!
//! What is read comes from strangers: octets, depth, lists and texts have bounds, and all texts are only texts.

mod address;
mod aggregate;
mod destination;
mod feedback;
mod https_url;
mod tls;
mod tls_record;
mod tls_words;
mod unpack;

pub use address::{REPORT_ADDRESSES_MAX, ReportAddress};
pub use aggregate::{
    AggregateReport, CheckResult, DiscoveryMethod, Disposition, DkimResult, LIST_MAX, Metadata,
    PublishedPolicy, RECORDS_MAX, Reason, ReasonKind, Record, SIGNATURES_MAX, SpfResult, SpfScope,
    TEXT_OCTETS_MAX,
};
pub use destination::{Destination, consent_name, report_destination};
pub use feedback::{AuthFailure, FeedbackReport, FeedbackType, OriginalMessage};
pub use https_url::{HttpsUrl, URL_OCTETS_MAX};
pub use tls::{
    TLS_REPORT_OCTETS_MAX, TlsDateRange, TlsFailureDetails, TlsPolicy, TlsPolicyResult, TlsReport, TlsSummary,
};
pub use tls_record::{TlsReportDestination, TlsReportRecord, tls_report_record};
pub use tls_words::{TlsFailureType, TlsPolicyType};
pub use unpack::{RATIO_FREE_OCTETS, UnpackError, UnpackLimits, pack, unpack};

use mail_types::DomainName;
use serde::Serialize;

/// Parts of one mail that are looked at.
const PARTS_MAX: usize = 32;

/// Why a report was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReportError {
    /// It is broken, or no report.
    #[error("not a report, or a broken one")]
    Malformed,
    /// It has what reports never have and attacks do.
    #[error("a document type is not allowed in a report")]
    Forbidden,
    /// It is larger than any report.
    #[error("too large, too deep or too many records for a report")]
    TooLarge,
    /// Its attachment could not be unpacked.
    #[error(transparent)]
    Packed(#[from] UnpackError),
}

/// One part of a received mail.
#[derive(Clone, Copy, Debug)]
pub struct ReportPart<'a> {
    /// Its media type, without parameters: `application/gzip`.
    pub media_type: &'a str,
    /// Its file name, if it has one.
    pub file_name: Option<&'a str>,
    /// Its octets, transfer encoding removed.
    pub octets: &'a [u8],
}

/// A report that somebody sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Report {
    /// On a domain's mail.
    Aggregate(Box<AggregateReport>),
    /// On TLS with a domain's mail hosts.
    Tls(Box<TlsReport>),
    /// On one message.
    Feedback(Box<FeedbackReport>),
}

/// Finds the report in the parts of a received mail and reads it; `None` if nothing in it looks like one.
///
/// # Errors
/// [`ReportError`] if something looks like a report and none can be read.
pub fn read(parts: &[ReportPart<'_>], limits: UnpackLimits) -> Option<Result<Report, ReportError>> {
    let mut failure = None;
    for part in parts.iter().take(PARTS_MAX) {
        match read_part(part, parts, limits) {
            Some(Ok(report)) => return Some(Ok(report)),
            Some(Err(error)) => failure = failure.or(Some(error)),
            None => {}
        }
    }
    failure.map(Err)
}

fn read_part(
    part: &ReportPart<'_>,
    parts: &[ReportPart<'_>],
    limits: UnpackLimits,
) -> Option<Result<Report, ReportError>> {
    if part.is("message/feedback-report") {
        let original = parts.iter().take(PARTS_MAX).find(|part| part.is_message());
        let report = FeedbackReport::read(part.octets, original.map(|part| part.octets));
        return Some(report.map(|report| Report::Feedback(Box::new(report))));
    }
    if !part.may_be_report() {
        return None;
    }
    let octets = match unpack(part.octets, limits) {
        Ok(octets) => octets,
        Err(error) => return Some(Err(error.into())),
    };
    // Media types and names of reports are often wrong; the first character is not.
    match octets.iter().find(|octet| octet.is_ascii_graphic()) {
        Some(b'{') => Some(TlsReport::read(&octets).map(|report| Report::Tls(Box::new(report)))),
        Some(b'<') => {
            let report = AggregateReport::read(&octets);
            Some(report.map(|report| Report::Aggregate(Box::new(report))))
        }
        _ => None,
    }
}

impl ReportPart<'_> {
    fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type)
    }

    fn is_message(&self) -> bool {
        ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"]
            .iter()
            .any(|media_type| self.is(media_type))
    }

    /// Whether the media type or, for types that say nothing, the file name is one that reports come under.
    fn may_be_report(&self) -> bool {
        const TYPES: [&str; 8] = [
            "application/gzip",
            "application/x-gzip",
            "application/zip",
            "application/x-zip-compressed",
            "application/xml",
            "text/xml",
            "application/tlsrpt+json",
            "application/tlsrpt+gzip",
        ];
        const ENDINGS: [&str; 4] = [".xml", ".gz", ".zip", ".json"];
        let has_ending = |name: &str| {
            let name = name.to_ascii_lowercase();
            ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        TYPES.iter().any(|media_type| self.is(media_type)) || self.file_name.is_some_and(has_ending)
    }
}

/// The subject of a mail with a report (RFC 9990 §3.5.2, RFC 8460 §5.3).
fn subject(domain: &str, submitter: &DomainName, report_id: &str) -> String {
    format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{report_id}>")
}

/// A text of a stranger's as one line, with nothing in it that XML cannot carry (XML 1.0 §2.2).
fn one_line(text: &str) -> String {
    let kept = text.chars().filter(|char| !matches!(char, '\u{fffe}' | '\u{ffff}'));
    let line: String = kept.map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &[u8] = b"<feedback><report_metadata><org_name>x</org_name></report_metadata></feedback>";
    const JSON: &[u8] = b"{\"organization-name\":\"x\",\"policies\":[]}";

    fn read_one(
        media_type: &str,
        file_name: Option<&str>,
        octets: &[u8],
    ) -> Option<Result<Report, ReportError>> {
        let text = ReportPart { media_type: "text/plain", file_name: None, octets: b"Dear postmaster" };
        read(&[text, ReportPart { media_type, file_name, octets }], UnpackLimits::default())
    }

    #[test]
    fn reports_are_known_by_what_they_hold() {
        let name = Some("a!b!1!2.xml.gz");
        for (media_type, file_name) in
            [("application/gzip", None), ("Application/X-Gzip", name), ("application/octet-stream", name)]
        {
            let report = read_one(media_type, file_name, &pack(XML));
            assert!(matches!(report, Some(Ok(Report::Aggregate(_)))), "{media_type}");
        }
        assert!(matches!(read_one("text/xml", None, XML), Some(Ok(Report::Aggregate(_)))));
        assert!(matches!(read_one("application/tlsrpt+gzip", None, &pack(JSON)), Some(Ok(Report::Tls(_)))));
        assert!(matches!(read_one("application/gzip", None, &pack(JSON)), Some(Ok(Report::Tls(_)))));
        assert!(matches!(read_one("application/tlsrpt+json", None, JSON), Some(Ok(Report::Tls(_)))));
    }

    #[test]
    fn other_mail_is_none() {
        assert_eq!(read_one("text/html", None, b"<html/>"), None);
        assert_eq!(read_one("application/octet-stream", Some("a.pdf"), XML), None);
        assert_eq!(read_one("application/zip", None, b"holiday"), None);
        assert_eq!(read(&[], UnpackLimits::default()), None);
        let bomb = pack(&vec![b'<'; 40 * 1024 * 1024]);
        let error = ReportError::Packed(UnpackError::TooLarge);
        assert_eq!(read_one("application/gzip", None, &bomb), Some(Err(error)));
        assert_eq!(read_one("text/xml", None, b"<html/>"), Some(Err(ReportError::Malformed)));
    }

    #[test]
    fn parts_are_bounded() {
        let other = ReportPart { media_type: "text/plain", file_name: None, octets: b"" };
        let report = ReportPart { media_type: "text/xml", file_name: None, octets: XML };
        for before in [PARTS_MAX - 2, PARTS_MAX - 1, PARTS_MAX] {
            let mut parts = vec![other; before];
            parts.push(report);
            assert_eq!(read(&parts, UnpackLimits::default()).is_some(), before < PARTS_MAX);
        }
    }

    #[test]
    fn a_report_is_told_as_json() {
        let report = read_one("text/xml", None, XML).unwrap().unwrap();
        let told = serde_json::to_value(&report).unwrap();
        assert_eq!(told["kind"], "aggregate");
        assert_eq!(told["metadata"]["org_name"], "x");
    }
}
