//! Octets in a file without a name: bounds, and what a bus error does that is none of theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use platform::mapping::{MAPPED_OCTETS_MAX, Mapping};

const MIB: usize = 1 << 20;

fn read(mapping: &Mapping) -> Vec<u8> {
    let mut octets = vec![b'?'; mapping.count()];
    mapping.read(0, &mut octets);
    octets
}

/// A file that begins so and goes on with zeros, or ends before.
fn file_of(octets: &[u8], count: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(octets).unwrap();
    file.set_len(count as u64).unwrap();
    file
}

/// A mapping whose file is cut behind its back, which reads as from a disk that failed.
fn cut(count: usize, left: usize) -> Mapping {
    let file = file_of(&vec![b'x'; count], count);
    let mapping = Mapping::of_file(&file).unwrap();
    file.set_len(left as u64).unwrap();
    mapping
}

fn zeros_in(mapping: &Mapping) -> usize {
    read(mapping).into_iter().filter(|&octet| octet == 0).count()
}

#[test]
fn what_cannot_be_read_is_zeros() {
    let (damaged, whole) = (cut(4 * MIB, MIB + 100), cut(MIB, MIB));
    // Several threads at once meet the same pages.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(zeros_in(&damaged), 3 * MIB - 100));
        }
    });
    assert!(damaged.is_damaged());
    assert!(!whole.is_damaged());
    assert_eq!(zeros_in(&whole), 0);
    drop(damaged);
    let next = cut(4 * MIB, 4 * MIB);
    assert_eq!((zeros_in(&next), next.is_damaged()), (0, false));
}

#[test]
fn what_cannot_be_read_can_be_written() {
    let mut damaged = cut(2 * MIB, 1);
    damaged.write(MIB, b"y");
    let mut octet = [0];
    damaged.read(MIB, &mut octet);
    assert_eq!((octet, damaged.is_damaged()), (*b"y", true));
}

#[test]
fn octets_are_read_and_changed_in_place() {
    let place = tempfile::tempdir().unwrap();
    let mut mapping = Mapping::of(&vec![b'x'; MIB + 1], place.path()).unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "the file has no name");
    assert_eq!(read(&mapping), vec![b'x'; MIB + 1]);
    mapping.write(MIB - 1, b"abc");
    let mut end = *b"....";
    mapping.read(MIB - 2, &mut end);
    assert_eq!(&end, b"xab.", "what lies behind the end is neither written nor read");
    mapping.write(MIB + 1, b"z");
    mapping.read(usize::MAX, &mut end);
    assert!(!mapping.is_damaged());
}

#[test]
fn only_so_much_is_mapped() {
    let place = tempfile::tempdir().unwrap();
    assert!(Mapping::of(b"", place.path()).is_err());
    assert!(Mapping::of(b"x", Path::new("/nowhere")).is_err());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "a failure leaves nothing");
    for (count, fits) in [(0, false), (1, true), (MAPPED_OCTETS_MAX, true), (MAPPED_OCTETS_MAX + 1, false)] {
        assert_eq!(Mapping::of_file(&file_of(b"", count)).is_ok(), fits, "{count}");
    }
}

/// Runs a test once more, in a process of its own; the word tells it that it is the child.
fn child(name: &str) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("MAPPING_TEST_CHILD", name);
    command.stdin(Stdio::null()).output().unwrap()
}

fn is_child(name: &str) -> bool {
    std::env::var("MAPPING_TEST_CHILD").is_ok_and(|child| child == name)
}

#[test]
fn only_so_many_are_mapped() {
    const NAME: &str = "only_so_many_are_mapped";
    if is_child(NAME) {
        let place = tempfile::tempdir().unwrap();
        let one = || Mapping::of(b"x", place.path());
        let mut all: Vec<Mapping> = (0..64).map(|_| one().unwrap()).collect();
        assert!(one().is_err());
        all.pop();
        all.push(one().unwrap());
        assert!(all.iter().all(|mapping| read(mapping) == b"x"));
        return;
    }
    let output = child(NAME);
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[allow(unsafe_code, reason = "a bus error of somebody else's making")]
fn other_bus_errors_end_the_process_as_before() {
    const NAME: &str = "other_bus_errors_end_the_process_as_before";
    if is_child(NAME) {
        let place = tempfile::tempdir().unwrap();
        let mapping = Mapping::of(b"x", place.path()).unwrap();
        let path = place.path().join("file");
        fs::write(&path, b"x").unwrap();
        let file = File::open(&path).unwrap();
        // SAFETY: the kernel chooses the place.
        let others = unsafe {
            libc::mmap(std::ptr::null_mut(), MIB, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert_ne!(others, libc::MAP_FAILED);
        // SAFETY: mapped for one MiB, but behind the file's end: the read does not come back.
        let octet = unsafe { others.cast::<u8>().add(MIB / 2).read_volatile() };
        unreachable!("{octet} was read where nothing is, beside {mapping:?}");
    }
    let output = child(NAME);
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}

#[test]
fn a_signal_that_is_sent_ends_the_process() {
    const NAME: &str = "a_signal_that_is_sent_ends_the_process";
    if is_child(NAME) {
        let place = tempfile::tempdir().unwrap();
        let _mapping = Mapping::of(b"x", place.path()).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::BUS).unwrap();
        // Whichever thread takes it, the process does not outlive it.
        loop {
            std::thread::park();
        }
    }
    let output = child(NAME);
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}
