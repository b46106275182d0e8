//! Reading aggregate reports: element by element, nothing kept but what a report has (RFC 9990 §3.1.1).

use std::net::{IpAddr, Ipv4Addr};

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{
    AggregateReport, CheckResult, DEPTH_MAX, DiscoveryMethod, Disposition, DkimResult, LIST_MAX, RECORDS_MAX,
    Reason, ReasonKind, Record, SIGNATURES_MAX, SpfResult, SpfScope, TEXT_OCTETS_MAX, value_of,
};
use crate::dmarc::{AlignmentMode, Policy};
use crate::reports::{ReportError, one_line};

/// Elements of a report; others are read over.
const ELEMENTS: [&str; 42] = [
    "feedback",
    "report_metadata",
    "org_name",
    "email",
    "extra_contact_info",
    "report_id",
    "date_range",
    "begin",
    "end",
    "error",
    "generator",
    "policy_published",
    "domain",
    "discovery_method",
    "p",
    "sp",
    "np",
    "fo",
    "adkim",
    "aspf",
    "testing",
    "record",
    "row",
    "source_ip",
    "count",
    "policy_evaluated",
    "disposition",
    "dkim",
    "spf",
    "reason",
    "type",
    "comment",
    "identifiers",
    "identities",
    "header_from",
    "envelope_from",
    "envelope_to",
    "auth_results",
    "selector",
    "result",
    "scope",
    "human_result",
];

pub(super) fn read(xml: &[u8]) -> Result<AggregateReport, ReportError> {
    let text = String::from_utf8_lossy(xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml));
    let mut reader = Reader::from_str(text.trim_start());
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    // Some write `<email><ann@example.org></email>`: [`Reading::close`] finds what an end tag ends.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    let mut reading = Reading::default();
    loop {
        match reader.read_event().map_err(|_| ReportError::Malformed)? {
            Event::Start(tag) => reading.open(tag.local_name().into_inner())?,
            Event::End(tag) => reading.close(tag.local_name().into_inner())?,
            Event::Empty(tag) => {
                reading.open(tag.local_name().into_inner())?;
                reading.close_innermost()?;
            }
            Event::Text(text) => reading.take(&text.xml10_content()),
            Event::CData(text) => reading.take(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    Ok(None) => named_character(&reference.xml10_content()),
                    Err(_) => None,
                };
                reading.take(resolved.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]));
            }
            // Reports have no document type, and what it may define makes small reports large.
            Event::DocType(_) => return Err(ReportError::Forbidden),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return reading.finish(),
        }
    }
}

fn named_character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// An element's name, if reports have it.
fn known(name: &str) -> &'static str {
    ELEMENTS.iter().find(|known| **known == name).copied().unwrap_or_default()
}

/// A report of which a part has been read.
#[derive(Default)]
struct Reading {
    report: AggregateReport,
    /// Open elements; unknown ones have no name.
    path: Vec<&'static str>,
    /// Text of the innermost element so far.
    text: String,
    /// The record that is open, and whether it has an address yet.
    record: Option<Record>,
    has_address: bool,
    is_report: bool,
}

