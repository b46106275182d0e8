//! A link: where it stands, what it shows, where it goes; and the domains that links go to.

use std::collections::HashSet;

use mail_types::DomainName;

use crate::domains::registrable;
use crate::letter::Letter;

/// Links of a message that are looked at.
pub const LINKS_MAX: usize = 400;

/// Domains of a message that are told.
pub const URIS_MAX: usize = 60;

/// Octets of a link that are looked at.
pub(crate) const LINK_OCTETS_MAX: usize = 1_024;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// As it was written, without blanks and control characters.
    pub(crate) target: String,
    /// The text over it; empty outside of HTML.
    pub(crate) shown: String,
    host: Option<String>,
}

impl Link {
    /// A link to somewhere.
    pub(crate) fn new(target: &str) -> Link {
        let target = target.get(..target.floor_char_boundary(LINK_OCTETS_MAX)).unwrap_or_default();
        let mut target: String = target.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
        // Browsers take both slashes for one another.
        if target.get(..9).unwrap_or(&target).contains('\\') {
            target = target.replace('\\', "/");
        }
        let mut link = Link { target, shown: String::new(), host: None };
        link.host = link.host_of_target();
        link
    }

    /// Where it goes, in lower case and without escapes.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// What stands between scheme and path, with user and port; `None` for what goes to no host.
    pub(crate) fn authority(&self) -> Option<&str> {
        let (scheme, rest) = match self.target.split_once("//") {
            Some(parts) => parts,
            None if is_bare_host(&self.target) => ("", self.target.as_str()),
            None => return None,
        };
        let is_web = ["", "http:", "https:", "ftp:"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        (is_web && !authority.is_empty()).then_some(authority)
    }

    fn host_of_target(&self) -> Option<String> {
        let authority = self.authority()?;
        let host = authority.rsplit('@').next()?;
        let end = if host.starts_with('[') { host.find(']').map(|at| at + 1) } else { host.find(':') };
        let host = host.get(..end.unwrap_or(host.len()))?;
        let host = unescaped(host).to_lowercase();
        let host = host.trim_matches('.');
        (!host.is_empty() && host.len() <= 253).then(|| host.to_owned())
    }

    /// The port that it names.
    pub(crate) fn port(&self) -> Option<&str> {
        let host = self.authority()?.rsplit('@').next()?;
        let behind = if host.starts_with('[') { host.split(']').nth(1)? } else { host };
        behind.split_once(':').map(|(_, port)| port)
    }
}

/// Whether a host is a number, in any of the ways that browsers read.
pub(crate) fn is_numeric(host: &str) -> bool {
    let is_number = |label: &str| {
        let hexadecimal = label.strip_prefix("0x");
        !label.is_empty()
            && hexadecimal.map_or_else(
                || label.bytes().all(|octet| octet.is_ascii_digit()),
                |digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()),
            )
    };
    host.starts_with('[') || host.split('.').all(is_number)
}

/// Takes the links that stand in plain text: with a scheme, or beginning with `www.`.
pub(crate) fn links_in_text(text: &str, links_max: usize, links: &mut Vec<Link>) {
    let links_max = links.len().saturating_add(links_max);
    let mut rest = text;
    while links.len() < links_max {
        let Some(start) = next_link(rest) else { return };
        let link = rest.get(start..).unwrap_or_default();
        let is_end =
            |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ')' | ']' | '\'' | '`' | '|');
        let end = link.find(is_end).unwrap_or(link.len());
        let (link, behind) = link.split_at(end);
        let link = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
        if !link.is_empty() {
            links.push(Link::new(link));
        }
        // At least the sign that the link was found by is behind us.
        rest = if end == 0 { behind.get(1..).unwrap_or_default() } else { behind };
    }
}

/// Where the next link begins: at the scheme before `://`, or at a `www.` that begins a word.
fn next_link(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b':', b'w', bytes).find_map(|at| {
        let behind = bytes.get(at..).unwrap_or_default();
        if behind.starts_with(b"://") {
            return Some(scheme_start(bytes, at));
        }
        let is_word = at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|before| {
            before.is_ascii_alphanumeric() || matches!(before, b'.' | b'@' | b'/' | b'-' | 0x80..)
        });
        (behind.starts_with(b"www.") && !is_word).then_some(at)
    })
}

