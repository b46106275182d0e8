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
use spam::{Class, Features, Model, Personal, Taught};

use super::shared_model::{self, Octets};

/// Accounts' models that are kept in memory, 16 KiB each at most.
const PERSONALS_MAX: usize = 256;

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
    model: Model<Octets>,
    /// It is not what its file says.
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
        let (model, is_changed) = shared_model::open(place)?;
        Ok(Self {
            place: place.to_owned(),
            shared: RwLock::new(Shared { model, is_changed, kept_day: day }),
            personals: Mutex::default(),
            teaching: Mutex::new(()),
        })
    }

    /// Asks the shared model.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Model<Octets>) -> T) -> T {
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

    /// Writes the shared model, if there is something new. Blocking.
    pub(crate) fn keep(&self, day: u32) -> io::Result<()> {
        let (octets, kept_day) = {
            let mut shared = self.shared.write();
            if shared.model.holder().is_damaged() {
                shared.model = shared_model::instead(&self.place)?;
                shared.is_changed = true;
            }
            if !shared.is_changed {
                return Ok(());
            }
            shared.model.seal();
            let octets = shared.model.octets().to_vec();
            if shared.model.holder().is_damaged() {
                // Zeros of a page that could not be read are in them.
                return Err(io::Error::other("the filter's model could not be read whole"));
            }
            shared.is_changed = false;
            (octets, std::mem::replace(&mut shared.kept_day, day))
        };
        shared_model::write(&self.place, &octets, kept_day != day).inspect_err(|_| {
            let mut shared = self.shared.write();
            (shared.is_changed, shared.kept_day) = (true, kept_day);
        })?;
        drop(octets);
        self.map_again();
        Ok(())
    }

    /// What was written takes the place of what is in memory, unless that has learned since.
    fn map_again(&self) {
        match shared_model::mapped(&self.place) {
            Ok(written) => {
                let mut shared = self.shared.write();
                if !shared.is_changed {
                    shared.model = written;
                }
            }
            Err(error) => tracing::warn!(%error, "the filter's model stays in memory"),
        }
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
            Past::Start => Some(shared_model::first()),
            Past::Yesterday => shared_model::yesterday(&self.place)?,
        };
        let Some(model) = model else { return Ok(false) };
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
    use std::fs::{self, File};

    use super::super::shared_model::{DAMAGED, SHARED};
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
    fn what_was_written_is_mapped() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        let is_mapped = || models.ask(|model| matches!(model.holder(), Octets::Mapped(_)));
        assert!(!is_mapped(), "the first model is in no file");
        models.keep(1).unwrap();
        assert!(is_mapped());
        let learned = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        assert_eq!(models.learned(), (learned.0, learned.1 + 1));
        assert_eq!(Models::open(place.path(), 1).unwrap().learned(), learned, "not written yet");
    }

    #[test]
    fn a_model_that_is_cut_short_under_us_is_put_aside() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        let of_yesterday = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        models.keep(2).unwrap();
        let cut = || {
            let file = File::options().write(true).open(place.path().join(SHARED)).unwrap();
            file.set_len(4_096).unwrap();
        };
        cut();
        models.ask(|model| model.judge(&letter("roses"), None));
        models.keep(2).unwrap();
        assert!(place.path().join(DAMAGED).exists());
        assert_eq!(models.learned(), of_yesterday);
        assert_eq!(Models::open(place.path(), 2).unwrap().learned(), of_yesterday);
        // And so it is where it is found at the start, or gone.
        cut();
        assert_eq!(Models::open(place.path(), 2).unwrap().learned(), of_yesterday);
        assert_eq!(Models::open(place.path(), 2).unwrap().learned(), of_yesterday);
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
