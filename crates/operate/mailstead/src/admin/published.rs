//! Which keys of our domains the world has to find in DNS: all that are known. Those that sign no more are forgotten when
//! mail that they signed is no longer under way (`dkim.grace`).

use anyhow::Context;

use super::{Answer, PublishedDomain, PublishedKey};
use crate::house::House;

pub(super) fn published_keys(house: &House) -> anyhow::Result<Answer> {
    let mut domains = Vec::new();
    for domain in house.directory.domains() {
        let mut keys = Vec::new();
        for key in house.directory.dkim_keys_of(&domain.name) {
            let selector = key.key.selector().to_string();
            let record = key.key.key().public_record();
            let record = record.with_context(|| format!("the key {selector} of {}", domain.name))?;
            keys.push(PublishedKey { selector, record, state: key.state.as_str().to_owned() });
        }
        domains.push(PublishedDomain { domain: domain.name.to_string(), keys });
    }
    Ok(Answer::PublishedKeys { domains, missed: house.missed.clone() })
}
