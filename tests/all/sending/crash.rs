//! Crashes of a server that sends: SIGKILL and power cuts at random moments while many messages are submitted and leave
//! for hosts that count. What was answered with 250 arrives, or its sender is told; nothing is told twice; a second copy
//! leaves in a later life alone, where the host had taken the first one and the server died before it had noted that.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, ImapClient, Internet, Phase, Server, ServerOptions, SmtpClient, Whim};

use super::{json, wait_until};
use crate::crash::{Chance, PowerCuts, ROUNDS_PER_STORE, rounds_wanted};

/// People who send at the same time.
const SENDERS: usize = 4;
const SETTINGS: &str = "[submission]\nmessages_an_hour = 0\nmessages_a_day = 0\nrecipients_an_hour = 0\nrecipients_a_day = 0\n\
    [smtp]\nmessages_max = 1000000\n[store]\nrecoverable = 0\npurge_dead_percent = 1\npack_octets = \"1M\"\n";
/// Lines of noise in each message, so that packs fill up and are purged.
const NOISE_LINES: u64 = 250;

#[test]
fn kill_nine_loses_no_mail_on_its_way_out() -> Result<()> {
    let options =
        |settings: &str| Ok(ServerOptions { settings: settings.to_owned(), ..ServerOptions::default() });
    rounds("kill -9", options, |_| Ok(()))
}

#[test]
fn kill_nine_within_a_purge_loses_no_mail_on_its_way_out() -> Result<()> {
    let options =
        |settings: &str| Ok(ServerOptions { settings: settings.to_owned(), ..ServerOptions::default() });
    let mut figures = Figures::default();
    let scene = Scene::set(options)?;
    for round in 0..purge_rounds(rounds_wanted()?) {
        scene.begin_era(round);
        scene.server.borrow_mut().up()?;
        if round % 2 == 0 {
            scene.drain_and_check().with_context(|| format!("round {round}"))?;
        }
        scene.ledger.work_until(&scene.server.borrow(), MESSAGES_PER_PURGE)?;
        let mut chance = Chance::new(round + 1);
        figures.cut_purges += u64::from(scene.kill_within_purge(&mut chance)?);
        scene.ledger.rest();
        figures.rounds += 1;
        figures.purges += 1;
    }
    scene.end(&mut figures)?;
    println!("kill -9 within a purge: {figures:?}");
    ensure!(figures.cut_purges * 2 > figures.rounds, "too few purges were cut: {figures:?}");
    Ok(())
}

#[test]
fn a_power_cut_loses_no_mail_on_its_way_out() -> Result<()> {
    let cuts = PowerCuts::prepare()?;
    rounds("power cut", |settings| cuts.options(settings), |seed| cuts.cut(seed))?;
    cuts.have_taken_something()
}

/// What came of all rounds.
#[derive(Default, Debug)]
struct Figures {
    rounds: u64,
    answered: u64,
    arrived: u64,
    doubled: u64,
    /// To Ann's INBOX, and to a stranger by the queue.
    reported: u64,
    purges: u64,
    /// Those that the server did not live to end.
    cut_purges: u64,
}

/// Messages answered before each purge that is cut: enough for some packs.
const MESSAGES_PER_PURGE: u64 = 250;

/// Each round is a long one.
fn purge_rounds(rounds: u64) -> u64 {
    rounds.div_ceil(4)
}

fn rounds(
    what: &str,
    options: impl Fn(&str) -> Result<ServerOptions>,
    cut: impl Fn(u64) -> Result<()>,
) -> Result<()> {
    let rounds = rounds_wanted()?;
    let mut figures = Figures::default();
    while figures.rounds < rounds {
        let scene = Scene::set(&options)?;
        let until = rounds.min(figures.rounds + ROUNDS_PER_STORE);
        scene.live_through(figures.rounds..until, &cut, &mut figures)?;
    }
    println!("{what}: {figures:?}");
    Ok(())
}

