//! The policy record of a domain: what its owner asks for mail in its name (RFC 9989 §4.7; the tags of RFC 7489 are
//! understood where they still mean something).

use serde::{Deserialize, Serialize};

use super::tags::{tags, value};
use crate::reports::ReportAddress;

/// What a domain's owner asks for mail that fails; the mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// To take it for suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

impl Policy {
    /// Reads the word of a `p`, `sp` or `np` tag.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| policy.as_str().eq_ignore_ascii_case(word))
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// One step milder: what is applied where the owner only tests (RFC 9989 §4.7, `t`).
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// How alike two domains have to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum AlignmentMode {
    /// Of one organisation.
    #[default]
    #[serde(rename = "r")]
    Relaxed,
    /// The same.
    #[serde(rename = "s")]
    Strict,
}

impl AlignmentMode {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "r" | "R" => Some(Self::Relaxed),
            "s" | "S" => Some(Self::Strict),
            _ => None,
        }
    }

    /// `r` or `s`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "r",
            Self::Strict => "s",
        }
    }
}

/// Whether registrations take place below a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PublicSuffix {
    /// `psd=y`: the domains below it are others'.
    Yes,
    /// `psd=n`: it is an organisation's own, whatever stands above it.
    No,
    /// Not told.
    #[default]
    Unknown,
}

/// When failure reports are wanted (the `fo` tag).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailureOptions {
    /// `0`: nothing aligned passed.
    pub all_failed: bool,
    /// `1`: something did not pass and align.
    pub any_failed: bool,
    /// `d`: a DKIM signature failed, aligned or not.
    pub dkim: bool,
    /// `s`: SPF failed, aligned or not.
    pub spf: bool,
}

impl FailureOptions {
    /// Reads a colon-separated list; unknown letters are passed over. Nothing known is the default, `0`.
    fn parse(list: &str) -> Self {
        let has = |letter: &str| list.split(':').any(|option| option.trim().eq_ignore_ascii_case(letter));
        let options = Self { all_failed: has("0"), any_failed: has("1"), dkim: has("d"), spf: has("s") };
        let is_empty = !(options.all_failed || options.any_failed || options.dkim || options.spf);
        Self { all_failed: options.all_failed || is_empty, ..options }
    }
}

impl Default for FailureOptions {
    fn default() -> Self {
        Self { all_failed: true, any_failed: false, dkim: false, spf: false }
    }
}

impl std::fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters = [(self.all_failed, "0"), (self.any_failed, "1"), (self.dkim, "d"), (self.spf, "s")];
        let letters: Vec<&str> =
            letters.into_iter().filter_map(|(is_on, letter)| is_on.then_some(letter)).collect();
        f.write_str(&letters.join(":"))
    }
}

/// A domain's policy record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// For the domain itself, and for all below it that nothing else is said for.
    pub policy: Policy,
    /// For the domains below it.
    pub subdomain_policy: Option<Policy>,
    /// For domains below it that do not exist.
    pub nonexistent_policy: Option<Policy>,
    /// Whether the owner only tests: each policy counts one step milder.
    pub is_testing: bool,
    /// How alike a DKIM signature's domain has to be.
    pub dkim_alignment: AlignmentMode,
    /// How alike the domain of MAIL FROM has to be.
    pub spf_alignment: AlignmentMode,
    /// Whether registrations take place below it.
    pub public_suffix: PublicSuffix,
    /// Who wants aggregate reports.
    pub aggregate_reports_to: Vec<ReportAddress>,
    /// Who wants failure reports.
    pub failure_reports_to: Vec<ReportAddress>,
    /// When failure reports are wanted.
    pub failure_options: FailureOptions,
    /// Whether a policy in it cannot be read. If reports are wanted all policies count as `none`, else the record has
    /// no effect (RFC 9989 §4.10.1).
    pub is_broken: bool,
}

