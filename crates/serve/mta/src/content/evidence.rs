//! What the checks of a sender, and of the connection that brought it, mean to the content filter: hits by name.

use sender_auth::arc::ChainResult;
use sender_auth::dmarc::{Outcome, Policy};
use sender_auth::iprev::Iprev;
use sender_auth::spf::SpfResult;
use spam::{Catalogue, Hit};

use crate::inspect::Findings;
use crate::screen::Evidence;

/// The hits of what was found before the message was seen. Where a rule of the same meaning is known, it goes by its name.
pub(crate) fn screened(found: &[Evidence], catalogue: &Catalogue) -> Vec<Hit> {
    let named = |one: &Evidence| {
        let name = match one.name.as_str() {
            "PIPELINED_EARLY" => "PIPELINED",
            "TRAPPED_ADDRESS" => "TRAP_SENDER",
            "TRAPPED_NETWORK" => "TRAP_NETWORK",
            "TRAP" => "TRAP_TOLD",
            "OWN_DOMAIN" => "FORGED_OURS",
            "HELO_IS_OURS" => "HELO_OURS",
            "HELO_BARE_ADDRESS" => "HELO_ADDRESS",
            "HELO_NOT_QUALIFIED" => "HELO_NO_NAME",
            "REVERSE_NAME_MISSING" => "RDNS_NONE",
            "REVERSE_NAME_MISMATCH" => "RDNS_MISMATCH",
            "REVERSE_NAME_DYNAMIC" => "RDNS_DYNAMIC",
            other => other,
        };
        // What a known rule weighs stands in the manual; lists and others bring their own.
        match spam::rule(name) {
            Some(_) => catalogue.raise(name, &one.words),
            None => catalogue.raise_scored(name, one.points, &one.words),
        }
    };
    found.iter().map(named).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rules_weigh_what_the_manual_says_and_others_what_they_bring() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.set_points("LIST_BL_EXAMPLE", 0.5));
        let found = [
            Evidence::new("EARLY_TALKER", 4.0, "it spoke"),
            Evidence::new("REVERSE_NAME_MISSING", 2.0, "no name"),
            Evidence::new("LIST_other.example", 2.5, "listed"),
            Evidence::new("LIST_bl.example", 2.5, "listed"),
        ];
        let hits = screened(&found, &catalogue);
        let told: Vec<_> = hits.iter().map(|hit| (hit.name(), hit.points(), hit.words())).collect();
        assert_eq!(
            told,
            [
                ("EARLY_TALKER", 2.5, "it spoke"),
                ("RDNS_NONE", 1.2, "no name"),
                ("LIST_OTHER_EXAMPLE", 2.5, "listed"),
                ("LIST_BL_EXAMPLE", 0.5, "listed"),
            ]
        );
    }
}
