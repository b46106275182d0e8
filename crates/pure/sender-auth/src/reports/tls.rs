//! TLS reports: what senders met when they opened TLS with a domain's mail hosts (RFC 8460 §4).

use mail_types::DomainName;
use message::{Civil, Date};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ReportError;
use super::tls_words::{TlsFailureType, TlsPolicyType};

/// Octets of a report that is read. Those of large providers have some ten thousand.
pub const TLS_REPORT_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Policies, and failures of each, that are kept.
const ENTRIES_MAX: usize = 1_000;
/// Texts of one list that are kept: a policy has some ten lines or mail hosts.
const TEXTS_MAX: usize = 100;

/// A report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReport {
    /// Who reports.
    #[serde(default, deserialize_with = "text")]
    pub organization_name: String,
    /// The time reported on.
    #[serde(default)]
    pub date_range: TlsDateRange,
    /// Whom to ask about the report.
    #[serde(default, deserialize_with = "text")]
    pub contact_info: String,
    /// The report's identifier.
    #[serde(default, deserialize_with = "text")]
    pub report_id: String,
    /// What was seen, by policy.
    pub policies: Vec<TlsPolicyResult>,
}

/// The time reported on, in seconds since 1970; written as RFC 3339 has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsDateRange {
    /// The first second.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub start_datetime: i64,
    /// The last second.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub end_datetime: i64,
}

/// What was seen under one policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsPolicyResult {
    /// The policy.
    pub policy: TlsPolicy,
    /// How many sessions there were.
    #[serde(default)]
    pub summary: TlsSummary,
    /// What went wrong.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<TlsFailureDetails>,
}

/// A policy that a domain published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsPolicy {
    /// Its kind.
    pub policy_type: TlsPolicyType,
    /// Its lines or records.
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose it is.
    #[serde(default, deserialize_with = "text")]
    pub policy_domain: String,
    /// The hosts it names, of MTA-STS.
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// How many sessions there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsSummary {
    /// Those that went well.
    #[serde(default, deserialize_with = "count")]
    pub total_successful_session_count: u64,
    /// Those that did not.
    #[serde(default, deserialize_with = "count")]
    pub total_failure_session_count: u64,
}

/// Sessions that failed alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsFailureDetails {
    /// What went wrong.
    pub result_type: TlsFailureType,
    /// The sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The mail host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// How the mail host greeted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// The mail host's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many sessions.
    #[serde(default, deserialize_with = "count")]
    pub failed_session_count: u64,
    /// Where more is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// The error in words or as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

impl TlsReport {
    /// Reads a report, leniently: missing fields, one text where a list belongs, numbers as texts.
    ///
    /// # Errors
    /// [`ReportError`] for what is no such report or too large.
    pub fn read(json: &[u8]) -> Result<Self, ReportError> {
        if json.len() > TLS_REPORT_OCTETS_MAX {
            return Err(ReportError::TooLarge);
        }
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let mut report: Self = serde_json::from_slice(json).map_err(|_| ReportError::Malformed)?;
        report.policies.truncate(ENTRIES_MAX);
        for result in &mut report.policies {
            result.failure_details.truncate(ENTRIES_MAX);
            result.policy.policy_string.truncate(TEXTS_MAX);
            result.policy.mx_host.truncate(TEXTS_MAX);
        }
        Ok(report)
    }

    /// Writes the report.
    #[must_use]
    pub fn write(&self) -> String {
        // Writing texts and numbers to memory cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The name of the attachment (RFC 8460 §5.1): `sender!policy-domain!begin!end.json.gz`.
    #[must_use]
    pub fn file_name(&self, policy_domain: &DomainName, sender: &DomainName) -> String {
        let TlsDateRange { start_datetime, end_datetime } = self.date_range;
        format!("{sender}!{policy_domain}!{start_datetime}!{end_datetime}.json.gz")
    }

    /// The subject of the mail (RFC 8460 §5.3).
    #[must_use]
    pub fn subject(&self, policy_domain: &DomainName, sender: &DomainName) -> String {
        super::subject(policy_domain.as_str(), sender, &self.report_id)
    }
}

fn write_time<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let Civil { year, month, day, hour, minute, second } = Civil::from_unix_seconds(*seconds);
    serializer.serialize_str(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Date::parse(text.as_bytes()).map_or(0, |date| date.unix_seconds))
}

