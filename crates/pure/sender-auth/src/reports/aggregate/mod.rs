//! DMARC aggregate reports: what a receiver saw of a domain's mail in a day (RFC 9990; RFC 7489 appendix C).

mod read;
mod write;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ReportError;
use crate::dmarc::{AlignmentMode, Policy};

/// Records of one report that are read. A large provider's daily report on a busy domain has some ten thousand.
pub const RECORDS_MAX: usize = 100_000;
/// Octets of one text of a report that are kept.
pub const TEXT_OCTETS_MAX: usize = 1_024;
/// Signatures of one record that are kept (RFC 9990 §3.1.3 writes no more).
pub const SIGNATURES_MAX: usize = 100;
/// SPF results, reasons and errors that are kept, of each.
pub const LIST_MAX: usize = 16;
/// Deepest element that is read; reports need six.
const DEPTH_MAX: usize = 16;

/// An aggregate report. Texts are the reporter's: nothing in them is checked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AggregateReport {
    /// Who reports.
    pub metadata: Metadata,
    /// The policy that was found.
    pub policy_published: PublishedPolicy,
    /// What was seen.
    pub records: Vec<Record>,
    /// Records that made no sense: without an address.
    #[serde(default)]
    pub skipped_records: usize,
}

/// Who reports, and on what time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// The reporter's name.
    pub org_name: String,
    /// Whom to ask about the report.
    pub email: String,
    /// How else to ask.
    pub extra_contact_info: Option<String>,
    /// The report's identifier; the same report sent twice has it twice.
    pub report_id: String,
    /// First second of the time reported on, since 1970.
    pub begin: i64,
    /// Last second.
    pub end: i64,
    /// What was wrong with the policy record.
    pub errors: Vec<String>,
    /// The program that wrote the report.
    pub generator: Option<String>,
}

/// The policy that was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PublishedPolicy {
    /// The domain of the record.
    pub domain: String,
    /// How it was found.
    pub discovery_method: Option<DiscoveryMethod>,
    /// For the domain itself.
    pub p: Policy,
    /// For domains below it.
    pub sp: Option<Policy>,
    /// For domains below it that do not exist.
    pub np: Option<Policy>,
    /// When failure reports are wanted.
    pub fo: Option<String>,
    /// How alike signatures' domains have to be.
    pub adkim: Option<AlignmentMode>,
    /// How alike the domain of MAIL FROM has to be.
    pub aspf: Option<AlignmentMode>,
    /// Whether the owner only tests.
    pub testing: Option<bool>,
}

/// How a policy was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscoveryMethod {
    /// By a list of public suffixes (RFC 7489).
    Psl,
    /// By the DNS tree walk (RFC 9989).
    TreeWalk,
}

/// Messages that were alike: from one address, with the same results.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Where they came from.
    pub source_ip: IpAddr,
    /// How many.
    pub count: u64,
    /// What became of them.
    pub disposition: Disposition,
    /// Whether DKIM passed and aligned.
    pub dkim_aligned: bool,
    /// Whether SPF passed and aligned.
    pub spf_aligned: bool,
    /// Why the policy was not followed.
    pub reasons: Vec<Reason>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM; empty for a null reverse-path.
    pub envelope_from: Option<String>,
    /// The recipients' domain.
    pub envelope_to: Option<String>,
    /// What DKIM found.
    pub dkim: Vec<DkimResult>,
    /// What SPF found.
    pub spf: Vec<SpfResult>,
}

/// What became of messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// Nothing, since the policy asks for nothing or is not followed.
    #[default]
    None,
    /// Nothing, since they passed a policy that asks for something.
    Pass,
    /// Taken for suspicious.
    Quarantine,
    /// Refused.
    Reject,
}

/// Why a policy was not followed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of reason.
    pub kind: ReasonKind,
    /// More about it.
    pub comment: Option<String>,
}

/// Kinds of reasons (RFC 9990 §3.1.6; the last three are RFC 7489's or unknown and only read).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// The receiver decided otherwise.
    LocalPolicy,
    /// It seems to have come through a mailing list.
    MailingList,
    /// Something else.
    #[default]
    Other,
    /// The owner only tests.
    PolicyTestMode,
    /// It came through a forwarder that the receiver knows.
    TrustedForwarder,
    /// It seems to have been forwarded.
    Forwarded,
    /// The percentage spared it.
    SampledOut,
}

