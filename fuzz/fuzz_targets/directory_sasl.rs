//! SASL exchanges and the texts the directory reads: any octets are survived, an exchange ends, and nobody proves a
//! password that nobody has.
#![no_main]

use directory::sasl::{Channel, ChannelBindings, Exchange, Mechanism, Response, ScramKeys, Step, read_line};
use directory::{AliasSource, AliasTarget, AuthenticationError, NewAccount, Quota};
use libfuzzer_sys::fuzz_target;

/// More messages than any mechanism has.
const MESSAGES_MAX: usize = 6;

fuzz_target!(|octets: &[u8]| {
    let Some((choice, rest)) = octets.split_first() else { return };
    exchange(*choice, rest);
    if let Ok(text) = str::from_utf8(rest) {
        texts(text);
    }
});

fn exchange(choice: u8, octets: &[u8]) {
    let bindings = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: None };
    let mechanism = [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256, Mechanism::ScramSha256Plus]
        [usize::from(choice & 3)];
    let channel = if choice & 4 == 0 { Channel::Trusted } else { Channel::Tls(bindings) };
    let mut exchange = Exchange::new(mechanism, channel, [0; 18]);
    let mut is_over = false;
    for line in octets.split(|&octet| octet == b'\n').take(MESSAGES_MAX) {
        // Either as base64, as it comes, or undone already, so that the fuzzer need not find base64.
        let message = match read_line(line, Response::Following) {
            Ok(message) if choice & 8 != 0 => message,
            _ => line.to_vec(),
        };
        let step = match exchange.on_message(&message) {
            Ok(Step::FindKeys(user)) => exchange.on_keys(ScramKeys::of_nobody(&user, &[7; 32], 4096)),
            other => other,
        };
        assert!(!is_over || step == Err(AuthenticationError::Malformed));
        assert!(!matches!(step, Ok(Step::Proven { .. } | Step::FindKeys(_))));
        is_over |= !matches!(step, Ok(Step::Challenge(_)));
    }
}

fn texts(text: &str) {
    if let Ok(source) = AliasSource::parse(text) {
        assert_eq!(AliasSource::parse(&source.to_string()), Ok(source));
    }
    if let Ok(target) = AliasTarget::parse(text) {
        assert_eq!(AliasTarget::parse(&target.to_string()), Ok(target));
    }
    if let Some(keys) = ScramKeys::from_text(text) {
        assert_eq!(ScramKeys::from_text(&keys.to_text()), Some(keys));
    }
    // Reads the `{SCHEME}` of imported hashes too.
    let _ = NewAccount::parse_line(text, Quota::default());
}
