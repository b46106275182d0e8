//! Cabinets: what is in them is looked into, as gcab and others write them and as nobody does.

use attachments::{Class, Limits, Rules, WindowAllowance};

use crate::made::*;
use crate::made_cab::*;

/// Of a text, a program that is called photo.jpg, and run.js, as gcab packs them.
const BY_GCAB: &[u8] = include_bytes!("../files/mszip.cab");
/// By Microsoft's cabarc: a file of 33,000 zeros among others (from libarchive's tests, whose licence is BSD's).
const BY_CABARC: &[u8] = include_bytes!("../files/lzx.cab");

const DAMAGED: &str = "opaque: “a.bin” is damaged and was not looked into to its end";

/// What is found beside that it is a cabinet.
fn told_inside(cab: &[u8]) -> Vec<String> {
    let told = told_of("a.bin", cab);
    told.into_iter().filter(|told| !told.starts_with("rare-container: ")).collect()
}

fn found(rules: Rules, cab: &[u8]) -> Vec<Class> {
    let report = inspect_with(rules, &attached("a.bin", cab));
    let classes = report.findings.iter().map(|finding| finding.class);
    classes.filter(|class| *class != Class::RareContainer).collect()
}

#[test]
fn what_is_packed_is_looked_into() {
    assert_eq!(
        told_of("a.cab", BY_GCAB),
        [
            "program: “photo.jpg” inside “a.cab” is a Windows program",
            "script: “run.js” inside “a.cab” is named like a script for Windows",
            "rare-container: “a.cab” is named like a disk image or an archive that hardly anybody sends",
            "disguised: “photo.jpg” inside “a.cab” is a Windows program and is named .jpg",
        ]
    );
    let letter: String =
        (0..60).map(|line| format!("Dear Bob, this is line {line} of what Ann has to say.\r\n")).collect();
    assert_eq!(known(&[letter.as_bytes(), &program(), b"WScript.Echo(1)"], BY_GCAB), 3);
    let file = format!("{}file 1 contents\n{}", " ".repeat(26), "hello\n".repeat(3));
    assert_eq!(known(&[&[0; 33_000], file.as_bytes()], BY_CABARC), 2);
    assert_eq!(told_inside(BY_CABARC), Vec::<String>::new());
}

#[test]
fn files_lie_in_folders_as_it_is_said() {
    let (first, second) = ([b'a'; 40_000], [program(), vec![b'b'; 70_000]].concat());
    let both = [&first[..], &second].concat();
    for cab in [Cab::default().stored(&both), Cab::default().mszip(&both)] {
        let cab = cab.mszip(b"other").file("b.bin", 0, first.len(), second.len());
        let cab = cab.file("empty.scr", 0, 5, 0).file("a.txt", 0, 0, first.len()).file("c.js", 1, 2, 3);
        for cab in
            [cab.clone(), cab.clone().reserved(300, 3, 9), cab.reserved(0, 0, 1).behind("x.cab", "disk")]
        {
            let cab = cab.finish();
            assert_eq!(
                told_inside(&cab),
                [
                    "program: “b.bin” inside “a.bin” is a Windows program",
                    "script: “c.js” inside “a.bin” is named like a script for Windows",
                    "program: “empty.scr” inside “a.bin” is named like a program",
                ]
            );
            assert_eq!(known(&[&first, &second, b"her"], &cab), 3);
        }
    }
    // What lies over something else.
    let cab = Cab::default().stored(&both).file("a.txt", 0, 0, 1_000).file("b.js", 0, 999, 1_000);
    let told = told_inside(&cab.finish());
    assert!(told.contains(&"bomb: “a.bin” has entries that lie over each other".to_owned()), "{told:?}");
    assert!(told.iter().any(|told| told.contains("“b.js”")), "{told:?}");
}

