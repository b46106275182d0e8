//! Archives: what is in them is judged like an attachment; those made to hide or to exhaust are told of.

use attachments::{Action, Class, Limits, Rules};

use crate::made::*;

#[test]
fn a_program_in_an_archive_is_a_program() {
    let told = told_of("invoice.zip", &zip_of("invoice.pdf.exe", &program()));
    assert_eq!(
        told,
        [
            "program: “invoice.pdf.exe” inside “invoice.zip” is named like a program",
            "disguised: “invoice.pdf.exe” inside “invoice.zip” has a name that shows another extension before the one that counts",
        ]
    );
    // By its content, whatever its name says.
    let told = told_of("photos.zip", &zip_of("photo.jpg", &program()));
    assert_eq!(
        told,
        [
            "program: “photo.jpg” inside “photos.zip” is a Windows program",
            "disguised: “photo.jpg” inside “photos.zip” is a Windows program and is named .jpg",
        ]
    );
}

#[test]
fn entries_are_found_however_they_are_packed() {
    let stored = How { is_stored: true, ..How::default() };
    let streamed = How { has_descriptor: true, ..How::default() };
    let both = How { is_stored: true, has_descriptor: true, ..How::default() };
    for how in [How::default(), stored, streamed, both] {
        let zip = Zip::default()
            .entry("a.txt", b"nothing")
            .entry_as("b", &program(), how)
            .entry("c.txt", b"n")
            .finish();
        let told = told_of("a.zip", &zip);
        assert_eq!(told, ["program: “b” inside “a.zip” is a Windows program"], "{how:?}");
    }
    let gzip = gzip(&program());
    assert_eq!(told_of("b.gz", &gzip), ["program: “b” inside “b.gz” is a Windows program"]);
    let tar = tar_of(&[("a.txt", b"x"), ("dir/b", &program()), (&"long/".repeat(30), &program())]);
    let told = told_of("b.tar", &tar);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], "program: “dir/b” inside “b.tar” is a Windows program");
    let told = told_of("b.tgz", &crate::made::gzip(&tar_of(&[("x", &program())])));
    assert_eq!(told, ["program: “x” inside “b.tar” inside “b.tgz” is a Windows program"]);
}

#[test]
fn archives_in_archives_in_messages() {
    let inner = zip_of("run.js", b"WScript.Echo(1)");
    let middle = tar_of(&[("inner.zip", &inner)]);
    let message = attached("outer.zip", &zip_of("middle.tar", &middle));
    let told = told_of("forwarded.eml", &message);
    assert_eq!(
        told,
        [
            "script: “run.js” inside “inner.zip” inside “middle.tar” inside “outer.zip” inside “forwarded.eml” is named like a script for Windows"
        ]
    );
}

#[test]
fn what_stands_before_an_archive_does_not_hide_it() {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(5_000, 7);
    picture.extend_from_slice(b"PPKPK\x03PK\x03");
    picture.extend_from_slice(&zip_of("a.exe", &program()));
    let told = told_of("cat.png", &picture);
    assert_eq!(told, ["program: “a.exe” inside “cat.png” is named like a program"]);
    let mut junk = vec![0x80; 3_000];
    junk.extend_from_slice(&zip_of("a.exe", &program()));
    assert_eq!(told_of("a.zip", &junk).len(), 1);
}

#[test]
fn a_header_that_is_none_swallows_no_entry() {
    let mut octets = zip_of("a.txt", b"x");
    octets.extend_from_slice(b"PK\x03\x04\xff\xff\xff\xff\xff\xff");
    octets.extend_from_slice(&zip_of("a.exe", &program()));
    assert_eq!(told_of("a.zip", &octets)[0], "program: “a.exe” inside “a.zip” is named like a program");
}

#[test]
fn encrypted_archives_are_told_of_with_their_names() {
    let how = How { is_encrypted: true, ..How::default() };
    let zip = Zip::default().entry_as("secret.exe", &program(), how).entry("a.txt", b"x").finish();
    assert_eq!(
        told_of("a.zip", &zip),
        [
            "program: “secret.exe” inside “a.zip” is named like a program",
            "encrypted: “secret.exe” inside “a.zip” is encrypted",
        ]
    );
    let zip = Zip::default().entry_as("letter.doc", b"0123456789", how).finish();
    let report = inspect(&attached("a.zip", &zip));
    assert_eq!(report.action(), Action::Score);
}

#[test]
fn methods_that_are_not_understood_are_said_to_be() {
    let how = How { method: Some(98), ..How::default() };
    let zip = Zip::default().entry_as("a.txt", b"PPMd", how).entry("b.exe", b"MZ").finish();
    assert_eq!(
        told_of("a.zip", &zip),
        [
            "program: “b.exe” inside “a.zip” is named like a program",
            "opaque: “a.zip” has “a.txt” packed in a way that is not looked into",
        ]
    );
}

