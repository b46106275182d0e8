//! The client's side under any server: replies are read alike wherever they are cut, what we write we can read, and no
//! server makes the client say more than it should.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_types::{
    Address, DeliverBy, EnvelopeId, ForwardPath, Notify, OriginalRecipient, Priority, ReturnedContent,
    ReversePath, Secret, Verdict,
};
use smtp::client::{
    ANSWER_OCTETS_MAX, ChunkPlace, ChunkingUse, Client, ClientStep, Credentials, Order, OrderRecipient,
    Outcome, Readiness, Settings, StartTlsUse, Transfer,
};
use smtp::extension::Extensions;
use smtp::reply::ReplyReader;
use smtp::server::Protocol;
use smtp::{MailParameters, RcptParameters, Reply};

fuzz_target!(|octets: &[u8]| {
    let Some(([choice, cut], input)) = octets.split_first_chunk::<2>() else { return };
    replies(input, usize::from(*cut) + 1);
    talk(*choice, input);
});

fn replies(input: &[u8], cut: usize) {
    let whole = read_all(input, input.len().max(1));
    assert_eq!(whole, read_all(input, cut));
    for reply in whole {
        if let Some(extensions) = Extensions::from_reply(&reply) {
            let again = Extensions::from_reply(&extensions.to_reply("mail.example.org"));
            assert_eq!(again.map(|again| again.size), Some(extensions.size));
        }
        let mut wire = Vec::new();
        reply.write_to(&mut wire);
        assert!(wire.is_ascii() && wire.ends_with(b"\r\n"));
    }
}

fn read_all(input: &[u8], cut: usize) -> Vec<smtp::Reply> {
    let mut reader = ReplyReader::default();
    let mut replies = Vec::new();
    for mut piece in input.chunks(cut) {
        while !piece.is_empty() {
            let Ok((taken, reply)) = reader.next(piece) else { return replies };
            piece = &piece[taken..];
            replies.extend(reply);
        }
    }
    replies
}

fn order(choice: u8) -> Order {
    let address = |text| Address::parse(text).expect("an address");
    let asking = RcptParameters {
        notify: Notify::parse("SUCCESS,DELAY"),
        original: OriginalRecipient::from_parts("utf-8", "b\u{f8}b@example.org"),
    };
    let to = |forward_path, parameters| OrderRecipient { forward_path, parameters };
    Order {
        reverse_path: ReversePath::Null,
        recipients: vec![
            to(ForwardPath::Address(address("a@example.org")), asking),
            to(ForwardPath::Postmaster, RcptParameters::default()),
        ],
        parameters: MailParameters {
            size: Some(5),
            returned: Some(ReturnedContent::Headers),
            envelope_id: EnvelopeId::new("QQ 1"),
            priority: Priority::new(3),
            deliver_by: DeliverBy::parse(if choice & 32 == 0 { "60;NT" } else { "60;R" }),
            require_tls: choice & 64 != 0,
            ..MailParameters::default()
        },
    }
}

/// What came of an order: a word on each recipient, none endless, and no yes to a message that did not go out.
fn check(outcome: Outcome, is_sent: bool) {
    let Outcome::Answered(answers) = outcome else { return };
    assert_eq!(answers.replies.len(), 2);
    assert!(is_sent || answers.replies.iter().all(|reply| reply.verdict() != Verdict::Accepted));
    assert!(answers.replies.iter().all(|reply| reply.text.len() <= ANSWER_OCTETS_MAX));
}

/// Each line comes by itself, as from a server that waits for its turn; with one bit of the choice set they come
/// together, which nothing good comes of.
fn talk(choice: u8, input: &[u8]) {
    let mut client = Client::new(Settings {
        protocol: if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        hostname: "client.example".into(),
        starttls: [StartTlsUse::Never, StartTlsUse::WhenOffered, StartTlsUse::Required, StartTlsUse::Begun]
            [usize::from(choice >> 1 & 3)],
        credentials: (choice & 8 != 0).then(|| Credentials {
            user: "ann".to_owned(),
            password: Secret::from("secret"),
            exchanges: vec!["SCRAM-SHA-256"],
        }),
        chunking: if choice & 16 == 0 { ChunkingUse::WhenNeeded } else { ChunkingUse::WhenOffered },
    });
    let order = order(choice);
    let mut out = Vec::new();
    let mut is_sent = false;
    let pieces: Vec<&[u8]> = match choice & 128 {
        0 => input.split_inclusive(|&octet| octet == b'\n').collect(),
        _ => vec![input],
    };
    for mut piece in pieces {
        while !piece.is_empty() {
            let Ok((used, step)) = client.on_octets(piece, &mut out) else {
                let broken = Reply::fixed(451, (4, 4, 2), "The connection broke off");
                client.broken_off(broken).into_iter().for_each(|outcome| check(outcome, is_sent));
                return;
            };
            piece = &piece[used..];
            if !carry_out(&mut client, step, &order, &mut is_sent, &mut out) {
                return;
            }
            let lines = String::from_utf8(std::mem::take(&mut out)).expect("UTF-8");
            assert!(lines.len() < 1 << 20 && (lines.is_empty() || lines.ends_with("\r\n")));
            assert!(lines.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
            assert!(client.is_encrypted() || !lines.contains("REQUIRETLS"));
        }
    }
}

/// Whether the talk goes on.
fn carry_out(
    client: &mut Client,
    step: ClientStep,
    order: &Order,
    is_sent: &mut bool,
    out: &mut Vec<u8>,
) -> bool {
    if let ClientStep::SendMessage(_) = step {
        *is_sent = true;
    }
    let next = match step {
        ClientStep::Read => return true,
        ClientStep::StartTls => client.on_tls_started(out),
        ClientStep::Authenticate { challenge, .. } => {
            let gives_up = challenge.is_some_and(|challenge| challenge.len() > 3);
            client.respond((!gives_up).then_some(b"n,,n=ann"), out)
        }
        ClientStep::Ready(Readiness::Ready) => client.send(order, out),
        ClientStep::Done(outcome) => {
            // An order that is not sent would not be sent again either.
            let is_answered = matches!(outcome, Outcome::Answered(_));
            check(outcome, std::mem::take(is_sent));
            if is_answered { client.send(order, out) } else { client.quit(out) }
        }
        ClientStep::SendMessage(Transfer::Data) => client.data_sent(),
        ClientStep::SendMessage(Transfer::Chunks) => {
            client.write_chunk_header(5, ChunkPlace::Middle, out);
            client.write_chunk_header(0, ChunkPlace::Last, out);
            ClientStep::Read
        }
        ClientStep::Ready(_) => client.quit(out),
        ClientStep::Closed => return false,
    };
    carry_out(client, next, order, is_sent, out)
}
