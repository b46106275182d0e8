//! Whatever a filter answers, and wherever the reads end, it means the same, stays within bounds, and what is written to it
//! are packets.
#![no_main]

use engines::Nonsense;
use engines::milter::{ClientAddress, Heard, Next, Session, Verdict};
use libfuzzer_sys::fuzz_target;

const KNOWN: &[(&str, &str)] = &[("j", "mail.example.org"), ("i", "17"), ("rcpt_addr", "bob@example.org")];

fuzz_target!(|octets: &[u8]| {
    let Some((cut, input)) = octets.split_first() else { return };
    let whole = talk(&[input]);
    let pieces: Vec<&[u8]> = input.chunks(usize::from(*cut).max(1)).collect();
    assert_eq!(whole, talk(&pieces));
});

/// Goes through a session as far as the answers carry it.
fn talk(pieces: &[&[u8]]) -> (Vec<Result<Heard, Nonsense>>, Vec<u8>) {
    let mut out = Vec::new();
    let mut session = Session::begin(&mut out);
    let mut heard = Vec::new();
    let (mut step, mut awaits) = (0, true);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            while !awaits && step < 12 {
                awaits = say(&mut session, step, &mut out) == Next::Listen;
                step += 1;
            }
            if rest.is_empty() {
                break;
            }
            match session.hear(rest) {
                Ok((taken, one)) => {
                    rest = &rest[taken..];
                    if let Some(one) = one {
                        awaits = matches!(one, Heard::Progress | Heard::Modification(_));
                        heard.push(Ok(one));
                    }
                }
                Err(nonsense) => {
                    heard.push(Err(nonsense));
                    return (heard, out);
                }
            }
        }
    }
    for one in heard.iter().flatten() {
        if let Heard::Verdict(Verdict::Refuse(reply)) = one {
            assert!((400..600).contains(&reply.code.value()));
        }
    }
    session.quit(&mut out);
    check_packets(&out);
    (heard, out)
}

fn say(session: &mut Session, step: u32, out: &mut Vec<u8>) -> Next {
    let client = ClientAddress::Inet(([192, 0, 2, 1], 25).into());
    match step {
        0 => session.connect("[192.0.2.1]", client, KNOWN, out),
        1 => session.hello("client.example", KNOWN, out),
        2 => session.unknown("WHAT", out),
        3 => session.sender("<a@b.example>", &["SIZE=5"], KNOWN, out),
        4 => session.recipient("<bob@example.org>", &[], KNOWN, out),
        5 => session.refused_recipient("<x@example.org>", KNOWN, out),
        6 => session.data(KNOWN, out),
        7 => session.field(b"Subject", b" a\r\n b", out),
        8 => session.end_of_header(KNOWN, out),
        9 | 10 => session.body(b"text\r\n", out),
        _ => session.end_of_message(KNOWN, out),
    }
}

fn check_packets(mut out: &[u8]) {
    while !out.is_empty() {
        let length = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
        assert!(length > 0);
        out = &out[4 + length..];
    }
}
