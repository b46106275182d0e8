//! Messages through both ends of DATA: whatever octets go in come out with whole line ends and nothing else changed,
//! wherever they are cut, and nothing ends a message early.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtp::client::DataWriter;
use smtp::framing::{BareNewlines, DataReader, Piece};

fuzz_target!(|octets: &[u8]| {
    let Some(([write_cut, read_cut], text)) = octets.split_first_chunk::<2>() else { return };
    let mut writer = DataWriter::default();
    let mut wire = Vec::new();
    for piece in text.chunks(usize::from(*write_cut) + 1) {
        writer.write(piece, &mut wire);
    }
    writer.finish(&mut wire);
    let ends = wire.windows(5).filter(|window| window == b"\r\n.\r\n").count();
    assert!(ends == 1 || wire == b".\r\n");
    assert_eq!(
        read(&wire, BareNewlines::Refuse, usize::from(*read_cut) + 1),
        Some(with_whole_line_ends(text))
    );

    // The same octets straight from a stranger: cuts mean nothing, and what is kept has whole line ends.
    let wild = [text, b"\r\n.\r\n"].concat();
    let at_once = read(&wild, BareNewlines::Normalise, wild.len());
    assert_eq!(at_once, read(&wild, BareNewlines::Normalise, usize::from(*read_cut) + 1));
    let kept = at_once.expect("CRLF dot CRLF ends every message");
    assert!(kept.is_empty() || kept == with_whole_line_ends(&kept));
});

/// The text of the first message; `None` if it does not end or is refused.
fn read(wire: &[u8], policy: BareNewlines, cut: usize) -> Option<Vec<u8>> {
    let mut reader = DataReader::new(policy, u64::MAX);
    let mut text = Vec::new();
    for mut piece in wire.chunks(cut.max(1)) {
        loop {
            let (taken, found) = reader.next(piece);
            piece = &piece[taken..];
            match found {
                Piece::Octets(octets) => text.extend_from_slice(octets),
                Piece::NeedMore => break,
                Piece::End(end) => return end.refusal().is_none().then_some(text),
            }
        }
    }
    None
}

fn with_whole_line_ends(text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = match (octet, after) {
            (b'\r', [b'\n', after @ ..]) => {
                whole.extend_from_slice(b"\r\n");
                after
            }
            (b'\r' | b'\n', after) => {
                whole.extend_from_slice(b"\r\n");
                after
            }
            (octet, after) => {
                whole.push(octet);
                after
            }
        };
    }
    if !whole.is_empty() && !whole.ends_with(b"\r\n") {
        whole.extend_from_slice(b"\r\n");
    }
    whole
}
