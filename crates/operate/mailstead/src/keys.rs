//! Keys of our domains: how new ones are made and named, and what happens to them by themselves.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use clap::ValueEnum;
use directory::{Directory, DkimKey, DkimKeyState};
use dns::{Name, Resolver};
use mail_types::{DomainName, Secret};
use message::Civil;
use platform::clock::{Clock, Timestamp};
use sender_auth::dkim::{Algorithm, KeyFor, Selector, SigningKey};
use sender_auth::srs::Secrets;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Kinds of keys that we make.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyKind {
    /// RSA of 2048 bits: everybody verifies it.
    Rsa,
    /// Ed25519: small, and not yet verified by all.
    Ed25519,
}

impl KeyKind {
    /// Side by side: whoever knows only one of them finds it.
    pub(crate) const BOTH: [Self; 2] = [Self::Rsa, Self::Ed25519];

    fn generate(self) -> anyhow::Result<SigningKey> {
        let key = match self {
            Self::Rsa => SigningKey::generate_rsa(),
            Self::Ed25519 => SigningKey::generate_ed25519(),
        };
        key.context("making a key")
    }

    fn letter(self) -> char {
        match self {
            Self::Rsa => 'r',
            Self::Ed25519 => 'e',
        }
    }
}

/// Makes keys of a domain. Blocks: an RSA key takes some tenths of a second.
///
/// # Errors
/// No such domain, a selector that is taken, or storage trouble.
pub(crate) fn make(
    directory: &Directory,
    domain: &DomainName,
    kinds: &[KeyKind],
    selector: Option<&str>,
    (state, now): (DkimKeyState, Timestamp),
) -> anyhow::Result<Vec<KeyFor>> {
    let taken = directory.dkim_keys_of(domain);
    let mut keys = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let selector = match selector {
            Some(selector) if kinds.len() == 1 => selector.to_owned(),
            Some(selector) => format!("{selector}{}", kind.letter()),
            None => free_selector(now, *kind, &taken),
        };
        let selector = Selector::parse(&selector).with_context(|| format!("{selector:?} is no selector"))?;
        keys.push(KeyFor::new(domain.clone(), selector, kind.generate()?)?);
    }
    directory.add_dkim_keys(keys.clone(), state)?;
    Ok(keys)
}

/// The day and the kind, `20261126r`; with a letter more where that is taken.
fn free_selector(now: Timestamp, kind: KeyKind, taken: &[Arc<DkimKey>]) -> String {
    let Civil { year, month, day, .. } = Civil::from_unix_seconds(now.unix_seconds());
    let first = format!("{year:04}{month:02}{day:02}{}", kind.letter());
    let is_taken = |name: &String| taken.iter().any(|key| key.key.selector().as_str() == name);
    std::iter::once(String::new())
        .chain(('a'..='z').map(String::from))
        .map(|letter| format!("{first}{letter}"))
        .find(|name| !is_taken(name))
        .unwrap_or(first)
}

/// What happens to keys by themselves: `[dkim]` and `[srs]`.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) directory: Directory,
    pub(crate) resolver: Resolver,
    pub(crate) clock: Clock,
    /// How long a key that signs no more is kept, since mail that it signed is still under way.
    pub(crate) grace: Duration,
    /// How old keys get before new ones are made; zero: as old as they like.
    pub(crate) rotate_every: Duration,
    pub(crate) srs: Srs,
}

/// The keys of SRS in use, and how long each is.
#[derive(Clone, Debug)]
pub(crate) struct Srs {
    pub(crate) keys: Arc<ArcSwap<Secrets>>,
    pub(crate) renew_after_days: u64,
    /// What another forwarder left us, and until which day it made addresses.
    pub(crate) brought_along: Vec<(Secret, u64)>,
}

impl Srs {
    /// The keys as they stand in the directory; a new one is made where it is time. None where SRS is off.
    ///
    /// # Errors
    /// Storage trouble, or a file of secrets that cannot be read.
    pub(crate) fn open(directory: &Directory, settings: &Settings) -> anyhow::Result<Self> {
        let renew_after_days = settings.time("srs.rotate_every").as_secs() / (24 * 3_600);
        let brought_along = brought_along(&settings.text("srs.secret_file"))?;
        let secrets = secrets(directory, renew_after_days, &brought_along)?;
        Ok(Self { keys: Arc::new(ArcSwap::from_pointee(secrets)), renew_after_days, brought_along })
    }

    fn renew(&self, directory: &Directory) -> anyhow::Result<()> {
        let secrets = secrets(directory, self.renew_after_days, &self.brought_along)?;
        self.keys.store(Arc::new(secrets));
        Ok(())
    }
}

