//! What the shim knows: which descriptors are watched, and how each change is written into the journal before
//! it happens.

use crate::journal::{Kind, Record};
use crate::raw;
use libc::c_int;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Descriptors beyond this are looked at anew for each call.
const DESCRIPTORS: usize = 65_536;

const UNKNOWN: u8 = 0;
const STRANGER: u8 = 1;
const FILE: u8 = 2;
const DIRECTORY: u8 = 3;

static SORTS: [AtomicU8; DESCRIPTORS] = [const { AtomicU8::new(UNKNOWN) }; DESCRIPTORS];

static SHIM: OnceLock<Option<Shim>> = OnceLock::new();

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Stranger,
    File,
    Directory,
}

/// The watched directory and the journal.
#[derive(Debug)]
pub(crate) struct Shim {
    directory: Vec<u8>,
    journal_directory: Vec<u8>,
    sync_micros: u64,
    /// Every so many file syncs fail; 0: none.
    failing_syncs: u64,
    syncs: AtomicU64,
    journal: Mutex<Journal>,
}

/// The open journal. Whoever holds it changes files alone, so that records are in the order of events.
#[derive(Debug)]
pub(crate) struct Journal {
    fd: c_int,
    number: u64,
    saved_prefix: Vec<u8>,
}

/// A name below the watched directory.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) path: CString,
    pub(crate) directory: u64,
}

/// The shim, if the environment asks for one.
pub(crate) fn shim() -> Option<&'static Shim> {
    SHIM.get_or_init(Shim::from_environment).as_ref()
}

/// Forgets what a descriptor number meant: it is closed, or means something else now.
pub(crate) fn forget(fd: c_int) {
    if let Some(sort) = usize::try_from(fd).ok().and_then(|fd| SORTS.get(fd)) {
        sort.store(UNKNOWN, Ordering::Relaxed);
    }
}

impl Shim {
    fn from_environment() -> Option<Shim> {
        let directory = CString::new(std::env::var_os("POWERCUT_DIR")?.into_vec()).ok()?;
        let journal = CString::new(std::env::var_os("POWERCUT_JOURNAL")?.into_vec()).ok()?;
        let sync_micros = number_from("POWERCUT_SYNC_MICROS").unwrap_or(200);
        let failing_syncs = number_from("POWERCUT_FAIL_SYNC_EVERY").unwrap_or(0);
        let directory = canonical(&directory)?;
        raw::mkdir(&journal);
        let journal_directory = canonical(&journal)?;
        let process = std::process::id();
        let file = join(&journal_directory, format!("journal-{process}").as_bytes())?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | libc::O_CLOEXEC;
        let fd = raw::open(libc::AT_FDCWD, &file, flags, 0o600);
        if fd < 0 {
            return None;
        }
        let saved_prefix = format!("saved-{process}-").into_bytes();
        let journal = Mutex::new(Journal { fd, number: 0, saved_prefix });
        let syncs = AtomicU64::new(0);
        Some(Shim { directory, journal_directory, sync_micros, failing_syncs, syncs, journal })
    }

    /// The journal, and with it the right to change files.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a descriptor leads to. Asked once for each.
    pub(crate) fn sort(&self, fd: c_int) -> Sort {
        let known = usize::try_from(fd).ok().and_then(|fd| SORTS.get(fd));
        let sort = match known.map_or(UNKNOWN, |sort| sort.load(Ordering::Relaxed)) {
            UNKNOWN => self.look_at(fd),
            sort => sort,
        };
        if let Some(known) = known {
            known.store(sort, Ordering::Relaxed);
        }
        match sort {
            FILE => Sort::File,
            DIRECTORY => Sort::Directory,
            _ => Sort::Stranger,
        }
    }

