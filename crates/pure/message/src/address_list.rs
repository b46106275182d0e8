//! Address lists of From, To, Cc and the like, read leniently: obsolete routes and blanks, comments as names, groups,
//! missing commas, brackets and domains (RFC 5322 §3.4, §4.4). Encoded-words stay as they are.

use memchr::memchr;

use crate::envelope::Addressee;

/// Deepest comment inside a comment that is told apart; deeper parentheses are ordinary characters.
const COMMENT_DEPTH_MAX: usize = 16;

/// Reads one field's address list, at most `addressees_max` entries of it.
pub fn parse_addresses(value: &[u8], addressees_max: usize) -> Vec<Addressee> {
    let mut parser = Parser { reader: Reader { rest: value }, ..Parser::default() };
    while parser.found.len() < addressees_max && parser.step() {}
    let mut found = parser.finish();
    if found.len() > addressees_max {
        found.truncate(addressees_max);
        close_group(&mut found);
    }
    found
}

/// A list cut off inside a group has its last entry replaced by the group's end; a group that would be empty goes.
fn close_group(found: &mut Vec<Addressee>) {
    let opened = found.iter().rposition(|entry| matches!(entry, Addressee::GroupStart { .. }));
    let closed = found.iter().rposition(|entry| matches!(entry, Addressee::GroupEnd));
    if opened > closed {
        let last = found.pop();
        if !matches!(last, Some(Addressee::GroupStart { .. })) {
            found.push(Addressee::GroupEnd);
        }
    }
}

#[derive(Default)]
struct Parser<'a> {
    reader: Reader<'a>,
    found: Vec<Addressee>,
    /// Words read that may become a display name, a local part or a group's name.
    phrase: Phrase,
    /// Last comment read: the name of an address that has none.
    comment: Vec<u8>,
    /// An address that is complete but for a comment that may follow.
    pending: Option<Addressee>,
    is_in_group: bool,
}

impl<'a> Parser<'a> {
    /// Reads one token; whether there was one.
    fn step(&mut self) -> bool {
        self.phrase.is_spaced |= self.reader.skip_blanks();
        let Some(octet) = self.reader.peek() else { return false };
        match octet {
            b'(' => {
                self.comment = self.reader.comment();
                self.phrase.is_spaced = true;
            }
            b'"' => self.phrase.push(&self.reader.quoted_string(), true),
            b'<' => self.angle_address(),
            b'@' => {
                self.reader.skip(1);
                self.address_without_brackets();
            }
            b',' | b';' | b':' => {
                self.reader.skip(1);
                self.punctuation(octet);
            }
            b'>' | b')' => self.reader.skip(1),
            _ => {
                let word = self.reader.word();
                self.phrase.push(word, false);
            }
        }
        true
    }

    fn finish(mut self) -> Vec<Addressee> {
        self.end_address();
        if self.is_in_group {
            self.found.push(Addressee::GroupEnd);
        }
        self.found
    }

    fn punctuation(&mut self, mark: u8) {
        match mark {
            b':' if !self.is_in_group && self.pending.is_none() => {
                let name = self.phrase.take().text;
                if !name.is_empty() {
                    self.found.push(Addressee::GroupStart { name });
                    self.is_in_group = true;
                }
                self.comment.clear();
            }
            b':' => self.phrase.is_spaced = true,
            _ => {
                self.end_address();
                if mark == b';' && self.is_in_group {
                    self.found.push(Addressee::GroupEnd);
                    self.is_in_group = false;
                }
            }
        }
    }

    /// A comma, semicolon, the end, or another address: what was read is one address.
    fn end_address(&mut self) {
        let phrase = self.phrase.take();
        let comment = std::mem::take(&mut self.comment);
        let comment = (!comment.is_empty()).then_some(comment);
        match self.pending.take() {
            Some(Addressee::Mailbox { name, route, local_part, domain }) => {
                self.found.push(Addressee::Mailbox { name: name.or(comment), route, local_part, domain });
            }
            _ if !phrase.text.is_empty() => self.found.push(Addressee::Mailbox {
                name: comment,
                route: None,
                local_part: phrase.text,
                domain: Vec::new(),
            }),
            _ => {}
        }
    }

    /// `@` after words: the last one is the local part, those before it were meant as a name.
    fn address_without_brackets(&mut self) {
        let mut phrase = self.phrase.take();
        let local_part = phrase.split_local_part();
        if self.pending.is_some() {
            self.end_address();
        }
        // A comment before the at sign is no name; one behind the domain is.
        self.comment.clear();
        let domain = self.reader.domain(&mut self.comment);
        let name = (!phrase.text.is_empty()).then_some(phrase.text);
        self.pending = Some(Addressee::Mailbox { name, route: None, local_part, domain });
    }