/// The kinds of messages, by who gets them.
const KINDS: [&[&str]; 5] = [
    &["eve@far.example"],
    &["eve@far.example", "fred@other.example"],
    // Refused: Ann gets a report.
    &["nobody@far.example"],
    // One write for the mailbox here and the queue.
    &["eve@far.example", Server::BOB],
    // Refused, and from a stranger: the report leaves by the queue.
    &["nobody@far.example"],
];
/// The kind whose sender is a stranger.
const OF_A_STRANGER: usize = 4;

struct Scene {
    _internet: Internet,
    server: std::cell::RefCell<Server>,
    far: Exchanger,
    other: Exchanger,
    /// Where the stranger lives.
    home: Exchanger,
    ledger: Ledger,
}

impl Scene {
    fn set(options: impl Fn(&str) -> Result<ServerOptions>) -> Result<Self> {
        let mut internet = Internet::start()?;
        let (far, other) = (internet.domain("far.example")?, internet.domain("other.example")?);
        let home = internet.domain("home.example")?;
        far.refuse("nobody@far.example", "550 5.1.1 unheard of");
        let settings = format!(
            "{}{SETTINGS}[breaker]\nenabled = false\n",
            internet.settings("idle_wait = 1\nbackup_domains = [\"far.example\"]", "")
        );
        let server = Server::make(options(&settings)?)?.into();
        Ok(Self { _internet: internet, server, far, other, home, ledger: Ledger::default() })
    }

    fn live_through(
        &self,
        rounds: std::ops::Range<u64>,
        cut: &impl Fn(u64) -> Result<()>,
        figures: &mut Figures,
    ) -> Result<()> {
        for round in rounds {
            let mut chance = Chance::new(round + 1);
            figures.purges += self.live(round, &mut chance).with_context(|| format!("round {round}"))?;
            cut(round + 1)?;
            figures.rounds += 1;
        }
        self.end(figures)
    }

    /// Starts the server once more, and looks for everything.
    fn end(&self, figures: &mut Figures) -> Result<()> {
        self.begin_era(u64::MAX);
        self.server.borrow_mut().up().context("after the last round")?;
        self.drain_and_check()?;
        let verified = self.server.borrow().command(&["verify"])?;
        ensure!(verified.contains(" 0 faults"), "{verified}");
        self.count(figures);
        Ok(())
    }

    fn begin_era(&self, era: u64) {
        for host in [&self.far, &self.other, &self.home] {
            host.set_era(era);
        }
    }

    /// One life of the server, from its start to its death; the number is that of its purges.
    fn live(&self, round: u64, chance: &mut Chance) -> Result<u64> {
        self.begin_era(round);
        self.server.borrow_mut().up()?;
        // Every other time there is a backlog of the lives before when the work begins.
        if chance.below(2) == 0 {
            self.drain_and_check()?;
        }
        if chance.below(3) == 0 {
            self.far.plan(Phase::Recipient, Whim::Says("451 4.7.1 Later".into()), chance.below(5));
        }
        self.ledger.work_until(&self.server.borrow(), 5 + chance.below(60))?;
        let is_purged = chance.below(3) == 0;
        if is_purged {
            // People go on sending meanwhile.
            self.server.borrow().command(&["store", "purge"])?;
        }
        self.server.borrow_mut().kill()?;
        self.ledger.rest();
        Ok(u64::from(is_purged))
    }

