//! The server's side of SMTP and LMTP under any octets and any policy: every answer is a reply, where reads are cut means
//! nothing, and no message carries a lone CR or LF unless it is binary.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mail_types::{
    DeliverBy, EnvelopeId, Notify, ORIGINAL_RECIPIENT_OCTETS_MAX, OriginalRecipient, Secret, UnicodeForm,
};
use smtp::extension::{DeliverByOffer, FutureReleaseOffer, Offers};
use smtp::framing::{BareNewlines, ChunkDestiny, ChunkReader, DataReader, LineFound, LineReader, Piece};
use smtp::reply::ReplyReader;
use smtp::server::{
    AuthAnswer, AuthOffer, Channel, Envelope, Protocol, Session, Settings, StartTlsOffer, Step,
};
use smtp::{BodyType, Reply};

fuzz_target!(|octets: &[u8]| {
    let Some(([choice, cut], input)) = octets.split_first_chunk::<2>() else { return };
    let whole = Door::run(*choice, &[input]);
    let pieces: Vec<&[u8]> = input.chunks(usize::from(cut % 16) + 1).collect();
    let cut = Door::run(*choice, &pieces);
    assert_eq!(whole.out, cut.out);
    assert_eq!(whole.delivered, cut.delivered);
    whole.check();
});

const OFFERS: Offers = Offers {
    dsn: true,
    require_tls: true,
    priority: true,
    deliver_by: Some(DeliverByOffer { seconds_min: Some(60) }),
    future_release: Some(FutureReleaseOffer { seconds_max: 86_400 }),
};

enum Reading {
    Lines,
    Data(DataReader),
    Chunk(ChunkReader),
}

struct Door {
    choice: u8,
    session: Session<()>,
    lines: LineReader,
    reading: Reading,
    input: Vec<u8>,
    out: Vec<u8>,
    message: Vec<u8>,
    delivered: Vec<(Envelope<()>, Vec<u8>)>,
    closed: bool,
}

impl Door {
    fn run(choice: u8, pieces: &[&[u8]]) -> Self {
        let settings = Settings {
            protocol: if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
            hostname: "mail.example.org".into(),
            message_octets_max: 64,
            recipients_max: 3,
            transactions_max: 5,
            errors_max: 8,
            refused_recipients_max: 5,
            idle_commands_max: 12,
            login_failures_max: 3,
            starttls: if choice & 2 == 0 { StartTlsOffer::Offered } else { StartTlsOffer::Absent },
            auth: if choice & 4 == 0 { AuthOffer::Absent } else { AuthOffer::Optional },
            bare_newlines: if choice & 8 == 0 { BareNewlines::Normalise } else { BareNewlines::Refuse },
            offers: if choice & 32 == 0 { Offers::NONE } else { OFFERS },
            asks: choice & 64 != 0,
        };
        let session = Session::new(Arc::new(settings), Channel::Clear, vec!["PLAIN"]);
        let mut door = Self {
            choice,
            session,
            lines: LineReader::default(),
            reading: Reading::Lines,
            input: Vec::new(),
            out: Vec::new(),
            message: Vec::new(),
            delivered: Vec::new(),
            closed: false,
        };
        door.session.on_time(1_795_640_400);
        door.session.greet(&mut door.out);
        for piece in pieces {
            door.input.extend_from_slice(piece);
            while !door.closed && door.advance() {}
        }
        door
    }

    fn check(&self) {
        let mut reader = ReplyReader::default();
        let mut rest = self.out.as_slice();
        while !rest.is_empty() {
            // 334 has no text to speak of and is a reply like any other.
            let (taken, _) = reader.next(rest).expect("what we say is a reply");
            rest = &rest[taken..];
        }
        assert!(!reader.is_within_reply());
        for (envelope, text) in &self.delivered {
            assert!(!envelope.recipients.is_empty());
            self.check_requests(envelope);
            assert!(text.len() <= 2 * 64, "CRLF for lone LF at the worst");
            if envelope.parameters.body != BodyType::BinaryMime {
                let lone = text.iter().enumerate().any(|(at, octet)| match octet {
                    b'\r' => text.get(at + 1) != Some(&b'\n'),
                    b'\n' => at == 0 || text[at - 1] != b'\r',
                    _ => false,
                });
                assert!(!lone);
            }
        }
    }

