//! Memory that goes back to the system when it is no longer used.

/// Blocks at least this large are mapped by themselves and given back as soon as they are freed: above any buffer that
/// traffic uses often, far below the 19 MiB that hashing one password takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_OCTETS_MIN: i32 = 1 << 20;

/// Keeps the C library's allocator from moving that border. By itself it raises it to the largest block ever freed, and
/// from then on cuts the memory of password hashes from its heaps, where later small blocks hold most of it for good:
/// measured, 200 MiB after 2,000 logins (docs/internals/performance.md). Call it before there are other threads.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallopt(3) takes two numbers and may be called at any time; a refusal (0) leaves things as they are.
        #[allow(unsafe_code, reason = "no safe crate offers mallopt")]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_OCTETS_MIN);
        }
    }
}
