//! What a client calls itself, behind HELO and by the name of its address. Hosts that send mail for a living have names of
//! their own that agree; stolen machines seldom do.

use std::net::IpAddr;

use directory::Directory;
use mail_types::{AddressLiteral, DomainName};
use sender_auth::iprev::Iprev;

use super::Evidence;

/// What is wrong with a name behind HELO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HelloFault {
    /// It is ours.
    Ours,
    /// It is an address without brackets.
    BareAddress,
    /// It is another address than the client's.
    OtherAddress,
    /// It is no name of a host.
    NoName,
    /// It is no whole name.
    NotQualified,
}

impl HelloFault {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "HELO_IS_OURS",
            Self::BareAddress => "HELO_BARE_ADDRESS",
            Self::OtherAddress => "HELO_OTHER_ADDRESS",
            Self::NoName => "HELO_NO_NAME",
            Self::NotQualified => "HELO_NOT_QUALIFIED",
        }
    }

    fn points(self) -> f32 {
        match self {
            Self::Ours => 4.0,
            Self::BareAddress => 2.5,
            Self::OtherAddress => 2.0,
            Self::NoName | Self::NotQualified => 1.5,
        }
    }

    /// In words for the client and for the record.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Ours => "the name behind HELO is ours, not the client's",
            Self::BareAddress => "behind HELO stands an address without brackets (RFC 5321 4.1.3)",
            Self::OtherAddress => "behind HELO stands another address than the client's",
            Self::NoName => "what stands behind HELO is no name of a host (RFC 5321 4.1.1.1)",
            Self::NotQualified => "behind HELO stands no whole name (RFC 5321 2.3.5)",
        }
    }

    pub(crate) fn evidence(self, hello: &str) -> Evidence {
        let shown: String = hello.chars().take(HELLO_SHOWN_MAX).collect();
        Evidence::new(self.name(), self.points(), format!("{}: {shown}", self.words()))
    }
}

/// Characters of HELO that are shown.
const HELLO_SHOWN_MAX: usize = 100;
/// Tops of names that stand for nothing in DNS (RFC 6761, RFC 6762, RFC 8375, and what home routers hand out).
const LOCAL_TOPS: [&str; 8] =
    ["localhost", "localdomain", "local", "lan", "home", "internal", "invalid", "arpa"];

/// Judges a name behind HELO of a client that is no neighbour.
pub(crate) fn hello_fault(
    hello: &str,
    client: IpAddr,
    ours: &[IpAddr],
    hostname: &DomainName,
    directory: &Directory,
) -> Option<HelloFault> {
    let client = client.to_canonical();
    if hello.starts_with('[') {
        return match AddressLiteral::parse(hello) {
            Ok(AddressLiteral(address)) if address.to_canonical() == client => None,
            Ok(AddressLiteral(address)) if ours.contains(&address.to_canonical()) => Some(HelloFault::Ours),
            Ok(_) => Some(HelloFault::OtherAddress),
            Err(_) => Some(HelloFault::NoName),
        };
    }
    if hello.parse::<IpAddr>().is_ok() {
        return Some(HelloFault::BareAddress);
    }
    let Ok(name) = DomainName::parse(hello) else { return Some(HelloFault::NoName) };
    if name == *hostname || directory.is_local_domain(&name) {
        return Some(HelloFault::Ours);
    }
    match name.as_str().rsplit_once('.') {
        Some((_, top)) if !LOCAL_TOPS.contains(&top) => None,
        _ => Some(HelloFault::NotQualified),
    }
}

/// What the name of an address says.
pub(crate) fn reverse_evidence(iprev: &Iprev, client: IpAddr) -> Option<Evidence> {
    match iprev {
        Iprev::NoName => Some(Evidence::new("REVERSE_NAME_MISSING", 2.0, "the client's address has no name")),
        Iprev::Fail => Some(Evidence::new(
            "REVERSE_NAME_MISMATCH",
            1.5,
            "the names of the client's address do not lead back to it",
        )),
        Iprev::Pass(name) if looks_dynamic(name.as_str(), client) => Some(Evidence::new(
            "REVERSE_NAME_DYNAMIC",
            1.5,
            format!("the client's name looks like one of a customer's line: {name}"),
        )),
        // DNS that fails says nothing of the client.
        Iprev::Pass(_) | Iprev::TempError => None,
    }
}

/// Words in names that providers give to their customers' lines.
const CUSTOMERS: [&str; 24] = [
    "dyn",
    "dynamic",
    "dynamicip",
    "dhcp",
    "dial",
    "dialup",
    "dialin",
    "dsl",
    "adsl",
    "vdsl",
    "xdsl",
    "cable",
    "catv",
    "ppp",
    "pppoe",
    "pool",
    "pools",
    "broadband",
    "ftth",
    "fttx",
    "wlan",
    "mobile",
    "res",
    "residential",
];
/// Words in names of hosts that are meant to send.
const HOSTS: [&str; 10] =
    ["mail", "smtp", "mx", "mta", "relay", "out", "outbound", "static", "mailer", "bounce"];

