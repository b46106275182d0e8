//! The patterns of LIST and LSUB: `*` for anything, `%` for anything within a level (RFC 9051 §6.3.9).
//!
//! A pattern becomes an automaton whose states are the places between its octets, one bit each. All states move at once
//! with each octet of a name, so that nothing is ever tried again: wildcards cannot stall us (CVE-2026-33607).

use mail_types::MailboxName;

/// A pattern in the house's own spelling: UTF-8, levels parted by `/`, `INBOX` as first level in capitals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPattern {
    text: Box<str>,
    /// Places before a wildcard.
    wildcards: Places,
    /// Places before `*`, which takes the separator too.
    stars: Places,
    /// For each octet of the pattern, ascending, the places before it.
    octets: Vec<(u8, Places)>,
}

/// A set of places in a pattern, one bit each, the lowest first.
type Places = Box<[u64]>;

impl ListPattern {
    /// A pattern as it stands, wildcards and all.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = simplified(&inbox_in_capitals(text));
        let words = text.len() / 64 + 1;
        let empty: Places = vec![0; words].into();
        let mut pattern = Self {
            text: text.as_str().into(),
            wildcards: empty.clone(),
            stars: empty.clone(),
            octets: Vec::new(),
        };
        for (place, octet) in text.bytes().enumerate() {
            match octet {
                b'*' => {
                    add(&mut pattern.wildcards, place);
                    add(&mut pattern.stars, place);
                }
                b'%' => add(&mut pattern.wildcards, place),
                _ => match pattern.octets.binary_search_by_key(&octet, |(known, _)| *known) {
                    Ok(at) => add_at(&mut pattern.octets, at, place),
                    Err(at) => {
                        pattern.octets.insert(at, (octet, empty.clone()));
                        add_at(&mut pattern.octets, at, place);
                    }
                },
            }
        }
        pattern
    }

    /// The pattern, INBOX in capitals and runs of wildcards made one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the name matches.
    #[must_use]
    pub fn matches(&self, name: &MailboxName) -> bool {
        let mut reached = vec![0_u64; self.wildcards.len()];
        add(&mut reached, 0);
        self.pass_wildcards(&mut reached);
        for octet in name.as_str().bytes() {
            self.advance(&mut reached, octet);
            if reached.iter().all(|&word| word == 0) {
                return false;
            }
        }
        has(&reached, self.text.len())
    }

    /// Moves every place reached over an octet of the name: on where the octet is wanted, nowhere where a wildcard takes it.
    fn advance(&self, reached: &mut [u64], octet: u8) {
        let wanted = match self.octets.binary_search_by_key(&octet, |(known, _)| *known) {
            Ok(at) => self.octets.get(at).map(|(_, places)| places),
            Err(_) => None,
        };
        let staying = if octet == b'/' { &self.stars } else { &self.wildcards };
        let mut carried = 0;
        for (at, word) in reached.iter_mut().enumerate() {
            let moving = *word & wanted.and_then(|places| places.get(at)).copied().unwrap_or(0);
            let stays = *word & staying.get(at).copied().unwrap_or(0);
            *word = stays | (moving << 1) | carried;
            carried = moving >> 63;
        }
        self.pass_wildcards(reached);
    }

    /// A wildcard may stand for nothing: where it is reached, so is the place behind it. No two stand in a row.
    fn pass_wildcards(&self, reached: &mut [u64]) {
        let mut carried = 0;
        for (word, wildcards) in reached.iter_mut().zip(&self.wildcards) {
            let passing = *word & wildcards;
            *word |= (passing << 1) | carried;
            carried = passing >> 63;
        }
    }
}

fn add(places: &mut [u64], place: usize) {
    if let Some(word) = places.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}

fn add_at(octets: &mut [(u8, Places)], at: usize, place: usize) {
    if let Some((_, places)) = octets.get_mut(at) {
        add(places, place);
    }
}

fn has(places: &[u64], place: usize) -> bool {
    places.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
}

/// INBOX has any case (RFC 9051 §5.1), also as the first level of a pattern: `inbox`, `inbox/%`, `inbox*`.
fn inbox_in_capitals(text: &str) -> String {
    let end = text.find(['/', '%', '*']).unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { text.to_owned() }
}

/// Makes one wildcard of each run of them: `*` if there is one among them.
fn simplified(text: &str) -> String {
    let mut simple = String::with_capacity(text.len());
    for char in text.chars() {
        match (simple.chars().next_back(), char) {
            (Some('*'), '*' | '%') | (Some('%'), '%') => {}
            (Some('%'), '*') => {
                simple.pop();
                simple.push('*');
            }
            _ => simple.push(char),
        }
    }
    simple
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        ListPattern::new(pattern).matches(&MailboxName::parse(name).unwrap())
    }

    #[test]
    fn wildcards_match_as_the_rfc_says() {
        for (pattern, name) in [
            ("*", "a/b/c"),
            ("%", "a"),
            ("a/%", "a/b"),
            ("a/*", "a/b/c"),
            ("a*c", "a/b/c"),
            ("a%c", "abc"),
            ("%/%", "a/b"),
            ("*%*", "a"),
            ("%%", "ab"),
            ("*b", "a/b"),
            ("inbox", "INBOX"),
            ("inbox*", "INBOX"),
            ("inbox/%", "INBOX/a"),
            ("Entw*", "Entwürfe"),
            ("a%%b*%", "axb/c"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("%", "a/b"),
            ("a/%", "a/b/c"),
            ("a%c", "a/c"),
            ("a", "ab"),
            ("ab", "a"),
            ("a*b", "ac"),
            ("A", "a"),
            ("%b", "a/b"),
            ("a%/c", "a/b/c"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn wildcard_bombs_cost_no_time() {
        let name = MailboxName::parse(&"a".repeat(1_000)).unwrap();
        for wildcard in ["*", "%"] {
            let pattern = ListPattern::new(&format!("{}b", format!("{wildcard}a").repeat(500)));
            let start = std::time::Instant::now();
            assert!(!pattern.matches(&name));
            assert!(start.elapsed().as_millis() < 500, "the time is not exponential");
        }
    }

    /// The meaning of patterns, said as simply and slowly as can be.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| slowly(rest, &name[at..])),
            Some((b'%', rest)) => (0..=name.len())
                .take_while(|&at| at == 0 || name[at - 1] != b'/')
                .any(|at| slowly(rest, &name[at..])),
            Some((octet, rest)) => name.first() == Some(octet) && slowly(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_the_meaning(pattern in "[ab/*%]{0,10}", name in "[ab]{1,3}(/[ab]{1,3}){0,3}") {
            prop_assert_eq!(matches(&pattern, &name), slowly(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn long_patterns_cross_words(start in "[ab]{50,80}", end in "[ab]{50,80}", middle in "[ab/]{0,9}") {
            prop_assume!(!middle.contains("//") && !middle.starts_with('/') && !middle.ends_with('/'));
            let name = format!("{start}{middle}{end}");
            prop_assert!(matches(&name, &name));
            let (wild, longer) = (format!("{start}*{end}"), format!("{start}*{end}c"));
            prop_assert!(matches(&wild, &name));
            prop_assert!(!matches(&longer, &name));
        }
    }
}
