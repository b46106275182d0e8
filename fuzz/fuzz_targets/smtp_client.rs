//! The client's side under any server: replies are read alike wherever they are cut, what we write we can read, and no
//! server makes the client say more than it should.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_types::{Address, ForwardPath, ReversePath, Secret};
use smtp::MailParameters;
use smtp::client::{
    ChunkPlace, ChunkingUse, Client, ClientStep, Credentials, Order, Readiness, Settings, StartTlsUse, Transfer,
};
use smtp::extension::Extensions;
use smtp::reply::ReplyReader;
use smtp::server::Protocol;

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

fn talk(choice: u8, mut input: &[u8]) {
    let address = |text| Address::parse(text).expect("an address");
    let mut client = Client::new(Settings {
        protocol: if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        hostname: "client.example".into(),
        starttls: [StartTlsUse::Never, StartTlsUse::WhenOffered, StartTlsUse::Required][usize::from(choice >> 1 & 3) % 3],
        credentials: (choice & 8 != 0)
            .then(|| Credentials { user: "ann".to_owned(), password: Secret::from("secret") }),
        chunking: if choice & 16 == 0 { ChunkingUse::WhenNeeded } else { ChunkingUse::WhenOffered },
    });
    let order = Order {
        reverse_path: ReversePath::Null,
        recipients: vec![ForwardPath::Address(address("a@example.org")), ForwardPath::Postmaster],
        parameters: MailParameters { size: Some(5), ..MailParameters::default() },
    };
    let mut out = Vec::new();
    loop {
        let Ok((used, step)) = client.on_octets(input, &mut out) else { return };
        input = &input[used..];
        match step {
            ClientStep::Read => return,
            ClientStep::StartTls => {
                assert!(input.is_empty());
                client.on_tls_started(&mut out);
            }
            ClientStep::Ready(Readiness::Ready) | ClientStep::Done(_) => {
                client.send(&order, &mut out);
            }
            ClientStep::SendMessage(Transfer::Data) => {
                client.data_sent();
            }
            ClientStep::SendMessage(Transfer::Chunks) => {
                client.write_chunk_header(5, ChunkPlace::Middle, &mut out);
                client.write_chunk_header(0, ChunkPlace::Last, &mut out);
            }
            ClientStep::Ready(_) => {
                client.quit(&mut out);
            }
            ClientStep::Closed => return,
        }
        assert!(out.len() < 1 << 20);
        out.clear();
    }
}
