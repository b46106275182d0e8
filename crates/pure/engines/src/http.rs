//! As much of HTTP/1.1 as it takes to post a message and read one bounded answer (RFC 9112).

use crate::Nonsense;

/// Longest answer, its header included.
pub const ANSWER_OCTETS_MAX: usize = 1024 * 1024;
/// Longest header of an answer.
pub const HEADER_OCTETS_MAX: usize = 16 * 1024;

/// Writes what goes in front of `octets` octets that are posted to `path`. A value with line ends is left out.
pub fn write_post(path: &str, host: &str, octets: u64, fields: &[(&str, &str)], out: &mut Vec<u8>) {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {octets}\r\nConnection: close\r\n");
    out.extend(head.into_bytes());
    for (name, value) in fields {
        if !value.chars().any(char::is_control) {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads the body of an answer that has come whole or up to the end of the connection; `None` while more has to come.
///
/// # Errors
/// [`Nonsense`]; also where the status is not 200.
pub fn read(octets: &[u8], is_all: bool) -> Result<Option<Vec<u8>>, Nonsense> {
    if octets.len() > ANSWER_OCTETS_MAX {
        return Err(Nonsense::TooLong);
    }
    let more = || if is_all { Err(Nonsense::CutShort) } else { Ok(None) };
    let Some(end) = octets.windows(4).take(HEADER_OCTETS_MAX).position(|four| four == b"\r\n\r\n") else {
        return if octets.len() > HEADER_OCTETS_MAX { Err(Nonsense::TooLong) } else { more() };
    };
    let (head, body) = octets.split_at(end + 4);
    let head = std::str::from_utf8(head).map_err(|_| Nonsense::Malformed)?;
    match framing(head)? {
        Framing::Length(length) => match body.get(..length) {
            Some(whole) => Ok(Some(whole.to_vec())),
            None => more(),
        },
        Framing::Chunks => match chunks(body)? {
            Some(whole) => Ok(Some(whole)),
            None => more(),
        },
        Framing::ToTheEnd => Ok(is_all.then(|| body.to_vec())),
    }
}

/// Where a body ends.
enum Framing {
    Length(usize),
    Chunks,
    ToTheEnd,
}

fn framing(head: &str) -> Result<Framing, Nonsense> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !(status.starts_with("HTTP/1.1 200") || status.starts_with("HTTP/1.0 200")) {
        return Err(Nonsense::Malformed);
    }
    let mut framing = Framing::ToTheEnd;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        // RFC 9112 §6.3: chunks go before a length.
        if name.eq_ignore_ascii_case("Transfer-Encoding") {
            framing = Framing::Chunks;
        } else if name.eq_ignore_ascii_case("Content-Length") && !matches!(framing, Framing::Chunks) {
            let length = value.trim().parse().ok().filter(|length| *length <= ANSWER_OCTETS_MAX);
            framing = Framing::Length(length.ok_or(Nonsense::TooLong)?);
        }
    }
    Ok(framing)
}

/// RFC 9112 §7.1.
fn chunks(mut body: &[u8]) -> Result<Option<Vec<u8>>, Nonsense> {
    let mut whole = Vec::new();
    loop {
        let Some(end) = body.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let (line, rest) = body.split_at(end);
        let digits = line.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
        let digits = std::str::from_utf8(digits).map_err(|_| Nonsense::Malformed)?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| Nonsense::Malformed)?;
        if length > ANSWER_OCTETS_MAX {
            return Err(Nonsense::TooLong);
        }
        if length == 0 {
            return Ok(Some(whole));
        }
        let rest = rest.get(2..).unwrap_or_default();
        let (Some(chunk), Some(after)) = (rest.get(..length), rest.get(length + 2..)) else {
            return Ok(None);
        };
        whole.extend_from_slice(chunk);
        body = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(wire: &str, is_all: bool) -> Result<Option<String>, Nonsense> {
        read(wire.as_bytes(), is_all).map(|body| body.map(|body| String::from_utf8(body).unwrap()))
    }

    #[test]
    fn a_body_ends_where_its_header_says() {
        let text = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}...", false), text("{}"));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", false), Ok(None));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", true), Err(Nonsense::CutShort));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n";
        assert_eq!(body(&format!("{chunked}0\r\n\r\n"), false), text("{}"));
        assert_eq!(body(chunked, false), Ok(None));
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\n{}", false), Ok(None));
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\n{}", true), text("{}"));
        for nonsense in [
            "HTTP/1.1 403 No\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert_eq!(body(nonsense, true), Err(Nonsense::Malformed), "{nonsense}");
        }
    }

    #[test]
    fn an_answer_has_bounds() {
        let of = |octets: usize| {
            let head = "HTTP/1.1 200 OK\r\n\r\n";
            read(&[head.as_bytes(), &vec![b'x'; octets - head.len()]].concat(), true).map(|_| ())
        };
        assert_eq!((of(ANSWER_OCTETS_MAX - 1), of(ANSWER_OCTETS_MAX)), (Ok(()), Ok(())));
        assert_eq!(of(ANSWER_OCTETS_MAX + 1), Err(Nonsense::TooLong));
        let endless = |octets| read(&vec![b'x'; octets], false);
        assert_eq!(
            (endless(HEADER_OCTETS_MAX), endless(HEADER_OCTETS_MAX + 1)),
            (Ok(None), Err(Nonsense::TooLong))
        );
    }

    #[test]
    fn no_value_begins_a_line() {
        let mut out = Vec::new();
        write_post("/checkv2", "x", 3, &[("Helo", "a\r\nB: c"), ("From", "a@b.example")], &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("B: c"));
        assert!(text.ends_with("Connection: close\r\nFrom: a@b.example\r\n\r\n"));
    }
}
