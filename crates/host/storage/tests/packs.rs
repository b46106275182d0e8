//! What the packs promise: what was acknowledged is there, in order, whatever happened to the rest.

#![allow(clippy::unwrap_used)] // In what the tests share; a panic is how a test fails.

use proptest::prelude::*;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use storage::{
    BlobRef, Committed, Keep, LogEntry, LogPosition, NewEntry, Note, PackId, PackKind, PackSettings,
    PackStore, StorageError, check,
};

fn settings() -> PackSettings {
    PackSettings { free_octets_min: 0, reserve_octets: 0, ..PackSettings::default() }
}

fn small_packs() -> PackSettings {
    PackSettings { pack_octets: 16 << 10, ..settings() }
}

fn open(directory: &Path, settings: PackSettings) -> (PackStore, Vec<LogEntry>) {
    let (store, replay) = PackStore::open(directory, settings).unwrap();
    let entries = replay.collect::<Result<_, _>>().unwrap();
    (store, entries)
}

fn note(owner: u32, octets: &[u8]) -> Note {
    Note { owner, octets: octets.to_vec() }
}

fn entry(store: &PackStore, octets: Option<&[u8]>, notes: &[Note]) -> NewEntry {
    let blob = octets.map(|octets| {
        let mut writer = store.new_blob().unwrap();
        writer.write(octets).unwrap();
        writer.finish().unwrap()
    });
    NewEntry { blob, notes: notes.to_vec() }
}

fn commit(store: &PackStore, octets: Option<&[u8]>, notes: &[Note]) -> Committed {
    store.commit(entry(store, octets, notes)).unwrap()
}

fn read(store: &PackStore, blob: BlobRef) -> Vec<u8> {
    let reader = store.read(blob).unwrap();
    reader.verify().unwrap();
    reader.read_at(0..reader.len()).unwrap()
}

/// Octets that do not compress.
fn noise(seed: u64, octets: usize) -> Vec<u8> {
    let mut noise = vec![0; octets];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
    noise
}

/// Octets that compress.
fn text(seed: u64, octets: usize) -> Vec<u8> {
    let line = format!("Line of message {seed} with words that come again.\r\n");
    line.bytes().cycle().take(octets).collect()
}

fn log_packs(directory: &Path) -> Vec<PathBuf> {
    let mut packs: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pack"))
        .collect();
    packs.sort();
    packs
}

fn garble(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut octet = [0];
    file.read_exact_at(&mut octet, offset).unwrap();
    file.write_all_at(&[!octet[0]], offset).unwrap();
}

#[test]
fn what_was_committed_is_read_and_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, replayed) = open(directory.path(), settings());
    assert!(replayed.is_empty());
    let mail = text(1, 5000);
    let first = commit(&store, Some(&mail), &[note(1, b"filed"), note(2, b"filed too")]);
    let second = commit(&store, None, &[note(1, b"seen")]);
    let third = commit(&store, Some(b""), &[]);
    assert!(first.position < second.position && second.position < third.position);
    assert_eq!(second.blob, None);
    assert_eq!(store.durable(), third.position);
    assert_eq!(read(&store, first.blob.unwrap()), mail);
    assert!(store.read(third.blob.unwrap()).unwrap().is_empty());
    drop(store);

    let (store, replayed) = open(directory.path(), settings());
    let positions: Vec<_> = replayed.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, [first.position, second.position, third.position]);
    assert_eq!(replayed[0].notes, [note(1, b"filed"), note(2, b"filed too")]);
    let blob = replayed[0].blob.unwrap();
    assert_eq!((Some(blob.at), blob.octets, blob.hash), (first.blob, 5000, blake3::hash(&mail)));
    assert_eq!(read(&store, blob.at), mail);
    assert_eq!(store.durable(), third.position);
}

#[test]
fn replay_begins_at_the_mark() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), small_packs());
    let committed: Vec<_> =
        (0..40).map(|number| commit(&store, Some(&noise(number, 2000)), &[note(1, b"n")])).collect();
    assert!(log_packs(directory.path()).len() > 3);
    store.checkpoint(committed[19].position).unwrap();
    store.checkpoint(committed[3].position).unwrap();
    store.checkpoint(LogPosition { pack: PackId(u32::MAX), offset: 0 }).unwrap();
    assert_eq!(store.mark(), committed[19].position);
    drop(store);
    let (store, replayed) = open(directory.path(), small_packs());
    let expected: Vec<_> = committed[20..].iter().map(|committed| committed.position).collect();
    assert_eq!(replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(), expected);
    store.checkpoint(committed[39].position).unwrap();
    drop(store);
    assert!(open(directory.path(), small_packs()).1.is_empty());
}