impl Record {
    /// Reads a TXT record; `None` if it is no DMARC record.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let tags = tags(record, "DMARC1")?;
        let policy = |name| value(&tags, name).map(Policy::parse);
        let mode = |name| value(&tags, name).and_then(AlignmentMode::parse).unwrap_or_default();
        let addresses = |name| value(&tags, name).map(ReportAddress::parse_list).unwrap_or_default();
        let (own, below, nonexistent) = (policy("p"), policy("sp"), policy("np"));
        let is_broken = [own, below, nonexistent].contains(&Some(None));
        let failure_reports_to = addresses("ruf");
        let failure_options = match value(&tags, "fo") {
            // RFC 9989 §4.7: without `ruf` there is nothing to report to.
            Some(list) if !failure_reports_to.is_empty() => FailureOptions::parse(list),
            _ => FailureOptions::default(),
        };
        let readable = |policy: Option<Option<Policy>>| policy.flatten().filter(|_| !is_broken);
        Some(Self {
            policy: readable(own).unwrap_or_default(),
            subdomain_policy: readable(below),
            nonexistent_policy: readable(nonexistent),
            is_testing: is_testing(value(&tags, "t"), value(&tags, "pct")),
            dkim_alignment: mode("adkim"),
            spf_alignment: mode("aspf"),
            public_suffix: match value(&tags, "psd") {
                Some("y" | "Y") => PublicSuffix::Yes,
                Some("n" | "N") => PublicSuffix::No,
                _ => PublicSuffix::Unknown,
            },
            aggregate_reports_to: addresses("rua"),
            failure_reports_to,
            failure_options,
            is_broken,
        })
    }

    /// Whether it has any effect on mail or reports.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        !self.is_broken || !self.aggregate_reports_to.is_empty()
    }
}

/// RFC 9989 appendix A: of the old percentages only 0 and 100 ever meant something, and `t` took their place.
fn is_testing(t: Option<&str>, pct: Option<&str>) -> bool {
    match t {
        Some(word) if word.eq_ignore_ascii_case("y") => true,
        Some(word) if word.eq_ignore_ascii_case("n") => false,
        _ => pct.is_some_and(|pct| pct.parse() == Ok(0_u8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Record {
        Record::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_record_with_everything() {
        let record = read(
            "v=DMARC1; p=reject; sp=Quarantine; np=none; t=y; adkim=s; aspf=r; psd=n; fo=1:d:s; \
             rua=mailto:a@example.org!10m, mailto:b@example.net; ruf=mailto:c@example.org; x=y",
        );
        assert_eq!(record.policy, Policy::Reject);
        assert_eq!(record.subdomain_policy, Some(Policy::Quarantine));
        assert_eq!(record.nonexistent_policy, Some(Policy::None));
        assert!(record.is_testing && !record.is_broken);
        assert_eq!(record.dkim_alignment, AlignmentMode::Strict);
        assert_eq!(record.spf_alignment, AlignmentMode::Relaxed);
        assert_eq!(record.public_suffix, PublicSuffix::No);
        assert_eq!(record.aggregate_reports_to.len(), 2);
        assert_eq!(record.failure_reports_to.len(), 1);
        assert_eq!(record.failure_options.to_string(), "1:d:s");
    }

    #[test]
    fn defaults_and_unknown_words() {
        let record = read("v=DMARC1; adkim=x; psd=q; fo=s; p=none;");
        assert_eq!(record, Record::default());
        assert_eq!(read("v=DMARC1"), Record::default());
        assert_eq!(read("v=DMARC1; ruf=mailto:a@b; fo=z").failure_options, FailureOptions::default());
        for text in ["", "v=DMARC1.0; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=spf1 -all"] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_takes_the_others_along() {
        for text in ["p=rejct", "p=reject; sp=no", "p=reject; np=", "sp=x"] {
            let record = read(&format!("v=DMARC1; {text}"));
            assert!(record.is_broken && !record.has_effect(), "{text}");
            assert_eq!((record.policy, record.subdomain_policy), (Policy::None, None), "{text}");
            let record = read(&format!("v=DMARC1; {text}; rua=mailto:a@example.org"));
            assert!(record.is_broken && record.has_effect(), "{text}");
            assert!(!read(&format!("v=DMARC1; {text}; rua=https://example.org")).has_effect(), "{text}");
        }
    }

    #[test]
    fn old_percentages() {
        for (text, is_testing) in
            [("pct=0", true), ("pct=1", false), ("pct=100", false), ("pct=x", false), ("pct=0; t=n", false)]
        {
            assert_eq!(read(&format!("v=DMARC1; p=reject; {text}")).is_testing, is_testing, "{text}");
        }
        assert_eq!(Policy::Reject.milder(), Policy::Quarantine);
        assert_eq!(Policy::Quarantine.milder(), Policy::None);
    }
}
