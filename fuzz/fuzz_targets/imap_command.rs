//! A command's octets, whole: any are survived in every dialect, and what is refused is told in one line.
#![no_main]

use imap::{Command, Dialect, NameEncoding, Separator, TaggedCommand};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for encoding in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        for separator in [Separator::Slash, Separator::Dot] {
            let dialect = Dialect { encoding, separator };
            match TaggedCommand::parse(octets, dialect) {
                Ok(tagged) => look(&tagged.command, dialect),
                Err(bad) => {
                    let mut out = Vec::new();
                    imap::response::write_bad(&mut out, &bad);
                    assert!(
                        out.ends_with(b"\r\n") && out.iter().filter(|&&octet| octet == b'\n').count() == 1
                    );
                }
            }
        }
    }
});

fn look(command: &Command, dialect: Dialect) {
    match command {
        Command::Fetch(fetch) => {
            assert!(!fetch.attributes.is_empty());
            let _ = fetch.set.uids(Some(mail_types::Uid(9)));
            let _ = fetch.set.sequence_numbers(9);
        }
        // A name that was read is written so that it reads the same.
        Command::Subscribe(name) => {
            let mut out = Vec::new();
            imap::response::write_quota_root(&mut out, name, &[], dialect);
            let on_wire =
                out.strip_prefix(b"* QUOTAROOT ").and_then(|rest| rest.strip_suffix(b"\r\n")).unwrap();
            let again = TaggedCommand::parse(&[b"a SUBSCRIBE ", on_wire].concat(), dialect).unwrap();
            assert_eq!(&again.command, command);
        }
        Command::List(list) => {
            for pattern in &list.patterns {
                let _ = pattern.matches(&mail_types::MailboxName::inbox());
            }
        }
        _ => {}
    }
}
