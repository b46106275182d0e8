//! Reports on single messages: complaints (ARF, RFC 5965) and failures of authentication (RFC 6591; RFC 9991 for DMARC's).

use std::net::IpAddr;

use message::{Date, Field, decode_field_text, fields, unfold};
use serde::Serialize;

use super::{LIST_MAX, ReportError, TEXT_OCTETS_MAX, one_line};

/// Octets of the part for programs that are looked at; failure reports may hold canonicalised headers.
const REPORT_OCTETS_MAX: usize = 256 * 1024;
/// Octets of the original that are looked at: its header.
const ORIGINAL_OCTETS_MAX: usize = 64 * 1024;

/// A report on one message.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FeedbackReport {
    /// What it is about.
    pub feedback_type: FeedbackType,
    /// The program that wrote it.
    pub user_agent: Option<String>,
    /// The envelope's identifier of the original.
    pub original_envelope_id: Option<String>,
    /// MAIL FROM of the original.
    pub original_mail_from: Option<String>,
    /// RCPT TO of the original.
    pub original_rcpt_to: Vec<String>,
    /// When the original came, in seconds since 1970.
    pub arrived: Option<i64>,
    /// Who received it.
    pub reporting_mta: Option<String>,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// How many such messages are meant.
    pub incidents: u64,
    /// What the receiver found about it.
    pub authentication_results: Vec<String>,
    /// The domains that are blamed.
    pub reported_domains: Vec<String>,
    /// The URIs that are blamed.
    pub reported_uris: Vec<String>,
    /// What failed, for reports of that kind.
    pub auth_failure: Option<AuthFailure>,
    /// The original, as much of it as came back.
    pub original: Option<OriginalMessage>,
}

/// What a report is about (RFC 5965 §7.3, RFC 6591, RFC 6430).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedbackType {
    /// A reader calls it spam.
    Abuse,
    /// It cheats.
    Fraud,
    /// It holds a virus.
    Virus,
    /// A reader says that it is no spam.
    NotSpam,
    /// Authentication failed.
    AuthFailure,
    /// Something else.
    #[default]
    Other,
}

/// What failed (RFC 6591 §3, RFC 9991).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct AuthFailure {
    /// Which check: `dmarc`, `spf`, `signature`, `bodyhash`, `revoked`, `adsp`.
    pub check: String,
    /// What became of the message: `delivered`, `spam`, `policy`, `reject`, `other`.
    pub delivery_result: Option<String>,
    /// Which identifiers were aligned: `none`, `dkim`, `spf`.
    pub identity_alignment: Option<String>,
    /// `d=` of the signature.
    pub dkim_domain: Option<String>,
    /// `i=` of the signature.
    pub dkim_identity: Option<String>,
    /// `s=` of the signature.
    pub dkim_selector: Option<String>,
    /// The SPF records that were used.
    pub spf_dns: Vec<String>,
}

/// The message that a report is about, from what came back of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct OriginalMessage {
    /// From, as people read it.
    pub from: Option<String>,
    /// To.
    pub to: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// Date, in seconds since 1970.
    pub date: Option<i64>,
}

impl FeedbackReport {
    /// Reads a report from its part for programs and, if it came back, the original or its header.
    ///
    /// # Errors
    /// [`ReportError::Malformed`] without a Feedback-Type field.
    pub fn read(report: &[u8], original: Option<&[u8]>) -> Result<Self, ReportError> {
        let report = report.get(..REPORT_OCTETS_MAX).unwrap_or(report);
        let mut read = Self { incidents: 1, ..Self::default() };
        let mut has_type = false;
        let mut failure = AuthFailure::default();
        for field in fields(report.trim_ascii_start()) {
            let value = text(&field, unfold(field.value).as_ref());
            has_type |= field.is_named("Feedback-Type");
            read.take(&field, value, &mut failure);
        }
        if !has_type {
            return Err(ReportError::Malformed);
        }
        read.auth_failure = (read.feedback_type == FeedbackType::AuthFailure).then_some(failure);
        read.original = original.map(OriginalMessage::read);
        Ok(read)
    }

