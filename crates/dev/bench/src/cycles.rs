//! The outbound queue by itself: messages accepted durably, handed out and settled, without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use queue::{ConnectionEnd, ParcelOutcome, Queue, RecipientOutcome};

use crate::report::{Better, OURS, Report};
use crate::waiting::{accept_all, open};

/// Connections that take mail at once.
const SENDING: usize = 32;
const DESTINATIONS: u32 = 50;
/// How long a connection waits for more mail, and for there to be any at all.
const PATIENCE: Duration = Duration::from_millis(20);

/// Lets so many messages pass.
pub(crate) fn run(report: &mut Report, messages: u32) -> Result<()> {
    // On the disk that everybody gets.
    let place = tempfile::tempdir_in(std::env::current_dir()?.join("target"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (begun, cpu) = (Instant::now(), cpu_time()?);
    runtime.block_on(async {
        let (store, queue) = open(place.path(), queue::Settings::default())?;
        let settled = Arc::new(AtomicU32::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..SENDING {
            tasks.spawn(send(queue.clone(), Arc::clone(&settled), messages));
        }
        accept_all(&store, &queue, messages, DESTINATIONS).await?;
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        drop(queue);
        store.close().await?;
        anyhow::Ok(())
    })?;
    let (took, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(cpu));
    let (work, count) = ("the queue by itself, accepted and settled", f64::from(messages));
    report.add(work, OURS, count / took.as_secs_f64(), "messages/s", Better::More);
    report.add(&format!("{work}: CPU"), OURS, cpu.as_secs_f64() * 1e6 / count, "µs/message", Better::Less);
    Ok(())
}

async fn send(queue: Queue, settled: Arc<AtomicU32>, messages: u32) -> Result<()> {
    while settled.load(Ordering::Relaxed) < messages {
        let Ok(mut lease) = tokio::time::timeout(PATIENCE, queue.lease()).await else { continue };
        while let Some(parcel) = lease.next_within(PATIENCE).await {
            let recipients = parcel.recipients().map(|(number, _)| (number, RecipientOutcome::Relayed));
            let outcome = ParcelOutcome { recipients: recipients.collect(), reports: Vec::new() };
            lease.settle(parcel, outcome).await?;
            settled.fetch_add(1, Ordering::Relaxed);
        }
        lease.flush().await?;
        lease.end(ConnectionEnd::Reached);
    }
    Ok(())
}

/// What this process has used.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name may have spaces.
    let mut fields = stat.rsplit(')').next().context("no name")?.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("too few fields")?.parse()?) };
    // USER_HZ is 100 on every Linux that we know.
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}
