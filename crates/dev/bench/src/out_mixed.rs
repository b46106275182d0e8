//! Mail out to a thousand destinations, some of them dead and some slow: what healthy mail feels of the others.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::{NameWorld, Record, Signing};

use crate::hosts::{Arrivals, Health, Hosts};
use crate::mailstead::Mailstead;
use crate::out::{Sender, settled};
use crate::peak::Peak;
use crate::report::{Better, OURS, Report};
use crate::submit::{Load, domain};

/// Longest wait for the next healthy message before a run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: u32,
    pub(crate) destinations: u32,
    /// Destinations that take nothing: by turns nobody listens there, or connections vanish.
    pub(crate) dead: u32,
    pub(crate) slow: u32,
    pub(crate) rate: u32,
    pub(crate) connections: u32,
}

impl Plan {
    /// Bad destinations lie among the others, not before or behind them.
    fn health(self, destination: u32) -> Health {
        let place = destination.wrapping_mul(7_919) % self.destinations;
        match place {
            place if place < self.dead && place % 2 == 0 => Health::Nobody,
            place if place < self.dead => Health::Hole,
            place if place < self.dead + self.slow => Health::Slow,
            _ => Health::Well,
        }
    }

    fn health_of_message(self, number: u32) -> Health {
        self.health(number % self.destinations)
    }
}

/// Measures mailstead, first with healthy destinations alone.
pub(crate) fn run(report: &mut Report, plan: Plan) -> Result<()> {
    ensure!(plan.dead + plan.slow <= plan.destinations, "more bad destinations than there are");
    for plan in [Plan { dead: 0, slow: 0, ..plan }, plan] {
        one(report, plan)?;
    }
    Ok(())
}

fn one(report: &mut Report, plan: Plan) -> Result<()> {
    let hosts = Hosts::open(plan.messages)?;
    let mut world = NameWorld::start(Signing::Unsigned)?;
    world.zone("test", Signing::Unsigned)?;
    for destination in 0..plan.destinations {
        let (name, host) = (domain(destination), format!("mx{destination}.sink.test"));
        world.add(&name, &Record::MailExchanger(10, host.clone()));
        world.add(&host, &Record::Address(plan.health(destination).address()));
    }
    let sender = Mailstead::sending(&world, hosts.port(), "")?;
    let before = settled(sender.group())?;
    let peak = Peak::watch(sender.group());
    let accepted = Arrivals::new(plan.messages);
    let load = Load {
        to: sender.submission(),
        messages: plan.messages,
        connections: plan.connections,
        destinations: plan.destinations,
        rate: Some(plan.rate),
    };
    load.run(&|number| accepted.note(number))?;
    wait_for_healthy(&hosts.arrivals, plan)?;
    let cpu = sender.group().cpu_time()?.saturating_sub(before);
    let work = format!(
        "SMTP out, {} messages at {}/s, {} destinations, {} dead, {} slow",
        plan.messages, plan.rate, plan.destinations, plan.dead, plan.slow
    );
    for (name, health) in [("healthy", Health::Well), ("slow", Health::Slow)] {
        tell_times(report, &format!("{work}: {name} mail"), &waits(plan, health, &accepted, &hosts.arrivals));
    }
    let each = cpu.as_secs_f64() * 1e3 / f64::from(plan.messages);
    report.add(&format!("{work}: CPU"), OURS, each, "ms/message", Better::Less);
    let mib = peak.end()? as f64 / f64::from(1 << 20);
    report.add(&format!("{work}: peak memory"), OURS, mib, "MiB", Better::Less);
    let repeated = f64::from(hosts.arrivals.repeated.load(Ordering::Relaxed));
    report.add(&format!("{work}: came twice"), OURS, repeated, "messages", Better::Less);
    Ok(())
}

fn wait_for_healthy(arrivals: &Arrivals, plan: Plan) -> Result<()> {
    let missing = |from: u32| {
        (from..plan.messages)
            .find(|&number| plan.health_of_message(number) == Health::Well && arrivals.time(number).is_none())
    };
    let (mut seen, mut count, mut since) = (0, 0, Instant::now());
    while let Some(number) = missing(seen) {
        let now = arrivals.count.load(Ordering::Relaxed);
        if now != count || number != seen {
            (count, since) = (now, Instant::now());
        }
        seen = number;
        ensure!(since.elapsed() < PATIENCE, "message {number} does not arrive; {count} have");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How long those of one health waited that have arrived, shortest first.
fn waits(plan: Plan, health: Health, accepted: &Arrivals, arrived: &Arrivals) -> Vec<Duration> {
    let waits = (0..plan.messages).filter(|&number| plan.health_of_message(number) == health);
    // One may arrive before its sender has read that it was accepted.
    let mut waits: Vec<Duration> = waits.filter_map(|number| arrived.since(accepted, number)).collect();
    waits.sort_unstable();
    waits
}

fn tell_times(report: &mut Report, work: &str, waits: &[Duration]) {
    if waits.is_empty() {
        return;
    }
    let at = |share: usize| waits[(waits.len() - 1) * share / 1_000].as_secs_f64() * 1e3;
    for (name, share) in [("p50", 500), ("p99", 990), ("longest", 1_000)] {
        report.add(&format!("{work}, time in queue, {name}"), OURS, at(share), "ms", Better::Less);
    }
}
