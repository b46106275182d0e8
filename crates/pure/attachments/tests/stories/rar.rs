//! RAR archives: what is stored or packed in them is looked into, as RAR 6.23 writes them (`-ma5` and `-ma4`) and as nobody does.

use attachments::{Class, Limits, Rules, WindowAllowance};

use crate::made::*;
use crate::made_rar::*;

/// Of a text, a program that is called photo.jpg, and run.js, each packed with what the ones before it have left.
const SOLID_FILES: [&[u8]; 2] =
    [include_bytes!("../files/solid4.rar"), include_bytes!("../files/solid5.rar")];
/// Of [`calling_program`], [`picture`] and [`sound`], each changed by a filter.
const FILTERED: [&[u8]; 2] =
    [include_bytes!("../files/filters4.rar"), include_bytes!("../files/filters5.rar")];
/// Of a text, packed by PPMd; and of [`picture`], changed by the filter for colours.
const PPMD: &[u8] = include_bytes!("../files/ppmd4.rar");
const COLOURS: &[u8] = include_bytes!("../files/colours4.rar");

/// A program in which calls and jumps to few places stand.
fn calling_program() -> Vec<u8> {
    let mut octets = program();
    for number in 1.. {
        octets.extend_from_slice(&[0x55, 0x8b, 0xec, (number * 7) as u8, 0x6a, ((number * 13) >> 3) as u8]);
        let mut branch = |octet: u8, target: u32| {
            octets.push(octet);
            let from = octets.len() as u32 + 4;
            octets.extend_from_slice(&target.wrapping_sub(from).to_le_bytes());
        };
        branch(0xe8, 0x1000 + number * number % 23 * 0x140);
        if number % 3 == 0 {
            branch(0xe9, 0x2000);
        }
        octets.extend_from_slice(&[0x5d, 0xc3]);
        if octets.len() >= 4_000 {
            break;
        }
    }
    octets.truncate(4_000);
    octets
}

fn picture() -> Vec<u8> {
    let mut octets = b"BM".to_vec();
    for value in [3_000_u32, 0, 54, 40, 100, 10, 24 << 16 | 1, 0, 2_946, 2_835, 2_835, 0, 0] {
        octets.extend_from_slice(&value.to_le_bytes());
    }
    let mut colours = [10_u8, 90, 170];
    for number in 1_u32..=982 {
        for (colour, which) in colours.iter_mut().zip(1..) {
            *colour = colour.wrapping_add((number * number * which / 7 % 5) as u8).wrapping_sub(1);
        }
        octets.extend_from_slice(&colours);
    }
    octets
}

fn sound() -> Vec<u8> {
    let mut octets = b"RIFF\xb0\x0b\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    for value in [44_100_u32, 176_400, 16 << 16 | 4, u32::from_le_bytes(*b"data"), 2_956] {
        octets.extend_from_slice(&value.to_le_bytes());
    }
    let mut sides = [0_u16, 0];
    for number in 1_u32..=739 {
        for (side, which) in sides.iter_mut().zip(3..) {
            *side = side.wrapping_add((number * number * which / 11 % 701) as u16).wrapping_sub(350);
            octets.extend_from_slice(&side.to_le_bytes());
        }
    }
    octets
}

#[test]
fn what_is_packed_is_looked_into() {
    for archive in SOLID_FILES {
        assert_eq!(
            told_of("a.rar", archive),
            [
                "program: “photo.jpg” inside “a.rar” is a Windows program",
                "script: “run.js” inside “a.rar” is named like a script for Windows",
                "disguised: “photo.jpg” inside “a.rar” is a Windows program and is named .jpg",
            ]
        );
        let letter: String = (0..60)
            .map(|line| format!("Dear Bob, this is line {line} of what Ann has to say.\r\n"))
            .collect();
        assert_eq!(known(&[letter.as_bytes(), &program(), b"WScript.Echo(1)"], archive), 3);
    }
}