#[test]
fn damaged_archives_are_looked_into_as_far_as_they_go() {
    let zip = Zip::default().entry("a.txt", &[b'x'; 5_000]).entry("b.exe", &program()).finish();
    let told = told_of("a.zip", &zip[..zip.len() / 2]);
    assert!(
        told.contains(&"opaque: “a.zip” is damaged and was not looked into everywhere".to_owned()),
        "{told:?}"
    );
    let mut broken = zip.clone();
    broken[36..40].fill(0xff);
    let told = told_of("a.zip", &broken);
    assert!(told[0].starts_with("program: “b.exe”") && told[1].starts_with("opaque"), "{told:?}");
    let gzip = gzip(&[b'x'; 5_000]);
    assert_eq!(
        told_of("a.gz", &gzip[..20]),
        ["opaque: “a.gz” is damaged and was not looked into to its end"]
    );
    let mut tar = tar_of(&[("a", b"x"), ("b", b"y"), ("c.js", b"z")]);
    tar[1_030] ^= 1;
    assert_eq!(
        told_of("a.tar", &tar),
        [
            "script: “c.js” inside “a.tar” is named like a script for Windows",
            "opaque: “a.tar” is damaged and was not looked into everywhere",
        ]
    );
}

#[test]
fn directories_that_disagree() {
    let zip = Zip::default().entry("readme.txt", b"x");
    let zip = zip.relisted("readme.txt", "readme.exe", 8, deflated(b"x").len() as u32, 0).finish();
    assert_eq!(
        told_of("a.zip", &zip),
        [
            "program: “readme.exe” inside “a.zip” is named like a program",
            "ambiguous: “a.zip” has a directory that gives its entries other names",
        ]
    );
    let zip = Zip::default().entry("a.txt", b"one").relisted("a.txt", "a.txt", 8, 99, 0).finish();
    assert_eq!(
        told_of("a.zip", &zip),
        ["ambiguous: “a.zip” has a directory that gives its entries other lengths than they have"]
    );
    let zip = Zip::default().entry("a.txt", b"one").listed("b.txt", 8, 5, 5, 4_000).finish();
    assert_eq!(
        told_of("a.zip", &zip),
        ["ambiguous: “a.zip” has a directory that names entries which are not where it says"]
    );
}

#[test]
fn entries_over_each_other_are_a_bomb() {
    let content = vec![0; 2_000_000];
    let packed = deflated(&content).len() as u32;
    let mut zip = Zip::default().entry("0", &content);
    for number in 1..50 {
        zip = zip.listed(&number.to_string(), 8, packed - number, 2_000_000, 40 + number);
    }
    let report = inspect(&attached("a.zip", &zip.finish()));
    assert_eq!(told(&report), ["bomb: “a.zip” has entries that lie over each other"]);
    assert!(report.expanded_octets <= 2_000_000);
}

#[test]
fn an_archive_with_something_before_it_agrees_with_its_directory() {
    let mut octets = b"\x80 a stub that unpacks itself \x80".to_vec();
    octets.extend_from_slice(&Zip::default().entry("a.txt", b"one").entry("b.txt", b"two").finish());
    assert_eq!(told_of("a.zip", &octets), Vec::<String>::new());
}

#[test]
fn what_becomes_far_longer_is_a_bomb_and_is_not_expanded() {
    let rules = || Rules { limits: Limits { ratio_max: 100, ..Limits::default() }, ..Rules::default() };
    let content = vec![0; 20 << 20];
    for (name, packed) in [("a.zip", zip_of("zeros", &content)), ("a.gz", gzip(&content))] {
        let report = inspect_with(rules(), &attached(name, &packed));
        assert_eq!(report.findings[0].class, Class::Bomb, "{:?}", told(&report));
        assert!(report.expanded_octets < 9 << 20, "{}", report.expanded_octets);
    }
}

#[test]
fn archives_nested_like_42_zip_end() {
    let mut zip = zip_of("0.dll", &vec![0; 3_000_000]);
    for level in 0..6 {
        let mut outer = Zip::default();
        for number in 0..8 {
            outer = outer.entry(&format!("{level}{number}.zip"), &zip);
        }
        zip = outer.finish();
    }
    let report = inspect(&attached("42.zip", &zip));
    assert_eq!(report.action(), Action::Reject);
    assert!(report.findings.iter().any(|finding| finding.class == Class::Bomb), "{:?}", told(&report));
    assert!(report.expanded_octets <= Limits::default().expanded_octets_max);
}

#[test]
fn an_archive_that_holds_itself_ends() {
    // As the reader sees a quine: however often it is opened, there is one more.
    let mut zip = zip_of("r.txt", b"end");
    for _ in 0..20 {
        zip = zip_of("r/r.zip", &zip);
    }
    let report = inspect(&attached("r.zip", &zip));
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].class, Class::Bomb);
}