fn secrets(
    directory: &Directory,
    renew_after_days: u64,
    brought_along: &[(Secret, u64)],
) -> anyhow::Result<Secrets> {
    let keys = directory.srs_keys(renew_after_days.max(1))?;
    let newest = keys.first().context("a key of SRS was to be made")?;
    let mut secrets = Secrets::new(newest.secret.clone());
    for (secret, last_day) in brought_along {
        secrets = secrets.with_old(secret.clone(), *last_day);
    }
    // Each was in use until the next one was made.
    for pair in keys.windows(2).rev() {
        if let [next, old] = pair {
            secrets = secrets.with_old(old.secret.clone(), next.made_on);
        }
    }
    Ok(secrets)
}

/// The secrets of a postsrsd that was here before, a line each: what it made until the file was last touched is read.
fn brought_along(path: &str) -> anyhow::Result<Vec<(Secret, u64)>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let place = || format!("srs.secret_file: {path}");
    let text = std::fs::read_to_string(path).with_context(place)?;
    let touched = std::fs::metadata(path).and_then(|file| file.modified()).with_context(place)?;
    let last_day = u64::try_from(Timestamp::from(touched).unix_seconds()).unwrap_or_default() / (24 * 3_600);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(|line| (Secret::from(line), last_day)).collect())
}

impl Keeper {
    /// Looks after the keys once.
    pub(crate) async fn look(&self) {
        let now = self.clock.now();
        for key in self.directory.dkim_keys() {
            let outcome = match key.state {
                DkimKeyState::Waiting => self.take_up(&key).await,
                DkimKeyState::Retired if now.since(key.since) >= self.grace => self.forget(&key).await,
                DkimKeyState::Signing if self.is_old(&key, now) => self.replace(&key).await,
                DkimKeyState::Retired | DkimKeyState::Signing => Ok(()),
            };
            if let Err(error) = outcome {
                let name = key.key.record_name().as_str();
                tracing::warn!(key = name, error = format!("{error:#}"), "a DKIM key is left as it is");
            }
        }
        let (srs, directory) = (self.srs.clone(), self.directory.clone());
        let renewed = tokio::task::spawn_blocking(move || srs.renew(&directory)).await;
        if let Ok(Err(error)) = renewed {
            tracing::warn!(error = format!("{error:#}"), "the keys of SRS stay as they are");
        }
    }

    /// Lets a key sign once the world can see it.
    async fn take_up(&self, key: &Arc<DkimKey>) -> anyhow::Result<()> {
        if !is_published(&self.resolver, &key.key).await {
            return Ok(());
        }
        let (domain, selector) = (key.key.domain().clone(), key.key.selector().clone());
        tracing::info!(%domain, %selector, "the world sees a DKIM key: it signs from now on");
        self.change(move |directory| Ok(directory.begin_signing(&domain, &selector)?)).await
    }

    async fn forget(&self, key: &Arc<DkimKey>) -> anyhow::Result<()> {
        let (domain, selector) = (key.key.domain().clone(), key.key.selector().clone());
        let record = key.key.record_name().as_str();
        tracing::info!(record, "a DKIM key is forgotten; its record may be taken out of DNS");
        self.change(move |directory| Ok(directory.remove_dkim_key(&domain, &selector)?)).await
    }

    /// Whether a key has signed for long enough and no other of its kind waits already.
    fn is_old(&self, key: &DkimKey, now: Timestamp) -> bool {
        let is_old = !self.rotate_every.is_zero() && now.since(key.since) >= self.rotate_every;
        let waits = |other: &Arc<DkimKey>| {
            other.state == DkimKeyState::Waiting && other.key.key().algorithm() == key.key.key().algorithm()
        };
        is_old && !self.directory.dkim_keys_of(key.key.domain()).iter().any(waits)
    }

    async fn replace(&self, key: &Arc<DkimKey>) -> anyhow::Result<()> {
        let (domain, now) = (key.key.domain().clone(), self.clock.now());
        let kind = kind_of(key.key.key().algorithm());
        self.change(move |directory| {
            for key in make(directory, &domain, &[kind], None, (DkimKeyState::Waiting, now))? {
                let record = key.key().public_record()?;
                let name = key.record_name().as_str();
                tracing::warn!(
                    name,
                    record,
                    "a new DKIM key waits for this TXT record; the old one signs until then"
                );
            }
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        change: impl FnOnce(&Directory) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || change(&directory)).await.context("interrupted")?
    }
}

/// The kind of a key.
pub(crate) fn kind_of(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::RsaSha256 => KeyKind::Rsa,
        Algorithm::Ed25519Sha256 => KeyKind::Ed25519,
    }
}

