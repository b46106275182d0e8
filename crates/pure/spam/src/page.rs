//! What a page of HTML does besides showing text: links and what stands over them, forms, programs, images, text that nobody sees.

use memchr::{memchr, memmem};
use message::html_text;

use crate::link::{LINKS_MAX, Link};
use crate::markup::Attributes;

/// Tags that are looked at.
pub(crate) const TAGS_MAX: usize = 4_000;

/// Octets of one tag that are looked at.
const TAG_OCTETS_MAX: usize = 2_048;

/// Attributes of one tag that are looked at.
const ATTRIBUTES_MAX: usize = 20;

/// Open elements that are remembered.
const DEPTH_MAX: usize = 200;

/// Octets of text over a link that are kept.
pub(crate) const SHOWN_OCTETS_MAX: usize = 256;

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) links: Vec<Link>,
    pub(crate) forms: usize,
    pub(crate) programs: usize,
    pub(crate) refreshes: usize,
    pub(crate) images: usize,
    pub(crate) tiny_images: usize,
    /// Letters that are shown, and letters that cannot be seen.
    pub(crate) shown_letters: usize,
    pub(crate) hidden_letters: usize,
    /// Comments between two letters.
    pub(crate) broken_words: usize,
}

/// An open element.
struct Open {
    name: Name,
    is_hidden: bool,
    background: Option<u32>,
    color: Option<u32>,
}

/// Names of elements that are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Link,
    /// What holds no text for people.
    Silent,
    /// What never has content.
    Void,
    /// Others, by a number for each name.
    Other(u64),
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(html: &str) -> Page {
        let mut reading = Reading { page: Page::default(), open: Vec::new(), link: None };
        let bytes = html.as_bytes();
        let mut at = 0;
        for _ in 0..TAGS_MAX {
            let Some(found) = memchr(b'<', bytes.get(at..).unwrap_or_default()) else { break };
            reading.text(html.get(at..at + found).unwrap_or_default());
            let start = at + found + 1;
            let behind = bytes.get(start..).unwrap_or_default();
            if behind.starts_with(b"!--") {
                let Some(end) = memmem::find(behind, b"-->") else { return reading.page };
                let is_letter =
                    |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphabetic);
                let cuts = is_letter(start.checked_sub(2)) && is_letter(Some(start + end + 3));
                reading.page.broken_words += usize::from(cuts);
                at = start + end + 3;
                continue;
            }
            let Some(end) = tag_end(behind) else { return reading.page };
            let tag = html.get(start..start + end).unwrap_or_default();
            reading.tag(tag.get(..tag.floor_char_boundary(TAG_OCTETS_MAX)).unwrap_or_default());
            at = start + end + 1;
        }
        reading.text(html.get(at..).unwrap_or_default());
        reading.page
    }
}

/// Where a tag ends; a `>` inside of quotes does not end it, unless its quotes never end.
fn tag_end(behind: &[u8]) -> Option<usize> {
    let first = memchr(b'>', behind)?;
    let mut quote = None;
    for (at, &octet) in behind.iter().enumerate().take(4 * TAG_OCTETS_MAX) {
        match (quote, octet) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), octet) if open == octet => quote = None,
            _ => {}
        }
    }
    Some(first)
}

struct Reading {
    page: Page,
    open: Vec<Open>,
    /// The link whose text is read, and that text.
    link: Option<(usize, String)>,
}

impl Reading {
    fn text(&mut self, text: &str) {
        if text.is_empty() || self.open.iter().any(|open| open.name == Name::Silent) {
            return;
        }
        if let Some((_, shown)) = &mut self.link {
            let room = SHOWN_OCTETS_MAX.saturating_sub(shown.len());
            shown.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        }
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        if self.is_hidden() {
            self.page.hidden_letters += letters;
        } else {
            self.page.shown_letters += letters;
        }
    }

    /// Hidden by an element around it, or in the colour of what is behind it.
    fn is_hidden(&self) -> bool {
        const WHITE: u32 = 0xff_ff_ff;
        let last = |color: fn(&Open) -> Option<u32>| self.open.iter().rev().find_map(color);
        let color = last(|open| open.color);
        let background = last(|open| open.background).unwrap_or(WHITE);
        self.open.iter().any(|open| open.is_hidden) || color.is_some_and(|color| is_same(color, background))
    }