#[test]
fn an_unreadable_mark_replays_everything() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let first = commit(&store, Some(b"one"), &[note(1, b"1")]);
    store.checkpoint(first.position).unwrap();
    drop(store);
    fs::write(directory.path().join("mark"), b"nonsense").unwrap();
    let (store, replayed) = open(directory.path(), settings());
    assert_eq!(replayed.len(), 1);
    assert_eq!(read(&store, first.blob.unwrap()), b"one");
}

#[test]
fn a_large_blob_has_a_pack_of_its_own_and_is_read_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let border = 256 << 10;
    for (octets, is_large) in
        [(border - 1, false), (border, false), (border + 1, true), (3 * border + 7, true)]
    {
        let mail = [text(7, octets / 2), noise(7, octets - octets / 2)].concat();
        let mut writer = store.new_blob().unwrap();
        for piece in mail.chunks(10_007) {
            writer.write(piece).unwrap();
        }
        assert_eq!(writer.octets(), octets as u64);
        let blob = writer.finish().unwrap();
        assert_eq!((blob.octets(), blob.hash()), (octets as u64, blake3::hash(&mail)));
        let committed = store.commit(NewEntry { blob: Some(blob), notes: vec![note(1, b"n")] }).unwrap();
        let at = committed.blob.unwrap();
        assert_eq!(at.pack != committed.position.pack, is_large);

        let reader = store.read(at).unwrap();
        reader.verify().unwrap();
        assert_eq!(reader.hash(), blake3::hash(&mail));
        assert_eq!(reader.chunks().map(Result::unwrap).collect::<Vec<_>>().concat(), mail);
        let end = octets as u64;
        for range in
            [0..1, 131_071..131_073, end - 1..end, end - 1..end + 100, end..end + 1, 5..5, 100_000..end]
        {
            let expected = &mail[range.start.min(end) as usize..range.end.min(end) as usize];
            assert_eq!(reader.read_at(range).unwrap(), expected);
        }
    }
    drop(store);
    let (store, replayed) = open(directory.path(), settings());
    assert_eq!(replayed.len(), 4);
    for entry in &replayed {
        assert_eq!(blake3::hash(&read(&store, entry.blob.unwrap().at)), entry.blob.unwrap().hash);
    }
    let report = check(&store).unwrap();
    assert_eq!((report.packs, report.entries, report.blobs, report.findings_total), (3, 6, 4, 0));
}

#[test]
fn a_blob_that_is_not_committed_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let mut unfinished = store.new_blob().unwrap();
    unfinished.write(&noise(1, 600_000)).unwrap();
    drop(unfinished);
    let mut unused = store.new_blob().unwrap();
    unused.write(&noise(2, 600_000)).unwrap();
    drop(unused.finish().unwrap());
    assert_eq!(store.packs().unwrap(), []);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "only the mark");
}

#[test]
fn a_crashed_upload_is_cleared_away() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let mut upload = store.new_blob().unwrap();
    upload.write(&noise(1, 600_000)).unwrap();
    std::mem::forget(upload);
    store.close();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    open(directory.path(), settings());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_batch_is_whole_or_absent() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let alone = commit(&store, Some(b"alone"), &[]);
    let entries = (0..3).map(|number| entry(&store, Some(&noise(number, 500)), &[note(1, b"b")])).collect();
    let (sender, receiver) = mpsc::channel();
    store.submit_all(entries, Box::new(move |result| sender.send(result).unwrap()));
    let committed = receiver.recv().unwrap().unwrap();
    assert_eq!(committed.len(), 3);
    drop(store);

    let pack = &log_packs(directory.path())[0];
    let whole = fs::read(pack).unwrap();
    assert_eq!(open(directory.path(), settings()).1.len(), 4);
    for cut in
        [committed[2].position.offset - 1, committed[1].position.offset, committed[0].position.offset + 1]
    {
        fs::write(pack, &whole[..cut as usize]).unwrap();
        let (_store, replayed) = open(directory.path(), settings());
        assert_eq!(replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(), [alone.position]);
    }
}

