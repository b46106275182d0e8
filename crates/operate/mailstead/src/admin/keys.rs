//! Requests about the keys of domains.

use anyhow::{Context, anyhow, ensure};
use directory::{DkimKey, DkimKeyState};
use mail_types::{DomainName, Secret};
use sender_auth::dkim::{KeyError, KeyFor, Selector, SigningKey};

use super::execute::{domain_name, done};
use super::queue::time;
use super::{Answer, DkimChange, DkimLine, Hidden};
use crate::house::House;
use crate::keys::{self, KeyKind};

pub(super) async fn generate(
    house: &House,
    domain: Option<&str>,
    selector: Option<String>,
    kinds: Vec<KeyKind>,
    waits: bool,
) -> anyhow::Result<Answer> {
    let has_none = |domain: &DomainName| house.directory.dkim_keys_of(domain).is_empty();
    let domains: Vec<DomainName> = match domain {
        Some(domain) => vec![known(house, domain)?],
        None => house.directory.domains().into_iter().map(|domain| domain.name).filter(has_none).collect(),
    };
    ensure!(!kinds.is_empty(), "say which kind of key is to be made");
    let state = if waits { DkimKeyState::Waiting } else { DkimKeyState::Signing };
    make(house, domains, selector, kinds, state).await
}

pub(super) async fn rotate(house: &House, domain: Option<&str>) -> anyhow::Result<Answer> {
    let signs = |domain: &DomainName| !house.directory.signing_keys(domain).is_empty();
    let domains: Vec<DomainName> = match domain {
        Some(domain) => vec![known(house, domain)?],
        None => house.directory.domains().into_iter().map(|domain| domain.name).filter(signs).collect(),
    };
    make(house, domains, None, KeyKind::BOTH.to_vec(), DkimKeyState::Waiting).await
}

/// Makes keys for each domain and shows them.
async fn make(
    house: &House,
    domains: Vec<DomainName>,
    selector: Option<String>,
    kinds: Vec<KeyKind>,
    state: DkimKeyState,
) -> anyhow::Result<Answer> {
    let (directory, now) = (house.directory.clone(), house.clock.now());
    let made = tokio::task::spawn_blocking(move || {
        let mut made = Vec::new();
        for domain in domains {
            made.extend(keys::make(&directory, &domain, &kinds, selector.as_deref(), (state, now))?);
        }
        anyhow::Ok(made)
    });
    let made: Vec<KeyFor> = made.await.context("making keys was interrupted")??;
    let is_new = |key: &DkimKey| {
        made.iter().any(|new| (new.domain(), new.selector()) == (key.key.domain(), key.key.selector()))
    };
    Ok(Answer::DkimKeys { keys: lines(house, is_new)? })
}

pub(super) async fn import(
    house: &House,
    domain: &str,
    selector: &str,
    key: &Hidden,
    waits: bool,
) -> anyhow::Result<Answer> {
    let domain = known(house, domain)?;
    let selector = Selector::parse(selector).with_context(|| format!("{selector:?} is no selector"))?;
    let text = Secret::from(key.0.as_str());
    let key = SigningKey::parse(text.reveal_str().unwrap_or_default()).map_err(|error| match error {
        KeyError::ShortRsa { .. } => anyhow!(
            "{error}\n  make a new one with `mailstead dkim generate {domain} --wait` and publish its record beside that of \
             {selector}: it signs as soon as DNS shows it\n  let your former server sign until then, and leave {selector} \
             in DNS for a week after that, for mail on its way"
        ),
        error => error.into(),
    })?;
    let key = KeyFor::new(domain.clone(), selector.clone(), key)?;
    let state = if waits { DkimKeyState::Waiting } else { DkimKeyState::Signing };
    let directory = house.directory.clone();
    tokio::task::spawn_blocking(move || directory.add_dkim_keys(vec![key], state))
        .await
        .context("the change was interrupted")??;
    let is_new = |key: &DkimKey| key.key.domain() == &domain && key.key.selector() == &selector;
    Ok(Answer::DkimKeys { keys: lines(house, is_new)? })
}

pub(super) fn list(house: &House, domain: Option<&str>) -> anyhow::Result<Answer> {
    let domain = domain.map(|domain| known(house, domain)).transpose()?;
    let keys = lines(house, |key| domain.as_ref().is_none_or(|domain| key.key.domain() == domain))?;
    Ok(Answer::DkimKeys { keys })
}

pub(super) async fn change(
    house: &House,
    domain: &str,
    selector: &str,
    change: DkimChange,
) -> anyhow::Result<Answer> {
    let domain = known(house, domain)?;
    let selector = Selector::parse(selector).with_context(|| format!("{selector:?} is no selector"))?;
    let directory = house.directory.clone();
    let what = format!("{selector}._domainkey.{domain}");
    let changed = tokio::task::spawn_blocking(move || match change {
        DkimChange::Activate => directory.begin_signing(&domain, &selector),
        DkimChange::Retire => directory.retire_dkim_key(&domain, &selector),
        DkimChange::Remove => directory.remove_dkim_key(&domain, &selector),
    });
    changed.await.context("the change was interrupted")??;
    done(match change {
        DkimChange::Activate => format!("{what} signs from now on"),
        DkimChange::Retire => {
            format!(
                "{what} signs no more; leave its record in DNS for some weeks, since mail that it signed is under way"
            )
        }
        DkimChange::Remove => format!("{what} is forgotten; take its record out of DNS"),
    })
}

fn lines(house: &House, is_meant: impl Fn(&DkimKey) -> bool) -> anyhow::Result<Vec<DkimLine>> {
    house.directory.dkim_keys().iter().filter(|key| is_meant(key)).map(|key| line(key)).collect()
}

fn line(key: &DkimKey) -> anyhow::Result<DkimLine> {
    Ok(DkimLine {
        domain: key.key.domain().to_string(),
        selector: key.key.selector().to_string(),
        algorithm: key.key.key().algorithm().as_str().to_owned(),
        bits: key.key.key().bits(),
        state: key.state.as_str().to_owned(),
        since: time(key.since),
        name: key.key.record_name().to_string(),
        record: key.key.key().public_record()?,
        is_published: None,
    })
}

fn known(house: &House, domain: &str) -> anyhow::Result<DomainName> {
    let name = domain_name(domain)?;
    ensure!(
        house.directory.is_local_domain(&name),
        "{name} is not a domain of this server; `mailstead domain add {name}` takes it up"
    );
    Ok(name)
}
