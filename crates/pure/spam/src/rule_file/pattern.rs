//! Patterns of Perl, as rule files have them, in the language of a matcher whose time is linear. What that language lacks is said.
//!
//! Octets match octets, as in SpamAssassin. Atomic groups and possessive quantifiers become plain ones: what they match, these match
//! too. Looking around is possible where it is the first or the last thing that a pattern does: there it may as well match.

use super::octets::{OctetSet, Place, Sense, escaped, named};

/// Octets of a pattern, tags replaced.
pub(super) const PATTERN_OCTETS_MAX: usize = 32 * 1024;

/// Groups in groups.
pub(super) const DEPTH_MAX: usize = 40;

/// Places of a pattern that must not stand somewhere.
const FORBIDDEN_MAX: usize = 24;

/// What is matched against: a text by itself, or one of several that stand on a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Whole,
    Lines,
}

/// A pattern as it was written: between its delimiters, and the letters behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) pattern: Vec<u8>,
    pub(super) flags: Vec<u8>,
}

/// A pattern that can be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) ignores_case: bool,
    pub(super) dot_is_all: bool,
    pub(super) is_multi_line: bool,
}

impl Source {
    /// Reads `/pattern/flags` or `m{pattern}flags`.
    pub(super) fn read(text: &[u8]) -> Result<Source, String> {
        let text = text.trim_ascii();
        let text = text.strip_prefix(b"m").unwrap_or(text);
        let (&open, rest) = text.split_first().ok_or("it has no pattern")?;
        if open.is_ascii_alphanumeric() || open.is_ascii_whitespace() {
            return Err("its pattern has no delimiters".to_owned());
        }
        let close = match open {
            b'{' => b'}',
            b'(' => b')',
            b'[' => b']',
            b'<' => b'>',
            other => other,
        };
        let end = rest.iter().rposition(|octet| *octet == close).ok_or("its pattern does not end")?;
        let (pattern, flags) = rest.split_at(end);
        let flags = flags.get(1..).unwrap_or_default().to_vec();
        if let Some(flag) = flags.iter().find(|flag| !b"imsxgoan".contains(flag)) {
            return Err(format!("its pattern has the unknown flag {}", char::from(*flag).escape_default()));
        }
        // A delimiter inside is escaped for its sake only.
        let mut plain = Vec::with_capacity(pattern.len());
        let mut octets = pattern.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            match (octet, octets.peek()) {
                (b'\\', Some(&next)) if next == open && !is_special(next) => {
                    octets.next();
                    plain.push(next);
                }
                (b'\\', Some(&next)) => {
                    octets.next();
                    plain.extend_from_slice(&[b'\\', next]);
                }
                _ => plain.push(octet),
            }
        }
        Ok(Source { pattern: plain, flags })
    }

    /// Puts it into the matcher's language.
    pub(super) fn translate(&self, field: Field) -> Result<Translated, String> {
        if self.pattern.len() > PATTERN_OCTETS_MAX {
            return Err("its pattern is too long".to_owned());
        }
        let has = |flag: u8| self.flags.contains(&flag);
        let mut translation = Translation {
            rest: &self.pattern,
            out: String::with_capacity(2 * self.pattern.len()),
            field,
            is_multi_line: has(b'm'),
            is_spaced: has(b'x'),
            depth: 0,
            is_head: vec![true],
        };
        translation.all()?;
        Ok(Translated {
            pattern: translation.out,
            ignores_case: has(b'i'),
            dot_is_all: has(b's'),
            is_multi_line: has(b'm') || field == Field::Lines,
        })
    }
}

/// Whether an octet means something in a pattern.
fn is_special(octet: u8) -> bool {
    b"\\^$.|?*+()[]{}".contains(&octet)
}

struct Translation<'a> {
    rest: &'a [u8],
    out: String,
    field: Field,
    is_multi_line: bool,
    is_spaced: bool,
    depth: usize,
    /// For each open group whether nothing of the pattern stands in front of here.
    is_head: Vec<bool>,
}