#[test]
fn damage_in_the_middle_of_the_last_pack_costs_one_entry() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let committed: Vec<_> =
        (0..5).map(|number| commit(&store, Some(&noise(number, 700)), &[note(1, b"n")])).collect();
    drop(store);
    let pack = &log_packs(directory.path())[0];
    garble(pack, committed[2].blob.unwrap().offset + 300);

    let (store, replayed) = open(directory.path(), settings());
    // The notes are sound, so the entry is replayed; its octets are not.
    assert_eq!(replayed.len(), 5);
    assert!(matches!(store.read(committed[2].blob.unwrap()), Err(StorageError::Corrupt { .. })));
    assert_eq!(check(&store).unwrap().findings_total, 1);
    let after = commit(&store, Some(b"after"), &[]);
    assert!(after.position.pack > committed[4].position.pack, "a damaged pack is not written on");
    drop(store);

    garble(pack, committed[1].blob.unwrap().offset + 20);
    let (store, replayed) = open(directory.path(), settings());
    assert_eq!(replayed.len(), 5, "four sound heads and the new entry");
    let report = check(&store).unwrap();
    assert_eq!(report.findings_total, 2);
    assert!(report.findings[0].what.contains("octets passed over"), "{report:?}");
    assert_eq!(read(&store, committed[4].blob.unwrap()), noise(4, 700));
}

#[test]
fn damage_in_an_earlier_pack_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), small_packs());
    let committed: Vec<_> =
        (0..20).map(|number| commit(&store, Some(&noise(number, 2000)), &[note(1, b"n")])).collect();
    drop(store);
    let packs = log_packs(directory.path());
    // The header, a head, and a length.
    garble(&packs[0], 10);
    garble(&packs[0], committed[1].blob.unwrap().offset);
    garble(&packs[1], 96 + 24);
    let (store, replayed) = open(directory.path(), small_packs());
    assert_eq!(replayed.len(), 18);
    assert_eq!(check(&store).unwrap().findings_total, 2);
    assert_eq!(read(&store, committed[0].blob.unwrap()), noise(0, 2000));
}

#[test]
fn a_message_that_contains_a_record_is_not_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let forged = commit(&store, Some(&noise(1, 100)), &[note(666, b"forged")]);
    let pack = log_packs(directory.path()).remove(0);
    let record = fs::read(&pack).unwrap()[96..forged.position.offset as usize].to_vec();
    // Incompressible around it, so that it is stored as it is.
    let carrier = commit(&store, Some(&[noise(2, 3000), record].concat()), &[note(1, b"n")]);
    let last = commit(&store, Some(b"last"), &[]);
    drop(store);
    garble(&pack, carrier.blob.unwrap().offset + 5);
    let (_store, replayed) = open(directory.path(), settings());
    assert_eq!(
        replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(),
        [forged.position, last.position]
    );
}

#[test]
fn a_lost_tail_before_the_mark_does_not_reuse_positions() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let first = commit(&store, Some(b"one"), &[]);
    let second = commit(&store, Some(b"two"), &[]);
    store.checkpoint(second.position).unwrap();
    drop(store);
    let pack = log_packs(directory.path()).remove(0);
    OpenOptions::new().write(true).open(&pack).unwrap().set_len(first.position.offset).unwrap();
    let (store, _) = open(directory.path(), settings());
    let third = commit(&store, Some(b"three"), &[]);
    assert!(third.position > second.position);
    drop(store);
    let (_store, replayed) = open(directory.path(), settings());
    assert_eq!(replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(), [third.position]);
}

#[test]
fn a_pack_whose_founding_was_interrupted_does_not_hide_the_end_before_it() {
    for header_octets in [0, 50, 96] {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path(), settings());
        let first = commit(&store, Some(b"one"), &[]);
        drop(store);
        // Zeros that were written ahead, and a next pack whose header did not reach the disk.
        let pack = log_packs(directory.path()).remove(0);
        OpenOptions::new().write(true).open(&pack).unwrap().set_len(1 << 20).unwrap();
        let unfounded = pack.with_file_name("00000002.pack");
        fs::write(&unfounded, vec![0; header_octets]).unwrap();

        let (store, replayed) = open(directory.path(), settings());
        assert_eq!(replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(), [first.position]);
        assert_eq!(check(&store).unwrap().findings_total, 0);
        assert!(!unfounded.exists());
        assert!(commit(&store, Some(b"two"), &[]).position > first.position);
    }
}

