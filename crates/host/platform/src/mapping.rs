//! Files mapped into memory, with private changes: their pages come when they are read, and the kernel takes them back where
//! others need the room. A page that cannot be read becomes zeros and is told of; it does not end the process.

mod bus_error;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr::{self, NonNull};

use bus_error::Watch;

/// Most octets of one mapped file.
pub const MAPPED_OCTETS_MAX: u64 = 1 << 30;

/// A file in memory. Changes are the process's own and never reach the file.
///
/// The file must only ever be replaced by another of its name, as [`durable::write`](crate::durable::write) does; where somebody
/// writes into it all the same, octets may change while they are read, so whoever reads them must take any octet for possible.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    octets: usize,
    watch: Watch,
}

// SAFETY: the memory belongs to this value alone and to no thread; it changes only through `&mut self`.
#[allow(unsafe_code, reason = "a pointer tells the compiler nothing of who owns what it leads to")]
unsafe impl Send for Mapping {}
// SAFETY: as above; `&self` only reads.
#[allow(unsafe_code, reason = "as above")]
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps all of a file as it is now.
    ///
    /// # Errors
    /// An empty file, one of more than [`MAPPED_OCTETS_MAX`], too many mapped at a time, and what the operating system says.
    pub fn of(file: &File) -> io::Result<Mapping> {
        let length = file.metadata()?.len();
        if length == 0 || length > MAPPED_OCTETS_MAX {
            let told = format!("a file of {length} octets is not mapped: 1 to {MAPPED_OCTETS_MAX} can be");
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        let octets = usize::try_from(length).map_err(io::Error::other)?;
        let start = map(file, octets)?;
        match Watch::over(start.as_ptr() as usize, octets) {
            Ok(watch) => Ok(Mapping { start, octets, watch }),
            Err(error) => {
                unmap(start, octets);
                Err(error)
            }
        }
    }

    /// Whether some page could not be read since it was mapped: the disk failed, or somebody cut the file short. Its octets are
    /// zeros from then on.
    pub fn is_damaged(&self) -> bool {
        self.watch.has_seen_damage()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Nobody reads it any more; the watch ends before its addresses can become somebody else's.
        self.watch.end();
        unmap(self.start, self.octets);
    }
}

#[allow(unsafe_code, reason = "memory from the kernel is a pointer")]
impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` is what mmap gave for `octets`, readable and mapped until this value is dropped, which the borrow
        // outlasts not. Octets have no invalid values. A page behind the file's end or on a failed disk is replaced by one of
        // zeros before the read is made again (`bus_error`), so each read ends.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.octets) }
    }
}

#[allow(unsafe_code, reason = "memory from the kernel is a pointer")]
impl AsMut<[u8]> for Mapping {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `as_ref`, writable too, and borrowed by nobody else while `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.octets) }
    }
}

#[allow(unsafe_code, reason = "mmap is not safe by its type")]
fn map(file: &File, octets: usize) -> io::Result<NonNull<u8>> {
    let (access, way) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
    // SAFETY: the kernel chooses the place, so nothing that is mapped is replaced; the descriptor is open while `file` is borrowed,
    // and a mapping outlives it.
    let start = unsafe { libc::mmap(ptr::null_mut(), octets, access, way, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("the kernel mapped a file at address 0"))
}

#[allow(unsafe_code, reason = "munmap is not safe by its type")]
fn unmap(start: NonNull<u8>, octets: usize) {
    // SAFETY: both are those of a mapping that nothing refers to any more: the callers own it and give it up.
    let ended = unsafe { libc::munmap(start.as_ptr().cast(), octets) };
    debug_assert_eq!(ended, 0, "what was mapped can be unmapped");
}
