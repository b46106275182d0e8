//! A server's response as a tree of values (RFC 9051 §7, §9 response).

/// Deepest nesting of lists that is read; BODYSTRUCTURE of a deep message needs some dozen.
const DEPTH_MAX: usize = 512;

/// One response of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response {
    /// `+ text`
    Continuation {
        /// What the server says with it: text, or a challenge in base64.
        text: String,
    },
    /// OK, NO, BAD, BYE or PREAUTH.
    Status {
        /// The command's tag; `None` if untagged.
        tag: Option<String>,
        /// Which of them.
        condition: Condition,
        /// The response code.
        code: Option<Code>,
        /// What people should read.
        text: String,
    },
    /// Data: `* 23 EXISTS`, `* LIST (…) "/" INBOX`.
    Data {
        /// The number before the name, if there is one.
        number: Option<u32>,
        /// The name in capitals.
        name: String,
        /// What follows the name.
        values: Vec<Value>,
    },
}

/// What a status response says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// The server ends the connection.
    Bye,
    /// A greeting that needs no login.
    PreAuth,
}

/// A response code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// The name in capitals.
    pub name: String,
    /// What follows it within the brackets.
    pub values: Vec<Value>,
}

/// A value in a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `NIL`
    Nil,
    /// A word as it stands, numbers, flags and section names included: `\Seen`, `BODY[HEADER.FIELDS (FROM)]<0>`.
    Atom(String),
    /// A quoted string or a literal.
    String(Vec<u8>),
    /// A list in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The text of an atom, or of a string that is UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Atom(text) => Some(text),
            Self::String(octets) => std::str::from_utf8(octets).ok(),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The octets of an atom or a string.
    #[must_use]
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(text) => Some(text.as_bytes()),
            Self::String(octets) => Some(octets),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The number that an atom shows.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match self {
            Self::Atom(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The values of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }
}

impl Response {
    /// The item of this name in a FETCH or STATUS response, in any case: `UID`, `BODY[TEXT]`, `MESSAGES`.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&Value> {
        let Self::Data { values, .. } = self else { return None };
        let items = values.last()?.as_list()?;
        items.chunks_exact(2).find_map(|pair| match pair {
            [Value::Atom(known), value] if known.eq_ignore_ascii_case(name) => Some(value),
            _ => None,
        })
    }

    /// Reads a whole response: its lines without the last line end, its literals in their places.
    /// `None` for what is no response.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let mut words = Words { octets, at: 0 };
        if words.take(b'+') {
            words.take(b' ');
            return Some(Self::Continuation { text: words.rest_as_text() });
        }
        let tag = words.word()?;
        words.space()?;
        let untagged = tag == "*";
        let first = words.word()?.to_ascii_uppercase();
        if let Some(condition) = condition(&first) {
            let (code, text) = words.code_and_text()?;
            return Some(Self::Status { tag: (!untagged).then_some(tag), condition, code, text });
        }
        if !untagged {
            return None;
        }
        let (number, name) = match first.parse::<u32>() {
            Ok(number) => {
                words.space()?;
                (Some(number), words.word()?.to_ascii_uppercase())
            }
            Err(_) => (None, first),
        };
        let values = words.values_until_end()?;
        Some(Self::Data { number, name, values })
    }
}

fn condition(word: &str) -> Option<Condition> {
    Some(match word {
        "OK" => Condition::Ok,
        "NO" => Condition::No,
        "BAD" => Condition::Bad,
        "BYE" => Condition::Bye,
        "PREAUTH" => Condition::PreAuth,
        _ => return None,
    })
}

