//! What received reports come to, taken together: who sends in our domains' names, and who cannot reach us safely.

use std::collections::{BTreeMap, BTreeSet};

use platform::clock::Timestamp;
use sender_auth::reports::{AggregateReport, Disposition, TlsReport};
use serde::{Deserialize, Serialize};

use super::ReportBook;
use super::receive::{AGGREGATE, FEEDBACK, TLS};

/// Lines of each kind that are told, and sources that are told apart.
const LINES_MAX: usize = 5_000;
/// Reporters of one line that are named.
const REPORTERS_MAX: usize = 10;

/// What reports say.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
pub(crate) struct Told {
    /// Messages that reports on mail speak of.
    pub(crate) messages: u64,
    /// Those of them that DMARC let pass.
    pub(crate) passed: u64,
    /// Connections that reports on TLS speak of: protected, and not.
    pub(crate) tls_successes: u64,
    pub(crate) tls_failures: u64,
    /// Who sends, the frequent ones first.
    pub(crate) sources: Vec<SourceLine>,
    /// What kept connections from being protected, the frequent ones first.
    pub(crate) tls: Vec<TlsLine>,
    /// Complaints about single messages, the latest first.
    pub(crate) complaints: Vec<ComplaintLine>,
    /// The reports, the latest first.
    pub(crate) reports: Vec<ReceivedLine>,
}

/// Messages that were alike.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct SourceLine {
    pub(crate) source_ip: String,
    /// The author's domain.
    pub(crate) domain: String,
    pub(crate) count: u64,
    /// Whether SPF, and whether DKIM, vouched for the author's domain.
    pub(crate) spf: bool,
    pub(crate) dkim: bool,
    /// Whether DMARC let them pass.
    pub(crate) dmarc: bool,
    /// What became of them: `none`, `pass`, `quarantine`, `reject`.
    pub(crate) disposition: String,
    pub(crate) reporters: Vec<String>,
}

/// Connections that failed alike.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct TlsLine {
    pub(crate) domain: String,
    /// Which policy was applied: `tlsa`, `sts`, `no-policy-found`.
    pub(crate) policy: String,
    /// What failed, as RFC 8460 names it.
    pub(crate) failure: String,
    pub(crate) host: String,
    pub(crate) count: u64,
    pub(crate) reporters: Vec<String>,
}

/// A complaint about one message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct ComplaintLine {
    /// When it came; RFC 3339, UTC.
    pub(crate) time: String,
    /// What it is: `abuse`, `auth-failure` and others.
    pub(crate) kind: String,
    pub(crate) reporter: String,
    pub(crate) source_ip: String,
    pub(crate) from: String,
    pub(crate) subject: String,
}

/// A report that came.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct ReceivedLine {
    /// When it came; RFC 3339, UTC.
    pub(crate) time: String,
    pub(crate) kind: String,
    pub(crate) reporter: String,
    pub(crate) domain: String,
    pub(crate) report_id: String,
    /// Records that were broken, or too many to be kept.
    pub(crate) records_left_out: u64,
}

#[derive(Default)]
struct Sum {
    count: u64,
    reporters: BTreeSet<String>,
}

