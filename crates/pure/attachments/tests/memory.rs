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
