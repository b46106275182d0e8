//! The shim around a real process: this test program runs itself as the victim, kills it and cuts its power.

#![allow(clippy::unwrap_used)] // In what the tests share; a panic is how a test fails.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use storage::{
    CacheBudget, Database, Durability, NewEntry, Note, PackSettings, PackStore, StorageError, WalCheckpoint,
    check, rusqlite,
};

/// The directories of one victim, on one file system.
struct Scene {
    root: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { root: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.data()).unwrap();
        scene
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn journal(&self) -> PathBuf {
        self.root.path().join("journal")
    }

    /// Starts this program again, to run one of the victims below.
    fn start(&self, victim: &str) -> Victim {
        self.start_with_failing_syncs(victim, 0)
    }

    fn start_with_failing_syncs(&self, victim: &str, every: u64) -> Victim {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .env("VICTIM", victim)
            .env("POWERCUT_DIR", self.data())
            .env("POWERCUT_JOURNAL", self.journal())
            .env("POWERCUT_FAIL_SYNC_EVERY", every.to_string())
            .env("LD_PRELOAD", shim())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Victim { child, output }
    }

    fn cut(&self, seed: u64) {
        let status = Command::new(env!("CARGO_BIN_EXE_powercut"))
            .args(["apply", "--seed", &seed.to_string(), "--dir"])
            .arg(self.data())
            .arg("--journal")
            .arg(self.journal())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

struct Victim {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Victim {
    /// What it says after "said ", line by line; `None` once it is dead.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness writes before the first one. A line that the kill has cut short was not said.
            if let Some((_, said)) = line.strip_suffix('\n').and_then(|line| line.split_once("said ")) {
                return Some(said.to_owned());
            }
        }
    }

    /// Waits for the line, then kills.
    fn kill_after(mut self, line: &str) {
        while self.line().unwrap() != line {}
        self.kill();
    }

    /// Kills; gives what it still had said.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.line()).collect()
    }
}

fn shim() -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_powercut")).parent().unwrap();
    let shim = directory.join("deps/libpowercut_shim.so");
    assert!(shim.exists(), "{} is built with the package", shim.display());
    shim
}

fn say(line: &str) {
    println!("said {line}");
    std::io::stdout().flush().unwrap();
}

fn wait_for_the_end() -> ! {
    say("done");
    loop {
        std::thread::park();
    }
}

/// Not a test by itself: what the other tests run as a process of its own.
#[test]
fn victim() {
    let Ok(victim) = std::env::var("VICTIM") else { return };
    let data = PathBuf::from(std::env::var_os("POWERCUT_DIR").unwrap());
    match victim.as_str() {
        "files" => files(&data),
        "overwrites" => overwrites(&data),
        "names" => names(&data),
        "packs" => packs(&data),
        "database" => database(&data),
        other => panic!("no victim is called {other}"),
    }
}

/// One file with each grade of care.
fn files(data: &Path) {
    let write = |name: &str| {
        let mut file = File::create(data.join(name)).unwrap();
        file.write_all(&[b'x'; 10_000]).unwrap();
        file
    };
    write("synced").sync_all().unwrap();
    File::open(data).unwrap().sync_all().unwrap();
    write("without-name").sync_data().unwrap();
    let _ = write("careless");
    wait_for_the_end();
}

#[test]
fn what_is_synced_stays_and_the_rest_may_go() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let scene = Scene::new();
        scene.start("files").kill_after("done");
        scene.cut(seed);
        assert_eq!(fs::read(scene.data().join("synced")).unwrap(), [b'x'; 10_000]);
        let octets = |name: &str| fs::read(scene.data().join(name)).ok();
        let without_name = octets("without-name");
        assert!(without_name.is_none() || without_name == Some(vec![b'x'; 10_000]));
        let careless = octets("careless");
        seen.insert((without_name.is_some(), careless.map(|octets| octets == [b'x'; 10_000])));
    }
    let all = [(false, None), (true, None), (true, Some(false)), (true, Some(true))];
    assert!(all.iter().all(|outcome| seen.contains(outcome)), "{seen:?}");
}

/// Three syncless rounds over 64 KiB that were synced before.
fn overwrites(data: &Path) {
    let path = data.join("file");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all_at(&[b'0'; 65_536], 0).unwrap();
    file.sync_all().unwrap();
    File::open(data).unwrap().sync_all().unwrap();
    file.write_all_at(&[b'1'; 65_536], 0).unwrap();
    file.set_len(10_000).unwrap();
    file.write_all_at(&[b'2'; 40_000], 5_000).unwrap();
    wait_for_the_end();
}

