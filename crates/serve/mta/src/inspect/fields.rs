//! What was found, written above the message (RFC 8601, RFC 7208 §9.1), and in words for its record.

use std::net::IpAddr;

use mail_types::{DomainName, ReversePath};
use sender_auth::arc::ChainResult;
use sender_auth::dkim::{DkimResult, SignatureVerdict};
use sender_auth::iprev::Iprev;
use sender_auth::results::{DkimSignature, MethodResult, Verdict};
use sender_auth::spf::SpfResult;

use super::Findings;

impl Findings {
    /// What Authentication-Results says.
    pub(crate) fn results(&self, client: IpAddr) -> Vec<MethodResult> {
        let iprev = match &self.iprev {
            Iprev::Pass(_) => Verdict::Pass,
            Iprev::Fail => Verdict::Fail,
            Iprev::NoName => Verdict::PermError,
            Iprev::TempError => Verdict::TempError,
        };
        let mut results = vec![MethodResult::iprev(iprev, client)];
        let spf = match &self.spf {
            Some(spf) => MethodResult::spf_mail_from(spf_word(spf.result), &spf.domain),
            None => MethodResult::spf_helo(spf_word(self.spf_helo.result), &self.spf_helo.domain),
        };
        results.push(spf);
        results.extend(self.dkim.iter().map(signature));
        if self.dkim.is_empty() {
            results.push(MethodResult::no_dkim());
        }
        results.push(MethodResult::dmarc(&self.dmarc));
        if self.arc.result != ChainResult::None {
            let verdict = match self.arc.result {
                ChainResult::Pass => Verdict::Pass,
                _ => Verdict::Fail,
            };
            let oldest = self.arc.oldest_pass.and_then(|oldest| u8::try_from(oldest).ok());
            results.push(MethodResult::arc(verdict, oldest, Some(client)));
        }
        results
    }

    /// The same in lines for the message's record.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![match &self.iprev {
            Iprev::Pass(name) => format!("iprev: {name}"),
            Iprev::Fail => "iprev: the address's names do not lead back to it".to_owned(),
            Iprev::NoName => "iprev: the address has no name".to_owned(),
            Iprev::TempError => "iprev: DNS fails".to_owned(),
        }];
        for (what, spf) in
            std::iter::once(("helo", &self.spf_helo)).chain(self.spf.as_ref().map(|spf| ("mail from", spf)))
        {
            let because = match (&spf.matched, &spf.problem) {
                (_, Some(problem)) => format!(": {problem}"),
                (Some(matched), None) => format!(" by {} of {}", matched.directive, matched.record_of),
                (None, None) => String::new(),
            };
            lines.push(format!("spf of {what} {}: {}{because}", spf.domain, spf.result));
        }
        lines.extend(self.dkim.iter().map(|signature| {
            let domain = signature.domain.as_ref().map_or("?", DomainName::as_str);
            let fault = signature.fault.map_or(String::new(), |fault| format!(": {fault}"));
            format!("dkim of {domain}: {}{fault}", signature.result.as_str())
        }));
        if self.arc.result != ChainResult::None {
            let fault = self.arc.fault.as_ref().map_or(String::new(), |fault| format!(": {fault}"));
            lines.push(format!("arc: {}{fault}", self.arc.result.as_str()));
        }
        let author = self.dmarc.author.as_ref().map_or("nobody", DomainName::as_str);
        lines.push(format!("dmarc of {author}: {}", dmarc_word(self)));
        lines
    }
}

fn dmarc_word(findings: &Findings) -> &'static str {
    use sender_auth::dmarc::Outcome;
    match findings.dmarc.outcome {
        Outcome::Pass => "pass",
        Outcome::None => "none",
        Outcome::PermError => "permerror",
        Outcome::TempError => "temperror",
        Outcome::Fail => "fail",
    }
}

fn spf_word(result: SpfResult) -> Verdict {
    match result {
        SpfResult::None => Verdict::None,
        SpfResult::Neutral => Verdict::Neutral,
        SpfResult::Pass => Verdict::Pass,
        SpfResult::Fail => Verdict::Fail,
        SpfResult::SoftFail => Verdict::SoftFail,
        SpfResult::TempError => Verdict::TempError,
        SpfResult::PermError => Verdict::PermError,
    }
}

fn signature(found: &SignatureVerdict) -> MethodResult {
    let verdict = match found.result {
        DkimResult::Pass => Verdict::Pass,
        DkimResult::Fail => Verdict::Fail,
        DkimResult::Policy => Verdict::Policy,
        DkimResult::Neutral => Verdict::Neutral,
        DkimResult::TempError => Verdict::TempError,
        DkimResult::PermError => Verdict::PermError,
    };
    let result = MethodResult::dkim(
        verdict,
        &DkimSignature {
            domain: found.domain.as_ref().map_or("", DomainName::as_str),
            selector: found.selector.as_deref().unwrap_or_default(),
            identity: found.identity.as_deref(),
            algorithm: found.algorithm.map(|algorithm| algorithm.as_str()),
            signature: Some(&found.signature_prefix),
        },
    );
    match found.fault {
        Some(fault) => result.because(&fault.to_string()),
        None => result,
    }
}

/// Received-SPF of the identity that counts (RFC 7208 §9.1).
pub(crate) fn write_received_spf(
    findings: &Findings,
    query: &sender_auth::spf::Query<'_>,
    front: &mut Vec<u8>,
) {
    use sender_auth::spf::{Identity, write_received_spf};
    match (&findings.spf, query.reverse_path) {
        (Some(spf), ReversePath::Address(_)) => write_received_spf(Identity::MailFrom, query, spf, front),
        _ => write_received_spf(Identity::Helo, query, &findings.spf_helo, front),
    }
}