impl Translation<'_> {
    fn all(&mut self) -> Result<(), String> {
        while let Some((&octet, behind)) = self.rest.split_first() {
            match octet {
                b' ' | b'\t' | b'\n' | b'\r' if self.is_spaced => self.rest = behind,
                b'#' if self.is_spaced => {
                    let end = behind.iter().position(|octet| *octet == b'\n').unwrap_or(behind.len());
                    self.rest = behind.get(end..).unwrap_or_default();
                }
                b'(' => self.open()?,
                b')' => {
                    if self.depth == 0 {
                        return Err("its pattern closes a group that is not open".to_owned());
                    }
                    self.depth -= 1;
                    self.is_head.pop();
                    self.no_head();
                    self.push(b')', behind);
                }
                b'|' => {
                    let parent = self.is_head.len().checked_sub(2).and_then(|at| self.is_head.get(at));
                    let is_head = parent.copied().unwrap_or(true);
                    if let Some(head) = self.is_head.last_mut() {
                        *head = is_head;
                    }
                    self.push(b'|', behind);
                }
                b'^' => {
                    self.no_head();
                    self.push(b'^', behind);
                }
                b'$' => {
                    self.no_head();
                    self.rest = behind;
                    self.line_end();
                }
                b'*' | b'+' | b'?' => self.quantifier(1)?,
                b'{' if quantifier_octets(self.rest).is_some() => {
                    self.quantifier(quantifier_octets(self.rest).unwrap_or(1))?;
                }
                b'.' => {
                    self.no_head();
                    self.push(b'.', behind);
                }
                _ => self.atom_or_escape()?,
            }
        }
        if self.depth > 0 { Err("its pattern leaves a group open".to_owned()) } else { Ok(()) }
    }

    fn push(&mut self, octet: u8, behind: &'_ [u8]) {
        self.out.push(char::from(octet));
        let skipped = self.rest.len() - behind.len();
        self.rest = self.rest.get(skipped..).unwrap_or_default();
    }

    fn no_head(&mut self) {
        if let Some(head) = self.is_head.last_mut() {
            *head = false;
        }
    }

    fn line_end(&mut self) {
        let is_simple = self.is_multi_line || self.field == Field::Lines;
        // Perl's `$` lets one line end stand behind it.
        self.out.push_str(if is_simple { "$" } else { "(?:\\n?\\z)" });
    }

    fn quantifier(&mut self, octets: usize) -> Result<(), String> {
        let (quantifier, mut behind) = self.rest.split_at_checked(octets).ok_or("its pattern ends early")?;
        self.out.push_str(&String::from_utf8_lossy(quantifier));
        match behind.first() {
            // Possessive: what this matches, the plain one matches too.
            Some(b'+') => behind = behind.get(1..).unwrap_or_default(),
            Some(b'?') => {
                self.out.push('?');
                behind = behind.get(1..).unwrap_or_default();
            }
            _ => {}
        }
        self.rest = behind;
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        if self.depth >= DEPTH_MAX {
            return Err("its pattern has too many groups in groups".to_owned());
        }
        for (start, is_ahead, is_wanted) in
            [("(?=", true, true), ("(?!", true, false), ("(?<=", false, true), ("(?<!", false, false)]
        {
            if self.rest.starts_with(start.as_bytes()) {
                return self.look(start.len(), is_ahead, is_wanted);
            }
        }
        if self.rest.starts_with(b"(?#") {
            let end = self
                .rest
                .iter()
                .position(|octet| *octet == b')')
                .ok_or("its pattern's comment does not end")?;
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            return Ok(());
        }
        let (taken, written) = group_start(self.rest)?;
        self.out.push_str(&written);
        self.rest = self.rest.get(taken..).unwrap_or_default();
        if written.ends_with(')') {
            return Ok(());
        }
        let is_head = self.is_head.last().copied().unwrap_or_default();
        self.depth += 1;
        self.is_head.push(is_head);
        Ok(())
    }

    /// Looking ahead as the last thing, or behind as the first.
    fn look(&mut self, start: usize, is_ahead: bool, is_wanted: bool) -> Result<(), String> {
        const REASON: &str = "its pattern looks around in its middle";
        let behind = self.rest.get(start..).unwrap_or_default();
        let end = group_end(behind).ok_or("its pattern leaves a group open")?;
        let (inner, after) = behind.split_at(end);
        let after = after.get(1..).unwrap_or_default();
        let is_head = self.is_head.last().copied().unwrap_or_default();
        let may = if is_ahead { is_tail(after) } else { is_head };
        if !may {
            return Err(REASON.to_owned());
        }
        self.no_head();
        if is_wanted {
            // It may match what it would only look at; nothing else wants that.
            self.out.push_str("(?:");
            self.rest = self.rest.get(start..).unwrap_or_default();
            self.depth += 1;
            self.is_head.push(is_head);
            return Ok(());
        }
        let places = places(inner).ok_or(REASON)?;
        self.forbid(&places, is_ahead);
        self.rest = self.rest.get(start + end + 1..).unwrap_or_default();
        Ok(())
    }

    /// Something else than these places in a row: it ends before, or one of them is another.
    fn forbid(&mut self, places: &[Place], is_ahead: bool) {
        let edge = match (is_ahead, self.field) {
            (true, Field::Whole) => "\\z",
            (true, Field::Lines) => "$",
            (false, Field::Whole) => "\\A",
            (false, Field::Lines) => "^",
        };
        self.out.push_str("(?:");
        for count in 0..places.len() {
            if count > 0 {
                self.out.push('|');
            }
            // Looking behind reads the places from their end.
            let (same, other) = if is_ahead {
                (places.get(..count), places.get(count))
            } else {
                (places.get(places.len() - count..), places.get(places.len() - count - 1))
            };
            let (same, Some(other)) = (same.unwrap_or_default(), other) else { continue };
            let write_other = |out: &mut String| {
                out.push_str(&format!("(?:{edge}|"));
                other.write_other(out);
                out.push(')');
            };
            if !is_ahead {
                write_other(&mut self.out);
            }
            same.iter().for_each(|place| place.write(&mut self.out));
            if is_ahead {
                write_other(&mut self.out);
            }
        }
        self.out.push(')');
    }

    fn atom_or_escape(&mut self) -> Result<(), String> {
        if let [b'\\', letter, behind @ ..] = self.rest
            && self.escape(*letter, behind)?
        {
            self.no_head();
            return Ok(());
        }
        let (place, behind) = place(self.rest)?;
        self.no_head();
        place.write(&mut self.out);
        self.rest = self.rest.get(self.rest.len() - behind.len()..).unwrap_or_default();
        Ok(())
    }

    /// Escapes that match no octet, or more than one. `false` for others.
    fn escape(&mut self, letter: u8, behind: &[u8]) -> Result<bool, String> {
        let taken = self.rest.len() - behind.len();
        let text = match letter {
            b'b' => "\\b",
            b'B' => "\\B",
            b'A' if self.field == Field::Lines => "^",
            b'A' => "\\A",
            b'z' | b'Z' if self.field == Field::Lines => "$",
            b'z' => "\\z",
            b'Z' => "(?:\\n?\\z)",
            b'R' => "(?:\\r\\n|[\\n\\x0b\\f\\r])",
            b'K' => "",
            b'1'..=b'3'
                if behind.iter().take(2).filter(|octet| (b'0'..=b'7').contains(*octet)).count() == 2 =>
            {
                return Ok(false);
            }
            b'1'..=b'9' | b'g' | b'k' => return Err("its pattern refers back".to_owned()),
            b'p' | b'P' | b'X' => return Err("its pattern names kinds of characters".to_owned()),
            b'G' => return Err("its pattern goes on where another ended".to_owned()),
            b'Q' => {
                let end = behind.windows(2).position(|two| two == b"\\E").unwrap_or(behind.len());
                behind
                    .iter()
                    .take(end)
                    .for_each(|octet| Place::one_of(OctetSet::one(*octet)).write(&mut self.out));
                self.rest = self.rest.get((taken + end + 2).min(self.rest.len())..).unwrap_or_default();
                return Ok(true);
            }
            b'E' => "",
            _ => return Ok(false),
        };
        self.out.push_str(text);
        self.rest = self.rest.get(taken..).unwrap_or_default();
        Ok(true)
    }
}

