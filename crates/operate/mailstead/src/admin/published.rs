//! Which keys of our domains the world has to find in DNS.

use std::time::Duration;

use anyhow::Context;
use directory::{DkimKey, DkimKeyState};

use super::{Answer, PublishedDomain, PublishedKey};
use crate::house::House;

/// How long the record of a key that signs no more has to stay: mail that it signed may be under way for five days (RFC
/// 5321 §4.5.4.1), and is read by programs that check signatures once more.
const RETIRED_PUBLISHED: Duration = Duration::from_secs(7 * 24 * 3_600);

pub(super) fn published_keys(house: &House) -> anyhow::Result<Answer> {
    let now = house.clock.now();
    let is_published =
        |key: &DkimKey| key.state != DkimKeyState::Retired || now.since(key.since) < RETIRED_PUBLISHED;
    let mut domains = Vec::new();
    for domain in house.directory.domains() {
        let mut keys = Vec::new();
        for key in house.directory.dkim_keys_of(&domain.name).iter().filter(|key| is_published(key)) {
            let selector = key.key.selector().to_string();
            let record = key.key.key().public_record();
            let record = record.with_context(|| format!("the key {selector} of {}", domain.name))?;
            keys.push(PublishedKey { selector, record, state: key.state.as_str().to_owned() });
        }
        domains.push(PublishedDomain { domain: domain.name.to_string(), keys });
    }
    Ok(Answer::PublishedKeys { domains })
}
