//! The client against scripted servers and against our own.

mod extensions;
mod faults;

use std::collections::VecDeque;

use mail_types::{Address, ForwardPath, ReversePath, Secret};
use proptest::prelude::*;

use super::*;
use crate::command::{BodyType, MailParameters, RcptParameters};

fn settings() -> Settings {
    Settings {
        protocol: Protocol::Smtp,
        hostname: "client.example".into(),
        starttls: StartTlsUse::Never,
        credentials: None,
        chunking: ChunkingUse::WhenNeeded,
    }
}

fn credentials(exchanges: &[&'static str]) -> Credentials {
    Credentials { user: "ann".to_owned(), password: Secret::from("secret"), exchanges: exchanges.to_vec() }
}

fn order(recipients: &[&str]) -> Order {
    let address = |text: &&str| OrderRecipient {
        forward_path: ForwardPath::Address(Address::parse(text).unwrap()),
        parameters: RcptParameters::default(),
    };
    Order {
        reverse_path: ReversePath::Address(Address::parse("ann@example.org").unwrap()),
        recipients: recipients.iter().map(address).collect(),
        parameters: MailParameters::default(),
    }
}

/// Runs a client against replies written beforehand: `S:` lines are given, `C:` lines are all that may go out.
struct Talk {
    client: Client,
    out: Vec<u8>,
    step: ClientStep,
}

impl Talk {
    fn new(settings: Settings) -> Self {
        Self { client: Client::new(settings), out: Vec::new(), step: ClientStep::Read }
    }

    fn script(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(reply) = line.strip_prefix("S: ") {
                assert!(self.out.is_empty(), "unexpected: {}", String::from_utf8_lossy(&self.out));
                let wire = format!("{}\r\n", reply.replace('|', "\r\n"));
                let mut rest = wire.as_bytes();
                while !rest.is_empty() {
                    let (used, step) = self.client.on_octets(rest, &mut self.out).unwrap();
                    rest = &rest[used..];
                    self.step = step;
                }
            } else if let Some(command) = line.strip_prefix("C: ") {
                let wire = format!("{command}\r\n");
                assert!(
                    self.out.starts_with(wire.as_bytes()),
                    "{command:?}, but {}",
                    String::from_utf8_lossy(&self.out)
                );
                self.out.drain(..wire.len());
            }
        }
        assert!(self.out.is_empty(), "unexpected: {}", String::from_utf8_lossy(&self.out));
    }

    fn send(&mut self, order: &Order) {
        self.step = self.client.send(order, &mut self.out);
    }

    fn codes(&self) -> Vec<u16> {
        let ClientStep::Done(Outcome::Answered(answers)) = &self.step else { panic!("{:?}", self.step) };
        answers.replies.iter().map(|reply| reply.code.value()).collect()
    }
}

#[test]
fn one_message_in_a_batch() {
    let mut talk = Talk::new(settings());
    talk.script(
        "
        S: 220 mail.example.org
        C: EHLO client.example
        S: 250-mail.example.org|250-PIPELINING|250 SIZE 1000
    ",
    );
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
    let mut order = order(&["a@example.org", "b@example.org"]);
    order.parameters.size = Some(9);
    talk.send(&order);
    talk.script(
        "
        C: MAIL FROM:<ann@example.org> SIZE=9
        C: RCPT TO:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok|550 no such user|250 ok|354 go on
    ",
    );
    assert_eq!(talk.step, ClientStep::SendMessage(Transfer::Data));
    talk.step = talk.client.data_sent();
    talk.script("S: 250 kept");
    assert_eq!(talk.codes(), [550, 250]);
    talk.step = talk.client.quit(&mut talk.out);
    talk.script("C: QUIT\nS: 221 bye");
    assert_eq!(talk.step, ClientStep::Closed);
}

#[test]
fn one_command_at_a_time_without_pipelining() {
    let mut talk = Talk::new(settings());
    talk.script(
        "
        S: 220 mail.example.org
        C: EHLO client.example
        S: 500 what?
        C: HELO client.example
        S: 250 mail.example.org
    ",
    );
    talk.send(&order(&["a@example.org", "b@example.org"]));
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        S: 250 ok
        C: RCPT TO:<a@example.org>
        S: 250 ok
        C: RCPT TO:<b@example.org>
        S: 451 later
        C: DATA
        S: 354 go on
    ",
    );
    talk.step = talk.client.data_sent();
    talk.script("S: 554 no");
    assert_eq!(talk.codes(), [554, 451]);
}

