//! Reads what one octet of a pattern may be: characters, escapes and classes.

use super::octets::{OctetSet, Place, Sense, escaped, named};

/// What one octet may be here, and what is behind.
pub(super) fn place(text: &[u8]) -> Result<(Place, &[u8]), String> {
    match text {
        [b'[', behind @ ..] => class(behind),
        [b'\\', behind @ ..] => escape(behind).map(|(set, behind)| (Place::one_of(set), behind)),
        [octet, behind @ ..] => Ok((Place::one_of(OctetSet::one(*octet)), behind)),
        [] => Err("its pattern ends early".to_owned()),
    }
}

fn escape(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    let (&letter, behind) = text.split_first().ok_or("its pattern ends in a backslash")?;
    if let Some(set) = escaped(letter) {
        return Ok((set, behind));
    }
    let control = |octet: u8| Ok((OctetSet::one(octet), behind));
    match letter {
        b'n' => control(b'\n'),
        b'r' => control(b'\r'),
        b't' => control(b'\t'),
        b'f' => control(12),
        b'a' => control(7),
        b'e' => control(27),
        b'x' => hexadecimal(behind),
        b'0'..=b'7' => {
            let digits = text.iter().take(3).take_while(|octet| (b'0'..=b'7').contains(*octet)).count();
            let (digits, behind) = text.split_at(digits);
            number(digits, 8).map(|octet| (OctetSet::one(octet), behind))
        }
        b'c' => {
            let (&letter, behind) = behind.split_first().ok_or("its pattern ends early")?;
            Ok((OctetSet::one(letter.to_ascii_uppercase() ^ 64), behind))
        }
        // Any other letter is itself.
        other => control(other),
    }
}

fn hexadecimal(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    if let Some(inner) = text.strip_prefix(b"{") {
        let end = inner.iter().position(|octet| *octet == b'}').ok_or("its pattern ends early")?;
        let (digits, behind) = inner.split_at(end);
        return number(digits, 16).map(|octet| (OctetSet::one(octet), behind.get(1..).unwrap_or_default()));
    }
    let digits = text.iter().take(2).take_while(|octet| octet.is_ascii_hexdigit()).count();
    let (digits, behind) = text.split_at(digits);
    let octet = if digits.is_empty() { 0 } else { number(digits, 16)? };
    Ok((OctetSet::one(octet), behind))
}

fn number(digits: &[u8], radix: u32) -> Result<u8, String> {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u8::from_str_radix(digits, radix).map_err(|_| "its pattern has a character that is no octet".to_owned())
}

/// A class, behind its bracket.
fn class(text: &[u8]) -> Result<(Place, &[u8]), String> {
    const NO_END: &str = "its pattern's class does not end";
    let (sense, mut rest) = match text.strip_prefix(b"^") {
        Some(rest) => (Sense::NotIn, rest),
        None => (Sense::In, text),
    };
    let mut set = OctetSet::empty();
    let mut is_first = true;
    loop {
        if let Some(behind) = rest.strip_prefix(b"]").filter(|_| !is_first) {
            return Ok((Place { set, sense }, behind));
        }
        is_first = false;
        if let Some(inner) = rest.strip_prefix(b"[:")
            && let Some(end) = inner.windows(2).position(|two| two == b":]")
        {
            let name = inner.get(..end).unwrap_or_default();
            let (name, inverts) = name.strip_prefix(b"^").map_or((name, false), |name| (name, true));
            let named = named(name).ok_or("its pattern's class has an unknown name")?;
            set.add(&if inverts { named.inverted() } else { named });
            rest = inner.get(end + 2..).unwrap_or_default();
            continue;
        }
        let (first, behind) = class_item(rest)?;
        rest = behind;
        let bounds = rest.strip_prefix(b"-").filter(|after| !after.starts_with(b"]") && !after.is_empty());
        if let (Some(low), Some(after)) = (first.only(), bounds) {
            let (last, behind) = class_item(after)?;
            if let Some(high) = last.only() {
                if low > high {
                    return Err("its pattern has a range that runs backwards".to_owned());
                }
                set.add(&OctetSet::range(low, high));
                rest = behind;
                continue;
            }
        }
        set.add(&first);
        if rest.is_empty() {
            return Err(NO_END.to_owned());
        }
    }
}

fn class_item(text: &[u8]) -> Result<(OctetSet, &[u8]), String> {
    match text {
        [b'\\', b'b', behind @ ..] => Ok((OctetSet::one(8), behind)),
        [b'\\', b'p' | b'P', ..] => Err("its pattern names kinds of characters".to_owned()),
        [b'\\', behind @ ..] => escape(behind),
        [octet, behind @ ..] => Ok((OctetSet::one(*octet), behind)),
        [] => Err("its pattern's class does not end".to_owned()),
    }
}
