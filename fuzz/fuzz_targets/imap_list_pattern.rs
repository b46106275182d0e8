//! LIST's wildcards: the automaton agrees with the plain meaning, held in a table of pattern by name.
#![no_main]

use imap::ListPattern;
use libfuzzer_sys::fuzz_target;
use mail_types::MailboxName;

fuzz_target!(|input: (&str, &str)| {
    let (pattern, name) = input;
    if pattern.len() > 300 {
        return;
    }
    let Ok(name) = MailboxName::parse(name) else { return };
    let pattern = ListPattern::new(pattern);
    assert_eq!(pattern.matches(&name), by_table(pattern.as_str().as_bytes(), name.as_str().as_bytes()));
});

/// Whether each end of the name can be matched by each end of the pattern, from the back.
fn by_table(pattern: &[u8], name: &[u8]) -> bool {
    let mut behind: Vec<bool> = (0..=name.len()).map(|at| at == name.len()).collect();
    for &wanted in pattern.iter().rev() {
        let mut here = vec![false; name.len() + 1];
        for at in (0..=name.len()).rev() {
            here[at] = match (wanted, name.get(at)) {
                (b'*', Some(_)) => behind[at] || here[at + 1],
                (b'%', Some(&octet)) => behind[at] || (octet != b'/' && here[at + 1]),
                (b'*' | b'%', None) => behind[at],
                (wanted, Some(&octet)) => wanted == octet && behind[at + 1],
                (_, None) => false,
            };
        }
        behind = here;
    }
    behind[0]
}
