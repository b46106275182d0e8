//! Octets in a file without a name, mapped into memory: they are read and changed in place, come from the disk when they are
//! asked for, and go back to it where others need the room. A page that cannot be read becomes zeros and is told of; it does not
//! end the process.

mod bus_error;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use bus_error::Watch;

/// Most octets of one mapping.
pub const MAPPED_OCTETS_MAX: usize = 1 << 30;

/// Octets of a file in memory.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<AtomicU8>,
    count: usize,
    watch: Watch,
}

// SAFETY: the memory belongs to this value alone until it is dropped, in whichever thread, and is only touched as atomics.
#[allow(unsafe_code, reason = "a pointer tells the compiler nothing of who owns what it leads to")]
unsafe impl Send for Mapping {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "as above")]
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps these octets, in a file of the directory that loses its name at once: nobody else has it.
    ///
    /// # Errors
    /// As [`Mapping::of_file`]; a full disk.
    pub fn of(octets: &[u8], directory: &Path) -> io::Result<Mapping> {
        let mut file = nameless(directory)?;
        // What is written has its place on the disk: a full one is an error here, not a signal later.
        file.write_all(octets)?;
        Self::of_file(&file)
    }

    /// Maps a file that is open for reading and writing. What is changed here is changed there, by and by, and the other way round.
    ///
    /// # Errors
    /// An empty file, one of more than [`MAPPED_OCTETS_MAX`], 64 mappings at a time, and what the operating system says.
    pub fn of_file(file: &File) -> io::Result<Mapping> {
        let count = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if count == 0 || count > MAPPED_OCTETS_MAX {
            let told = format!("{count} octets are not mapped: 1 to {MAPPED_OCTETS_MAX} can be");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
        }
        let start = map(file, count)?;
        match Watch::over(start.as_ptr() as usize, count) {
            Ok(watch) => Ok(Mapping { start, count, watch }),
            Err(error) => {
                unmap(start, count);
                Err(error)
            }
        }
    }

    /// How many octets there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Copies octets from a place on; of those behind the end none.
    pub fn read(&self, start: usize, to: &mut [u8]) {
        let here = self.octets().get(start..).unwrap_or_default();
        to.iter_mut().zip(here).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }

    /// Writes octets from a place on; behind the end none.
    pub fn write(&mut self, start: usize, octets: &[u8]) {
        let here = self.octets().get(start..).unwrap_or_default();
        here.iter().zip(octets).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    }

    /// Whether some page could not be read: the disk failed, or the file was cut short. Its octets are zeros since.
    pub fn is_damaged(&self) -> bool {
        self.watch.has_seen_damage()
    }

    #[allow(unsafe_code, reason = "memory from the kernel is a pointer")]
    fn octets(&self) -> &[AtomicU8] {
        // SAFETY: `start` is what mmap gave for `count` octets, readable and writable, and mapped until this value is dropped, which
        // the borrow does not outlast. Any octet is an AtomicU8. Where somebody else writes into the file, or a page is replaced by one
        // of zeros (`bus_error`), they change as by another thread's stores.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The watch ends before its addresses can become somebody else's.
        self.watch.end();
        unmap(self.start, self.count);
    }
}

/// A file that is gone when it is closed.
fn nameless(directory: &Path) -> io::Result<File> {
    let thread = std::thread::current().id();
    let path = directory.join(format!(".mapped.{}.{thread:?}.tmp", std::process::id()));
    // A process of that number may have crashed between the next two calls.
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[allow(unsafe_code, reason = "mmap is not safe by its type")]
fn map(file: &File, count: usize) -> io::Result<NonNull<AtomicU8>> {
    let (access, way) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: the kernel chooses the place, so nothing that is mapped is replaced; the descriptor is open while `file` is borrowed,
    // and a mapping outlives it.
    let start = unsafe { libc::mmap(ptr::null_mut(), count, access, way, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("the kernel mapped a file at address 0"))
}

#[allow(unsafe_code, reason = "munmap is not safe by its type")]
fn unmap(start: NonNull<AtomicU8>, count: usize) {
    // SAFETY: both are those of a mapping that nothing refers to any more: the callers own it and give it up.
    let ended = unsafe { libc::munmap(start.as_ptr().cast(), count) };
    debug_assert_eq!(ended, 0, "what was mapped can be unmapped");
}
