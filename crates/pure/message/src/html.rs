//! The words a reader of an HTML part sees, for searching and previews. No browser: tags are dropped, references are resolved,
//! nothing is interpreted; linear in its input and constant in memory.

use crate::html_reference::{REFERENCE_OCTETS_MAX, resolve_reference};

/// Longest tag name told apart; that of `blockquote` and more.
const TAG_NAME_OCTETS_MAX: usize = 12;

/// Elements that stand apart from the text around them.
const BLOCKS: [&str; 39] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "img",
    "li",
    "main",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];

/// Elements whose content is no text.
const HIDDEN: [&str; 2] = ["script", "style"];

/// Takes HTML in pieces of any size and gives its visible text, blanks collapsed.
#[derive(Clone, Debug, Default)]
pub struct HtmlText {
    state: State,
    is_after_blank: bool,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After `&`.
    Reference(String),
    /// After `<`.
    TagOpen,
    /// In `<name ...>`; the name is complete when something else follows.
    Tag(Tag),
    /// In `<! ... >` or `<? ... >`.
    Declaration { dashes: u8 },
    /// In `<!-- ... -->`, after so many dashes.
    Comment { dashes: u8 },
    /// In an element whose content is no text, after so many characters of its end tag.
    Hidden { element: &'static str, matched: usize },
}

#[derive(Clone, Debug, Default)]
struct Tag {
    name: String,
    is_end: bool,
    is_named: bool,
    /// Inside an attribute's quotes.
    quote: Option<char>,
    is_after_equals: bool,
}

impl HtmlText {
    /// Takes the next piece and appends its visible text.
    pub fn feed(&mut self, html: &str, text: &mut String) {
        for character in html.chars() {
            self.take(character, text);
        }
    }

    /// There is no more: appends what an incomplete reference leaves.
    pub fn finish(mut self, text: &mut String) {
        if let State::Reference(name) = std::mem::take(&mut self.state) {
            self.end_reference(&name, text);
        }
    }

    fn take(&mut self, character: char, text: &mut String) {
        self.state = match std::mem::take(&mut self.state) {
            State::Text => self.take_text(character, text),
            State::Reference(name) => self.take_reference(name, character, text),
            State::TagOpen => self.take_tag_open(character, text),
            State::Tag(tag) => self.take_tag(tag, character, text),
            State::Declaration { dashes } => match character {
                '-' if dashes == 1 => State::Comment { dashes: 0 },
                '-' if dashes == 0 => State::Declaration { dashes: 1 },
                '>' => State::Text,
                // Two dashes count only at once behind the exclamation mark.
                _ => State::Declaration { dashes: 2 },
            },
            State::Comment { dashes } => match character {
                '-' => State::Comment { dashes: (dashes + 1).min(2) },
                '>' if dashes == 2 => State::Text,
                _ => State::Comment { dashes: 0 },
            },
            State::Hidden { element, matched } => take_hidden(element, matched, character),
        };
    }

    fn take_text(&mut self, character: char, text: &mut String) -> State {
        match character {
            '<' => return State::TagOpen,
            '&' => return State::Reference(String::new()),
            _ => self.push(character, text),
        }
        State::Text
    }

    fn push(&mut self, character: char, text: &mut String) {
        if !character.is_whitespace() {
            text.push(character);
            self.is_after_blank = false;
        } else if !self.is_after_blank {
            text.push(' ');
            self.is_after_blank = true;
        }
    }

    fn take_reference(&mut self, mut name: String, character: char, text: &mut String) -> State {
        let is_part = character.is_ascii_alphanumeric() || (character == '#' && name.is_empty());
        if is_part && name.len() < REFERENCE_OCTETS_MAX {
            name.push(character);
            return State::Reference(name);
        }
        let is_resolved = self.end_reference(&name, text);
        if character == ';' && is_resolved { State::Text } else { self.take_text(character, text) }
    }

    /// Appends what the reference means, or the reference itself; whether it was resolved.
    fn end_reference(&mut self, name: &str, text: &mut String) -> bool {
        let resolved = resolve_reference(name);
        match resolved {
            Some(character) => self.push(character, text),
            None => {
                self.push('&', text);
                name.chars().for_each(|character| self.push(character, text));
            }
        }
        resolved.is_some()
    }

