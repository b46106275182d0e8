//! A disk that is really full: nothing acknowledged is lost, deletions go on, and mail comes back with the room.
//!
//! Needs the right to mount a small tmpfs; says so and passes without it.

#![allow(clippy::unwrap_used)] // In what the tests share; a panic is how a test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use storage::{BlobRef, NewEntry, Note, PackSettings, PackStore, StorageError, check};

/// A file system of its own, gone with the test.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(octets: u64) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={octets}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small tmpfs cannot be mounted here");
        }
        mounted.then_some(SmallDisk { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn settings() -> PackSettings {
    PackSettings { free_octets_min: 0, reserve_octets: 256 << 10, ..PackSettings::default() }
}

fn mail(number: u64, octets: usize) -> Vec<u8> {
    let mut mail = vec![0; octets];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut mail);
    mail
}

fn store_mail(store: &PackStore, mail: &[u8]) -> Result<BlobRef, StorageError> {
    let mut writer = store.new_blob()?;
    writer.write(mail)?;
    let committed = store.commit(NewEntry { blob: Some(writer.finish()?), notes: vec![] })?;
    Ok(committed.blob.unwrap())
}

fn delete(store: &PackStore, number: u32) {
    let note = Note { owner: 1, octets: [b"expunged ".as_slice(), &number.to_le_bytes()].concat() };
    store.commit(NewEntry { blob: None, notes: vec![note] }).unwrap();
}

/// Mails of a length until the disk is full.
fn fill(store: &PackStore, octets: usize) -> Vec<BlobRef> {
    let mut stored = Vec::new();
    loop {
        match store_mail(store, &mail(stored.len() as u64, octets)) {
            Ok(blob) => stored.push(blob),
            Err(StorageError::Full) => return stored,
            Err(other) => panic!("{other}"),
        }
    }
}

fn packs_on(disk: &SmallDisk) -> PathBuf {
    disk.path().join("packs")
}

#[test]
fn a_full_disk_takes_deletions_and_keeps_what_it_has() {
    let Some(disk) = SmallDisk::mount(6 << 20) else { return };
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let (store, _) = PackStore::open(&packs_on(&disk), settings()).unwrap();
    let stored = fill(&store, 20_000);
    assert!(stored.len() > 150, "{}", stored.len());
    (0..300).for_each(|number| delete(&store, number));
    assert!(!packs_on(&disk).join("reserve").exists(), "the reserve was given up");

    fs::remove_file(filler).unwrap();
    let after = store_mail(&store, b"there is room again").unwrap();
    assert!(packs_on(&disk).join("reserve").exists(), "and made again");
    drop(store);

    let (store, replay) = PackStore::open(&packs_on(&disk), settings()).unwrap();
    assert_eq!(replay.map(Result::unwrap).filter(|entry| entry.blob.is_none()).count(), 300);
    for (number, blob) in (0..).zip(stored) {
        assert!(store.read(blob).unwrap().read_at(0..u64::MAX).unwrap() == mail(number, 20_000));
    }
    assert_eq!(store.read(after).unwrap().read_at(0..u64::MAX).unwrap(), b"there is room again");
    assert_eq!(check(&store).unwrap().findings_total, 0);
}

#[test]
fn a_large_mail_that_does_not_fit_leaves_no_trace() {
    let Some(disk) = SmallDisk::mount(6 << 20) else { return };
    let (store, _) = PackStore::open(&packs_on(&disk), settings()).unwrap();
    let stored = fill(&store, 700_000);
    assert!(!stored.is_empty());
    let files = fs::read_dir(packs_on(&disk)).unwrap().count();
    assert!(matches!(store_mail(&store, &mail(1, 3_000_000)), Err(StorageError::Full)));
    assert_eq!(fs::read_dir(packs_on(&disk)).unwrap().count(), files);
    (0..50).for_each(|number| delete(&store, number));
    // A deleted mail's pack gives its room back at once.
    store.remove(stored[0].pack).unwrap();
    store_mail(&store, &mail(2, 300_000)).unwrap();
    assert_eq!(check(&store).unwrap().findings_total, 0);
}

#[test]
fn writers_that_meet_a_full_disk_together_all_get_the_truth() {
    let Some(disk) = SmallDisk::mount(4 << 20) else { return };
    let (store, _) = PackStore::open(&packs_on(&disk), settings()).unwrap();
    let stored: Vec<(u64, BlobRef)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16_u64)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let stored = (0..40).filter_map(|number| {
                        let number = writer * 100 + number;
                        delete(store, number as u32);
                        store_mail(store, &mail(number, 9_000)).ok().map(|blob| (number, blob))
                    });
                    stored.collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(stored.len() > 200 && stored.len() < 16 * 40, "{}", stored.len());
    drop(store);
    let (store, replay) = PackStore::open(&packs_on(&disk), settings()).unwrap();
    assert_eq!(replay.map(Result::unwrap).filter(|entry| entry.blob.is_none()).count(), 16 * 40);
    for (number, blob) in stored {
        assert!(store.read(blob).unwrap().read_at(0..u64::MAX).unwrap() == mail(number, 9_000));
    }
}

#[test]
fn large_mail_on_its_way_leaves_the_disk_its_free_octets() {
    let Some(disk) = SmallDisk::mount(12 << 20) else { return };
    let settings = PackSettings { free_octets_min: 4 << 20, ..settings() };
    let (store, _) = PackStore::open(&packs_on(&disk), settings).unwrap();
    let mut writers: Vec<_> = (0..4).map(|_| store.new_blob().unwrap()).collect();
    // None of them ever ends.
    let refused = (0..1_000).flat_map(|number| {
        let piece = mail(number, 128 << 10);
        writers.iter_mut().map(|writer| writer.write(&piece)).collect::<Vec<_>>()
    });
    let refusal = refused.filter_map(Result::err).next();
    assert!(matches!(refusal, Some(StorageError::Full)), "{refusal:?}");
    let free = storage::free_octets(disk.path()).unwrap();
    assert!(free > 3 << 20, "{free}");
    delete(&store, 1);
    drop(writers);
    store_mail(&store, &mail(1, 1 << 20)).unwrap();
}
