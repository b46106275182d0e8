//! A client's octets: any are survived, what is received does not depend on how they arrive, and no more than the limits
//! allow is held. The first octet chooses the limits and how the octets are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use managesieve::{BadCommand, Command, Limits, Received, Receiver};

const SMALL: Limits =
    Limits { line_octets_max: 60, literal_octets_max: 20, script_octets_max: 100, discarded_octets_max: 200 };

fuzz_target!(|octets: &[u8]| {
    let [choice, octets @ ..] = octets else { return };
    let limits = match choice & 3 {
        0 => SMALL,
        1 => Limits::before_login(),
        _ => Limits::after_login(65_536),
    };
    let whole = receive(limits, [octets]);
    let pieces = receive(limits, octets.chunks(usize::from(choice >> 2) + 1));
    assert_eq!(whole, pieces);
});

fn receive<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Received> {
    let mut receiver = Receiver::new(limits);
    // A line without all of its end, and two literals, one of which may be a script.
    let literals_octets = limits.literal_octets_max + limits.literal_octets_max.max(limits.script_octets_max);
    let held_octets_max = limits.line_octets_max + literals_octets + 1;
    let mut story = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            let received = receiver.receive(&mut input);
            match &received {
                Received::NeedMore => break,
                Received::Command(command) if matches!(**command, Command::Authenticate { .. }) => {
                    receiver.expect_response();
                }
                Received::Bad(BadCommand::OutOfStep) => {
                    story.push(received);
                    return story;
                }
                _ => {}
            }
            story.push(received);
        }
        assert!(input.is_empty());
        assert!(receiver.held_octets() <= held_octets_max);
    }
    story
}
