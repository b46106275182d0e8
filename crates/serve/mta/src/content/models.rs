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

use super::shared_model::{self, Holder};

/// Accounts' models that are kept in memory, 16 KiB each at most.
const PERSONALS_MAX: usize = 256;

const ACCOUNTS: &str = "accounts";

/// All models.
#[derive(Debug)]
pub(crate) struct Models {
    place: PathBuf,
    shared: RwLock<Shared>,
    /// Held while the shared model is written or exchanged; taken before `shared`.
    kept: Mutex<Kept>,
    personals: Mutex<Personals>,
    /// Held while an account's model is changed and written.
    teaching: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    model: Model<Holder>,
    /// How often it became another since the start.
    changes: u64,
}

/// The shared model's file.
#[derive(Debug)]
struct Kept {
    /// Changes that are in it; `None` where the model in use never was in a file.
    changes: Option<u64>,
    /// The day it was written, or tried to be.
    day: u32,
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
        let (model, is_kept) = shared_model::open(place)?;
        let written_day = shared_model::written_on(place).unwrap_or(day);
        Ok(Self {
            place: place.to_owned(),
            shared: RwLock::new(Shared { model, changes: 0 }),
            kept: Mutex::new(Kept { changes: is_kept.then_some(0), day: written_day }),
            personals: Mutex::default(),
            teaching: Mutex::new(()),
        })
    }

    /// Asks the shared model.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Model<Holder>) -> T) -> T {
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
            shared.changes += 1;
            personal.teach(&mut shared.model, features, class, day)
        };
        durable::write(&self.path(account), &personal.octets(), Readable::Owner)?;
        self.personals.lock().put(account, Some(Arc::new(personal)));
        Ok(taught)
    }

    /// Who runs the server says what a message is.
    pub(crate) fn learn(&self, features: &Features, class: Class) {
        let mut shared = self.shared.write();
        shared.changes += 1;
        shared.model.learn(features, class);
    }

    /// How many messages the shared model has learned, wanted and unwanted.
    pub(crate) fn learned(&self) -> (u64, u64) {
        self.ask(|model| (model.learned(Class::Wanted), model.learned(Class::Unwanted)))
    }

    /// Writes the shared model, if it is not as its file says. Blocking.
    pub(crate) fn keep(&self, day: u32) -> io::Result<()> {
        let mut kept = self.kept.lock();
        if self.is_damaged() {
            tracing::error!(
                "the filter's model was damaged in memory: what it learned since it was written is lost"
            );
            self.exchange(shared_model::open_again(&self.place));
        }
        self.write(&mut kept, day)
    }

    fn is_damaged(&self) -> bool {
        self.ask(|model| model.holder().is_damaged())
    }

    /// Takes another model in place of what it was.
    fn exchange(&self, model: Model<Holder>) {
        let former = {
            let mut shared = self.shared.write();
            shared.changes += 1;
            std::mem::replace(&mut shared.model, model)
        };
        drop(former);
    }

    fn write(&self, kept: &mut Kept, day: u32) -> io::Result<()> {
        if kept.changes == Some(self.shared.read().changes) {
            return Ok(());
        }
        if kept.day != day {
            // What was learned is worth more than a way back, so this is tried once.
            kept.day = day;
            if let Err(error) = shared_model::keep_former(&self.place) {
                tracing::error!(place = %self.place.display(), %error, "the model of the day before is not kept");
            }
        }
        let (mut copy, changes) = {
            let shared = self.shared.read();
            (shared.model.copy(), shared.changes)
        };
        if self.is_damaged() {
            // Zeros of a page that could not be read may be in the copy.
            return Err(io::Error::other("the filter's model could not be read whole"));
        }
        copy.seal();
        shared_model::write(&self.place, &copy)?;
        kept.changes = Some(changes);
        Ok(())
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
        let mut kept = self.kept.lock();
        let model = match to {
            Past::Start => Some(shared_model::first(&self.place)),
            // Nothing of today is in the file yet.
            Past::Yesterday if kept.day != day => shared_model::written(&self.place)?,
            Past::Yesterday => shared_model::yesterday(&self.place)?,
        };
        let Some(model) = model else { return Ok(false) };
        self.exchange(model);
        self.write(&mut kept, day)?;
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
    use std::fs;

    use platform::mapping::Mapping;

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
    fn a_model_in_use_is_mapped_and_written_from_there() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.ask(|model| assert!(matches!(model.holder(), Holder::Mapped(_))));
        models.keep(1).unwrap();
        let written = fs::read(place.path().join(SHARED)).unwrap();
        assert_eq!(written, spam::starter().octets(), "the first model is written as it is");
        let learned = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        assert_eq!(models.learned(), (learned.0, learned.1 + 1));
        assert_eq!(Models::open(place.path(), 1).unwrap().learned(), learned, "not written yet");
        models.keep(1).unwrap();
        assert_eq!(Models::open(place.path(), 1).unwrap().learned(), models.learned());
    }

    #[test]
    fn whoever_writes_into_the_file_harms_neither_the_model_in_use_nor_that_of_yesterday() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        let of_yesterday = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        models.keep(2).unwrap();
        let spoil = || fs::write(place.path().join(SHARED), b"no model").unwrap();
        spoil();
        // The file of a new day is not kept as that of yesterday if it is none.
        models.learn(&letter("asters"), Class::Unwanted);
        models.keep(3).unwrap();
        let learned = models.learned();
        assert_eq!(learned.1, of_yesterday.1 + 2);
        assert_eq!(Models::open(place.path(), 3).unwrap().learned(), learned);
        // At a start it is put aside, also if that start is not the last one.
        spoil();
        for _ in 0..2 {
            assert_eq!(Models::open(place.path(), 3).unwrap().learned(), of_yesterday);
        }
        assert!(place.path().join(DAMAGED).exists());
    }

    #[test]
    fn a_model_that_cannot_be_read_any_more_comes_from_its_file_again() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        let kept = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        // As where the disk fails: a page of what is mapped is not there any more.
        let file = tempfile::tempfile().unwrap();
        file.set_len(spam::MODEL_OCTETS as u64).unwrap();
        let mapping = Mapping::of_file(&file).unwrap();
        file.set_len(1).unwrap();
        models.exchange(spam::starter().held_by(|_| Holder::Mapped(mapping)));
        models.ask(|model| model.judge(&letter("roses"), None));
        models.keep(1).unwrap();
        assert_eq!(models.learned(), kept);
        assert_eq!(Models::open(place.path(), 1).unwrap().learned(), kept);
        assert!(!place.path().join(DAMAGED).exists(), "the file was sound");
    }

    #[test]
    fn what_cannot_be_put_aside_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join(DAMAGED)).unwrap();
        fs::write(place.path().join(SHARED), b"no model").unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        models.learn(&letter("tulips"), Class::Unwanted);
        models.keep(1).unwrap();
        assert_eq!(Models::open(place.path(), 1).unwrap().learned(), models.learned());
    }

    #[test]
    fn a_server_started_each_day_has_a_model_of_the_day_before() {
        let place = tempfile::tempdir().unwrap();
        let teach = |day| {
            let models = Models::open(place.path(), day).unwrap();
            models.learn(&letter("tulips"), Class::Unwanted);
            models.keep(day).unwrap();
        };
        teach(1);
        let tomorrow = shared_model::written_on(place.path()).unwrap() + 1;
        teach(tomorrow);
        let models = Models::open(place.path(), tomorrow).unwrap();
        let learned = models.learned();
        // The file was in truth written a day before.
        assert!(models.go_back(Past::Yesterday, tomorrow - 1).unwrap());
        assert_eq!(models.learned(), (learned.0, learned.1 - 1));
    }

    #[test]
    fn before_the_first_writing_of_a_day_the_file_is_what_was_before() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        for day in [1, 2] {
            models.learn(&letter("tulips"), Class::Unwanted);
            models.keep(day).unwrap();
        }
        let learned = models.learned();
        models.learn(&letter("roses"), Class::Unwanted);
        assert!(models.go_back(Past::Yesterday, 3).unwrap());
        assert_eq!(models.learned(), learned);
    }

    #[test]
    fn who_goes_back_is_not_overtaken_by_the_minute() {
        let place = tempfile::tempdir().unwrap();
        let models = Models::open(place.path(), 1).unwrap();
        let first = models.learned();
        for _ in 0..5 {
            models.learn(&letter("tulips"), Class::Unwanted);
            std::thread::scope(|scope| {
                scope.spawn(|| models.keep(1).unwrap());
                scope.spawn(|| assert!(models.go_back(Past::Start, 1).unwrap()));
            });
            assert_eq!(models.learned(), first);
            assert_eq!(Models::open(place.path(), 1).unwrap().learned(), first);
        }
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
