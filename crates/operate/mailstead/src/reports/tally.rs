//! One checked message as a row of the report to its author's domain (RFC 9990 §3.1).

use mail_types::{AddressDomain, ReversePath};
use mta::{Applied, CheckedMessage, Override};
use sender_auth::dkim::SignatureVerdict;
use sender_auth::dmarc::{Outcome, Policy};
use sender_auth::reports::{
    CheckResult, Disposition, DkimResult, PublishedPolicy, Reason, ReasonKind, Record, SpfResult, SpfScope,
};
use serde::{Deserialize, Serialize};

use super::send::DAY_SECONDS;

/// Signatures of one message that are told: whoever makes up more of them does not make the report larger.
const SIGNATURES_TOLD_MAX: usize = 5;

/// A message to be counted.
#[derive(Debug)]
pub(crate) struct DmarcRow {
    /// The day of UTC, since 1970.
    pub(super) day: i64,
    pub(super) domain: String,
    /// [`Wish`] as JSON.
    pub(super) policy: String,
    /// [`Record`] as JSON, with a count of nothing.
    pub(super) row: String,
}

/// A domain's policy, and where it wants reports: address and octets of the largest mail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(super) struct Wish {
    pub(super) published: PublishedPolicy,
    pub(super) to: Vec<(String, Option<u64>)>,
}

/// The row of a message; none where nobody wants to hear of it: no policy or no address, nothing known for now, or a
/// report.
pub(crate) fn row_of(message: &CheckedMessage<'_>) -> Option<DmarcRow> {
    let dmarc = &message.findings.dmarc;
    let published = dmarc.published.as_ref()?;
    let is_known = matches!(dmarc.outcome, Outcome::Pass | Outcome::Fail);
    if !is_known || message.is_report || published.record.aggregate_reports_to.is_empty() {
        return None;
    }
    let to = published.record.aggregate_reports_to.iter();
    let wish = Wish {
        published: PublishedPolicy::from(published),
        to: to.map(|wanted| (wanted.address.to_string(), wanted.octets_max)).collect(),
    };
    Some(DmarcRow {
        day: message.time.unix_seconds().div_euclid(DAY_SECONDS),
        domain: published.domain.to_string(),
        policy: serde_json::to_string(&wish).ok()?,
        row: serde_json::to_string(&record_of(message)?).ok()?,
    })
}

fn record_of(message: &CheckedMessage<'_>) -> Option<Record> {
    let findings = message.findings;
    let dmarc = &findings.dmarc;
    let envelope_from = match message.reverse_path {
        ReversePath::Address(address) => match address.domain() {
            AddressDomain::Name(name) => name.to_string(),
            AddressDomain::Literal(_) => String::new(),
        },
        ReversePath::Null => String::new(),
    };
    let spf = findings.spf.as_ref().map(|spf| SpfResult {
        domain: envelope_from.clone(),
        scope: Some(SpfScope::MFrom),
        result: spf_result(spf.result),
        human_result: None,
    });
    Some(Record {
        source_ip: message.client.to_canonical(),
        count: 0,
        disposition: disposition(message),
        dkim_aligned: dmarc.has_aligned_dkim(),
        spf_aligned: dmarc.has_aligned_spf(),
        reasons: reasons(message),
        header_from: dmarc.author.as_ref()?.to_string(),
        envelope_from: Some(envelope_from),
        envelope_to: None,
        dkim: findings.dkim.iter().filter_map(dkim_result).take(SIGNATURES_TOLD_MAX).collect(),
        spf: spf.into_iter().collect(),
    })
}

fn disposition(message: &CheckedMessage<'_>) -> Disposition {
    let dmarc = &message.findings.dmarc;
    let asks = dmarc.published.as_ref().is_some_and(|published| published.record.policy != Policy::None);
    match message.applied {
        Applied::Refused => Disposition::Reject,
        Applied::Junk => Disposition::Quarantine,
        Applied::Nothing if dmarc.outcome == Outcome::Pass && asks => Disposition::Pass,
        Applied::Nothing => Disposition::None,
    }
}

fn reasons(message: &CheckedMessage<'_>) -> Vec<Reason> {
    let dmarc = &message.findings.dmarc;
    let is_testing = dmarc.published.as_ref().is_some_and(|published| published.record.is_testing);
    let (kind, comment) = match message.overridden {
        Some(Override::TrustedSealer(domain)) => {
            (ReasonKind::LocalPolicy, Some(format!("arc=pass ({domain})")))
        }
        Some(Override::TrustedForwarder(domain)) => (ReasonKind::TrustedForwarder, Some(domain.to_string())),
        Some(Override::LocalPolicy) => (ReasonKind::LocalPolicy, None),
        None if is_testing && dmarc.outcome == Outcome::Fail => (ReasonKind::PolicyTestMode, None),
        None => return Vec::new(),
    };
    vec![Reason { kind, comment }]
}

fn spf_result(result: sender_auth::spf::SpfResult) -> CheckResult {
    use sender_auth::spf::SpfResult;
    match result {
        SpfResult::None => CheckResult::None,
        SpfResult::Neutral => CheckResult::Neutral,
        SpfResult::Pass => CheckResult::Pass,
        SpfResult::Fail => CheckResult::Fail,
        SpfResult::SoftFail => CheckResult::SoftFail,
        SpfResult::TempError => CheckResult::TempError,
        SpfResult::PermError => CheckResult::PermError,
    }
}

fn dkim_result(verdict: &SignatureVerdict) -> Option<DkimResult> {
    use sender_auth::dkim;
    Some(DkimResult {
        domain: verdict.domain.as_ref()?.to_string(),
        selector: verdict.selector.as_deref().unwrap_or_default().to_owned(),
        result: match verdict.result {
            dkim::DkimResult::Pass => CheckResult::Pass,
            dkim::DkimResult::Fail => CheckResult::Fail,
            dkim::DkimResult::Policy => CheckResult::Policy,
            dkim::DkimResult::Neutral => CheckResult::Neutral,
            dkim::DkimResult::TempError => CheckResult::TempError,
            dkim::DkimResult::PermError => CheckResult::PermError,
        },
        human_result: None,
    })
}