#[test]
fn a_purge_copies_what_lives_and_removes_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), small_packs());
    let committed: Vec<_> = (0..30)
        .map(|number| {
            commit(&store, Some(&text(number, 900 + number as usize)), &[note(number as u32, b"old")])
        })
        .collect();
    let large = commit(&store, Some(&noise(99, 300_000)), &[note(99, b"large")]);
    for number in 0..60 {
        commit(&store, Some(&noise(number, 1000)), &[]);
    }
    let pack = committed[0].position.pack;
    let in_pack = committed.iter().filter(|committed| committed.position.pack == pack).count();
    assert!(large.position.pack == pack && in_pack == 30);
    assert!(matches!(store.remove(pack), Err(StorageError::Io { .. })), "the mark is before it");

    let mut moved = Vec::new();
    let summary = store
        .rewrite(
            pack,
            |entry| match entry.notes.first().map(|note| note.owner) {
                Some(99) => Keep::Blob(vec![note(99, b"moved")]),
                Some(owner) if owner % 3 == 0 => Keep::Blob(vec![note(owner, b"moved")]),
                Some(owner) if owner % 3 == 1 => Keep::Notes(vec![note(owner, b"gone")]),
                _ => Keep::Nothing,
            },
            |rewritten| moved.push(rewritten),
        )
        .unwrap();
    assert_eq!(summary.damaged, 0);
    assert_eq!(summary.copied as usize, moved.len());
    store.checkpoint(store.durable()).unwrap();
    store.remove(pack).unwrap();
    store.remove(pack).unwrap();
    assert!(matches!(store.read(committed[0].blob.unwrap()), Err(StorageError::Gone(_))));
    assert!(matches!(store.entries(pack), Err(StorageError::Gone(_))));
    for moved in &moved {
        let owner = moved.from.notes[0].owner;
        match moved.to.blob {
            Some(blob) if owner == 99 => {
                assert_eq!(Some(blob), large.blob);
                assert_eq!(read(&store, blob), noise(99, 300_000));
            }
            Some(blob) => assert_eq!(read(&store, blob), text(owner.into(), 900 + owner as usize)),
            None => assert_eq!(owner % 3, 1),
        }
    }
    let current = store.packs().unwrap().into_iter().find(|pack| !pack.sealed).unwrap();
    assert!(matches!(store.remove(current.id), Err(StorageError::Io { .. })));
    assert_eq!(check(&store).unwrap().findings_total, 0);
}

#[test]
fn pack_numbers_are_not_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let large = commit(&store, Some(&noise(1, 300_000)), &[]).blob.unwrap();
    let large = {
        // A later one, so that its number is the newest.
        store.remove(large.pack).unwrap();
        commit(&store, Some(&noise(2, 300_000)), &[]).blob.unwrap()
    };
    store.remove(large.pack).unwrap();
    drop(store);
    let (store, _) = open(directory.path(), settings());
    let next = commit(&store, Some(&noise(3, 300_000)), &[]).blob.unwrap();
    assert!(next.pack > large.pack);
}

#[test]
fn an_open_reader_outlives_a_purge() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let mail = noise(1, 700_000);
    let at = commit(&store, Some(&mail), &[]).blob.unwrap();
    let reader = store.read(at).unwrap();
    store.remove(at.pack).unwrap();
    assert!(matches!(store.read(at), Err(StorageError::Gone(_))));
    assert_eq!(reader.read_at(0..700_000).unwrap(), mail);
}

#[test]
fn a_closed_store_takes_nothing_and_still_reads() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let committed = commit(&store, Some(b"mail"), &[]);
    store.close();
    store.close();
    let refused = store.commit(NewEntry { blob: None, notes: vec![note(1, b"n")] });
    assert!(matches!(refused, Err(StorageError::Closed)));
    assert_eq!(read(&store, committed.blob.unwrap()), b"mail");
}

#[test]
fn the_last_handle_may_go_in_a_completion() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let (sender, receiver) = mpsc::channel();
    let other = store.clone();
    let (go, gone) = mpsc::channel::<()>();
    store.submit(
        NewEntry { blob: None, notes: vec![note(1, b"n")] },
        Box::new(move |result| {
            gone.recv().unwrap();
            drop(other);
            sender.send(result.is_ok()).unwrap();
        }),
    );
    drop(store);
    go.send(()).unwrap();
    assert!(receiver.recv().unwrap());
}

#[test]
fn a_panicking_completion_does_not_stop_the_committer() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    store.submit(entry(&store, Some(b"x"), &[]), Box::new(|_| panic!("a fault of the caller")));
    commit(&store, Some(b"y"), &[]);
    assert_eq!(store.statistics().entries, 2);
}