/// What people write where the RFC wants something definite.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u64),
    Text(String),
    Texts(Vec<String>),
    Other(serde::de::IgnoredAny),
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Number(count) => count,
        Loose::Text(text) => text.trim().parse().unwrap_or(0),
        Loose::Texts(_) | Loose::Other(_) => 0,
    })
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(texts(deserializer)?.into_iter().next().unwrap_or_default())
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Texts(texts) => texts,
        Loose::Text(text) => vec![text],
        Loose::Number(number) => vec![number.to_string()],
        Loose::Other(_) => Vec::new(),
    })
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TlsFailureDetails>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// The report of RFC 8460 appendix B.
    const EXAMPLE: &str = r#"{
      "organization-name": "Company-X",
      "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
      "contact-info": "sts-reporting@company-x.example",
      "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
      "policies": [{
        "policy": {
          "policy-type": "sts",
          "policy-string": ["version: STSv1","mode: testing", "mx: *.mail.company-y.example","max_age: 86400"],
          "policy-domain": "company-y.example",
          "mx-host": "*.mail.company-y.example"
        },
        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": "303"},
        "failure-details": [{
          "result-type": "certificate-expired",
          "sending-mta-ip": "2001:db8:abcd:0012::1",
          "receiving-mx-hostname": "mx1.mail.company-y.example",
          "failed-session-count": 100
        }, {
          "result-type": "moon-phase", "x": [1, {"y": null}]
        }]
      }]
    }"#;

    #[test]
    fn the_report_of_the_rfc() {
        let report = TlsReport::read(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(report.organization_name, "Company-X");
        assert_eq!(report.date_range.start_datetime, 1_459_468_800);
        let result = &report.policies[0];
        assert_eq!(result.policy.policy_type, TlsPolicyType::Sts);
        assert_eq!(result.policy.mx_host, ["*.mail.company-y.example"]);
        assert_eq!(result.summary.total_failure_session_count, 303);
        assert_eq!(result.failure_details[0].result_type, TlsFailureType::CertificateExpired);
        assert_eq!(result.failure_details[1].result_type, TlsFailureType::Other);
        let written = report.write();
        assert!(written.contains("\"start-datetime\": \"2016-04-01T00:00:00Z\""), "{written}");
        assert_eq!(TlsReport::read(written.as_bytes()), Ok(report.clone()));
        let name = |text| DomainName::parse(text).unwrap();
        assert_eq!(
            report.file_name(&name("company-y.example"), &name("mx.company-x.example")),
            "mx.company-x.example!company-y.example!1459468800!1459555199.json.gz"
        );
        assert_eq!(
            report.subject(&name("company-y.example"), &name("mx.company-x.example")),
            "Report Domain: company-y.example Submitter: mx.company-x.example \
             Report-ID: <5065427c-23d3-47ca-b6e0-946ea0e8c4be>"
        );
    }

    #[test]
    fn what_is_missing_is_empty() {
        let report = TlsReport::read(
            b"{\"policies\":[{\"policy\":{\"policy-type\":\"tlsa\"},\"failure-details\":null}]}",
        );
        let report = report.unwrap();
        assert_eq!((report.report_id.as_str(), report.policies.len()), ("", 1));
        for json in ["", "{}", "[]", "{\"policies\":1}", "{\"policies\":[{}]}", "{\"policies\":[]"] {
            assert_eq!(TlsReport::read(json.as_bytes()), Err(ReportError::Malformed), "{json}");
        }
        let deep = format!("{{\"policies\":[],\"x\":{}", "[".repeat(100_000));
        assert_eq!(TlsReport::read(deep.as_bytes()), Err(ReportError::Malformed));
    }

    #[test]
    fn the_bounds_hold() {
        let policy = "{\"policy\":{\"policy-type\":\"sts\",\"mx-host\":[MX]},\"failure-details\":[FAILURES]}";
        for count in [TEXTS_MAX - 1, TEXTS_MAX, TEXTS_MAX + 1, ENTRIES_MAX - 1, ENTRIES_MAX, ENTRIES_MAX + 1]
        {
            let many = |text: &str| vec![text; count].join(",");
            let one =
                policy.replace("MX", &many("\"a\"")).replace("FAILURES", &many("{\"result-type\":\"x\"}"));
            let report = TlsReport::read(format!("{{\"policies\":[{one}]}}").as_bytes()).unwrap();
            assert_eq!(report.policies[0].policy.mx_host.len(), count.min(TEXTS_MAX));
            assert_eq!(report.policies[0].failure_details.len(), count.min(ENTRIES_MAX));
            let none = policy.replace("MX", "").replace("FAILURES", "");
            let report = TlsReport::read(format!("{{\"policies\":[{}]}}", many(&none)).as_bytes()).unwrap();
            assert_eq!(report.policies.len(), count.min(ENTRIES_MAX));
        }
        for octets in [TLS_REPORT_OCTETS_MAX - 1, TLS_REPORT_OCTETS_MAX, TLS_REPORT_OCTETS_MAX + 1] {
            let json = format!("{{\"policies\":[]}}{}", " ".repeat(octets - 15));
            assert_eq!(json.len(), octets);
            assert_eq!(TlsReport::read(json.as_bytes()).is_ok(), octets <= TLS_REPORT_OCTETS_MAX);
        }
    }

    prop_compose! {
        fn results()(
            policy_type in select(vec![TlsPolicyType::Tlsa, TlsPolicyType::Sts, TlsPolicyType::NoPolicyFound]),
            lists in (vec(".*", 0..3), vec(".*", 0..3)),
            policy_domain in ".*",
            counts in any::<(u64, u64, u64)>(),
            failure in option::of((option::of(".*"), option::of(".*"))),
        ) -> TlsPolicyResult {
            TlsPolicyResult {
                policy: TlsPolicy { policy_type, policy_string: lists.0, policy_domain, mx_host: lists.1 },
                summary: TlsSummary {
                    total_successful_session_count: counts.0,
                    total_failure_session_count: counts.1,
                },
                failure_details: failure.into_iter().map(|(helo, reason)| TlsFailureDetails {
                    result_type: TlsFailureType::StsPolicyFetchError,
                    sending_mta_ip: None,
                    receiving_mx_hostname: None,
                    receiving_mx_helo: helo,
                    receiving_ip: None,
                    failed_session_count: counts.2,
                    additional_information: None,
                    failure_reason_code: reason,
                }).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn a_report_reads_back_as_written(
            texts in (".*", ".*", ".*"),
            times in (0..253_402_300_799_i64, 0..253_402_300_799_i64),
            policies in vec(results(), 0..4),
        ) {
            let report = TlsReport {
                organization_name: texts.0,
                date_range: TlsDateRange { start_datetime: times.0, end_datetime: times.1 },
                contact_info: texts.1,
                report_id: texts.2,
                policies,
            };
            prop_assert_eq!(TlsReport::read(report.write().as_bytes()), Ok(report));
        }
    }
}
