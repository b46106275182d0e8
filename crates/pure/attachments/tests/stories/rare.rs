//! Archives that are listed at their end (7z), rare ones and images of disks: names of what is in them are judged.

use attachments::{Class, Limits, Rules, WindowAllowance};

use crate::made::*;

/// Of a folder with `my setup.exe`, `Folder.com/run.js`, `empty.scr` and two harmless files, as 7-Zip writes them.
const PLAIN: &[u8] = include_bytes!("../files/plain.7z");
const PACKED: &[u8] = include_bytes!("../files/packed.7z");
const ENCRYPTED: &[u8] = include_bytes!("../files/encrypted.7z");
const HIDDEN: &[u8] = include_bytes!("../files/hidden.7z");

#[test]
fn names_in_7z_archives() {
    for seven in [PLAIN, PACKED] {
        assert_eq!(
            told_of("a.7z", seven),
            [
                "program: “empty.scr” inside “a.7z” is named like a program",
                "script: “Folder.com/run.js” inside “a.7z” is named like a script for Windows",
                "program: “my setup.exe” inside “a.7z” is named like a program",
                "opaque: “a.7z” is a 7-Zip archive, of which only the names are looked at",
            ]
        );
    }
    // By py7zr, which packs the header by LZMA2.
    assert_eq!(
        told_of("a.7z", include_bytes!("../files/lzma2.7z")),
        [
            "program: “setup.exe” inside “a.7z” is named like a program",
            "opaque: “a.7z” is a 7-Zip archive, of which only the names are looked at",
        ]
    );
    let told = told_of("a.7z", ENCRYPTED);
    assert_eq!(told.len(), 5);
    assert!(told.contains(&"encrypted: “a.7z” is encrypted".to_owned()), "{told:?}");
    assert_eq!(told_of("a.7z", HIDDEN), ["encrypted: “a.7z” is encrypted, names too"]);
}

#[test]
fn a_long_7z_archive_has_its_names_at_its_end() {
    // Put between start and header: octets of entries that are far more than are kept.
    let long = |more: usize| {
        let header_at = 32 + u64::from_le_bytes(PLAIN[12..20].try_into().unwrap()) as usize;
        let mut seven = PLAIN[..header_at].to_vec();
        seven[12..20].copy_from_slice(&((header_at - 32 + more) as u64).to_le_bytes());
        seven.resize(header_at + more, 0x77);
        [seven, PLAIN[header_at..].to_vec()].concat()
    };
    for more in [1, 128 * 1024, 500_000] {
        assert_eq!(told_of("a.7z", &long(more)).len(), 4, "{more}");
    }
}

#[test]
fn what_is_wrong_in_a_7z_archive_is_told() {
    let damaged = "opaque: “a.7z” is damaged and was not looked into to its end";
    for end in [31, 32, 33, PACKED.len() - 1] {
        assert_eq!(told_of("a.7z", &PACKED[..end]), [damaged], "{end}");
    }
    let mut unread = PACKED.to_vec();
    let at = 32 + u64::from_le_bytes(PACKED[12..20].try_into().unwrap()) as usize;
    unread[at] = 0x7f;
    assert_eq!(
        told_of("a.7z", &unread),
        ["opaque: “a.7z” is a 7-Zip archive of which not even the names could be read"]
    );
    for seven in [PLAIN, PACKED, ENCRYPTED, HIDDEN] {
        for at in 6..seven.len() {
            let mut broken = seven.to_vec();
            broken[at] ^= 0x55;
            let _told = inspect_once(&attached("a.7z", &broken));
        }
    }
    // Nothing in it.
    let empty = [b"7z\xbc\xaf\x27\x1c\0\x04".as_slice(), &[0; 24]].concat();
    assert_eq!(told_of("a.7z", &empty), Vec::<String>::new());
    // 7-Zip finds the entries of one whose beginning was never filled in.
    for seven in [PLAIN, PACKED] {
        let unfinished = [&empty, &seven[32..]].concat();
        assert_eq!(
            told_of("a.7z", &unfinished),
            [
                "ambiguous: “a.7z” is a 7-Zip archive that is said to be empty and is not; 7-Zip seeks its entries at its end"
            ]
        );
    }
}