#[test]
fn a_refused_sender_decides_for_all() {
    let mut talk = Talk::new(settings());
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 PIPELINING");
    talk.send(&order(&["a@example.org"]));
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<a@example.org>
        C: DATA
        S: 550 5.7.1 not you|503 5.5.1 no|503 5.5.1 no
        C: RSET
        S: 250 ok
    ",
    );
    assert_eq!(talk.codes(), [550]);
}

#[test]
fn nothing_is_sent_when_nobody_is_left() {
    let mut talk = Talk::new(settings());
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 PIPELINING");
    talk.send(&order(&["a@example.org"]));
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<a@example.org>
        C: DATA
        S: 250 ok|550 no|354 go on
        C: .
        S: 554 nobody
    ",
    );
    assert_eq!(talk.codes(), [550]);
}

/// CVE-2021-38371: replies in clear behind the reply to STARTTLS would be taken for the server's own.
#[test]
fn replies_behind_starttls_are_an_attack() {
    let mut client = Client::new(Settings { starttls: StartTlsUse::Required, ..settings() });
    let mut out = Vec::new();
    client.on_octets(b"220 x\r\n", &mut out).unwrap();
    client.on_octets(b"250-x\r\n250 STARTTLS\r\n", &mut out).unwrap();
    let error = client.on_octets(b"220 go\r\n250 mallory\r\n", &mut out).unwrap_err();
    assert!(matches!(error, ClientError::InjectedReplies));
}

#[test]
fn tls_is_asked_for_and_everything_forgotten() {
    let mut talk = Talk::new(Settings { starttls: StartTlsUse::WhenOffered, ..settings() });
    talk.script(
        "S: 220 x\nC: EHLO client.example\nS: 250-x|250-CHUNKING|250 STARTTLS\nC: STARTTLS\nS: 220 go",
    );
    assert_eq!(talk.step, ClientStep::StartTls);
    talk.step = talk.client.on_tls_started(&mut talk.out);
    assert!(!talk.client.extensions().chunking);
    talk.script("C: EHLO client.example\nS: 250 x");
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
}

#[test]
fn a_password_never_goes_in_clear_when_starttls_was_struck_out() {
    let credentials = Some(credentials(&[]));
    let mut talk = Talk::new(Settings { starttls: StartTlsUse::WhenOffered, credentials, ..settings() });
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 AUTH PLAIN");
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Lacks(Missing::StartTls)));
}

#[test]
fn log_in_by_both_mechanisms() {
    let credentials = Some(credentials(&[]));
    let mut talk = Talk::new(Settings { credentials: credentials.clone(), ..settings() });
    talk.script(
        "
        S: 220 x
        C: EHLO client.example
        S: 250-x|250 AUTH LOGIN PLAIN
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 2.7.0 welcome
    ",
    );
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
    let mut talk = Talk::new(Settings { credentials, ..settings() });
    talk.script(
        "
        S: 220 x
        C: EHLO client.example
        S: 250-x|250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5u
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 334 YW5kPw==
        C: *
        S: 501 no
    ",
    );
    assert!(matches!(talk.step, ClientStep::Ready(Readiness::Refused(_))));
}

#[test]
fn lmtp_has_an_outcome_for_each() {
    let mut talk =
        Talk::new(Settings { protocol: Protocol::Lmtp, chunking: ChunkingUse::WhenOffered, ..settings() });
    talk.script("S: 220 x\nC: LHLO client.example\nS: 250-x|250-PIPELINING|250 CHUNKING");
    talk.send(&order(&["a@example.org", "b@example.org", "c@example.org"]));
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        S: 250 ok|250 ok|550 no|250 ok
    ",
    );
    assert_eq!(talk.step, ClientStep::SendMessage(Transfer::Chunks));
    talk.client.write_chunk_header(5, ChunkPlace::Middle, &mut talk.out);
    talk.client.write_chunk_header(0, ChunkPlace::Last, &mut talk.out);
    talk.script("C: BDAT 5\nC: BDAT 0 LAST\nS: 250 ok|250 kept|452 full");
    assert_eq!(talk.codes(), [250, 550, 452]);
}

