//! What is packed by bzip2, xz, lzip, lzma and zstd is looked into like what gzip packs, as those programs write it.

use std::io::Write;

use attachments::{Class, Limits, Rules, WindowAllowance};

use crate::made::*;

/// A tar with a text, a program that is called photo.jpg, and run.js; packed by each program.
const FILES: [(&str, &[u8]); 5] = [
    ("a.tar.bz2", include_bytes!("../files/a.tar.bz2")),
    ("a.tar.lz", include_bytes!("../files/a.tar.lz")),
    ("a.tar.lzma", include_bytes!("../files/a.tar.lzma")),
    ("a.tar.xz", include_bytes!("../files/a.tar.xz")),
    ("a.tar.zst", include_bytes!("../files/a.tar.zst")),
];

#[test]
fn what_is_packed_is_looked_into() {
    for (name, packed) in FILES {
        assert_eq!(
            told_of(name, packed),
            [
                format!("program: “photo.jpg” inside “a.tar” inside “{name}” is a Windows program"),
                format!("script: “run.js” inside “a.tar” inside “{name}” is named like a script for Windows"),
                format!(
                    "disguised: “photo.jpg” inside “a.tar” inside “{name}” is a Windows program and is named .jpg"
                ),
            ]
        );
    }
}

#[test]
fn entries_of_zip_that_are_packed_so_are_looked_into() {
    for ((_, packed), method) in FILES.into_iter().zip([Some(12), None, None, Some(95), Some(93)]) {
        if method.is_none() {
            continue;
        }
        let how = How { is_stored: true, method, ..How::default() };
        let zip = Zip::default().entry_as("a.tar", packed, how).entry("b.exe", b"MZ").finish();
        let told = told_of("a.zip", &zip);
        assert_eq!(told.len(), 4, "{method:?} {told:?}");
        assert_eq!(told[0], "program: “photo.jpg” inside “a.tar” inside “a.zip” is a Windows program");
        assert!(
            told.contains(&"program: “b.exe” inside “a.zip” is named like a program".to_owned()),
            "{told:?}"
        );
    }
}

#[test]
fn several_streams_are_one_content() {
    for (name, packed) in FILES.into_iter().filter(|(name, _)| !name.ends_with(".lzma")) {
        let twice = told_of(name, &packed.repeat(2));
        assert_eq!(twice, told_of(name, packed), "{name}");
        let mut report = inspect(&attached(name, &packed.repeat(2)));
        assert_eq!(report.expanded_octets, 2 * 10_240, "{name}");
        // What follows and is none of it changes nothing.
        report = inspect(&attached(name, &[packed, b"and more".as_slice()].concat()));
        assert_eq!((report.expanded_octets, report.findings.len()), (10_240, 3), "{name}");
    }
}

