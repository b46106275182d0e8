//! How long IMAP's commands take on a large mailbox: `cargo run --release -p access --example measure [MESSAGES]`.
//!
//! Server and client run in one process over a pipe, so that the figures are the door's and the store's alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot go on has failed")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use access::{ImapDoor, Rooms, Security, Settings};
use directory::{Directory, NewAccount, NewPassword, PasswordCost, Quota};
use mail_types::{AccountId, Address, DomainName, MailboxName, Secret, TransactionId};
use mailstore::{Append, FlagNames, QuotaLimit, Store};
use platform::clock::Clock;
use platform::guard::{Guard, GuardSettings};
use platform::listener::{Accepted, ConnectionNumber};
use platform::metrics::Metrics;
use platform::stream::{Endpoint, Stream};
use platform::tasks::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const COMMANDS: &[&str] = &[
    "SELECT INBOX",
    "UID FETCH 1:* (UID FLAGS)",
    "UID FETCH 1:10000 (ENVELOPE BODYSTRUCTURE)",
    "UID FETCH 1:10000 (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE FLAGS)",
    "UID FETCH 1:10000 (BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-Id References)])",
    "UID FETCH 1:10000 (BODY.PEEK[HEADER])",
    "UID FETCH 1:10000 (RFC822.SIZE)",
    "UID FETCH 1:10000 (BODY.PEEK[])",
    "UID SEARCH UNSEEN",
    "UID SEARCH SUBJECT \"number 77\"",
    "UID SEARCH FROM \"person 77\"",
    "UID SEARCH LARGER 4000",
    "UID SEARCH 1:10000 HEADER X-Mailer nothing",
    "UID SEARCH 1:10000 BODY \"no such words\"",
    "UID STORE 1:10000 +FLAGS (\\Flagged)",
    "UID STORE 1:10000 +FLAGS.SILENT (\\Deleted)",
    "UID COPY 10001:12000 Archive",
    "EXPUNGE",
];

fn main() {
    let messages: u32 = std::env::args().nth(1).map_or(100_000, |count| count.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(messages));
}

async fn measure(messages: u32) {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let metrics = Metrics::new();
    let store = Store::open(data.path(), mailstore::Settings::default(), clock.clone()).unwrap();
    let settings =
        directory::Settings { password_cost: PasswordCost::MINIMAL, ..directory::Settings::default() };
    let directory =
        Directory::open(&data.path().join("directory.db"), settings, clock.clone(), &metrics).unwrap();
    directory.add_domain(&DomainName::parse("example.org").unwrap()).unwrap();
    let address = Address::parse("ann@example.org").unwrap();
    let password = NewPassword::Cleartext(Secret::from("secret"));
    let new = NewAccount { address, password, display_name: None, quota: Quota::default() };
    let account = directory.add_account(new).unwrap().id;

    let begin = Instant::now();
    fill(&store, account, messages).await;
    let taken = begin.elapsed();
    println!("{:>10.1} ms  {messages} messages appended", taken.as_secs_f64() * 1_000.0);

    let guard = Guard::new(guard_settings(), clock.clone(), &metrics);
    let visit = guard.admit(None).unwrap();
    let transactions = AtomicU64::new(1);
    let rooms = Rooms {
        store,
        directory,
        guard,
        new_places: std::sync::Arc::new(|_, _| {}),
        clock,
        acceptor: None,
        events: Box::new(drop),
        next_transaction: Box::new(move || TransactionId(transactions.fetch_add(1, Ordering::Relaxed))),
    };
    let door = ImapDoor::new(rooms, Settings::default(), &metrics);
    let (_trigger, shutdown) = Shutdown::channel();
    let (mut stream, theirs) = Stream::pair(256 * 1024);
    let accepted = Accepted {
        stream: theirs,
        number: ConnectionNumber(1),
        peer: Endpoint::Unix,
        local: Endpoint::Unix,
        visit,
        shutdown,
    };
    tokio::spawn(async move { door.serve(accepted, Security::Trusted).await });
    command(&mut stream, "LOGIN ann@example.org secret").await;
    for text in COMMANDS {
        // Twice where nothing changes: the second time is warm.
        let changes = ["UID STORE", "UID COPY", "EXPUNGE"].iter().any(|verb| text.starts_with(verb));
        let (mut taken, mut octets) = command(&mut stream, text).await;
        if !changes {
            (taken, octets) = command(&mut stream, text).await;
        }
        println!("{:>10.1} ms {octets:>12} octets  {text}", taken.as_secs_f64() * 1_000.0);
    }
}

