//! What a session with a filter says and hears, step by step.

use proptest::prelude::*;

use super::*;

/// What was written, a packet a line: its command and its data, NULs as `|`.
fn shown(wire: &[u8]) -> String {
    let (mut reader, mut rest, mut lines) = (PacketReader::new(), wire, Vec::new());
    while !rest.is_empty() {
        let (taken, packet) = reader.next(rest).unwrap();
        rest = &rest[taken..];
        if let Some(packet) = packet {
            let data = String::from_utf8_lossy(&packet.data).replace('\0', "|");
            lines.push(format!("{}{data}", char::from(packet.command)));
        }
    }
    lines.join(" ")
}

fn packet(command: u8, data: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    packet::write(command, &[data], &mut wire);
    wire
}

fn answered(session: &mut Session, command: u8, data: &[u8]) -> Result<Heard, Nonsense> {
    let wire = packet(command, data);
    session.hear(&wire).map(|(_, heard)| heard.unwrap())
}

/// A session with a filter that has agreed on this.
fn session(version: u32, actions: u32, steps: u32, symbols: &[u8]) -> Session {
    let mut session = Session::begin(&mut Vec::new());
    let data = [[version, actions, steps].map(u32::to_be_bytes).as_flattened(), symbols].concat();
    assert_eq!(answered(&mut session, b'O', &data), Ok(Heard::Agreed));
    session
}

const KNOWN: &[Known<'_>] = &[("j", "mail.example.org"), ("i", "17"), ("rcpt_addr", "bob@example.org")];

#[test]
fn a_message_goes_through_all_steps() {
    let mut session = session(6, 0x1ff, 0, b"");
    let mut told = String::new();
    let mut step = |session: &mut Session, say: &mut dyn FnMut(&mut Session, &mut Vec<u8>) -> Next| {
        let mut out = Vec::new();
        assert_eq!(say(session, &mut out), Next::Listen);
        assert_eq!(answered(session, b'c', b""), Ok(Heard::Verdict(Verdict::Continue)));
        told.push_str(&shown(&out));
        told.push('\n');
    };
    let client = ClientAddress::Inet("192.0.2.1:25".parse().unwrap());
    step(&mut session, &mut |session, out| session.connect("[192.0.2.1]", client, KNOWN, out));
    step(&mut session, &mut |session, out| session.hello("client.example", KNOWN, out));
    step(&mut session, &mut |session, out| session.sender("<a@b.example>", &["SIZE=5"], KNOWN, out));
    step(&mut session, &mut |session, out| session.recipient("<bob@example.org>", &[], KNOWN, out));
    step(&mut session, &mut |session, out| session.data(KNOWN, out));
    step(&mut session, &mut |session, out| session.field(b"Subject", b" a\r\n b\0c", out));
    step(&mut session, &mut |session, out| session.end_of_header(KNOWN, out));
    step(&mut session, &mut |session, out| session.body(b"text\r\n", out));
    step(&mut session, &mut |session, out| session.end_of_message(KNOWN, out));
    let expected = "DCj|mail.example.org| C[192.0.2.1]|4\0\u{19}192.0.2.1|\nHclient.example|\nDMi|17| \
                    M<a@b.example>|SIZE=5|\nDR{rcpt_addr}|bob@example.org| R<bob@example.org>|\nDTi|17| T\n\
                    LSubject|a\n bc|\nDNi|17| N\nBtext\r\n\nDEi|17| E\n";
    assert_eq!(told, expected.replace('\0', "|"));
    let mut out = Vec::new();
    session.quit(&mut out);
    assert_eq!(shown(&out), "Q");
}

#[test]
fn steps_that_nobody_wants_are_left_out() {
    let mut out = Vec::new();
    let mut session = session(6, 0, 0x1 | 0x2 | 0x8 | 0x10 | 0x40 | 0x80 | 0x200, b"");
    let client = ClientAddress::Unix;
    assert_eq!(session.connect("x", client, KNOWN, &mut out), Next::GoOn);
    assert_eq!(session.hello("x", KNOWN, &mut out), Next::GoOn);
    assert_eq!(session.data(KNOWN, &mut out), Next::GoOn);
    assert!(out.is_empty());
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
    assert!(answered(&mut session, b'c', b"").is_ok());
    // Seen and not answered.
    assert_eq!(session.field(b"A", b" b", &mut out), Next::GoOn);
    assert!(!session.wants_body());
    assert_eq!(session.end_of_header(KNOWN, &mut out), Next::GoOn);
    assert_eq!(shown(&out), "M<>| LA|b|");
    assert_eq!(session.refused_recipient("<x@y.example>", KNOWN, &mut out), Next::GoOn);
}

#[test]
fn old_filters_see_what_they_know() {
    let mut session = session(2, 0, 0, b"");
    let mut out = Vec::new();
    assert_eq!(session.unknown("VERB x", &mut out), Next::GoOn);
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
    assert!(answered(&mut session, b'c', b"").is_ok());
    assert_eq!(session.data(KNOWN, &mut out), Next::GoOn);
    out.clear();
    session.quit(&mut out);
    assert_eq!(shown(&out), "A Q");
}

#[test]
fn who_has_accepted_sees_no_more_of_the_message() {
    let mut session = session(6, 0, 0, b"");
    let mut out = Vec::new();
    for verdict in *b"ard" {
        assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
        assert!(answered(&mut session, verdict, b"").is_ok());
        out.clear();
        assert_eq!(session.recipient("<a@b.example>", &[], KNOWN, &mut out), Next::GoOn);
        assert_eq!(session.end_of_message(KNOWN, &mut out), Next::GoOn);
        session.abort(&mut out);
        assert!(out.is_empty());
    }
    assert_eq!(session.hello("x", KNOWN, &mut out), Next::Listen);
    assert!(answered(&mut session, b'a', b"").is_ok());
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::GoOn);
}

