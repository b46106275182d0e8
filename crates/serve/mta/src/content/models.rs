//! The models that learn, on disk and in memory: one for all, `DATA/spam/shared.model`, and a small one for each account that
//! has taught something, `DATA/spam/accounts/<id>`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_types::AccountId;
use parking_lot::{Mutex, RwLock};
use platform::durable::{self, Readable};
use spam::{Class, Features, Model, Personal, Taught, starter};

/// Accounts' models that are kept in memory, 16 KiB each at most.
const PERSONALS_MAX: usize = 256;

const SHARED: &str = "shared.model";
/// The shared model as it was at the end of the day before.
const YESTERDAY: &str = "shared.model.yesterday";
/// What could not be read, left for whoever wants to look at it.
const DAMAGED: &str = "shared.model.damaged";
const ACCOUNTS: &str = "accounts";

/// All models.
#[derive(Debug)]
pub(crate) struct Models {
    place: PathBuf,
    shared: RwLock<Shared>,
    personals: Mutex<Personals>,
    /// Held while an account's model is changed and written.
    teaching: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    model: Model<Vec<u8>>,
    is_changed: bool,
    /// The day whose beginning the kept copy is of.
    kept_day: u32,
}

/// The latest used.
#[derive(Debug, Default)]
struct Personals {
    known: HashMap<AccountId, (Option<Arc<Personal>>, u64)>,
    uses: u64,
}

impl Models {
    /// Opens the models in a directory; the shared one starts from what the program brings along. Blocking.
    pub(crate) fn open(place: &Path, day: u32) -> io::Result<Self> {
        durable::create_directories(&place.join(ACCOUNTS))?;
        let path = place.join(SHARED);
        let model = match fs::read(&path) {
            Ok(octets) => match Model::open(octets) {
                Ok(model) => model,
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the filter starts anew from its first model");
                    fs::rename(&path, place.join(DAMAGED))?;
                    starter()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => starter(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            place: place.to_owned(),
            shared: RwLock::new(Shared { model, is_changed: false, kept_day: day }),
            personals: Mutex::default(),
            teaching: Mutex::new(()),
        })
    }

    /// Asks the shared model.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Model<Vec<u8>>) -> T) -> T {
        question(&self.shared.read().model)
    }

    /// An account's own model, if it has taught anything. Blocking.
    pub(crate) fn personal(&self, account: AccountId) -> Option<Arc<Personal>> {
        {
            let mut personals = self.personals.lock();
            personals.uses += 1;
            let uses = personals.uses;
            if let Some((personal, used)) = personals.known.get_mut(&account) {
                *used = uses;
                return personal.clone();
            }
        }
        let personal = self.read(account).map(Arc::new);
        self.personals.lock().put(account, personal.clone());
        personal
    }

    fn read(&self, account: AccountId) -> Option<Personal> {
        let path = self.path(account);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "an account's model cannot be read");
                return None;
            }
        };
        let opened = Personal::open(&octets);
        opened
            .inspect_err(
                |error| tracing::error!(path = %path.display(), %error, "an account's model starts anew"),
            )
            .ok()
    }

    fn path(&self, account: AccountId) -> PathBuf {
        self.place.join(ACCOUNTS).join(account.0.to_string())
    }

    /// An account says what a message is. Its own model is on disk when this returns. Blocking.
    pub(crate) fn teach(
        &self,
        account: AccountId,
        features: &Features,
        class: Class,
        day: u32,
    ) -> io::Result<Taught> {
        let _teaching = self.teaching.lock();
        let mut personal = self.personal(account).map(|known| (*known).clone()).unwrap_or_default();
        let taught = {
            let mut shared = self.shared.write();
            shared.is_changed = true;
            personal.teach(&mut shared.model, features, class, day)
        };
        durable::write(&self.path(account), &personal.octets(), Readable::Owner)?;
        self.personals.lock().put(account, Some(Arc::new(personal)));
        Ok(taught)
    }

    /// Who runs the server says what a message is.
    pub(crate) fn learn(&self, features: &Features, class: Class) {
        let mut shared = self.shared.write();
        shared.is_changed = true;
        shared.model.learn(features, class);
    }

    /// How many messages the shared model has learned, wanted and unwanted.
    pub(crate) fn learned(&self) -> (u64, u64) {
        self.ask(|model| (model.learned(Class::Wanted), model.learned(Class::Unwanted)))
    }

    /// Writes the shared model, if it has learned something. Blocking.
    pub(crate) fn keep(&self, day: u32) -> io::Result<()> {
        let (octets, kept_day) = {
            let mut shared = self.shared.write();
            if !shared.is_changed {
                return Ok(());
            }
            shared.is_changed = false;
            shared.model.seal();
            (shared.model.octets().to_vec(), std::mem::replace(&mut shared.kept_day, day))
        };
        self.write(&octets, kept_day != day).inspect_err(|_| {
            let mut shared = self.shared.write();
            (shared.is_changed, shared.kept_day) = (true, kept_day);
        })
    }

    /// The former model stays in its place until the new one takes it: whatever fails between, none is missing.
    fn write(&self, octets: &[u8], is_new_day: bool) -> io::Result<()> {
        let path = self.place.join(SHARED);
        if is_new_day && path.exists() {
            durable::write(&self.place.join(YESTERDAY), &fs::read(&path)?, Readable::Owner)?;
        }
        durable::write(&path, octets, Readable::Owner)
    }

    /// Forgets what an account has taught. Blocking.
    pub(crate) fn forget(&self, account: AccountId) -> io::Result<()> {
        let _teaching = self.teaching.lock();
        durable::remove(&self.path(account))?;
        self.personals.lock().put(account, None);
        Ok(())
    }

    /// Forgets what all have taught, or goes back to the day before; false where there is none. Blocking.
    pub(crate) fn go_back(&self, to: Past, day: u32) -> io::Result<bool> {
        let model = match to {
            Past::Start => starter(),
            Past::Yesterday => match fs::read(self.place.join(YESTERDAY)) {
                Ok(octets) => Model::open(octets).map_err(io::Error::other)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        {
            let mut shared = self.shared.write();
            shared.model = model;
            shared.is_changed = true;
        }
        self.keep(day)?;
        Ok(true)
    }
}

/// What the shared model may go back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Past {
    /// What the program brought along.
    Start,
    /// What it was before today.
    Yesterday,
}