    /// What was asked for was offered, and is read again as it is written.
    fn check_requests(&self, envelope: &Envelope<()>) {
        let parameters = &envelope.parameters;
        if let Some(id) = &parameters.envelope_id {
            assert_eq!(EnvelopeId::parse(&id.to_xtext()).as_ref(), Some(id));
        }
        if let Some(deadline) = parameters.deliver_by {
            assert_eq!(DeliverBy::parse(&deadline.to_string()), Some(deadline));
        }
        for recipient in &envelope.recipients {
            let asked = &recipient.parameters;
            assert!(self.choice & 32 != 0 || (asked.notify.is_none() && asked.original.is_none()));
            if let Some(notify) = asked.notify {
                assert_eq!(Notify::parse(&notify.to_string()), Some(notify));
            }
            let Some(original) = &asked.original else { continue };
            for form in [UnicodeForm::Ascii, UnicodeForm::Utf8] {
                let written = original.to_parameter(form);
                assert!(!written.contains(char::is_whitespace) || !written.is_ascii());
                assert!(!original.to_field(form).contains(['\r', '\n', '\0']));
                if written.len() <= ORIGINAL_RECIPIENT_OCTETS_MAX {
                    assert_eq!(OriginalRecipient::parse(&written).as_ref(), Some(original));
                }
            }
        }
    }

    fn advance(&mut self) -> bool {
        let input = std::mem::take(&mut self.input);
        let (consumed, step) = match std::mem::replace(&mut self.reading, Reading::Lines) {
            Reading::Lines => match self.lines.next(&input) {
                LineFound::Line { line, consumed } => {
                    (consumed, Some(self.session.on_line(line, &mut self.out)))
                }
                LineFound::Incomplete { consumed } => (consumed, None),
                LineFound::TooLong { consumed } => {
                    (consumed, Some(self.session.on_overlong_line(&mut self.out)))
                }
                LineFound::BareNewline => (0, Some(self.session.on_bare_newline(&mut self.out))),
            },
            Reading::Data(mut reader) => {
                let (taken, piece) = reader.next(&input);
                let step = match piece {
                    Piece::Octets(octets) => {
                        self.message.extend_from_slice(octets);
                        self.reading = Reading::Data(reader);
                        Some(Step::NextLine)
                    }
                    Piece::NeedMore => {
                        self.reading = Reading::Data(reader);
                        None
                    }
                    Piece::End(end) => Some(self.session.on_end_of_data(end, Ok(()), &mut self.out)),
                };
                (taken, step)
            }
            Reading::Chunk(mut reader) => {
                let (taken, piece) = reader.next(&input);
                let step = match piece {
                    Piece::Octets(octets) => {
                        assert!(octets.is_empty() || reader.destiny() == ChunkDestiny::Keep);
                        self.message.extend_from_slice(octets);
                        self.reading = Reading::Chunk(reader);
                        Some(Step::NextLine)
                    }
                    Piece::NeedMore => {
                        self.reading = Reading::Chunk(reader);
                        None
                    }
                    Piece::End(end) => Some(self.session.on_end_of_chunk(end, Ok(()), &mut self.out)),
                };
                (taken, step)
            }
        };
        self.input = input[consumed..].to_vec();
        let Some(step) = step else { return false };
        self.carry_out(step);
        true
    }

    fn carry_out(&mut self, step: Step<()>) {
        let refusal = Reply::fixed(451, (4, 3, 0), "Try\r\n250 again later");
        let out = &mut self.out;
        let next = match step {
            Step::NextLine | Step::AuthAborted => return,
            Step::Ask(question) => {
                let verdict = if self.choice & 128 == 0 { Ok(()) } else { Err(refusal) };
                self.session.on_asked(question, verdict, out)
            }
            Step::JudgeSender(question) => {
                self.message.clear();
                let verdict = if self.choice & 16 == 0 { Ok(()) } else { Err(refusal) };
                self.session.on_sender(question, verdict, out)
            }
            Step::JudgeRecipient(question) => {
                let is_known = question.forward_path.to_string().len() % 3 != 0;
                let verdict = if is_known { Ok(()) } else { Err(refusal) };
                self.session.on_recipient(question, verdict, out)
            }
            Step::Authenticate { initial_response: None, .. } => {
                self.session.on_auth(AuthAnswer::Challenge("AAAA".to_owned()), out)
            }
            Step::Authenticate { initial_response: Some(secret), .. } | Step::AuthResponse(secret) => {
                self.session.on_auth(judge(&secret, refusal), out)
            }
            Step::StartTls => {
                // The cut of reads would decide what is thrown away, so nothing is.
                self.session.on_tls_started(vec!["PLAIN"]);
                return;
            }
            Step::ReadData(reader) => {
                self.reading = Reading::Data(reader);
                return;
            }
            Step::ReadChunk(reader) => {
                self.reading = Reading::Chunk(reader);
                return;
            }
            Step::Deliver(envelope) => {
                self.delivered.push((envelope, std::mem::take(&mut self.message)));
                let kept = Reply::fixed(250, (2, 0, 0), "Kept");
                self.session.on_delivered(&[refusal, kept], out)
            }
            Step::Close => {
                self.closed = true;
                return;
            }
        };
        self.carry_out(next);
    }
}

fn judge(secret: &Secret, refusal: Reply) -> AuthAnswer {
    match secret.reveal().len() % 3 {
        0 => AuthAnswer::Accepted,
        1 => AuthAnswer::Challenge(String::new()),
        _ => AuthAnswer::Refused(refusal),
    }
}
