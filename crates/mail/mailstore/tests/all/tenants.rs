//! A tenant keeps notes and octets in the log beside the accounts, and nothing of them is lost.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_types::AccountId;
use mailstore::{
    Kept, NewNote, ReadLog, Store, TENANTS_FROM, Tenant, TenantBlob, TenantEntry, TenantMove, WriteNote,
    WritingEntry,
};
use parking_lot::Mutex;
use platform::metrics::Metrics;
use storage::{BlobRef, LogPosition, PackId, StorageError, WalCheckpoint};

use crate::house::{ANN, House, arriving, clock, filing, inbox, picture, settings, text};

/// Remembers octets by a letter: `+a` keeps the entry's octets, `-a` lets go of them. Its picture is a file.
#[derive(Debug, Default)]
struct Shelf {
    path: PathBuf,
    picture: Mutex<Picture>,
    published: Mutex<usize>,
    /// What an index does that cannot be written.
    is_failing: Mutex<bool>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Picture {
    applied: Option<LogPosition>,
    kept: BTreeMap<u8, (BlobRef, u64)>,
}

impl Shelf {
    fn open(data: &Path) -> Arc<Self> {
        let path = data.join("shelf");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut picture = Picture::default();
        for line in text.lines() {
            let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            let pack = PackId(numbers[1] as u32);
            if numbers[0] == 0 {
                picture.applied = Some(LogPosition { pack, offset: numbers[2] });
            } else {
                picture.kept.insert(numbers[0] as u8, (BlobRef { pack, offset: numbers[2] }, numbers[3]));
            }
        }
        Arc::new(Self { path, picture: Mutex::new(picture), ..Self::default() })
    }

    fn take(picture: &mut Picture, entry: &TenantEntry<'_>) {
        match entry.note {
            [b'+', letter] => drop(picture.kept.insert(*letter, (entry.blob.unwrap(), entry.in_log()))),
            [b'-', letter] => drop(picture.kept.remove(letter)),
            other => panic!("{other:?}"),
        }
    }

    fn letters(&self) -> String {
        self.picture.lock().kept.keys().map(|letter| char::from(*letter)).collect()
    }

    fn anew(log: ReadLog<'_>) -> Result<Picture, StorageError> {
        let mut picture = Picture::default();
        for sign in [b'+', b'-'] {
            log(&mut |entry| {
                if entry.note.first() == Some(&sign) {
                    Self::take(&mut picture, entry);
                }
                Ok(())
            })?;
        }
        Ok(picture)
    }
}

impl Tenant for Shelf {
    fn owner(&self) -> u32 {
        TENANTS_FROM
    }

    fn applied(&self) -> Result<Option<LogPosition>, StorageError> {
        Ok(self.picture.lock().applied)
    }

