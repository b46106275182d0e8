//! One question to one list, and what its answer means.

use std::net::{IpAddr, Ipv4Addr};

use dns::{Families, LookupError, Name, Resolver};

/// Longest words of a list that are repeated to a client: a reply's line has room for 512 octets (RFC 5321 §4.5.3.1.5).
pub(super) const WORDS_OCTETS_MAX: usize = 200;
/// Answers of one question that are looked at.
const CODES_MAX: usize = 16;

/// What a list says of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It stands on the list, which answers so.
    Listed(Vec<Ipv4Addr>),
    /// It does not.
    Clean,
    /// The list does not answer now, for this reason.
    Silent(String),
    /// It was not asked: we have too many questions open.
    Unasked,
    /// It answers what cannot be believed, for this reason.
    Nonsense(String),
}

/// Where a list has an address (RFC 5782 §2.1, §2.4).
pub(super) fn entry_of(address: IpAddr, zone: &Name) -> Option<Name> {
    let reversed = match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(six) => {
            let nibbles = six.octets().into_iter().rev().flat_map(|octet| [octet & 0xf, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    };
    Name::parse(&format!("{reversed}.{zone}")).ok()
}

pub(super) async fn say(resolver: &Resolver, name: &Name) -> Said {
    match resolver.addresses(name, Families::Ipv4).await {
        Ok(answer) => meaning(&answer.records),
        Err(error) if error.is_absence() => Said::Clean,
        Err(LookupError::Busy) => Said::Unasked,
        Err(LookupError::Timeout) => Said::Silent("it does not answer".to_owned()),
        Err(error) => Said::Silent(error.to_string()),
    }
}

/// Lists answer from 127.0.0.0/8. Some of that says that the asker is not welcome: 127.255.255.0/24 (Spamhaus and others),
/// 127.0.0.255 (DNSWL), 127.0.0.1 (URIBL; and no list has it for a listing, RFC 5782 §5). Anything else comes from somebody who
/// answers in the list's place.
fn meaning(answers: &[IpAddr]) -> Said {
    let all = || answers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let refuses = |address: &IpAddr| {
        let IpAddr::V4(four) = address else { return false };
        matches!(four.octets(), [127, 255, 255, _] | [127, 0, 0, 1 | 255])
    };
    if answers.iter().any(refuses) {
        return Said::Nonsense(format!(
            "it does not answer this host ({}): it wants to be asked by a resolver of one's own (set dns.forwarders = []), for fewer questions or with a key of one's own",
            all()
        ));
    }
    if answers.is_empty() || !answers.iter().all(IpAddr::is_loopback) {
        return Said::Nonsense(format!(
            "it answers {}, as no list does: somebody answers in its place, or its domain has been sold",
            all()
        ));
    }
    let codes = answers.iter().filter_map(|address| match address {
        IpAddr::V4(four) => Some(*four),
        IpAddr::V6(_) => None,
    });
    Said::Listed(codes.take(CODES_MAX).collect())
}

/// Why a name stands on a list, as the list says it (RFC 5782 §2.1).
pub(super) async fn words(resolver: &Resolver, name: &Name) -> Option<String> {
    let answer = resolver.txt(name).await.ok()?;
    let text = answer.records.first()?;
    let printable =
        text.iter().map(|&octet| if matches!(octet, b' '..=b'~') { char::from(octet) } else { '?' });
    Some(printable.take(WORDS_OCTETS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_reversed_before_the_list() {
        let zone = Name::parse("bl.example").unwrap();
        let entry = |text: &str| entry_of(text.parse().unwrap(), &zone).unwrap().to_string();
        assert_eq!(entry("192.0.2.99"), "99.2.0.192.bl.example");
        assert_eq!(
            entry("2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        );
        // The test entry of lists of IPv6 addresses (RFC 5782 §5).
        assert!(entry("::ffff:7f00:2").starts_with("2.0.0.0.0.0.f.7.f.f.f.f.0.0."));
        let long = Name::parse(&format!("{}bl.example", "a.".repeat(110))).unwrap();
        assert_eq!(entry_of("2001:db8::1".parse().unwrap(), &long), None);
    }

    #[test]
    fn only_what_lists_answer_is_believed() {
        let said = |texts: &[&str]| {
            let answers: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            meaning(&answers)
        };
        assert_eq!(said(&["127.0.0.4"]), Said::Listed(vec![Ipv4Addr::new(127, 0, 0, 4)]));
        for refusal in ["127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1", "127.0.0.255"] {
            assert!(matches!(said(&["127.0.0.2", refusal]), Said::Nonsense(why) if why.contains("resolver")));
        }
        assert!(matches!(said(&["203.0.113.7"]), Said::Nonsense(why) if why.contains("no list does")));
        assert!(matches!(said(&[]), Said::Nonsense(_)));
        let many = vec!["127.0.0.2"; CODES_MAX + 1];
        assert!(matches!(said(&many), Said::Listed(codes) if codes.len() == CODES_MAX));
    }
}
