//! System calls made past the C library's symbols, which are ours: whatever the shim does for itself must not
//! come back to it.

use libc::{c_char, c_int, c_long, c_void, off_t, size_t, ssize_t};
use std::ffi::CStr;

/// The C library's way to say which error it was.
pub(crate) fn fail(errno: c_int) -> c_int {
    // SAFETY: __errno_location always gives the calling thread's valid errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

pub(crate) fn open(directory: c_int, path: &CStr, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the path is a C string that lives through the call.
    unsafe { libc::syscall(libc::SYS_openat, directory, path.as_ptr(), flags, mode as c_long) as c_int }
}

pub(crate) fn close(fd: c_int) -> c_int {
    // SAFETY: closing any number is memory-safe; whose it is, the caller knows.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

pub(crate) fn fstat(fd: c_int) -> Option<libc::stat> {
    // SAFETY: an empty path with AT_EMPTY_PATH means the descriptor itself.
    stat_at(fd, c"", libc::AT_EMPTY_PATH)
}

pub(crate) fn lstat(path: &CStr) -> Option<libc::stat> {
    stat_at(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW)
}

fn stat_at(directory: c_int, path: &CStr, flags: c_int) -> Option<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel's layout of newfstatat is libc::stat on 64-bit Linux; the buffer is large enough.
    let result =
        unsafe { libc::syscall(libc::SYS_newfstatat, directory, path.as_ptr(), stat.as_mut_ptr(), flags) };
    // SAFETY: zeroed is a valid stat, and the call has filled it.
    (result == 0).then(|| unsafe { stat.assume_init() })
}

/// Where a descriptor leads, as the kernel names it.
pub(crate) fn path_of(fd: c_int) -> Option<Vec<u8>> {
    let link = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    let mut path = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer has the length given.
    let octets = unsafe {
        libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, link.as_ptr(), path.as_mut_ptr(), path.len())
    };
    path.truncate(usize::try_from(octets).ok()?);
    Some(path)
}

/// Reads up to `octets` at `offset` through a descriptor of its own: the caller's may be write-only.
pub(crate) fn read_again(fd: c_int, offset: u64, octets: u64) -> Vec<u8> {
    let Ok(link) = std::ffi::CString::new(format!("/proc/self/fd/{fd}")) else { return Vec::new() };
    let reader = open(libc::AT_FDCWD, &link, libc::O_RDONLY | libc::O_CLOEXEC, 0);
    let mut content = vec![0_u8; octets as usize];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the buffer has the length given.
        let read = unsafe {
            libc::syscall(
                libc::SYS_pread64,
                reader,
                rest.as_mut_ptr(),
                rest.len(),
                (offset + filled as u64) as off_t,
            )
        };
        match usize::try_from(read) {
            Ok(octets @ 1..) => filled += octets,
            _ => break,
        }
    }
    close(reader);
    content.truncate(filled);
    content
}

pub(crate) fn position(fd: c_int) -> u64 {
    // SAFETY: no memory is involved.
    let position = unsafe { libc::syscall(libc::SYS_lseek, fd, 0, libc::SEEK_CUR) };
    u64::try_from(position).unwrap_or(0)
}

pub(crate) fn appends(fd: c_int) -> bool {
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFL) };
    flags >= 0 && flags & c_long::from(libc::O_APPEND) != 0
}

/// Writes all, or gives up.
pub(crate) fn write_all(fd: c_int, mut octets: &[u8]) {
    while !octets.is_empty() {
        // SAFETY: the buffer has the length given.
        let written = unsafe { write(fd, octets.as_ptr().cast(), octets.len()) };
        match usize::try_from(written) {
            Ok(written @ 1..) => octets = octets.get(written..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// # Safety
/// `octets` must be readable for `length`.
pub(crate) unsafe fn write(fd: c_int, octets: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: as promised by the caller.
    unsafe { libc::syscall(libc::SYS_write, fd, octets, length) as ssize_t }
}

/// # Safety
/// `octets` must be readable for `length`.
pub(crate) unsafe fn pwrite(fd: c_int, octets: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as promised by the caller.
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, octets, length, offset) as ssize_t }
}

/// # Safety
/// `vectors` must be `count` valid vectors.
pub(crate) unsafe fn writev(fd: c_int, vectors: *const libc::iovec, count: c_int) -> ssize_t {
    // SAFETY: as promised by the caller.
    unsafe { libc::syscall(libc::SYS_writev, fd, vectors, count) as ssize_t }
}

/// # Safety
/// `vectors` must be `count` valid vectors.
pub(crate) unsafe fn pwritev(
    fd: c_int,
    vectors: *const libc::iovec,
    count: c_int,
    offset: off_t,
    flags: c_int,
) -> ssize_t {
    // The kernel takes the offset in two halves; on 64 bits the second is ignored.
    // SAFETY: as promised by the caller.
    unsafe { libc::syscall(libc::SYS_pwritev2, fd, vectors, count, offset, 0, flags) as ssize_t }
}

pub(crate) fn ftruncate(fd: c_int, length: off_t) -> c_int {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int }
}

pub(crate) fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, length) as c_int }
}

/// One of the calls that change names; unused arguments are 0.
///
/// # Safety
/// Pointers among the arguments must be C strings.
pub(crate) unsafe fn names(call: c_long, arguments: [c_long; 5]) -> c_int {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: as promised by the caller; the kernel ignores arguments it does not know.
    unsafe { libc::syscall(call, first, second, third, fourth, fifth) as c_int }
}

pub(crate) fn link(from: &CStr, to: &CStr) -> c_int {
    let here = c_long::from(libc::AT_FDCWD);
    // SAFETY: both are C strings.
    unsafe { names(libc::SYS_linkat, [here, address(from), here, address(to), 0]) }
}

pub(crate) fn mkdir(path: &CStr) -> c_int {
    // SAFETY: the path is a C string.
    unsafe { names(libc::SYS_mkdirat, [c_long::from(libc::AT_FDCWD), address(path), 0o700, 0, 0]) }
}

fn address(path: &CStr) -> c_long {
    path.as_ptr() as c_long
}

/// A pointer from C as a string.
///
/// # Safety
/// `path` must be null or a C string that outlives the result.
pub(crate) unsafe fn c_string<'a>(path: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as promised by the caller, and not null.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })
}

/// Any call that the shim passes on as it is.
///
/// # Safety
/// As the call itself asks for.
pub(crate) unsafe fn pass(call: c_long, arguments: [c_long; 6]) -> c_long {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: as promised by the caller.
    unsafe { libc::syscall(call, first, second, third, fourth, fifth, sixth) }
}

pub(crate) fn sleep_micros(micros: u64) {
    let time = libc::timespec {
        tv_sec: (micros / 1_000_000) as libc::time_t,
        tv_nsec: ((micros % 1_000_000) * 1000) as c_long,
    };
    // SAFETY: the time lives through the call; the remainder is not asked for.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, std::ptr::null_mut::<c_void>()) };
}
