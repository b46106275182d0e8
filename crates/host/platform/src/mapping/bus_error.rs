//! What happens when a page of a mapped file cannot be read. The kernel sends SIGBUS to the thread that reads; its handler puts a
//! page of zeros there, writes down that it did, and the thread reads on. Everywhere else the signal does what it did before.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Most files that are mapped at a time.
const WATCHED_MAX: usize = 64;

/// What ranges are counted in; every kernel's page is a multiple of it.
const UNIT_OCTETS: usize = 4_096;

/// Bits of a range's word that say how many units it has; those above say where it begins.
const COUNT_BITS: u32 = 28;

/// A range of addresses that is watched. The handler may look at it at any moment, so all of it is in one word.
struct Range {
    /// 0 while nothing is watched.
    word: AtomicU64,
    is_damaged: AtomicBool,
}

static RANGES: [Range; WATCHED_MAX] =
    [const { Range { word: AtomicU64::new(0), is_damaged: AtomicBool::new(false) } }; WATCHED_MAX];

impl Range {
    fn holds(&self, address: usize) -> bool {
        let word = self.word.load(Ordering::Acquire);
        let (first, count) = (word >> COUNT_BITS, word & ((1 << COUNT_BITS) - 1));
        (first..first + count).contains(&((address / UNIT_OCTETS) as u64))
    }
}

/// The kernel's size of a page, set before the handler is.
static PAGE_OCTETS: AtomicUsize = AtomicUsize::new(0);

/// What SIGBUS did before: Rust's own handler, which tells of a stack that overflowed, or the end of the process.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// One range, until it ends.
#[derive(Debug)]
pub(super) struct Watch {
    index: usize,
}

impl Watch {
    /// Watches from here on a range that begins with a page.
    pub(super) fn over(start: usize, octets: usize) -> io::Result<Watch> {
        handle_bus_errors()?;
        let (first, count) = ((start / UNIT_OCTETS) as u64, octets.div_ceil(UNIT_OCTETS) as u64);
        if first >> (u64::BITS - COUNT_BITS) != 0 || count >> COUNT_BITS != 0 {
            return Err(io::Error::other("the kernel mapped a file where it cannot be watched"));
        }
        let word = first << COUNT_BITS | count;
        let is_free =
            |range: &Range| range.word.compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let full = || {
            io::Error::new(io::ErrorKind::QuotaExceeded, format!("{WATCHED_MAX} files are mapped at a time"))
        };
        RANGES.iter().position(is_free).map(|index| Watch { index }).ok_or_else(full)
    }

    fn range(&self) -> Option<&'static Range> {
        RANGES.get(self.index)
    }

    pub(super) fn has_seen_damage(&self) -> bool {
        self.range().is_some_and(|range| range.is_damaged.load(Ordering::Acquire))
    }

    /// Watches no longer; to be called once, while the range is still mapped and nobody reads it.
    pub(super) fn end(&self) {
        if let Some(range) = self.range() {
            range.is_damaged.store(false, Ordering::Relaxed);
            range.word.store(0, Ordering::Release);
        }
    }
}

/// Sets the handler, once.
#[allow(unsafe_code, reason = "the C library's signals are not safe by their types")]
fn handle_bus_errors() -> io::Result<()> {
    static SET: OnceLock<Option<i32>> = OnceLock::new();
    let failed = SET.get_or_init(|| {
        // SAFETY: asks for a number, touches no memory of ours.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE_OCTETS.store(usize::try_from(page).unwrap_or(4_096), Ordering::Release);
        // SAFETY: sigaction is a C structure for which all zeros are a value: no handler, no flags, an empty mask.
        let (mut ours, mut before): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        ours.sa_sigaction = on_bus_error as extern "C" fn(_, _, _) as libc::sighandler_t;
        // On the stack that Rust keeps for its own handler, which tells threads without room by this signal too.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both structures live through the calls. What was before is kept before the handler that reads it can run: the
        // first call only asks.
        unsafe {
            if libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) != 0 {
                return io::Error::last_os_error().raw_os_error();
            }
            let _ = BEFORE.set(before);
            if libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) != 0 {
                return io::Error::last_os_error().raw_os_error();
            }
        }
        None
    });
    failed.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
}

/// Runs in a thread that was stopped anywhere: only atomics and plain system calls.
#[allow(unsafe_code, reason = "a handler of signals works on what the kernel points it to")]
extern "C" fn on_bus_error(_: libc::c_int, told: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the handler is set with SA_SIGINFO, so `told` is valid; what the kernel says of an access has an address.
    let (code, address) = unsafe { ((*told).si_code, (*told).si_addr() as usize) };
    match code {
        // This thread's access failed: nothing behind the address, or memory that is broken.
        libc::BUS_ADRERR | libc::BUS_MCEERR_AR if mend(address) => {}
        // Broken memory that nobody has asked for yet.
        libc::BUS_MCEERR_AO => {}
        _ => hand_over(code),
    }
}

/// Puts zeros where a watched page cannot be read; true if so.
fn mend(address: usize) -> bool {
    let page_octets = PAGE_OCTETS.load(Ordering::Acquire);
    let Some(range) = RANGES.iter().find(|range| range.holds(address)) else { return false };
    // Told before anybody can see the zeros.
    range.is_damaged.store(true, Ordering::Release);
    page_octets.is_power_of_two() && put_zeros(address & !(page_octets - 1), page_octets)
}

/// Leaves a signal to what was there before; one that somebody has sent ends the process, as it was meant.
#[allow(unsafe_code, reason = "the C library's signals are not safe by their types")]
fn hand_over(code: libc::c_int) {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: puts back what was there. An instruction that failed is run again when the handler returns, and finds it.
    unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
    if code <= 0 {
        // SAFETY: both may be called in a handler; the signal that is raised waits until this one returns.
        unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
            libc::raise(libc::SIGBUS);
        }
    }
}

#[allow(unsafe_code, reason = "mmap and errno are not safe by their types")]
fn put_zeros(page: usize, octets: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let way = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: this thread's own access to the page failed, and only whoever borrows a `Mapping` has its addresses: so it is mapped, and
    // stays so. One of zeros in its place is as readable and writable as it was. mmap is a plain system call on Linux, and what it may
    // leave in errno is put back for the code that was stopped.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        let placed = libc::mmap(page as *mut libc::c_void, octets, access, way, -1, 0);
        *errno = kept;
        placed != libc::MAP_FAILED
    }
}
