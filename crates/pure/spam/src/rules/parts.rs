//! Structure and encodings that are broken, needless or untrue.

use memchr::memmem;
use message::{Content, Part, is_known_charset};

use super::Found;
use crate::letter::{Letter, Text};

/// Parts that are very many; more are not counted.
const MANY: usize = 50;

/// Octets of text below which its encoding tells nothing.
const TEXT_OCTETS_MIN: usize = 20;

/// Longest line that may stand without an encoding (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: usize = 998;

pub(super) fn judge(letter: &Letter<'_>, found: &mut Found<'_>) {
    let is_multipart = letter.text("content-type").is_some_and(|kind| {
        kind.trim_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
    });
    found.when(is_multipart && !has_boundary(letter), "BOUNDARY_MISSING");
    found.when(is_multipart && letter.field("mime-version").is_none(), "MISSING_MIME_VERSION");
    found.when(letter.leaves >= MANY, "MANY_PARTS");
    found.when(has_lone_alternative(&letter.structure), "MPART_ONE_HTML");
    let is_html_only = !letter.texts.is_empty() && letter.texts.iter().all(|text| text.page.is_some());
    found.when(is_html_only && letter.leaves == 1, "HTML_ONLY");
    found.when(letter.texts.iter().any(is_wrapped_for_nothing), "MIME_BASE64_TEXT");
    for text in &letter.texts {
        let Some(charset) = text.charset.as_deref().filter(|charset| !charset.is_empty()) else { continue };
        if !is_known_charset(charset) {
            found.hit("CHARSET_UNKNOWN", &String::from_utf8_lossy(charset.get(..40).unwrap_or(charset)));
        } else if is_false(charset, text) {
            found.hit("CHARSET_FALSE", &String::from_utf8_lossy(charset));
        }
    }
}

/// Whether the boundary that is announced also stands in the body.
fn has_boundary(letter: &Letter<'_>) -> bool {
    let part = &letter.structure;
    let Some(boundary) = part.parameter("boundary").filter(|boundary| !boundary.is_empty()) else {
        return false;
    };
    let start = usize::try_from(part.body.start).unwrap_or(usize::MAX);
    let body = letter.octets.get(start..).unwrap_or_default();
    memmem::find_iter(body, boundary)
        .take(64)
        .any(|at| at.checked_sub(2).and_then(|start| body.get(start..at)) == Some(b"--"))
}

/// Alternatives of which there is only one, and that is HTML.
fn has_lone_alternative(part: &Part) -> bool {
    match &part.content {
        Content::Multipart(parts) if part.subtype == b"alternative" => {
            parts.len() == 1 && parts.iter().all(|part| part.is_media("text", "html"))
        }
        Content::Multipart(parts) => parts.iter().take(MANY).any(has_lone_alternative),
        Content::Leaf | Content::Message(_) => false,
    }
}

/// Plain text in base64 that could stand as it is: filters that do not decode do not read it.
fn is_wrapped_for_nothing(text: &Text) -> bool {
    text.is_base64
        && text.page.is_none()
        && text.is_whole
        && text.octets.len() >= TEXT_OCTETS_MIN
        && text.octets.is_ascii()
        && text.octets.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE_OCTETS_MAX)
}

fn is_false(charset: &[u8], text: &Text) -> bool {
    if charset.eq_ignore_ascii_case(b"us-ascii") {
        return !text.octets.is_ascii();
    }
    charset.eq_ignore_ascii_case(b"utf-8") && text.is_whole && std::str::from_utf8(&text.octets).is_err()
}
