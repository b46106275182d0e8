//! Ways for mail to other servers, and who we are there, as the configuration file has them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use mail_types::{Address, DomainName};
use mta::screen::ListEntry;
use mta::{Identity, TlsWish};
use queue::{Destination, Relay};
use sender_auth::mta_sts::MxPattern;

use super::kind::Fit;

pub(super) const RELAY: Fit = Fit {
    what: "a server such as \"smtp.example.com:587 starttls\", with plain, opportunistic, starttls or implicit and perhaps the name of credentials behind it",
    fits: |text| relay(text).is_some(),
};
pub(super) const SENDER_RELAY: Fit = Fit {
    what: "sending domains and their servers such as \"example.org=smtp.example.com:587 starttls work\"",
    fits: |text| sender_relay(text).is_some(),
};
pub(super) const TRANSPORT: Fit = Fit {
    what: "recipient domains and their ways such as \"example.net=relay inside.example.net:25 opportunistic\", \"example.net=lmtp 127.0.0.1:24\" or \"example.net=lmtp /run/lmtp.sock\"",
    fits: |text| transport(text).is_some(),
};
pub(super) const IDENTITY: Fit = Fit {
    what: "sending domains, the name they say and addresses such as \"example.org=mail.example.org 192.0.2.2 2001:db8::2\"",
    fits: |text| identity(text).is_some(),
};
pub(super) const TLS_WISH: Fit = Fit {
    what: "one of automatic, opportunistic, encrypted, verified (and perhaps the name in the certificate), dane, dane-only and never",
    fits: |text| tls_wish(text).is_some(),
};
pub(super) const TLS_DOMAIN: Fit = Fit {
    what: "recipient domains and their protection such as \"bank.example=verified\", \"bank.example=verified mx.bank.example\" or \".gov.example=encrypted\"",
    fits: |text| tls_domain(text).is_some(),
};
pub(super) const MX_PATTERN: Fit = Fit {
    what: "names of mail exchangers such as \"mx.example.org\" or \"*.example.org\"",
    fits: |text| MxPattern::parse(text).is_some(),
};
pub(super) const SIEVE_EXTENSION: Fit = Fit {
    what: "names of Sieve extensions such as \"reject\"",
    fits: |text| sieve::Extension::parse(text).is_some(),
};
pub(super) const NAMED_FILE: Fit = Fit {
    what: "names and their files such as \"friends=/etc/mailstead/friends\"",
    fits: |text| named_file(text).is_some(),
};
pub(super) const SENDERS: Fit = Fit {
    what: "senders such as \"ann@example.com\" or \"example.com\"",
    fits: |text| mta::Listed::parse(text).is_some(),
};
pub(super) const RULE_POINTS: Fit =
    Fit { what: "rules and points such as \"SPF_FAIL=2.5\"", fits: |text| rule_points(text).is_some() };
pub(super) const SPAM_CHANGES: Fit = Fit {
    what: "domains and what they want such as \"example.org tag2=5 at_kill=reject\"",
    fits: |text| spam_changes(text).is_some(),
};
pub(super) const ATTACHMENT_ACTION: Fit = Fit {
    what: "kinds and actions such as \"program=quarantine\"",
    fits: |text| attachment_action(text).is_some(),
};
pub(super) const ATTACHMENT_WORD: Fit = Fit {
    what: "endings of names and media types such as \"exe\" or \"application/x-tar\"",
    fits: |text| !text.is_empty() && !text.contains(char::is_whitespace),
};
pub(super) const LANGUAGES: Fit = Fit {
    what: "codes of languages that can be told from others such as \"de\" or \"en\"",
    fits: |text| spam::Language::parse(text).is_some(),
};
pub(super) const FILE: Fit =
    Fit { what: "absolute paths of files", fits: |text| std::path::Path::new(text).is_absolute() };
pub(super) const SUBJECT_PREFIX: Fit =
    Fit { what: "at most 64 letters and signs of ASCII", fits: mta::is_subject_prefix };
pub(super) const DOMAIN: Fit =
    Fit { what: "domain names such as \"example.org\"", fits: |text| DomainName::parse(text).is_ok() };
pub(super) const SCREEN_LIST: Fit = Fit {
    what: "lists such as \"bl.example.org\", \"bl.example.org=127.0.0.[2..11]*3.5\", \"bl.example.org*5 refuse\" or \"wl.example.org*-2\"",
    fits: |text| ListEntry::parse(text).is_ok(),
};
pub(super) const TRAP: Fit =
    Fit { what: "addresses such as \"old@example.org\"", fits: |text| Address::parse(text).is_ok() };
pub(super) const ADDRESS: Fit =
    Fit { what: "an address such as \"postmaster@example.org\"", fits: |text| Address::parse(text).is_ok() };

/// `NAME=FILE`; a name may have `=` in it, a file may not.
pub(crate) fn named_file(text: &str) -> Option<(String, PathBuf)> {
    let (name, file) = text.rsplit_once('=')?;
    let file = PathBuf::from(file.trim());
    (!name.trim().is_empty() && file.is_absolute()).then(|| (name.trim().to_owned(), file))
}

/// `NAME=POINTS`.
pub(crate) fn rule_points(text: &str) -> Option<(String, f32)> {
    let (name, points) = text.split_once('=')?;
    Some((name.trim().to_owned(), mta::points(points)?)).filter(|(name, _)| !name.is_empty())
}

/// `KIND=ACTION`.
pub(crate) fn attachment_action(text: &str) -> Option<(attachments::Class, attachments::Action)> {
    let (class, action) = text.split_once('=')?;
    Some((attachments::Class::parse(class.trim())?, attachments::Action::parse(action.trim())?))
}

