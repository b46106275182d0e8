//! Mail out: the same mail through each server to the same sinks, until the last has arrived.
//!
//! mailstead finds the sinks as it would on the Internet: recursively from a root, MX and addresses of each domain.
//! Postfix is spared that and has them in a table.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::{NameWorld, Record, Signing};

use crate::cgroup::Group;
use crate::mailstead::Mailstead;
use crate::peak::Peak;
use crate::postfix::PostfixAlone;
use crate::report::{Better, Report};
use crate::sinks::Sinks;
use crate::submit::{Load, domain};

/// Hosts that mail goes to; destinations are dealt out among them.
const SINKS: u8 = 4;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: u32,
    pub(crate) destinations: u32,
    pub(crate) connections: u32,
}

/// A server that sends mail on.
pub(crate) trait Sender {
    fn name(&self) -> String;
    /// Where mail for anybody is taken.
    fn submission(&self) -> std::net::SocketAddr;
    /// What it costs.
    fn group(&self) -> &Group;
}

/// Measures mailstead.
pub(crate) fn run_mailstead(report: &mut Report, plan: Plan) -> Result<()> {
    let sinks = Sinks::start(SINKS)?;
    let mut world = NameWorld::start(Signing::Unsigned)?;
    world.zone("test", Signing::Unsigned)?;
    for destination in 0..plan.destinations {
        let (name, host) = (domain(destination), format!("mx{destination}.sink.test"));
        world.add(&name, &Record::MailExchanger(10, host.clone()));
        world.add(&host, &Record::Address(sinks.address(destination)));
    }
    let sender = Mailstead::sending(&world, sinks.port(), "")?;
    run(report, &sender, &sinks, plan)
}

/// Measures Postfix.
pub(crate) fn run_postfix(report: &mut Report, plan: Plan) -> Result<()> {
    let sinks = Sinks::start(SINKS)?;
    let routes: String = (0..plan.destinations)
        .map(|number| format!("{} smtp:[{}]:{}\n", domain(number), sinks.address(number), sinks.port()))
        .collect();
    run(report, &PostfixAlone::start(&routes)?, &sinks, plan)
}

fn run(report: &mut Report, sender: &dyn Sender, sinks: &Sinks, plan: Plan) -> Result<()> {
    let group = sender.group();
    let (before, arrived) = (settled(group)?, sinks.arrived());
    let peak = Peak::watch(group);
    let begun = Instant::now();
    let load = Load {
        to: sender.submission(),
        messages: plan.messages,
        connections: plan.connections,
        destinations: plan.destinations,
        rate: None,
    };
    load.run(&|_| {})?;
    let accepted = begun.elapsed();
    sinks.wait_for(arrived + u64::from(plan.messages))?;
    let sent = begun.elapsed();
    let cpu = settled(group)?.saturating_sub(before);
    let more = (sinks.arrived() - arrived).saturating_sub(u64::from(plan.messages));
    ensure!(more == 0, "{more} messages came twice through {}", sender.name());
    let work = format!(
        "SMTP out, 4 KiB, {} messages, {} destinations, {} connections in",
        plan.messages, plan.destinations, plan.connections
    );
    for (until, time) in [("accepted", accepted), ("arrived", sent)] {
        let rate = f64::from(plan.messages) / time.as_secs_f64();
        report.add(&format!("{work}: {until}"), &sender.name(), rate, "messages/s", Better::More);
    }
    let each = cpu.as_secs_f64() * 1e3 / f64::from(plan.messages);
    report.add(&format!("{work}: CPU"), &sender.name(), each, "ms/message", Better::Less);
    let mib = peak.end()? as f64 / f64::from(1 << 20);
    report.add(&format!("{work}: peak memory"), &sender.name(), mib, "MiB", Better::Less);
    Ok(())
}

/// CPU time once the server rests: what is still being written into indexes belongs to the cost.
pub(crate) fn settled(group: &Group) -> Result<Duration> {
    let mut last = group.cpu_time()?;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = group.cpu_time()?;
        if now.saturating_sub(last) < Duration::from_millis(6) {
            return Ok(now);
        }
        last = now;
    }
}
