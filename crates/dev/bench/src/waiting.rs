//! A queue in which very much waits: how long a server takes to start with it, and how much memory at rest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mail_types::{Address, ReversePath, TransactionId};
use mailstore::Store;
use platform::clock::Clock;
use platform::metrics::Metrics;
use queue::{ConnectionEnd, Destination, Diagnostic, NewMessage, Notify, Queue, Recipient};
use testkit::{NameWorld, Server, Signing};

use crate::cgroup::Group;
use crate::mailstead::sending_options;
use crate::report::{Better, OURS, Report};

/// Messages on their way to the disk at a time.
const ACCEPTING: usize = 512;
/// Destinations that all of it waits for.
const DESTINATIONS: u32 = 10_000;
/// Nothing becomes due while the server is looked at.
const RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How long a server may settle before its memory is called that at rest.
const REST: Duration = Duration::from_secs(5);

/// Fills a queue through its own front door, and starts a server on it.
pub(crate) fn run(report: &mut Report, messages: u32) -> Result<()> {
    let world = NameWorld::start(Signing::Unsigned)?;
    let mut server = Server::make(sending_options(&world.settings(), 25, "")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(fill(&server.data(), messages))?;
    let work = format!("{messages} messages waiting for {DESTINATIONS} destinations");
    let rate = f64::from(messages) / begun.elapsed().as_secs_f64();
    report.add(&format!("{work}: queued"), OURS, rate, "messages/s", Better::More);
    let begun = Instant::now();
    server.up()?;
    report.add(&format!("{work}: start"), OURS, begun.elapsed().as_secs_f64(), "s", Better::Less);
    let group = Group::make("waiting")?;
    let process = server.process_id().context("no process")?;
    group.take(process)?;
    std::thread::sleep(REST);
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let rest = mib(group.resident_octets()?);
    report.add(&format!("{work}: memory at rest"), OURS, rest, "MiB", Better::Less);
    report.add(&format!("{work}: peak memory"), OURS, mib(high_water(process)?), "MiB", Better::Less);
    let begun = Instant::now();
    server.command(&["queue", "list"])?;
    report.add(&format!("{work}: queue list"), OURS, begun.elapsed().as_secs_f64(), "s", Better::Less);
    let begun = Instant::now();
    server.stop()?;
    report.add(&format!("{work}: stop"), OURS, begun.elapsed().as_secs_f64(), "s", Better::Less);
    server.up()?;
    server.kill()?;
    let begun = Instant::now();
    server.up()?;
    let seconds = begun.elapsed().as_secs_f64();
    report.add(&format!("{work}: start after a crash"), OURS, seconds, "s", Better::Less);
    Ok(())
}

/// The most memory that a process ever had.
fn high_water(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1_024)
}

/// A queue with its store.
pub(crate) fn open(data: &Path, settings: queue::Settings) -> Result<(Store, Queue)> {
    let (clock, metrics) = (Clock::system(), Metrics::default());
    let unattached = Queue::open(data, settings, clock.clone(), &metrics)?;
    let tenants = vec![unattached.tenant()];
    let store = Store::open_with(data, mailstore::Settings::default(), clock, &metrics, tenants)?;
    let queue = unattached.attach(&store)?;
    Ok((store, queue))
}

/// Queues the numbers below `messages`, many at a time, for so many destinations.
pub(crate) async fn accept_all(store: &Store, queue: &Queue, messages: u32, destinations: u32) -> Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..ACCEPTING {
        let (store, queue, next) = (store.clone(), queue.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= messages {
                    return anyhow::Ok(());
                }
                let mut intake = store.intake()?;
                let subject = format!("From: <ann@example.test>\r\nSubject: {number}\r\n\r\nHello, you.\r\n");
                intake.write(subject.as_bytes()).await?;
                let envelope = envelope(number, destinations)?;
                queue.accept(intake.finish().await?, envelope, Vec::new()).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn fill(data: &Path, messages: u32) -> Result<()> {
    let settings = queue::Settings {
        retry_first: RETRY_AFTER,
        retry_longest: RETRY_AFTER,
        ..queue::Settings::default()
    };
    let (store, queue) = open(data, settings)?;
    let refusing = tokio::spawn(refuse(queue.clone()));
    accept_all(&store, &queue, messages, DESTINATIONS).await?;
    // What was tried is remembered by the keeper's next round.
    queue.look().await?;
    refusing.abort();
    drop(queue);
    store.close().await?;
    Ok(())
}

/// Lets every destination be unreachable.
async fn refuse(queue: Queue) {
    loop {
        let text = "no route to host".into();
        let diagnostic = Diagnostic { remote: None, code: None, status: None, text };
        queue.lease().await.end(ConnectionEnd::Unreachable(diagnostic));
    }
}

fn envelope(number: u32, destinations: u32) -> Result<NewMessage> {
    let forward_path = Address::parse(&format!("user{number}@d{}.sink.test", number % destinations))?;
    let destination = forward_path.domain_name().context("no domain")?.clone();
    let recipient = Recipient::plain(forward_path, Destination::Domain(destination), Notify::Default);
    let (way, now) = (TransactionId(u64::from(number) + 1), Clock::system().now());
    Ok(NewMessage {
        reverse_path: ReversePath::Address(Address::parse("ann@example.test")?),
        ..NewMessage::plain(way, now, vec![recipient])
    })
}