/// Letters before `://` are its scheme, up to 12 of them.
fn scheme_start(bytes: &[u8], colon: usize) -> usize {
    let before = bytes.get(..colon).unwrap_or_default();
    let letters = before.iter().rev().take(12).take_while(|octet| octet.is_ascii_alphabetic()).count();
    colon - letters
}

fn is_bare_host(target: &str) -> bool {
    target.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
}

/// A host without `%41` and the like.
fn unescaped(host: &str) -> String {
    if !host.contains('%') {
        return host.to_owned();
    }
    let mut octets = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| first == b'%') {
            Some(octet) => {
                octets.push(octet);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The registrable domains that a message's links go to, each once, in the order in which they stand: what lists of unwanted
/// domains are asked about.
pub fn uris(message: &[u8]) -> Vec<DomainName> {
    domains(&Letter::read(message).links)
}

/// The domains of links, each once.
pub(crate) fn domains(links: &[Link]) -> Vec<DomainName> {
    let mut domains: Vec<DomainName> = Vec::new();
    let mut seen = HashSet::new();
    for host in links.iter().filter_map(Link::host).filter(|host| host.contains('.') && !is_numeric(host)) {
        let owner = registrable(host);
        if !seen.insert(owner) {
            continue;
        }
        match DomainName::parse(owner) {
            Ok(domain) if !domains.contains(&domain) => domains.push(domain),
            _ => {}
        }
        if domains.len() >= URIS_MAX {
            break;
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut links = Vec::new();
        links_in_text(text, LINKS_MAX, &mut links);
        links.into_iter().map(|link| link.target).collect()
    }

    #[test]
    fn links_stand_in_plain_text() {
        assert_eq!(
            found("See http://a.example/x, (https://b.example) www.c.example/y. not.www.d.example ://"),
            ["http://a.example/x", "https://b.example", "www.c.example/y", "://"]
        );
        assert_eq!(found("ühttp://a.example"), ["http://a.example"]);
    }

    #[test]
    fn hosts_are_found_however_they_are_written() {
        for (link, host) in [
            ("http://A.Example/x", Some("a.example")),
            ("//a.example", Some("a.example")),
            ("http:\\\\a.example\\x", Some("a.example")),
            ("http://bank.example@a.example:8080/", Some("a.example")),
            ("http://%61.example/", Some("a.example")),
            ("http://[2001:db8::1]:80/", Some("[2001:db8::1]")),
            ("ht\ntp://a.ex\tample./", Some("a.example")),
            ("mailto:a@b.example", None),
            ("http://", None),
            ("cid://a", None),
        ] {
            assert_eq!(Link::new(link).host(), host, "{link}");
        }
        assert_eq!(Link::new("http://[2001:db8::1]:81/").port(), Some("81"));
        for (host, is_number) in [
            ("192.0.2.1", true),
            ("3221225985", true),
            ("0xc0.0x0.2.1", true),
            ("[::1]", true),
            ("a.example", false),
            ("1.example", false),
            ("", false),
        ] {
            assert_eq!(is_numeric(host), is_number, "{host}");
        }
    }

    #[test]
    fn domains_are_told_once_and_bounded() {
        let message = |count: usize| {
            let links: String = (0..count).map(|index| format!("http://www.d{index}.example/ ")).collect();
            format!("Subject: x\n\n{links}{links}")
        };
        for (given, told) in [(URIS_MAX - 1, URIS_MAX - 1), (URIS_MAX, URIS_MAX), (URIS_MAX + 1, URIS_MAX)] {
            assert_eq!(uris(message(given).as_bytes()).len(), told);
        }
        let one =
            uris(b"Content-Type: text/html\n\n<a href='http://x.y.example.co.uk/'>x</a> http://192.0.2.1/");
        assert_eq!(one.iter().map(DomainName::as_str).collect::<Vec<_>>(), ["example.co.uk"]);
        for (given, kept) in
            [(LINKS_MAX - 1, LINKS_MAX - 1), (LINKS_MAX, LINKS_MAX), (LINKS_MAX + 1, LINKS_MAX)]
        {
            assert_eq!(found(&"http://a ".repeat(given)).len(), kept);
        }
    }
}
