//! Measures the store on this machine: deliveries a second and the processor time of each, and a mailbox of a hundred
//! thousand messages: opening, flags, expunges, header search, rows.
//!
//! `cargo run --release -p mailstore --example measure [directory]`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mail_types::{AccountId, MailboxName, SystemFlag, TransactionId, UidSet};
use mailstore::{
    Account, Append, Filing, FilingTarget, FlagChange, FlagChangeMode, FlagNames, HeaderField, QuotaLimit,
    Settings, Store, Want,
};
use platform::clock::{Clock, Timestamp};

const DELIVERIES: u32 = 20_000;
const SENDERS: u32 = 32;
const MESSAGES: u32 = 100_000;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let directory = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("measure-store-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let outcome = runtime.block_on(measure(&directory));
    std::fs::remove_dir_all(&directory)?;
    outcome
}

async fn measure(directory: &Path) -> Outcome {
    let store = Store::open(directory, Settings::default(), Clock::system())?;
    println!("memory at rest {} KiB", resident_kib());
    deliveries(&store, 1).await?;
    deliveries(&store, 10).await?;
    deliveries(&store, 1_000).await?;
    println!("memory after deliveries {} KiB", resident_kib());
    large_mailbox(&store).await?;
    store.close().await?;
    Ok(())
}

/// Mail of 4 KiB from many senders at once, dealt out among accounts.
async fn deliveries(store: &Store, accounts: u32) -> Outcome {
    for account in 1..=accounts {
        store.account(AccountId(accounts * 10_000 + account)).await?;
    }
    let (begin, processor) = (Instant::now(), processor_time());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (sender..DELIVERIES).step_by(SENDERS as usize) {
                    deliver(&store, AccountId(accounts * 10_000 + 1 + number % accounts), number).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await?;
    }
    let durable = begin.elapsed();
    store.checkpoint().await?;
    let (all, processor) = (begin.elapsed(), processor_time() - processor);
    println!(
        "{accounts} accounts: {:.0} deliveries/s, {:.0} with the index and a checkpoint; {:.0} us of processor each",
        f64::from(DELIVERIES) / durable.as_secs_f64(),
        f64::from(DELIVERIES) / all.as_secs_f64(),
        processor.as_secs_f64() * 1e6 / f64::from(DELIVERIES)
    );
    Ok(())
}

async fn deliver(store: &Store, account: AccountId, number: u32) {
    let filing = Filing {
        account,
        mailbox: FilingTarget::Name(MailboxName::inbox()),
        flags: FlagNames::default(),
        internal_date: Timestamp::from_unix_seconds(1_700_000_000),
        quota: QuotaLimit::NONE,
        way: TransactionId(number.into()),
    };
    let message = arriving(store, number, 4_096).await;
    let answers = store.deliver(message, vec![filing]).await;
    assert!(answers.is_ok_and(|answers| answers.iter().all(Result::is_ok)));
}

#[allow(clippy::expect_used, reason = "a measurement that cannot take a message has nothing to measure")]
async fn arriving(store: &Store, number: u32, octets: usize) -> mailstore::Arriving {
    let mut intake = store.intake().expect("room on the disk");
    intake.write(&text(number, octets)).await.expect("a message taken");
    intake.finish().await.expect("a message taken")
}

/// A message as they come: several header fields, text that packs to about half.
fn text(number: u32, octets: usize) -> Vec<u8> {
    let mut text = format!(
        "Received: from client.example.org (client.example.org [192.0.2.1])\r\n\tby mx.example.net with ESMTPS \
         id {number:016x}; Tue, 14 Nov 2023 22:13:20 +0000\r\nFrom: Sender {0} <sender{0}@example.org>\r\n\
         To: Ann <ann@example.net>\r\nSubject: Subject of message {number} for the measurement\r\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <{number}.measure@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        number % 1_000
    );
    let mut state = u64::from(number) | 1;
    while text.len() < octets {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("a line of words and of {state:016x} each\r\n"));
    }
    text.into_bytes()
}