    fn take_tag_open(&mut self, character: char, text: &mut String) -> State {
        match character {
            '/' => State::Tag(Tag { is_end: true, ..Tag::default() }),
            '!' => State::Declaration { dashes: 0 },
            '?' => State::Declaration { dashes: 2 },
            letter if letter.is_ascii_alphabetic() => {
                State::Tag(Tag { name: letter.to_ascii_lowercase().to_string(), ..Tag::default() })
            }
            other => {
                self.push('<', text);
                self.take_text(other, text)
            }
        }
    }

    fn take_tag(&mut self, mut tag: Tag, character: char, text: &mut String) -> State {
        if let Some(quote) = tag.quote {
            if character == quote {
                tag.quote = None;
            }
            return State::Tag(tag);
        }
        match character {
            '>' => return self.end_tag(&tag, text),
            '"' | '\'' if tag.is_after_equals => {
                tag.quote = Some(character);
                tag.is_after_equals = false;
            }
            blank if blank.is_whitespace() => tag.is_named = true,
            other => {
                tag.is_after_equals = other == '=';
                tag.is_named |= !other.is_ascii_alphanumeric();
                if !tag.is_named && tag.name.len() < TAG_NAME_OCTETS_MAX {
                    tag.name.push(other.to_ascii_lowercase());
                }
            }
        }
        State::Tag(tag)
    }

    fn end_tag(&mut self, tag: &Tag, text: &mut String) -> State {
        if BLOCKS.contains(&tag.name.as_str()) {
            self.push(' ', text);
        }
        match HIDDEN.iter().find(|hidden| **hidden == tag.name) {
            Some(element) if !tag.is_end => State::Hidden { element, matched: 0 },
            _ => State::Text,
        }
    }
}

/// Waits for `</element`.
fn take_hidden(element: &'static str, matched: usize, character: char) -> State {
    let expected = match matched {
        0 => Some('<'),
        1 => Some('/'),
        _ => element.chars().nth(matched - 2),
    };
    match expected {
        Some(expected) if character.eq_ignore_ascii_case(&expected) => {
            State::Hidden { element, matched: matched + 1 }
        }
        Some(_) => State::Hidden { element, matched: usize::from(character == '<') },
        // All of the name was there: the rest is an end tag.
        None if character == '>' => State::Text,
        None => State::Tag(Tag { name: element.to_owned(), is_end: true, is_named: true, ..Tag::default() }),
    }
}

/// The visible text of a whole HTML document.
pub fn html_text(html: &str) -> String {
    let mut text = String::new();
    let mut reading = HtmlText::default();
    reading.feed(html, &mut text);
    reading.finish(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(html_text(html), expected, "{html}");
        let mut text = String::new();
        let mut reading = HtmlText::default();
        html.chars().for_each(|character| reading.feed(character.encode_utf8(&mut [0; 4]), &mut text));
        reading.finish(&mut text);
        assert_eq!(text, expected, "{html}");
    }

    #[test]
    fn tags_are_dropped() {
        check("<p>Hello <b>wor</b>ld</p><p>again", " Hello world again");
        check("a<br/>b<BR>c", "a b c");
        check("<a href=\"x>y\">link</a> <img alt='>' src=y>", "link ");
        check("<td>1</td><td>2</td>", " 1 2 ");
        check("a <!-- hidden > --> b <!doctype x> <?xml y?> c", "a b c");
        check("a<!---->b<!-x>c<!>d", "abcd");
        check("<style>p { color: red }</style>x<SCRIPT a=1>if (a < b) '</p>'</Script >y", "xy");
        check("<script></sc</script>z", "z");
        check("<verylongtagnameindeed>x", "x");
    }

    #[test]
    fn references_are_resolved() {
        check("a &lt;b&gt; &amp;amp; &quot;c&quot;&nbsp;&nbsp;d", "a <b> &amp; \"c\" d");
        check("&#228;&#xE4;&auml;&Auml;&euro;&#150;", "äääÄ€–");
        check("AT&T &unknown; &; &#; &#x110000; &amp", "AT&T &unknown; &; &#; &#x110000; &");
        check("caf&eacute bar", "café bar");
    }

    #[test]
    fn broken_html_is_read_too() {
        check("1 < 2 <3", "1 < 2 <3");
        check("<p", "");
        check("a</>b", "ab");
        check("<a title=don't>x</a>", "x");
        check("&averyveryverylongname;", "&averyveryverylongname;");
        check("<style>never closed", "");
    }

    #[test]
    fn blocks_are_sorted_words_that_fit() {
        assert!(BLOCKS.is_sorted());
        assert!(BLOCKS.iter().chain(&HIDDEN).all(|name| name.len() <= TAG_NAME_OCTETS_MAX));
    }
}
