//! What an attacker might send to make looking slow: time grows with the octets alone. Quadratic looking at so many would take
//! minutes, and so would what costs thousands of times its length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attachments::{Inspector, Rules};

const OCTETS: usize = 256 * 1024;

/// Debug build and busy machine included.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What readers act on: each is repeated, behind a beginning that chooses the reader.
const PIECES: [&[u8]; 43] = [
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
    // Chunks of LZMA2 that each begin anew, blocks and streams of xz, frames of zstd, blocks of bzip2.
    b"\xe0\0\0\0\x05\x5d\0\0\0\0\0\0",
    b"\x02\0\x21\x01\x16\0\0\0\0\0\0\0\0\0\0\0",
    b"\xfd7zXZ\0\0\0\0\0\0\0",
    b"\x28\xb5\x2f\xfd\0\x58\x01\0\0",
    b"\x50\x2a\x4d\x18\0\0\0\0",
    b"1AY&SY\0\0\0\0\0\0\0\x80\0\x80\0\x20\0",
    // Codes of RAR 4 that end at once, blocks of RAR 5 with codes and without, and entries that are such a block.
    b"\x00\x7f\x88\xbf\xfe\xb7\xfe\xc8",
    b"\x85\xd7\x08\x01\xfe\x22\xf6\xbf\xff\xfc\xb0",
    b"\x85\xd7\x08\x01\xfe\x22\xf6\xbf\xff\xfc\xb0\0\x5b\x01\0\0\x5b\x01\0\0\x5b\x01\0\0\x5b\x01\0\0\x5b\x01\0",
    b"\0\0\0\0\x0b\x02\x02\x0b\0\x01\0\x80\x03\0\x01a\x85\xd7\x08\x01\xfe\x22\xf6\xbf\xff\xfc\xb0",
    // Blocks of cabinets: empty, and of one octet by MSZIP and by LZX.
    b"\0\0\0\0\0\0\x01\0",
    b"\0\0\0\0\x06\0\x01\0CK\xab\0\0\0",
    b"\0\0\0\0\x12\0\x01\0\0\x60\x20\0\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0",
    // Records of rare archives and of directories.
    b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x22\0\xff\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\x01\0\0\x01\x01a",
    b"\x01\x01\x02\0",
];

const BEGINNINGS: [&[u8]; 21] = [
    b"",
    b"Content-Type: multipart/mixed; boundary=b\n\n",
    b"Content-Type: a/b; name=a.zip\n\nPK\x03\x04",
    b"Content-Type: a/b\n\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"Content-Type: a/b\n\n\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"Content-Type: a/b\n\n%PDF-1.7 ",
    b"Content-Type: a/b\n\n<?xml ",
    b"Content-Type: a/b\n\n<html><script>",
    b"Content-Type: a/b\n\nRar!\x1a\x07\x01\x00",
    b"Content-Type: a/b\n\nRar!\x1a\x07\x01\0\0\0\0\0\x0f\x02\x02\xff\xff\x3f\0\xff\xff\x3f\0\x80\x03\0\x01a",
    b"Content-Type: a/b\n\nRar!\x1a\x07\0\0\0\x74\0\x80\x21\0\xff\xff\xff\0\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\x1d\x33\x01\0\0\0\0\0a",
    b"Content-Type: a/b\n\n\xfd7zXZ\0\0\0\0\0\0\0\x02\0\x21\x01\x16\0\0\0\0\0\0\0",
    b"Content-Type: a/b\n\nBZh91AY&SY\0\0\0\0\0\0\0\x80\0\x80\0\x20\0",
    b"Content-Type: a/b\n\n\x28\xb5\x2f\xfd\0\x58",
    b"Content-Type: a/b\n\n\x4d\x53\x43\x46\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x00\x00\x00\x03\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x3e\x00\x00\x00\xff\xff\x00\x00\xff\xff\xff\x7f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x61\x00",
    b"Content-Type: a/b\n\n\x4d\x53\x43\x46\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x00\x00\x00\x03\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x3e\x00\x00\x00\xff\xff\x01\x00\xff\xff\xff\x7f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x61\x00",
    b"Content-Type: a/b\n\n\x4d\x53\x43\x46\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x00\x00\x00\x03\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x3e\x00\x00\x00\xff\xff\x03\x15\xff\xff\xff\x7f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x61\x00\0\0\0\0\x12\0\x01\0\0\x30\x10\0\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0",
    b"Content-Type: a/b\n\nMSCF\0\0\0\0\0\0\0\0\0\0\0\0\x24\0\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0",
    b"Content-Type: a/b\n\nLZIP\x01\x0c\0\0\0\0\0",
    b"Content-Type: a/b\n\n7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\x01\x05\xc3\0\0",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n\n\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
];

#[test]
fn whatever_comes_time_grows_with_its_length() {
    let rules = Arc::new(Rules::default());
    for beginning in BEGINNINGS {
        for piece in PIECES {
            let message = [beginning, &piece.repeat(OCTETS / piece.len())].concat();
            check(&rules, &message, &format!("{} {}", beginning.escape_ascii(), piece.escape_ascii()));
        }
    }
}

/// Everything that may stand in an image of a disk.
#[test]
fn in_images_too() {
    let rules = Arc::new(Rules::default());
    for signature in [b"\x01CD001", b"\0BEA01"] {
        for piece in PIECES {
            let descriptors = [signature.as_slice(), &[0; 2_042], b"\xffCD001", &[0; 2_042]].concat();
            let beginning = [b"Content-Type: a/b\n\n".as_slice(), &[0; 32_768], &descriptors].concat();
            let message = [beginning, piece.repeat(OCTETS / piece.len())].concat();
            check(&rules, &message, &format!("{} {}", signature.escape_ascii(), piece.escape_ascii()));
        }
    }
}

fn check(rules: &Arc<Rules>, message: &[u8], name: &str) {
    let started = Instant::now();
    let mut inspector = Inspector::new(Arc::clone(rules));
    inspector.feed(message);
    drop(inspector.finish());
    let taken = started.elapsed();
    if std::env::var_os("MAILSTEAD_TIMES").is_some() {
        println!("{taken:9.2?} {name}");
    }
    assert!(taken < TIME_MAX, "{name}: {taken:?}");
}
