//! The `https` URLs that reports are posted to (RFC 8460 §3; RFC 3986 §3).

use std::fmt;
use std::net::IpAddr;

use mail_types::DomainName;

/// Longest URL that is kept.
pub const URL_OCTETS_MAX: usize = 1_024;
/// The port where a URL names none.
const PORT: u16 = 443;

/// A server and what is asked of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpsUrl {
    /// The server's name, which its certificate must show: never an address.
    pub host: DomainName,
    /// Where it answers.
    pub port: u16,
    /// Path and query, as they stand in a request; begins with a slash.
    pub target: Box<str>,
}

impl HttpsUrl {
    /// Reads a URL; `None` for what is none, for user names and addresses in it, and beyond [`URL_OCTETS_MAX`]. A fragment
    /// is nothing that a server is told.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let is_graphic = url.bytes().all(|octet| octet.is_ascii_graphic());
        let rest = url.split_at_checked("https://".len());
        let (scheme, rest) = rest.filter(|_| is_graphic && url.len() <= URL_OCTETS_MAX)?;
        if !scheme.eq_ignore_ascii_case("https://") {
            return None;
        }
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let (host, port) = match authority.split_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (authority, PORT),
        };
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}").into() };
        Some(Self { host: DomainName::parse(host).ok()?, port, target })
    }
}

/// Digits alone; none, as in `https://example.org:/`, is the usual port (RFC 3986 §3.2.3).
fn port(digits: &str) -> Option<u16> {
    if digits.is_empty() {
        return Some(PORT);
    }
    let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port != 0)
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        if self.port != PORT {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_and_write_themselves() {
        for (url, expected) in [
            ("https://reports.example.org/v1/tlsrpt", "https://reports.example.org/v1/tlsrpt"),
            ("HTTPS://Reports.Example.Org", "https://reports.example.org/"),
            ("https://example.org:443/x?y=z%2C", "https://example.org/x?y=z%2C"),
            ("https://example.org:8443?a", "https://example.org:8443/?a"),
            ("https://example.org:/a#b/c", "https://example.org/a"),
        ] {
            let read = HttpsUrl::parse(url).unwrap();
            assert_eq!(read.to_string(), expected);
            assert_eq!(HttpsUrl::parse(expected), Some(read));
        }
    }

    #[test]
    fn what_is_no_such_url() {
        for url in [
            "",
            "https://",
            "https:///x",
            "http://example.org/",
            "https:/example.org/",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
            "https://user@example.org/",
            "https://user:word@example.org/",
            "https://example.org:0/",
            "https://example.org:65536/",
            "https://example.org:+443/",
            "https://example.org/a b",
            "https://example.org/\r\nHost: x",
            "https://exa\u{fc}mple.org/",
        ] {
            assert_eq!(HttpsUrl::parse(url), None, "{url}");
        }
    }

    #[test]
    fn a_url_has_an_end() {
        for octets in [URL_OCTETS_MAX - 1, URL_OCTETS_MAX, URL_OCTETS_MAX + 1] {
            let start = "https://example.org/";
            let url = format!("{start}{}", "x".repeat(octets - start.len()));
            assert_eq!(HttpsUrl::parse(&url).is_some(), octets <= URL_OCTETS_MAX);
        }
    }
}