    fn angle_address(&mut self) {
        self.reader.skip(1);
        let name = self.phrase.take().text;
        if self.pending.is_some() {
            self.end_address();
        }
        let name = (!name.is_empty()).then_some(name);
        let route = self.reader.route();
        let mut local_part = Phrase::default();
        let mut domain = Vec::new();
        loop {
            local_part.is_spaced |= self.reader.skip_blanks();
            match self.reader.peek() {
                Some(b'>') => {
                    self.reader.skip(1);
                    break;
                }
                None | Some(b',' | b';' | b'<') => break,
                Some(b'(') => {
                    self.reader.comment();
                }
                Some(b'"') => local_part.push(&self.reader.quoted_string(), true),
                Some(b'@') => {
                    self.reader.skip(1);
                    domain = self.reader.domain(&mut Vec::new());
                }
                Some(b':' | b')') => {
                    let mark = self.reader.take(1);
                    local_part.push(mark, false);
                }
                Some(_) => {
                    let word = self.reader.word();
                    local_part.push(word, false);
                }
            }
        }
        let local_part = local_part.without_blanks_at_dots();
        if name.is_some() || !local_part.is_empty() || !domain.is_empty() {
            self.pending = Some(Addressee::Mailbox { name, route, local_part, domain });
        }
    }
}

/// Words with single blanks between them.
#[derive(Default)]
struct Phrase {
    text: Vec<u8>,
    /// Where the last word begins that may be a local part: words joined by dots count as one.
    last_word: usize,
    /// Whether the last word came from a quoted string.
    is_quoted: bool,
    /// Whether a blank stood before the next word.
    is_spaced: bool,
}

impl Phrase {
    fn push(&mut self, word: &[u8], is_quoted: bool) {
        if self.is_spaced && !self.text.is_empty() {
            // RFC 5322 §4.4: an obsolete local part may have blanks around its dots.
            let is_dotted = !is_quoted && (self.text.last() == Some(&b'.') || word.first() == Some(&b'.'));
            self.text.push(b' ');
            if !is_dotted {
                self.last_word = self.text.len();
            }
        }
        self.text.extend_from_slice(word);
        self.is_quoted = is_quoted;
        self.is_spaced = false;
    }

    fn take(&mut self) -> Phrase {
        std::mem::take(self)
    }

    /// Cuts the last word off, as the local part of an address.
    fn split_local_part(&mut self) -> Vec<u8> {
        let word = self.text.split_off(self.last_word.min(self.text.len()));
        self.text.truncate(self.text.trim_ascii_end().len());
        let is_quoted = std::mem::take(&mut self.is_quoted);
        Phrase { text: word, is_quoted, ..Phrase::default() }.without_blanks_at_dots()
    }

    fn without_blanks_at_dots(self) -> Vec<u8> {
        if self.is_quoted || memchr(b'.', &self.text).is_none() {
            return self.text;
        }
        let mut text = Vec::with_capacity(self.text.len());
        let mut octets = self.text.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            let is_at_dot = text.last() == Some(&b'.') || octets.peek() == Some(&b'.');
            if octet != b' ' || !is_at_dot {
                text.push(octet);
            }
        }
        text
    }
}

