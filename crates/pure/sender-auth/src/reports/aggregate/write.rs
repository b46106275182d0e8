//! Writing aggregate reports (RFC 9990 §3.1.1 and §A).

use super::{
    AggregateReport, CheckResult, DiscoveryMethod, Disposition, Metadata, PublishedPolicy, ReasonKind,
    Record, SIGNATURES_MAX, SpfScope, word_of,
};

pub(super) fn write(report: &AggregateReport) -> String {
    let mut xml = Writer { out: String::new(), depth: 0 };
    xml.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.open("feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"");
    xml.text("version", "1.0");
    metadata(&report.metadata, &mut xml);
    policy(&report.policy_published, &mut xml);
    report.records.iter().for_each(|each| record(each, &mut xml));
    xml.close("feedback");
    xml.out
}

fn metadata(metadata: &Metadata, xml: &mut Writer) {
    xml.open("report_metadata");
    xml.text("org_name", &metadata.org_name);
    xml.text("email", &metadata.email);
    xml.optional("extra_contact_info", metadata.extra_contact_info.as_deref());
    xml.text("report_id", &metadata.report_id);
    xml.open("date_range");
    xml.text("begin", &metadata.begin.to_string());
    xml.text("end", &metadata.end.to_string());
    xml.close("date_range");
    // RFC 9990 has one element for all errors, RFC 7489 one for each.
    let errors = metadata.errors.join("; ");
    xml.optional("error", Some(errors.as_str()).filter(|errors| !errors.is_empty()));
    xml.optional("generator", metadata.generator.as_deref());
    xml.close("report_metadata");
}

fn policy(policy: &PublishedPolicy, xml: &mut Writer) {
    xml.open("policy_published");
    xml.text("domain", &policy.domain);
    let method = policy.discovery_method.map(|method| match method {
        DiscoveryMethod::Psl => "psl",
        DiscoveryMethod::TreeWalk => "treewalk",
    });
    xml.optional("discovery_method", method);
    xml.text("p", policy.p.as_str());
    xml.optional("sp", policy.sp.map(|policy| policy.as_str()));
    xml.optional("np", policy.np.map(|policy| policy.as_str()));
    xml.optional("fo", policy.fo.as_deref());
    xml.optional("adkim", policy.adkim.map(|mode| mode.as_str()));
    xml.optional("aspf", policy.aspf.map(|mode| mode.as_str()));
    xml.optional("testing", policy.testing.map(|is_testing| if is_testing { "y" } else { "n" }));
    xml.close("policy_published");
}

fn record(record: &Record, xml: &mut Writer) {
    let aligned = |is_aligned| if is_aligned { "pass" } else { "fail" };
    xml.open("record");
    xml.open("row");
    xml.text("source_ip", &record.source_ip.to_string());
    xml.text("count", &record.count.to_string());
    xml.open("policy_evaluated");
    xml.text("disposition", word_of(&Disposition::WORDS, &record.disposition));
    xml.text("dkim", aligned(record.dkim_aligned));
    xml.text("spf", aligned(record.spf_aligned));
    for reason in &record.reasons {
        xml.open("reason");
        xml.text("type", word_of(&ReasonKind::WORDS, &reason.kind));
        xml.optional("comment", reason.comment.as_deref());
        xml.close("reason");
    }
    xml.close("policy_evaluated");
    xml.close("row");
    xml.open("identifiers");
    xml.text("header_from", &record.header_from);
    xml.optional("envelope_from", record.envelope_from.as_deref());
    xml.optional("envelope_to", record.envelope_to.as_deref());
    xml.close("identifiers");
    xml.open("auth_results");
    for dkim in record.dkim.iter().take(SIGNATURES_MAX) {
        xml.open("dkim");
        xml.text("domain", &dkim.domain);
        xml.text("selector", &dkim.selector);
        xml.text("result", word_of(&CheckResult::WORDS, &dkim.result));
        xml.optional("human_result", dkim.human_result.as_deref());
        xml.close("dkim");
    }
    for spf in &record.spf {
        xml.open("spf");
        xml.text("domain", &spf.domain);
        let scope = spf.scope.map(|scope| match scope {
            SpfScope::MFrom => "mfrom",
            SpfScope::Helo => "helo",
        });
        xml.optional("scope", scope);
        xml.text("result", word_of(&CheckResult::WORDS, &spf.result));
        xml.optional("human_result", spf.human_result.as_deref());
        xml.close("spf");
    }
    xml.close("auth_results");
    xml.close("record");
}

struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    fn open(&mut self, tag: &str) {
        self.indent();
        self.out.push_str(&format!("<{tag}>\n"));
        self.depth += 1;
    }

    fn close(&mut self, tag: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.out.push_str(&format!("</{tag}>\n"));
    }

    fn text(&mut self, tag: &str, text: &str) {
        self.indent();
        self.out.push_str(&format!("<{tag}>"));
        for character in text.chars() {
            match character {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                // XML 1.0 §2.2: other control characters and the last two of the plane cannot be written at all.
                '\u{fffe}' | '\u{ffff}' => {}
                control if control.is_control() => self.out.push(' '),
                other => self.out.push(other),
            }
        }
        self.out.push_str(&format!("</{tag}>\n"));
    }

    fn optional(&mut self, tag: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}
