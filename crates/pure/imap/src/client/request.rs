//! A client's command, word by word, whatever octets its arguments hold.

use crate::utf7;

/// How a client sends literals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Literals {
    /// Waiting for a continuation request before each.
    Synchronising,
    /// Without waiting (RFC 7888); the server must have LITERAL+, or LITERAL- and the literal be small.
    NonSynchronising,
}

/// A command in the making.
#[derive(Clone, Debug)]
pub struct Request {
    literals: Literals,
    pieces: Vec<Vec<u8>>,
}

impl Request {
    /// Begins a command: `verb` may be several words, as `UID FETCH`.
    #[must_use]
    pub fn new(tag: &str, verb: &str, literals: Literals) -> Self {
        Self { literals, pieces: vec![format!("{tag} {verb}").into_bytes()] }
    }

    /// Adds an argument as it stands: a number, a set, flags, a list.
    #[must_use]
    pub fn plain(mut self, text: &str) -> Self {
        let line = self.line();
        line.push(b' ');
        line.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a string: quoted if it can be, else a literal.
    #[must_use]
    pub fn string(mut self, octets: &[u8]) -> Self {
        let may_be_quoted = octets.len() <= 1_000
            && octets.is_ascii()
            && !octets.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
        if !may_be_quoted {
            return self.literal(octets);
        }
        let line = self.line();
        line.extend_from_slice(b" \"");
        for &octet in octets {
            if matches!(octet, b'"' | b'\\') {
                line.push(b'\\');
            }
            line.push(octet);
        }
        line.push(b'"');
        self
    }

    /// Adds a mailbox name in modified UTF-7.
    #[must_use]
    pub fn mailbox(self, name: &str) -> Self {
        self.string(utf7::encode(name).as_bytes())
    }

    /// Adds a literal.
    #[must_use]
    pub fn literal(mut self, octets: &[u8]) -> Self {
        let plus = if self.literals == Literals::NonSynchronising { "+" } else { "" };
        let announcement = format!(" {{{}{plus}}}\r\n", octets.len());
        self.line().extend_from_slice(announcement.as_bytes());
        if self.literals == Literals::Synchronising {
            self.pieces.push(Vec::new());
        }
        self.line().extend_from_slice(octets);
        self
    }

    /// The command in pieces: a client waits for a continuation request after each but the last.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.line().extend_from_slice(b"\r\n");
        self.pieces
    }

    fn line(&mut self) -> &mut Vec<u8> {
        if self.pieces.is_empty() {
            self.pieces.push(Vec::new());
        }
        let last = self.pieces.len() - 1;
        // There is at least one piece by the lines above.
        &mut self.pieces[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: Request) -> Vec<String> {
        request.finish().into_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn strings_go_quoted_or_as_literals() {
        let request = |literals| {
            Request::new("A1", "LOGIN", literals).string(b"a\"b\\c").string("ü".as_bytes()).plain("(x)")
        };
        assert_eq!(text(request(Literals::NonSynchronising)), ["A1 LOGIN \"a\\\"b\\\\c\" {2+}\r\nü (x)\r\n"]);
        assert_eq!(text(request(Literals::Synchronising)), ["A1 LOGIN \"a\\\"b\\\\c\" {2}\r\n", "ü (x)\r\n"]);
        assert_eq!(
            text(Request::new("A1", "SELECT", Literals::Synchronising).mailbox("Entwürfe")),
            ["A1 SELECT \"Entw&APw-rfe\"\r\n"]
        );
    }
}