/// The octets not yet read.
#[derive(Default)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or_default();
    }

    fn take(&mut self, octets: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(octets.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Skips blanks and line ends; whether there were any.
    fn skip_blanks(&mut self) -> bool {
        let blanks = self.rest.iter().take_while(|&&octet| is_blank(octet)).count();
        self.skip(blanks);
        blanks > 0
    }

    /// Reads `(...)` and gives what is inside, comments in it as they stand.
    fn comment(&mut self) -> Vec<u8> {
        self.skip(1);
        let mut text = Vec::new();
        let mut depth = 1;
        while let Some(octet) = self.peek() {
            self.skip(1);
            match octet {
                b'(' if depth < COMMENT_DEPTH_MAX => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.take(1).iter().filter(|octet| !is_line_end(**octet)));
                    continue;
                }
                _ => {}
            }
            if !is_line_end(octet) {
                text.push(octet);
            }
        }
        text.trim_ascii().to_vec()
    }

    /// Reads `"..."` and gives what is inside without backslashes and folds.
    fn quoted_string(&mut self) -> Vec<u8> {
        self.skip(1);
        let mut text = Vec::new();
        while let Some(octet) = self.peek() {
            self.skip(1);
            match octet {
                b'"' => break,
                b'\\' => text.extend(self.take(1).iter().filter(|octet| !is_line_end(**octet))),
                octet if is_line_end(octet) => {}
                other => text.push(other),
            }
        }
        text
    }

    /// A run of ordinary octets, or an encoded-word with whatever stands in it (RFC 2047 §2).
    fn word(&mut self) -> &'a [u8] {
        if let Some(octets) = encoded_word_octets(self.rest) {
            return self.take(octets);
        }
        let octets = self.rest.iter().take_while(|&&octet| !is_blank(octet) && !is_special(octet)).count();
        // An octet that is neither, as a stray bracket, still has to be consumed.
        self.take(octets.max(1))
    }

    /// Reads a domain: words and dots with blanks and comments between them, or a literal in square brackets.
    /// Of the comments the last one is kept: `ann@example.org (Ann Doe)` is a name.
    fn domain(&mut self, comment: &mut Vec<u8>) -> Vec<u8> {
        let mut domain = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'(') => *comment = self.comment(),
                Some(b'[') => {
                    let end = memchr(b']', self.rest).map_or(self.rest.len(), |end| end + 1);
                    domain.extend(self.take(end).iter().filter(|octet| !is_blank(**octet)));
                    return domain;
                }
                Some(octet) if !is_special(octet) => {
                    let is_joined = domain.is_empty() || octet == b'.' || domain.last() == Some(&b'.');
                    if !is_joined {
                        return domain;
                    }
                    let word = self.word();
                    domain.extend_from_slice(word);
                }
                _ => return domain,
            }
        }
    }

    /// The obsolete route `@a,@b:` at the start of an address in brackets (RFC 5322 §4.4), without the colon.
    fn route(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        if self.peek() != Some(b'@') {
            return None;
        }
        let end = self.rest.iter().position(|octet| matches!(octet, b':' | b'>' | b'<' | b'"' | b'('))?;
        if self.rest.get(end) != Some(&b':') {
            return None;
        }
        let route = self.take(end).iter().copied().filter(|&octet| !is_blank(octet)).collect();
        self.skip(1);
        Some(route)
    }
}

/// Octets of the encoded-word the given octets begin with. Its text may hold commas and blanks against RFC 2047: some
/// senders write `=?UTF-8?Q?Doe, Ann?=`. It ends at the first question mark, so looking stays linear.
fn encoded_word_octets(octets: &[u8]) -> Option<usize> {
    let rest = octets.strip_prefix(b"=?")?;
    let charset = rest.iter().position(|&octet| octet == b'?' || is_blank(octet) || is_special(octet))?;
    let [b'?', b'q' | b'Q' | b'b' | b'B', b'?', text @ ..] = rest.get(charset..)? else { return None };
    let end = memchr(b'?', text)?;
    (text.get(end + 1) == Some(&b'=')).then_some(2 + charset + 3 + end + 2)
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0)
}

fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n' | 0)
}