impl Reading {
    fn open(&mut self, name: &str) -> Result<(), ReportError> {
        if self.path.len() >= DEPTH_MAX {
            return Err(ReportError::TooLarge);
        }
        self.path.push(known(name));
        self.text.clear();
        let record = self.record.as_mut();
        match (self.path.as_slice(), record) {
            (["feedback"], _) => self.is_report = true,
            (["feedback", "record"], _) => {
                self.record = Some(empty_record());
                self.has_address = false;
            }
            (["feedback", "record", "row", "policy_evaluated", "reason"], Some(record)) => {
                let reason = Reason { kind: ReasonKind::Other, comment: None };
                push_bounded(&mut record.reasons, reason, LIST_MAX);
            }
            (["feedback", "record", "auth_results", "dkim"], Some(record)) => {
                push_bounded(&mut record.dkim, DkimResult::default(), SIGNATURES_MAX);
            }
            (["feedback", "record", "auth_results", "spf"], Some(record)) => {
                push_bounded(&mut record.spf, SpfResult::default(), LIST_MAX);
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, text: &str) {
        let room = TEXT_OCTETS_MAX.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(text.get(..end).unwrap_or_default());
    }

    /// Ends the innermost element of this name and all in it; what ends nothing means nothing.
    fn close(&mut self, name: &str) -> Result<(), ReportError> {
        let name = known(name);
        if self.path.contains(&name) {
            while self.path.last().is_some_and(|innermost| *innermost != name) {
                self.close_innermost()?;
            }
            self.close_innermost()?;
        }
        Ok(())
    }

    fn close_innermost(&mut self) -> Result<(), ReportError> {
        let text = one_line(&std::mem::take(&mut self.text));
        if self.path.as_slice() == ["feedback", "record"] {
            self.end_record()?;
        } else if let ["feedback", rest @ ..] = self.path.as_slice() {
            match rest {
                ["report_metadata", inner @ ..] => set_metadata(&mut self.report, inner, text),
                ["policy_published", inner] => set_policy(&mut self.report, inner, text),
                ["record", inner @ ..] => {
                    if let Some(record) = &mut self.record {
                        self.has_address |= set_record(record, inner, text);
                    }
                }
                _ => {}
            }
        }
        self.path.pop();
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), ReportError> {
        if self.report.records.len() + self.report.skipped_records >= RECORDS_MAX {
            return Err(ReportError::TooLarge);
        }
        match self.record.take() {
            Some(record) if self.has_address => self.report.records.push(record),
            _ => self.report.skipped_records += 1,
        }
        Ok(())
    }

    fn finish(self) -> Result<AggregateReport, ReportError> {
        match (self.is_report, self.path.is_empty()) {
            (true, true) => Ok(self.report),
            _ => Err(ReportError::Malformed),
        }
    }
}

fn empty_record() -> Record {
    Record {
        source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        count: 0,
        disposition: Disposition::None,
        dkim_aligned: false,
        spf_aligned: false,
        reasons: Vec::new(),
        header_from: String::new(),
        envelope_from: None,
        envelope_to: None,
        dkim: Vec::new(),
        spf: Vec::new(),
    }
}

fn set_metadata(report: &mut AggregateReport, path: &[&str], text: String) {
    let metadata = &mut report.metadata;
    match path {
        ["org_name"] => metadata.org_name = text,
        ["email"] => metadata.email = text,
        ["extra_contact_info"] => metadata.extra_contact_info = given(text),
        ["report_id"] => metadata.report_id = text,
        ["date_range", "begin"] => metadata.begin = number(&text),
        ["date_range", "end"] => metadata.end = number(&text),
        ["error"] => metadata.errors.extend(given(text).filter(|_| metadata.errors.len() < LIST_MAX)),
        ["generator"] => metadata.generator = given(text),
        _ => {}
    }
}

fn set_policy(report: &mut AggregateReport, name: &str, text: String) {
    let policy = &mut report.policy_published;
    match name {
        "domain" => policy.domain = text,
        "discovery_method" => {
            let methods = [("psl", DiscoveryMethod::Psl), ("treewalk", DiscoveryMethod::TreeWalk)];
            policy.discovery_method = value_of(&methods, &text);
        }
        "p" => policy.p = Policy::parse(&text).unwrap_or_default(),
        "sp" => policy.sp = Policy::parse(&text),
        "np" => policy.np = Policy::parse(&text),
        "fo" => policy.fo = given(text),
        "adkim" => policy.adkim = AlignmentMode::parse(&text),
        "aspf" => policy.aspf = AlignmentMode::parse(&text),
        "testing" => policy.testing = value_of(&[("y", true), ("n", false)], &text),
        _ => {}
    }
}

/// Sets a field of a record; whether it was the address.
fn set_record(record: &mut Record, path: &[&str], text: String) -> bool {
    let is_pass = || text.eq_ignore_ascii_case("pass");
    match path {
        ["row", "source_ip"] => match text.trim_matches(['[', ']']).parse() {
            Ok(address) => {
                record.source_ip = address;
                return true;
            }
            Err(_) => return false,
        },
        ["row", "count"] => record.count = u64::try_from(number(&text)).unwrap_or(0),
        ["row", "policy_evaluated", "disposition"] => {
            record.disposition = value_of(&Disposition::WORDS, &text).unwrap_or_default();
        }
        ["row", "policy_evaluated", "dkim"] => record.dkim_aligned = is_pass(),
        ["row", "policy_evaluated", "spf"] => record.spf_aligned = is_pass(),
        ["row", "policy_evaluated", "reason", inner] => {
            if let Some(reason) = record.reasons.last_mut() {
                match *inner {
                    "type" => reason.kind = value_of(&ReasonKind::WORDS, &text).unwrap_or_default(),
                    "comment" => reason.comment = given(text),
                    _ => {}
                }
            }
        }
        ["identifiers" | "identities", "header_from"] => record.header_from = text,
        ["identifiers" | "identities", "envelope_from"] => record.envelope_from = Some(text),
        ["identifiers" | "identities", "envelope_to"] => record.envelope_to = given(text),
        ["auth_results", "dkim", inner] => {
            if let Some(dkim) = record.dkim.last_mut() {
                set_dkim(dkim, inner, text);
            }
        }
        ["auth_results", "spf", inner] => {
            if let Some(spf) = record.spf.last_mut() {
                set_spf(spf, inner, text);
            }
        }
        _ => {}
    }
    false
}

fn set_dkim(dkim: &mut DkimResult, name: &str, text: String) {
    match name {
        "domain" => dkim.domain = text,
        "selector" => dkim.selector = text,
        "result" => dkim.result = value_of(&CheckResult::WORDS, &text).unwrap_or_default(),
        "human_result" => dkim.human_result = given(text),
        _ => {}
    }
}

fn set_spf(spf: &mut SpfResult, name: &str, text: String) {
    match name {
        "domain" => spf.domain = text,
        "scope" => spf.scope = value_of(&[("mfrom", SpfScope::MFrom), ("helo", SpfScope::Helo)], &text),
        "result" => spf.result = value_of(&CheckResult::WORDS, &text).unwrap_or_default(),
        "human_result" => spf.human_result = given(text),
        _ => {}
    }
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A whole number; some write a fraction behind it.
fn number(text: &str) -> i64 {
    text.split('.').next().and_then(|whole| whole.trim().parse().ok()).unwrap_or(0)
}

/// Adds to a list with a bound; beyond it the last one is written over, so that what follows has a place.
fn push_bounded<T>(list: &mut Vec<T>, value: T, max: usize) {
    if list.len() >= max {
        list.pop();
    }
    list.push(value);
}
