//! What an attacker might send to make looking slow: time grows with the octets alone. Quadratic looking at so many would take
//! minutes, and so would what costs thousands of times its length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attachments::{Inspector, Rules};

const OCTETS: usize = 256 * 1024;

/// Debug build and busy machine included.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What readers act on: each is repeated, behind a beginning that chooses the reader.
const PIECES: [&[u8]; 27] = [
    b"\n-",
    b"--\n",
    b"--b\n",
    b"\r",
    b"P",
    b"PK",
    b"PK\x03\x04",
    b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a",
    b"PK\x03\x04\x14\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0aPK",
    b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0",
    b"\x01\x10\xb0\0Attribut",
    b"\x01\xff\xbf\0Attribut",
    b"\x10\x00\x11\x10\0\0\0\0\0\0\0\0",
    b"/ObjStm/FlateDecode stream\n",
    b"/EmbeddedFile/FlateDecode stream\n",
    b"stream",
    b"endobj",
    b"/",
    b"/#4",
    b"<",
    b"<Relationship ",
    b"<Relationship>",
    b"&#",
    b"begin 644 a\n",
    b"\x85\0",
    b"\0\0\0\0",
];

const BEGINNINGS: [&[u8]; 10] = [
    b"",
    b"Content-Type: multipart/mixed; boundary=b\n\n",
    b"Content-Type: a/b; name=a.zip\n\nPK\x03\x04",
    b"Content-Type: a/b\n\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"Content-Type: a/b\n\n\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"Content-Type: a/b\n\n%PDF-1.7 ",
    b"Content-Type: a/b\n\n<?xml ",
    b"Content-Type: a/b\n\n<html><script>",
    b"Content-Type: a/b\n\nRar!\x1a\x07\x01\x00",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n\n\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
];

#[test]
fn whatever_comes_time_grows_with_its_length() {
    let rules = Arc::new(Rules::default());
    for beginning in BEGINNINGS {
        for piece in PIECES {
            let message = [beginning, &piece.repeat(OCTETS / piece.len())].concat();
            let started = Instant::now();
            let mut inspector = Inspector::new(Arc::clone(&rules));
            inspector.feed(&message);
            drop(inspector.finish());
            let taken = started.elapsed();
            if std::env::var_os("MAILSTEAD_TIMES").is_some() {
                println!("{taken:9.2?} {} {}", beginning.escape_ascii(), piece.escape_ascii());
            }
            assert!(taken < TIME_MAX, "{} {}: {taken:?}", beginning.escape_ascii(), piece.escape_ascii());
        }
    }
}
