//! The EICAR test file: 68 octets that every scanner calls a virus and that are none.

/// Longest file that still is one: blanks may follow, to 128 octets in all.
pub(crate) const EICAR_OCTETS_MAX: usize = 128;

/// The file in two halves, so that no scanner takes this program for it.
const EICAR: [&[u8]; 2] = [b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!$H+H*"];

/// Whether a whole content is the test file: at its beginning, and nothing but blanks behind it.
pub(crate) fn is_eicar(content: &[u8]) -> bool {
    let [first, second] = EICAR;
    let behind = content.strip_prefix(first).and_then(|rest| rest.strip_prefix(second));
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0x1a);
    content.len() <= EICAR_OCTETS_MAX && behind.is_some_and(|behind| behind.iter().all(is_blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_says() {
        let eicar = EICAR.concat();
        assert_eq!(eicar.len(), 68);
        for (blanks, expected) in [(0, true), (59, true), (60, true), (61, false)] {
            let mut content = eicar.clone();
            content.resize(68 + blanks, b' ');
            assert_eq!(is_eicar(&content), expected, "{blanks}");
        }
        assert!(!is_eicar(&eicar[1..]) && !is_eicar(b"") && !is_eicar(&[eicar.as_slice(), b"x"].concat()));
        assert!(!is_eicar(&[b" ", eicar.as_slice()].concat()));
        assert!(is_eicar(&[eicar.as_slice(), b"\r\n\x1a"].concat()));
    }
}