    fn take(&mut self, field: &Field<'_>, value: Option<String>, failure: &mut AuthFailure) {
        let Some(value) = value else { return };
        match field.name.to_ascii_lowercase().as_slice() {
            b"feedback-type" => self.feedback_type = FeedbackType::parse(&value),
            b"user-agent" => self.user_agent = Some(value),
            b"original-envelope-id" => self.original_envelope_id = Some(value),
            b"original-mail-from" => self.original_mail_from = Some(value),
            b"original-rcpt-to" => push(&mut self.original_rcpt_to, value),
            b"arrival-date" | b"received-date" => {
                self.arrived = Date::parse(value.as_bytes()).map(|date| date.unix_seconds);
            }
            b"reporting-mta" => self.reporting_mta = Some(value),
            b"source-ip" => self.source_ip = value.trim_matches(['[', ']']).parse().ok(),
            b"incidents" => self.incidents = value.parse().unwrap_or(1),
            b"authentication-results" => push(&mut self.authentication_results, value),
            b"reported-domain" => push(&mut self.reported_domains, value),
            b"reported-uri" => push(&mut self.reported_uris, value),
            b"auth-failure" => failure.check = value.to_ascii_lowercase(),
            b"delivery-result" => failure.delivery_result = Some(value.to_ascii_lowercase()),
            b"identity-alignment" => failure.identity_alignment = Some(value.to_ascii_lowercase()),
            b"dkim-domain" => failure.dkim_domain = Some(value),
            b"dkim-identity" => failure.dkim_identity = Some(value),
            b"dkim-selector" => failure.dkim_selector = Some(value),
            b"spf-dns" => push(&mut failure.spf_dns, value),
            _ => {}
        }
    }
}

impl FeedbackType {
    fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "abuse" => Self::Abuse,
            "fraud" => Self::Fraud,
            "virus" => Self::Virus,
            "not-spam" => Self::NotSpam,
            "auth-failure" => Self::AuthFailure,
            _ => Self::Other,
        }
    }
}

impl OriginalMessage {
    fn read(message: &[u8]) -> Self {
        let message = message.get(..ORIGINAL_OCTETS_MAX).unwrap_or(message);
        let mut read = Self::default();
        // The first field counts: those behind it may be anybody's.
        for field in fields(message.trim_ascii_start()) {
            let decoded = || text(&field, decode_field_text(field.value).as_bytes());
            match field.name.to_ascii_lowercase().as_slice() {
                b"from" if read.from.is_none() => read.from = decoded(),
                b"to" if read.to.is_none() => read.to = decoded(),
                b"subject" if read.subject.is_none() => read.subject = decoded(),
                b"message-id" if read.message_id.is_none() => read.message_id = decoded(),
                b"date" if read.date.is_none() => {
                    read.date = Date::parse(field.value).map(|date| date.unix_seconds);
                }
                _ => {}
            }
        }
        read
    }
}

/// A field's value as a text: one line, bounded; none if nothing is left.
fn text(field: &Field<'_>, value: &[u8]) -> Option<String> {
    if field.name.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(value);
    let end = text.floor_char_boundary(TEXT_OCTETS_MAX);
    let line = one_line(text.get(..end).unwrap_or_default());
    (!line.is_empty()).then_some(line)
}