/// Sends a command, reads its answer to the end, and gives how long that took and how much it was.
async fn command(stream: &mut Stream, text: &str) -> (Duration, usize) {
    let begin = Instant::now();
    stream.write_all(format!("tag {text}\r\n").as_bytes()).await.unwrap();
    let (mut buffer, mut tail, mut octets) = (vec![0; 256 * 1024], Vec::new(), 0);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server hung up during {text}");
        octets += read;
        tail.extend_from_slice(&buffer[..read]);
        tail.drain(..tail.len().saturating_sub(4_096));
        let Some(line) =
            tail.strip_suffix(b"\r\n").and_then(|text| text.rsplit(|&octet| octet == b'\n').next())
        else {
            continue;
        };
        if line.starts_with(b"tag ") {
            assert!(line.starts_with(b"tag OK"), "{text}: {}", String::from_utf8_lossy(line));
            return (begin.elapsed(), octets);
        }
    }
}

/// Fills INBOX with messages of about four KiB, every third with an attachment.
async fn fill(store: &Store, account: AccountId, messages: u32) {
    let account = store.account(account).await.unwrap();
    let inbox = account.mailboxes().await.unwrap().by_name(&MailboxName::inbox()).unwrap().id;
    let mut batch = Vec::new();
    for number in 0..messages {
        let mut intake = store.intake().unwrap();
        intake.write(message(number).as_bytes()).await.unwrap();
        let flags = FlagNames { system: u8::from(number % 4 != 0), keywords: Vec::new() };
        batch.push(Append { message: intake.finish().await.unwrap(), flags, internal_date: None });
        if batch.len() == 500 || number + 1 == messages {
            let batch = std::mem::take(&mut batch);
            account.append(inbox, batch, QuotaLimit::NONE, TransactionId(1)).await.unwrap();
        }
    }
}

fn message(number: u32) -> String {
    let body: String = (0..60)
        .map(|line| format!("Line {line} of message {number}, with some words in it to read.\r\n"))
        .collect();
    let header = format!(
        "Received: from a.example by b.example with ESMTPS id {number};\r\n\tMon, 1 Jan 2024 10:00:00 +0000\r\n\
         From: Person {} <person{}@example.com>\r\nTo: Ann Example <ann@example.org>, list@example.net\r\n\
         Subject: Message number {number} about something\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\
         Message-Id: <{number}@example.com>\r\nX-Mailer: measure 1.0\r\nMIME-Version: 1.0\r\n",
        number % 1_000,
        number % 1_000,
    );
    if !number.is_multiple_of(3) {
        return format!("{header}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}");
    }
    format!(
        "{header}Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n--=_b\r\n\
         Content-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n{}\r\n--=_b--\r\n",
        "QUJDREVGR0g=\r\n".repeat(20),
    )
}

fn guard_settings() -> GuardSettings {
    GuardSettings {
        connections_max: 10,
        connections_per_address_max: 10,
        failures_free: 3,
        delay_first: Duration::from_secs(1),
        delay_max: Duration::from_secs(1),
        points_before_ban: 100,
        window: Duration::from_secs(600),
        ban_first: Duration::from_secs(600),
        ban_longest: Duration::from_secs(600),
        trusted: Vec::new(),
        bans_private: true,
    }
}
