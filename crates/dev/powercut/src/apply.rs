//! After the kill: for everything that was not synced, decides by the seed what a power cut would have left.
//!
//! Contents: each 4 KiB page of a file becomes one of the versions it has had since the last sync, or a mix of
//! two of them at a 512-octet border; the length becomes one that the file has had. Names: of what happened in
//! each directory since its last sync, a first part survives, in order, as in a journalling file system.

use crate::journal::{Kind, Record};
use crate::random::Random;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const PAGE_OCTETS: u64 = 4096;
const SECTOR_OCTETS: usize = 512;
const SECTORS: usize = PAGE_OCTETS as usize / SECTOR_OCTETS;

type Page = Vec<u8>;

/// What the cut did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) files: u64,
    pub(crate) pages_kept: u64,
    pub(crate) pages_lost: u64,
    pub(crate) pages_torn: u64,
    pub(crate) names_kept: u64,
    pub(crate) names_lost: u64,
}

/// A change of names that is not durable, and the file kept for it.
struct NameChange {
    record: Record,
    saved: PathBuf,
}

/// What the journals say is not durable.
#[derive(Default)]
struct Pending {
    data: BTreeMap<u64, Vec<Record>>,
    names: Vec<NameChange>,
}

/// Cuts the power of what was written below `directory` with its journal in `journal`.
pub(crate) fn apply(directory: &Path, journal: &Path, seed: u64) -> Result<Summary> {
    let mut random = Random::new(seed);
    let mut summary = Summary::default();
    let pending = read_journals(journal)?;
    let mut paths = HashMap::new();
    find_inodes(directory, &mut paths)?;
    find_inodes(journal, &mut paths)?;
    for (inode, records) in &pending.data {
        // A file that is gone for good, names and all, needs no cut.
        if let Some(path) = paths.get(inode) {
            cut_file(path, records, &mut random, &mut summary)
                .with_context(|| format!("cutting {}", path.display()))?;
        }
    }
    cut_names(&pending.names, &mut random, &mut summary)?;
    remove_shared_memory(directory)?;
    for entry in fs::read_dir(journal)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(summary)
}

/// Reads the journals of all processes, the one that wrote last at the end.
fn read_journals(directory: &Path) -> Result<Pending> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(directory).context("reading the journal's directory")? {
        let entry = entry?;
        if let Some(process) = entry.file_name().to_str().and_then(|name| name.strip_prefix("journal-")) {
            journals.push((entry.metadata()?.modified()?, entry.path(), process.to_owned()));
        }
    }
    journals.sort();
    let mut pending = Pending::default();
    for (_, path, process) in journals {
        let octets = fs::read(&path)?;
        let mut rest = octets.as_slice();
        let mut data: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        let mut names: Vec<NameChange> = Vec::new();
        while let Some(record) = Record::decode(&mut rest) {
            let upto = record.upto;
            match record.kind {
                Kind::Data => data.entry(record.inode).or_default().push(record),
                Kind::Create | Kind::Remove | Kind::Rename => {
                    let saved = directory.join(format!("saved-{process}-{}", record.number));
                    names.push(NameChange { record, saved });
                }
                // A sync covers what earlier processes wrote, too.
                Kind::SyncFile => {
                    pending.data.remove(&record.inode);
                    if let Some(records) = data.get_mut(&record.inode) {
                        records.retain(|record| record.number > upto);
                    }
                }
                Kind::SyncDirectory => {
                    let is_synced = |change: &NameChange| change.touches(record.directory);
                    pending.names.retain(|change| !is_synced(change));
                    names.retain(|change| change.record.number > upto || !is_synced(change));
                }
                Kind::SyncAll => {
                    pending = Pending::default();
                    data.values_mut().for_each(|records| records.retain(|record| record.number > upto));
                    names.retain(|change| change.record.number > upto);
                }
            }
        }
        for (inode, records) in data {
            pending.data.entry(inode).or_default().extend(records);
        }
        pending.names.append(&mut names);
    }
    pending.data.retain(|_, records| !records.is_empty());
    Ok(pending)
}