/// How a group starts here, and how it is written there.
fn group_start(text: &[u8]) -> Result<(usize, String), String> {
    if !text.starts_with(b"(?") {
        return if text.starts_with(b"(*") {
            Err("its pattern steers its matcher".to_owned())
        } else {
            Ok((1, "(?:".to_owned()))
        };
    }
    if text.starts_with(b"(?>") || text.starts_with(b"(?|") {
        return Ok((3, "(?:".to_owned()));
    }
    let named = [&b"(?<"[..], b"(?P<", b"(?'"].into_iter().find(|start| text.starts_with(start));
    if let Some(start) = named {
        let name = text.get(start.len()..).unwrap_or_default();
        let end = name.iter().position(|octet| !octet.is_ascii_alphanumeric() && *octet != b'_');
        let end = end.ok_or("its pattern's group has no name")?;
        return Ok((start.len() + end + 1, "(?:".to_owned()));
    }
    let flags = text.get(2..).unwrap_or_default();
    let end = flags
        .iter()
        .position(|octet| !b"^imsxan-".contains(octet))
        .ok_or("its pattern leaves a group open")?;
    let (flags, behind) = flags.split_at(end);
    let close = match behind.first() {
        Some(b':') => ':',
        Some(b')') => ')',
        _ => return Err("its pattern has a group of an unknown kind".to_owned()),
    };
    if flags.iter().any(|flag| matches!(flag, b'x' | b'm')) {
        return Err("its pattern changes its ways in its middle".to_owned());
    }
    let flags: String =
        flags.iter().filter(|flag| b"is-".contains(flag)).map(|flag| char::from(*flag)).collect();
    let flags = if text.get(2) == Some(&b'^') && !flags.contains('-') {
        format!("{flags}-{}", missing(&flags))
    } else {
        flags
    };
    let flags = flags.trim_end_matches('-');
    let written =
        if flags.is_empty() && close == ')' { "(?:)".to_owned() } else { format!("(?{flags}{close}") };
    Ok((2 + end + 1, written))
}