#[test]
fn what_is_not_there_or_not_unpacked_is_told_of() {
    let one = |cab: Cab| cab.file("a.txt", 0, 0, 5).finish();
    let block = |octets: usize| vec![(b"hello".to_vec(), octets)];
    assert_eq!(told_inside(&one(Cab::default().folder(STORED, &block(5)))), Vec::<String>::new());
    let unread = "incomplete: “a.bin” is packed in a way that is not looked into to its end";
    assert_eq!(told_inside(&one(Cab::default().folder(QUANTUM, &block(5)))), [unread]);
    for method in [MSZIP, LZX, LZX - (1 << 8), LZX + (7 << 8)] {
        assert_eq!(told_inside(&one(Cab::default().folder(method, &block(5)))), [DAMAGED], "{method}");
    }
    // Too short, and shorter by a block that is in the next cabinet.
    let too_long = Cab::default().stored(b"hello").file("a.txt", 0, 0, 6);
    let words = "is damaged and was not looked into to its end";
    assert_eq!(told_inside(&too_long.finish()), [format!("opaque: “a.txt” inside “a.bin” {words}")]);
    let missing = Cab::default().stored(b"hello").file("a.txt", 0, 6, 1).finish();
    assert_eq!(told_inside(&missing), [DAMAGED]);
    let goes_on = Cab::default().folder(STORED, &block(5)).folder(STORED, &block(0));
    let told = told_inside(&goes_on.file("a.txt", 0xfffe, 0, 5).finish());
    assert_eq!(told, ["incomplete: “a.bin” goes on in another file and was not looked into to its end"]);
    let goes_on = Cab::default().stored(b"hello").file("a.txt", 0xfffe, 0, 6).finish();
    let words = "goes on in another file and was not looked into to its end";
    assert_eq!(told_inside(&goes_on), [format!("incomplete: “a.txt” inside “a.bin” {words}")]);
    for begun in [0xfffd, 0xffff] {
        let cab = Cab::default().stored(b"hello").stored(b"other").file("a.js", begun, 0, 5);
        assert_eq!(
            told_inside(&cab.file("b.js", 1, 0, 5).finish()),
            [
                "script: “b.js” inside “a.bin” is named like a script for Windows",
                "script: “a.js” inside “a.bin” is named like a script for Windows",
                "incomplete: “a.bin” begins in another cabinet and was not looked into everywhere",
            ]
        );
    }
    // Two folders of the same octets.
    let cab = Cab::default().stored(b"hello").stored(b"other").file("a.txt", 0, 0, 5).file("b.txt", 1, 0, 5);
    let mut cab = cab.finish();
    cab.copy_within(36..40, 44);
    assert_eq!(
        told_inside(&cab),
        [
            "incomplete: “a.bin” has folders that lie over each other or before their names, and were not looked into"
        ]
    );
}

#[test]
fn what_is_torn_or_changed_ends_somehow() {
    let made = Cab::default().stored(b"hello").mszip(&[7; 40_000]).behind("x.cab", "disk").reserved(9, 1, 1);
    let made = made.file("a.js", 0, 0, 5).file("b.js", 1, 0, 40_000).finish();
    for cab in [BY_GCAB, BY_CABARC, &made] {
        for end in 0..cab.len() {
            let report = inspect_once(&attached("a.cab", &cab[..end]));
            let is_told = report.findings.iter().any(|finding| finding.class == Class::Opaque);
            assert!(is_told || end < 8, "{end} {:?}", told(&report));
        }
        for at in 8..cab.len() {
            let mut broken = cab.to_vec();
            broken[at] ^= 0x55;
            let _told = inspect_once(&attached("a.cab", &broken));
        }
    }
}

