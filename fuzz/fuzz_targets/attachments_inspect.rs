//! Any message, cut anywhere, is examined within its bounds; any content attached to one too. An odd first octet asks for the
//! latter, the highest for the directories of a disk image. What comes out as a sentence is one line.
#![no_main]

use std::sync::{Arc, LazyLock};

use attachments::{HashList, HashListBuilder, Inspector, Limits, Report, Rules};
use libfuzzer_sys::fuzz_target;

/// Limits low enough for small inputs to reach them.
const LIMITS: Limits = Limits {
    depth_max: 4,
    parts_max: 8,
    entries_max: 12,
    expanded_octets_max: 200_000,
    ratio_max: 100,
    window_octets_max: 4_000_000,
    findings_max: 6,
};

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let mut builder = HashListBuilder::new();
    for line in ["5d41402abc4b2a76b9719d911017c592:5:md5", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d:*:sha1"]
    {
        builder.take_line(line.as_bytes()).expect("a digest");
    }
    let list = HashList::open(builder.build()).expect("what was built is a list");
    Arc::new(Rules { limits: LIMITS, lists: vec![list], ..Rules::default() })
});

fuzz_target!(|octets: &[u8]| {
    let Some((first, rest)) = octets.split_first() else { return };
    let attached = b"Content-Type: a/b; name=x\r\nContent-Transfer-Encoding: binary\r\n\r\n".as_slice();
    let message = match first {
        0xff => [attached, &image_start(), rest].concat(),
        odd if odd & 1 != 0 => [attached, rest].concat(),
        _ => rest.to_vec(),
    };
    check(&inspect(&message, message.len().max(1)));
    check(&inspect(&message, usize::from(first >> 1) + 1));
    if let Ok(list) = HashList::open(rest.to_vec()) {
        let _ = list.rows();
        let mut inspector = Inspector::new(Arc::new(Rules { lists: vec![list], ..Rules::default() }));
        inspector.feed(b"Content-Type: a/b; name=x\r\n\r\nhello");
        check(&inspector.finish());
    }
    let mut builder = HashListBuilder::new();
    let taken =
        rest.split(|octet| *octet == b'\n').take(50).filter(|line| builder.take_line(line).is_ok()).count();
    assert!(HashList::open(builder.build()).expect("what was built is a list").rows() <= taken as u64);
});

/// The beginning of an image up to its root directory (ECMA-119), which has four sectors.
fn image_start() -> Vec<u8> {
    let mut image = vec![0; 18 * 2_048];
    image[16 * 2_048..][..7].copy_from_slice(b"\x01CD001\x01");
    image[17 * 2_048..][..7].copy_from_slice(b"\xffCD001\x01");
    let root = &mut image[16 * 2_048 + 156..];
    root[0] = 34;
    root[2..6].copy_from_slice(&18_u32.to_le_bytes());
    root[10..14].copy_from_slice(&(4 * 2_048_u32).to_le_bytes());
    image
}

fn inspect(message: &[u8], piece: usize) -> Report {
    let mut inspector = Inspector::new(Arc::clone(&RULES));
    message.chunks(piece).for_each(|octets| inspector.feed(octets));
    inspector.finish()
}

fn check(report: &Report) {
    assert!(report.findings.len() <= Limits::default().findings_max);
    assert!(report.expanded_octets <= Limits::default().expanded_octets_max);
    assert!(report.findings.is_sorted_by(|one, other| one.action >= other.action));
    for finding in &report.findings {
        let text = finding.to_string();
        assert!(text.len() < 4_000 && !text.contains(['\n', '\r', '\0']), "{text:?}");
    }
}