/// The flags that are not there.
fn missing(flags: &str) -> String {
    "is".chars().filter(|flag| !flags.contains(*flag)).collect()
}

/// Where an open group ends.
fn group_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut is_class, mut is_escaped) = (0_usize, false, false);
    for (at, &octet) in text.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b']' if is_class => is_class = false,
            b'[' => is_class = true,
            _ if is_class => {}
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether a pattern does nothing any more from here on, groups that stand open closed.
fn is_tail(after: &[u8]) -> bool {
    let mut rest = after;
    loop {
        match rest.first() {
            None => return true,
            // Other branches of the group are no matter.
            Some(b'|') => match group_end(rest) {
                Some(end) => rest = rest.get(end..).unwrap_or_default(),
                None => return true,
            },
            Some(b')') => {
                rest = rest.get(1..).unwrap_or_default();
                if matches!(rest.first(), Some(b'*' | b'+' | b'?' | b'{')) {
                    return false;
                }
            }
            Some(_) => return false,
        }
    }
}

/// Places in a row, each matching one octet, or nothing else.
fn places(text: &[u8]) -> Option<Vec<Place>> {
    let mut places = Vec::new();
    let mut rest = text;
    while let Some(&first) = rest.first() {
        if b"()|*+?^$.".contains(&first) || quantifier_octets(rest).is_some() || places.len() >= FORBIDDEN_MAX
        {
            return None;
        }
        if matches!(
            rest,
            [b'\\', b'b' | b'B' | b'A' | b'z' | b'Z' | b'1'..=b'9' | b'R' | b'p' | b'P' | b'Q', ..]
        ) {
            return None;
        }
        let (place, behind) = place(rest).ok()?;
        places.push(place);
        rest = behind;
    }
    (!places.is_empty()).then_some(places)
}

