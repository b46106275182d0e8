//! The C library's symbols that change files or sync them, as Rust's standard library and SQLite call them.
//!
//! Common safety argument: each function has the C prototype of its name and passes its arguments on to the
//! kernel unchanged, which checks every pointer; the shim itself reads only C strings and vectors that the
//! prototype promises to be valid. (`open` and `openat` take their mode as a third or fourth argument; where
//! C callers leave it out, the register holds anything, and the kernel ignores it without O_CREAT.)

use crate::journal::{Kind, Record};
use crate::raw::{self, c_string};
use crate::shim::{Shim, Sort, forget, shim};
use libc::{c_char, c_int, c_long, c_uint, c_void, iovec, mode_t, off_t, size_t, ssize_t};

/// The shim, if `fd` leads to a watched file.
fn watching(fd: c_int) -> Option<&'static Shim> {
    shim().filter(|shim| shim.sort(fd) == Sort::File)
}

/// # Safety
/// `path` is a C string (see the module).
unsafe fn open_any(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as promised by the caller.
    let Some(path) = (unsafe { c_string(path) }) else { return raw::fail(libc::EFAULT) };
    let is_unnamed = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let may_change = flags & (libc::O_CREAT | libc::O_TRUNC) != 0 && !is_unnamed;
    let watched = shim().filter(|_| may_change).and_then(|shim| Some((shim, shim.name(directory, path)?)));
    let Some((shim, name)) = watched else {
        let fd = raw::open(directory, path, flags, mode);
        forget(fd);
        return fd;
    };
    let mut journal = shim.lock();
    let is_new = raw::lstat(&name.path).is_none();
    if is_new {
        journal.add_create(&name);
    } else if flags & libc::O_TRUNC != 0 {
        let old = raw::open(libc::AT_FDCWD, &name.path, libc::O_RDONLY | libc::O_CLOEXEC, 0);
        journal.add_data(old, 0, u64::MAX);
        raw::close(old);
    }
    let fd = raw::open(directory, path, flags, mode);
    forget(fd);
    if is_new && let Some(stat) = raw::fstat(fd) {
        journal.add_fresh(stat.st_ino);
    }
    fd
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(libc::AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(libc::AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(libc::AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat64(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { open_any(libc::AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    forget(fd);
    raw::close(fd)
}

#[unsafe(no_mangle)]
extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    if old == new {
        // dup3 refuses what dup2 allows. A descriptor that is not open fails with EBADF.
        // SAFETY: no memory is involved.
        let flags = unsafe { raw::pass(libc::SYS_fcntl, [old.into(), libc::F_GETFD.into(), 0, 0, 0, 0]) };
        return if flags < 0 { -1 } else { new };
    }
    dup3(old, new, 0)
}

#[unsafe(no_mangle)]
extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    forget(new);
    // SAFETY: no memory is involved.
    unsafe { raw::pass(libc::SYS_dup3, [old.into(), new.into(), flags.into(), 0, 0, 0]) as c_int }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, octets: *const c_void, length: size_t) -> ssize_t {
    let Some(shim) = watching(fd) else {
        // SAFETY: see the module.
        return unsafe { raw::write(fd, octets, length) };
    };
    let mut journal = shim.lock();
    let position = journal.position(fd);
    journal.add_data(fd, position, length as u64);
    // SAFETY: see the module.
    unsafe { raw::write(fd, octets, length) }
}

/// # Safety
/// As for pwrite (see the module).
unsafe fn pwrite_any(fd: c_int, octets: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    let mut journal = watching(fd).map(Shim::lock);
    if let Some(journal) = &mut journal {
        journal.add_data(fd, offset as u64, length as u64);
    }
    // SAFETY: as promised by the caller.
    unsafe { raw::pwrite(fd, octets, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, octets: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { pwrite_any(fd, octets, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, octets: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { pwrite_any(fd, octets, length, offset) }
}

/// # Safety
/// `vectors` are `count` valid vectors.
unsafe fn length_of(vectors: *const iovec, count: c_int) -> u64 {
    let count = usize::try_from(count).unwrap_or(0);
    if vectors.is_null() {
        return 0;
    }
    // SAFETY: as promised by the caller.
    unsafe { std::slice::from_raw_parts(vectors, count) }.iter().map(|vector| vector.iov_len as u64).sum()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t {
    let mut journal = watching(fd).map(Shim::lock);
    if let Some(journal) = &mut journal {
        let position = journal.position(fd);
        // SAFETY: see the module.
        journal.add_data(fd, position, unsafe { length_of(vectors, count) });
    }
    // SAFETY: see the module.
    unsafe { raw::writev(fd, vectors, count) }
}

/// # Safety
/// As for pwritev2 (see the module).
unsafe fn pwritev_any(
    fd: c_int,
    vectors: *const iovec,
    count: c_int,
    offset: off_t,
    flags: c_int,
) -> ssize_t {
    let mut journal = watching(fd).map(Shim::lock);
    if let Some(journal) = &mut journal {
        let offset = if offset < 0 { journal.position(fd) } else { offset as u64 };
        // SAFETY: as promised by the caller.
        journal.add_data(fd, offset, unsafe { length_of(vectors, count) });
    }
    // SAFETY: as promised by the caller.
    unsafe { raw::pwritev(fd, vectors, count, offset, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { pwritev_any(fd, vectors, count, offset, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev64(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { pwritev_any(fd, vectors, count, offset, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev2(
    fd: c_int,
    vectors: *const iovec,
    count: c_int,
    offset: off_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: see the module.
    unsafe { pwritev_any(fd, vectors, count, offset, flags) }
}

fn ftruncate_any(fd: c_int, length: off_t) -> c_int {
    let mut journal = watching(fd).map(Shim::lock);
    if let Some(journal) = &mut journal {
        journal.add_data(fd, u64::try_from(length).unwrap_or(0), u64::MAX);
    }
    raw::ftruncate(fd, length)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    ftruncate_any(fd, length)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    ftruncate_any(fd, length)
}

fn fallocate_any(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    let mut journal = watching(fd).map(Shim::lock);
    if let Some(journal) = &mut journal {
        journal.add_data(fd, offset as u64, length as u64);
    }
    raw::fallocate(fd, mode, offset, length)
}

#[unsafe(no_mangle)]
extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    fallocate_any(fd, mode, offset, length)
}

#[unsafe(no_mangle)]
extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    fallocate_any(fd, mode, offset, length)
}

/// Gives the error itself, as POSIX has it.
fn posix_fallocate_any(fd: c_int, offset: off_t, length: off_t) -> c_int {
    if fallocate_any(fd, 0, offset, length) == 0 {
        return 0;
    }
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

#[unsafe(no_mangle)]
extern "C" fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    posix_fallocate_any(fd, offset, length)
}

#[unsafe(no_mangle)]
extern "C" fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int {
    posix_fallocate_any(fd, offset, length)
}

/// # Safety
/// Both paths are C strings.
unsafe fn rename_any(from: (c_int, *const c_char), to: (c_int, *const c_char), flags: c_uint) -> c_int {
    // SAFETY: as promised by the caller.
    let (old, new) = unsafe { (c_string(from.1), c_string(to.1)) };
    let mut journal = None;
    if let (Some(shim), Some(old), Some(new)) = (shim(), old, new) {
        let names = shim.name(from.0, old).zip(shim.name(to.0, new));
        // What moves in from outside, or out, is not watched before or after.
        if let Some((old, new)) = names.filter(|(old, _)| raw::lstat(&old.path).is_some()) {
            let mut locked = shim.lock();
            locked.add_rename(shim, &old, &new);
            journal = Some(locked);
        }
    }
    let arguments = [from.0.into(), from.1 as c_long, to.0.into(), to.1 as c_long, flags.into()];
    // SAFETY: as promised by the caller.
    let result = unsafe { raw::names(libc::SYS_renameat2, arguments) };
    drop(journal);
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: see the module.
    unsafe { rename_any((libc::AT_FDCWD, from), (libc::AT_FDCWD, to), 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
) -> c_int {
    // SAFETY: see the module.
    unsafe { rename_any((from_directory, from), (to_directory, to), 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: see the module.
    unsafe { rename_any((from_directory, from), (to_directory, to), flags) }
}

/// # Safety
/// The path is a C string.
unsafe fn unlink_any(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as promised by the caller.
    let name = unsafe { c_string(path) };
    let watched = shim().zip(name).and_then(|(shim, path)| Some((shim, shim.name(directory, path)?)));
    let mut journal = None;
    if let Some((shim, name)) = watched.filter(|(_, name)| raw::lstat(&name.path).is_some()) {
        let mut locked = shim.lock();
        locked.add_remove(shim, &name);
        journal = Some(locked);
    }
    // SAFETY: as promised by the caller.
    let result =
        unsafe { raw::names(libc::SYS_unlinkat, [directory.into(), path as c_long, flags.into(), 0, 0]) };
    drop(journal);
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: see the module.
    unsafe { unlink_any(libc::AT_FDCWD, path, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: see the module.
    unsafe { unlink_any(directory, path, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: see the module.
    unsafe { unlink_any(libc::AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

/// A call that makes a new name.
///
/// # Safety
/// The path is a C string, and the call's arguments are valid.
unsafe fn create_any(directory: c_int, path: *const c_char, call: c_long, arguments: [c_long; 5]) -> c_int {
    // SAFETY: as promised by the caller.
    let name = unsafe { c_string(path) };
    let watched = shim().zip(name).and_then(|(shim, path)| Some((shim, shim.name(directory, path)?)));
    let mut journal = None;
    if let Some((shim, name)) = watched.filter(|(_, name)| raw::lstat(&name.path).is_none()) {
        let mut locked = shim.lock();
        locked.add_create(&name);
        journal = Some(locked);
    }
    // SAFETY: as promised by the caller.
    let result = unsafe { raw::names(call, arguments) };
    drop(journal);
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: see the module.
    unsafe { mkdirat(libc::AT_FDCWD, path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdirat(directory: c_int, path: *const c_char, mode: mode_t) -> c_int {
    let arguments = [directory.into(), path as c_long, mode.into(), 0, 0];
    // SAFETY: see the module.
    unsafe { create_any(directory, path, libc::SYS_mkdirat, arguments) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: see the module.
    unsafe { linkat(libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn linkat(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let arguments = [from_directory.into(), from as c_long, to_directory.into(), to as c_long, flags.into()];
    // SAFETY: see the module.
    unsafe { create_any(to_directory, to, libc::SYS_linkat, arguments) }
}

/// Syncs of watched files are not passed on: a killed process loses nothing of what the kernel has.
fn sync_any(fd: c_int, call: c_long) -> c_int {
    let Some(shim) = shim() else {
        // SAFETY: no memory is involved.
        return unsafe { raw::pass(call, [fd.into(), 0, 0, 0, 0, 0]) as c_int };
    };
    let inode = raw::fstat(fd).map_or(0, |stat| stat.st_ino);
    match shim.sort(fd) {
        Sort::File if shim.fails_sync() => return raw::fail(libc::EIO),
        Sort::File => shim.sync(Record { inode, ..Record::new(Kind::SyncFile) }),
        Sort::Directory => shim.sync(Record { directory: inode, ..Record::new(Kind::SyncDirectory) }),
        // SAFETY: no memory is involved.
        Sort::Stranger => return unsafe { raw::pass(call, [fd.into(), 0, 0, 0, 0, 0]) as c_int },
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    sync_any(fd, libc::SYS_fsync)
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync_any(fd, libc::SYS_fdatasync)
}

#[unsafe(no_mangle)]
extern "C" fn sync() {
    if let Some(shim) = shim() {
        shim.sync(Record::new(Kind::SyncAll));
    }
}

#[unsafe(no_mangle)]
extern "C" fn syncfs(fd: c_int) -> c_int {
    if let Some(shim) = shim().filter(|shim| shim.sort(fd) != Sort::Stranger) {
        shim.sync(Record::new(Kind::SyncAll));
        return 0;
    }
    // SAFETY: no memory is involved.
    unsafe { raw::pass(libc::SYS_syncfs, [fd.into(), 0, 0, 0, 0, 0]) as c_int }
}

/// Promises nothing about a power cut (its manual page says so), so nothing becomes durable.
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(_fd: c_int, _offset: off_t, _length: off_t, _flags: c_uint) -> c_int {
    0
}

/// Copies in the kernel are refused for watched files; callers fall back to reading and writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    if watching(to).is_some() {
        return raw::fail(libc::ENOSYS) as ssize_t;
    }
    let arguments =
        [from.into(), from_offset as c_long, to.into(), to_offset as c_long, length as c_long, flags.into()];
    // SAFETY: see the module.
    unsafe { raw::pass(libc::SYS_copy_file_range, arguments) as ssize_t }
}

/// # Safety
/// The offset is null or valid.
unsafe fn sendfile_any(to: c_int, from: c_int, offset: *mut off_t, length: size_t) -> ssize_t {
    if watching(to).is_some() {
        return raw::fail(libc::EINVAL) as ssize_t;
    }
    let arguments = [to.into(), from.into(), offset as c_long, length as c_long, 0, 0];
    // SAFETY: as promised by the caller.
    unsafe { raw::pass(libc::SYS_sendfile, arguments) as ssize_t }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(to: c_int, from: c_int, offset: *mut off_t, length: size_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { sendfile_any(to, from, offset, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, length: size_t) -> ssize_t {
    // SAFETY: see the module.
    unsafe { sendfile_any(to, from, offset, length) }
}

/// # Safety
/// The offsets are null or valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn splice(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    if watching(to).is_some() {
        return raw::fail(libc::EINVAL) as ssize_t;
    }
    let arguments =
        [from.into(), from_offset as c_long, to.into(), to_offset as c_long, length as c_long, flags.into()];
    // SAFETY: see the module.
    unsafe { raw::pass(libc::SYS_splice, arguments) as ssize_t }
}