/// Whether the world has a key's record.
pub(crate) async fn is_published(resolver: &Resolver, key: &KeyFor) -> bool {
    let Ok(name) = Name::parse(key.record_name().as_str()) else { return false };
    let texts = resolver.txt(&name).await;
    texts.is_ok_and(|texts| texts.records.iter().any(|text| key.key().is_published_in(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::{FixedRecords, RecordData};
    use platform::metrics::Metrics;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    struct Story {
        keeper: Keeper,
        records: FixedRecords,
        _folder: tempfile::TempDir,
    }

    fn story(rotate_every: Duration) -> Story {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_700_000_000));
        let settings = directory::Settings::default();
        let path = folder.path().join("directory.db");
        let directory = Directory::open(&path, settings, clock.clone(), &Metrics::new()).unwrap();
        directory.add_domain(&domain()).unwrap();
        let records = FixedRecords::new();
        let keys = Arc::new(ArcSwap::from_pointee(secrets(&directory, 90, &[]).unwrap()));
        let keeper = Keeper {
            directory,
            resolver: Resolver::fixed(records.clone()),
            clock,
            grace: 14 * DAY,
            rotate_every,
            srs: Srs { keys, renew_after_days: 90, brought_along: Vec::new() },
        };
        Story { keeper, records, _folder: folder }
    }

    fn domain() -> DomainName {
        DomainName::parse("example.org").unwrap()
    }

    impl Story {
        fn make(&self, state: DkimKeyState) -> KeyFor {
            let now = self.keeper.clock.now();
            let kinds = [KeyKind::Ed25519];
            make(&self.keeper.directory, &domain(), &kinds, None, (state, now)).unwrap().remove(0)
        }

        fn publish(&self, key: &KeyFor) {
            let record = key.key().public_record().unwrap().into_bytes();
            let name = Name::parse(key.record_name().as_str()).unwrap();
            self.records.add(&name, RecordData::Text(record));
        }

        fn states(&self) -> Vec<(String, DkimKeyState)> {
            let keys = self.keeper.directory.dkim_keys();
            keys.iter().map(|key| (key.key.selector().to_string(), key.state)).collect()
        }
    }

    #[tokio::test]
    async fn a_key_signs_when_the_world_sees_it_and_the_old_one_goes_after_a_grace() {
        let story = story(Duration::ZERO);
        story.make(DkimKeyState::Signing);
        let new = story.make(DkimKeyState::Waiting);
        let named = |first: DkimKeyState, second| {
            vec![("20231114e".to_owned(), first), ("20231114ea".to_owned(), second)]
        };
        story.keeper.look().await;
        assert_eq!(story.states(), named(DkimKeyState::Signing, DkimKeyState::Waiting));
        story.publish(&new);
        story.keeper.look().await;
        assert_eq!(story.states(), named(DkimKeyState::Retired, DkimKeyState::Signing));
        story.keeper.clock.advance(14 * DAY - Duration::from_secs(1));
        story.keeper.look().await;
        assert_eq!(story.states().len(), 2);
        story.keeper.clock.advance(Duration::from_secs(1));
        story.keeper.look().await;
        assert_eq!(story.states(), [("20231114ea".to_owned(), DkimKeyState::Signing)]);
    }

    #[tokio::test]
    async fn keys_that_grow_old_are_replaced_once() {
        let story = story(180 * DAY);
        story.make(DkimKeyState::Signing);
        story.keeper.clock.advance(180 * DAY - Duration::from_secs(1));
        story.keeper.look().await;
        assert_eq!(story.states().len(), 1);
        story.keeper.clock.advance(Duration::from_secs(1));
        for _ in 0..3 {
            story.keeper.look().await;
            let states = story.states();
            assert_eq!(states.len(), 2, "one new key waits");
            assert_eq!((states[0].1, states[1].1), (DkimKeyState::Signing, DkimKeyState::Waiting));
        }
    }

    #[tokio::test]
    async fn senders_rewritten_before_a_renewal_are_known_after_it() {
        let story = story(Duration::ZERO);
        let today = || u64::try_from(story.keeper.clock.now().unix_seconds()).unwrap() / (24 * 3_600);
        let eve = mail_types::Address::parse("eve@elsewhere.example").unwrap();
        story.keeper.clock.advance(89 * DAY);
        let path = mail_types::ReversePath::Address(eve.clone());
        let rewritten = story.keeper.srs.keys.load().rewrite(&path, &domain(), today()).unwrap();
        let mail_types::ReversePath::Address(rewritten) = rewritten else { panic!("no address") };
        story.keeper.clock.advance(DAY);
        story.keeper.look().await;
        assert_eq!(story.keeper.srs.keys.load().reverse(&rewritten, today()), Ok(eve));
    }
}