/// What one octet may be here, and what is behind.
fn place(text: &[u8]) -> Result<(Place, &[u8]), String> {
    match text {
        [b'[', behind @ ..] => class(behind),
        [b'\\', behind @ ..] => escape(behind).map(|(set, behind)| (Place::one_of(set), behind)),
        [octet, behind @ ..] => Ok((Place::one_of(OctetSet::one(*octet)), behind)),
        [] => Err("its pattern ends early".to_owned()),
    }
}

fn escape(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    let (&letter, behind) = text.split_first().ok_or("its pattern ends in a backslash")?;
    if let Some(set) = escaped(letter) {
        return Ok((set, behind));
    }
    let control = |octet: u8| Ok((OctetSet::one(octet), behind));
    match letter {
        b'n' => control(b'\n'),
        b'r' => control(b'\r'),
        b't' => control(b'\t'),
        b'f' => control(12),
        b'a' => control(7),
        b'e' => control(27),
        b'x' => hexadecimal(behind),
        b'0'..=b'7' => {
            let digits = text.iter().take(3).take_while(|octet| (b'0'..=b'7').contains(*octet)).count();
            let (digits, behind) = text.split_at(digits);
            number(digits, 8).map(|octet| (OctetSet::one(octet), behind))
        }
        b'c' => {
            let (&letter, behind) = behind.split_first().ok_or("its pattern ends early")?;
            Ok((OctetSet::one(letter.to_ascii_uppercase() ^ 64), behind))
        }
        // Any other letter is itself.
        other => control(other),
    }
}

fn hexadecimal(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    if let Some(inner) = text.strip_prefix(b"{") {
        let end = inner.iter().position(|octet| *octet == b'}').ok_or("its pattern ends early")?;
        let (digits, behind) = inner.split_at(end);
        return number(digits, 16).map(|octet| (OctetSet::one(octet), behind.get(1..).unwrap_or_default()));
    }
    let digits = text.iter().take(2).take_while(|octet| octet.is_ascii_hexdigit()).count();
    let (digits, behind) = text.split_at(digits);
    let octet = if digits.is_empty() { 0 } else { number(digits, 16)? };
    Ok((OctetSet::one(octet), behind))
}

fn number(digits: &[u8], radix: u32) -> Result<u8, String> {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u8::from_str_radix(digits, radix).map_err(|_| "its pattern has a character that is no octet".to_owned())
}