#[test]
fn a_short_disk_refuses_mail_and_takes_deletions() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), settings());
    let waiting = entry(&store, Some(b"mail"), &[note(1, b"filed")]);
    drop(store);
    let short = PackSettings { free_octets_min: u64::MAX, ..settings() };
    let (store, _) = open(directory.path(), short);
    assert!(matches!(store.new_blob(), Err(StorageError::Full)));
    assert!(matches!(store.commit(waiting), Err(StorageError::Full)));
    commit(&store, None, &[note(1, b"expunged")]);
    assert_eq!(store.statistics().entries, 1);
}

#[test]
fn sixty_four_writers_share_syncs_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), PackSettings { pack_octets: 256 << 10, ..settings() });
    let mut committed: Vec<(u64, Committed)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..64)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let mail = |number| noise(writer * 1000 + number, 900 + number as usize);
                    let committed: Vec<_> = (0..12)
                        .map(|number| {
                            let committed = commit(store, Some(&mail(number)), &[note(writer as u32, b"n")]);
                            assert_eq!(read(store, committed.blob.unwrap()), mail(number));
                            (writer * 1000 + number, committed)
                        })
                        .collect();
                    assert!(committed.is_sorted_by_key(|(_, committed)| committed.position));
                    committed
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    committed.sort_by_key(|(_, committed)| committed.position);
    let statistics = store.statistics();
    assert_eq!((statistics.entries, statistics.waiting_entries, statistics.waiting_octets), (64 * 12, 0, 0));
    assert!(statistics.groups < statistics.entries / 2, "{statistics:?}");
    drop(store);
    let (store, replayed) = open(directory.path(), settings());
    let expected: Vec<_> = committed.iter().map(|(_, committed)| committed.position).collect();
    assert_eq!(replayed.iter().map(|entry| entry.position).collect::<Vec<_>>(), expected);
    for (seed, committed) in committed {
        assert_eq!(read(&store, committed.blob.unwrap()), noise(seed, 900 + (seed % 1000) as usize));
    }
}

#[test]
fn completions_run_in_log_order() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), small_packs());
    let (sender, receiver) = mpsc::channel();
    for number in 0..500_u32 {
        let sender = sender.clone();
        let new = entry(&store, Some(&noise(number.into(), 300)), &[]);
        store.submit(new, Box::new(move |result| sender.send((number, result.unwrap().position)).unwrap()));
    }
    drop(sender);
    let completed: Vec<_> = receiver.iter().collect();
    assert_eq!(completed.len(), 500);
    assert!(completed.is_sorted());
}

/// What happens to the part of the last pack that was not synced when the power went.
#[derive(Clone, Debug)]
enum Cut {
    /// The file ends here.
    Short(prop::sample::Index),
    /// From here on there are zeros.
    Zeros(prop::sample::Index),
    /// Some octets are wrong.
    Garbled(Vec<prop::sample::Index>),
    /// A piece of 512 octets is missing, what is behind it is there.
    Hole(prop::sample::Index),
}

fn cuts() -> impl Strategy<Value = Cut> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Cut::Short),
        any::<prop::sample::Index>().prop_map(Cut::Zeros),
        prop::collection::vec(any::<prop::sample::Index>(), 1..4).prop_map(Cut::Garbled),
        any::<prop::sample::Index>().prop_map(Cut::Hole),
    ]
}

fn apply(cut: &Cut, tail: &mut Vec<u8>) {
    let length = tail.len();
    match cut {
        Cut::Short(at) => tail.truncate(at.index(length)),
        Cut::Zeros(at) => tail[at.index(length)..].fill(0),
        Cut::Garbled(places) => places.iter().for_each(|at| tail[at.index(length)] ^= 0x41),
        Cut::Hole(at) => {
            let start = at.index(length);
            tail[start..length.min(start + 512)].fill(0);
        }
    }
}