#[test]
fn unsynced_writes_are_kept_lost_reordered_and_torn() {
    let (mut lengths, mut torn, mut reordered) = (BTreeSet::new(), false, false);
    for seed in 0..60 {
        let scene = Scene::new();
        scene.start("overwrites").kill_after("done");
        scene.cut(seed);
        let octets = fs::read(scene.data().join("file")).unwrap();
        lengths.insert(octets.len());
        assert!(octets.iter().all(|octet| matches!(octet, b'0' | b'1' | b'2' | 0)));
        for (at, sector) in octets.chunks(512).enumerate() {
            let is_border = (at * 512..at * 512 + 512).any(|octet| [5_000, 10_000, 45_000].contains(&octet));
            assert!(is_border || sector.iter().all(|octet| *octet == sector[0]), "sectors are whole");
        }
        for page in octets.chunks(4096).skip(3).take(7) {
            torn |= page.iter().any(|octet| *octet != page[0]);
        }
        reordered |= octets.get(4_999) == Some(&b'0') && octets.get(20_480) == Some(&b'2');
    }
    assert_eq!(lengths, BTreeSet::from([10_000, 45_000, 65_536]));
    assert!(torn && reordered);
}

/// Renames, removals and directories.
fn names(data: &Path) {
    let sync = |directory: &Path| File::open(directory).unwrap().sync_all().unwrap();
    for name in ["old", "target", "removed"] {
        let mut file = File::create(data.join(name)).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    sync(data);
    fs::rename(data.join("old"), data.join("target")).unwrap();
    fs::remove_file(data.join("removed")).unwrap();
    fs::create_dir(data.join("directory")).unwrap();
    fs::hard_link(data.join("target"), data.join("directory/link")).unwrap();
    wait_for_the_end();
}

#[test]
fn names_survive_in_their_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let scene = Scene::new();
        scene.start("names").kill_after("done");
        scene.cut(seed);
        let read = |name: &str| fs::read_to_string(scene.data().join(name)).ok();
        let renamed = match (read("old").as_deref(), read("target").as_deref()) {
            (Some("old"), Some("target")) => false,
            (None, Some("old")) => true,
            other => panic!("neither before nor after: {other:?}"),
        };
        let removed = read("removed").is_none();
        assert_eq!(read("removed").unwrap_or_else(|| "removed".to_owned()), "removed");
        let created = scene.data().join("directory").is_dir();
        let linked = read("directory/link").is_some();
        assert!(renamed >= removed && removed >= created && created >= linked, "seed {seed}");
        seen.insert((renamed, removed, created, linked));
        assert_eq!(fs::read_dir(scene.journal()).unwrap().count(), 0);
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

fn settings() -> PackSettings {
    PackSettings { pack_octets: 64 << 10, free_octets_min: 0, reserve_octets: 0, ..PackSettings::default() }
}

/// Octets that do not compress, told by their number.
fn mail(number: u64) -> Vec<u8> {
    // Every fiftieth is large enough for a pack of its own.
    let octets = if number.is_multiple_of(50) { 300_000 } else { 100 + number * 37 % 6_000 };
    let mut mail = vec![0; octets as usize];
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for octet in &mut mail {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *octet = (state >> 40) as u8;
    }
    mail
}

fn number_of(note: &Note) -> u64 {
    u64::from_le_bytes(note.octets.as_slice().try_into().unwrap())
}

/// Four writers that say each mail as soon as it is durable.
fn packs(data: &Path) {
    let (store, replay) = PackStore::open(&data.join("packs"), settings()).unwrap();
    let next = replay.map(|entry| number_of(&entry.unwrap().notes[0]) + 1).max().unwrap_or(0);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in (next + writer..next + 4000).step_by(4) {
                    match store_mail(store, number) {
                        Ok(()) => say(&number.to_string()),
                        Err(StorageError::Io { .. }) => say("refused"),
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    wait_for_the_end();
}

fn store_mail(store: &PackStore, number: u64) -> Result<(), StorageError> {
    let mut blob = store.new_blob()?;
    blob.write(&mail(number))?;
    let note = Note { owner: 1, octets: number.to_le_bytes().to_vec() };
    let committed = store.commit(NewEntry { blob: Some(blob.finish()?), notes: vec![note] })?;
    if number.is_multiple_of(97) {
        // A mark that cannot be written stays where it is.
        let _ = store.checkpoint(committed.position);
    }
    Ok(())
}

#[test]
fn every_acknowledged_mail_survives_many_power_cuts() {
    power_cuts(25, 0);
}

#[test]
fn every_acknowledged_mail_survives_failing_syncs_and_power_cuts() {
    power_cuts(15, 9);
}

fn power_cuts(rounds: u64, failing_syncs: u64) {
    let scene = Scene::new();
    let (mut acknowledged, mut has_refused) = (BTreeSet::new(), false);
    for round in 0..rounds {
        let mut victim = scene.start_with_failing_syncs("packs", failing_syncs);
        for _ in 0..1 + round * 7 % 60 {
            acknowledged.insert(victim.line().unwrap());
        }
        acknowledged.extend(victim.kill());
        has_refused |= acknowledged.remove("refused");
        scene.cut(round);

        let (store, _) = PackStore::open(&scene.data().join("packs"), settings()).unwrap();
        let mut found = BTreeSet::new();
        for pack in store.packs().unwrap() {
            for entry in store.entries(pack.id).unwrap() {
                let entry = entry.unwrap();
                let Some(note) = entry.notes.first() else { continue };
                let number = number_of(note);
                let reader = store.read(entry.blob.unwrap().at).unwrap();
                assert!(reader.read_at(0..u64::MAX).unwrap() == mail(number), "mail {number}");
                found.insert(number.to_string());
            }
        }
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let report = check(&store).unwrap();
        assert!(report.findings.is_empty(), "round {round}: {:?}", report.findings);
    }
    assert!(acknowledged.len() > 150, "{}", acknowledged.len());
    assert_eq!(has_refused, failing_syncs != 0);
}

const SCHEMA: &[&str] = &["CREATE TABLE number (value INTEGER PRIMARY KEY, padding BLOB)"];

/// A derived database with checkpoints, and a durable one.
fn database(data: &Path) {
    let derived = data.join("accounts/1/index.db");
    let mut derived = Database::open(&derived, Durability::Derived, CacheBudget::Small, SCHEMA).unwrap();
    let durable = data.join("directory.db");
    let mut durable = Database::open(&durable, Durability::Durable, CacheBudget::Small, SCHEMA).unwrap();
    let next = highest(&durable).max(highest(&derived)) + 1;
    for number in next..next + 100_000 {
        insert(&mut derived, number);
        insert(&mut durable, number);
        say(&format!("durable {number}"));
        if number % 13 == 0 && derived.checkpoint().unwrap() == WalCheckpoint::Complete {
            say(&format!("derived {number}"));
        }
    }
}

fn insert(database: &mut Database, number: i64) {
    let transaction = database.transaction().unwrap();
    let padding = vec![b'p'; (number * 131 % 3_000) as usize];
    transaction.execute("INSERT INTO number VALUES (?1, ?2)", rusqlite::params![number, padding]).unwrap();
    transaction.commit().unwrap();
}

fn highest(database: &Database) -> i64 {
    let query = "SELECT coalesce(max(value), 0) FROM number";
    database.connection().query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn databases_keep_what_they_promise_across_many_power_cuts() {
    let scene = Scene::new();
    let (mut durable, mut derived) = (0, 0);
    for round in 0..25_u64 {
        let mut victim = scene.start("database");
        let mut said = Vec::new();
        for _ in 0..1 + round * 11 % 70 {
            said.push(victim.line().unwrap());
        }
        said.extend(victim.kill());
        for line in &said {
            let (what, number) = line.split_once(' ').unwrap();
            let number: i64 = number.parse().unwrap();
            match what {
                "durable" => durable = number,
                _ => derived = number,
            }
        }
        scene.cut(round);
        for (path, promised) in [("directory.db", durable), ("accounts/1/index.db", derived)] {
            let path = scene.data().join(path);
            if promised == 0 && !path.exists() {
                continue;
            }
            let database = Database::open(&path, Durability::Derived, CacheBudget::Small, SCHEMA).unwrap();
            assert_eq!(database.quick_check().unwrap(), [""; 0], "round {round}: {}", path.display());
            if promised > 0 {
                let found = highest(&database);
                assert!(found >= promised, "round {round}: {} has {found}, not {promised}", path.display());
            }
        }
    }
    assert!(durable > 300 && derived > 300, "{durable} {derived}");
}
