//! A client's octets: any are survived, what is received does not depend on how they arrive, and no more than the limits
//! allow is held. The first octet chooses limits, dialect and how the octets are cut; the second, what the door refuses.
#![no_main]

use imap::{Dialect, Limits, NameEncoding, Received, Receiver, Separator};
use libfuzzer_sys::fuzz_target;

const SMALL: Limits = Limits {
    line_octets_max: 60,
    literal_octets_max: 20,
    literals_max: 3,
    command_octets_max: 100,
    discarded_octets_max: 200,
};

fuzz_target!(|octets: &[u8]| {
    let [choice, refused, octets @ ..] = octets else { return };
    let limits = match choice & 3 {
        0 => SMALL,
        1 => Limits::before_login(),
        _ => Limits::after_login(),
    };
    let dialect = Dialect {
        encoding: if choice & 4 == 0 { NameEncoding::ModifiedUtf7 } else { NameEncoding::Utf8 },
        separator: if choice & 8 == 0 { Separator::Slash } else { Separator::Dot },
    };
    let piece_octets = usize::from(choice >> 4) + 1;
    let whole = receive(limits, dialect, usize::from(*refused), [octets]);
    let pieces = receive(limits, dialect, usize::from(*refused), octets.chunks(piece_octets));
    assert_eq!(whole, pieces);
});

/// What is received, octets of messages joined. The APPEND with this number among all things received is refused.
fn receive<'a>(
    limits: Limits,
    dialect: Dialect,
    refused: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<String> {
    let mut receiver = Receiver::new(limits, dialect);
    let mut story: Vec<String> = Vec::new();
    let mut bad = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            let received = receiver.receive(&mut input);
            match received {
                Received::NeedMore => break,
                Received::AppendOctets(octets) => {
                    let text = octets.escape_ascii().to_string();
                    match story.last_mut().filter(|last| last.starts_with("octets")) {
                        Some(last) => last.push_str(&text),
                        None => story.push(format!("octets {text}")),
                    }
                    continue;
                }
                Received::Bad(told) => {
                    bad.clear();
                    imap::response::write_bad(&mut bad, &told);
                    assert!(
                        bad.ends_with(b"\r\n") && bad.iter().filter(|&&octet| octet == b'\n').count() == 1
                    );
                    story.push(format!("{told:?}"));
                    if told.must_close() {
                        return story;
                    }
                }
                Received::AppendMessage(message) => {
                    story.push(format!("{message:?}"));
                    if story.len() == refused {
                        receiver.refuse_append();
                    }
                }
                Received::Line(line) => story.push(format!("line {}", line.escape_ascii())),
                Received::Command(tagged) => {
                    if tagged.command == imap::Command::Idle {
                        receiver.expect_line();
                    }
                    story.push(format!("{tagged:?}"));
                }
                other => story.push(format!("{other:?}")),
            }
        }
        assert!(input.is_empty());
    }
    story
}
