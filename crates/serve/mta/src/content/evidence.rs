//! What the checks of a sender mean to the content filter: hits by name.

use sender_auth::arc::ChainResult;
use sender_auth::dmarc::{Outcome, Policy};
use sender_auth::iprev::Iprev;
use sender_auth::spf::SpfResult;
use spam::{Catalogue, Hit};

use crate::inspect::Findings;

/// The hits of what was found about a sender.
pub(crate) fn evidence(findings: &Findings, catalogue: &Catalogue) -> Vec<Hit> {
    let mut names = Vec::new();
    names.extend(match findings.spf.as_ref().map(|spf| spf.result) {
        Some(SpfResult::Pass) => Some("SPF_PASS"),
        Some(SpfResult::None) => Some("SPF_NONE"),
        Some(SpfResult::Neutral) => Some("SPF_NEUTRAL"),
        Some(SpfResult::SoftFail) => Some("SPF_SOFTFAIL"),
        Some(SpfResult::Fail) => Some("SPF_FAIL"),
        Some(SpfResult::PermError) => Some("SPF_ERROR"),
        // Reports have no sender, and DNS may be silent for a while: neither says anything.
        Some(SpfResult::TempError) | None => None,
    });
    let is_signed = findings.dkim.iter().any(|signature| signature.passing_domain().is_some());
    names.push(match (is_signed, findings.dkim.is_empty()) {
        (true, _) if findings.dmarc.has_aligned_dkim() => "DKIM_VALID_AU",
        (true, _) => "DKIM_VALID",
        (false, true) => "DKIM_NONE",
        (false, false) => "DKIM_INVALID",
    });
    names.extend(match (findings.dmarc.outcome, findings.dmarc.disposition) {
        (Outcome::Pass, _) => Some("DMARC_PASS"),
        (Outcome::None, _) => Some("DMARC_NONE"),
        (Outcome::Fail, Policy::None) => Some("DMARC_MISSED"),
        (Outcome::Fail, Policy::Quarantine) => Some("DMARC_QUARANTINE"),
        (Outcome::Fail, Policy::Reject) => Some("DMARC_REJECT"),
        (Outcome::PermError | Outcome::TempError, _) => None,
    });
    names.extend(match findings.arc.result {
        ChainResult::Pass => Some("ARC_PASS"),
        ChainResult::Fail => Some("ARC_INVALID"),
        ChainResult::None => None,
    });
    names.extend(match &findings.iprev {
        Iprev::NoName => Some("RDNS_NONE"),
        Iprev::Fail => Some("RDNS_MISMATCH"),
        Iprev::Pass(_) | Iprev::TempError => None,
    });
    let passes = findings.spf.as_ref().is_some_and(|spf| spf.result == SpfResult::Pass);
    if !passes && !is_signed {
        names.push("UNPROVEN");
    }
    // What only DNS has kept us from learning, or a chain of seals that nobody trusts, is told and weighs as it is set.
    names.into_iter().map(|name| catalogue.raise(name, "")).collect()
}
