//! Every bound one below, at it, and one above; and memory, whatever comes.

use attachments::{Class, DEPTH_MAX, Limits, Rules};

use crate::made::*;

fn with(limits: Limits, message: &[u8]) -> Vec<Class> {
    let report = inspect_with(Rules { limits, ..Rules::default() }, message);
    report.findings.iter().map(|finding| finding.class).collect()
}

#[test]
fn parts() {
    for (parts_max, expected) in [(3, vec![]), (2, vec![Class::Incomplete]), (1, vec![Class::Incomplete])] {
        let message =
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n";
        assert_eq!(
            with(Limits { parts_max, ..Limits::default() }, message.as_bytes()),
            expected,
            "{parts_max}"
        );
    }
}

#[test]
fn entries() {
    let zip = Zip::default().entry("a", b"x").entry("b", b"y").entry("c", b"z").finish();
    let tar = tar_of(&[("a", b"x"), ("b", b"y"), ("c", b"z")]);
    for archive in [zip, tar] {
        for (entries_max, expected) in [(4, vec![]), (3, vec![]), (2, vec![Class::Incomplete])] {
            let limits = Limits { entries_max, ..Limits::default() };
            assert_eq!(with(limits, &attached("x", &archive)), expected, "{entries_max}");
        }
    }
}

#[test]
fn depth() {
    let nested = |levels: usize| {
        let mut content = b"text".to_vec();
        for _ in 0..levels {
            content = zip_of("x", &content);
        }
        attached("x", &content)
    };
    for (levels, expected) in [(2, vec![]), (3, vec![]), (4, vec![Class::Incomplete])] {
        assert_eq!(with(Limits { depth_max: 3, ..Limits::default() }, &nested(levels)), expected, "{levels}");
    }
    for (levels, expected) in [(DEPTH_MAX, vec![]), (DEPTH_MAX + 1, vec![Class::Bomb])] {
        assert_eq!(
            with(Limits { depth_max: 1_000, ..Limits::default() }, &nested(levels)),
            expected,
            "{levels}"
        );
    }
}

#[test]
fn expanded_octets() {
    for (expanded_octets_max, expected) in [(1_001, vec![]), (1_000, vec![]), (999, vec![Class::Incomplete])]
    {
        let limits = Limits { expanded_octets_max, ..Limits::default() };
        assert_eq!(
            with(limits, &attached("x", &zip_of("y", &[b'x'; 1_000]))),
            expected,
            "{expanded_octets_max}"
        );
    }
}

#[test]
fn findings() {
    let zip = Zip::default().entry("a.sh", b"x").entry("b.sh", b"y").entry("c.exe", b"z").finish();
    for (findings_max, left_out) in [(4, 0), (3, 0), (2, 1), (1, 2)] {
        let limits = Limits { findings_max, ..Limits::default() };
        let report = inspect_with(Rules { limits, ..Rules::default() }, &attached("x", &zip));
        assert_eq!((report.findings.len(), report.findings_left_out), (findings_max.min(3), left_out));
        // The severest is always told.
        assert_eq!(report.severest().map(|finding| finding.class), Some(Class::Program));
    }
}

#[test]
fn multiparts_inside_each_other() {
    for (count, expected) in [(49, vec![]), (50, vec![]), (51, vec![Class::Incomplete])] {
        let message: String = (0..count)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();
        assert_eq!(with(Limits::default(), format!("{message}\r\nx").as_bytes()), expected, "{count}");
    }
}

#[test]
fn headers_and_lines() {
    let begin = "Content-Type: a/b; x=";
    for (octets, expected) in [(16_383, vec![]), (16_384, vec![]), (16_385, vec![Class::Ambiguous])] {
        let field = format!("{begin}{}\r\n", "x".repeat(octets - begin.len() - 2));
        assert_eq!(with(Limits::default(), format!("{field}\r\nx").as_bytes()), expected, "{octets}");
        // Other fields may be as long as they like.
        let (before, behind) = ("y".repeat(100_000), "z".repeat(100_000));
        let message = format!("X-Y: {before}\r\n{field}Received: {behind}\r\n {behind}\r\n\r\nx");
        assert_eq!(with(Limits::default(), message.as_bytes()), expected, "{octets}");
    }
    // A boundary so long is one; a longer one is text.
    for (octets, is_found) in [(1_019, true), (1_020, true), (1_021, false)] {
        let boundary = "b".repeat(octets);
        let message = format!(
            "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\nContent-Type: a/b; name=a.exe\r\n\r\nx"
        );
        assert_eq!(
            with(Limits::default(), message.as_bytes()).contains(&Class::Program),
            is_found,
            "{octets}"
        );
    }
}

#[test]
fn starts() {
    let member = gzip(b"x");
    for (count, expected) in [(8_191, vec![]), (8_192, vec![]), (8_193, vec![Class::Incomplete])] {
        let message = [b"Content-Type: a/b; name=a.gz\r\n\r\n".as_slice(), &member.repeat(count)].concat();
        let report = inspect_once(&message);
        assert_eq!(
            report.findings.iter().map(|finding| finding.class).collect::<Vec<_>>(),
            expected,
            "{count}"
        );
    }
}