    fn look_at(&self, fd: c_int) -> u8 {
        let Some(stat) = raw::fstat(fd) else { return UNKNOWN };
        let sort = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => FILE,
            libc::S_IFDIR => DIRECTORY,
            _ => return STRANGER,
        };
        match raw::path_of(fd) {
            Some(path) if self.watches(&path) => sort,
            _ => STRANGER,
        }
    }

    /// SQLite's shared memory files are written through mmap, and made anew after a crash.
    fn watches(&self, path: &[u8]) -> bool {
        let is_inside = path
            .strip_prefix(self.directory.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        is_inside && !path.ends_with(b"-shm")
    }

    /// The name below the watched directory that `path` means, if it means one.
    pub(crate) fn name(&self, directory: c_int, path: &CStr) -> Option<Name> {
        let octets = path.to_bytes();
        let octets = octets.strip_suffix(b"/").unwrap_or(octets);
        let (parent, name) = match octets.iter().rposition(|octet| *octet == b'/') {
            Some(0) => (b"/".as_slice(), octets.get(1..)?),
            Some(at) => (octets.get(..at)?, octets.get(at + 1..)?),
            None => (b".".as_slice(), octets),
        };
        let parent = CString::new(parent).ok()?;
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let fd = raw::open(directory, &parent, flags, 0);
        if fd < 0 {
            return None;
        }
        let found = raw::path_of(fd).zip(raw::fstat(fd));
        raw::close(fd);
        let (parent, stat) = found?;
        let path = join(&parent, name)?;
        self.watches(path.to_bytes()).then_some(Name { path, directory: stat.st_ino })
    }

    /// Whether it is this file sync's turn to fail.
    pub(crate) fn fails_sync(&self) -> bool {
        let number = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        self.failing_syncs != 0 && number.is_multiple_of(self.failing_syncs)
    }

    /// A sync: what was there when it began is durable when it ends.
    pub(crate) fn sync(&self, mut record: Record) {
        record.upto = self.lock().number;
        raw::sleep_micros(self.sync_micros);
        self.lock().add(record);
    }
}

impl Journal {
    /// Writes a record; gives its number.
    pub(crate) fn add(&mut self, mut record: Record) -> u64 {
        self.number += 1;
        record.number = self.number;
        raw::write_all(self.fd, &record.encode());
        self.number
    }

    /// `length` octets at `offset` are about to change. A descriptor that cannot be looked at fails by itself.
    pub(crate) fn add_data(&mut self, fd: c_int, offset: u64, length: u64) {
        let Some(stat) = raw::fstat(fd) else { return };
        let octets_before = stat.st_size as u64;
        let overlap = octets_before.saturating_sub(offset).min(length);
        let before = if overlap > 0 { raw::read_again(fd, offset, overlap) } else { Vec::new() };
        self.add(Record { inode: stat.st_ino, offset, octets_before, before, ..Record::new(Kind::Data) });
    }

    /// Where the next write through the descriptor's own position goes.
    pub(crate) fn position(&self, fd: c_int) -> u64 {
        if raw::appends(fd) {
            return raw::fstat(fd).map_or(0, |stat| stat.st_size as u64);
        }
        raw::position(fd)
    }

    pub(crate) fn add_create(&mut self, name: &Name) {
        let path = name.path.to_bytes().to_vec();
        self.add(Record { directory: name.directory, path, ..Record::new(Kind::Create) });
    }

    /// A fresh file may have the number of one that is gone: what was pending there is not its own.
    pub(crate) fn add_fresh(&mut self, inode: u64) {
        let upto = self.number;
        self.add(Record { inode, upto, ..Record::new(Kind::SyncFile) });
    }

    pub(crate) fn add_remove(&mut self, shim: &Shim, name: &Name) {
        self.save(shim, name);
        let path = name.path.to_bytes().to_vec();
        self.add(Record { directory: name.directory, path, ..Record::new(Kind::Remove) });
    }

    pub(crate) fn add_rename(&mut self, shim: &Shim, from: &Name, to: &Name) {
        self.save(shim, to);
        self.add(Record {
            directory: from.directory,
            other_directory: to.directory,
            path: from.path.to_bytes().to_vec(),
            other: to.path.to_bytes().to_vec(),
            ..Record::new(Kind::Rename)
        });
    }

    /// Keeps a file that is about to lose its name, under the number of the next record. Directories and
    /// names that are not there cannot be kept, and need not be.
    fn save(&self, shim: &Shim, name: &Name) {
        let number = (self.number + 1).to_string();
        let saved = [self.saved_prefix.as_slice(), number.as_bytes()].concat();
        if let Some(saved) = join(&shim.journal_directory, &saved) {
            raw::link(&name.path, &saved);
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn canonical(path: &CStr) -> Option<Vec<u8>> {
    let fd = raw::open(libc::AT_FDCWD, path, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0);
    if fd < 0 {
        return None;
    }
    let found = raw::path_of(fd);
    raw::close(fd);
    found
}

fn join(directory: &[u8], name: &[u8]) -> Option<CString> {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(directory));
    CString::new(path.join(std::ffi::OsStr::from_bytes(name)).into_os_string().into_vec()).ok()
}