fn is_special(octet: u8) -> bool {
    matches!(octet, b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes addressees as IMAP does.
    fn shown(found: &[Addressee]) -> String {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let optional = |octets: &Option<Vec<u8>>| octets.as_ref().map_or("NIL".into(), |octets| text(octets));
        let shown: Vec<String> = found
            .iter()
            .map(|addressee| match addressee {
                Addressee::Mailbox { name, route, local_part, domain } => {
                    let (name, route) = (optional(name), optional(route));
                    format!("({name}|{route}|{}|{})", text(local_part), text(domain))
                }
                Addressee::GroupStart { name } => format!("({}:", text(name)),
                Addressee::GroupEnd => ";)".to_owned(),
            })
            .collect();
        shown.join(" ")
    }

    fn check(value: &str, expected: &str) {
        assert_eq!(shown(&parse_addresses(value.as_bytes(), 100)), expected, "{value}");
    }

    #[test]
    fn plain_addresses() {
        check("ann@example.org", "(NIL|NIL|ann|example.org)");
        check(
            "Ann Doe <ann@example.org>, bob@example.org",
            "(Ann Doe|NIL|ann|example.org) (NIL|NIL|bob|example.org)",
        );
        check("\"Doe, Ann\" <ann@example.org>", "(Doe, Ann|NIL|ann|example.org)");
        check("\"a \\\"b\\\" \\\\c\" <a@b>", "(a \"b\" \\c|NIL|a|b)");
        check("ann@[192.0.2.1]", "(NIL|NIL|ann|[192.0.2.1])");
        check("Jos\u{e9} <jos\u{e9}@b\u{fc}cher.example>", "(Jos\u{e9}|NIL|jos\u{e9}|b\u{fc}cher.example)");
    }

    #[test]
    fn addresses_of_the_rfcs_appendix() {
        // RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1.
        check(
            "\"Joe Q. Public\" <john.q.public@example.com>",
            "(Joe Q. Public|NIL|john.q.public|example.com)",
        );
        check(
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            "(Mary Smith|NIL|mary|x.test) (NIL|NIL|jdoe|example.org) (Who?|NIL|one|y.test)",
        );
        check(
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            "(A Group: (Ed Jones|NIL|c|a.test) (NIL|NIL|joe|where.test) (John|NIL|jdoe|one.test) ;)",
        );
        check("Undisclosed recipients:;", "(Undisclosed recipients: ;)");
        check("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "(Pete|NIL|pete|silly.test)");
        check(
            "Chris Jones <c@(Chris's host.)public.example>, joe@example.org",
            "(Chris Jones|NIL|c|public.example) (NIL|NIL|joe|example.org)",
        );
        check("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "(Hidden recipients: ;)");
        check("Joe Q. Public <john.q.public@example.com>", "(Joe Q. Public|NIL|john.q.public|example.com)");
        check(
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            "(Mary Smith|@node.test|mary|example.net) (NIL|NIL|jdoe|test.example)",
        );
        check("<@a.test, @b.test : c@d.test>", "(NIL|@a.test,@b.test|c|d.test)");
        check("john . q . public @ example . com", "(NIL|NIL|john.q.public|example.com)");
    }

    #[test]
    fn comments_name_the_nameless() {
        check("user@domain (Real Name)", "(Real Name|NIL|user|domain)");
        check("<user (comment)@ (comment) domain.org>", "(NIL|NIL|user|domain.org)");
        check("user@domain (a (nested) one), b@c", "(a (nested) one|NIL|user|domain) (NIL|NIL|b|c)");
    }

    #[test]
    fn groups_follow_each_other() {
        check(
            "group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;",
            "(group: (NIL|NIL|g1|d1.org) (NIL|NIL|g2|d2.org) ;) (group2: (NIL|NIL|g3|d3.org) ;)",
        );
        check("open: a@b", "(open: (NIL|NIL|a|b) ;)");
        check("a:b:c@d;", "(a: (b|NIL|c|d) ;)");
    }

    #[test]
    fn what_should_not_be_is_read_too() {
        check("", "");
        check(" ,, ; ,", "");
        check("<>", "");
        check("Ann <>", "(Ann|NIL||)");
        check("ann", "(NIL|NIL|ann|)");
        check("<ann>", "(NIL|NIL|ann|)");
        check("Ann Doe ann@example.org", "(Ann Doe|NIL|ann|example.org)");
        check("Ann <ann@example.org", "(Ann|NIL|ann|example.org)");
        check("a@b c@d", "(NIL|NIL|a|b) (NIL|NIL|c|d)");
        check("<a@b> <c@d>", "(NIL|NIL|a|b) (NIL|NIL|c|d)");
        check("a@b; c@d", "(NIL|NIL|a|b) (NIL|NIL|c|d)");
        check("\"unclosed <a@b>", "(NIL|NIL|unclosed <a@b>|)");
        check("(unclosed <a@b>", "");
        check("a@@b", "(NIL|NIL|a|) (NIL|NIL||b)");
        check(")> a@b", "(NIL|NIL|a|b)");
        check("\"two words\"@example.org", "(NIL|NIL|two words|example.org)");
        check("@example.org", "(NIL|NIL||example.org)");
        check("a@[unclosed", "(NIL|NIL|a|[unclosed)");
    }

    #[test]
    fn encoded_words_stay_whole() {
        check("=?UTF-8?Q?Doe,_Ann?= <a@b>", "(=?UTF-8?Q?Doe,_Ann?=|NIL|a|b)");
        check(
            "=?UTF-8?Q?Doe, Ann?= =?utf-8?b?QQ==?= <a@b>",
            "(=?UTF-8?Q?Doe, Ann?= =?utf-8?b?QQ==?=|NIL|a|b)",
        );
        check("=?broken <a@b>", "(=?broken|NIL|a|b)");
    }

    #[test]
    fn addressees_are_bounded() {
        for count in [9, 10, 11] {
            let list = vec!["a@b"; count].join(",");
            assert_eq!(parse_addresses(list.as_bytes(), 10).len(), count.min(10));
        }
        let group = format!("g:{};", vec!["a@b"; 20].join(","));
        let found = parse_addresses(group.as_bytes(), 10);
        assert_eq!((found.len(), found.last()), (10, Some(&Addressee::GroupEnd)));
        let groups = "g:;".repeat(20);
        assert_eq!(shown(&parse_addresses(groups.as_bytes(), 3)), "(g: ;)");
    }
}