#[test]
fn what_filters_change_is_undone() {
    for archive in FILTERED {
        assert_eq!(known(&[&calling_program(), &picture(), &sound()], archive), 3);
        assert_eq!(told_of("a.rar", archive), ["program: “setup.bin” inside “a.rar” is a Windows program"]);
    }
}

#[test]
fn what_is_not_undone_or_unpacked_is_told_of() {
    assert_eq!(
        told_of("a.rar", COLOURS),
        [
            "incomplete: “picture.bmp” inside “a.rar” was changed before it was packed, in a way that is not undone"
        ]
    );
    let unread = "is packed in a way that is not looked into to its end";
    assert_eq!(told_of("a.rar", PPMD), [format!("incomplete: “letter.txt” inside “a.rar” {unread}")]);
    // Before version 2.9, and one that is still to come.
    let [old, new] = SOLID_FILES;
    let mut older = old.to_vec();
    older[20 + 24] = 26;
    let told = told_of("a.rar", &older);
    assert!(told.contains(&format!("incomplete: “photo.jpg” inside “a.rar” {unread}")), "{told:?}");
    let rar = rar5(&[Entry::new("a.txt", PACKED | 1, 3, b"what".to_vec())]);
    assert_eq!(told_of("a.rar", &rar), [format!("incomplete: “a.txt” inside “a.rar” {unread}")]);
    // A filter of RAR 5 that does not exist.
    let packed = Coded::default().codes().filter(0, 6, 7).literals(b"hello.").finish();
    let rar = rar5(&[Entry::new("a.txt", PACKED, 6, packed)]);
    assert!(told_of("a.rar", &rar)[0].ends_with("in a way that is not undone"));
    assert!(new.starts_with(b"Rar!\x1a\x07\x01"));
}

#[test]
fn what_is_stored_or_encrypted() {
    let rar = rar5(&[
        Entry::stored("a.jpg", &program()),
        Entry::stored("empty.scr", b""),
        Entry { file_flags: 1, ..Entry::stored("folder.com", b"") },
    ]);
    let told = told_of("a.rar", &rar);
    assert_eq!(
        told[..2],
        [
            "program: “a.jpg” inside “a.rar” is a Windows program",
            "program: “empty.scr” inside “a.rar” is named like a program",
        ]
    );
    assert!(told.iter().all(|told| !told.contains("folder")), "{told:?}");
    let encrypted = Entry { records: vec![2, 1, 0], ..Entry::new("a.txt", PACKED, 16, vec![7; 16]) };
    assert_eq!(told_of("a.rar", &rar5(&[encrypted])), ["encrypted: “a.txt” inside “a.rar” is encrypted"]);
    // Behind a block of a kind that does not exist.
    let begin = [b"Rar!\x1a\x07\x01\x00".as_slice(), &block(1, 0, &[0]), &block(9, 2, &[3]), b"abc"].concat();
    let rar = [begin, rar5(&[Entry::stored("a.js", b"x")])[8..].to_vec()].concat();
    assert_eq!(told_of("a.rar", &rar), ["script: “a.js” inside “a.rar” is named like a script for Windows"]);
    let rar = [b"Rar!\x1a\x07\x01\x00".as_slice(), &block(1, 0, &[0]), &block(4, 0, &[0, 0])].concat();
    assert_eq!(told_of("a.rar", &rar), ["encrypted: “a.rar” is encrypted, names too"]);
}

#[test]
fn old_archives_too() {
    let content = program();
    let mut entry = old_header("run.scr", 0, content.len(), content.len() as u32);
    entry[25] = 0x30;
    let rar = rar4(&[[entry, content].concat()]);
    assert_eq!(told_of("a.rar", &rar), ["program: “run.scr” inside “a.rar” is named like a program"]);
    // With another name in Unicode, by which programs go.
    let entry = old_header("a.txt\0\0\0a.ex\0e", 0x200, 0, 0);
    assert_eq!(
        told_of("a.rar", &rar4(&[entry])),
        ["program: “a.exe” inside “a.rar” is named like a program"]
    );
    let folder = old_header("folder.com", 7 << 5, 0, 0);
    assert_eq!(told_of("a.rar", &rar4(&[folder])), Vec::<String>::new());
}

