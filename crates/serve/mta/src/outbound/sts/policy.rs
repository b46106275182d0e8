//! One domain's policy as it is kept: what it says, when it was fetched, and which version of it that was.

use std::time::Duration;

use mail_types::DomainName;
use platform::clock::Timestamp;
use sender_auth::mta_sts::{Mode, Policy, PolicyError, PolicyId};
use sender_auth::reports::TlsPolicyType;

use crate::outbound::tls_result::AppliedPolicy;

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct StsPolicy {
    /// The version that DNS spoke of when it was fetched.
    pub(crate) id: PolicyId,
    pub(crate) fetched: Timestamp,
    policy: Policy,
    text: String,
}

impl StsPolicy {
    /// Reads what was fetched.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(id: &PolicyId, fetched: Timestamp, octets: &[u8]) -> Result<Self, PolicyError> {
        let policy = Policy::parse(octets)?;
        let text = String::from_utf8_lossy(octets).into_owned();
        Ok(Self { id: id.clone(), fetched, policy, text })
    }

    /// What it demands.
    pub(crate) fn mode(&self) -> Mode {
        self.policy.mode
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Timestamp {
        self.fetched.saturating_add(Duration::from_secs(self.policy.max_age_seconds.into()))
    }

    /// Whether it names an exchanger.
    pub(crate) fn matches(&self, host: &str) -> bool {
        DomainName::parse(host).is_ok_and(|host| self.policy.allows(&host))
    }

    /// What it takes in memory, about.
    pub(crate) fn octets(&self) -> usize {
        // The text, and the patterns that were read from it.
        2 * self.text.len()
    }

    /// As it is told to its owner.
    pub(crate) fn applied(&self) -> AppliedPolicy {
        AppliedPolicy {
            kind: TlsPolicyType::Sts,
            texts: self.text.lines().map(str::to_owned).collect(),
            exchangers: self.policy.mx.iter().map(ToString::to_string).collect(),
        }
    }

    /// As it is kept: a line of ours, and the policy as it was fetched.
    pub(crate) fn to_file(&self) -> String {
        format!("{} {}\n{}", self.fetched.unix_seconds(), self.id.as_str(), self.text)
    }

    /// Reads what was kept.
    pub(crate) fn from_file(text: &str) -> Option<Self> {
        let (ours, policy) = text.split_once('\n')?;
        let (fetched, id) = ours.split_once(' ')?;
        Self::read(
            &PolicyId::new(id)?,
            Timestamp::from_unix_seconds(fetched.parse().ok()?),
            policy.as_bytes(),
        )
        .ok()
    }
}
