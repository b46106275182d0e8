//! What a part's HTML does besides showing text: elements, styles, links and where they really lead.

use crate::collector::Collector;
use crate::header::domain;
use crate::words::shape;

/// Tags that are looked at.
const TAGS_MAX: usize = 600;

/// Octets of one tag that are looked at.
const TAG_OCTETS_MAX: usize = 1_024;

/// Octets of a link's text that are compared with where it leads.
const LINK_TEXT_OCTETS_MAX: usize = 256;

/// Takes the features of HTML.
pub(crate) fn take(html: &str, collector: &mut Collector) {
    let mut rest = html;
    let mut tags = 0;
    let mut images = 0;
    let mut link: Option<String> = None;
    let mut is_inside_word = false;
    while let Some(at) = rest.find('<') {
        let before = rest.get(..at).unwrap_or_default();
        if let Some(target) = &link {
            compare_link(target, before, collector);
        }
        let ends_in_letter = before.ends_with(char::is_alphanumeric);
        let behind = rest.get(at + 1..).unwrap_or_default();
        let is_comment = behind.starts_with("!--");
        let end = if is_comment { behind.find("-->").map(|end| end + 2) } else { behind.find('>') };
        let Some(end) = end else { break };
        let tag = behind.get(..end).unwrap_or_default();
        rest = behind.get(end + 1..).unwrap_or_default();
        tags += 1;
        if tags > TAGS_MAX {
            break;
        }
        if is_comment {
            is_inside_word |= ends_in_letter && rest.starts_with(char::is_alphanumeric);
            collector.begin("html");
            collector.lone("<comment>");
            continue;
        }
        let tag = tag.get(..tag.floor_char_boundary(TAG_OCTETS_MAX)).unwrap_or_default();
        let (name, attributes) = tag.split_once(|c: char| c.is_whitespace()).unwrap_or((tag, ""));
        let name = name.get(..name.floor_char_boundary(16)).unwrap_or_default().to_ascii_lowercase();
        images += usize::from(name == "img");
        if name == "/a" {
            link = None;
        }
        take_tag(&name, attributes, collector, &mut link);
    }
    if is_inside_word {
        collector.sign("comments inside words");
    }
    if images >= 3 {
        collector.sign("many images");
    }
}

fn take_tag(name: &str, attributes: &str, collector: &mut Collector, link: &mut Option<String>) {
    collector.begin("html");
    let mut line = String::with_capacity(64);
    line.push_str(name);
    collector.lone(&line);
    for (attribute, value) in Attributes(attributes).take(12) {
        let attribute =
            attribute.get(..attribute.floor_char_boundary(16)).unwrap_or_default().to_ascii_lowercase();
        match attribute.as_str() {
            "href" | "src" | "action" | "background" => {
                self::link(value, collector);
                if name == "a" {
                    *link = host_of(value).map(str::to_ascii_lowercase);
                }
                collector.begin("html");
                line.truncate(name.len());
                line.push(' ');
                line.push_str(&attribute);
            }
            _ => {
                line.truncate(name.len());
                line.push(' ');
                line.push_str(&attribute);
                line.push('=');
                let value = value.get(..value.floor_char_boundary(40)).unwrap_or_default();
                line.extend(value.chars().map(|c| c.to_ascii_lowercase()));
            }
        }
        collector.lone(&line);
    }
}

/// A link: its host's domains, its form, the words of its path.
pub(crate) fn link(target: &str, collector: &mut Collector) {
    let target = target.trim();
    let target = target.get(..target.floor_char_boundary(512)).unwrap_or_default();
    collector.begin("link");
    let scheme = target.split(':').next().unwrap_or_default();
    if scheme.len() < 12 {
        collector.lone(&scheme.to_ascii_lowercase());
    }
    let Some(host) = host_of(target) else {
        if let Some((_, address)) = target.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("mailto")) {
            collector.lone(
                &address.get(..address.floor_char_boundary(64)).unwrap_or_default().to_ascii_lowercase(),
            );
        }
        return;
    };
    let lower = host.to_ascii_lowercase();
    if lower.parse::<std::net::Ipv4Addr>().is_ok() || lower.bytes().all(|octet| octet.is_ascii_digit()) {
        collector.sign("a link to a number instead of a name");
        collector.begin("link");
        collector.lone(&shape(lower.as_bytes()));
    } else {
        domain(lower.strip_prefix("www.").unwrap_or(&lower), collector);
    }
    let authority = target.split_once("//").map_or(target, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        collector.sign("a link with a name before its host");
    }
    if authority.contains('%') {
        collector.sign("a link with an encoded host");
    }
    if lower.contains("xn--") || !lower.is_ascii() {
        collector.sign("a link to a name in foreign letters");
    }
    let path =
        target.split_once("//").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    collector.begin("path");
    for piece in
        path.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|piece| !piece.is_empty()).take(10)
    {
        if piece.len() <= 24 && !piece.bytes().any(|octet| octet.is_ascii_digit()) {
            collector.lone(&piece.to_ascii_lowercase());
        } else {
            collector.lone(&shape(piece.as_bytes()));
        }
    }
}

/// The host of an absolute link.
pub(crate) fn host_of(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("//")?;
    if !scheme.ends_with(':') && !scheme.is_empty() {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.');
    (!host.is_empty() && host.len() <= 255).then_some(host)
}

/// A text that shows one host over a link to another.
fn compare_link(target: &str, text: &str, collector: &mut Collector) {
    let text = text.get(..text.floor_char_boundary(LINK_TEXT_OCTETS_MAX)).unwrap_or_default().trim();
    let shown = host_of(text).or_else(|| text.starts_with("www.").then(|| text.split('/').next()).flatten());
    let Some(shown) = shown.map(str::to_ascii_lowercase) else { return };
    if shown.contains(char::is_whitespace) || !shown.contains('.') {
        return;
    }
    if registered(&shown) == registered(target) {
        collector.sign("a link that shows where it leads");
    } else {
        collector.sign("a link that shows another host than it leads to");
    }
}

/// The last two labels; good enough to tell one owner from another.
fn registered(host: &str) -> &str {
    let mut dots =
        host.bytes().enumerate().filter(|(_, octet)| *octet == b'.').map(|(at, _)| at).collect::<Vec<_>>();
    dots.pop();
    dots.pop().map_or(host, |at| host.get(at + 1..).unwrap_or(host))
}

/// Names and values of a tag's attributes.
pub(crate) struct Attributes<'a>(pub(crate) &'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = self.0.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let Some(value) = behind.strip_prefix('=') else {
            self.0 = behind;
            return Some((name, ""));
        };
        let value = value.trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = value.get(1..).unwrap_or_default();
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        self.0 = after;
        Some((name, value))
    }
}