#[test]
fn bounds_of_cabinets() {
    let folders = |count: usize| {
        let cab = (0..count).fold(Cab::default(), |cab, _| cab.stored(b"hello"));
        cab.file("a.js", count as u16 - 1, 0, 5).finish()
    };
    for (count, expected) in [(999, vec![]), (1_000, vec![]), (1_001, vec![Class::Incomplete])] {
        let mut found = found(Rules::default(), &folders(count));
        // Names are judged all the same.
        assert_eq!(found.remove(0), Class::Script, "{count}");
        assert_eq!(found, expected, "{count}");
    }
    // Files that are not too many are looked into.
    let many =
        Cab::default().stored(&program()).file("a", 0, 0, 600).file("b", 0, 600, 0).file("c", 0, 600, 0);
    let rules = Rules { limits: Limits { entries_max: 2, ..Limits::default() }, ..Rules::default() };
    assert_eq!(found(rules, &many.finish()), [Class::Program, Class::Incomplete]);
    let short_blocks = |count: usize| {
        let mut blocks = vec![(mszip(b"x"), 1); count];
        blocks.push((mszip(&[7; 32_768]), 32_768));
        Cab::default().folder(MSZIP, &blocks).file("a.txt", 0, 0, count + 32_768).finish()
    };
    for (count, expected) in [(15, vec![]), (16, vec![]), (17, vec![Class::Opaque])] {
        assert_eq!(found(Rules::default(), &short_blocks(count)), expected, "{count}");
    }
    for (octets, expected) in [(1_021, vec![]), (1_022, vec![]), (1_023, vec![Class::Opaque])] {
        let cab = Cab::default().stored(b"hello").behind(&"x".repeat(octets), "").file("a.txt", 0, 0, 5);
        assert_eq!(found(Rules::default(), &cab.finish()), expected, "{octets}");
    }
    let three =
        ["a", "b", "c"].iter().fold(Cab::default().stored(b"hello"), |cab, name| cab.file(name, 0, 0, 0));
    for (entries_max, expected) in [(4, vec![]), (3, vec![]), (2, vec![Class::Incomplete])] {
        let rules = Rules { limits: Limits { entries_max, ..Limits::default() }, ..Rules::default() };
        assert_eq!(found(rules, &three.clone().finish()), expected, "{entries_max}");
    }
}

#[test]
fn memory_that_cannot_be_had_is_told_of() {
    for (cab, octets) in [(BY_GCAB, 90_000), (BY_CABARC, 90_000), (BY_GCAB, 10), (BY_CABARC, 10)] {
        let rules = Rules { windows: WindowAllowance::new(octets), ..Rules::default() };
        let classes = found(rules, cab);
        assert!(classes.contains(&Class::Incomplete), "{octets} {classes:?}");
        // Names are judged all the same.
        assert_eq!(classes.contains(&Class::Script), cab == BY_GCAB, "{octets}");
    }
    // And given back, so that the next message has it.
    let rules = Rules { windows: WindowAllowance::new(200_000), ..Rules::default() };
    let message = [attached("a.bin", BY_GCAB), attached("a.bin", BY_GCAB)].concat();
    assert!(inspect_with(rules, &message).findings.iter().all(|finding| finding.class != Class::Incomplete));
}

#[test]
fn what_becomes_too_much_ends() {
    let zeros = |blocks: usize| {
        let blocks = vec![(mszip(&[0; 32_768]), 32_768); blocks];
        let octets = blocks.len() * 32_768;
        Cab::default().folder(MSZIP, &blocks).file("a.txt", 0, 0, octets).finish()
    };
    for (blocks, expected) in [(256, vec![]), (257, vec![Class::Bomb]), (1_000, vec![Class::Bomb])] {
        assert_eq!(found(Rules::default(), &zeros(blocks)), expected, "{blocks}");
    }
    for (expanded_octets_max, expected) in
        [(32_769, vec![]), (32_768, vec![]), (32_767, vec![Class::Incomplete])]
    {
        let rules = Rules { limits: Limits { expanded_octets_max, ..Limits::default() }, ..Rules::default() };
        assert_eq!(found(rules, &zeros(1)), expected, "{expanded_octets_max}");
    }
}
