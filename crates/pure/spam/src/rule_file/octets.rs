//! Sets of octets, which is what one place of a pattern can match, and how they are read from and written to patterns.

/// A set of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OctetSet([bool; 256]);

impl OctetSet {
    pub(super) const fn empty() -> OctetSet {
        OctetSet([false; 256])
    }

    pub(super) fn one(octet: u8) -> OctetSet {
        OctetSet::range(octet, octet)
    }

    pub(super) fn range(first: u8, last: u8) -> OctetSet {
        OctetSet::of(|octet| (first..=last).contains(&octet))
    }

    pub(super) fn of(is_in: impl Fn(u8) -> bool) -> OctetSet {
        let mut set = OctetSet::empty();
        for (octet, place) in (0..=255).zip(&mut set.0) {
            *place = is_in(octet);
        }
        set
    }

    pub(super) fn add(&mut self, other: &OctetSet) {
        for (place, is_in) in self.0.iter_mut().zip(other.0) {
            *place |= is_in;
        }
    }

    pub(super) fn inverted(&self) -> OctetSet {
        OctetSet(self.0.map(|is_in| !is_in))
    }

    /// The only octet in it.
    pub(super) fn only(&self) -> Option<u8> {
        let mut octets = self.octets();
        octets.next().filter(|_| octets.next().is_none())
    }

    fn octets(&self) -> impl Iterator<Item = u8> {
        (0..=255).zip(self.0).filter(|(_, is_in)| *is_in).map(|(octet, _)| octet)
    }

    fn write_class(&self, sense: Sense, pattern: &mut String) {
        pattern.push_str(if sense == Sense::In { "[" } else { "[^" });
        let mut octets = self.octets().peekable();
        // The pattern language has no empty class: what is in nothing is not in everything.
        if octets.peek().is_none() {
            pattern.push_str("&&a");
        }
        while let Some(first) = octets.next() {
            let mut last = first;
            while octets.peek().copied() == last.checked_add(1) && last < 255 {
                last = octets.next().unwrap_or(last);
            }
            write_octet(first, pattern);
            if last > first {
                pattern.push('-');
                write_octet(last, pattern);
            }
        }
        pattern.push(']');
    }
}

/// Whether one of a set is meant, or any other. Where the case of letters does not count, the others of a set are not the inverted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    In,
    NotIn,
}

/// What one place of a pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) set: OctetSet,
    pub(super) sense: Sense,
}

impl Place {
    /// One of a set.
    pub(super) fn one_of(set: OctetSet) -> Place {
        Place { set, sense: Sense::In }
    }

    /// Appends a pattern that matches here.
    pub(super) fn write(&self, pattern: &mut String) {
        match (self.sense, self.set.only()) {
            (Sense::In, Some(octet)) => write_octet(octet, pattern),
            (sense, _) => self.set.write_class(sense, pattern),
        }
    }

    /// Appends a pattern that matches one octet that this does not.
    pub(super) fn write_other(&self, pattern: &mut String) {
        let other = if self.sense == Sense::In { Sense::NotIn } else { Sense::In };
        self.set.write_class(other, pattern);
    }
}

fn write_octet(octet: u8, pattern: &mut String) {
    if octet.is_ascii_alphanumeric() || octet == b' ' {
        pattern.push(char::from(octet));
    } else {
        pattern.push_str(&format!("\\x{octet:02x}"));
    }
}

/// The octets of a named class, as in `[:alpha:]`.
pub(super) fn named(name: &[u8]) -> Option<OctetSet> {
    Some(match name {
        b"alpha" => OctetSet::of(|octet| octet.is_ascii_alphabetic()),
        b"digit" => OctetSet::of(|octet| octet.is_ascii_digit()),
        b"alnum" => OctetSet::of(|octet| octet.is_ascii_alphanumeric()),
        b"upper" => OctetSet::of(|octet| octet.is_ascii_uppercase()),
        b"lower" => OctetSet::of(|octet| octet.is_ascii_lowercase()),
        b"punct" => OctetSet::of(|octet| octet.is_ascii_punctuation()),
        b"graph" => OctetSet::of(|octet| octet.is_ascii_graphic()),
        b"print" => OctetSet::of(|octet| (b' '..=b'~').contains(&octet)),
        b"space" => escaped(b's')?,
        b"blank" => escaped(b'h')?,
        b"cntrl" => OctetSet::of(|octet| octet.is_ascii_control()),
        b"xdigit" => OctetSet::of(|octet| octet.is_ascii_hexdigit()),
        b"word" => escaped(b'w')?,
        b"ascii" => OctetSet::of(|octet| octet.is_ascii()),
        _ => return None,
    })
}

/// The octets of an escaped letter that stands for several.
pub(super) fn escaped(letter: u8) -> Option<OctetSet> {
    let set = match letter.to_ascii_lowercase() {
        b'w' => OctetSet::of(|octet| octet.is_ascii_alphanumeric() || octet == b'_'),
        b'd' => OctetSet::range(b'0', b'9'),
        b's' => OctetSet::of(|octet| matches!(octet, b' ' | b'\t'..=b'\r')),
        b'h' => OctetSet::of(|octet| matches!(octet, b' ' | b'\t')),
        b'v' => OctetSet::of(|octet| matches!(octet, b'\n'..=b'\r')),
        b'n' if letter == b'N' => OctetSet::one(b'\n'),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { set.inverted() } else { set })
}