/// A class, behind its bracket.
fn class(text: &[u8]) -> Result<(Place, &[u8]), String> {
    const NO_END: &str = "its pattern's class does not end";
    let (sense, mut rest) = match text.strip_prefix(b"^") {
        Some(rest) => (Sense::NotIn, rest),
        None => (Sense::In, text),
    };
    let mut set = OctetSet::empty();
    let mut is_first = true;
    loop {
        if let Some(behind) = rest.strip_prefix(b"]").filter(|_| !is_first) {
            return Ok((Place { set, sense }, behind));
        }
        is_first = false;
        if let Some(inner) = rest.strip_prefix(b"[:")
            && let Some(end) = inner.windows(2).position(|two| two == b":]")
        {
            let name = inner.get(..end).unwrap_or_default();
            let (name, inverts) = name.strip_prefix(b"^").map_or((name, false), |name| (name, true));
            let named = named(name).ok_or("its pattern's class has an unknown name")?;
            set.add(&if inverts { named.inverted() } else { named });
            rest = inner.get(end + 2..).unwrap_or_default();
            continue;
        }
        let (first, behind) = class_item(rest)?;
        rest = behind;
        let bounds = rest.strip_prefix(b"-").filter(|after| !after.starts_with(b"]") && !after.is_empty());
        if let (Some(low), Some(after)) = (first.only(), bounds) {
            let (last, behind) = class_item(after)?;
            if let Some(high) = last.only() {
                if low > high {
                    return Err("its pattern has a range that runs backwards".to_owned());
                }
                set.add(&OctetSet::range(low, high));
                rest = behind;
                continue;
            }
        }
        set.add(&first);
        if rest.is_empty() {
            return Err(NO_END.to_owned());
        }
    }
}

fn class_item(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    match text {
        [b'\\', b'b', behind @ ..] => Ok((OctetSet::one(8), behind)),
        [b'\\', b'p' | b'P', ..] => Err("its pattern names kinds of characters".to_owned()),
        [b'\\', behind @ ..] => escape(behind),
        [octet, behind @ ..] => Ok((OctetSet::one(*octet), behind)),
        [] => Err("its pattern's class does not end".to_owned()),
    }
}