    fn apply(&self, entries: &[TenantEntry<'_>], _: WriteNote<'_>) -> Result<(), StorageError> {
        if *self.is_failing.lock() {
            return Err(StorageError::Busy);
        }
        let mut picture = self.picture.lock();
        for entry in entries {
            if Some(entry.position) > picture.applied {
                Self::take(&mut picture, entry);
                picture.applied = Some(entry.position);
            }
        }
        Ok(())
    }

    fn publish(&self, entries: &[TenantEntry<'_>]) {
        *self.published.lock() += entries.len();
    }

    fn checkpoint(&self, upto: LogPosition) -> Result<WalCheckpoint, StorageError> {
        let mut picture = self.picture.lock();
        picture.applied = picture.applied.max(Some(upto));
        let mut lines = format!("0 {} {}\n", upto.pack.0, upto.offset);
        for (letter, (blob, in_log)) in &picture.kept {
            lines += &format!("{letter} {} {} {in_log}\n", blob.pack.0, blob.offset);
        }
        std::fs::write(&self.path, lines).unwrap();
        Ok(WalCheckpoint::Complete)
    }

    fn rebuild(&self, upto: LogPosition, log: ReadLog<'_>, _: WriteNote<'_>) -> Result<(), StorageError> {
        let picture = Self::anew(log)?;
        *self.picture.lock() = Picture { applied: Some(upto), ..picture };
        Ok(())
    }

    fn blobs_in(&self, packs: RangeInclusive<PackId>) -> Result<Vec<TenantBlob>, StorageError> {
        let picture = self.picture.lock();
        let here = picture.kept.values().filter(|(blob, _)| packs.contains(&blob.pack));
        Ok(here.map(|(at, in_log)| TenantBlob { at: *at, in_log: *in_log }).collect())
    }

    fn still_needed(
        &self,
        entry: &TenantEntry<'_>,
        _: &dyn Fn(RangeInclusive<PackId>) -> bool,
    ) -> Result<Kept, StorageError> {
        let picture = self.picture.lock();
        let [sign, letter] = entry.note else { panic!("{:?}", entry.note) };
        let is_here = picture.kept.get(letter).is_some_and(|(blob, _)| Some(*blob) == entry.blob);
        Ok(match (sign, is_here) {
            (b'+', true) => Kept::NoteAndBlob(entry.note.to_vec()),
            (b'+', false) => Kept::Nothing,
            _ => Kept::Note(entry.note.to_vec()),
        })
    }

    fn moved(&self, moves: &[TenantMove<'_>], _: WriteNote<'_>) -> Result<(), StorageError> {
        let mut picture = self.picture.lock();
        for TenantMove { note, from, to, .. } in moves {
            if let [b'+', letter] = note
                && let Some((blob, _)) = picture.kept.get_mut(letter)
                && Some(*blob) == *from
            {
                *blob = to.unwrap();
            }
        }
        Ok(())
    }

    fn verify(&self, log: ReadLog<'_>) -> Result<Vec<String>, StorageError> {
        let (there, anew) = (self.letters(), Self::anew(log)?);
        let anew: String = anew.kept.keys().map(|letter| char::from(*letter)).collect();
        Ok(if there == anew { Vec::new() } else { vec![format!("{there} is not {anew}")] })
    }
}

fn open(data: &Path) -> (Store, Arc<Shelf>) {
    let shelf = Shelf::open(data);
    let mut settings = settings();
    settings.packs.pack_octets = 1 << 18;
    let tenants = vec![Arc::clone(&shelf) as Arc<dyn Tenant>];
    (Store::open_with(data, settings, clock(), &Metrics::default(), tenants).unwrap(), shelf)
}

fn note(text: &str) -> NewNote {
    NewNote { owner: TENANTS_FROM, octets: text.into(), written: None }
}

fn body(letter: char) -> Vec<u8> {
    let mut state = u64::from(u32::from(letter)) | 1;
    let mut octets = text(usize::try_from(u32::from(letter)).unwrap());
    while octets.len() < 40_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        octets.extend(format!("{state:016x}\r\n").into_bytes());
    }
    octets
}

async fn keep(store: &Store, letter: char, filings: Vec<mailstore::Filing>) {
    let message = Some(arriving(store, &body(letter)).await);
    let entry = WritingEntry { message, filings, note: Some(note(&format!("+{letter}"))) };
    store.write(vec![entry]).await.unwrap().durable().await.unwrap();
}

async fn check(store: &Store, shelf: &Shelf, letters: &str) {
    store.wait_applied().await.unwrap();
    assert_eq!(shelf.letters(), letters);
    for letter in letters.chars() {
        let (blob, _) = shelf.picture.lock().kept[&u8::try_from(letter).unwrap()];
        let reader = store.read_blob(blob).await.unwrap();
        assert_eq!(reader.read(0..60).await.unwrap(), body(letter)[..60]);
    }
    assert_eq!(store.verify().await.unwrap(), []);
}

/// Keeps all letters but lets go of most.
async fn lived_in(store: &Store) -> &'static str {
    for letter in 'a'..='z' {
        keep(store, letter, Vec::new()).await;
    }
    for letter in ('a'..='z').filter(|letter| !"aeiou".contains(*letter)) {
        store.write_note(note(&format!("-{letter}"))).durable().await.unwrap();
    }
    "aeiou"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filings_and_a_tenants_note_are_one_entry() {
    let data = tempfile::tempdir().unwrap();
    let (store, shelf) = open(data.path());
    let account = store.account(ANN).await.unwrap();
    let before = store.stats().await.unwrap().entries;
    keep(&store, 'a', vec![filing(ANN, inbox())]).await;
    assert_eq!(store.stats().await.unwrap().entries, before + 1);
    check(&store, &shelf, "a").await;
    assert_eq!(account.quota_usage().messages, 1);
    assert_eq!(*shelf.published.lock(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_notes_come_back_after_a_crash() {
    let data = tempfile::tempdir().unwrap();
    let (store, shelf) = open(data.path());
    keep(&store, 'A', Vec::new()).await;
    store.checkpoint().await.unwrap();
    let letters = format!("A{}", lived_in(&store).await);
    check(&store, &shelf, &letters).await;
    for is_lost in [false, true] {
        let crashed = tempfile::tempdir().unwrap();
        crate::crash::copy_directory(data.path(), crashed.path());
        if is_lost {
            std::fs::remove_file(crashed.path().join("shelf")).unwrap();
        }
        let (store, shelf) = open(crashed.path());
        check(&store, &shelf, &letters).await;
        assert_eq!(*shelf.published.lock(), 0, "what is replayed was published before the crash");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_moves_what_a_tenant_keeps() {
    let data = tempfile::tempdir().unwrap();
    let (store, shelf) = open(data.path());
    let letters = lived_in(&store).await;
    let outcome = store.purge().await.unwrap();
    assert!(outcome.packs > 1, "{outcome:?}");
    check(&store, &shelf, letters).await;
    store.rebuild(None).await.unwrap();
    check(&store, &shelf, letters).await;
    store.close().await.unwrap();
    let (store, shelf) = open(data.path());
    check(&store, &shelf, letters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_load_loses_nothing_of_a_tenant() {
    let data = tempfile::tempdir().unwrap();
    let (store, shelf) = open(data.path());
    let mut letters = String::new();
    for round in 0..5 {
        let (purged, _) = tokio::join!(store.purge(), async {
            for letter in 'a'..='z' {
                keep(&store, letter, Vec::new()).await;
                if letter != char::from(b'a' + round) {
                    store.write_note(note(&format!("-{letter}"))).durable().await.unwrap();
                    keep(&store, char::from(b'A' + round), Vec::new()).await;
                }
            }
        });
        purged.unwrap();
        letters.push(char::from(b'A' + round));
    }
    store.wait_applied().await.unwrap();
    let kept = shelf.letters();
    assert!(kept.starts_with(&letters), "{kept}");
    for letter in kept.chars() {
        let (blob, _) = shelf.picture.lock().kept[&u8::try_from(letter).unwrap()];
        let reader = store.read_blob(blob).await.unwrap();
        assert_eq!(reader.read(0..60).await.unwrap(), body(letter)[..60]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_waits_for_a_tenant_that_fails() {
    let data = tempfile::tempdir().unwrap();
    let (store, shelf) = open(data.path());
    keep(&store, 'a', Vec::new()).await;
    store.checkpoint().await.unwrap();
    *shelf.is_failing.lock() = true;
    keep(&store, 'b', Vec::new()).await;
    store.checkpoint().await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    crate::crash::copy_directory(data.path(), crashed.path());
    let (other, other_shelf) = open(crashed.path());
    check(&other, &other_shelf, "ab").await;
    *shelf.is_failing.lock() = false;
    check(&store, &shelf, "ab").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_not_there_keeps_everything() {
    let data = tempfile::tempdir().unwrap();
    let (store, _) = open(data.path());
    let letters = lived_in(&store).await;
    store.close().await.unwrap();
    let house = House { store: crate::house::open(data.path(), &clock()), clock: clock(), data };
    let account = house.account(ANN).await;
    assert!(!picture(&account).await.is_empty());
    house.store.purge().await.unwrap();
    let House { store, data, .. } = house;
    store.close().await.unwrap();
    let (store, shelf) = open(data.path());
    check(&store, &shelf, letters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_account_has_a_tenants_number() {
    let house = House::new();
    for (number, may) in [(TENANTS_FROM - 1, true), (TENANTS_FROM, false), (u32::MAX, false)] {
        let account = AccountId(number);
        let filings = vec![filing(account, inbox())];
        let filed =
            house.store.deliver(arriving(&house.store, b"Subject: a\r\n\r\na\r\n").await, filings).await;
        assert_eq!(filed.is_ok_and(|filed| filed.iter().all(Result::is_ok)), may, "{number}");
        assert_eq!(house.store.account(account).await.is_ok(), may, "{number}");
    }
}
