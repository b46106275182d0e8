//! Promises that hold for any octets, tried on random ones that look like mail.

mod invariants;

use message::{
    CharsetDecoder, Choice, Content, Date, FieldFilter, Part, Strictness, Summary, TransferDecoder,
    TransferEncoding, choose_fields, decode_charset, decode_transfer,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces that messages are made of, so that random ones have structure.
const PIECES: [&str; 40] = [
    "\r\n",
    "\n",
    "\n",
    "\n\n",
    "\r",
    " ",
    "\t",
    "\0",
    "--b",
    "--b--",
    "--bb",
    "--a\n",
    "\n--b\n",
    "\n--a\n\n",
    "\r\n--b\r\n",
    "\n--b--\n",
    "Content-Type: ",
    "Content-Type: multipart/mixed; boundary=b\n\n",
    "Content-Type: multipart/digest; boundary=\"a\"\r\n\r\n",
    "Content-Type: multipart/mixed; boundary=bb\n",
    "Content-Type: message/rfc822\n\n",
    "Content-Type: message/global\r\n",
    "Content-Type: text/html; charset=utf-8\n",
    "Content-Transfer-Encoding: base64\n",
    "Content-Disposition: attachment; filename*0*=utf-8''a; filename*1=b\n",
    "Content-ID: <x@y>\n",
    "From: Ann <ann@example.org>, g: b@c;\n",
    "To: =?utf-8?Q?=C3=A4?= <b@c>\r\n",
    "Subject: a\n b\n",
    "X-Mailer: m\n",
    "Received: r\n",
    "Date: Mon, 2 Sep 2002 12:00:00 +0200\n",
    "References: <a@b> <c@d>\n",
    "Message-ID: <e@f>\n",
    "text",
    ":",
    ";",
    "\"",
    "=C3=A4",
    "ä",
];

fn mail_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A tree without what depends on line ends.
fn shape(part: &Part) -> String {
    let inside: Vec<String> = match &part.content {
        Content::Leaf => Vec::new(),
        Content::Multipart(parts) => parts.iter().map(shape).collect(),
        Content::Message(embedded) => vec![shape(&embedded.structure)],
    };
    format!("{}({}){}", part.subtype.escape_ascii(), part.lines, inside.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn summaries_hold_their_promises(message in mail_like()) {
        invariants::check(&invariants::scan(&message, usize::MAX), &message);
    }

    #[test]
    fn chunks_do_not_matter(message in mail_like(), chunk in 1_usize..50) {
        let whole = invariants::scan(&message, usize::MAX);
        prop_assert_eq!(invariants::scan(&message, chunk), whole.clone());
        prop_assert_eq!(invariants::scan(&message, 1), whole);
    }

    #[test]
    fn both_line_ends_give_the_same_tree(message in mail_like()) {
        let lines: Vec<u8> = message.into_iter().filter(|octet| *octet != b'\r').collect();
        let wire: Vec<u8> =
            lines.iter().flat_map(|octet| if *octet == b'\n' { b"\r\n".to_vec() } else { vec![*octet] }).collect();
        let stored = invariants::scan(&lines, usize::MAX);
        let sent = invariants::scan(&wire, usize::MAX);
        prop_assert_eq!(shape(&stored.structure), shape(&sent.structure));
        prop_assert_eq!(stored.envelope, sent.envelope);
        prop_assert_eq!((stored.date, stored.references), (sent.date, sent.references));
    }

    #[test]
    fn damaged_summaries_are_refused_or_read(
        message in mail_like(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stored = invariants::scan(&message, usize::MAX).encode();
        for (place, octet) in damage {
            let place = place.index(stored.len());
            stored[place] = octet;
        }
        if let Ok(summary) = Summary::decode(&stored) {
            let _ = (summary.has_attachment(), summary.preview_part());
        }
        let cut = cut.index(stored.len());
        let _ = Summary::decode(&stored[..cut]);
    }

    #[test]
    fn cut_summaries_are_refused(message in mail_like()) {
        let stored = invariants::scan(&message, usize::MAX).encode();
        for end in 0..stored.len() {
            prop_assert!(Summary::decode(&stored[..end]).is_err());
        }
    }

    #[test]
    fn fields_are_named_or_others(header in mail_like(), chunk in 1_usize..20) {
        let names = ["subject", "TO", "content-type"];
        let mut both = Vec::new();
        for choice in [Choice::Named, Choice::Others] {
            let mut whole = Vec::new();
            choose_fields(&header, &names, choice, &mut whole);
            let mut filter = FieldFilter::new(&names, choice);
            let mut pieces = Vec::new();
            header.chunks(chunk).for_each(|octets| { filter.feed(octets, &mut pieces); });
            filter.finish(&mut pieces);
            prop_assert_eq!(&pieces, &whole);
            both.extend(whole);
        }
        // Each field is in one of the two; the blank line is in both.
        let header_octets = invariants::scan(&header, usize::MAX).header_octets as usize;
        prop_assert!(both.len() >= header_octets && both.len() <= header_octets + 2);
    }

    #[test]
    fn dates_come_back(unix_seconds in -60_000_000_000_i64..250_000_000_000, zone_minutes in -1_439_i16..1_440) {
        let date = Date { unix_seconds, zone_minutes };
        prop_assert_eq!(Date::parse(date.format().as_bytes()), Some(date));
    }

    #[test]
    fn any_octets_decode_alike_in_any_chunks(octets in vec(any::<u8>(), 0..300), chunk in 1_usize..20) {
        for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
            let mut decoder = TransferDecoder::new(encoding, Strictness::Lenient);
            let mut decoded = Vec::new();
            for octets in octets.chunks(chunk) {
                prop_assert_eq!(decoder.feed(octets, &mut decoded), Ok(()));
            }
            prop_assert_eq!(decoder.finish(&mut decoded), Ok(()));
            prop_assert_eq!(decoded, decode_transfer(encoding, &octets));
        }
        for charset in ["utf-8", "utf-7", "iso-2022-jp", "utf-16", "gb18030", ""] {
            let mut decoder = CharsetDecoder::new(charset.as_bytes());
            let mut text = String::new();
            octets.chunks(chunk).for_each(|octets| decoder.feed(octets, &mut text));
            decoder.finish(&mut text);
            prop_assert_eq!(text, decode_charset(charset.as_bytes(), &octets));
        }
    }
}