    fn tag(&mut self, tag: &str) {
        let (word, attributes) = tag.split_once(|c: char| c.is_whitespace()).unwrap_or((tag, ""));
        let word = word.get(..word.floor_char_boundary(24)).unwrap_or_default().to_ascii_lowercase();
        let word = word.trim_end_matches('/');
        if let Some(word) = word.strip_prefix('/') {
            self.close(name(word));
            return;
        }
        self.page.forms += usize::from(word == "form");
        self.page.programs += usize::from(matches!(word, "script" | "object" | "embed" | "applet"));
        let mut open = Open { name: name(word), is_hidden: false, background: None, color: None };
        let mut tiny = 0;
        let mut is_refresh = false;
        for (attribute, value) in Attributes(attributes).take(ATTRIBUTES_MAX) {
            let attribute =
                attribute.get(..attribute.floor_char_boundary(16)).unwrap_or_default().to_ascii_lowercase();
            match attribute.as_str() {
                "href" | "src" | "action" | "background" => self.link(word, &attribute, value),
                "style" => style(value, &mut open),
                "bgcolor" => open.background = color(value),
                "color" => open.color = color(value),
                "hidden" => open.is_hidden = true,
                "size" if word == "font" => open.is_hidden |= value.trim() == "0",
                "width" | "height" => tiny += usize::from(matches!(value.trim(), "0" | "1" | "0px" | "1px")),
                "http-equiv" => is_refresh = value.trim().eq_ignore_ascii_case("refresh"),
                "content" => {
                    self.page.refreshes +=
                        usize::from(is_refresh && value.to_ascii_lowercase().contains("url"))
                }
                _ => {}
            }
        }
        if word == "img" {
            self.page.images += 1;
            self.page.tiny_images += usize::from(tiny == 2 || open.is_hidden);
        }
        if open.name != Name::Void && self.open.len() < DEPTH_MAX {
            self.open.push(open);
        }
    }

    fn link(&mut self, word: &str, attribute: &str, value: &str) {
        if self.page.links.len() >= LINKS_MAX {
            return;
        }
        let value = if value.contains('&') { html_text(value) } else { value.to_owned() };
        if matches!((word, attribute), ("a" | "area", "href")) {
            self.end_link();
            self.link = Some((self.page.links.len(), String::new()));
        }
        self.page.links.push(Link::new(&value));
    }

    fn end_link(&mut self) {
        if let Some((index, shown)) = self.link.take()
            && let Some(link) = self.page.links.get_mut(index)
        {
            link.shown = html_text(&shown).trim().to_owned();
        }
    }

    fn close(&mut self, name: Name) {
        if name == Name::Link {
            self.end_link();
        }
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.open.truncate(at);
        }
    }
}

fn name(word: &str) -> Name {
    match word {
        "a" => Name::Link,
        "script" | "style" | "title" | "head" => Name::Silent,
        // The end of a paragraph, cell or item is often left out: nothing must stay hidden because of that.
        "img" | "br" | "hr" | "meta" | "link" | "input" | "area" | "base" | "col" | "embed" | "source"
        | "wbr" | "!doctype" => Name::Void,
        other => Name::Other(
            other.bytes().fold(7, |sum: u64, octet| sum.wrapping_mul(257).wrapping_add(u64::from(octet))),
        ),
    }
}

/// What a style hides.
fn style(value: &str, open: &mut Open) {
    let value =
        value.get(..value.floor_char_boundary(TAG_OCTETS_MAX)).unwrap_or_default().to_ascii_lowercase();
    for rule in value.split(';') {
        let Some((property, value)) = rule.split_once(':') else { continue };
        let value = value.trim().trim_end_matches("!important").trim();
        let is_nothing = || matches!(value, "0" | "0px" | "0pt" | "1px" | "1pt" | "0em" | "0%" | "0.0");
        match property.trim() {
            "display" => open.is_hidden |= value == "none",
            "visibility" => open.is_hidden |= value == "hidden",
            "font-size" | "opacity" | "max-height" => open.is_hidden |= is_nothing(),
            "color" => open.color = color(value),
            "background" | "background-color" => open.background = color(value).or(open.background),
            _ => {}
        }
    }
}

