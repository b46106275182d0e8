//! Whatever clamd, spamd and rspamd answer is read within bounds, and no text of it can begin a line.
#![no_main]

use engines::{clamd, http, rspamd, spamd};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut whole = clamd::AnswerReader::default();
    let at_once = whole.take(octets);
    if let Ok(Some(_)) = at_once {
        let end = octets.iter().position(|octet| *octet == 0).unwrap();
        let mut cut = clamd::AnswerReader::default();
        let pieces: Vec<_> = octets[..=end].iter().map(|octet| cut.take(&[*octet])).collect();
        assert_eq!(pieces.last(), Some(&at_once));
    }
    if let Ok(answer) = spamd::read(octets) {
        assert!(answer.score.is_finite() && answer.rules.len() <= spamd::RULES_MAX);
        assert!(answer.rules.iter().all(|rule| !rule.contains(char::is_control)));
    }
    if let Ok(answer) = rspamd::read(octets) {
        assert!(answer.score.is_finite() && answer.symbols.len() <= rspamd::SYMBOLS_MAX);
        let texts = answer.add_fields.iter().flat_map(|(name, value)| [name, value]);
        assert!(texts.chain(&answer.message).all(|text| !text.contains(char::is_control)));
    }
    let (more, all) = (http::read(octets, false), http::read(octets, true));
    if let Ok(Some(body)) = &more {
        assert!(body.len() <= octets.len());
        assert_eq!(all, more);
    }
});