#[test]
fn a_message_the_server_cannot_carry_is_not_sent() {
    for (parameters, missing) in [
        (MailParameters { body: BodyType::EightBitMime, ..Default::default() }, Missing::EightBitMime),
        (MailParameters { body: BodyType::BinaryMime, ..Default::default() }, Missing::BinaryMime),
        (MailParameters { smtputf8: true, ..Default::default() }, Missing::SmtpUtf8),
    ] {
        let mut talk = Talk::new(settings());
        talk.script("S: 220 x\nC: EHLO client.example\nS: 250 x");
        talk.send(&Order { parameters, ..order(&["a@example.org"]) });
        assert_eq!(talk.step, ClientStep::Done(Outcome::Lacks(missing)));
        assert!(talk.out.is_empty());
    }
}

#[test]
fn unasked_replies_and_closing_end_it() {
    let mut out = Vec::new();
    let mut client = Client::new(settings());
    client.on_octets(b"220 x\r\n", &mut out).unwrap();
    client.on_octets(b"250 x\r\n", &mut out).unwrap();
    assert!(matches!(client.on_octets(b"250 more\r\n", &mut out), Err(ClientError::Unasked)));
    let mut client = Client::new(settings());
    client.on_octets(b"220 x\r\n", &mut out).unwrap();
    assert!(matches!(client.on_octets(b"421 bye\r\n", &mut out), Err(ClientError::Closing(_))));
    let mut client = Client::new(settings());
    let (_, step) = client.on_octets(b"554 no\r\n", &mut out).unwrap();
    assert!(matches!(step, ClientStep::Ready(Readiness::Refused(_))));
}

/// What a message with lone CR or LF becomes on the wire.
fn with_whole_line_ends(octets: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut octets: VecDeque<u8> = octets.iter().copied().collect();
    while let Some(octet) = octets.pop_front() {
        match octet {
            b'\r' | b'\n' => {
                if octet == b'\r' && octets.front() == Some(&b'\n') {
                    octets.pop_front();
                }
                whole.extend_from_slice(b"\r\n");
            }
            octet => whole.push(octet),
        }
    }
    if !whole.is_empty() && !whole.ends_with(b"\r\n") {
        whole.extend_from_slice(b"\r\n");
    }
    whole
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()];
    proptest::collection::vec(octet, 0..60)
}

proptest! {
    /// What one end writes the other reads, wherever it is cut; and no octets can end it early (CVE-2026-33604).
    #[test]
    fn data_is_read_as_written(text in text(), cut in 0_usize..60, read_cut in 1_usize..9) {
        let mut writer = DataWriter::default();
        let mut wire = Vec::new();
        let (first, second) = text.split_at(cut.min(text.len()));
        writer.write(first, &mut wire);
        writer.write(second, &mut wire);
        writer.finish(&mut wire);
        let mut reader = crate::framing::DataReader::new(crate::framing::BareNewlines::Refuse, 1_000);
        let mut read = Vec::new();
        let mut ended = false;
        for mut piece in wire.chunks(read_cut) {
            while !piece.is_empty() {
                prop_assert!(!ended);
                let (taken, found) = reader.next(piece);
                match found {
                    crate::framing::Piece::Octets(octets) => read.extend_from_slice(octets),
                    crate::framing::Piece::NeedMore => {}
                    crate::framing::Piece::End(_) => ended = true,
                }
                piece = &piece[taken..];
            }
        }
        prop_assert!(ended);
        prop_assert!(!reader.is_refused());
        prop_assert_eq!(read, with_whole_line_ends(&text));
    }

    #[test]
    fn no_octets_break_the_client(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut client = Client::new(settings());
        let mut out = Vec::new();
        let _ = client.on_octets(b"220 x\r\n250-x\r\n250 PIPELINING\r\n", &mut out);
        client.send(&order(&["a@example.org"]), &mut out);
        let mut rest = input.as_slice();
        while let Ok((used, _)) = client.on_octets(rest, &mut out) {
            rest = rest.get(used..).unwrap_or_default();
            if used == 0 {
                break;
            }
        }
    }
}