/// A colour as red, green and blue; `None` for names that are rarely used.
fn color(value: &str) -> Option<u32> {
    let value = value.trim();
    let value = value.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
    match value.to_ascii_lowercase().as_str() {
        "white" => return Some(0xff_ff_ff),
        "black" => return Some(0),
        "red" => return Some(0xff_00_00),
        "blue" => return Some(0x00_00_ff),
        _ => {}
    }
    let digits = value.trim_start_matches('#');
    let number = u32::from_str_radix(digits, 16).ok()?;
    match digits.len() {
        6 => Some(number),
        3 => Some(((number >> 8) & 15) * 0x11_00_00 + ((number >> 4) & 15) * 0x11_00 + (number & 15) * 0x11),
        _ => None,
    }
}

/// Whether nobody can tell two colours apart.
fn is_same(a: u32, b: u32) -> bool {
    [16, 8, 0].iter().all(|shift| ((a >> shift) & 255).abs_diff((b >> shift) & 255) < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_with_what_stands_over_them() {
        let page = Page::read(
            "<a title='a>b' href=\"http://a.example/?x&amp;y\"><b>www.b.example</b></a> <img src=c width=1 height=1>",
        );
        let links: Vec<_> =
            page.links.iter().map(|link| (link.target.as_str(), link.shown.as_str())).collect();
        assert_eq!(links, [("http://a.example/?x&y", "www.b.example"), ("c", "")]);
        assert_eq!((page.images, page.tiny_images), (1, 1));
    }

    #[test]
    fn what_nobody_sees_is_told_from_what_is_shown() {
        for (html, hidden) in [
            ("<div style='display:none'>four</div>five5", 4),
            ("<div style='display:none'><p>four</div>five5", 4),
            ("<font color=#fffffe>four</font>five5", 4),
            (
                "<table bgcolor=#000000><td><font color=#010101>four</font><font color=white>five5</font></table>",
                4,
            ),
            ("<span style=\"font-size: 0px\">four</span>five5", 4),
            ("<p>five5", 0),
            ("<style>four</style>five5", 0),
        ] {
            let page = Page::read(html);
            assert_eq!((page.hidden_letters, page.shown_letters), (hidden, 5), "{html}");
        }
    }

    #[test]
    fn pages_that_do_things_are_told() {
        let page = Page::read(
            "<form action=http://a.example><script>x</script>V<!-- x -->iagra<meta http-equiv=refresh content='0;url=http://b.example'>",
        );
        assert_eq!((page.forms, page.programs, page.broken_words, page.refreshes), (1, 1, 1, 1));
        assert_eq!(page.links.len(), 1);
    }

    #[test]
    fn tags_are_bounded() {
        for (given, kept) in [(TAGS_MAX - 1, TAGS_MAX - 1), (TAGS_MAX, TAGS_MAX), (TAGS_MAX + 1, TAGS_MAX)] {
            assert_eq!(Page::read(&"<img>".repeat(given)).images, kept);
        }
        for (given, kept) in
            [(LINKS_MAX - 1, LINKS_MAX - 1), (LINKS_MAX, LINKS_MAX), (LINKS_MAX + 1, LINKS_MAX)]
        {
            assert_eq!(Page::read(&"<a href=x></a>".repeat(given)).links.len(), kept);
        }
        for (given, kept) in [
            (SHOWN_OCTETS_MAX - 1, SHOWN_OCTETS_MAX - 1),
            (SHOWN_OCTETS_MAX, SHOWN_OCTETS_MAX),
            (SHOWN_OCTETS_MAX + 1, SHOWN_OCTETS_MAX),
        ] {
            let page = Page::read(&format!("<a href=x>{}</a>", "y".repeat(given)));
            assert_eq!(page.links[0].shown.len(), kept);
        }
        for (given, is_hidden) in
            [(ATTRIBUTES_MAX - 2, true), (ATTRIBUTES_MAX - 1, true), (ATTRIBUTES_MAX, false)]
        {
            let page = Page::read(&format!("<p {}hidden>x</p>", "a=b ".repeat(given)));
            assert_eq!(page.hidden_letters == 1, is_hidden, "{given}");
        }
        let deep = "<b>".repeat(DEPTH_MAX + 1);
        assert_eq!(Page::read(&format!("{deep}x")).shown_letters, 1);
    }
}