/// A place in a response.
struct Words<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn take(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        self.at += usize::from(is_next);
        is_next
    }

    fn space(&mut self) -> Option<()> {
        self.take(b' ').then_some(())
    }

    fn rest_as_text(&mut self) -> String {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        self.at = self.octets.len();
        String::from_utf8_lossy(rest).into_owned()
    }

    /// A word up to a space, a parenthesis or a closing bracket; brackets within it belong to it, spaces and all.
    fn word(&mut self) -> Option<String> {
        let start = self.at;
        let mut brackets = 0_usize;
        while let Some(octet) = self.peek() {
            match octet {
                b'[' => brackets += 1,
                b']' if brackets == 0 => break,
                b']' => brackets -= 1,
                b'\r' | b'\n' => break,
                b' ' | b'(' | b')' | b'"' if brackets == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let word = self.octets.get(start..self.at).filter(|word| !word.is_empty())?;
        Some(String::from_utf8_lossy(word).into_owned())
    }

    /// `[SP] ["[" resp-text-code "]" SP] text`; servers leave the text away now and then.
    fn code_and_text(&mut self) -> Option<(Option<Code>, String)> {
        self.take(b' ');
        if !self.take(b'[') {
            return Some((None, self.rest_as_text()));
        }
        let name = self.word()?.to_ascii_uppercase();
        let mut values = Vec::new();
        while self.take(b' ') {
            values.push(self.value()?);
        }
        self.take(b']').then_some(())?;
        self.take(b' ');
        Some((Some(Code { name, values }), self.rest_as_text()))
    }

    fn values_until_end(&mut self) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        while self.at < self.octets.len() {
            // ACL, NAMESPACE and others put lists side by side without a space.
            let after_list = matches!(values.last(), Some(Value::List(_))) && self.peek() == Some(b'(');
            if !self.take(b' ') && !after_list {
                return None;
            }
            // Some servers end a line with a space, for one after an empty SEARCH.
            if self.at < self.octets.len() {
                values.push(self.value()?);
            }
        }
        Some(values)
    }

    /// A value; lists are read in a loop, so that depth is bounded by choice and not by the stack.
    fn value(&mut self) -> Option<Value> {
        let mut open: Vec<Vec<Value>> = Vec::new();
        loop {
            let value = match self.peek()? {
                b'(' if open.len() == DEPTH_MAX => return None,
                b'(' => {
                    self.at += 1;
                    open.push(Vec::new());
                    continue;
                }
                b')' => {
                    self.at += 1;
                    Value::List(open.pop()?)
                }
                b' ' if !open.is_empty() => {
                    self.at += 1;
                    continue;
                }
                _ => self.single()?,
            };
            match open.last_mut() {
                Some(list) => list.push(value),
                None => return Some(value),
            }
        }
    }

    fn single(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => self.quoted().map(Value::String),
            b'{' => self.literal().map(Value::String),
            b'~' if self.octets.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal().map(Value::String)
            }
            _ => {
                let word = self.word()?;
                Some(if word.eq_ignore_ascii_case("NIL") { Value::Nil } else { Value::Atom(word) })
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let octet = self.peek()?;
            self.at += 1;
            match octet {
                b'"' => return Some(text),
                b'\\' => {
                    text.push(self.peek()?);
                    self.at += 1;
                }
                b'\r' | b'\n' => return None,
                _ => text.push(octet),
            }
        }
    }

    fn literal(&mut self) -> Option<Vec<u8>> {
        let rest = self.octets.get(self.at + 1..)?;
        let end = rest.iter().position(|&octet| octet == b'}')?;
        let octets = usize::try_from(crate::command::decimal(rest.get(..end)?)?).ok()?;
        let text = rest.get(end + 1..)?.strip_prefix(b"\r\n")?.get(..octets)?;
        self.at += 1 + end + 3 + octets;
        Some(text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Value {
        Value::Atom(text.to_owned())
    }

    #[test]
    fn status_responses_have_tag_code_and_text() {
        let response = Response::parse(b"A7 OK [COPYUID 38505 304,319:320 3956:3958] Done").unwrap();
        let Response::Status { tag, condition, code, text } = response else { panic!() };
        assert_eq!((tag.as_deref(), condition, text.as_str()), (Some("A7"), Condition::Ok, "Done"));
        let code = code.unwrap();
        assert_eq!(code.name, "COPYUID");
        assert_eq!(code.values, [atom("38505"), atom("304,319:320"), atom("3956:3958")]);
        let Some(Response::Status { tag: None, condition: Condition::Bye, code: None, .. }) =
            Response::parse(b"* BYE Autologout")
        else {
            panic!()
        };
    }

    #[test]
    fn fetch_items_are_found_by_name() {
        let response = Response::parse(
            b"* 12 FETCH (UID 7 FLAGS (\\Seen $Junk) BODY[HEADER.FIELDS (FROM \"TO\")]<0> {5}\r\nab\r\nc MODSEQ (9) X NIL)",
        )
        .unwrap();
        assert_eq!(response.item("uid").unwrap().as_number(), Some(7));
        assert_eq!(response.item("FLAGS").unwrap().as_list().unwrap(), [atom("\\Seen"), atom("$Junk")]);
        let body = response.item("BODY[HEADER.FIELDS (FROM \"TO\")]<0>").unwrap();
        assert_eq!(body.as_octets().unwrap(), b"ab\r\nc");
        assert_eq!(response.item("X"), Some(&Value::Nil));
    }

    #[test]
    fn data_may_have_odd_spaces() {
        let Some(Response::Data { number: None, name, values }) = Response::parse(b"* SEARCH ") else {
            panic!()
        };
        assert_eq!((name.as_str(), values.len()), ("SEARCH", 0));
        let Some(Response::Data { values, .. }) = Response::parse(b"* NAMESPACE ((\"\" \"/\")) NIL NIL")
        else {
            panic!()
        };
        assert_eq!(values.len(), 3);
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("* X {}{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Response::parse(nested(DEPTH_MAX).as_bytes()).is_some());
        assert!(Response::parse(nested(DEPTH_MAX + 1).as_bytes()).is_none());
        assert!(Response::parse(nested(100_000).as_bytes()).is_none());
    }

    #[test]
    fn broken_responses_are_none() {
        for octets in [
            &b""[..],
            b"*",
            b"* ",
            b"* X (",
            b"* X )",
            b"* X \"",
            b"* X {5}\r\nab",
            b"* OK [X",
            b"A1 X",
            b"* X {99999999999999999999}\r\n",
        ] {
            assert_eq!(Response::parse(octets), None, "{}", octets.escape_ascii());
        }
    }
}
