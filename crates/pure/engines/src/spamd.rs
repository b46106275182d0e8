//! spamd's protocol (SPAMC/1.5): a message behind a small header, a score and the names of rules that fired.

use crate::Nonsense;

/// Longest answer. SpamAssassin has some thousand rules, of which some dozens fire.
pub const ANSWER_OCTETS_MAX: usize = 64 * 1024;
/// Most names of rules that are kept.
pub const RULES_MAX: usize = 200;

/// Writes what goes in front of a message of so many octets, for the user whose settings are asked for, if any.
pub fn write_request(octets: u64, user: Option<&str>, out: &mut Vec<u8>) {
    out.extend(format!("SYMBOLS SPAMC/1.5\r\nContent-length: {octets}\r\n").into_bytes());
    if let Some(user) = user.filter(|user| !user.chars().any(char::is_control)) {
        out.extend(format!("User: {user}\r\n").into_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What spamd found.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Whether it calls the message spam.
    pub is_spam: bool,
    /// Its points.
    pub score: f32,
    /// The points from which on it calls a message spam.
    pub required: f32,
    /// The rules that fired.
    pub rules: Vec<String>,
}

/// Reads an answer that has come whole: spamd closes the connection behind it.
///
/// # Errors
/// [`Nonsense`].
pub fn read(octets: &[u8]) -> Result<Answer, Nonsense> {
    if octets.len() > ANSWER_OCTETS_MAX {
        return Err(Nonsense::TooLong);
    }
    let text = std::str::from_utf8(octets).map_err(|_| Nonsense::Malformed)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(Nonsense::CutShort)?;
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().split(' ');
    let is_fine = status.next().is_some_and(|word| word.starts_with("SPAMD/")) && status.next() == Some("0");
    if !is_fine {
        return Err(Nonsense::Malformed);
    }
    let mut answer = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Err(Nonsense::Malformed) };
        if name.eq_ignore_ascii_case("Spam") {
            answer = Some(read_score(value)?);
        } else if name.eq_ignore_ascii_case("Content-length") {
            let length: usize = value.trim().parse().map_err(|_| Nonsense::Malformed)?;
            if body.len() < length {
                return Err(Nonsense::CutShort);
            }
        }
    }
    let mut answer = answer.ok_or(Nonsense::Malformed)?;
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic());
    let names = body.split([',', '\r', '\n']).map(str::trim).filter(is_name);
    answer.rules = names.take(RULES_MAX).map(str::to_owned).collect();
    Ok(answer)
}

/// `True ; 12.3 / 5.0`.
fn read_score(value: &str) -> Result<Answer, Nonsense> {
    let (word, numbers) = value.split_once(';').ok_or(Nonsense::Malformed)?;
    let (score, required) = numbers.split_once('/').ok_or(Nonsense::Malformed)?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f32| number.is_finite());
    Ok(Answer {
        is_spam: matches!(word.trim(), "True" | "Yes"),
        score: number(score).ok_or(Nonsense::Malformed)?,
        required: number(required).ok_or(Nonsense::Malformed)?,
        rules: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_and_the_rules_are_read() {
        let wire = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 24\r\nSpam: True ; 1000.5 / 5.0\r\n\r\nGTUBE,NO_RELAYS,MISSING\r\n";
        let answer = read(wire).unwrap();
        assert!(answer.is_spam);
        assert_eq!((answer.score, answer.required), (1000.5, 5.0));
        assert_eq!(answer.rules, ["GTUBE", "NO_RELAYS", "MISSING"]);
        let clean = read(b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1.9 / 5.0\r\n\r\n\r\n").unwrap();
        assert_eq!((clean.is_spam, clean.score, clean.rules.len()), (false, -1.9, 0));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for (wire, fault) in [
            (&b"SPAMD/1.0 76 Bad header line\r\n\r\n"[..], Nonsense::Malformed),
            (b"SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\n\r\n\r\n", Nonsense::Malformed),
            (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; NaN / 5.0\r\n\r\n", Nonsense::Malformed),
            (b"SPAMD/1.1 0 EX_OK\r\nSpam: True\r\n\r\n", Nonsense::Malformed),
            (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\nContent-length: 9\r\n\r\nA", Nonsense::CutShort),
            (b"SPAMD/1.1 0 EX_OK\r\n", Nonsense::CutShort),
            (b"", Nonsense::CutShort),
            (b"HTTP/1.1 200 OK\r\n\r\n", Nonsense::Malformed),
        ] {
            assert_eq!(read(wire), Err(fault), "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn an_answer_and_its_rules_have_bounds() {
        let wire = |rules: usize| {
            [&b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\n\r\n"[..], &b"A,".repeat(rules)].concat()
        };
        let count = |rules| read(&wire(rules)).map(|answer| answer.rules.len());
        assert_eq!([RULES_MAX - 1, RULES_MAX, RULES_MAX + 1].map(count), [Ok(199), Ok(200), Ok(200)]);
        let mut octets = wire(0);
        octets.resize(ANSWER_OCTETS_MAX, b' ');
        assert!(read(&octets).is_ok());
        octets.push(b' ');
        assert_eq!(read(&octets), Err(Nonsense::TooLong));
    }
}
