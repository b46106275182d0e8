//! PREVIEW: the first words of a message, for lists (RFC 8970). Made from the first text that is shown.

use mailstore::StoreError;
use message::{CharsetDecoder, Strictness, Summary, TransferDecoder, TransferEncoding};

use super::super::octets::Octets;

/// RFC 8970 §3.1: a preview has at most 200 characters.
const CHARACTERS_MAX: usize = 200;

/// The preview; `None` where the message has no text. Looks at one window of the text at most.
///
/// # Errors
/// What the store says.
pub(crate) async fn preview(summary: &Summary, octets: &mut Octets) -> Result<Option<String>, StoreError> {
    let Some(part) = summary.preview_part() else { return Ok(None) };
    let Some(encoding) = TransferEncoding::parse(&part.encoding) else { return Ok(None) };
    let encoded = octets.within(part.body.start..part.body.end).await?;
    let mut decoded = Vec::new();
    // Leniently: what cannot be decoded is left out of a preview, and the last character may be cut.
    let _ = TransferDecoder::new(encoding, Strictness::Lenient).feed(encoded, &mut decoded);
    let mut text = String::new();
    CharsetDecoder::new(part.parameter("charset").unwrap_or_default()).feed(&decoded, &mut text);
    let shown = if part.subtype == b"html" { without_markup(&text) } else { text };
    Ok(Some(first_words(&shown)))
}

/// Words with single spaces between them, cut at the most characters.
fn first_words(text: &str) -> String {
    let mut words = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        if characters >= CHARACTERS_MAX {
            break;
        }
        if characters > 0 {
            words.push(' ');
            characters += 1;
        }
        for character in word.chars().filter(|character| !character.is_control()) {
            if characters >= CHARACTERS_MAX {
                break;
            }
            words.push(character);
            characters += 1;
        }
    }
    words
}

/// What of HTML a reader would see, roughly: no tags, no styles and scripts, the commonest entities. For a glance,
/// never for display as HTML.
fn without_markup(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (shown, tag) = rest.split_at(at);
        text.push_str(shown);
        text.push(' ');
        rest = behind_tag(tag);
    }
    text.push_str(rest);
    let entities =
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

/// What follows a tag; with style, script, head and comments, what follows their end.
fn behind_tag(tag: &str) -> &str {
    let hidden = [("<!--", "-->"), ("<style", "</style"), ("<script", "</script"), ("<head", "</head")];
    let bytes = tag.as_bytes();
    for (open, close) in hidden {
        let is_open =
            bytes.get(..open.len()).is_some_and(|start| start.eq_ignore_ascii_case(open.as_bytes()));
        if !is_open {
            continue;
        }
        let end = bytes.windows(close.len()).position(|window| window.eq_ignore_ascii_case(close.as_bytes()));
        // A boundary between characters, as what was found is US-ASCII.
        let Some(behind) = end.and_then(|end| tag.get(end..)) else { return "" };
        return behind.split_once('>').map_or("", |(_, rest)| rest);
    }
    tag.split_once('>').map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_words_up_to_their_bound() {
        assert_eq!(first_words("  Hello,\r\n\tworld \u{7}! "), "Hello, world !");
        for characters in [199, 200, 201] {
            let text = "ü".repeat(characters);
            assert_eq!(first_words(&text).chars().count(), characters.min(CHARACTERS_MAX));
        }
        assert!(first_words(&"a ".repeat(500)).chars().count() <= CHARACTERS_MAX);
    }

    #[test]
    fn markup_is_not_shown() {
        let html = "<HEAD><title>x</title></HEAD><style>p{}</style><p>1 &lt; 2 &amp;&amp; <b>bold</b><!-- no --> end";
        assert_eq!(first_words(&without_markup(html)), "1 < 2 && bold end");
        assert_eq!(without_markup("<script>never closed"), " ");
        assert_eq!(first_words(&without_markup("a <b")), "a");
    }
}
