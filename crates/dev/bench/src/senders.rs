//! What it costs to know who really sent a message: mail in with all checks and without, a connection for each message.
//!
//! Every message has a good signature of each algorithm and a sealed hop (which the filters of others do not look at), every
//! domain an SPF record with an include and a DMARC policy. DNS is on this machine and its answers are in the cache, as those about frequent senders are.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use mail_types::DomainName;
use sender_auth::arc::{ChainResult, Sealer};
use sender_auth::dkim::{KeyFor, Selector, Signer, SigningKey, SigningOptions};
use testkit::{ImapClient, NameWorld, Record, Server, Signing};

use crate::cgroup::Group;
use crate::dovecot::Format;
use crate::filters::{self, Filters};
use crate::mail::message;
use crate::mailstead::Mailstead;
use crate::peer::Peer;
use crate::postfix::{PostfixDovecot, open_directory};
use crate::report::{Better, OURS, Report};
use crate::smtp::settled;
use crate::submit::Line;

/// Domains that mail comes from.
const DOMAINS: u32 = 10;
/// Whom it was passed on by.
const FORWARDER: &str = "forwarder.example";
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

pub(crate) fn run(report: &mut Report, plan: Plan, servers: &[crate::Server]) -> Result<()> {
    let mut world = NameWorld::start(Signing::Unsigned)?;
    let zone = world.zone("example", Signing::Unsigned)?;
    let letters = letters(&world)?;
    if servers.contains(&crate::Server::Mailstead) {
        let checked = measure(report, &Mailstead::receiving(&world, true)?, &letters, plan, Checks::All)?;
        let unchecked = measure(report, &Mailstead::receiving(&world, false)?, &letters, plan, Checks::None)?;
        tell_difference(report, OURS, checked, unchecked);
    }
    if servers.contains(&crate::Server::Maildir) {
        let directory = open_directory()?;
        let group = Group::asking("filtered", filters::resolvers(directory.path())?)?;
        let filters = Filters::start(&world, zone, &group, directory.path())?;
        let filtered = PostfixDovecot::with(Format::Maildir, group, &filters.settings())?;
        let checked = measure(report, &filtered, &letters, plan, Checks::All)?;
        drop((filtered, filters));
        let bare = PostfixDovecot::start(Format::Maildir)?;
        let unchecked = measure(report, &bare, &letters, plan, Checks::None)?;
        tell_difference(report, &bare.name(), checked, unchecked);
    }
    Ok(())
}

fn tell_difference(report: &mut Report, peer: &str, checked: f64, unchecked: f64) {
    report.add("Checks of a message's sender: CPU", peer, checked - unchecked, "ms/message", Better::Less);
}

/// Whether a server looks who sent a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checks {
    All,
    None,
}

/// Brings all the mail; gives the milliseconds of CPU time of a message.
fn measure(
    report: &mut Report,
    peer: &dyn Peer,
    letters: &[Letter],
    plan: Plan,
    checks: Checks,
) -> Result<f64> {
    // Fills the cache, and whatever else is warm in a server that runs.
    bring(peer.smtp(), letters, letters.len(), plan.connections)?;
    peer.wait_until_filed()?;
    let before = settled(peer)?;
    let messages = usize::try_from(plan.messages)?;
    let begun = Instant::now();
    bring(peer.smtp(), letters, messages, plan.connections)?;
    let accepted = begun.elapsed();
    peer.wait_until_filed()?;
    let filed = begun.elapsed();
    let cpu = settled(peer)?.saturating_sub(before);
    if checks == Checks::All {
        ensure_all_pass(peer, messages + letters.len())?;
    }
    let how = if checks == Checks::All { "checked" } else { "unchecked" };
    let work = format!(
        "SMTP in, 4 KiB, signed, {} connections, one for each message, senders {how}",
        plan.connections
    );
    for (until, time) in [("accepted", accepted), ("in the mailbox", filed)] {
        let rate = f64::from(plan.messages) / time.as_secs_f64();
        report.add(&format!("{work}: {until}"), &peer.name(), rate, "messages/s", Better::More);
    }
    let each = cpu.as_secs_f64() * 1e3 / f64::from(plan.messages);
    report.add(&format!("{work}: CPU"), &peer.name(), each, "ms/message", Better::Less);
    Ok(each)
}

/// Whether the server found out of each message that it is what it says.
fn ensure_all_pass(peer: &dyn Peer, messages: usize) -> Result<()> {
    let mut reader = ImapClient::login(peer.imap(), Server::BOB, Server::PASSWORD)?;
    reader.ok("SELECT INBOX")?;
    for result in ["spf=pass", "dkim=pass", "dmarc=pass"] {
        let found = reader.ok(&format!("SEARCH HEADER Authentication-Results {result}"))?;
        let found =
            found.of("SEARCH").flat_map(str::split_whitespace).filter(|word| word.parse::<u32>().is_ok());
        let found = found.count();
        ensure!(found == messages, "{}: {result} for {found} of {messages} messages", peer.name());
    }
    Ok(())
}

/// Messages of domains that this world knows.
fn letters(world: &NameWorld) -> Result<Vec<Letter>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let keys = (0..DOMAINS).map(|number| found(world, number)).collect::<Result<Vec<_>>>()?;
    let sealing = published(world, FORWARDER, "arc", SigningKey::generate_rsa()?)?;
    let letter = |number: u32| {
        let keys = &keys[usize::try_from(number % DOMAINS)?];
        let domain = domain(number % DOMAINS);
        let text = String::from_utf8(message(number))?.replace("elsewhere.example", &domain);
        let (header, body) = text.split_once("\r\n\r\n").context("no body")?;
        let options = SigningOptions { now, good_for_seconds: None };
        let mut signer = Signer::new(format!("{header}\r\n").as_bytes(), keys, options);
        signer.body(body.as_bytes());
        let signed = [signer.finish()?, text.clone().into_bytes()].concat();
        let octets = [seal(&signed, &sealing, now)?, signed].concat();
        Ok(Letter { sender: format!("bounces@{domain}"), octets })
    };
    (0..LETTERS).map(letter).collect()
}

/// What a host writes on top that passes a message on (RFC 8617).
fn seal(message: &[u8], key: &KeyFor, now: u64) -> Result<Vec<u8>> {
    let border = memchr::memmem::find(message, b"\r\n\r\n").context("no body")?;
    let mut sealer = Sealer::new(&message[..border + 2], now)?;
    sealer.body(&message[border + 4..]);
    Ok(sealer.finish(key, &format!("{FORWARDER}; dkim=pass"), ChainResult::None)?)
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
    Ok([
        published(world, &name, "r", SigningKey::generate_rsa()?)?,
        published(world, &name, "e", SigningKey::generate_ed25519()?)?,
    ])
}

/// A key that the world knows.
fn published(world: &NameWorld, domain: &str, selector: &str, key: SigningKey) -> Result<KeyFor> {
    let key = KeyFor::new(DomainName::parse(domain)?, Selector::parse(selector)?, key)?;
    world.add(key.record_name().as_str(), &Record::Text(key.key().public_record()?));
    Ok(key)
}

/// Brings messages until the last is accepted, over a connection each as strangers do. (pyspf-milter tells the messages of a
/// connection apart by chance, and fails where two are taken for one.)
fn bring(to: SocketAddr, letters: &[Letter], count: usize, connections: u32) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let letter = &letters[number % letters.len()];
                let mut line = Line::open(to)?;
                line.bring(&letter.sender, Server::BOB, &[&letter.octets])
                    .with_context(|| format!("message {number}"))?;
                line.command("QUIT\r\n", &["221"])?;
            }
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })
}