async fn large_mailbox(store: &Store) -> Outcome {
    let account = store.account(AccountId(7)).await?;
    let inbox = account.mailboxes().await?.by_name(&MailboxName::inbox()).map(|mailbox| mailbox.id);
    let inbox = inbox.ok_or("no INBOX")?;
    let begin = Instant::now();
    for some in (0..MESSAGES).collect::<Vec<_>>().chunks(1_000) {
        let mut messages = Vec::with_capacity(some.len());
        for number in some {
            let message = arriving(store, *number, 1_024).await;
            messages.push(Append { message, flags: FlagNames::default(), internal_date: None });
        }
        account.append(inbox, messages, QuotaLimit::NONE, TransactionId(1)).await?;
    }
    println!("APPEND of {MESSAGES} in thousands: {:?}", begin.elapsed());
    let begin = Instant::now();
    for number in 0..1_000 {
        let message = arriving(store, number, 4_096).await;
        let append = Append { message, flags: FlagNames::default(), internal_date: None };
        account.append(inbox, vec![append], QuotaLimit::NONE, TransactionId(1)).await?;
    }
    println!("APPEND of 1,000 one by one: {:?}", begin.elapsed());
    store.checkpoint().await?;
    drop(timed("open cold", account.open_mailbox(inbox)).await?);
    let view = timed("open again", account.open_mailbox(inbox)).await?;
    timed("open shared", account.open_mailbox(inbox)).await?;
    let begin = Instant::now();
    let seen = view.iter().filter(|(_, entry)| entry.flags.has(SystemFlag::Seen)).count();
    println!("walk of the view: {:?} ({seen} seen)", begin.elapsed());
    println!("memory with the view open {} KiB", resident_kib());
    changes(&account, inbox).await
}

async fn changes(account: &Account, inbox: mail_types::MailboxId) -> Outcome {
    let all = UidSet::from_ranges([(1, u32::MAX)]);
    let ten_thousand = UidSet::from_ranges([(20_001, 30_000)]);
    let scattered = UidSet::from_ranges((0..10_000).map(|at| (40_001 + at * 3, 40_001 + at * 3)));
    let change = |flag: SystemFlag| FlagChange {
        mode: FlagChangeMode::Add,
        flags: FlagNames { system: flag as u8, keywords: Vec::new() },
    };
    let (seen, deleted) = (change(SystemFlag::Seen), change(SystemFlag::Deleted));
    // The first change after a checkpoint begins the index's WAL anew; that is not what is measured here.
    account.store_flags(inbox, &UidSet::from_ranges([(1, 1)]), &seen, None).await?;
    timed("STORE of 10,000", account.store_flags(inbox, &ten_thousand, &seen, None)).await?;
    timed("STORE of 10,000 scattered", account.store_flags(inbox, &scattered, &seen, None)).await?;
    timed("STORE of all", account.store_flags(inbox, &all, &change(SystemFlag::Flagged), None)).await?;
    account.store_flags(inbox, &ten_thousand, &deleted, None).await?;
    timed("EXPUNGE of 10,000", account.expunge(inbox, None)).await?;
    account.store_flags(inbox, &scattered, &deleted, None).await?;
    timed("EXPUNGE of 10,000 scattered", account.expunge(inbox, None)).await?;
    for round in ["first", "warm"] {
        let needle = mailstore::fold("message 77777 for");
        let search = account.search_header(inbox, &all, HeaderField::Subject, &needle);
        let found = timed(&format!("SEARCH SUBJECT, {round}"), search).await?;
        assert_eq!(found.count(), 1);
    }
    let some = UidSet::from_ranges([(1, 10_000)]);
    timed("rows of all, facts", account.rows(inbox, &all, Want::Facts)).await?;
    timed("rows of 10,000, summaries", account.rows(inbox, &some, Want::Summaries)).await?;
    let archive = account.create_mailbox(&MailboxName::parse("measured")?, None).await?;
    timed("COPY of 10,000", account.copy(inbox, &some, archive, QuotaLimit::NONE)).await?;
    timed("MOVE of 10,000", account.move_messages(inbox, &some, archive)).await?;
    let rows = account.rows(archive, &UidSet::from_ranges([(1, 2_000)]), Want::Facts).await?;
    let begin = Instant::now();
    let mut octets = 0;
    for row in rows {
        let reader = account.reader(row.email).await?;
        octets += reader.read(0..u64::MAX).await?.len();
    }
    println!("2,000 messages read, {octets} octets: {:?}", begin.elapsed());
    Ok(())
}

async fn timed<T>(
    what: &str,
    work: impl Future<Output = Result<T, mailstore::StoreError>>,
) -> Result<T, mailstore::StoreError> {
    let begin = Instant::now();
    let result = work.await;
    println!("{what}: {:?}", begin.elapsed());
    result
}

/// Processor time of this process so far, user and system: fields 14 and 15 of proc(5) stat, in hundredths.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Memory in use.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
