//! Looking for words in headers and bodies: text decoded from whatever charset and transfer encoding it came in,
//! compared by folded characters (RFC 9051 §6.4.4). Messages stream by; of a body no more than a window is in memory.

use imap::fetch::FieldName;
use mailstore::{StoreError, fold};
use memchr::memmem;
use message::{
    CharsetDecoder, Choice, Content, Part, Strictness, Summary, TransferDecoder, TransferEncoding,
    choose_fields, decode_field_text, fields,
};

use super::super::octets::Octets;

/// Octets of a header that are searched; what `message` reads of one at most.
const HEADER_OCTETS_MAX: u64 = 256 * 1024;

/// A needle, folded once for all messages.
#[derive(Debug)]
pub(crate) struct Needle<'a> {
    folded: &'a str,
    finder: memmem::Finder<'a>,
}

impl<'a> Needle<'a> {
    /// A needle that has been folded.
    pub(crate) fn new(folded: &'a str) -> Self {
        Self { folded, finder: memmem::Finder::new(folded) }
    }

    fn is_in(&self, text: &str) -> bool {
        self.folded.is_empty() || self.finder.find(fold(text).as_bytes()).is_some()
    }
}

/// Whether a header field of this name has the needle; the empty needle asks for the field alone.
///
/// # Errors
/// What the store says.
pub(crate) async fn in_field(
    octets: &mut Octets,
    summary: &Summary,
    name: &FieldName,
    needle: &Needle<'_>,
) -> Result<bool, StoreError> {
    let names = [name.as_str().as_bytes()];
    let mut chosen = Vec::new();
    if summary.fields.choose(&names, &mut chosen).is_none() {
        let header = header(octets, &summary.structure).await?;
        choose_fields(&header, &names, Choice::Named, &mut chosen);
    }
    Ok(fields(&chosen)
        .any(|field| field.is_named(name.as_str()) && needle.is_in(&decode_field_text(field.value))))
}

/// Whether the header has the needle.
///
/// # Errors
/// What the store says.
pub(crate) async fn in_header(
    octets: &mut Octets,
    summary: &Summary,
    needle: &Needle<'_>,
) -> Result<bool, StoreError> {
    Ok(has_header(&header(octets, &summary.structure).await?, needle))
}

/// Whether the body has the needle: the text of its parts, and the headers of messages within.
///
/// # Errors
/// What the store says.
pub(crate) async fn in_body(
    octets: &mut Octets,
    summary: &Summary,
    needle: &Needle<'_>,
) -> Result<bool, StoreError> {
    if needle.folded.is_empty() {
        return Ok(true);
    }
    // `message` has bounded how many parts there are, however they nest.
    let mut parts = vec![&summary.structure];
    while let Some(part) = parts.pop() {
        let is_found = match &part.content {
            Content::Multipart(inner) => {
                parts.extend(inner.iter().rev());
                false
            }
            Content::Message(embedded) => {
                parts.push(&embedded.structure);
                has_header(&header(octets, &embedded.structure).await?, needle)
            }
            Content::Leaf => is_text(part) && in_text(octets, part, needle).await?,
        };
        if is_found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Texts, and reports, which are texts of another name.
fn is_text(part: &Part) -> bool {
    part.media_type == b"text" || part.media_type == b"message"
}

async fn header(octets: &mut Octets, part: &Part) -> Result<Vec<u8>, StoreError> {
    let (mut at, end) = (part.header.start, part.header.end.min(part.header.start + HEADER_OCTETS_MAX));
    let mut header = Vec::new();
    while at < end {
        let piece = octets.within(at..end).await?;
        if piece.is_empty() {
            break;
        }
        header.extend_from_slice(piece);
        at += piece.len() as u64;
    }
    Ok(header)
}

fn has_header(header: &[u8], needle: &Needle<'_>) -> bool {
    let mut line = String::new();
    fields(header).any(|field| {
        line.clear();
        line.push_str(&String::from_utf8_lossy(field.name));
        line.push_str(": ");
        line.push_str(&decode_field_text(field.value));
        needle.is_in(&line)
    })
}

async fn in_text(octets: &mut Octets, part: &Part, needle: &Needle<'_>) -> Result<bool, StoreError> {
    // What is encoded in a way that nobody knows is looked at as it is.
    let encoding = TransferEncoding::parse(&part.encoding).unwrap_or(TransferEncoding::Identity);
    let mut transfer = TransferDecoder::new(encoding, Strictness::Lenient);
    let mut charset = CharsetDecoder::new(part.parameter("charset").unwrap_or_default());
    let mut scan = Scan { needle, text: String::new(), tail: Vec::new() };
    let mut decoded = Vec::new();
    let (mut at, end) = (part.body.start, part.body.end);
    while at < end {
        let piece = octets.within(at..end).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        // A lenient decoder refuses nothing.
        let _ = transfer.feed(piece, &mut decoded);
        charset.feed(&decoded, &mut scan.text);
        decoded.clear();
        if scan.finds() {
            return Ok(true);
        }
    }
    let _ = transfer.finish(&mut decoded);
    charset.feed(&decoded, &mut scan.text);
    charset.finish(&mut scan.text);
    Ok(scan.finds())
}

/// A text that streams by, with as much of its end as a needle could begin in.
struct Scan<'a> {
    needle: &'a Needle<'a>,
    /// Text not looked at yet.
    text: String,
    /// The end of the folded text looked at.
    tail: Vec<u8>,
}

impl Scan<'_> {
    /// Whether the needle is in the text that has come; forgets what has been looked at.
    fn finds(&mut self) -> bool {
        // Lines that mail has wrapped are still one text to a reader: line ends count as spaces.
        let folded = fold(&self.text.replace("\r\n", " "));
        self.text.clear();
        self.tail.extend_from_slice(folded.as_bytes());
        let is_found = self.needle.finder.find(&self.tail).is_some();
        let keep = self.needle.folded.len().saturating_sub(1);
        let forget = self.tail.len().saturating_sub(keep);
        self.tail.drain(..forget);
        is_found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_across_pieces() {
        let needle = Needle::new("grüße an");
        let mut scan = Scan { needle: &needle, text: String::new(), tail: Vec::new() };
        for (piece, expected) in
            [("viele GR", false), ("ÜSSE, Grü", false), ("ße\r\nA", false), ("N alle", true)]
        {
            scan.text.push_str(piece);
            assert_eq!(scan.finds(), expected, "{piece}");
        }
    }

    #[test]
    fn fields_are_searched_decoded() {
        let header = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Other: plain\r\n\r\n";
        assert!(has_header(header, &Needle::new("grüße")));
        assert!(has_header(header, &Needle::new("x-other: pl")));
        assert!(!has_header(header, &Needle::new("absent")));
    }
}