#[test]
fn bounds_of_7z_archives() {
    let with_header = |octets: u64| {
        let mut seven = PLAIN[..32].to_vec();
        seven[12..20].fill(0);
        seven[20..28].copy_from_slice(&octets.to_le_bytes());
        // A header of nothing.
        seven.extend_from_slice(&[1, 0]);
        seven.resize(32 + octets as usize, 0);
        seven
    };
    for (octets, expected) in [(262_143, 0), (262_144, 0), (262_145, 1)] {
        assert_eq!(told_of("a.7z", &with_header(octets)).len(), expected, "{octets}");
    }
    for (entries_max, expected) in [(6, 0), (5, 0), (4, 1)] {
        let rules = Rules { limits: Limits { entries_max, ..Limits::default() }, ..Rules::default() };
        let report = inspect_with(rules, &attached("a.7z", PLAIN));
        let incomplete = report.findings.iter().filter(|finding| finding.class == Class::Incomplete).count();
        assert_eq!(incomplete, expected, "{entries_max}");
    }
    // For the header as it stands, and for what it becomes with its window of a page.
    let lzma2 = include_bytes!("../files/lzma2.7z").as_slice();
    let kept = |seven: &[u8]| {
        let number = |at: usize| u64::from_le_bytes(seven[at..at + 8].try_into().unwrap()) as usize;
        number(12) + 5 * number(20)
    };
    for (seven, octets, is_told) in [
        (PLAIN, kept(PLAIN) - 1, true),
        (PLAIN, kept(PLAIN), false),
        (PACKED, kept(PACKED), true),
        (PACKED, kept(PACKED) + 32_767, true),
        (PACKED, kept(PACKED) + 36_000, false),
        (lzma2, kept(lzma2), true),
        (lzma2, kept(lzma2) + 36_000, false),
    ] {
        let rules = Rules { windows: WindowAllowance::new(octets), ..Rules::default() };
        let told = told(&inspect_with(rules, &attached("a.7z", seven)));
        let words = "incomplete: “a.7z” needs more memory to be unpacked than one message is given, and was not looked into to its end";
        assert_eq!(told == [words], is_told, "{octets} {told:?}");
    }
    let rules =
        Rules { limits: Limits { expanded_octets_max: 100, ..Limits::default() }, ..Rules::default() };
    let told = told(&inspect_with(rules, &attached("a.7z", PACKED)));
    assert_eq!(told, ["incomplete: “a.7z” becomes more than is unpacked of one message"]);
}

#[test]
fn names_in_a_cab() {
    assert_eq!(
        told_of("a.cab", include_bytes!("../files/a.cab")),
        [
            "program: “my setup.exe” inside “a.cab” is named like a program",
            "script: “Folder.com\\run.js” inside “a.cab” is named like a script for Windows",
            "rare-container: “a.cab” is named like a disk image or an archive that hardly anybody sends",
        ]
    );
}

#[test]
fn records_are_bounded() {
    for (octets, expected) in [(8_191, 1), (8_192, 1), (8_193, 0)] {
        let mut cab = b"MSCF".to_vec();
        cab.resize(36, 0);
        (cab[16], cab[28]) = (36, 2);
        for name in ["n".repeat(octets - 17).as_str(), "a.js"] {
            cab.extend_from_slice(&[0; 16]);
            cab.extend_from_slice(name.as_bytes());
            cab.push(0);
        }
        let scripts = told_of("a.bin", &cab).iter().filter(|told| told.starts_with("script")).count();
        assert_eq!(scripts, expected, "{octets}");
    }
}

#[test]
fn names_and_what_is_stored_in_an_arj() {
    let arj = include_bytes!("../files/a.arj");
    assert_eq!(
        told_of("a.arj", arj)[..2],
        [
            "program: “my setup.exe” inside “a.arj” is named like a program",
            "script: “Folder.com/run.js” inside “a.arj” is named like a script for Windows",
        ]
    );
    // The one that is stored under another name.
    let name = arj.windows(12).position(|octets| octets == b"my setup.exe").unwrap();
    let mut renamed = arj.to_vec();
    renamed[name..name + 12].copy_from_slice(b"my setup.txt");
    assert_eq!(told_of("a.arj", &renamed)[0], "program: “my setup.txt” inside “a.arj” is a Windows program");
    let told = told_of("a.arj", include_bytes!("../files/garbled.arj"));
    assert!(told.contains(&"encrypted: “my setup.exe” inside “a.arj” is encrypted".to_owned()), "{told:?}");
}