fn find_inodes(directory: &Path, paths: &mut HashMap<u64, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            find_inodes(&entry.path(), paths)?;
        } else if metadata.is_file() {
            // Sockets hold nothing, and may have the number of a file that is gone.
            paths.entry(metadata.ino()).or_insert_with(|| entry.path());
        }
    }
    Ok(())
}

/// How much of one file's unsynced writes reached the disk.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Nothing,
    Everything,
    /// The first so many writes, as if the kernel had written back at that moment.
    First(usize),
    /// Each page for itself.
    Mixed,
}

impl Luck {
    fn draw(random: &mut Random, writes: usize) -> Luck {
        match random.below(5) {
            0 => Luck::Nothing,
            1 => Luck::Everything,
            2 => Luck::First(random.below(writes as u64 + 1) as usize),
            _ => Luck::Mixed,
        }
    }
}

/// The versions of one page: the durable one first, each with the number of the write that made it.
type Versions = Vec<(usize, Page)>;

fn cut_file(path: &Path, records: &[Record], random: &mut Random, summary: &mut Summary) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (versions, lengths) = versions_of(&file, records)?;
    let luck = Luck::draw(random, records.len());
    let newest = lengths.len() - 1;
    let length = lengths[match luck {
        Luck::Nothing => 0,
        Luck::Everything => newest,
        Luck::First(writes) => writes,
        Luck::Mixed => random.below(lengths.len() as u64) as usize,
    }];
    summary.files += 1;
    for (page, versions) in versions {
        let content = choose(&versions, luck, random, summary);
        file.write_all_at(&content, page * PAGE_OCTETS)?;
    }
    file.set_len(length)?;
    Ok(())
}

/// All versions of all touched pages, and the lengths before the first write, after it, and so on.
fn versions_of(file: &File, records: &[Record]) -> Result<(BTreeMap<u64, Versions>, Vec<u64>)> {
    let mut length = file.metadata()?.len();
    let mut lengths = vec![length];
    let mut present: BTreeMap<u64, Page> = BTreeMap::new();
    let mut versions: BTreeMap<u64, Versions> = BTreeMap::new();
    for (index, record) in records.iter().enumerate().rev() {
        let number = index + 1;
        let before_end = record.offset + record.before.len() as u64;
        let grown = if length > record.octets_before { record.octets_before..length } else { 0..0 };
        for range in [record.offset..before_end, grown.clone()] {
            for page in pages(&range) {
                let content = load(file, &mut present, page)?.clone();
                let versions = versions.entry(page).or_default();
                if versions.last().is_none_or(|(last, _)| *last != number) {
                    versions.push((number, content));
                }
            }
        }
        // Back to the time before this write: what it made longer was not there.
        for page in pages(&grown) {
            let content = load(file, &mut present, page)?;
            let from = record.octets_before.saturating_sub(page * PAGE_OCTETS).min(PAGE_OCTETS);
            content[from as usize..].fill(0);
        }
        for page in pages(&(record.offset..before_end)) {
            let start = page * PAGE_OCTETS;
            let content = load(file, &mut present, page)?;
            for (at, octet) in content.iter_mut().enumerate() {
                let offset = start + at as u64;
                if (record.offset..before_end).contains(&offset) {
                    *octet = record.before[(offset - record.offset) as usize];
                }
            }
        }
        length = record.octets_before;
        lengths.push(length);
    }
    for (page, versions) in &mut versions {
        versions.push((0, load(file, &mut present, *page)?.clone()));
        versions.reverse();
    }
    lengths.reverse();
    Ok((versions, lengths))
}

fn pages(range: &std::ops::Range<u64>) -> std::ops::Range<u64> {
    if range.is_empty() { 0..0 } else { range.start / PAGE_OCTETS..range.end.div_ceil(PAGE_OCTETS) }
}

/// A page as it is in the file, zeros behind its end.
fn load<'a>(file: &File, present: &'a mut BTreeMap<u64, Page>, page: u64) -> io::Result<&'a mut Page> {
    match present.entry(page) {
        std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
        std::collections::btree_map::Entry::Vacant(entry) => {
            let mut content = vec![0; PAGE_OCTETS as usize];
            let mut filled = 0;
            while filled < content.len() {
                match file.read_at(&mut content[filled..], page * PAGE_OCTETS + filled as u64)? {
                    0 => break,
                    octets => filled += octets,
                }
            }
            Ok(entry.insert(content))
        }
    }
}