impl Personals {
    fn put(&mut self, account: AccountId, personal: Option<Arc<Personal>>) {
        if self.known.len() >= PERSONALS_MAX && !self.known.contains_key(&account) {
            let oldest = self.known.iter().min_by_key(|(_, (_, used))| *used).map(|(account, _)| *account);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.uses += 1;
        self.known.insert(account, (personal, self.uses));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(word: &str) -> Features {
        let text =
            format!("From: {word}@{word}.example\r\nSubject: {word} news\r\n\r\nAll about {word} today.\r\n");
        spam::features(text.as_bytes())
    }

    #[test]
    fn what_was_taught_is_there_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let ann = AccountId(7);
        let judged = {
            let models = Models::open(place.path(), 1).unwrap();
            for _ in 0..10 {
                models.teach(ann, &letter("tulips"), Class::Unwanted, 1).unwrap();
            }
            models.keep(1).unwrap();
            let personal = models.personal(ann).unwrap();
            models.ask(|model| model.judge(&letter("tulips"), Some(&personal)).log_odds)
        };
        let models = Models::open(place.path(), 2).unwrap();
        let personal = models.personal(ann).unwrap();
        assert_eq!(models.ask(|model| model.judge(&letter("tulips"), Some(&personal)).log_odds), judged);
        assert!(models.personal(AccountId(8)).is_none(), "others have taught nothing");
        models.forget(ann).unwrap();
        assert!(models.personal(ann).is_none());
    }

    #[test]
    fn yesterdays_model_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        let before = models.learned();
        assert!(!models.go_back(Past::Yesterday, 1).unwrap(), "there is none yet");
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        models.learn(&letter("roses"), Class::Unwanted);
        models.keep(2).unwrap();
        assert_eq!(models.learned(), (before.0, before.1 + 2));
        assert!(models.go_back(Past::Yesterday, 2).unwrap());
        assert_eq!(models.learned(), (before.0, before.1 + 1));
        models.go_back(Past::Start, 2).unwrap();
        assert_eq!(models.learned(), before);
    }

    #[test]
    fn a_model_that_cannot_be_written_leaves_the_former_one() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        let kept = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        // What it is written into first is a directory.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let blocked = place.path().join(format!(".{SHARED}.{process}.{thread:?}.tmp"));
        fs::create_dir(&blocked).unwrap();
        assert!(models.keep(2).is_err());
        assert_eq!(Models::open(place.path(), 2).unwrap().learned(), kept);
        fs::remove_dir(&blocked).unwrap();
        models.keep(2).unwrap();
        assert_eq!(Models::open(place.path(), 2).unwrap().learned(), models.learned());
        assert!(models.go_back(Past::Yesterday, 2).unwrap());
        assert_eq!(models.learned(), kept);
    }

    #[test]
    fn a_damaged_model_is_put_aside() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(SHARED), b"no model").unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        assert!(models.learned().0 > 0, "the first model is in use");
        assert!(place.path().join(DAMAGED).exists());
    }

    #[test]
    fn so_many_models_are_in_memory() {
        let mut personals = Personals::default();
        for (accounts, kept) in [
            (PERSONALS_MAX - 1, PERSONALS_MAX - 1),
            (PERSONALS_MAX, PERSONALS_MAX),
            (PERSONALS_MAX + 1, PERSONALS_MAX),
        ] {
            personals.put(AccountId(accounts as u32), None);
            for account in 0..accounts {
                personals.put(AccountId(account as u32), None);
            }
            assert_eq!(personals.known.len().min(kept), kept, "{accounts}");
            assert!(personals.known.len() <= PERSONALS_MAX);
        }
    }
}
