//! Where reports are wanted: the URIs of `rua` and `ruf` tags (RFC 9989 §4.6; the size limits are RFC 7489's §6.2).

use mail_types::{Address, DomainName};

/// Addresses of one tag that are kept. Real records have one or two; each may cost questions and mail.
pub const REPORT_ADDRESSES_MAX: usize = 10;

/// An address that wants reports by mail. Of other URI schemes nobody but `mailto` has to be understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportAddress {
    /// Whom to write to; always at a domain name.
    pub address: Address,
    /// Octets of the largest mail that is wanted. RFC 9989 dropped the limit, old records have it.
    pub octets_max: Option<u64>,
}

impl ReportAddress {
    /// Reads one URI; `None` for what is no such address.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (uri, octets_max) = match uri.trim().rsplit_once('!') {
            Some((uri, limit)) => (uri, Some(parse_octets(limit)?)),
            None => (uri.trim(), None),
        };
        Some(Self { address: parse_mailto(uri)?, octets_max })
    }

    /// Reads a comma-separated list; what is no such address is passed over.
    #[must_use]
    pub fn parse_list(list: &str) -> Vec<Self> {
        list.split(',').filter_map(Self::parse).take(REPORT_ADDRESSES_MAX).collect()
    }

    /// The domain the reports go to.
    #[must_use]
    pub fn domain(&self) -> Option<&DomainName> {
        self.address.domain_name()
    }
}

/// Reads `mailto:a@b`; header fields behind a question mark are not for strangers to choose, and dropped.
pub(super) fn parse_mailto(uri: &str) -> Option<Address> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.trim().eq_ignore_ascii_case("mailto") {
        return None;
    }
    let address = rest.split('?').next().unwrap_or_default().trim();
    let address = Address::parse(&percent_decoded(address)?).ok()?;
    address.domain_name().is_some().then_some(address)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'%' => {
                let mut digit = || char::from(octets.next()?).to_digit(16);
                decoded.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
            }
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).ok()
}

/// `10`, `10k`, `10m`, `10g`, `10t`, in powers of 1,024.
fn parse_octets(limit: &str) -> Option<u64> {
    let limit = limit.trim();
    let digits = limit.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match limit.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1 << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_limits() {
        for (uri, address, octets_max) in [
            ("mailto:a@example.org", "a@example.org", None),
            (" MAILTO:a@Example.org!10m ", "a@example.org", Some(10 << 20)),
            ("mailto:a@example.org!5", "a@example.org", Some(5)),
            ("mailto:a@example.org!1K", "a@example.org", Some(1_024)),
            ("mailto:a@example.org!99999999999999999999t", "a@example.org", Some(u64::MAX)),
            ("mailto:a%2bb%21c@example.org", "a+b!c@example.org", None),
            ("mailto:a@example.org?bcc=x@y", "a@example.org", None),
        ] {
            let read = ReportAddress::parse(uri).unwrap();
            assert_eq!((read.address.to_string().as_str(), read.octets_max), (address, octets_max), "{uri}");
            assert_eq!(read.domain().unwrap().as_str(), "example.org");
        }
    }

    #[test]
    fn what_is_no_report_address() {
        for uri in [
            "",
            "a@example.org",
            "https://example.org",
            "mailto:",
            "mailto:a",
            "mailto:a@[192.0.2.1]",
            "mailto:a@example.org!x",
            "mailto:a@example.org!",
            "mailto:a@example.org!10q",
            "mailto:a%0d%0aBcc:x@example.org",
            "mailto:a%4@example.org",
            "mailto:a%",
        ] {
            assert_eq!(ReportAddress::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        for count in [9, 10, 11] {
            let list = "mailto:a@b.example,x,".repeat(count);
            assert_eq!(ReportAddress::parse_list(&list).len(), count.min(REPORT_ADDRESSES_MAX));
        }
    }
}
