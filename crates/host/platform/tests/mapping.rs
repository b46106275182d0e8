//! Files in memory: what is changed there stays there, and a file that is cut short under its reader takes nothing down.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use platform::mapping::{MAPPED_OCTETS_MAX, Mapping};

const MIB: usize = 1 << 20;

fn file_of(octets: usize) -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    fs::write(&path, vec![b'x'; octets]).unwrap();
    (place, path)
}

fn mapped(path: &std::path::Path) -> Mapping {
    Mapping::of(&File::open(path).unwrap()).unwrap()
}

#[test]
fn changes_stay_in_memory() {
    let (_place, path) = file_of(MIB + 1);
    let mut mapping = mapped(&path);
    assert_eq!(mapping.as_ref(), vec![b'x'; MIB + 1]);
    mapping.as_mut()[MIB] = b'y';
    assert_eq!(mapping.as_ref()[MIB], b'y');
    assert_eq!(fs::read(&path).unwrap(), vec![b'x'; MIB + 1]);
    fs::remove_file(&path).unwrap();
    assert_eq!(mapping.as_ref()[0], b'x', "a file that is gone is still read");
    assert!(!mapping.is_damaged());
}

#[test]
fn what_was_cut_off_reads_as_zeros() {
    let (_place, path) = file_of(4 * MIB);
    let (whole_place, whole_path) = file_of(MIB);
    let (cut, whole) = (mapped(&path), mapped(&whole_path));
    File::options().write(true).open(&path).unwrap().set_len(MIB as u64 + 100).unwrap();
    // Several threads at once meet the same pages.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let octets = cut.as_ref();
                assert!(octets[..MIB + 100].iter().all(|&octet| octet == b'x'));
                assert!(octets[MIB + 100..].iter().all(|&octet| octet == 0));
            });
        }
    });
    assert!(cut.is_damaged());
    assert!(!whole.is_damaged());
    drop(cut);
    assert!(!mapped(&path).is_damaged(), "the next one begins without damage");
    assert_eq!(whole.as_ref(), vec![b'x'; MIB]);
    drop(whole_place);
}

#[test]
fn what_was_cut_off_can_be_written() {
    let (_place, path) = file_of(2 * MIB);
    let mut cut = mapped(&path);
    File::options().write(true).open(&path).unwrap().set_len(1).unwrap();
    cut.as_mut()[MIB] = b'y';
    assert_eq!((cut.as_ref()[MIB], cut.is_damaged()), (b'y', true));
}

#[test]
fn only_so_much_is_mapped() {
    let (_place, path) = file_of(0);
    let open = || File::options().read(true).write(true).open(&path).unwrap();
    assert!(Mapping::of(&open()).is_err(), "nothing");
    for (octets, fits) in [(1, true), (MAPPED_OCTETS_MAX, true), (MAPPED_OCTETS_MAX + 1, false)] {
        open().set_len(octets).unwrap();
        assert_eq!(Mapping::of(&open()).is_ok(), fits, "{octets}");
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
        let (_place, path) = file_of(1);
        let mut all: Vec<Mapping> = (0..64).map(|_| mapped(&path)).collect();
        assert!(Mapping::of(&File::open(&path).unwrap()).is_err());
        all.pop();
        all.push(mapped(&path));
        assert!(all.iter().all(|mapping| mapping.as_ref() == b"x"));
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
        let (_place, path) = file_of(1);
        let mapping = mapped(&path);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let (none, access) = (std::ptr::null_mut(), libc::PROT_READ);
        // SAFETY: the kernel chooses the place.
        let others = unsafe { libc::mmap(none, MIB, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(others, libc::MAP_FAILED);
        // SAFETY: mapped for one MiB, but behind the file's end: the read does not come back.
        let octet = unsafe { others.cast::<u8>().add(MIB / 2).read_volatile() };
        unreachable!("{octet} was read where nothing is, beside {mapping:?}");
    }
    let output = child(NAME);
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}
