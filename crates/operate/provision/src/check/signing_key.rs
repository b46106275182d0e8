//! Whether others find the keys that our signatures are checked with (RFC 6376 §3.6.1).

use super::{quoted, texts_of, to_add, to_replace};
use crate::finding::Finding;
use crate::record::{Purpose, Wanted};
use crate::world::Served;
use dns::RecordData;

pub(super) fn judge(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    let Some(RecordData::Text(own)) = wanted.values.first() else { return Vec::new() };
    let own_key = key_of(own);
    let found = texts_of(served, |text| key_of(text).is_some());
    let is_retired = wanted.purpose == Purpose::RetiredKey;
    match found.as_slice() {
        [] if is_retired => vec![Finding::advice(
            &title,
            "the former key is gone already",
            "signatures of mail that is still under way cannot be checked",
            to_add(wanted) + ", for a week",
        )],
        [] => vec![Finding::wrong(
            &title,
            "the key is not there",
            "signatures cannot be checked: mail looks forged, and large providers refuse it; a new key waits and signs nothing",
            to_add(wanted),
        )],
        [text] if key_of(text) == own_key => vec![Finding::right(&title, "the key is there")],
        [text] => vec![Finding::wrong(
            &title,
            wrong_key(text),
            "every signature counts as broken",
            to_replace(wanted),
        )],
        _ => vec![Finding::wrong(
            &title,
            "there are several records",
            "others take whichever they like, and signatures fail by chance (RFC 6376 §3.6.2.2)",
            to_replace(wanted),
        )],
    }
}

fn wrong_key(text: &[u8]) -> String {
    match key_of(text) {
        Some((_, key)) if key.is_empty() => "the key is revoked there (an empty p=)".to_owned(),
        _ => format!("another key is there, or a part of the key: {}", quoted(text)),
    }
}

/// The algorithm and the key of a record, blanks left out; `None` where there is no key tag.
fn key_of(text: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let tag = |name: &str| {
        text.split(';').find_map(|tag| {
            let (key, value) = tag.split_once('=')?;
            (key.trim() == name).then(|| value.chars().filter(|c| !c.is_whitespace()).collect::<String>())
        })
    };
    let key = tag("p")?;
    Some((tag("k").unwrap_or_else(|| "rsa".to_owned()).to_ascii_lowercase(), key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dns::{Name, Told};

    use super::*;
    use crate::finding::Status;

    fn check(purpose: Purpose, texts: &[&str]) -> (Status, String) {
        let text = |text: &str| RecordData::Text(text.as_bytes().to_vec());
        let name = Name::parse("s._domainkey.example.org").unwrap();
        let wanted = Wanted::new(name, purpose, vec![text("v=DKIM1; k=rsa; p=AbC+/=")]);
        let told = match texts {
            [] => Told::NoSuchName,
            texts => Told::Records {
                records: texts.iter().map(|t| text(t)).collect(),
                ttl: Duration::from_secs(1),
            },
        };
        let finding = judge(&wanted, &Served { told, alias: None, differing: Vec::new() }).remove(0);
        (finding.status, finding.what)
    }

    #[test]
    fn a_key_is_right_however_it_is_written() {
        for text in
            ["v=DKIM1; k=rsa; p=AbC+/=", "p=Ab C+/=", "k=RSA;p=AbC+/=; n=note; t=s", "v=DKIM1;p=AbC+/=;"]
        {
            assert_eq!(check(Purpose::SigningKey, &[text]).0, Status::Right, "{text}");
        }
        assert_eq!(check(Purpose::SigningKey, &["site-verification=1", "p=AbC+/="]).0, Status::Right);
    }

    #[test]
    fn other_keys_are_wrong() {
        for (texts, what) in [
            (&[][..], "not there"),
            (&["v=DKIM1; k=rsa; p="], "revoked"),
            (&["v=DKIM1; k=rsa; p=AbC"], "another key"),
            (&["v=DKIM1; k=ed25519; p=AbC+/="], "another key"),
            (&["p=AbC+/=", "p=AbC+/="], "several"),
            (&["hello"], "not there"),
        ] {
            let (status, told) = check(Purpose::SigningKey, texts);
            assert!(status == Status::Wrong && told.contains(what), "{texts:?}: {told}");
        }
        assert_eq!(check(Purpose::RetiredKey, &[]).0, Status::Advice);
    }
}