impl Sum {
    fn add(&mut self, count: u64, reporter: &str) {
        self.count = self.count.saturating_add(count);
        if self.reporters.len() < REPORTERS_MAX {
            self.reporters.insert(reporter.to_owned());
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SourceKey {
    source_ip: String,
    domain: String,
    spf: bool,
    dkim: bool,
    disposition: &'static str,
}

#[derive(Default)]
struct Sums {
    told: Told,
    sources: BTreeMap<SourceKey, Sum>,
    tls: BTreeMap<[String; 4], Sum>,
}

/// What reports since then say about a domain and those below it, or about all.
pub(crate) async fn tell(
    book: &ReportBook,
    domain: Option<String>,
    since: Timestamp,
) -> anyhow::Result<Told> {
    book.with(move |shelf| {
        let mut sums = Sums::default();
        shelf.visit(since, |time, kind, of, report| {
            let is_meant = domain.as_ref().is_none_or(|domain| {
                of.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            });
            if is_meant {
                sums.take(time, kind, of, report);
            }
        })?;
        Ok(sums.finish())
    })
    .await
}

impl Sums {
    fn take(&mut self, time: i64, kind: &str, domain: &str, report: &str) {
        let time = crate::admin::time(Timestamp::from_unix_seconds(time));
        let line = |reporter: &str, report_id: &str, left_out: usize| ReceivedLine {
            time: time.clone(),
            kind: kind.to_owned(),
            reporter: reporter.to_owned(),
            domain: domain.to_owned(),
            report_id: report_id.to_owned(),
            records_left_out: left_out as u64,
        };
        let line = match kind {
            AGGREGATE => serde_json::from_str(report).ok().map(|report: AggregateReport| {
                self.take_aggregate(&report);
                line(&report.metadata.org_name, &report.metadata.report_id, report.skipped_records)
            }),
            TLS => serde_json::from_str(report).ok().map(|report: TlsReport| {
                self.take_tls(&report);
                line(&report.organization_name, &report.report_id, 0)
            }),
            FEEDBACK => serde_json::from_str(report).ok().map(|report: serde_json::Value| {
                let complaint = complaint(time.clone(), &report);
                let line = line(&complaint.reporter, "", 0);
                self.told.complaints.push(complaint);
                line
            }),
            _ => None,
        };
        self.told.reports.extend(line);
    }

    fn take_aggregate(&mut self, report: &AggregateReport) {
        for record in &report.records {
            self.told.messages = self.told.messages.saturating_add(record.count);
            if record.dkim_aligned || record.spf_aligned {
                self.told.passed = self.told.passed.saturating_add(record.count);
            }
            let key = SourceKey {
                source_ip: record.source_ip.to_string(),
                domain: record.header_from.to_ascii_lowercase(),
                spf: record.spf_aligned,
                dkim: record.dkim_aligned,
                disposition: match record.disposition {
                    Disposition::None => "none",
                    Disposition::Pass => "pass",
                    Disposition::Quarantine => "quarantine",
                    Disposition::Reject => "reject",
                },
            };
            add(&mut self.sources, key, record.count, &report.metadata.org_name);
        }
    }

    fn take_tls(&mut self, report: &TlsReport) {
        for result in &report.policies {
            let summary = result.summary;
            let told = &mut self.told;
            told.tls_successes = told.tls_successes.saturating_add(summary.total_successful_session_count);
            told.tls_failures = told.tls_failures.saturating_add(summary.total_failure_session_count);
            for details in &result.failure_details {
                let key = [
                    result.policy.policy_domain.clone(),
                    result.policy.policy_type.as_str().to_owned(),
                    details.result_type.as_str().to_owned(),
                    details.receiving_mx_hostname.clone().unwrap_or_default(),
                ];
                add(&mut self.tls, key, details.failed_session_count, &report.organization_name);
            }
        }
    }

    fn finish(mut self) -> Told {
        let sources = self.sources.into_iter().map(|(key, sum)| SourceLine {
            source_ip: key.source_ip,
            domain: key.domain,
            count: sum.count,
            spf: key.spf,
            dkim: key.dkim,
            dmarc: key.spf || key.dkim,
            disposition: key.disposition.to_owned(),
            reporters: sum.reporters.into_iter().collect(),
        });
        self.told.sources = sources.collect();
        self.told.sources.sort_by_key(|line| std::cmp::Reverse(line.count));
        let tls = self.tls.into_iter().map(|([domain, policy, failure, host], sum)| TlsLine {
            domain,
            policy,
            failure,
            host,
            count: sum.count,
            reporters: sum.reporters.into_iter().collect(),
        });
        self.told.tls = tls.collect();
        self.told.tls.sort_by_key(|line| std::cmp::Reverse(line.count));
        self.told.complaints.reverse();
        self.told.complaints.truncate(LINES_MAX);
        self.told.reports.reverse();
        self.told.reports.truncate(LINES_MAX);
        self.told
    }
}

/// Adds to a sum; beyond the bound only to those there are.
fn add<K: Ord>(sums: &mut BTreeMap<K, Sum>, key: K, count: u64, reporter: &str) {
    if sums.len() < LINES_MAX || sums.contains_key(&key) {
        sums.entry(key).or_default().add(count, reporter);
    }
}

fn complaint(time: String, report: &serde_json::Value) -> ComplaintLine {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let reporter = [&report["reporting_mta"], &report["user_agent"]];
    ComplaintLine {
        time,
        kind: text(&report["feedback_type"]),
        reporter: reporter.into_iter().find(|value| value.is_string()).map(text).unwrap_or_default(),
        source_ip: text(&report["source_ip"]),
        from: text(&report["original"]["from"]),
        subject: text(&report["original"]["subject"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(reporter: &str, records: &[(&str, u64, bool)]) -> String {
        let records: String = records
            .iter()
            .map(|(address, count, passes)| {
                let result = if *passes { "pass" } else { "fail" };
                let disposition = if *passes { "none" } else { "reject" };
                format!(
                    "<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated>\
                     <disposition>{disposition}</disposition><dkim>{result}</dkim><spf>fail</spf></policy_evaluated>\
                     </row><identifiers><header_from>example.org</header_from></identifiers></record>"
                )
            })
            .collect();
        let xml = format!(
            "<feedback><report_metadata><org_name>{reporter}</org_name></report_metadata>{records}</feedback>"
        );
        serde_json::to_string(&AggregateReport::read(xml.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_several_say_is_one_sum() {
        let mut sums = Sums::default();
        for (reporter, records) in [
            ("a.example", &[("192.0.2.1", 5, true), ("192.0.2.2", 1, false)][..]),
            ("b.example", &[("192.0.2.1", 2, true)][..]),
        ] {
            sums.take(0, AGGREGATE, "example.org", &aggregate(reporter, records));
        }
        let told = sums.finish();
        assert_eq!((told.messages, told.passed, told.reports.len()), (8, 7, 2));
        let lines: Vec<_> = told.sources.iter().map(|line| (line.source_ip.as_str(), line.count)).collect();
        assert_eq!(lines, [("192.0.2.1", 7), ("192.0.2.2", 1)]);
        assert_eq!(told.sources[0].reporters, ["a.example", "b.example"]);
        assert_eq!((told.sources[1].disposition.as_str(), told.sources[1].dmarc), ("reject", false));
    }

    #[test]
    fn lines_are_bounded_and_the_sum_is_whole() {
        for sources in [LINES_MAX - 1, LINES_MAX, LINES_MAX + 1] {
            let mut sums = Sums::default();
            for begin in (0..sources).step_by(1_000) {
                let addresses: Vec<String> = (begin..sources.min(begin + 1_000))
                    .map(|number| format!("10.0.{}.{}", number / 250, number % 250))
                    .collect();
                let records: Vec<_> = addresses.iter().map(|address| (address.as_str(), 1, true)).collect();
                sums.take(0, AGGREGATE, "example.org", &aggregate("a.example", &records));
            }
            let told = sums.finish();
            assert_eq!((told.messages, told.sources.len()), (sources as u64, sources.min(LINES_MAX)));
        }
        for reporters in [REPORTERS_MAX - 1, REPORTERS_MAX, REPORTERS_MAX + 1] {
            let mut sum = Sum::default();
            (0..reporters).for_each(|number| sum.add(1, &number.to_string()));
            assert_eq!((sum.count, sum.reporters.len()), (reporters as u64, reporters.min(REPORTERS_MAX)));
        }
    }

    #[test]
    fn tls_and_complaints_are_told() {
        let mut sums = Sums::default();
        let tls = serde_json::json!({
            "organization-name": "far.example", "report-id": "1",
            "policies": [{
                "policy": { "policy-type": "sts", "policy-domain": "example.org" },
                "summary": { "total-successful-session-count": 3, "total-failure-session-count": 2 },
                "failure-details": [{ "result-type": "certificate-expired", "receiving-mx-hostname": "mx.example.org",
                    "failed-session-count": 2 }],
            }],
        });
        sums.take(0, TLS, "example.org", &tls.to_string());
        let complaint = serde_json::json!({ "feedback_type": "abuse", "user_agent": "far/1", "source_ip": "192.0.2.1",
            "original": { "from": "ann@example.org", "subject": "Hello" } });
        sums.take(0, FEEDBACK, "example.org", &complaint.to_string());
        let told = sums.finish();
        assert_eq!((told.tls_successes, told.tls_failures), (3, 2));
        let line = &told.tls[0];
        assert_eq!(
            (line.policy.as_str(), line.failure.as_str(), line.count),
            ("sts", "certificate-expired", 2)
        );
        let line = &told.complaints[0];
        assert_eq!(
            (line.kind.as_str(), line.reporter.as_str(), line.from.as_str()),
            ("abuse", "far/1", "ann@example.org")
        );
    }
}
