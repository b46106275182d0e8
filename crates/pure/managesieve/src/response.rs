//! What the server writes: answers with their codes, capabilities, lists, scripts (RFC 5804 §1.2, §1.3).

use mail_types::ScriptName;

/// Longest string that is quoted (RFC 5804 §4, `quoted`); longer ones are literals.
const QUOTED_OCTETS_MAX: usize = 1_024;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// The connection ends.
    Bye,
}

/// What an answer tells a program (RFC 5804 §1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code<'a> {
    /// TLS has to come first.
    EncryptNeeded,
    /// It would take too much room.
    Quota,
    /// There are as many scripts as there may be.
    QuotaMaxScripts,
    /// The script is larger than scripts may be.
    QuotaMaxSize,
    /// The last message of a SASL exchange that has succeeded, in base64.
    Sasl(&'a str),
    /// Not now, but perhaps later.
    TryLater,
    /// The script is active.
    Active,
    /// There is no such script.
    NonExistent,
    /// There is such a script already.
    AlreadyExists,
    /// What NOOP brought.
    Tag(&'a [u8]),
    /// The script is taken, but something about it is odd.
    Warnings,
}

/// Writes an answer. The text is for people.
pub fn write(out: &mut Vec<u8>, condition: Condition, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(match condition {
        Condition::Ok => b"OK",
        Condition::No => b"NO",
        Condition::Bye => b"BYE",
    });
    if let Some(code) = code {
        out.extend_from_slice(b" (");
        code.write(out);
        out.push(b')');
    }
    if !text.is_empty() {
        out.push(b' ');
        write_string(out, text.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

impl Code<'_> {
    fn write(self, out: &mut Vec<u8>) {
        let (name, value): (&str, Option<&[u8]>) = match self {
            Self::EncryptNeeded => ("ENCRYPT-NEEDED", None),
            Self::Quota => ("QUOTA", None),
            Self::QuotaMaxScripts => ("QUOTA/MAXSCRIPTS", None),
            Self::QuotaMaxSize => ("QUOTA/MAXSIZE", None),
            Self::Sasl(message) => ("SASL", Some(message.as_bytes())),
            Self::TryLater => ("TRYLATER", None),
            Self::Active => ("ACTIVE", None),
            Self::NonExistent => ("NONEXISTENT", None),
            Self::AlreadyExists => ("ALREADYEXISTS", None),
            Self::Tag(tag) => ("TAG", Some(tag)),
            Self::Warnings => ("WARNINGS", None),
        };
        out.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            out.push(b' ');
            write_string(out, value);
        }
    }
}

/// Writes one capability (RFC 5804 §1.7).
pub fn write_capability(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    write_string(out, name.as_bytes());
    if let Some(value) = value {
        out.push(b' ');
        write_string(out, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a challenge, which is in base64 already (RFC 5804 §2.1).
pub fn write_challenge(out: &mut Vec<u8>, challenge: &str) {
    write_string(out, challenge.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a line of LISTSCRIPTS (RFC 5804 §2.7).
pub fn write_listed(out: &mut Vec<u8>, name: &ScriptName, is_active: bool) {
    write_string(out, name.as_str().as_bytes());
    if is_active {
        out.extend_from_slice(b" ACTIVE");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes what a script says, as GETSCRIPT has it (RFC 5804 §2.9): a literal always, octet for octet.
pub fn write_script(out: &mut Vec<u8>, script: &[u8]) {
    write_literal(out, script);
    out.extend_from_slice(b"\r\n");
}

fn write_string(out: &mut Vec<u8>, octets: &[u8]) {
    let is_quotable = octets.len() <= QUOTED_OCTETS_MAX
        && !octets.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
        && std::str::from_utf8(octets).is_ok();
    if !is_quotable {
        return write_literal(out, octets);
    }
    out.push(b'"');
    for &octet in octets {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

fn write_literal(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(condition: Condition, code: Option<Code<'_>>, text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, condition, code, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn answers_are_written_as_the_grammar_has_them() {
        assert_eq!(written(Condition::Ok, None, ""), "OK\r\n");
        assert_eq!(written(Condition::Bye, Some(Code::TryLater), "Later"), "BYE (TRYLATER) \"Later\"\r\n");
        assert_eq!(
            written(Condition::No, Some(Code::QuotaMaxSize), "say \"no\" \\"),
            "NO (QUOTA/MAXSIZE) \"say \\\"no\\\" \\\\\"\r\n"
        );
        assert_eq!(
            written(Condition::Ok, Some(Code::Tag(b"a\r\nb")), "Done"),
            "OK (TAG {4}\r\na\r\nb) \"Done\"\r\n"
        );
        assert_eq!(written(Condition::Ok, Some(Code::Sasl("dj0=")), ""), "OK (SASL \"dj0=\")\r\n");
        assert_eq!(written(Condition::No, None, "line 1\nline 2"), "NO {13}\r\nline 1\nline 2\r\n");
    }

    #[test]
    fn long_strings_are_literals() {
        for (octets, is_quoted) in [(1_023, true), (1_024, true), (1_025, false)] {
            let text = written(Condition::No, None, &"x".repeat(octets));
            assert_eq!(text.starts_with("NO \""), is_quoted, "{octets}");
        }
    }

    #[test]
    fn lists_and_scripts() {
        let mut out = Vec::new();
        write_listed(&mut out, &ScriptName::parse("a \"b\"").unwrap(), true);
        write_listed(&mut out, &ScriptName::parse("é").unwrap(), false);
        write_script(&mut out, b"keep;\xff\0");
        write_capability(&mut out, "STARTTLS", None);
        write_capability(&mut out, "SASL", Some(""));
        let expected = b"\"a \\\"b\\\"\" ACTIVE\r\n\"\xc3\xa9\"\r\n{7}\r\nkeep;\xff\0\r\n\"STARTTLS\"\r\n\"SASL\" \"\"\r\n";
        assert_eq!(out, expected);
    }
}