#[test]
fn an_archive_behind_something_else() {
    let hidden = "ambiguous: “a.rar” holds the RAR archive that it is named after behind something else";
    let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 3_000]].concat();
    let almost = [vec![0x80; 2_000], b"Rar!\x1a\x07Rar!\x1a\x07\x01".to_vec(), vec![1; 50]].concat();
    for before in [b"\x80".to_vec(), b"a text\n".to_vec(), picture, almost] {
        for archive in SOLID_FILES {
            let told = told_of("a.rar", &[&before, archive].concat());
            assert!(told.contains(&hidden.to_owned()), "{told:?}");
            assert!(told.contains(&"program: “photo.jpg” inside “a.rar” is a Windows program".to_owned()));
            // Programs go by its name.
            assert!(
                told_of("a.bin", &[&before, archive].concat()).iter().all(|told| !told.contains("photo"))
            );
        }
    }
    const FAR: usize = 4 << 20;
    for (octets, is_found) in [(FAR - 1, true), (FAR, true), (FAR + 1, false)] {
        let octets = [vec![0x80; octets], SOLID_FILES[1].to_vec()].concat();
        let report = inspect_once(&attached("a.rar", &octets));
        assert_eq!(report.findings.iter().any(|finding| finding.class == Class::Ambiguous), is_found);
    }
}

#[test]
fn entries_that_go_on_in_other_files() {
    let content = [program(), vec![7; 3_000]].concat();
    let packed = Coded::default().codes().literals(&content[..2_000]).end_block(false);
    let packed = packed.literals(&content[2_000..]).finish();
    let half = Entry::new("a.bin", PACKED, content.len(), packed[..2_000].to_vec());
    let told = told_of("a.part1.rar", &rar5(&[Entry { flags: 16, ..half.clone() }]));
    assert_eq!(
        told,
        [
            "program: “a.bin” inside “a.part1.rar” is a Windows program",
            "incomplete: “a.bin” inside “a.part1.rar” goes on in another file and was not looked into to its end",
        ]
    );
    // What is cut off is damaged.
    assert!(told_of("a.rar", &rar5(std::slice::from_ref(&half)))[1].starts_with("opaque: “a.bin”"));
    let other = Entry::new("run.js", PACKED, 3, Coded::default().codes().literals(b"abc").finish());
    let told = told_of("a.part2.rar", &rar5(&[Entry { flags: 8, ..half }, other]));
    assert_eq!(
        told,
        [
            "script: “run.js” inside “a.part2.rar” is named like a script for Windows",
            "incomplete: “a.bin” inside “a.part2.rar” begins in another file and was not looked into",
        ]
    );
}

