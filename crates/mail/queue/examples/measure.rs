//! Measures the queue: `measure cycles DIR COUNT` accepts and settles; `measure fill DIR COUNT` leaves messages
//! for unreachable destinations behind, and `measure open DIR` opens them in a process of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mail_types::{Address, ReversePath, TransactionId};
use mailstore::Store;
use platform::clock::Clock;
use platform::metrics::Metrics;
use queue::{
    BodyNeeds, ConnectionEnd, Destination, Diagnostic, MessageKind, NewMessage, Notify, ParcelOutcome,
    Priority, Queue, Recipient, RecipientOutcome, Settings,
};

const ACCEPTING: usize = 128;
const SENDING: usize = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match words[..] {
        ["cycles", directory, count] => {
            runtime.block_on(cycles(Path::new(directory), count.parse().unwrap()))
        }
        ["fill", directory, count] => runtime.block_on(fill(Path::new(directory), count.parse().unwrap())),
        ["open", directory] => runtime.block_on(reopen(Path::new(directory))),
        _ => println!("measure cycles DIR COUNT | fill DIR COUNT | open DIR"),
    }
}

fn open(directory: &Path) -> (Store, Queue) {
    let (clock, metrics) = (Clock::system(), Metrics::default());
    let unattached = Queue::open(directory, Settings::default(), clock.clone(), &metrics).unwrap();
    let tenants = vec![unattached.tenant()];
    let settings = mailstore::Settings::default();
    let store = Store::open_with(directory, settings, clock, &metrics, tenants).unwrap();
    let queue = unattached.attach(&store).unwrap();
    (store, queue)
}

async fn accept(store: &Store, queue: &Queue, address: &str) {
    let forward_path = Address::parse(address).unwrap();
    let destination = Destination::Domain(forward_path.domain_name().unwrap().clone());
    let recipient = Recipient {
        forward_path,
        destination,
        original_recipient: None,
        notify: Notify::Default,
        expanded_from: None,
    };
    let new = NewMessage {
        way: TransactionId(1),
        arrived: Clock::system().now(),
        reverse_path: ReversePath::Address(Address::parse("ann@example.org").unwrap()),
        submitter: None,
        kind: MessageKind::Mail,
        needs: BodyNeeds::default(),
        require_tls: false,
        priority: Priority::default(),
        return_content: None,
        envelope_id: None,
        hold_until: None,
        deliver_by: None,
        recipients: vec![recipient],
    };
    let mut intake = store.intake().unwrap();
    let text =
        format!("From: Ann <ann@example.org>\r\nTo: {address}\r\nSubject: Hello\r\n\r\nHello, you.\r\n");
    intake.write(text.as_bytes()).await.unwrap();
    let message = intake.finish().await.unwrap();
    queue.accept(message, new, Vec::new()).await.unwrap();
}

async fn cycles(directory: &Path, count: usize) {
    let (store, queue) = open(directory);
    let next = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicUsize::new(0));
    let (begun, cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::new();
    for _ in 0..ACCEPTING {
        let (store, queue, next) = (store.clone(), queue.clone(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                accept(&store, &queue, &format!("u{number}@d{}.example", number % 50)).await;
            }
        }));
    }
    for _ in 0..SENDING {
        let (queue, sent) = (queue.clone(), Arc::clone(&sent));
        tasks.push(tokio::spawn(async move {
            while sent.load(Ordering::Relaxed) < count {
                let Ok(mut lease) = tokio::time::timeout(Duration::from_millis(50), queue.lease()).await
                else {
                    continue;
                };
                while let Some(parcel) = lease.next_within(Duration::from_millis(20)).await {
                    let recipients =
                        parcel.recipients().map(|(number, _)| (number, RecipientOutcome::Relayed)).collect();
                    let outcome = ParcelOutcome { recipients, reports: Vec::new() };
                    lease.settle(parcel, outcome).await.unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                lease.flush().await.unwrap();
                lease.end(ConnectionEnd::Reached);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (took, cpu) = (begun.elapsed(), cpu_time() - cpu);
    println!(
        "{count} cycles in {took:.2?}: {:.0}/s, {:.1} µs CPU each; {:?}",
        count as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64,
        queue.stats().await.unwrap()
    );
    store.close().await.unwrap();
}

async fn fill(directory: &Path, count: usize) {
    let (store, queue) = open(directory);
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let refusing = {
        let queue = queue.clone();
        tokio::spawn(async move {
            loop {
                let lease = queue.lease().await;
                lease.end(ConnectionEnd::Unreachable(Diagnostic {
                    remote: None,
                    code: None,
                    status: None,
                    text: "no route to host".into(),
                }));
            }
        })
    };
    let mut tasks = Vec::new();
    for _ in 0..ACCEPTING {
        let (store, queue, next) = (store.clone(), queue.clone(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                accept(&store, &queue, &format!("u{number}@d{}.example", number % 10_000)).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    println!("{count} accepted in {:.2?}; {}", begun.elapsed(), memory());
    refusing.abort();
    println!("{:?}", queue.stats().await.unwrap());
    drop(queue);
    store.close().await.unwrap();
    println!("closed after {:.2?}; {}", begun.elapsed(), memory());
}

async fn reopen(directory: &Path) {
    let before = memory();
    let begun = Instant::now();
    let (store, queue) = open(directory);
    println!("opened in {:.2?}; before {before}, now {}", begun.elapsed(), memory());
    let lease = tokio::time::timeout(Duration::from_secs(60), queue.lease()).await;
    println!("first lease {:?} after {:.2?}", lease.as_ref().map(queue::Lease::destination), begun.elapsed());
    drop(lease);
    println!("{:?} after {:.2?}; {}", queue.stats().await.unwrap(), begun.elapsed(), memory());
    store.close().await.unwrap();
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux that we know.
    Duration::from_millis(ticks * 10)
}