    /// Begins a purge while people send, and kills the server when one, two or three packs are gone, or before the first one
    /// is; true if the purge had not come to its end.
    fn kill_within_purge(&self, chance: &mut Chance) -> Result<bool> {
        let mut server = self.server.borrow_mut();
        let before = packs(&server)?;
        let gone_wanted = usize::try_from(chance.below(4))?;
        let mut looks = chance.below(300);
        let mut purge = Command::new(testkit::mailstead_binary()?)
            .arg("--config")
            .arg(server.config())
            .args(["store", "purge"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        while purge.try_wait()?.is_none() {
            let gone = before.difference(&packs(&server)?).count();
            // With none to go, a number of looks at the directory is the moment.
            let has_come = if gone_wanted == 0 { gone > 0 || looks == 0 } else { gone >= gone_wanted };
            if has_come {
                break;
            }
            looks = looks.saturating_sub(1);
        }
        server.kill()?;
        let is_ended = purge.wait()?.success();
        Ok(!is_ended)
    }

    /// Waits until the queue is empty, and looks for every message.
    fn drain_and_check(&self) -> Result<()> {
        let server = self.server.borrow();
        wait_until("the queue gets empty", &server, || {
            Ok(json(&server, &["queue", "status"])?["messages"] == 0)
        })?;
        let (far, other) = (self.far.counts(), self.other.counts());
        let reports = fields(&server, Server::ANN, "In-Reply-To")?;
        let kept = fields(&server, Server::BOB, "Message-ID")?;
        let sent_reports = self.sent_reports()?;
        let times = |counts: &BTreeMap<String, u64>, id: &str| counts.get(id).copied().unwrap_or(0);
        for (id, given) in &self.ledger.known().given {
            let least = u64::from(given.is_answered);
            let at_far = times(&far, id);
            match given.kind {
                0 => ensure!(at_far >= least, "{id} was answered and is nowhere"),
                1 => ensure!(
                    at_far >= least && (at_far > 0) == (times(&other, id) > 0),
                    "{id} is at far.example {at_far} times, at other.example {} times",
                    times(&other, id)
                ),
                2 => {
                    let told = times(&reports, id);
                    ensure!(at_far == 0 && told >= least && told <= 1, "{id} was reported {told} times");
                }
                OF_A_STRANGER => {
                    let told = sent_reports.get(id).map_or(0, |reports| reports.len() as u64);
                    ensure!(at_far == 0 && told >= least && told <= 1, "{id} has {told} different reports");
                }
                _ => {
                    let here = times(&kept, id);
                    ensure!(
                        at_far >= least && here == u64::from(at_far > 0),
                        "{id} is here {here} times and at far.example {at_far} times"
                    );
                }
            }
        }
        self.second_copies_left_in_later_lives()
    }

    /// The reports that the stranger got, by the message they speak of. A report may arrive twice as any message may, but
    /// there are no two about one message.
    fn sent_reports(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut reports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for received in self.home.received() {
            let text = received.text();
            let field = text.split("\r\nIn-Reply-To: <").nth(1).context("a report about nothing")?;
            let about = field.split('>').next().unwrap_or_default().to_owned();
            reports.entry(about).or_default().insert(received.message_id());
        }
        Ok(reports)
    }

    fn second_copies_left_in_later_lives(&self) -> Result<()> {
        for host in [&self.far, &self.other, &self.home] {
            let mut seen = BTreeSet::new();
            for received in host.received() {
                let (id, era) = (received.message_id(), received.era);
                ensure!(seen.insert((id.clone(), era)), "{id} came to {} twice in life {era}", host.name());
                let is_whole =
                    host.name() == self.home.name() || received.octets.ends_with(noisy(&id).as_bytes());
                ensure!(is_whole, "{id} is not what was sent: {}", received.text());
            }
        }
        Ok(())
    }

    fn count(&self, figures: &mut Figures) {
        let known = self.ledger.known();
        figures.answered += known.given.values().filter(|given| given.is_answered).count() as u64;
        let is_refused = |given: &&Given| given.is_answered && KINDS[given.kind] == ["nobody@far.example"];
        figures.reported += known.given.values().filter(is_refused).count() as u64;
        for host in [&self.far, &self.other, &self.home] {
            let counts = host.counts();
            figures.arrived += counts.len() as u64;
            figures.doubled += counts.values().map(|times| times - 1).sum::<u64>();
        }
    }
}

/// The packs that there are.
fn packs(server: &Server) -> Result<BTreeSet<OsString>> {
    std::fs::read_dir(server.data().join("packs"))?.map(|entry| Ok(entry?.file_name())).collect()
}

/// A message's end: noise, and its name.
fn noisy(id: &str) -> String {
    let mut chance =
        Chance::new(id.bytes().fold(1, |sum: u64, octet| sum.wrapping_mul(31) ^ u64::from(octet)));
    let noise: String = (0..NOISE_LINES)
        .map(|_| format!("{:016x}{:016x}\r\n", chance.below(u64::MAX), chance.below(u64::MAX)))
        .collect();
    format!("{noise}This is {id}.\r\n")
}

fn message(id: &str, sender: &str) -> String {
    format!("From: {sender}\r\nSubject: crash\r\nMessage-ID: <{id}>\r\n\r\n{}", noisy(id))
}

/// How often each message identifier stands in this field, over a person's INBOX.
fn fields(server: &Server, person: &str, field: &str) -> Result<BTreeMap<String, u64>> {
    let mut imap: ImapClient = server.imap(person)?;
    let mut counts = BTreeMap::new();
    if imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(0) {
        return Ok(counts);
    }
    let answer = imap.ok(&format!("FETCH 1:* BODY.PEEK[HEADER.FIELDS ({field})]"))?;
    for octets in &answer.literals {
        let text = String::from_utf8_lossy(octets).into_owned();
        let id = text.split(['<', '>']).nth(1).with_context(|| format!("no id in {text:?}"))?;
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

#[derive(Clone, Copy, Debug)]
struct Given {
    kind: usize,
    /// The server said 250.
    is_answered: bool,
}

/// What all senders know together.
#[derive(Clone, Default)]
struct Ledger {
    inner: Arc<(Mutex<Known>, Condvar)>,
}

#[derive(Default)]
struct Known {
    given: BTreeMap<String, Given>,
    answered: u64,
    workers: usize,
    /// Why a sender ended: nearly always that the server was killed.
    last_words: String,
}

impl Ledger {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets people send until so many more messages are answered.
    fn work_until(&self, server: &Server, more: u64) -> Result<()> {
        let goal = self.known().answered + more;
        for _ in 0..SENDERS {
            let (ledger, submission, smtp) = (self.clone(), server.address(587), server.address(25));
            self.known().workers += 1;
            std::thread::spawn(move || {
                // The server's death ends every sender; a wrong answer shows as a goal not reached.
                let ended = ledger.send(submission, smtp);
                let mut known = ledger.known();
                if let Err(error) = ended {
                    known.last_words = format!("{error:#}");
                }
                known.workers -= 1;
                drop(known);
                ledger.inner.1.notify_all();
            });
        }
        let waited = self.inner.1.wait_timeout_while(self.known(), testkit::WAIT_MAX, |known| {
            known.answered < goal && known.workers > 0
        });
        let (known, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(
            !timeout.timed_out() && known.answered >= goal,
            "the server stopped answering:\n{}\na sender said: {}",
            server.log(),
            known.last_words
        );
        Ok(())
    }

    /// Sends one message after the other until the server dies.
    fn send(&self, submission: SocketAddr, smtp: SocketAddr) -> Result<()> {
        let (mut ann, mut carl) = (SmtpClient::connect(submission)?, SmtpClient::connect(smtp)?);
        ann.login(Server::ANN, Server::PASSWORD)?;
        loop {
            let (id, kind) = {
                let mut known = self.known();
                let number = known.given.len();
                let (id, kind) = (format!("{number}@crash.example"), number % KINDS.len());
                known.given.insert(id.clone(), Given { kind, is_answered: false });
                (id, kind)
            };
            let (client, sender) = match kind {
                OF_A_STRANGER => (&mut carl, "carl@home.example"),
                _ => (&mut ann, Server::ANN),
            };
            client.send(sender, KINDS[kind], message(&id, sender).as_bytes())?;
            let mut known = self.known();
            known.given.insert(id, Given { kind, is_answered: true });
            known.answered += 1;
            drop(known);
            self.inner.1.notify_all();
        }
    }

    /// Waits until every sender has noticed that the server is dead.
    fn rest(&self) {
        let mut known = self.known();
        while known.workers > 0 {
            known = self.inner.1.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