#[test]
fn what_stands_in_front_hides_nothing() {
    let [(_, bzip2), _, (_, lzma), (_, xz), (_, zstd)] = FILES;
    let unlimited = [&lzma[..1], &[0xff; 4], &lzma[5..]].concat();
    for (name, packed) in [
        // Nothing, packed.
        ("a.tar.bz2", [b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", bzip2].concat()),
        ("a.tar.zst", [b"\x50\x2a\x4d\x18\x04\0\0\0abcd", zstd].concat()),
        ("a.tar.zst", [b"\x28\xb5\x2f\xfd\x20\0\x01\0\0", zstd].concat()),
        ("a.tar.xz", [b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36\0\0\0\0\0\0\0\0", xz].concat()),
        // A window of any length; no bits of context.
        ("a.tar.lzma", unlimited),
        ("a.tar.lzma", include_bytes!("../files/other.tar.lzma").to_vec()),
    ] {
        let told = told_of(name, &packed);
        let expected = format!("program: “photo.jpg” inside “a.tar” inside “{name}” is a Windows program");
        assert!(told.contains(&expected), "{name} {told:?}");
    }
    // What only begins as zstd does, and what its program unpacks too.
    let unknown = ["opaque: “a.zst” is packed in a way that is not looked into"];
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    let lz4 = b"\x04\x22\x4d\x18 and so on";
    assert_eq!(told_of("a.zst", &[skipped.as_slice(), lz4].concat()), unknown);
    for behind in [lz4.as_slice(), b"\x27\xb5\x2f\xfd", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0"] {
        let told = told_of("a.zst", &[b"\x28\xb5\x2f\xfd\x20\0\x01\0\0", behind].concat());
        assert_eq!(told, unknown, "{}", behind.escape_ascii());
    }
}

#[test]
fn what_is_something_else_and_ends_as_a_zip() {
    let zip = Zip::default().entry("setup.exe", &program()).finish();
    let seven = include_bytes!("../files/plain.7z").to_vec();
    let packed = FILES.map(|(_, packed)| packed.to_vec());
    let of_text = gzip(b"a text");
    for other in packed.iter().chain([&seven, &of_text, &tar_of(&[("a.txt", b"a text")])]) {
        let both = [other.as_slice(), &zip].concat();
        let said = |told: &Vec<String>| told.iter().any(|told| told.contains("ends as the zip archive"));
        let told = told_of("a.zip", &both);
        assert!(said(&told), "{told:?}");
        let told = told_of("a.bin", &both);
        assert!(!said(&told), "{told:?}");
        let told = told_of("a.zip", other);
        assert!(!said(&told), "{told:?}");
    }
}

#[test]
fn entries_of_zip_that_are_longer_than_they_say() {
    // As in a zip: the packer's version and how long the properties are.
    let lzma = FILES[2].1;
    let entry = [&[22, 0, 5, 0], &lzma[..5], &lzma[13..]].concat();
    let zip = |unpacked: u32| {
        let how = How { is_stored: true, method: Some(14), ..How::default() };
        let mut zip = Zip::default().entry_as("a.tar", &entry, how).finish();
        zip[22..26].copy_from_slice(&unpacked.to_le_bytes());
        told_of("a.zip", &zip)
    };
    assert_eq!(zip(10_240).len(), 3);
    assert_eq!(
        zip(1),
        [
            "ambiguous: “a.tar” inside “a.zip” is said to be shorter than what is packed, and was not looked into to its end"
        ]
    );
}

#[test]
fn what_is_torn_is_looked_into_as_far_as_it_goes() {
    for (name, packed) in FILES {
        for end in [1_024, packed.len() - 30, packed.len() - 60].into_iter().filter(|end| *end < packed.len())
        {
            let told = told_of(name, &packed[..end]);
            let is_told =
                told.contains(&format!("opaque: “{name}” is damaged and was not looked into to its end"));
            assert!(is_told, "{name} {end} {told:?}");
        }
        // Wherever an octet is wrong it ends, in one way or another.
        for at in 6..packed.len() {
            let mut broken = packed.to_vec();
            broken[at] ^= 0x55;
            let _told = inspect_once(&attached(name, &broken));
        }
    }
}

#[test]
fn a_picture_that_is_packed_is_no_picture() {
    let (_, packed) = FILES[3];
    let told = told_of("cat.jpg", packed);
    assert!(told.contains(&"disguised: “cat.jpg” is packed by xz and is named .jpg".to_owned()), "{told:?}");
}

/// A long text of one octet, packed in blocks of what zstd, bzip2 and xz call repetitions.
fn zeros_by_zstd(blocks: usize) -> Vec<u8> {
    let mut octets = b"\x28\xb5\x2f\xfd\0\x58".to_vec();
    let block = |is_last: u32| (is_last | 1 << 1 | (128 * 1024) << 3).to_le_bytes();
    for number in 1..=blocks {
        octets.write_all(&block(u32::from(number == blocks))[..3]).unwrap();
        octets.push(b'z');
    }
    octets
}

#[test]
fn what_becomes_far_longer_is_a_bomb() {
    let rules = || Rules { limits: Limits { ratio_max: 100, ..Limits::default() }, ..Rules::default() };
    for (blocks, expected) in [(64, vec![]), (65, vec![Class::Bomb]), (1_000, vec![Class::Bomb])] {
        let report = inspect_with(rules(), &attached("a.zst", &zeros_by_zstd(blocks)));
        let classes: Vec<Class> = report.findings.iter().map(|finding| finding.class).collect();
        assert_eq!(classes, expected, "{blocks}");
        assert!(report.expanded_octets < 9 << 20, "{}", report.expanded_octets);
    }
}

#[test]
fn memory_that_cannot_be_had_is_told_of() {
    let few = |octets| Rules { windows: WindowAllowance::new(octets), ..Rules::default() };
    for (name, packed) in FILES {
        let report = inspect_with(few(0), &attached(name, packed));
        let told = told(&report);
        assert!(
            told.iter().any(|told| told.starts_with("incomplete") && told.contains("more memory")),
            "{name} {told:?}"
        );
        // And given back, so that the next message has it.
        let rules = few(8 << 20);
        let message = [attached(name, packed), attached(name, packed)].concat();
        assert_eq!(inspect_with(rules, &message).findings.len(), 3, "{name}");
    }
    // A window's bound, one below, at it, and one above: a block of bzip2 is all that it needs.
    for (octets, expected) in [(3_599_999, 1), (3_600_000, 3), (3_600_001, 3)] {
        let rules =
            Rules { limits: Limits { window_octets_max: octets, ..Limits::default() }, ..Rules::default() };
        let (name, packed) = FILES[0];
        assert_eq!(inspect_with(rules, &attached(name, packed)).findings.len(), expected, "{octets}");
    }
}

#[test]
fn chunks_that_begin_anew_are_bounded() {
    let xz = |chunks: usize| {
        let begin = b"\xfd7zXZ\0\0\0\0\0\0\0\x02\0\x21\x01\x16\0\0\0\0\0\0\0".as_slice();
        let chunk = b"\xe0\0\0\0\x05\x5d\0\0\0\0\0\0".repeat(chunks);
        [begin, &chunk, &[0; 8]].concat()
    };
    for (chunks, expected) in [(255, 0), (256, 0), (257, 1)] {
        let report = inspect(&attached("a.xz", &xz(chunks)));
        assert_eq!(report.findings.len(), expected, "{chunks} {:?}", told(&report));
        assert_eq!(report.expanded_octets, chunks.min(256) as u64);
    }
}