#[test]
fn a_solid_archive_goes_on_where_it_can() {
    let first = || Entry::new("a", PACKED, 600, Coded::default().codes().literals(&program()).finish());
    // With the first's codes, and all of what it became.
    let second = || Entry::new("b", PACKED | SOLID, 600, Coded::default().repeat(600, 600).finish());
    let is_found = |rar: &[u8]| told_of("a.rar", rar).iter().any(|told| told.contains("“b” inside"));
    assert!(is_found(&rar5(&[first(), second()])));
    // What is stored between them, or nothing, changes nothing.
    let empty = Entry { file_flags: 1, ..Entry::stored("c", b"") };
    assert!(is_found(&rar5(&[first(), Entry::stored("d", b"stored"), empty, second()])));
    let unread = "incomplete: “a.rar” has entries that refer back to one which was not looked into";
    let encrypted = Entry { records: vec![2, 1, 0], ..first() };
    let torn = Entry { unpacked: Some(601), ..first() };
    let begun = Entry { flags: 8, ..first() };
    // More than it is said to be.
    let longer = Entry { unpacked: Some(599), ..first() };
    for before in [encrypted, torn, begun, longer] {
        let rar = rar5(&[before, second(), second()]);
        let told = told_of("a.rar", &rar);
        assert!(told.contains(&unread.to_owned()), "{told:?}");
        assert!(!is_found(&rar));
    }
    // Codes of an empty entry are the next one's, and the first may as well be called solid.
    let codes = |packing| Entry::new("a", packing, 0, Coded::default().codes().finish());
    let content = || Coded::default().literals(&program()).end_block(false).codes().finish();
    for before in [vec![], vec![Entry::stored("c", b"stored")]] {
        for packing in [PACKED, PACKED | SOLID] {
            let entry = Entry::new("b", PACKED | SOLID, 600, content());
            assert!(is_found(&rar5(&[before.clone(), vec![codes(packing), entry]].concat())));
        }
    }
    // What is not solid has nothing to refer to.
    let told = told_of("a.rar", &rar5(&[first(), Entry { packing: PACKED, ..second() }]));
    assert!(told[1].starts_with("opaque: “b” inside “a.rar” is damaged"), "{told:?}");
}

#[test]
fn lengths_that_are_not_said_or_wrong() {
    let packed = || Coded::default().codes().literals(b"0123456789").finish();
    let found = |unpacked: Option<u64>| {
        let entry = Entry { unpacked, ..Entry::new("a.txt", PACKED, 0, packed()) };
        let report =
            inspect_with(knowing(&[b"0123456789", b"012345678"]), &attached("a.rar", &rar5(&[entry])));
        report.findings.iter().map(|finding| finding.class).collect::<Vec<_>>()
    };
    assert_eq!(found(None), [Class::Listed]);
    // Programs write no more than is said.
    assert_eq!(found(Some(9)), [Class::Listed]);
    assert_eq!(found(Some(10)), [Class::Listed]);
    assert_eq!(found(Some(11)), [Class::Listed, Class::Opaque]);
}

#[test]
fn what_is_torn_or_changed_ends_somehow() {
    for archive in [SOLID_FILES, FILTERED].concat().into_iter().chain([PPMD, COLOURS]) {
        // Of long ones some.
        let step = archive.len() / 500 + 1;
        for end in (0..archive.len()).step_by(step) {
            let _torn = inspect_once(&attached("a.rar", &archive[..end]));
        }
        for at in (8..archive.len()).step_by(step) {
            let mut broken = archive.to_vec();
            broken[at] ^= 0x55;
            let _told = inspect_once(&attached("a.rar", &broken));
        }
    }
}

