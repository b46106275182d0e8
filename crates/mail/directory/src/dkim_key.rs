//! The keys with which a domain signs its mail (RFC 6376): made, waiting until the world can see them, signing, and kept
//! known for a while when they sign no more, since mail that they signed is still under way.

use std::sync::Arc;

use mail_types::DomainName;
use platform::clock::Timestamp;
use sender_auth::dkim::{KeyFor, Selector};

use crate::directory::Directory;
use crate::error::DirectoryError;

/// Most keys of one domain, in whatever state: two algorithms, three generations, and some that were brought along.
pub const DKIM_KEYS_MAX: usize = 16;

/// What a key is good for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DkimKeyState {
    /// It signs nothing until its record is seen in DNS.
    Waiting,
    /// It signs.
    Signing,
    /// It signs no more; its record has to stay for a while.
    Retired,
}

impl DkimKeyState {
    /// Its word in the database and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signing => "signing",
            Self::Retired => "retired",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Signing, Self::Retired].into_iter().find(|state| state.as_str() == word)
    }
}

/// One key of a domain of ours.
#[derive(Clone, Debug)]
pub struct DkimKey {
    /// Name, selector and private key.
    pub key: KeyFor,
    /// What it is good for now.
    pub state: DkimKeyState,
    /// When it was made or brought along.
    pub created: Timestamp,
    /// When it came into its state.
    pub since: Timestamp,
}

impl PartialEq for DkimKey {
    /// The key behind a selector never changes.
    fn eq(&self, other: &Self) -> bool {
        let named = |key: &Self| (key.key.domain().clone(), key.key.selector().clone());
        named(self) == named(other) && (self.state, self.since) == (other.state, other.since)
    }
}

impl Directory {
    /// All keys by domain, the oldest first.
    #[must_use]
    pub fn dkim_keys(&self) -> Vec<Arc<DkimKey>> {
        self.snapshot().dkim_keys().cloned().collect()
    }

    /// The keys of one domain, the oldest first.
    #[must_use]
    pub fn dkim_keys_of(&self, domain: &DomainName) -> Vec<Arc<DkimKey>> {
        self.snapshot().domain(domain).map_or_else(Vec::new, |names| names.dkim_keys().to_vec())
    }

    /// The keys that sign mail of a domain: none if it is not ours or has none.
    #[must_use]
    pub fn signing_keys(&self, domain: &DomainName) -> Vec<KeyFor> {
        let snapshot = self.snapshot();
        let keys = snapshot.domain(domain).map_or(&[][..], |names| names.dkim_keys());
        keys.iter().filter(|key| key.state == DkimKeyState::Signing).map(|key| key.key.clone()).collect()
    }

    /// Adds keys, all or none. A key that signs from now on retires those of the same algorithm that were there before.
    ///
    /// # Errors
    /// Unknown domain, a selector that is there already, too many keys, or storage trouble.
    pub fn add_dkim_keys(&self, keys: Vec<KeyFor>, state: DkimKeyState) -> Result<(), DirectoryError> {
        let mut database = self.inner.database.lock();
        let now = self.inner.clock.now();
        let snapshot = self.snapshot();
        let mut changed: Vec<DkimKey> = Vec::with_capacity(keys.len());
        for key in keys {
            let domain = key.domain();
            let names =
                snapshot.domain(domain).ok_or_else(|| DirectoryError::UnknownDomain(domain.clone()))?;
            let is_same = |other: &DkimKey| {
                (other.key.domain(), other.key.selector()) == (key.domain(), key.selector())
            };
            if names.dkim_keys().iter().any(|other| is_same(other)) || changed.iter().any(is_same) {
                let named = format!("{}._domainkey.{domain}", key.selector());
                return Err(DirectoryError::Exists(named));
            }
            let added = changed.iter().filter(|other| other.key.domain() == domain).count();
            if names.dkim_keys().len() + added >= DKIM_KEYS_MAX {
                return Err(DirectoryError::Full("a domain has at most 16 DKIM keys; remove retired ones"));
            }
            if state == DkimKeyState::Signing {
                changed.extend(retired_by(names.dkim_keys(), &key, now));
            }
            changed.push(DkimKey { key, state, created: now, since: now });
        }
        drop(snapshot);
        database.put_dkim_keys(&changed)?;
        self.publish(|snapshot| changed.into_iter().for_each(|key| snapshot.put_dkim_key(key)));
        Ok(())
    }

    /// Lets a key sign from now on; those of the same algorithm retire.
    ///
    /// # Errors
    /// No such key, or storage trouble.
    pub fn begin_signing(&self, domain: &DomainName, selector: &Selector) -> Result<(), DirectoryError> {
        self.change_dkim_key(domain, selector, DkimKeyState::Signing)
    }

    /// Lets a key sign no more. Its domain may then sign nothing.
    ///
    /// # Errors
    /// No such key, or storage trouble.
    pub fn retire_dkim_key(&self, domain: &DomainName, selector: &Selector) -> Result<(), DirectoryError> {
        self.change_dkim_key(domain, selector, DkimKeyState::Retired)
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// No such key, or storage trouble.
    pub fn remove_dkim_key(&self, domain: &DomainName, selector: &Selector) -> Result<(), DirectoryError> {
        let mut database = self.inner.database.lock();
        self.find_dkim_key(domain, selector)?;
        database.remove_dkim_key(domain, selector)?;
        self.publish(|snapshot| snapshot.remove_dkim_key(domain, selector));
        Ok(())
    }

    fn change_dkim_key(
        &self,
        domain: &DomainName,
        selector: &Selector,
        state: DkimKeyState,
    ) -> Result<(), DirectoryError> {
        let mut database = self.inner.database.lock();
        let now = self.inner.clock.now();
        let key = self.find_dkim_key(domain, selector)?;
        if key.state == state {
            return Ok(());
        }
        let mut changed = vec![DkimKey { state, since: now, ..DkimKey::clone(&key) }];
        if state == DkimKeyState::Signing {
            changed.extend(retired_by(&self.dkim_keys_of(domain), &key.key, now));
        }
        database.put_dkim_keys(&changed)?;
        self.publish(|snapshot| changed.into_iter().for_each(|key| snapshot.put_dkim_key(key)));
        Ok(())
    }

    fn find_dkim_key(
        &self,
        domain: &DomainName,
        selector: &Selector,
    ) -> Result<Arc<DkimKey>, DirectoryError> {
        let keys = self.dkim_keys_of(domain);
        let found = keys.into_iter().find(|key| key.key.selector() == selector);
        found.ok_or_else(|| DirectoryError::UnknownKey(format!("{selector}._domainkey.{domain}")))
    }
}

/// The keys that sign no more when another of their algorithm does.
fn retired_by(keys: &[Arc<DkimKey>], new: &KeyFor, now: Timestamp) -> impl Iterator<Item = DkimKey> {
    let is_replaced = |key: &&Arc<DkimKey>| {
        key.state == DkimKeyState::Signing
            && key.key.key().algorithm() == new.key().algorithm()
            && key.key.selector() != new.selector()
    };
    keys.iter().filter(is_replaced).map(move |key| DkimKey {
        state: DkimKeyState::Retired,
        since: now,
        ..DkimKey::clone(key)
    })
}