fn push(list: &mut Vec<String>, value: String) {
    if list.len() < LIST_MAX {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..200), value in "\\PC{0,30}") {
            let _ = FeedbackReport::read(&octets, Some(&octets));
            for name in ["Source-IP", "Arrival-Date", "Incidents", "Auth-Failure", "From", "Subject", "Date"] {
                let report = format!("Feedback-Type: auth-failure\r\n{name}: {value}\r\n");
                prop_assert!(FeedbackReport::read(report.as_bytes(), Some(report.as_bytes())).is_ok());
            }
        }
    }

    #[test]
    fn a_complaint() {
        // After RFC 5965 appendix B.2.
        let report = b"\r\nFeedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n\
            Original-Mail-From: <somespammer@example.net>\r\nOriginal-Rcpt-To: <user@example.com>\r\n\
            Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\nReporting-MTA: dns; mail.example.com\r\n\
            Source-IP: 192.0.2.1\r\nAuthentication-Results: mail.example.com;\r\n spf=fail\r\n\
            Reported-Domain: example.net\r\nReported-Uri: http://example.net/earn_money.html\r\n\
            Reported-Uri: mailto:user@example.com\r\nIncidents: 7\r\n\r\nFraud: no field";
        let original = b"From: =?utf-8?Q?Sp=C3=A4mmer?= <a@example.net>\r\nFrom: b@c\r\nTo: <Undisclosed>\r\n\
            Subject: Earn\r\n money\r\nMessage-ID: <1@example.net>\r\nDate: Thu, 02 Sep 2004 12:31:03 -0500\r\n\r\nbody";
        let read = FeedbackReport::read(report, Some(original)).unwrap();
        assert_eq!((read.feedback_type, read.incidents), (FeedbackType::Abuse, 7));
        assert_eq!(read.source_ip, "192.0.2.1".parse().ok());
        assert_eq!(read.authentication_results, ["mail.example.com; spf=fail"]);
        assert_eq!(read.reported_uris.len(), 2);
        assert!(read.arrived.is_some() && read.auth_failure.is_none());
        let original = read.original.unwrap();
        assert_eq!(original.from.as_deref(), Some("Sp\u{e4}mmer <a@example.net>"));
        assert_eq!(original.subject.as_deref(), Some("Earn money"));
        assert_eq!(original.date, Some(1_094_146_263));
    }

    #[test]
    fn a_failure_of_dmarc() {
        let report = b"Feedback-Type: auth-failure\nVersion: 1\nAuth-Failure: DMARC\nDelivery-Result: reject\n\
            Identity-Alignment: none\nDKIM-Domain: example.org\nDKIM-Selector: s\nSPF-DNS: txt : example.org : \"v=spf1\"\n\
            Source-IP: [2001:db8::1]\n";
        let read = FeedbackReport::read(report, None).unwrap();
        let failure = read.auth_failure.unwrap();
        assert_eq!((failure.check.as_str(), failure.delivery_result.as_deref()), ("dmarc", Some("reject")));
        assert_eq!((failure.dkim_selector.as_deref(), failure.spf_dns.len()), (Some("s"), 1));
        assert_eq!(read.source_ip, "2001:db8::1".parse().ok());
    }

    #[test]
    fn what_is_no_report() {
        for report in ["", "User-Agent: x\r\n", "x\r\n\r\nFeedback-Type: abuse"] {
            assert_eq!(
                FeedbackReport::read(report.as_bytes(), None),
                Err(ReportError::Malformed),
                "{report}"
            );
        }
        let odd = FeedbackReport::read(b"Feedback-Type:\r\nSource-IP: x\r\nIncidents: many\r\nfoo\r\n", None)
            .unwrap();
        assert_eq!((odd.feedback_type, odd.source_ip, odd.incidents), (FeedbackType::Other, None, 1));
    }

    #[test]
    fn the_bounds_hold() {
        for count in [LIST_MAX - 1, LIST_MAX, LIST_MAX + 1] {
            let report = format!("Feedback-Type: abuse\r\n{}", "Reported-Domain: a\r\n".repeat(count));
            let read = FeedbackReport::read(report.as_bytes(), None).unwrap();
            assert_eq!(read.reported_domains.len(), count.min(LIST_MAX));
        }
        for octets in [TEXT_OCTETS_MAX - 1, TEXT_OCTETS_MAX, TEXT_OCTETS_MAX + 1] {
            let report = format!("Feedback-Type: abuse\r\nUser-Agent: {}\r\n", "x".repeat(octets));
            let read = FeedbackReport::read(report.as_bytes(), None).unwrap();
            assert_eq!(read.user_agent.unwrap().len(), octets.min(TEXT_OCTETS_MAX));
        }
        let late = |bound: usize, padding: usize| {
            format!("X: {}\r\nSubject: s", "x".repeat(bound - 5 - 10 - 1 + padding))
        };
        for (padding, subject) in [(0, "s"), (1, "s"), (2, "")] {
            let original = late(ORIGINAL_OCTETS_MAX, padding);
            let read = OriginalMessage::read(original.as_bytes());
            assert_eq!(read.subject.unwrap_or_default(), subject, "{}", original.len());
        }
        for octets in [REPORT_OCTETS_MAX - 1, REPORT_OCTETS_MAX, REPORT_OCTETS_MAX + 1] {
            let end = "\r\nIncidents: 7";
            let start = "Feedback-Type: abuse\r\nX: ";
            let report = format!("{start}{}{end}", "x".repeat(octets - start.len() - end.len()));
            let read = FeedbackReport::read(report.as_bytes(), None).unwrap();
            assert_eq!(read.incidents == 7, octets <= REPORT_OCTETS_MAX);
        }
    }
}
