//! An examination's memory does not grow with what is examined: measured by an allocator that counts.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;

use attachments::{Inspector, Rules};
use flate2::Compression;
use flate2::write::GzEncoder;

#[path = "stories/made_cab.rs"]
mod made_cab;
#[path = "stories/made_rar.rs"]
mod made_rar;

struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(octets: isize) {
    // At the end of a thread its counters are gone, and nothing is measured anymore.
    let _ended = NOW.try_with(|now| {
        now.set(now.get() + octets);
        let _ended = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

// SAFETY: Everything is handed on to the system's allocator with the same arguments; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: The caller's promise is the one asked for here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: The caller's promise is the one asked for here.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the examination of one message may hold.
const MEMORY_OCTETS_MAX: isize = 512 * 1024;

fn peak_of(message: &[u8]) -> isize {
    let rules = Arc::new(Rules::default());
    // What is built once for all messages is not counted.
    let examine = || {
        let mut inspector = Inspector::new(Arc::clone(&rules));
        inspector.feed(message);
        inspector.finish()
    };
    drop(examine());
    let before = NOW.get();
    PEAK.set(before);
    drop(examine());
    PEAK.get() - before
}

/// What windows may hold beside it.
fn check_with_windows(name: &str, windows: usize, message: &[u8]) {
    let peak = peak_of(message);
    assert!(peak < MEMORY_OCTETS_MAX + windows as isize, "{name}: {peak} octets");
}

fn check(name: &str, message: &[u8]) {
    let peak = peak_of(message);
    assert!(peak < MEMORY_OCTETS_MAX, "{name}: {peak} octets");
}

fn header(name: &str) -> Vec<u8> {
    format!(
        "Content-Type: application/octet-stream; name={name}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    .into_bytes()
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn zip_entry(name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut octets = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    octets.extend_from_slice(&(content.len() as u32).to_le_bytes());
    octets.extend_from_slice(&(content.len() as u32).to_le_bytes());
    octets.extend_from_slice(&(name.len() as u16).to_le_bytes());
    octets.extend_from_slice(&[0, 0]);
    octets.extend_from_slice(name);
    octets.extend_from_slice(content);
    octets
}

#[test]
fn whatever_comes_memory_is_bounded() {
    // Header, line and text without end.
    check("header", &vec![b'a'; 8 << 20]);
    check("fields", &b"Content-Type: a/b; name*0=x\r\n".repeat(100_000));
    check(
        "names",
        &[b"Content-Disposition: x; filename=".as_slice(), &vec![b'n'; 8 << 20], b"\r\n\r\nx"].concat(),
    );
    check("body", &[b"\r\n".as_slice(), &vec![b'a'; 8 << 20]].concat());
    let quoted = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n".as_slice();
    check("quoted", &[quoted, &vec![b' '; 8 << 20]].concat());
    // Packed as deep as is looked.
    let mut packed = vec![7; 30_000];
    for level in 0..10_u8 {
        packed = gzip(&[packed, vec![level; 500_000]].concat());
    }
    check("gzip", &[header("a.gz"), packed].concat());
    let wrapped = |mut packed: Vec<u8>, levels: u8| {
        for level in 0..levels {
            packed = gzip(&[packed, vec![level; 500_000]].concat());
        }
        [header("a.gz"), packed].concat()
    };
    let begin = b"MIME-Version: 1.0\r\nFrom: a\r\nContent-Disposition: x; filename=".as_slice();
    check("names deep inside", &wrapped([begin, &vec![b'n'; 1 << 20]].concat(), 4));
    // Streams of a PDF that seem to go on, and modules of a compound file.
    let stream = b"/ObjStm/FlateDecode stream\nx\x9c\0\xff\xff\0\0".as_slice();
    let document = [b"%PDF-1.7\n".as_slice(), stream, stream, &vec![b'x'; 100_000]].concat();
    check("streams deep inside", &wrapped(document, 5));
    let modules = b"\x01\xff\xbf\0Attribut".repeat(100_000);
    let document = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &modules].concat();
    check("modules deep inside", &wrapped(document, 5));
    // Entries with the longest names, each of them a finding.
    let name = [vec![b'x'; 65_000], b".exe".to_vec()].concat();
    let archive: Vec<u8> = (0..100).flat_map(|_| zip_entry(&name, b"x")).collect();
    check("names in archives", &[header("a.zip"), archive].concat());
    let archive: Vec<u8> =
        (0..100_000).flat_map(|n: u32| zip_entry(format!("{n}.exe").as_bytes(), b"x")).collect();
    check("entries", &[header("a.zip"), archive].concat());
    // Parts inside each other, each with the longest boundary.
    let nested: Vec<u8> = (0..200)
        .flat_map(|n| {
            let boundary = format!("{n:04}{}", "b".repeat(900));
            format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n").into_bytes()
        })
        .collect();
    check("multiparts", &nested);
    check("messages", &b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000));
}

/// A zstd frame of so many blocks of 128 KiB, each one octet repeated, behind one that is not understood if it is to be.
fn zstd(window: u8, blocks: usize) -> Vec<u8> {
    let mut octets = b"\x28\xb5\x2f\xfd\0".to_vec();
    octets.push(window);
    for number in 0..blocks {
        octets.extend_from_slice(&(2_u32 | (128 * 1024) << 3).to_le_bytes()[..3]);
        octets.push(number as u8);
    }
    octets
}

/// An xz stream of raw chunks of 64 KiB.
fn xz(content: &[u8]) -> Vec<u8> {
    let mut octets = b"\xfd7zXZ\0\0\0\0\0\0\0\x02\0\x21\x01\x16\0\0\0\0\0\0\0".to_vec();
    for (number, chunk) in content.chunks(65_536).enumerate() {
        octets.push(if number == 0 { 1 } else { 2 });
        octets.extend_from_slice(&((chunk.len() - 1) as u16).to_be_bytes());
        octets.extend_from_slice(chunk);
    }
    octets
}

#[test]
fn windows_are_counted_and_what_is_around_them_is_bounded() {
    let windows = Rules::default().limits.window_octets_max;
    let noise: Vec<u8> = (0..6_u32 << 20).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    check_with_windows("xz", windows, &[header("a.xz"), xz(&[noise.as_slice(), &noise].concat())].concat());
    let nested = (0..8).fold(noise.clone(), |inner, _| xz(&inner));
    check_with_windows("xz in xz", windows, &[header("a.xz"), nested].concat());
    for window in [0x58, 0x68, 0xff] {
        check_with_windows("zstd", windows, &[header("a.zst"), zstd(window, 500)].concat());
    }
    let bzip2 = include_bytes!("files/a.tar.bz2").repeat(1_000);
    check_with_windows("bzip2", windows, &[header("a.bz2"), bzip2].concat());
    let literals = |content: &[u8]| made_rar::Coded::default().codes().literals(content).finish();
    let rar = |packed: Vec<u8>, octets: usize| {
        // A window of 64 MiB.
        made_rar::rar5(&[made_rar::Entry::new("a.rar", made_rar::PACKED | 9 << 10, octets, packed)])
    };
    let long = rar(literals(&noise[..3 << 20]), 3 << 20);
    check_with_windows("rar", windows, &[header("a.rar"), long.clone()].concat());
    check_with_windows("rar twice", windows, &[header("a.rar"), rar(literals(&long), long.len())].concat());
    // Filters that wait, deep inside.
    let mut nested = vec![7; 100_000];
    for _ in 0..6 {
        let coded = (0..1_000).fold(made_rar::Coded::default().codes(), |coded, number| {
            coded.filter(1_000_000 + number * 10, 10, 3)
        });
        nested = rar(coded.literals(&nested).finish(), nested.len());
    }
    check_with_windows("filters", windows, &[header("a.rar"), nested].concat());
    let cab =
        |octets: &[u8]| made_cab::Cab::default().mszip(octets).file("a.cab", 0, 0, octets.len()).finish();
    let nested = (0..8).fold(noise[..300_000].to_vec(), |inner, _| cab(&inner));
    check_with_windows("cab in cab", windows, &[header("a.cab"), nested].concat());
    let name = "n".repeat(4_000);
    let files = (0..2_500).fold(made_cab::Cab::default().stored(b"x"), |cab, _| cab.file(&name, 0, 0, 1));
    check_with_windows("files of a cab", windows, &[header("a.cab"), files.finish()].concat());
    // What is short needs little, whatever it could.
    let short = 64 * 1024;
    check_with_windows(
        "short xz",
        short,
        &[header("a.xz"), include_bytes!("files/a.tar.xz").to_vec()].concat(),
    );
    for archive in [include_bytes!("files/solid4.rar").as_slice(), include_bytes!("files/solid5.rar")] {
        check_with_windows("short rar", short, &[header("a.rar"), archive.to_vec()].concat());
    }
    for archive in [include_bytes!("files/mszip.cab").as_slice(), include_bytes!("files/lzx.cab")] {
        check_with_windows("short cab", 6 * short, &[header("a.cab"), archive.to_vec()].concat());
    }
    check_with_windows(
        "short lzip",
        short,
        &[header("a.lz"), include_bytes!("files/a.tar.lz").to_vec()].concat(),
    );
    // A header of 7z as long as is read, of the shortest things in it.
    for pieces in [[4, 7, 11], [1, 1, 0], [5, 14, 17]] {
        let mut seven = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
        seven.extend_from_slice(&200_000_u64.to_le_bytes());
        seven.extend_from_slice(&262_144_u64.to_le_bytes());
        seven.resize(200_032, 0);
        seven.extend_from_slice(&[1, 4, 7, 11, 0xc0, 0xa0, 0x0f, 0]);
        seven.extend_from_slice(&pieces.repeat(100_000)[..262_136]);
        check_with_windows("7z", windows, &[header("a.7z"), seven].concat());
    }
    let image = [vec![0; 32_768], b"\x01CD001\x01".repeat(100_000)].concat();
    check("image", &[header("a.iso"), image].concat());
}
