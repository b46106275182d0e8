//! Addresses as the `address` and `envelope` tests compare them: whole, or their local part and domain (RFC 5228 §2.7.4 and §5.1).

use message::{Addressee, decode_undeclared, parse_addresses};

/// Addresses of one field that are looked at; mail to more has its recipients in the envelope.
pub const ADDRESSES_MAX: usize = 4_096;

/// Which characters an address may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressForm {
    /// RFC 6532: UTF-8 too.
    #[default]
    International,
    /// RFC 5322 alone: an address with others is no address.
    Ascii,
}

/// One address of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress {
    all: String,
    /// Octets of `all` that are local part, if it is a valid address; the domain begins behind the at sign.
    parts: Option<(String, String)>,
}

impl MailAddress {
    /// The whole address without display name and comments; of one that is not valid, what is there.
    pub fn all(&self) -> &str {
        &self.all
    }

    /// Left of the at sign, quotes removed; `None` if the address is not valid (RFC 5228 §2.7.4).
    pub fn local_part(&self) -> Option<&str> {
        self.parts.as_ref().map(|(local_part, _)| local_part.as_str())
    }

    /// Right of the at sign; `None` if the address is not valid (RFC 5228 §2.7.4).
    pub fn domain(&self) -> Option<&str> {
        self.parts.as_ref().map(|(_, domain)| domain.as_str())
    }

    /// An address that stands alone, as in an envelope: `user@domain`, empty for the null reverse-path.
    pub fn of_path(path: &str, form: AddressForm) -> MailAddress {
        let path = path.trim();
        let path = path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path);
        match read_addresses(path.as_bytes(), form).as_slice() {
            [address] if address.parts.is_some() => address.clone(),
            _ => MailAddress { all: path.to_owned(), parts: None },
        }
    }
}

/// The addresses of a field's value, those within groups included; group names and display names are never among them.
pub(crate) fn read_addresses(value: &[u8], form: AddressForm) -> Vec<MailAddress> {
    let found = parse_addresses(value, ADDRESSES_MAX);
    let text = || decode_undeclared(message::unfold(value).as_ref()).trim().to_owned();
    if found.is_empty() {
        return vec![MailAddress { all: text(), parts: None }];
    }
    let is_alone = found.len() == 1;
    let mut addresses = Vec::with_capacity(found.len());
    for addressee in found {
        let Addressee::Mailbox { local_part, domain, .. } = addressee else { continue };
        let (local_part, domain) = (decode_undeclared(&local_part), decode_undeclared(&domain));
        let is_valid = is_valid_address(&local_part, &domain, form);
        let all = if is_alone && !is_valid { text() } else { joined(&local_part, &domain) };
        addresses.push(MailAddress { all, parts: is_valid.then_some((local_part, domain)) });
    }
    addresses
}

/// Whether the two parts make an address (RFC 5321 §4.1.2, leniently: dots may stand anywhere in a local part).
fn is_valid_address(local_part: &str, domain: &str, form: AddressForm) -> bool {
    let is_allowed = |character: char| match form {
        AddressForm::International => !character.is_control(),
        AddressForm::Ascii => character.is_ascii() && !character.is_ascii_control(),
    };
    let is_literal = domain.starts_with('[') && domain.ends_with(']');
    let is_name = !domain.starts_with('.') && !domain.ends_with('.') && !domain.contains("..");
    let is_domain_character = |character: char| {
        character.is_alphanumeric() || matches!(character, '.' | '-' | '_') || !character.is_ascii()
    };
    !local_part.is_empty()
        && !domain.is_empty()
        && local_part.chars().chain(domain.chars()).all(is_allowed)
        && (is_literal || (is_name && domain.chars().all(is_domain_character)))
}

/// Both parts as one address, quoted where it has to be (RFC 5322 §3.4.1).
pub(crate) fn joined(local_part: &str, domain: &str) -> String {
    if domain.is_empty() {
        return local_part.to_owned();
    }
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~.".contains(character)
            || !character.is_ascii()
    };
    if local_part.chars().all(is_plain) {
        format!("{local_part}@{domain}")
    } else {
        let quoted = local_part.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{quoted}\"@{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, form: AddressForm, expected: &[(&str, Option<&str>, Option<&str>)]) {
        let found = read_addresses(value.as_bytes(), form);
        let found: Vec<_> = found.iter().map(|a| (a.all(), a.local_part(), a.domain())).collect();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn names_and_groups_are_left_out() {
        let ann = ("ann@example.org", Some("ann"), Some("example.org"));
        let bob = ("bob@example.net", Some("bob"), Some("example.net"));
        check("Ann Doe <ann(the author)@example.org>", AddressForm::International, &[ann]);
        check("friends: ann@example.org, Bob <bob@example.net>;", AddressForm::International, &[ann, bob]);
        check("undisclosed-recipients:;", AddressForm::International, &[]);
        check("<@relay.example:ann@example.org>", AddressForm::International, &[ann]);
        check(
            "\"ann doe\"@example.org",
            AddressForm::International,
            &[("\"ann doe\"@example.org", Some("ann doe"), Some("example.org"))],
        );
    }

    #[test]
    fn what_is_no_address_has_no_parts() {
        for (value, all) in
            [("", ""), ("ann@", "ann@"), ("@example.org", "@example.org"), ("nonsense", "nonsense")]
        {
            check(value, AddressForm::International, &[(all, None, None)]);
        }
        let ann = ("ann@example.org", Some("ann"), Some("example.org"));
        check("ann@example.org, @b", AddressForm::International, &[ann, ("@b", None, None)]);
        check("a@b..c", AddressForm::International, &[("a@b..c", None, None)]);
        check(
            "a@[192.0.2.1]",
            AddressForm::International,
            &[("a@[192.0.2.1]", Some("a"), Some("[192.0.2.1]"))],
        );
    }

    #[test]
    fn international_addresses_are_addresses_where_they_may_be() {
        let expected = ("jürgen@example.com", Some("jürgen"), Some("example.com"));
        check("<jürgen@example.com>", AddressForm::International, &[expected]);
        check("<jürgen@example.com>", AddressForm::Ascii, &[("<jürgen@example.com>", None, None)]);
    }

    #[test]
    fn envelope_paths() {
        let path = |path: &str| MailAddress::of_path(path, AddressForm::International);
        assert_eq!(path("<>").all(), "");
        assert_eq!(path("").local_part(), None);
        assert_eq!(path("<ann@example.org>").all(), "ann@example.org");
        assert_eq!(path("ann@example.org").domain(), Some("example.org"));
        assert_eq!(path("MAILER-DAEMON").all(), "MAILER-DAEMON");
    }

    #[test]
    fn addresses_are_bounded() {
        for count in [ADDRESSES_MAX - 1, ADDRESSES_MAX, ADDRESSES_MAX + 1] {
            let value = "a@b,".repeat(count);
            assert_eq!(
                read_addresses(value.as_bytes(), AddressForm::International).len(),
                count.min(ADDRESSES_MAX)
            );
        }
    }
}
