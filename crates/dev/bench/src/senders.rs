//! What it costs to know who really sent a message: mail in with all checks and without, over connections that are kept.
//!
//! Every message has a good signature of each algorithm, every domain an SPF record with an include and a DMARC policy.
//! DNS is on this machine and its answers are in the cache, as those about frequent senders are.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use mail_types::DomainName;
use sender_auth::dkim::{KeyFor, Selector, Signer, SigningKey, SigningOptions};
use testkit::{NameWorld, Record, Server, Signing};

use crate::mail::message;
use crate::mailstead::Mailstead;
use crate::out::{Sender, settled};
use crate::report::{Better, OURS, Report};
use crate::submit::Line;

/// Domains that mail comes from.
const DOMAINS: u32 = 10;
/// Different messages, sent again and again.
const LETTERS: u32 = 200;

/// How much mail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: u32,
    pub(crate) connections: u32,
}

/// A message and who sends it.
struct Letter {
    sender: String,
    octets: Vec<u8>,
}

pub(crate) fn run(report: &mut Report, plan: Plan) -> Result<()> {
    let mut world = NameWorld::start(Signing::Unsigned)?;
    world.zone("example", Signing::Unsigned)?;
    let letters = letters(&world)?;
    let mut each = Vec::new();
    for (how, checks) in [("checked", true), ("unchecked", false)] {
        let server = Mailstead::receiving(&world, checks)?;
        // Fills the cache, and whatever else is warm in a server that runs.
        bring(server.submission(), &letters, letters.len(), plan.connections)?;
        let before = settled(server.group())?;
        let messages = usize::try_from(plan.messages)?;
        let taken = bring(server.submission(), &letters, messages, plan.connections)?;
        let cpu = settled(server.group())?.saturating_sub(before);
        let work = format!("SMTP in, 4 KiB, signed, {} connections, senders {how}", plan.connections);
        let rate = f64::from(plan.messages) / taken.as_secs_f64();
        report.add(&format!("{work}: accepted"), OURS, rate, "messages/s", Better::More);
        each.push(cpu.as_secs_f64() * 1e3 / f64::from(plan.messages));
        let cost = each.last().copied().unwrap_or_default();
        report.add(&format!("{work}: CPU"), OURS, cost, "ms/message", Better::Less);
    }
    if let [with, without] = each[..] {
        report.add("Checks of a message's sender: CPU", OURS, with - without, "ms/message", Better::Less);
    }
    Ok(())
}

/// Messages of domains that this world knows.
fn letters(world: &NameWorld) -> Result<Vec<Letter>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let keys = (0..DOMAINS).map(|number| found(world, number)).collect::<Result<Vec<_>>>()?;
    let letter = |number: u32| {
        let keys = &keys[usize::try_from(number % DOMAINS)?];
        let domain = domain(number % DOMAINS);
        let text = String::from_utf8(message(number))?.replace("elsewhere.example", &domain);
        let (header, body) = text.split_once("\r\n\r\n").context("no body")?;
        let options = SigningOptions { now, good_for_seconds: None };
        let mut signer = Signer::new(format!("{header}\r\n").as_bytes(), keys, options);
        signer.body(body.as_bytes());
        let octets = [signer.finish()?, text.clone().into_bytes()].concat();
        Ok(Letter { sender: format!("bounces@{domain}"), octets })
    };
    (0..LETTERS).map(letter).collect()
}

fn domain(number: u32) -> String {
    format!("d{number}.example")
}

/// Publishes a domain, and gives its keys.
fn found(world: &NameWorld, number: u32) -> Result<[KeyFor; 2]> {
    let name = domain(number);
    let text = |owner: &str, text: String| world.add(owner, &Record::Text(text));
    text(&name, format!("v=spf1 include:_spf.{name} -all"));
    text(
        &format!("_spf.{name}"),
        "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip4:127.0.0.0/8 -all".to_owned(),
    );
    text(&format!("_dmarc.{name}"), "v=DMARC1; p=reject".to_owned());
    let keys = [("r", SigningKey::generate_rsa()?), ("e", SigningKey::generate_ed25519()?)].map(
        |(selector, key)| {
            let key = KeyFor::new(DomainName::parse(&name)?, Selector::parse(selector)?, key)?;
            text(key.record_name().as_str(), key.key().public_record()?);
            anyhow::Ok(key)
        },
    );
    let [rsa, ed25519] = keys;
    Ok([rsa?, ed25519?])
}

/// Brings messages, and says how long until the last was accepted.
fn bring(to: SocketAddr, letters: &[Letter], count: usize, connections: u32) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let work = || {
            let mut line = Line::open(to)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return line.command("QUIT\r\n", &["221"]);
                }
                let letter = &letters[number % letters.len()];
                line.bring(&letter.sender, Server::BOB, &[&letter.octets])
                    .with_context(|| format!("message {number}"))?;
            }
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })?;
    Ok(begun.elapsed())
}
