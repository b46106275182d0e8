//! The words of a line: atoms, quoted strings, and the announcement of a literal at its end (RFC 5804 §4).

/// A word of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// A verb or a number.
    Atom(String),
    /// A string, quoted or literal.
    String(Vec<u8>),
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Complaint {
    pub(crate) what: &'static str,
}

/// Most words of a command, its verb included: PUTSCRIPT has as many.
pub(crate) const WORDS_MAX: usize = 3;

/// Longest announcement: a brace, twenty digits, plus, a brace.
const ANNOUNCEMENT_OCTETS_MAX: usize = 23;

const TOO_MANY: Complaint = Complaint { what: "The command has too many arguments" };

/// Appends the words of a line. Gives the length of the literal that it announces at its end, if it does.
///
/// `is_first` is false for a line that goes on behind a literal.
pub(crate) fn read_line(
    line: &[u8],
    is_first: bool,
    words: &mut Vec<Word>,
) -> Result<Option<u64>, Complaint> {
    let mut rest = line;
    let mut may_begin = is_first;
    loop {
        let spaces = rest.iter().take_while(|&&octet| octet == b' ').count();
        rest = rest.get(spaces..).unwrap_or_default();
        let Some(&first) = rest.first() else { return Ok(None) };
        if spaces == 0 && !may_begin {
            return Err(Complaint { what: "Expected a space" });
        }
        if words.len() >= WORDS_MAX {
            return Err(TOO_MANY);
        }
        may_begin = false;
        match first {
            b'"' => {
                let (string, after) = quoted(rest)?;
                words.push(Word::String(string));
                rest = after;
            }
            b'{' => {
                let octets = announced(rest).ok_or(Complaint { what: "A literal is announced wrongly" })?;
                return Ok(Some(octets));
            }
            _ => {
                let end = rest.iter().position(|&octet| octet == b' ').unwrap_or(rest.len());
                let (atom, after) = rest.split_at(end);
                words.push(Word::Atom(read_atom(atom)?));
                rest = after;
            }
        }
    }
}

/// The literal announced by a line that cannot be read otherwise, to stay in step with what follows.
pub(crate) fn announced_at_end(line: &[u8]) -> Option<u64> {
    let start = line.iter().rposition(|&octet| octet == b'{')?;
    announced(line.get(start..)?)
}

/// `{12+}`, and `{12}`: a client that waits for leave to go on would wait for ever, but no client may be made to have
/// the lines of its script taken for commands.
fn announced(text: &[u8]) -> Option<u64> {
    if text.len() > ANNOUNCEMENT_OCTETS_MAX {
        return None;
    }
    let digits = text.strip_prefix(b"{")?.strip_suffix(b"}")?;
    number(digits.strip_suffix(b"+").unwrap_or(digits))
}

/// Decimal digits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn read_atom(atom: &[u8]) -> Result<String, Complaint> {
    let is_atom =
        atom.iter().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'{' | b'}' | b'\\'));
    let text = std::str::from_utf8(atom).ok().filter(|_| is_atom);
    text.map(str::to_owned).ok_or(Complaint { what: "Expected a word or a string" })
}

/// A quoted string from its first quote on, and what follows it.
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Complaint> {
    let mut string = Vec::new();
    let mut octets = text.iter().enumerate().skip(1);
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => {
                if std::str::from_utf8(&string).is_err() {
                    return Err(Complaint { what: "A quoted string is not UTF-8" });
                }
                return Ok((string, text.get(at + 1..).unwrap_or_default()));
            }
            b'\\' => match octets.next() {
                Some((_, &escaped @ (b'"' | b'\\'))) => string.push(escaped),
                _ => return Err(Complaint { what: "Only quotes and backslashes are escaped" }),
            },
            0 | b'\r' => return Err(Complaint { what: "A quoted string has control characters" }),
            octet => string.push(octet),
        }
    }
    Err(Complaint { what: "A quoted string has no end" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Vec<Word>, Option<u64>), &'static str> {
        let mut words = Vec::new();
        let announced = read_line(line.as_bytes(), true, &mut words).map_err(|complaint| complaint.what)?;
        Ok((words, announced))
    }

    fn atom(text: &str) -> Word {
        Word::Atom(text.to_owned())
    }

    fn string(text: &str) -> Word {
        Word::String(text.as_bytes().to_vec())
    }

    #[test]
    fn words_are_told_apart() {
        assert_eq!(read("NOOP"), Ok((vec![atom("NOOP")], None)));
        assert_eq!(read("NOOP "), Ok((vec![atom("NOOP")], None)));
        let words = vec![atom("HAVESPACE"), string("a \"b\\ {3+}"), atom("12")];
        assert_eq!(read(r#"HAVESPACE "a \"b\\ {3+}"  12"#), Ok((words, None)));
        assert_eq!(read("PUTSCRIPT \"\" {31+}"), Ok((vec![atom("PUTSCRIPT"), string("")], Some(31))));
        assert_eq!(read("X {31}"), Ok((vec![atom("X")], Some(31))));
        assert_eq!(read(""), Ok((Vec::new(), None)));
    }

    #[test]
    fn a_command_has_so_many_words() {
        assert!(read("A \"b\"").is_ok());
        assert!(read("A \"b\" 3").is_ok());
        assert!(read("A \"b\" {3+}").is_ok());
        assert!(read("A \"b\" 3 4").is_err());
        assert!(read("A \"b\" 3 {4+}").is_err());
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for line in [
            "X \"a",
            "X \"a\\\"",
            "X \"a\\n\"",
            "X \"a\"b",
            "X {3+} ",
            "X {+}",
            "X {3++}",
            "X {-3}",
            "X {3",
            "X\"a\"",
            "X {18446744073709551616+}",
            "X a{3+}",
            "X \"\0\"",
            "\tX",
            "X \u{e9}",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        let mut words = Vec::new();
        assert!(read_line(b"X \"\xff\"", true, &mut words).is_err());
        assert!(read_line(b"X", false, &mut words).is_err());
        assert!(read_line(b" X", false, &mut words).is_ok());
        assert_eq!(read("X {18446744073709551615+}").unwrap().1, Some(u64::MAX));
    }

    #[test]
    fn the_end_of_an_unreadable_line_still_tells_of_its_literal() {
        assert_eq!(announced_at_end(b"X \"a {30+}"), Some(30));
        assert_eq!(announced_at_end(b"X {30+}}"), None);
        assert_eq!(announced_at_end(b"X {30+} "), None);
    }
}
