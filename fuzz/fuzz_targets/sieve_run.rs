//! A script and a message, parted by an empty text: whatever they are, the run ends within its cost, and the message is
//! kept if anything went wrong.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sieve::message::{Message, MessageLimits};
use sieve::{Action, Detail, Dialect, EmptyWorld, Stage, compile, run};

/// What parts the two.
const BORDER: &[u8] = b"\n--message--\n";

fuzz_target!(|octets: &[u8]| {
    let at = octets.windows(BORDER.len()).position(|window| window == BORDER);
    let (script, message) = match at {
        Some(at) => (&octets[..at], &octets[at + BORDER.len()..]),
        None => (octets, &b"From: a@b.example\r\nSubject: x\r\n\r\nbody\r\n"[..]),
    };
    let mut dialect = Dialect::default();
    dialect.bounds.cost_max = 200_000;
    dialect.bounds.regex_octets_max = 1 << 14;
    let Ok(script) = compile(script, &dialect) else { return };
    let Ok(mut message) = Message::from_octets(message, MessageLimits::default()) else { return };
    let stage = Stage { name: "script".to_owned(), script: Arc::new(script) };
    let outcome = run(&[stage], &mut message, &EmptyWorld, &dialect, Detail::Steps);
    assert!(outcome.actions.len() <= dialect.bounds.actions_max + 1);
    for edition in outcome.actions.iter().filter_map(|decided| decided.edition.as_ref()) {
        // What an action was given can be read, whatever became of the message since.
        let all = message::Span::new(0, edition.octets());
        let octets = edition.read(message.source(), all).expect("a source in memory");
        assert_eq!(octets.len() as u64, edition.octets());
    }
    let is_kept = outcome.actions.iter().any(|decided| matches!(decided.action, Action::Keep { .. }));
    assert!(is_kept || !outcome.faults.iter().any(|fault| fault.ends_script));
});