fn choose(versions: &Versions, luck: Luck, random: &mut Random, summary: &mut Summary) -> Page {
    let newest = versions.len() - 1;
    let number = match luck {
        Luck::Nothing => 0,
        Luck::Everything => newest,
        Luck::First(writes) => versions.iter().rposition(|(number, _)| *number <= writes).unwrap_or(0),
        Luck::Mixed => random.below(versions.len() as u64) as usize,
    };
    let mut content = versions[number].1.clone();
    if matches!(luck, Luck::Mixed) && random.below(4) == 0 {
        let other = &versions[random.below(versions.len() as u64) as usize].1;
        let border = (1 + random.below(SECTORS as u64 - 1) as usize) * SECTOR_OCTETS;
        content[border..].copy_from_slice(&other[border..]);
        summary.pages_torn += 1;
    } else if number == newest {
        summary.pages_kept += 1;
    } else {
        summary.pages_lost += 1;
    }
    content
}

impl NameChange {
    fn directories(&self) -> impl Iterator<Item = u64> {
        let record = &self.record;
        let is_move = record.kind == Kind::Rename && record.other_directory != record.directory;
        let other = is_move.then_some(record.other_directory);
        std::iter::once(record.directory).chain(other)
    }

    fn touches(&self, directory: u64) -> bool {
        self.directories().any(|touched| touched == directory)
    }

    /// Makes it as if it had not happened. Whatever is not there any more need not be undone.
    fn undo(&self) -> io::Result<()> {
        let path = path_of(&self.record.path);
        // Its directory may be lost too: then there is no place to come back to.
        let has_place = path.parent().is_some_and(Path::exists);
        match self.record.kind {
            Kind::Create => match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(_) => Ok(()),
            },
            Kind::Remove | Kind::Rename if !has_place => Ok(()),
            Kind::Remove if self.saved.exists() => restore(&self.saved, &path),
            Kind::Remove => fs::create_dir(&path).or_else(ignore_existing),
            // The kill came between the announcement and the change.
            Kind::Rename if fs::symlink_metadata(&path).is_ok() => Ok(()),
            Kind::Rename => {
                let other = path_of(&self.record.other);
                if fs::symlink_metadata(&other).is_ok() {
                    fs::rename(&other, &path)?;
                }
                let had_other = self.saved.exists() && other.parent().is_some_and(Path::exists);
                if had_other { restore(&self.saved, &other) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

fn restore(saved: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(saved, path).or_else(ignore_existing)
}

/// The change was announced, and the kill came before it was made.
fn ignore_existing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

fn path_of(octets: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(octets.to_vec()))
}

fn cut_names(names: &[NameChange], random: &mut Random, summary: &mut Summary) -> Result<()> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for directory in names.iter().flat_map(NameChange::directories) {
        *counts.entry(directory).or_default() += 1;
    }
    let mut surviving: HashMap<u64, u64> = HashMap::new();
    for (directory, count) in counts {
        let survive = match random.below(3) {
            0 => 0,
            1 => count,
            _ => random.below(count + 1),
        };
        surviving.insert(directory, survive);
    }
    // A change survives if all its directories have come so far; behind one that did not, nothing does.
    let mut ended = HashSet::new();
    let mut lost = Vec::new();
    for change in names {
        let directories: Vec<u64> = change.directories().collect();
        let is_lost = directories.iter().any(|directory| {
            ended.contains(directory) || surviving.get(directory).copied().unwrap_or(0) == 0
        });
        if is_lost {
            ended.extend(directories);
            lost.push(change);
        } else {
            for directory in directories {
                surviving.entry(directory).and_modify(|left| *left -= 1);
            }
        }
    }
    summary.names_kept += (names.len() - lost.len()) as u64;
    summary.names_lost += lost.len() as u64;
    for change in lost.into_iter().rev() {
        change.undo().with_context(|| {
            format!("undoing {:?} of {}", change.record.kind, path_of(&change.record.path).display())
        })?;
    }
    Ok(())
}

fn remove_shared_memory(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_shared_memory(&entry.path())?;
        } else if entry.file_name().as_encoded_bytes().ends_with(b"-shm") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
