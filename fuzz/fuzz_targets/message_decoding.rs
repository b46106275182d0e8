//! Any octets in any encoding and charset, cut anywhere, give the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use message::{
    CharsetDecoder, Folder, HtmlText, Strictness, TextPiece, TextSearch, TransferDecoder, TransferEncoding,
    decode_charset, decode_field_text, fold, html_text,
};

const CHARSETS: [&str; 12] = [
    "",
    "utf-8",
    "utf-7",
    "us-ascii",
    "iso-8859-1",
    "iso-2022-jp",
    "gb18030",
    "big5",
    "utf-16",
    "koi8-r",
    "euc-kr",
    "x-unknown",
];

fuzz_target!(|octets: &[u8]| {
    let Some(([choice, chunk], octets)) = octets.split_first_chunk::<2>() else { return };
    let chunk = usize::from(*chunk).max(1);
    for encoding in [TransferEncoding::Identity, TransferEncoding::Base64, TransferEncoding::QuotedPrintable]
    {
        for strictness in [Strictness::Lenient, Strictness::Exact] {
            let whole = transfer(encoding, strictness, octets, octets.len().max(1));
            assert_eq!(transfer(encoding, strictness, octets, chunk), whole);
            assert!(strictness == Strictness::Exact || whole.is_some());
        }
    }
    let charset = CHARSETS[usize::from(*choice) % CHARSETS.len()];
    let text = decode_charset(charset.as_bytes(), octets);
    let mut pieces = String::new();
    let mut decoder = CharsetDecoder::new(charset.as_bytes());
    octets.chunks(chunk).for_each(|octets| decoder.feed(octets, &mut pieces));
    decoder.finish(&mut pieces);
    assert_eq!(pieces, text, "{charset}");
    check_text(&text, chunk);
    let _ = decode_field_text(octets);
});

fn transfer(
    encoding: TransferEncoding,
    strictness: Strictness,
    octets: &[u8],
    chunk: usize,
) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut decoder = TransferDecoder::new(encoding, strictness);
    for octets in octets.chunks(chunk) {
        decoder.feed(octets, &mut decoded).ok()?;
    }
    decoder.finish(&mut decoded).ok()?;
    Some(decoded)
}

fn check_text(text: &str, chunk: usize) {
    let characters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = characters.chunks(chunk).map(String::from_iter).collect();
    let mut html = HtmlText::default();
    let mut shown = String::new();
    let mut folder = Folder::default();
    let mut folded = String::new();
    // What stands in the text is found in it, however it is cut.
    let needle: String = characters.iter().skip(chunk).take(chunk).collect();
    let mut search = TextSearch::new(&[needle]);
    for piece in &pieces {
        html.feed(piece, &mut shown);
        folder.feed(piece, &mut folded);
        search.take(TextPiece::Text(piece));
    }
    html.finish(&mut shown);
    assert_eq!(shown, html_text(text));
    assert_eq!(folded, fold(text));
    let is_blank_after_blank = characters.get(chunk).is_some_and(|c| c.is_whitespace() || c.is_control());
    assert!(search.has_found(0) || is_blank_after_blank || folded.is_empty());
}