#[test]
fn a_refused_recipient_leaves_the_others() {
    let mut session = session(6, 0, 0x800, b"");
    let mut out = Vec::new();
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
    assert!(answered(&mut session, b'c', b"").is_ok());
    for verdict in *b"rt" {
        assert_eq!(session.recipient("<a@b.example>", &[], KNOWN, &mut out), Next::Listen);
        assert!(answered(&mut session, verdict, b"").is_ok());
    }
    assert_eq!(session.refused_recipient("<x@y.example>", KNOWN, &mut out), Next::Listen);
    assert!(answered(&mut session, b'c', b"").is_ok());
    out.clear();
    session.abort(&mut out);
    assert_eq!(shown(&out), "A");
}

#[test]
fn enough_of_the_body_is_enough() {
    let mut session = session(6, 0, 0x400, b"");
    let mut out = Vec::new();
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
    assert_eq!(answered(&mut session, b's', b""), Err(Nonsense::OutOfPlace));
    assert!(answered(&mut session, b'c', b"").is_ok());
    assert_eq!(session.body(b"x", &mut out), Next::Listen);
    assert_eq!(answered(&mut session, b's', b""), Ok(Heard::Verdict(Verdict::Skip)));
    assert!(!session.wants_body());
    assert_eq!(session.end_of_message(KNOWN, &mut out), Next::Listen);
}

#[test]
fn changes_have_their_place_and_their_leave() {
    let mut session = session(6, 0x01, 0, b"");
    let mut out = Vec::new();
    assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
    assert_eq!(answered(&mut session, b'h', b"A\0b\0"), Err(Nonsense::OutOfPlace));
    assert!(answered(&mut session, b'c', b"").is_ok());
    assert_eq!(answered(&mut session, b'c', b""), Err(Nonsense::OutOfPlace));
    assert_eq!(session.end_of_message(KNOWN, &mut out), Next::Listen);
    assert_eq!(answered(&mut session, b'p', b""), Ok(Heard::Progress));
    assert!(matches!(answered(&mut session, b'h', b"A\0b\0"), Ok(Heard::Modification(_))));
    assert_eq!(answered(&mut session, b'q', b"why\0"), Err(Nonsense::NotNegotiated));
    assert!(answered(&mut session, b'c', b"").is_ok());
}

#[test]
fn macros_are_those_that_were_asked_for() {
    let list = [&2_u32.to_be_bytes()[..], b"{rcpt_addr} j\0"].concat();
    let mut session = session(6, 0x100, 0x10_0000, &list);
    let mut out = Vec::new();
    assert_eq!(session.sender("<>", &[], KNOWN, &mut out), Next::Listen);
    assert_eq!(shown(&out), "DM{rcpt_addr}|bob@example.org|j|mail.example.org| M<>|");
    assert!(answered(&mut session, b'c', b"").is_ok());
    out.clear();
    assert_eq!(session.field(b"A", b"  b", &mut out), Next::Listen);
    assert_eq!(shown(&out), "LA|  b|");
}

#[test]
fn a_long_field_is_cut_to_fit() {
    let room = 65_535 - "Subject".len() - 2;
    for (octets, sent) in [(room - 1, room - 1), (room, room), (room + 1, room)] {
        let mut session = session(6, 0, 0, b"");
        let mut out = Vec::new();
        assert_eq!(session.sender("<>", &[], &[], &mut out), Next::Listen);
        assert!(answered(&mut session, b'c', b"").is_ok());
        out.clear();
        assert_eq!(session.field(b"Subject", &vec![b'x'; octets], &mut out), Next::Listen);
        assert_eq!(shown(&out).len(), "LSubject||".len() + sent);
    }
}

proptest! {
    /// Whatever a filter says, cut anywhere, means the same or nothing.
    #[test]
    fn borders_of_reads_mean_nothing(
        packets in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        cut in 1_usize..9,
    ) {
        let wire: Vec<u8> = packets.iter().flat_map(|(command, data)| packet(*command, data)).collect();
        let hear = |size: usize| {
            let mut session = session(6, 0x1ff, 0x400, b"");
            let _ = session.sender("<>", &[], &[], &mut Vec::new());
            session.awaited = Some(Asked::EndOfMessage);
            let mut heard = Vec::new();
            for mut piece in wire.chunks(size) {
                while !piece.is_empty() {
                    match session.hear(piece) {
                        Ok((taken, one)) => {
                            heard.extend(one.map(Ok));
                            piece = &piece[taken..];
                        }
                        Err(nonsense) => {
                            heard.push(Err(nonsense));
                            return heard;
                        }
                    }
                }
            }
            heard
        };
        prop_assert_eq!(hear(cut), hear(wire.len().max(1)));
    }
}
