//! Octets of a script to tokens, each with its place (RFC 5228 §2, §8.1).

use crate::fault::{Faults, Place};

/// Longest identifier in octets. The longest that any extension defines has 25.
pub(crate) const IDENTIFIER_OCTETS_MAX: usize = 32;

/// What a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Identifier(&'a str),
    /// Without its colon.
    Tag(&'a str),
    Number(u64),
    /// Line ends within are CRLF.
    String(Vec<u8>),
    /// `;`, `,`, `(`, `)`, `[`, `]`, `{` or `}`.
    Mark(u8),
    /// What no script is made of; already told.
    Garbage,
    End,
}

/// Reads tokens one by one. What cannot be read is told as a fault, and reading goes on behind it.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    place: Place,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Lexer<'a> {
        // A byte order mark is no part of the script.
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Lexer { text, at, place: Place { line: 1, column: 1 } }
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self, faults: &mut Faults) -> (Token<'a>, Place) {
        self.skip_blanks(faults);
        let place = self.place;
        let Some(octet) = self.peek() else { return (Token::End, place) };
        let token = match octet {
            b';' | b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => {
                self.advance();
                Token::Mark(octet)
            }
            b'"' => self.quoted(place, faults),
            b'0'..=b'9' => self.number(place, faults),
            b':' if self.peek_at(1).is_some_and(is_identifier_start) => {
                self.advance();
                Token::Tag(self.identifier(place, faults))
            }
            octet if is_identifier_start(octet) => {
                let name = self.identifier(place, faults);
                if name.eq_ignore_ascii_case("text") && self.peek() == Some(b':') {
                    self.advance();
                    self.multi_line(place, faults)
                } else {
                    Token::Identifier(name)
                }
            }
            _ => self.garbage(place, faults),
        };
        (token, place)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Goes one octet on; whoever calls it has seen that there is one.
    fn advance(&mut self) {
        match self.peek() {
            Some(b'\n') => self.place = Place { line: self.place.line.saturating_add(1), column: 1 },
            // Octets inside a character are no columns.
            Some(0x80..=0xbf) => {}
            Some(_) => self.place.column = self.place.column.saturating_add(1),
            None => return,
        }
        self.at += 1;
    }

    fn skip_blanks(&mut self, faults: &mut Faults) {
        loop {
            match (self.peek(), self.peek_at(1)) {
                (Some(b' ' | b'\t' | b'\r' | b'\n'), _) => self.advance(),
                (Some(b'#'), _) => self.skip_line(),
                (Some(b'/'), Some(b'*')) => self.skip_comment(faults),
                _ => return,
            }
        }
    }

    /// Goes to the end of the line, not behind it.
    fn skip_line(&mut self) {
        while self.peek().is_some_and(|octet| octet != b'\n') {
            self.advance();
        }
    }

    fn skip_comment(&mut self, faults: &mut Faults) {
        let place = self.place;
        self.advance();
        self.advance();
        while !(self.peek() == Some(b'*') && self.peek_at(1) == Some(b'/')) {
            if self.peek().is_none() {
                faults.add(place, "this comment is never closed by */");
                return;
            }
            self.advance();
        }
        self.advance();
        self.advance();
    }

    fn identifier(&mut self, place: Place, faults: &mut Faults) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|octet| octet.is_ascii_alphanumeric() || octet == b'_') {
            self.advance();
        }
        let name = self.text.get(start..self.at).unwrap_or_default();
        if name.len() > IDENTIFIER_OCTETS_MAX {
            faults.add(place, format!("a name has at most {IDENTIFIER_OCTETS_MAX} characters"));
        }
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// RFC 5228 §2.4.1: digits, and K, M or G for powers of 1,024.
    fn number(&mut self, place: Place, faults: &mut Faults) -> Token<'a> {
        let mut number = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.and_then(|number| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
            self.advance();
        }
        let unit = match self.peek() {
            Some(b'k' | b'K') => 1 << 10,
            Some(b'm' | b'M') => 1 << 20,
            Some(b'g' | b'G') => 1 << 30,
            _ => 1,
        };
        if unit > 1 {
            self.advance();
        }
        match number.and_then(|number| number.checked_mul(unit)) {
            Some(number) => Token::Number(number),
            None => {
                faults.add(place, "this number is too large");
                Token::Number(u64::MAX)
            }
        }
    }

    fn quoted(&mut self, place: Place, faults: &mut Faults) -> Token<'a> {
        self.advance();
        let mut string = Vec::new();
        loop {
            match self.peek() {
                None => {
                    faults.add(place, "this string is never closed by a quote");
                    return Token::Garbage;
                }
                Some(b'"') => break,
                Some(b'\\') => {
                    self.advance();
                    self.take_octet(&mut string);
                }
                Some(_) => self.take_octet(&mut string),
            }
        }
        self.advance();
        string_token(string, place, faults)
    }

    /// Takes one octet of a string; a line feed without carriage return gets one.
    fn take_octet(&mut self, string: &mut Vec<u8>) {
        let Some(octet) = self.peek() else { return };
        if octet == b'\n' && string.last() != Some(&b'\r') {
            string.push(b'\r');
        }
        string.push(octet);
        self.advance();
    }

    /// RFC 5228 §2.4.2: `text:`, then lines up to one with nothing but a dot; dots that begin lines are doubled.
    fn multi_line(&mut self, place: Place, faults: &mut Faults) -> Token<'a> {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.advance();
        }
        if self.peek() == Some(b'#') {
            self.skip_line();
        }
        if self.peek() == Some(b'\r') {
            self.advance();
        }
        if self.peek() != Some(b'\n') {
            faults.add(place, "nothing but a comment may stand behind text: on its line");
            self.skip_line();
        }
        self.advance();
        let mut string = Vec::new();
        loop {
            if self.peek() == Some(b'.') {
                self.advance();
                if self.ends_line() {
                    break;
                }
                if self.peek() != Some(b'.') {
                    string.push(b'.');
                }
            }
            while self.peek().is_some_and(|octet| octet != b'\n') {
                self.take_octet(&mut string);
            }
            if self.peek().is_none() {
                faults.add(place, "this text is never closed by a line with nothing but a dot");
                return Token::Garbage;
            }
            self.take_octet(&mut string);
        }
        string_token(string, place, faults)
    }

    /// Whether the line ends here; goes behind its end then.
    fn ends_line(&mut self) -> bool {
        match (self.peek(), self.peek_at(1)) {
            (None, _) => true,
            (Some(b'\n'), _) => {
                self.advance();
                true
            }
            (Some(b'\r'), Some(b'\n') | None) => {
                self.advance();
                self.advance();
                true
            }
            _ => false,
        }
    }

    fn garbage(&mut self, place: Place, faults: &mut Faults) -> Token<'a> {
        let start = self.at;
        while self.peek().is_some_and(is_garbage) {
            self.advance();
        }
        if self.at == start {
            self.advance();
        }
        let octets = self.text.get(start..self.at).unwrap_or_default();
        let shown: String = String::from_utf8_lossy(octets).chars().take(16).collect();
        faults.add(place, format!("unexpected characters: {}", shown.escape_debug()));
        Token::Garbage
    }
}

fn string_token<'a>(string: Vec<u8>, place: Place, faults: &mut Faults) -> Token<'a> {
    if string.contains(&0) {
        faults.add(place, "a string has no NUL characters");
    } else if std::str::from_utf8(&string).is_err() {
        faults.add(place, "this string is not valid UTF-8");
    }
    Token::String(string)
}

fn is_identifier_start(octet: u8) -> bool {
    octet.is_ascii_alphabetic() || octet == b'_'
}

fn is_garbage(octet: u8) -> bool {
    !(octet.is_ascii_alphanumeric() || b"_;,()[]{}\"#/: \t\r\n".contains(&octet))
}