fn lzh(level: u8, method: &[u8; 5], name: &str, content: &[u8]) -> Vec<u8> {
    let base = |rest: &[u8]| {
        let mut octets = vec![0, 0];
        octets.extend_from_slice(method);
        octets.extend_from_slice(&(content.len() as u32).to_le_bytes());
        octets.extend_from_slice(&[9, 0, 0, 0, 1, 2, 3, 4, 0x20, level]);
        octets.extend_from_slice(rest);
        octets
    };
    let named = [&[name.len() as u8], name.as_bytes()].concat();
    let (folder, file) = (b"\x02folder\xff".as_slice(), [b"\x01".as_slice(), name.as_bytes()].concat());
    let length = |text: &[u8]| ((text.len() + 2) as u16).to_le_bytes().to_vec();
    let more = [length(folder), folder.to_vec(), length(&file), file.clone(), vec![0, 0]].concat();
    let mut octets = match level {
        0 => base(&[named, vec![7, 7, 0, 0, 0, 0]].concat()),
        1 => base(&[vec![0, 7, 7, b'M'], more[..2].to_vec()].concat()),
        _ => base(&[vec![7, 7, b'M'], more.clone()].concat()),
    };
    match level {
        0 | 1 => octets[0] = (octets.len() - 2) as u8,
        _ => {
            let length = octets.len() as u16;
            octets[..2].copy_from_slice(&length.to_le_bytes());
        }
    }
    if level == 1 {
        octets.extend_from_slice(&more[2..]);
        let inside = (more.len() - 2 + content.len()) as u32;
        octets[7..11].copy_from_slice(&inside.to_le_bytes());
    }
    [octets, content.to_vec()].concat()
}

#[test]
fn names_and_what_is_stored_in_lzh_archives() {
    for level in 0..3 {
        let folder = if level == 0 { "" } else { "folder/" };
        let archive = [
            lzh(level, b"-lhd-", "folder.com", b""),
            lzh(level, b"-lh5-", "a.js", b"packed"),
            lzh(level, b"-lh0-", "b.txt", &program()),
            vec![0],
        ]
        .concat();
        assert_eq!(
            told_of("a.lzh", &archive)[..2],
            [
                format!("script: “{folder}a.js” inside “a.lzh” is named like a script for Windows"),
                format!("program: “{folder}b.txt” inside “a.lzh” is a Windows program"),
            ],
            "{level}"
        );
    }
}