/// Whether a name looks like one that a provider gives to a customer's line: it has a word of [`CUSTOMERS`] and a number, or
/// the whole address in it, and no word of [`HOSTS`].
fn looks_dynamic(name: &str, client: IpAddr) -> bool {
    let words: Vec<&str> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .flat_map(|part| split_digits(part).filter(|word| !word.is_empty()))
        .collect();
    let is_host = words.iter().any(|word| HOSTS.contains(word));
    let is_customer = words.iter().any(|word| CUSTOMERS.contains(word));
    let has_number = words.iter().any(|word| word.bytes().all(|octet| octet.is_ascii_digit()));
    !is_host && (is_customer && has_number || has_address(name, &words, client))
}

/// A part of a name in runs of digits and of letters.
fn split_digits(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    std::iter::from_fn(move || {
        let first = rest.bytes().next()?;
        let end = rest.bytes().position(|octet| octet.is_ascii_digit() != first.is_ascii_digit());
        let (word, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        Some(word)
    })
}

/// Whether a name has all octets of an IPv4 address in it, in either order, as decimal numbers or as eight digits.
fn has_address(name: &str, words: &[&str], client: IpAddr) -> bool {
    let IpAddr::V4(four) = client.to_canonical() else { return false };
    let octets = four.octets();
    let [a, b, c, d] = octets;
    let hexadecimal = |[a, b, c, d]: [u8; 4]| format!("{a:02x}{b:02x}{c:02x}{d:02x}");
    let padded = |[a, b, c, d]: [u8; 4]| format!("{a:03}{b:03}{c:03}{d:03}");
    let orders = [octets, [d, c, b, a]];
    let numbers: Vec<u8> = words.iter().filter_map(|word| word.parse().ok()).collect();
    orders.iter().any(|order| {
        numbers.windows(order.len()).any(|window| window == order)
            || name.contains(&hexadecimal(*order))
            || name.contains(&padded(*order))
    })
}

#[cfg(test)]
mod tests {
    use directory::{Directory, Settings};
    use platform::clock::Clock;
    use platform::metrics::Metrics;

    use super::*;

    #[test]
    fn names_behind_helo_are_judged() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("directory.db");
        let directory =
            Directory::open(&path, Settings::default(), Clock::system(), &Metrics::new()).unwrap();
        directory.add_domain(&DomainName::parse("example.org").unwrap()).unwrap();
        let hostname = DomainName::parse("mail.example.org").unwrap();
        let client: IpAddr = "11.0.0.7".parse().unwrap();
        let ours: [IpAddr; 1] = ["11.0.0.1".parse().unwrap()];
        for (hello, expected) in [
            ("mx.elsewhere.example", None),
            ("[11.0.0.7]", None),
            ("under_score.elsewhere.example", None),
            ("mail.example.org", Some(HelloFault::Ours)),
            ("MAIL.example.org.", Some(HelloFault::Ours)),
            ("example.org", Some(HelloFault::Ours)),
            ("[11.0.0.1]", Some(HelloFault::Ours)),
            ("[11.0.0.8]", Some(HelloFault::OtherAddress)),
            ("[IPv6:2a00::1]", Some(HelloFault::OtherAddress)),
            ("11.0.0.7", Some(HelloFault::BareAddress)),
            ("2a00::1", Some(HelloFault::BareAddress)),
            ("[11.0.0.7", Some(HelloFault::NoName)),
            ("not a name", Some(HelloFault::NoName)),
            ("", Some(HelloFault::NoName)),
            ("laptop", Some(HelloFault::NotQualified)),
            ("localhost.localdomain", Some(HelloFault::NotQualified)),
            ("nas.local", Some(HelloFault::NotQualified)),
        ] {
            assert_eq!(hello_fault(hello, client, &ours, &hostname, &directory), expected, "{hello}");
        }
        let long = "x".repeat(1_000);
        let words = HelloFault::NotQualified.evidence(&long).words;
        assert!(words.len() < 200 && words.contains("xxx"));
    }

    #[test]
    fn names_of_customers_lines_are_told_from_those_of_hosts() {
        for (name, client, expected) in [
            ("dsl-081-002.isp.example", "11.81.2.3", true),
            ("p4fc1a2b3.dip0.isp.example", "79.193.162.179", true),
            ("ip-11-81-2-3.isp.example", "11.81.2.3", true),
            ("3.2.81.11.isp.example", "11.81.2.3", true),
            ("pool-12.isp.example", "11.81.2.3", true),
            ("host011081002003.isp.example", "11.81.2.3", true),
            ("mail.small.example", "11.81.2.3", false),
            ("mail-ed1-f41.google.example", "209.85.208.41", false),
            ("mta-11-81-2-3.big.example", "11.81.2.3", false),
            ("static-11-81-2-3.isp.example", "11.81.2.3", false),
            ("o1.sg.example", "11.81.2.3", false),
            ("pool.example", "11.81.2.3", false),
            ("vmi12345.host.example", "11.81.2.3", false),
            ("v6-host.example", "2a00::1", false),
        ] {
            assert_eq!(looks_dynamic(name, client.parse().unwrap()), expected, "{name}");
        }
    }
}
