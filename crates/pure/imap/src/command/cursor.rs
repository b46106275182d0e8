//! The words of the grammar, read from a command's octets: atoms, strings, literals, numbers, sets (RFC 9051 §9).
//!
//! Lenient where people and programs are: several spaces stand for one, and spaces may end a command.

use std::borrow::Cow;

use mail_types::{Keyword, MailboxName, ModSeq, SystemFlag};

use super::FlagNames;
use super::bad::BadKind;
use crate::dialect::Dialect;
use crate::mailbox_name;
use crate::sequence::SequenceSet;

/// What a parser gives.
pub(crate) type Parsed<T> = Result<T, BadKind>;

/// A place in a command's octets. Literals stand in the octets as they came: `{3}`, CRLF, three octets.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
    /// How mailbox names are written.
    pub(crate) dialect: Dialect,
}

/// `ATOM-CHAR`: any CHAR but atom-specials.
pub(crate) const fn is_atom_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`: ATOM-CHAR or `]`. Octets beyond US-ASCII too: clients put bare UTF-8 where a quoted string should be.
const fn is_astring_octet(octet: u8) -> bool {
    is_atom_octet(octet) || octet == b']' || octet >= 0x80
}

/// `list-char`: ATOM-CHAR, wildcards or `]`.
const fn is_list_octet(octet: u8) -> bool {
    is_astring_octet(octet) || matches!(octet, b'%' | b'*')
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(octets: &'a [u8], dialect: Dialect) -> Self {
        Self { octets, at: 0, dialect }
    }

    /// How many octets have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// A complaint about the octet that comes next.
    pub(crate) fn complain(&self, what: &'static str) -> BadKind {
        BadKind::Syntax { what, at: self.at + 1 }
    }

    /// Takes this octet if it is next.
    pub(crate) fn take(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        self.at += usize::from(is_next);
        is_next
    }

    pub(crate) fn expect(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.take(octet) { Ok(()) } else { Err(self.complain(what)) }
    }

    /// `SP`, or several.
    pub(crate) fn space(&mut self) -> Parsed<()> {
        if self.take_spaces() { Ok(()) } else { Err(self.complain("Expected a space")) }
    }

    /// A space before arguments. At the end of the command there may be none: what is missing is told better than that.
    pub(crate) fn space_before_arguments(&mut self) -> Parsed<()> {
        if self.at == self.octets.len() { Ok(()) } else { self.space() }
    }

    /// Whether there were any spaces.
    pub(crate) fn take_spaces(&mut self) -> bool {
        let start = self.at;
        while self.take(b' ') {}
        self.at > start
    }

    /// A space, if more than spaces are left.
    pub(crate) fn take_space_before_more(&mut self) -> bool {
        let start = self.at;
        if self.take_spaces() && self.at < self.octets.len() {
            return true;
        }
        self.at = start;
        false
    }

    /// The command ends here.
    pub(crate) fn end(&mut self) -> Parsed<()> {
        self.take_spaces();
        if self.at == self.octets.len() {
            Ok(())
        } else {
            Err(self.complain("Expected the end of the command"))
        }
    }

    pub(crate) fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let octets = rest.iter().position(|&octet| !is_part(octet)).unwrap_or(rest.len());
        self.at += octets;
        rest.get(..octets).unwrap_or_default()
    }

    /// `atom`, as text.
    pub(crate) fn atom(&mut self, what: &'static str) -> Parsed<&'a str> {
        let start = self.at;
        let atom = self.take_while(is_atom_octet);
        match std::str::from_utf8(atom) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => {
                self.at = start;
                Err(self.complain(what))
            }
        }
    }

    /// `atom` in capitals, to be compared.
    pub(crate) fn word(&mut self, what: &'static str) -> Parsed<String> {
        self.atom(what).map(str::to_ascii_uppercase)
    }

    /// Takes this word, in any case, if it is next and ends where an atom ends.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let is_next = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
            && !rest.get(word.len()).copied().is_some_and(is_atom_octet);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// `astring`
    pub(crate) fn astring(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{' | b'~') if self.is_at_string() => self.string(what),
            _ => self.bare(is_astring_octet, what),
        }
    }

    /// `list-mailbox`
    pub(crate) fn list_mailbox(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(what),
            _ => self.bare(is_list_octet, what),
        }
    }

    /// `nstring`: `None` for NIL.
    pub(crate) fn nstring(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.take_word("NIL") { Ok(None) } else { self.string(what).map(Some) }
    }

    /// `string`: quoted or literal; a literal8 where a literal should be does no harm.
    pub(crate) fn string(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal().map(Cow::Borrowed),
            _ => Err(self.complain(what)),
        }
    }

    fn bare(&mut self, is_part: fn(u8) -> bool, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        let octets = self.take_while(is_part);
        if octets.is_empty() { Err(self.complain(what)) } else { Ok(Cow::Borrowed(octets)) }
    }

    /// A `~` begins a literal8 only before `{`: it may begin an atom as well.
    fn is_at_string(&self) -> bool {
        self.peek() != Some(b'~') || self.rest().get(1) == Some(&b'{')
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let start = self.at;
        match inner.iter().position(|octet| matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0)) {
            Some(end) if inner.get(end) == Some(&b'"') => {
                self.at += end + 2;
                Ok(Cow::Borrowed(inner.get(..end).unwrap_or_default()))
            }
            Some(_) => self.quoted_with_escapes().map(Cow::Owned),
            None => {
                self.at = start;
                Err(self.complain("A quoted string does not end"))
            }
        }
    }

    fn quoted_with_escapes(&mut self) -> Parsed<Vec<u8>> {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        while let Some(octet) = self.peek() {
            match octet {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\r' | b'\n' | 0 => {
                    return Err(self.complain("A quoted string holds no line end and no NUL"));
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        // Only quote and backslash may be escaped; others are taken as they stand.
                        Some(escaped) if !matches!(escaped, b'\r' | b'\n' | 0) => text.push(escaped),
                        _ => return Err(self.complain("A quoted string holds no line end and no NUL")),
                    }
                }
                _ => text.push(octet),
            }
            self.at += 1;
        }
        self.at = start;
        Err(self.complain("A quoted string does not end"))
    }

    /// `literal`, of any kind; its octets follow its announcement.
    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let start = self.at;
        self.take(b'~');
        let octets = self.announced().filter(|_| self.take(b'\r') && self.take(b'\n'));
        let text = octets.and_then(|octets| {
            let octets = usize::try_from(octets).ok()?;
            self.rest().get(..octets)
        });
        match text {
            Some(text) => {
                self.at += text.len();
                Ok(text)
            }
            None => {
                self.at = start;
                Err(self.complain("A literal is broken"))
            }
        }
    }

    /// `{n}` or `{n+}` alone, without its line end.
    pub(crate) fn announced(&mut self) -> Option<u64> {
        let digits = if self.take(b'{') { self.take_while(|octet| octet.is_ascii_digit()) } else { &[] };
        let octets = decimal(digits)?;
        self.take(b'+');
        self.take(b'}').then_some(octets)
    }

    /// `number64`
    pub(crate) fn number(&mut self, what: &'static str) -> Parsed<u64> {
        let start = self.at;
        decimal(self.take_while(|octet| octet.is_ascii_digit())).ok_or_else(|| {
            self.at = start;
            self.complain(what)
        })
    }

    /// `number`, 32 bits.
    pub(crate) fn number32(&mut self, what: &'static str) -> Parsed<u32> {
        let start = self.at;
        u32::try_from(self.number(what)?).map_err(|_| {
            self.at = start;
            self.complain("A number is too large")
        })
    }

    /// `nz-number`
    pub(crate) fn number_not_zero(&mut self, what: &'static str) -> Parsed<u32> {
        let start = self.at;
        let number = self.number32(what)?;
        if number == 0 {
            self.at = start;
            return Err(self.complain("A number must not be zero"));
        }
        Ok(number)
    }

    /// `mod-sequence-valzer` (RFC 7162 §7): 63 bits.
    pub(crate) fn mod_seq(&mut self) -> Parsed<ModSeq> {
        let start = self.at;
        let number = self.number("Expected a modification sequence")?;
        if number > ModSeq::MAX.0 {
            self.at = start;
            return Err(self.complain("A modification sequence has at most 63 bits"));
        }
        Ok(ModSeq(number))
    }

    /// `mailbox`
    pub(crate) fn mailbox(&mut self) -> Parsed<MailboxName> {
        let octets = self.astring("Expected a mailbox name")?;
        mailbox_name::from_wire(&octets, self.dialect).map_err(BadKind::MailboxName)
    }

    /// `sequence-set`
    pub(crate) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        if self.take(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.sequence_number()?;
            let last = if self.take(b':') { self.sequence_number()? } else { first };
            if ranges.len() == SequenceSet::ELEMENTS_MAX {
                return Err(self.complain("A set has too many elements"));
            }
            ranges.push((first, last));
            if !self.take(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    /// `seq-number`, 0 for `*`.
    fn sequence_number(&mut self) -> Parsed<u32> {
        if self.take(b'*') { Ok(0) } else { self.number_not_zero("Expected a message number, * or $") }
    }

    /// `flag-list`, or flags without parentheses up to the end of the command, as STORE allows.
    pub(crate) fn flags(&mut self) -> Parsed<FlagNames> {
        let mut flags = FlagNames::default();
        if !self.take(b'(') {
            loop {
                self.flag(&mut flags)?;
                if !self.take_space_before_more() {
                    return Ok(flags);
                }
            }
        }
        self.take_spaces();
        while !self.take(b')') {
            self.flag(&mut flags)?;
            self.take_spaces();
        }
        Ok(flags)
    }

    fn flag(&mut self, flags: &mut FlagNames) -> Parsed<()> {
        let start = self.at;
        if self.take(b'\\') {
            let name = format!("\\{}", self.atom("Expected a flag")?);
            match SystemFlag::parse(&name) {
                Some(flag) => flags.system |= flag as u8,
                // A client that copies flags from another server sends it along; only servers set it (RFC 3501 §2.3.2).
                None if name.eq_ignore_ascii_case("\\Recent") => {}
                None => {
                    self.at = start;
                    return Err(self.complain("Unknown system flag"));
                }
            }
            return Ok(());
        }
        let keyword = Keyword::parse(self.atom("Expected a flag")?).map_err(|_| {
            self.at = start;
            self.complain("A keyword is too long")
        })?;
        if !flags.keywords.contains(&keyword) {
            if flags.keywords.len() == mail_types::KEYWORDS_MAX {
                return Err(self.complain("Too many keywords"));
            }
            flags.keywords.push(keyword);
        }
        Ok(())
    }
}

/// Decimal digits, at least one, within 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