/// `DOMAIN NAME=VALUE …`.
pub(crate) fn spam_changes(text: &str) -> Option<(DomainName, mta::Changes)> {
    let (domain, changes) = text.trim().split_once(' ')?;
    Some((DomainName::parse(domain).ok()?, mta::Changes::parse(changes).ok()?))
}

/// `HOST:PORT PROTECTION [CREDENTIALS]`.
pub(crate) fn relay(text: &str) -> Option<Relay> {
    match Destination::from_key(&format!("relay {}", text.trim())) {
        Some(Destination::Relay(relay)) => Some(relay),
        _ => None,
    }
}

/// `SENDING-DOMAIN=RELAY`.
pub(crate) fn sender_relay(text: &str) -> Option<(DomainName, Relay)> {
    let (domain, way) = text.split_once('=')?;
    Some((DomainName::parse(domain.trim()).ok()?, relay(way)?))
}

/// `RECIPIENT-DOMAIN=relay …` or `=lmtp …`, `=` another domain or `[address]` whose exchangers take it.
pub(crate) fn transport(text: &str) -> Option<(DomainName, Destination)> {
    let (domain, way) = text.split_once('=')?;
    Some((DomainName::parse(domain.trim()).ok()?, Destination::from_key(way.trim())?))
}

/// `SENDING-DOMAIN=NAME [IPV4] [IPV6]`.
pub(crate) fn identity(text: &str) -> Option<(DomainName, Identity)> {
    let (domain, rest) = text.split_once('=')?;
    let mut words = rest.split_whitespace();
    let hello = DomainName::parse(words.next()?).ok()?;
    let mut identity = Identity { hello, ipv4: None, ipv6: None };
    for word in words {
        match (word.parse::<Ipv4Addr>(), word.parse::<Ipv6Addr>()) {
            (Ok(address), _) if identity.ipv4.is_none() => identity.ipv4 = Some(address),
            (_, Ok(address)) if identity.ipv6.is_none() => identity.ipv6 = Some(address),
            _ => return None,
        }
    }
    Some((DomainName::parse(domain.trim()).ok()?, identity))
}

/// A word, and behind `verified` perhaps the name that the certificate has to show.
pub(crate) fn tls_wish(text: &str) -> Option<TlsWish> {
    let mut words = text.split_whitespace();
    let wish = match (words.next()?, words.next()) {
        ("automatic", None) => TlsWish::Automatic,
        ("opportunistic", None) => TlsWish::Opportunistic,
        ("encrypted", None) => TlsWish::Encrypted,
        ("verified", None) => TlsWish::Verified(None),
        ("verified", Some(name)) => TlsWish::Verified(Some(DomainName::parse(name).ok()?.as_str().into())),
        ("dane", None) => TlsWish::Dane,
        ("dane-only", None) => TlsWish::DaneOnly,
        ("never", None) => TlsWish::Never,
        _ => return None,
    };
    words.next().is_none().then_some(wish)
}

/// For which domains a wish is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// For the domain itself.
    Domain,
    /// For all domains below it.
    Below,
}

/// `DOMAIN=WISH` or `.DOMAIN=WISH`.
pub(crate) fn tls_domain(text: &str) -> Option<(DomainName, Reach, TlsWish)> {
    let (domain, wish) = text.split_once('=')?;
    let domain = domain.trim();
    let (reach, domain) = match domain.strip_prefix('.') {
        Some(domain) => (Reach::Below, domain),
        None => (Reach::Domain, domain),
    };
    Some((DomainName::parse(domain).ok()?, reach, tls_wish(wish)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_hosts_with_protection() {
        for text in
            ["smtp.example.com:587 starttls", "smtp.example.com:465 implicit work", "[192.0.2.1]:25 plain"]
        {
            assert!(relay(text).is_some(), "{text}");
        }
        for text in ["smtp.example.com", "smtp.example.com:587", "a:0x19 plain", "a.example:25 tls", ""] {
            assert!(relay(text).is_none(), "{text}");
        }
    }

    #[test]
    fn domains_have_their_ways() {
        assert!(sender_relay("example.org=smtp.example.com:587 starttls work").is_some());
        assert!(sender_relay("smtp.example.com:587 starttls").is_none());
        for text in ["a.example=lmtp /run/x.sock", "a.example=lmtp mail.a.example:24", "a.example=b.example"]
        {
            assert!(transport(text).is_some(), "{text}");
        }
        assert!(transport("a.example=lmtp run/x.sock").is_none());
    }

    #[test]
    fn domains_have_their_protection() {
        let (domain, reach, wish) = tls_domain("Bank.example = verified mx.bank.example").unwrap();
        let named = TlsWish::Verified(Some("mx.bank.example".into()));
        assert_eq!((domain.as_str(), reach, wish), ("bank.example", Reach::Domain, named));
        assert_eq!(tls_domain(".gov.example=encrypted").unwrap().1, Reach::Below);
        for word in ["automatic", "opportunistic", "encrypted", "verified", "dane", "dane-only", "never"] {
            assert!(tls_wish(word).is_some(), "{word}");
        }
        for text in ["", "may", "dane only", "verified a b", "verified a..b", "never x"] {
            assert!(tls_wish(text).is_none(), "{text}");
        }
        assert!(tls_domain("verified").is_none() && tls_domain("..x=dane").is_none());
    }

    #[test]
    fn identities_have_a_name_and_an_address_of_each_family_at_most() {
        let (domain, found) = identity("example.org = mail.example.org 192.0.2.2 2001:db8::2").unwrap();
        assert_eq!((domain.as_str(), found.hello.as_str()), ("example.org", "mail.example.org"));
        assert!(found.ipv4.is_some() && found.ipv6.is_some());
        assert!(identity("example.org=mail.example.org 192.0.2.2 192.0.2.3").is_none());
        assert!(identity("example.org=").is_none());
    }
}