#[test]
fn names_and_what_is_stored_in_ace_archives() {
    let block = |kind: u8, flags: u16, rest: &[u8]| {
        let mut octets = vec![7, 7];
        octets.extend_from_slice(&((rest.len() + 3) as u16).to_le_bytes());
        octets.push(kind);
        octets.extend_from_slice(&flags.to_le_bytes());
        [octets, rest.to_vec()].concat()
    };
    let file = |flags: u16, packing: u8, name: &str, content: &[u8]| {
        let mut rest = (content.len() as u32).to_le_bytes().to_vec();
        rest.extend_from_slice(&[9; 8]);
        rest.extend_from_slice(&[0x20, 0, 0, 0, 1, 2, 3, 4, packing, 3, 0, 0, 0, 0]);
        rest.extend_from_slice(&(name.len() as u16).to_le_bytes());
        rest.extend_from_slice(name.as_bytes());
        [block(1, flags | 1, &rest), content.to_vec()].concat()
    };
    let archive = [
        block(0, 0, b"**ACE**\x14\x14\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        file(0, 1, "a.js", b"packed"),
        file(0x4000, 1, "b.txt", b"packed"),
        file(0, 0, "c.txt", &program()),
    ]
    .concat();
    let told = told_of("a.ace", &archive);
    assert!(
        told.contains(&"script: “a.js” inside “a.ace” is named like a script for Windows".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"encrypted: “b.txt” inside “a.ace” is encrypted".to_owned()), "{told:?}");
    assert!(told.contains(&"program: “c.txt” inside “a.ace” is a Windows program".to_owned()), "{told:?}");
}

#[test]
fn cpio_archives_are_looked_into() {
    let entry = |mode: u32, name: &str, content: &[u8]| {
        let mut octets = b"070701".to_vec();
        for number in [1, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0] {
            octets.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        octets.extend_from_slice(name.as_bytes());
        octets.push(0);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets.extend_from_slice(content);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    };
    let archive = [
        entry(0o040_755, "folder.com", b""),
        entry(0o100_644, "a.txt", &eicar()[..67]),
        entry(0o100_644, "b.txt", &eicar()),
        entry(0o100_644, "c.txt", &program()),
        entry(0, "TRAILER!!!", b""),
        vec![b'7'; 300],
    ]
    .concat();
    let told = told_of("a.cpio", &archive);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told.contains(&"test-virus: “b.txt” inside “a.cpio” is the EICAR test file".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"program: “c.txt” inside “a.cpio” is a Windows program".to_owned()), "{told:?}");
    // Older forms are told of, whatever they are called.
    let digits = [b"070707".as_slice(), &[b'0'; 70], b"a.exe\0MZ"].concat();
    let mut words = vec![0xc7, 0x71];
    words.resize(20, 1);
    words.extend_from_slice(b"\x06\0\0\0\x02\0a.exe\0MZ");
    for archive in [&digits, &words] {
        assert_eq!(
            told_of("a.bin", archive),
            ["rare-container: “a.bin” is an archive of a kind that hardly anybody sends"]
        );
    }
    words[20] = 5;
    assert_eq!(told_of("a.bin", &words), Vec::<String>::new());
}

/// A record of a directory of ISO 9660.
fn record(sector: u32, octets: u32, flags: u8, name: &[u8], more: &[u8]) -> Vec<u8> {
    let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let mut record = vec![0, 0];
    record.extend(both(sector));
    record.extend(both(octets));
    record.extend_from_slice(&[120, 1, 1, 0, 0, 0, 0, flags, 0, 0, 1, 0, 0, 1, name.len() as u8]);
    record.extend_from_slice(name);
    record.resize(record.len().next_multiple_of(2), 0);
    record.extend_from_slice(more);
    record[0] = record.len() as u8;
    record
}

/// An image with a directory and one inside it, in the letters of ISO 9660 and in those of Joliet.
fn image(name: &str) -> Vec<u8> {
    let wide = |name: &str| name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let descriptor = |kind: u8, escape: &[u8], root: u32| {
        let mut sector = [&[kind], b"CD001\x01".as_slice()].concat();
        sector.resize(88, 0);
        sector.extend_from_slice(escape);
        sector.resize(156, 0);
        sector.extend(record(root, 2_048, 2, b"\0", b""));
        sector
    };
    let own =
        |sector: u32| [record(sector, 2_048, 2, b"\0", b""), record(20, 2_048, 2, b"\x01", b"")].concat();
    let sectors = [
        descriptor(1, b"", 20),
        descriptor(2, b"%/E", 21),
        [&[255], b"CD001\x01".as_slice()].concat(),
        vec![0],
        [own(20), record(22, 2_048, 2, b"FOLDER.COM", b"")].concat(),
        [own(21), record(23, 2_048, 2, &wide("folder.com"), b"")].concat(),
        [own(22), record(30, 5, 0, b"READ_ME.TXT;1", b"NM\x0b\x01\0rm.bin")].concat(),
        [own(23), record(30, 5, 0, &wide(name), b"")].concat(),
        vec![0; 10 * 2_048],
    ];
    let mut image = vec![0; 16 * 2_048];
    for mut sector in sectors {
        sector.resize(sector.len().next_multiple_of(2_048), 0);
        image.extend(sector);
    }
    image
}

#[test]
fn descriptors_of_an_image_are_bounded() {
    for (count, expected) in [(31, 1), (32, 1), (33, 0)] {
        let mut image = vec![0; 16 * 2_048];
        for number in 1..=count {
            // Those of boot loaders between the first and the last.
            let (kind, escape) = match number {
                1 => (1, b"\0\0\0"),
                _ if number == count => (2, b"%/E"),
                _ => (0, b"\0\0\0"),
            };
            let mut sector = [&[kind], b"CD001\x01".as_slice()].concat();
            sector.resize(88, 0);
            sector.extend_from_slice(escape);
            sector.resize(156, 0);
            let root = if number == 1 { 55 } else { 60 };
            sector.extend(record(root, 2_048, 2, b"\0", b""));
            sector.resize(2_048, 0);
            image.extend(sector);
        }
        image.resize(59 * 2_048, 0);
        image.extend_from_slice(b"\xffCD001\x01");
        image.resize(60 * 2_048, 0);
        image.extend(record(70, 5, 0, b"\0a\0.\0j\0s", b""));
        image.resize(64 * 2_048, 0);
        let told = told_of("a.bin", &image);
        let scripts = told.iter().filter(|told| told.contains("“a.js” inside")).count();
        assert_eq!(scripts, expected, "{count} {told:?}");
    }
}

#[test]
fn directories_of_an_image_are_bounded() {
    for (count, expected) in [(999, 0), (1_000, 0), (1_001, 1)] {
        let mut descriptor = b"\x01CD001\x01".to_vec();
        descriptor.resize(156, 0);
        descriptor.extend(record(18, 40 * 2_048, 2, b"\0", b""));
        let mut image = vec![0; 16 * 2_048];
        image.extend(descriptor);
        image.resize(17 * 2_048, 0);
        image.extend_from_slice(b"\xffCD001\x01");
        for number in 0..count {
            // Records do not go across sectors.
            if number % 40 == 0 {
                image.resize(image.len().next_multiple_of(2_048), 0);
            }
            image.extend(record(100 + number, 2_048, 2, number.to_string().as_bytes(), b""));
        }
        image.resize(100 * 2_048, 0);
        let told = told_of("a.bin", &image);
        let incomplete = told.iter().filter(|told| told.contains("has directories that are not looked at"));
        assert_eq!(incomplete.count(), expected, "{count} {told:?}");
    }
}

#[test]
fn names_in_an_image() {
    assert_eq!(
        told_of("invoice.iso", &image("setup.exe")),
        [
            "program: “setup.exe” inside “invoice.iso” is named like a program",
            "rare-container: “invoice.iso” is named like a disk image or an archive that hardly anybody sends",
        ]
    );
    // Whatever it is called, and without anything in it that does something it is an image and no more.
    assert_eq!(
        told_of("invoice.bin", &image("letter.txt")),
        ["rare-container: “invoice.bin” is a disk image"]
    );
    assert_eq!(
        told_of("invoice.bin", &image("a.js"))[0],
        "script: “a.js” inside “invoice.bin” is named like a script for Windows"
    );
    // With a descriptor in front that is no primary one.
    let joliet_first = |image: Vec<u8>| {
        let (front, descriptors) = image.split_at(16 * 2_048);
        let (primary, rest) = descriptors.split_at(2_048);
        let (joliet, rest) = rest.split_at(2_048);
        [front, joliet, primary, rest].concat()
    };
    assert_eq!(
        told_of("invoice.bin", &joliet_first(image("a.js")))[0],
        "script: “a.js” inside “invoice.bin” is named like a script for Windows"
    );
    // With a directory in front of all of them, which is not read.
    let mut image_with = image("a.txt");
    let at = 20 * 2_048 + record(20, 2_048, 2, b"\0", b"").len() * 2;
    image_with[at + 2] = 4;
    assert_eq!(
        told_of("invoice.bin", &image_with),
        [
            "rare-container: “invoice.bin” is a disk image",
            "incomplete: “invoice.bin” has directories that are not looked at",
        ]
    );
    for end in [32_768, 32_774, 32_775, 45_000] {
        let _torn = told_of("invoice.iso", &image("a.js")[..end]);
    }
}
