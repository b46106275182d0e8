//! Message identifiers: finding them in Message-ID, In-Reply-To and References, and making new ones
//! (RFC 5322 §3.6.4, RFC 5256 §2.2).

use memchr::memchr;

/// Longest identifier kept, without brackets: a line of RFC 5322 §2.1.1 cannot hold a longer one.
pub const MESSAGE_ID_OCTETS_MAX: usize = 998;

/// The identifiers of a field in their order, without angle brackets; blanks inside them, which come from folding, are
/// removed. A field without brackets but with one word holds that word.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut rest = value;
    let mut bare = bare_word(value);
    std::iter::from_fn(move || {
        while let Some(open) = memchr(b'<', rest) {
            let inside = rest.get(open + 1..)?;
            let Some(close) = memchr(b'>', inside) else { break };
            let (inside, behind) = inside.split_at(close);
            rest = behind;
            // Of "<<id>" the inner bracket counts.
            let inside = inside.rsplit(|&octet| octet == b'<').next().unwrap_or_default();
            let id: Vec<u8> = inside.iter().copied().filter(|octet| *octet > b' ').collect();
            if !id.is_empty() && id.len() <= MESSAGE_ID_OCTETS_MAX {
                return Some(id);
            }
        }
        rest = &[];
        bare.take().map(<[u8]>::to_vec)
    })
}

fn bare_word(value: &[u8]) -> Option<&[u8]> {
    let word = value.trim_ascii();
    let is_word = !word.is_empty() && word.len() <= MESSAGE_ID_OCTETS_MAX;
    let is_bare = word.iter().all(|octet| *octet > b' ' && !matches!(octet, b'<' | b'>'));
    (is_word && is_bare && word.contains(&b'@')).then_some(word)
}

/// Makes the content of a new Message-ID field, brackets included, from the time and 16 random octets.
///
/// The random octets alone make it unique; the time lets people see the order of messages.
pub fn new_message_id(unix_milliseconds: u64, random: [u8; 16], domain: &str) -> String {
    let random = u128::from_be_bytes(random);
    format!("<{}.{}@{domain}>", base_36(u128::from(unix_milliseconds)), base_36(random))
}

fn base_36(mut number: u128) -> String {
    const DIGITS: [char; 36] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j',
        'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    ];
    let mut digits: Vec<char> = Vec::new();
    loop {
        digits.extend(DIGITS.get((number % 36) as usize));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Keeps the first identifier and the last ones: threading needs the root and the nearest ancestors.
pub(crate) fn bounded_references(ids: impl Iterator<Item = Vec<u8>>, references_max: usize) -> Vec<Vec<u8>> {
    let mut kept: std::collections::VecDeque<Vec<u8>> = std::collections::VecDeque::new();
    for id in ids {
        if kept.len() == references_max.max(1) {
            // The second-oldest goes; the root stays unless there is room for one only.
            kept.remove(usize::from(references_max > 1));
        }
        kept.push_back(id);
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[&str]) {
        let found: Vec<String> =
            message_ids(value.as_bytes()).map(|id| String::from_utf8_lossy(&id).into_owned()).collect();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn identifiers_are_found() {
        check("<a@b>", &["a@b"]);
        check("<a@b> <c@d>\r\n\t<e@f>", &["a@b", "c@d", "e@f"]);
        check("<a@b><c@d>", &["a@b", "c@d"]);
        check("<long\r\n id@b>", &["longid@b"]);
        check("Your message of Monday <a@b> (comment)", &["a@b"]);
        check("a@b", &["a@b"]);
        check("<<a@b>>", &["a@b"]);
        for value in ["", "<>", "word", "<unclosed@b", "two words@x", "< >"] {
            check(value, &[]);
        }
    }

    #[test]
    fn identifiers_are_bounded() {
        for (octets, count) in [(997, 1), (998, 1), (999, 0)] {
            assert_eq!(message_ids(format!("<{}>", "i".repeat(octets)).as_bytes()).count(), count);
        }
    }

    #[test]
    fn first_and_last_references_are_kept() {
        let ids = |count: u8| (0..count).map(|id| vec![id]);
        assert_eq!(bounded_references(ids(2), 3), [[0], [1]]);
        assert_eq!(bounded_references(ids(3), 3), [[0], [1], [2]]);
        assert_eq!(bounded_references(ids(5), 3), [[0], [3], [4]]);
        assert_eq!(bounded_references(ids(5), 1), [[4]]);
    }

    #[test]
    fn new_identifiers_can_be_read() {
        let id = new_message_id(1_800_000_000_000, [0xff; 16], "mail.example.org");
        assert_eq!(
            id,
            "<myx6gy2o.f5lxx1zz5pnorynqglhzmsp33@mail.example.org>"
                .replace("myx6gy2o", &base_36(1_800_000_000_000))
        );
        assert_eq!(message_ids(id.as_bytes()).count(), 1);
        assert_eq!(base_36(0), "0");
    }
}