/// Octets of a quantifier in braces; `None` for braces that are themselves.
fn quantifier_octets(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"{")?;
    let end = inner.iter().take(16).position(|octet| *octet == b'}')?;
    let inner = inner.get(..end)?;
    let digits = |octets: &[u8]| octets.iter().all(u8::is_ascii_digit);
    let comma = inner.iter().position(|octet| *octet == b',').unwrap_or(inner.len());
    let (low, high) = inner.split_at(comma);
    let is_one = !low.is_empty() && digits(low) && digits(high.strip_prefix(b",").unwrap_or(high));
    is_one.then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Result<bool, String> {
        let translated = Source::read(pattern.as_bytes())?.translate(Field::Whole)?;
        let regex = regex::bytes::RegexBuilder::new(&translated.pattern)
            .unicode(false)
            .case_insensitive(translated.ignores_case)
            .dot_matches_new_line(translated.dot_is_all)
            .multi_line(translated.is_multi_line)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(regex.is_match(text.as_bytes()))
    }

    #[test]
    fn patterns_of_perl_mean_the_same() {
        for (pattern, yes, no) in [
            ("/foo/", "a foo", "a fo"),
            ("/FOO/i", "a foo", "a fo"),
            ("m{a/b}", "a/b", "ab"),
            ("m,a\\,b,", "a,b", "a\\,b"),
            ("/a\\/b/", "a/b", "ab"),
            ("/^a$/", "a\n", "ab"),
            ("/^b$/m", "a\nb\nc", "ab"),
            ("/a.b/", "axb", "a\nb"),
            ("/a.b/s", "a\nb", "ab"),
            ("/a b # c\n/x", "ab", "a b"),
            ("/[^a]b/i", "cb", "Ab"),
            ("/[^\\Wx]/i", "y", "X"),
            ("/[]a]/", "]", "b"),
            ("/[^]a]/", "b", "]a"),
            ("/[a\\-c]/", "-", "b"),
            ("/[\\w-.]/", "-", " "),
            ("/[a-c[]/", "[", "d"),
            ("/[&~]&&/", "~&&", "a&&"),
            ("/[[:alpha:]_]1/", "a1", "11"),
            ("/a{2}/", "aa", "a"),
            ("/a{,2}/", "a{,2}", "aa"),
            ("/{a}/", "{a}", "a"),
            ("/\\x41\\x{42}\\103/", "ABC", "AB"),
            ("/\\<a\\>/", "<a>", "a"),
            ("/\\h\\d\\H/", " 1a", "1 "),
            ("/(?>a+)b/", "aab", "b"),
            ("/a++b/", "aab", "b"),
            ("/a+?b/", "aab", "b"),
            ("/(?:a|b)c/", "bc", "c"),
            ("/(?i)A(?-i:B)/", "aB", "ab"),
            ("/(?#note)a/", "a", "b"),
            ("/\\Qa.b\\E/", "a.b", "axb"),
            ("/(?<name>a)b/", "ab", "b"),
            ("/caf\u{e9}/", "caf\u{e9}", "cafe"),
            ("/[\u{e9}]{2}/", "\u{e9}", "e"),
        ] {
            assert_eq!(matches(pattern, yes), Ok(true), "{pattern} on {yes}");
            assert_eq!(matches(pattern, no), Ok(false), "{pattern} on {no}");
        }
    }

    #[test]
    fn looking_around_is_possible_at_the_ends() {
        for (pattern, yes, no) in [
            ("/a(?=b)/", "ab", "ac"),
            ("/a(?!b)/", "a", "ab"),
            ("/a(?!b)/", "ac", "ab"),
            ("/a(?!B)/i", "ac", "ab"),
            ("/a(?!bcd)/", "abcx", "abcd"),
            ("/a(?!bcd)/", "abc", "abcd"),
            ("/(?<!x)a/", "a", "xa"),
            ("/(?<!xy)a/", "ya", "xya"),
            ("/(?<!xy)a/", "xa", "xya"),
            ("/(?<=x)a/", "xa", "a"),
            ("/(?:(?<!x)a|b)c/", "bc", "xac"),
            ("/(?:a(?!b)|c)/", "c", "ab"),
        ] {
            assert_eq!(matches(pattern, yes), Ok(true), "{pattern} on {yes}");
            assert_eq!(matches(pattern, no), Ok(false), "{pattern} on {no}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (pattern, reason) in [
            ("/(a)\\1/", "its pattern refers back"),
            ("/a(?!b)c/", "its pattern looks around in its middle"),
            ("/^(?!b)c/", "its pattern looks around in its middle"),
            ("/(?:a(?!b))*/", "its pattern looks around in its middle"),
            ("/\\p{Lu}/", "its pattern names kinds of characters"),
            ("/\\x{263a}/", "its pattern has a character that is no octet"),
            ("/(a/", "its pattern leaves a group open"),
            ("/a)/", "its pattern closes a group that is not open"),
            ("/[a/", "its pattern's class does not end"),
            ("/[b-a]/", "its pattern has a range that runs backwards"),
            ("/a/q", "its pattern has the unknown flag q"),
            ("a", "its pattern has no delimiters"),
            ("/a", "its pattern does not end"),
            ("/a\\/", "its pattern ends in a backslash"),
        ] {
            assert_eq!(matches(pattern, "").unwrap_err(), reason, "{pattern}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        for (depth, is_taken) in [(DEPTH_MAX - 1, true), (DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
            let pattern = format!("/{}a{}/", "(".repeat(depth), ")".repeat(depth));
            assert_eq!(matches(&pattern, "a").is_ok(), is_taken, "{depth}");
        }
        for (octets, is_taken) in
            [(PATTERN_OCTETS_MAX - 1, true), (PATTERN_OCTETS_MAX, true), (PATTERN_OCTETS_MAX + 1, false)]
        {
            let source = Source { pattern: vec![b'a'; octets], flags: Vec::new() };
            assert_eq!(source.translate(Field::Whole).is_ok(), is_taken, "{octets}");
        }
        for (places, is_taken) in
            [(FORBIDDEN_MAX - 1, true), (FORBIDDEN_MAX, true), (FORBIDDEN_MAX + 1, false)]
        {
            assert_eq!(matches(&format!("/a(?!{})/", "b".repeat(places)), "a").is_ok(), is_taken, "{places}");
        }
    }
}