/// Entries as (octets, notes), submitted in groups of which each is one sync at most.
type Plan = Vec<(Option<u16>, u8)>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_power_cut_leaves_what_was_acknowledged_and_a_prefix_of_the_rest(
        acknowledged in prop::collection::vec((prop::option::of(0_u16..5000), 0_u8..3), 0..12),
        waiting in prop::collection::vec((prop::option::of(0_u16..5000), 0_u8..3), 1..8),
        cut in cuts(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path(), settings());
        let submit_all = |plan: &Plan| -> Vec<Committed> {
            let (sender, receiver) = mpsc::channel();
            for (number, (octets, notes)) in plan.iter().enumerate() {
                let mail = octets.map(|octets| noise(number as u64, octets.into()));
                let notes: Vec<_> = (0..*notes).map(|owner| note(owner.into(), b"a note")).collect();
                let sender = sender.clone();
                let new = entry(&store, mail.as_deref(), &notes);
                store.submit(new, Box::new(move |result| sender.send(result.unwrap()).unwrap()));
            }
            drop(sender);
            receiver.iter().collect()
        };
        let durable = submit_all(&acknowledged);
        store.close();
        let pack = log_packs(directory.path()).pop();
        let before = pack.as_ref().map_or(96, |pack| fs::metadata(pack).unwrap().len()) as usize;
        drop(store);

        // All that waits goes out as one group: the queue is filled before the committer starts on it.
        let (store, _) = open(directory.path(), settings());
        let batch: Vec<NewEntry> = waiting
            .iter()
            .map(|(octets, _)| entry(&store, octets.map(|octets| noise(9, octets.into())).as_deref(), &[note(9, b"w")]))
            .collect();
        let (sender, receiver) = mpsc::channel();
        let sender_of_gate = sender.clone();
        drop(sender_of_gate);
        for new in batch {
            let sender = sender.clone();
            store.submit(new, Box::new(move |result| sender.send(result.unwrap()).unwrap()));
        }
        drop(sender);
        let unsure: Vec<Committed> = receiver.iter().collect();
        drop(store);

        let pack = log_packs(directory.path()).pop().unwrap();
        let mut octets = fs::read(&pack).unwrap();
        let mut tail = octets.split_off(before);
        // Only the last group can be torn: what an earlier one holds was synced. Which one was last, the
        // heads say; so cut behind the last group's start.
        let last_group = last_group_start(&octets, &tail, &unsure);
        let mut torn = tail.split_off(last_group - before);
        apply(&cut, &mut torn);
        fs::write(&pack, [octets, tail, torn].concat()).unwrap();

        let (store, replayed) = open(directory.path(), settings());
        let all: Vec<_> = durable.iter().chain(&unsure).collect();
        let sure = durable.len() + unsure.iter().filter(|c| c.position.offset <= last_group as u64).count();
        prop_assert!(replayed.len() >= sure, "{} of {} acknowledged entries", replayed.len(), sure);
        for (replayed, committed) in replayed.iter().zip(&all) {
            prop_assert_eq!(replayed.position, committed.position);
            prop_assert_eq!(replayed.blob.map(|blob| blob.at), committed.blob);
            if let Some(blob) = committed.blob {
                store.read(blob).unwrap();
            }
        }
        // And the log goes on where it ended.
        let next = commit(&store, Some(b"next"), &[note(1, b"next")]);
        drop(store);
        let (store, again) = open(directory.path(), settings());
        prop_assert_eq!(again.len(), replayed.len() + 1);
        prop_assert_eq!(again.last().map(|entry| entry.position), Some(next.position));
        prop_assert_eq!(check(&store).unwrap().findings_total, 0);
    }
}

/// Where the group of the last entry began (its head says how far back).
fn last_group_start(octets: &[u8], tail: &[u8], entries: &[Committed]) -> usize {
    let all = [octets, tail].concat();
    let last = entries.last().unwrap().position.offset as usize;
    let start =
        entries.iter().rev().nth(1).map_or(octets.len(), |previous| previous.position.offset as usize);
    let head = storage::record::RecordHead::parse(&all[start..]).unwrap();
    assert_eq!(start + head.record_octets() as usize, last);
    start - head.group_distance as usize
}

#[test]
fn packs_are_listed_with_kind_and_state() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), small_packs());
    for number in 0..10 {
        commit(&store, Some(&noise(number, 4000)), &[]);
    }
    commit(&store, Some(&noise(1, 300_000)), &[]);
    let packs = store.packs().unwrap();
    assert_eq!(packs.iter().filter(|pack| !pack.sealed).count(), 1);
    assert_eq!(packs.iter().filter(|pack| pack.kind == PackKind::Blob).count(), 1);
    assert!(
        packs.iter().filter(|pack| pack.kind == PackKind::Log).all(|pack| pack.octets <= (1 << 20) + 8192)
    );
    assert!(packs.is_sorted_by_key(|pack| pack.id));
}