/// The result of a check as reports name it (RFC 8601 §2.7.1 and §2.7.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// Nothing to check.
    #[default]
    None,
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// SPF: probably not allowed.
    SoftFail,
    /// It says nothing.
    Neutral,
    /// DKIM: a signature that is not accepted.
    Policy,
    /// DNS failed.
    TempError,
    /// The record or signature is broken.
    PermError,
}

/// What DKIM found about one signature.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DkimResult {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// What came of it.
    pub result: CheckResult,
    /// In words.
    pub human_result: Option<String>,
}

/// What SPF found.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SpfResult {
    /// The domain that was checked.
    pub domain: String,
    /// Which domain that was; RFC 9990 knows `mfrom` only.
    pub scope: Option<SpfScope>,
    /// What came of it.
    pub result: CheckResult,
    /// In words.
    pub human_result: Option<String>,
}

/// Which domain SPF checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfScope {
    /// MAIL FROM's.
    MFrom,
    /// HELO's.
    Helo,
}

impl AggregateReport {
    /// Reads a report, leniently: elements in any order and of any other kind, missing ones, words in any case; each
    /// text cut at [`TEXT_OCTETS_MAX`], lists at their bounds. The octets are those that [`super::unpack`] gave.
    ///
    /// # Errors
    /// [`ReportError`] for what is no XML or no report, has a document type (entities are bombs), is too deep or has too
    /// many records.
    pub fn read(xml: &[u8]) -> Result<Self, ReportError> {
        read::read(xml)
    }

    /// Writes the report as RFC 9990 §A has it. What XML cannot carry is left out of texts.
    #[must_use]
    pub fn write(&self) -> String {
        write::write(self)
    }

    /// The name of the attachment (RFC 9990 §3.5.2): `receiver!policy-domain!begin!end.xml.gz`.
    #[must_use]
    pub fn file_name(&self, receiver: &mail_types::DomainName) -> String {
        let Metadata { begin, end, .. } = self.metadata;
        format!("{receiver}!{}!{begin}!{end}.xml.gz", self.policy_published.domain)
    }

    /// The subject of the mail (RFC 9990 §3.5.2).
    #[must_use]
    pub fn subject(&self, receiver: &mail_types::DomainName) -> String {
        super::subject(&self.policy_published.domain, receiver, &self.metadata.report_id)
    }
}

impl From<&crate::dmarc::Published> for PublishedPolicy {
    fn from(published: &crate::dmarc::Published) -> Self {
        let record = &published.record;
        Self {
            domain: published.domain.to_string(),
            discovery_method: Some(DiscoveryMethod::TreeWalk),
            p: record.policy,
            sp: record.subdomain_policy,
            np: record.nonexistent_policy,
            fo: Some(record.failure_options.to_string()),
            adkim: Some(record.dkim_alignment),
            aspf: Some(record.spf_alignment),
            testing: Some(record.is_testing),
        }
    }
}

impl Disposition {
    pub(super) const WORDS: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("pass", Self::Pass),
        ("quarantine", Self::Quarantine),
        ("reject", Self::Reject),
    ];
}

impl ReasonKind {
    pub(super) const WORDS: [(&'static str, Self); 7] = [
        ("local_policy", Self::LocalPolicy),
        ("mailing_list", Self::MailingList),
        ("other", Self::Other),
        ("policy_test_mode", Self::PolicyTestMode),
        ("trusted_forwarder", Self::TrustedForwarder),
        ("forwarded", Self::Forwarded),
        ("sampled_out", Self::SampledOut),
    ];
}

impl CheckResult {
    /// The last three are what old reporters write.
    pub(super) const WORDS: [(&'static str, Self); 11] = [
        ("none", Self::None),
        ("pass", Self::Pass),
        ("fail", Self::Fail),
        ("softfail", Self::SoftFail),
        ("neutral", Self::Neutral),
        ("policy", Self::Policy),
        ("temperror", Self::TempError),
        ("permerror", Self::PermError),
        ("hardfail", Self::Fail),
        ("unknown", Self::PermError),
        ("error", Self::TempError),
    ];
}

/// The value of a word in any letter case.
fn value_of<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}

/// The word for a value.
fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests;