#[test]
fn memory_that_cannot_be_had_is_told_of() {
    let needs =
        "needs more memory to be unpacked than one message is given, and was not looked into to its end";
    let few = |octets| Rules {
        limits: Limits { window_octets_max: octets, ..Limits::default() },
        ..Rules::default()
    };
    for archive in SOLID_FILES {
        let told = told(&inspect_with(few(0), &attached("a.rar", archive)));
        assert!(told.iter().any(|told| told.ends_with(needs)), "{told:?}");
    }
    // Of what is kept, pages of 32 KiB: one below the farthest, that, and one above.
    let noise: Vec<u8> = (0..80_000_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    for (distance, is_found) in [(65_535, true), (65_536, true), (65_537, false)] {
        let packed = Coded::default().codes().literals(&noise).repeat(distance, 10).finish();
        let rar = rar5(&[Entry::new("a.bin", PACKED, 80_010, packed)]);
        let report = inspect_with(few(70_000), &attached("a.rar", &rar));
        assert_eq!(report.findings.is_empty(), is_found, "{distance} {:?}", told(&report));
    }
    // And given back, so that the next message has it.
    let rules = Rules { windows: WindowAllowance::new(32 * 1024), ..Rules::default() };
    let message = [attached("a.rar", SOLID_FILES[1]), attached("a.rar", SOLID_FILES[1])].concat();
    assert_eq!(inspect_with(rules, &message).findings.len(), 3);
}

#[test]
fn what_becomes_too_much_ends() {
    // About thirty bits for 4,000 octets.
    let zeros = |times: usize| {
        let coded = Coded::default().codes().literals(b"0");
        (0..times).fold(coded, |coded, _| coded.repeat(1, 4_000)).finish()
    };
    let of = |times: usize| rar5(&[Entry::new("a.txt", PACKED, times * 4_000 + 1, zeros(times))]);
    for (times, expected) in [(2_097, vec![]), (2_098, vec![Class::Bomb]), (9_000, vec![Class::Bomb])] {
        let report = inspect(&attached("a.rar", &of(times)));
        let classes: Vec<Class> = report.findings.iter().map(|finding| finding.class).collect();
        assert_eq!(classes, expected, "{times}");
        assert!(report.expanded_octets < 9 << 20, "{}", report.expanded_octets);
    }
    for (expanded_octets_max, expected) in [(4_002, 0), (4_001, 0), (4_000, 1)] {
        let rules = Rules { limits: Limits { expanded_octets_max, ..Limits::default() }, ..Rules::default() };
        let found = inspect_with(rules, &attached("a.rar", &of(1))).findings.len();
        assert_eq!(found, expected, "{expanded_octets_max}");
    }
    // What waits for a filter whose stretch does not end counts too, and when there is no more to be had nothing is unpacked.
    let waiting = Coded::default().codes().filter(0, 3_000_000, 3).literals(&[7; 4_000]);
    let waiting = (0..249).fold(waiting, |coded, _| coded.repeat(4_000, 4_000)).finish();
    let entries: Vec<Entry<'_>> =
        (0..150).map(|_| Entry::new("a.txt", PACKED, 3_000_000, waiting.clone())).collect();
    let report = inspect_once(&attached("a.rar", &rar5(&entries)));
    assert_eq!(report.expanded_octets, Limits::default().expanded_octets_max);
    assert!(report.findings.iter().any(|finding| finding.class == Class::Incomplete), "{:?}", told(&report));
    // A long content twice in a solid archive is none.
    let first = Coded::default().codes().literals(&vec![7; 400_000]).finish();
    let again = (0..100).fold(Coded::default(), |coded, _| coded.repeat(400_000, 4_000)).finish();
    let mut entries = vec![Entry::new("a", PACKED | 4 << 10, 400_000, first)];
    entries.extend((0..30).map(|_| Entry::new("b", PACKED | SOLID | 4 << 10, 400_000, again.clone())));
    assert_eq!(told_of("a.rar", &rar5(&entries)), Vec::<String>::new());
}

#[test]
fn codes_that_begin_anew_are_bounded() {
    let blocks = |count: usize| {
        let coded = (1..count).fold(Coded::default(), |coded, _| coded.codes().end_block(false));
        coded.codes().literals(b"x").finish()
    };
    // The one that is too many begins before so many octets that there may be one more.
    let octets = blocks(3).len() - blocks(2).len();
    let count = (1..).find(|count| count * octets / 128 + 64 < *count).unwrap();
    for (count, is_whole) in [(count - 2, true), (count - 1, true), (count, false)] {
        let rar = rar5(&[Entry::new("a.txt", PACKED, 1, blocks(count))]);
        assert_eq!(told_of("a.rar", &rar).is_empty(), is_whole, "{count}");
    }
    // And in RAR 4, where each has eight octets and all are behind each other.
    for (count, expected) in [(67, "damaged"), (68, "damaged"), (69, "packed in a way")] {
        let codes = OLD_CODES.repeat(count);
        let rar = rar4(&[[old_header("a.txt", 0, codes.len(), 1), codes].concat()]);
        let told = told_of("a.rar", &rar);
        assert!(told[0].contains(expected), "{count} {told:?}");
    }
}
