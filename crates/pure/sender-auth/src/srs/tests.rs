//! Addresses as postsrsd writes them, there and back; and what strangers make of them.

use mail_types::ADDRESS_OCTETS_MAX;

use super::*;

/// The day on which postsrsd 1.10 was asked for the addresses below: 2026-11-26.
const DAY: u64 = 20_783;

fn secrets() -> Secrets {
    Secrets::new(Secret::from("tops3cret"))
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn rewritten(secrets: &Secrets, text: &str) -> Result<String, SrsError> {
    let domain = DomainName::parse("forward.example").unwrap();
    secrets.rewrite(&ReversePath::Address(address(text)), &domain, DAY).map(|path| path.to_string())
}

fn reversed(secrets: &Secrets, text: &str, day: u64) -> Result<String, SrsError> {
    secrets.reverse(&address(text), day).map(|address| address.to_string())
}

#[test]
fn addresses_are_those_of_postsrsd() {
    for (sender, expected) in [
        ("ann@example.org", "SRS0=9Dav=JP=example.org=ann@forward.example"),
        ("Ann.Smith@Example.ORG", "SRS0=t6We=JP=example.org=Ann.Smith@forward.example"),
        ("a=b=c+d@example.org", "SRS0=Rnli=JP=example.org=a=b=c+d@forward.example"),
        (
            "SRS0=HHHH=TT=a.example=bob@b.example",
            "SRS1=tD+v=b.example==HHHH=TT=a.example=bob@forward.example",
        ),
        (
            "SRS0+HHHH=TT=a.example=bob@b.example",
            "SRS1=PjHQ=b.example=+HHHH=TT=a.example=bob@forward.example",
        ),
        (
            "SRS1=HHHH=b.example==HHHH=TT=a.example=bob@c.example",
            "SRS1=tD+v=b.example==HHHH=TT=a.example=bob@forward.example",
        ),
        ("x@forward.example", "x@forward.example"),
    ] {
        assert_eq!(rewritten(&secrets(), sender).as_deref(), Ok(expected), "{sender}");
    }
    let domain = DomainName::parse("forward.example").unwrap();
    assert_eq!(secrets().rewrite(&ReversePath::Null, &domain, DAY), Ok(ReversePath::Null));
}

#[test]
fn reports_find_their_way_back() {
    for (text, expected) in [
        ("SRS0=9Dav=JP=example.org=ann@forward.example", "ann@example.org"),
        ("srs0+9dav=jp=example.org=ann@forward.example", "ann@example.org"),
        ("SRS0-9Dav=JP=Example.ORG=ann@elsewhere.example", "ann@example.org"),
        ("SRS0=Rnli=JP=example.org=a=b=c+d@forward.example", "a=b=c+d@example.org"),
        (
            "SRS1=tD+v=b.example==HHHH=TT=a.example=bob@forward.example",
            "SRS0=HHHH=TT=a.example=bob@b.example",
        ),
        (
            "SRS1=PjHQ=b.example=+HHHH=TT=a.example=bob@forward.example",
            "SRS0+HHHH=TT=a.example=bob@b.example",
        ),
    ] {
        assert_eq!(reversed(&secrets(), text, DAY).as_deref(), Ok(expected), "{text}");
    }
    for sender in
        ["\"ann smith\"@example.org", "\"a@b\"@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "jörg@example.org"]
    {
        let there = rewritten(&secrets(), sender).unwrap();
        assert_eq!(reversed(&secrets(), &there, DAY).as_deref(), Ok(sender), "{there}");
    }
}

#[test]
fn hashes_may_be_longer_than_ours() {
    let full = full_hash(&Secret::from("tops3cret"), &["JP", "example.org", "ann"]);
    assert_eq!(full.len(), HASH_OCTETS_MAX);
    let with = |hash: &str| reversed(&secrets(), &format!("SRS0={hash}=JP=example.org=ann@f.example"), DAY);
    assert!(with(&full[..HASH_OCTETS]).is_ok());
    assert!(with(&full).is_ok());
    assert_eq!(with(&full[..HASH_OCTETS - 1]), Err(SrsError::Forged));
    assert_eq!(with(&format!("{full}A")), Err(SrsError::Forged));
    assert_eq!(with("9Dav0"), Err(SrsError::Forged));
}

#[test]
fn what_was_not_made_here_leads_nowhere() {
    for (text, expected) in [
        ("ann@example.org", SrsError::NotSrs),
        ("SRS0@example.org", SrsError::NotSrs),
        ("SRS2=9Dav=JP=example.org=ann@forward.example", SrsError::NotSrs),
        ("SRS0=9Dav=JP=example.org=bob@forward.example", SrsError::Forged),
        ("SRS0=9Dav=JP=example.com=ann@forward.example", SrsError::Forged),
        ("SRS0=9Dav=JQ=example.org=ann@forward.example", SrsError::Forged),
        ("SRS0=9Daw=JP=example.org=ann@forward.example", SrsError::Forged),
        ("SRS1=tD+v=c.example==HHHH=TT=a.example=bob@forward.example", SrsError::Forged),
        ("SRS0=9Dav=JP=example.org@forward.example", SrsError::Malformed),
        ("SRS0=9Dav=JP==ann@forward.example", SrsError::Malformed),
        ("SRS0=@forward.example", SrsError::Malformed),
        ("SRS1=tD+v=b.example=HHHH@forward.example", SrsError::Malformed),
        ("SRS1=tD+v=b.example@forward.example", SrsError::Malformed),
    ] {
        assert_eq!(reversed(&secrets(), text, DAY), Err(expected), "{text}");
    }
    assert!(is_rewritten(&address("srs1-x@example.org")));
    assert!(!is_rewritten(&address("srs@example.org")));
    assert_eq!(rewritten(&secrets(), "SRS1=x@example.org"), Err(SrsError::Malformed));
}

#[test]
fn addresses_hold_for_their_days() {
    let text = "SRS0=9Dav=JP=example.org=ann@forward.example";
    let valid = u64::from(VALID_DAYS);
    for (day, holds) in [
        (DAY - 2, false),
        (DAY - 1, true),
        (DAY + valid - 1, true),
        (DAY + valid, true),
        (DAY + valid + 1, false),
        (DAY + DAY_CYCLE - 2, false),
        (DAY + DAY_CYCLE, true),
    ] {
        let expected = if holds { Ok("ann@example.org".to_owned()) } else { Err(SrsError::Expired) };
        assert_eq!(reversed(&secrets(), text, day), expected, "{day}");
    }
    let strict = secrets().with_valid_days(3);
    assert!(reversed(&strict, text, DAY + 3).is_ok());
    assert_eq!(reversed(&strict, text, DAY + 4), Err(SrsError::Expired));
    for asked in [VALID_DAYS_MAX - 1, VALID_DAYS_MAX, VALID_DAYS_MAX + 1] {
        let holds = u64::from(asked.min(VALID_DAYS_MAX));
        let patient = secrets().with_valid_days(asked);
        assert!(reversed(&patient, text, DAY + holds).is_ok(), "{asked}");
        assert_eq!(reversed(&patient, text, DAY + holds + 1), Err(SrsError::Expired), "{asked}");
    }
}

#[test]
fn old_keys_read_but_do_not_write() {
    let text = "SRS0=9Dav=JP=example.org=ann@forward.example";
    let changed = Secrets::new(Secret::from("newer")).with_old(Secret::from("tops3cret"), DAY);
    assert!(reversed(&changed, text, DAY + 21).is_ok());
    assert_eq!(reversed(&changed, text, DAY + 22), Err(SrsError::Forged));
    assert_ne!(rewritten(&changed, "ann@example.org").unwrap(), text);
    let mut many = changed.clone();
    for number in 1..OLD_KEYS_MAX {
        many = many.with_old(Secret::from(number.to_string()), DAY);
    }
    assert!(reversed(&many, text, DAY).is_ok());
    many = many.with_old(Secret::from("last"), DAY);
    assert_eq!(reversed(&many, text, DAY), Err(SrsError::Forged));
}

#[test]
fn an_address_has_an_end() {
    let longest = ADDRESS_OCTETS_MAX - "SRS0=HHHH=TT=example.org=@forward.example".len();
    for (octets, fits) in [(longest - 1, true), (longest, true), (longest + 1, false)] {
        let sender = format!("{}@example.org", "x".repeat(octets));
        assert_eq!(rewritten(&secrets(), &sender).is_ok(), fits, "{octets}");
    }
    let sender = format!("{}@example.org", "x".repeat(longest + 1));
    assert_eq!(rewritten(&secrets(), &sender), Err(SrsError::TooLong));
    // The sender's own comes back whole.
    let sender = format!("{}@example.org", "x".repeat(longest));
    let there = rewritten(&secrets(), &sender).unwrap();
    assert_eq!(there.len(), ADDRESS_OCTETS_MAX);
    assert_eq!(reversed(&secrets(), &there, DAY).unwrap(), sender);
    // What others rewrote may have no room left for our own part.
    let longest = ADDRESS_OCTETS_MAX - "SRS1=HHHH=one.example==HHHH=TT=example.org=@forward.example".len();
    for (octets, fits) in [(longest - 1, true), (longest, true), (longest + 1, false)] {
        let sender = format!("SRS0=HHHH=TT=example.org={}@one.example", "x".repeat(octets));
        assert_eq!(rewritten(&secrets(), &sender).is_ok(), fits, "{octets}");
    }
}
