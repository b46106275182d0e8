//! Crashes: SIGKILL and power cuts at random moments under delivery, APPEND, MOVE, STORE and expunge, and a count of
//! every message afterwards. Nothing acknowledged is lost, nothing is doubled, no number comes back.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use testkit::{ImapClient, Server, ServerOptions, SmtpClient};

/// Rounds of each kind; `MAILSTEAD_ROUNDS` says otherwise.
const ROUNDS: u64 = 25;
/// Rounds on the same store before a new one is begun, so that checking stays quick.
pub(crate) const ROUNDS_PER_STORE: u64 = 10;

#[test]
fn kill_nine_loses_nothing() -> Result<()> {
    rounds(|| Ok(ServerOptions::default()), |_, _| Ok(()))
}

#[test]
fn a_power_cut_loses_nothing() -> Result<()> {
    let cuts = PowerCuts::prepare()?;
    rounds(|| cuts.options(""), |_, seed| cuts.cut(seed))?;
    cuts.have_taken_something()
}

/// Power cuts for a server's store: what it wrote and did not sync is taken away at random.
pub(crate) struct PowerCuts {
    library: PathBuf,
    place: tempfile::TempDir,
    lost: std::cell::Cell<u64>,
}

impl PowerCuts {
    pub(crate) fn prepare() -> Result<Self> {
        let library = beside("libpowercut_shim.so")?;
        let place = tempfile::tempdir()?;
        let cuts = Self { library, place, lost: std::cell::Cell::new(0) };
        std::fs::create_dir_all(cuts.journal())?;
        std::fs::create_dir_all(cuts.store())?;
        Ok(cuts)
    }

    fn journal(&self) -> PathBuf {
        self.place.path().join("journal")
    }

    fn store(&self) -> PathBuf {
        self.place.path().join("store")
    }

    /// A new server whose writes are watched, with these settings. What the journal has of a former one is forgotten:
    /// its files are gone, and others have their inodes.
    pub(crate) fn options(&self, settings: &str) -> Result<ServerOptions> {
        std::fs::remove_dir_all(self.journal())?;
        std::fs::create_dir_all(self.journal())?;
        let set = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
        let environment = vec![
            set("LD_PRELOAD", &self.library),
            set("POWERCUT_DIR", &self.store()),
            set("POWERCUT_JOURNAL", &self.journal()),
        ];
        Ok(ServerOptions {
            settings: settings.to_owned(),
            place: Some(self.store()),
            environment,
            ..ServerOptions::default()
        })
    }

    /// The power goes, after the server was killed.
    pub(crate) fn cut(&self, seed: u64) -> Result<()> {
        let output = Command::new(beside("powercut")?)
            .args(["apply", "--seed", &seed.to_string(), "--dir"])
            .arg(self.store())
            .arg("--journal")
            .arg(self.journal())
            .output()?;
        ensure!(output.status.success(), "powercut: {}", String::from_utf8_lossy(&output.stderr));
        self.lost.set(self.lost.get() + pages_lost(&String::from_utf8_lossy(&output.stdout))?);
        Ok(())
    }

    /// Demands that the cuts were real ones.
    pub(crate) fn have_taken_something(&self) -> Result<()> {
        ensure!(self.lost.get() > 0, "no cut took anything away: the library was not at work");
        Ok(())
    }
}

/// How many pages a cut took away, by what the tool says: `… pages: 3 kept, 5 lost, 1 torn; …`.
fn pages_lost(said: &str) -> Result<u64> {
    let pages = said.split("pages: ").nth(1).context("no count of pages")?;
    let lost = pages.split(", ").nth(1).and_then(|part| part.split(' ').next()).context("no lost pages")?;
    Ok(lost.parse()?)
}

/// A file that cargo built beside the server.
fn beside(name: &str) -> Result<PathBuf> {
    let file = testkit::mailstead_binary()?.with_file_name(name);
    ensure!(file.is_file(), "{} is not built: cargo build --workspace", file.display());
    Ok(file)
}

fn rounds(
    options: impl Fn() -> Result<ServerOptions>,
    cut: impl Fn(&Server, u64) -> Result<()>,
) -> Result<()> {
    let rounds = rounds_wanted()?;
    let mut done = 0;
    while done < rounds {
        let mut server = Server::make(options()?)?;
        let ledger = Ledger::default();
        for round in done..rounds.min(done + ROUNDS_PER_STORE) {
            let mut chance = Chance::new(round + 1);
            let story = || -> Result<()> {
                server.up()?;
                ledger.check(&server)?;
                ledger.work_until(&server, 5 + chance.below(60))?;
                server.kill()?;
                ledger.rest();
                cut(&server, round + 1)
            };
            let told = run(story);
            told.with_context(|| format!("round {round}"))?;
        }
        server.up().context("after the last round")?;
        ledger.check(&server)?;
        let verified = server.command(&["verify"])?;
        ensure!(verified.contains(" 0 faults"), "{verified}");
        done += ROUNDS_PER_STORE;
    }
    Ok(())
}

/// How many rounds of each kind are wanted.
pub(crate) fn rounds_wanted() -> Result<u64> {
    match std::env::var("MAILSTEAD_ROUNDS") {
        Ok(text) => text.parse().context("MAILSTEAD_ROUNDS"),
        Err(_) => Ok(ROUNDS),
    }
}

fn run(mut story: impl FnMut() -> Result<()>) -> Result<()> {
    story()
}

/// What is known of a message by its Message-ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Given to the server, no answer: may be there or not.
    Unknown,
    /// The server said that it keeps it.
    Kept,
    /// Its expunge was begun: may be there or not.
    Expunging,
    /// The server said that it is gone.
    Gone,
}

/// What everybody who works on the server knows together.
#[derive(Clone, Default)]
struct Ledger {
    inner: Arc<(Mutex<Known>, Condvar)>,
}

#[derive(Default)]
struct Known {
    /// By account and Message-ID.
    fates: HashMap<(&'static str, String), Fate>,
    /// The UID that the server gave, by account, mailbox and Message-ID.
    uids: HashMap<(&'static str, &'static str, String), u32>,
    /// UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ at least, by account and mailbox.
    numbers: BTreeMap<(&'static str, &'static str), [u64; 3]>,
    acknowledged: u64,
    next: u64,
    workers: usize,
    /// Why a worker ended: nearly always that the server was killed.
    last_words: String,
}

const PEOPLE: [&str; 2] = [Server::ANN, Server::BOB];
const MAILBOXES: [&str; 2] = ["INBOX", "Archive"];

impl Ledger {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_id(&self) -> String {
        let mut known = self.known();
        known.next += 1;
        format!("{}@crash.example", known.next)
    }

    fn set(&self, person: &'static str, id: &str, fate: Fate) {
        self.known().fates.insert((person, id.to_owned()), fate);
    }

    fn acknowledge(&self) {
        self.known().acknowledged += 1;
        self.inner.1.notify_all();
    }

    /// Works on the server until it has acknowledged so many more changes.
    fn work_until(&self, server: &Server, more: u64) -> Result<()> {
        let goal = { self.known().acknowledged + more };
        for number in 0..4 {
            let person: &'static [&'static str] =
                [&PEOPLE[..1], &PEOPLE[1..], &PEOPLE[..], &PEOPLE[..1]][number];
            self.start(server, move |ledger, smtp, _| deliver(ledger, smtp, person));
        }
        self.start(server, |ledger, _, imap| append(ledger, imap, Server::BOB));
        self.start(server, |ledger, _, imap| move_messages(ledger, imap, Server::ANN));
        self.start(server, |ledger, _, imap| expunge(ledger, imap, Server::ANN));
        let known = self.known();
        let waited = self.inner.1.wait_timeout_while(known, testkit::WAIT_MAX, |known| {
            known.acknowledged < goal && known.workers > 0
        });
        let (known, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(
            !timeout.timed_out() && known.acknowledged >= goal,
            "the server stopped answering:\n{}\na worker said: {}",
            server.log(),
            known.last_words
        );
        Ok(())
    }

    /// Starts somebody who works until the server dies.
    fn start(
        &self,
        server: &Server,
        work: impl Fn(&Self, std::net::SocketAddr, std::net::SocketAddr) -> Result<()> + Send + 'static,
    ) {
        let (ledger, smtp, imap) = (self.clone(), server.address(25), server.address(143));
        self.known().workers += 1;
        std::thread::spawn(move || {
            // The server's death ends every worker; a wrong answer shows as a goal not reached.
            let ended = work(&ledger, smtp, imap);
            if let Err(error) = ended {
                ledger.known().last_words = format!("{error:#}");
            }
            ledger.known().workers -= 1;
            ledger.inner.1.notify_all();
        });
    }

    /// Waits until every worker has noticed that the server is dead.
    fn rest(&self) {
        let mut known = self.known();
        while known.workers > 0 {
            known = self.inner.1.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts every message.
    fn check(&self, server: &Server) -> Result<()> {
        for person in PEOPLE {
            let mut imap = server.imap(person)?;
            let mut found: HashMap<String, usize> = HashMap::new();
            for mailbox in MAILBOXES {
                for (uid, id) in self.check_mailbox(&mut imap, person, mailbox)? {
                    *found.entry(id.clone()).or_default() += 1;
                    let known = self.known().uids.get(&(person, mailbox, id.clone())).copied();
                    ensure!(known.is_none_or(|known| known == uid), "{id} had UID {known:?} and has {uid}");
                }
            }
            self.check_fates(person, &found)?;
        }
        Ok(())
    }

    fn check_mailbox(
        &self,
        imap: &mut ImapClient,
        person: &'static str,
        mailbox: &'static str,
    ) -> Result<Vec<(u32, String)>> {
        let now = numbers(imap, mailbox)?;
        let before = self.known().numbers.insert((person, mailbox), now).unwrap_or([now[0], 0, 0]);
        ensure!(
            now[0] == before[0] && now[1] >= before[1] && now[2] >= before[2],
            "{person} {mailbox}: {before:?} became {now:?}"
        );
        let answer = imap.ok(&format!("SELECT {mailbox}"))?;
        if answer.number_of("EXISTS") == Some(0) {
            return Ok(Vec::new());
        }
        let answer = imap.ok("UID FETCH 1:* (UID BODY.PEEK[])")?;
        let mut messages = Vec::new();
        for (line, octets) in answer.of("FETCH").zip(&answer.literals) {
            let text = String::from_utf8_lossy(octets);
            let id = text
                .split("Message-ID: <")
                .nth(1)
                .and_then(|rest| rest.split('>').next())
                .context("a message without its id")?;
            ensure!(text.ends_with(&body(id)), "the octets of {id} are not what was sent: {text}");
            messages.push((uid_of(line)?, id.to_owned()));
        }
        let mut uids: Vec<u32> = messages.iter().map(|message| message.0).collect();
        uids.dedup();
        ensure!(uids.len() == messages.len() && uids.is_sorted(), "{person} {mailbox}: UIDs {uids:?}");
        ensure!(uids.last().is_none_or(|&last| u64::from(last) < now[1]), "UIDNEXT is not above every UID");
        Ok(messages)
    }

    fn check_fates(&self, person: &'static str, found: &HashMap<String, usize>) -> Result<()> {
        let mut known = self.known();
        for ((_, id), fate) in known.fates.iter_mut().filter(|((whose, _), _)| *whose == person) {
            let count = found.get(id).copied().unwrap_or(0);
            match fate {
                Fate::Kept => {
                    ensure!(count == 1, "{person}: {id} was acknowledged and is there {count} times")
                }
                Fate::Gone => ensure!(count == 0, "{person}: {id} was expunged and is there again"),
                Fate::Unknown | Fate::Expunging => {
                    ensure!(count <= 1, "{person}: {id} is doubled");
                    // From now on it is known.
                    *fate = if count == 1 { Fate::Kept } else { Fate::Gone };
                }
            }
        }
        for id in found.keys() {
            ensure!(known.fates.contains_key(&(person, id.clone())), "{person}: {id} was never sent");
        }
        Ok(())
    }
}

fn message(id: &str) -> String {
    format!("Message-ID: <{id}>\r\nSubject: crash\r\n\r\n{}", body(id))
}

fn body(id: &str) -> String {
    format!("\r\n{}", format!("This is message {id}.\r\n").repeat(1 + id.len() * 7 % 40))
}

fn deliver(ledger: &Ledger, address: std::net::SocketAddr, people: &[&'static str]) -> Result<()> {
    let mut smtp = SmtpClient::connect(address)?;
    loop {
        let id = ledger.new_id();
        for person in people {
            ledger.set(person, &id, Fate::Unknown);
        }
        smtp.send("eve@elsewhere.example", people, message(&id).as_bytes())?;
        for person in people {
            ledger.set(person, &id, Fate::Kept);
        }
        ledger.acknowledge();
    }
}

fn append(ledger: &Ledger, address: std::net::SocketAddr, person: &'static str) -> Result<()> {
    let mut imap = ImapClient::login(address, person, Server::PASSWORD)?;
    loop {
        let id = ledger.new_id();
        ledger.set(person, &id, Fate::Unknown);
        let answer = imap.append("Archive", "(\\Seen)", message(&id).as_bytes())?;
        ledger.set(person, &id, Fate::Kept);
        let uid = answer
            .code("APPENDUID")
            .and_then(|code| code.split(' ').nth(1))
            .context("no APPENDUID")?
            .parse()?;
        ledger.known().uids.insert((person, "Archive", id), uid);
        ledger.acknowledge();
    }
}

fn move_messages(ledger: &Ledger, address: std::net::SocketAddr, person: &'static str) -> Result<()> {
    let mut imap = ImapClient::login(address, person, Server::PASSWORD)?;
    loop {
        imap.ok("SELECT INBOX")?;
        let uids = search(&mut imap)?;
        let some: Vec<String> = uids.iter().take(3).map(ToString::to_string).collect();
        if !some.is_empty() {
            imap.ok(&format!("UID STORE {} +FLAGS (\\Flagged)", some[0]))?;
            imap.ok(&format!("UID MOVE {} Archive", some.join(",")))?;
            ledger.acknowledge();
        }
        note_numbers(ledger, &mut imap, person)?;
    }
}

fn expunge(ledger: &Ledger, address: std::net::SocketAddr, person: &'static str) -> Result<()> {
    let mut imap = ImapClient::login(address, person, Server::PASSWORD)?;
    loop {
        imap.ok("SELECT Archive")?;
        if let Some(&uid) = search(&mut imap)?.first() {
            let answer = imap.ok(&format!("UID FETCH {uid} BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"))?;
            let Some(field) = answer.literals.first() else { continue };
            let field = String::from_utf8_lossy(field).into_owned();
            let id = field.split(['<', '>']).nth(1).context("no id")?.to_owned();
            ledger.set(person, &id, Fate::Expunging);
            imap.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
            imap.ok(&format!("UID EXPUNGE {uid}"))?;
            ledger.set(person, &id, Fate::Gone);
            ledger.acknowledge();
        }
        note_numbers(ledger, &mut imap, person)?;
    }
}

fn search(imap: &mut ImapClient) -> Result<Vec<u32>> {
    let answer = imap.ok("UID SEARCH UNDELETED")?;
    let numbers =
        answer.untagged.iter().filter_map(|line| line.strip_prefix("SEARCH")).flat_map(str::split_whitespace);
    numbers.map(|number| Ok(number.parse()?)).collect()
}

/// Remembers how far the numbers have come, so that a crash cannot take them back.
fn note_numbers(ledger: &Ledger, imap: &mut ImapClient, person: &'static str) -> Result<()> {
    for mailbox in MAILBOXES {
        let now = numbers(imap, mailbox)?;
        let mut known = ledger.known();
        let floor = known.numbers.entry((person, mailbox)).or_insert(now);
        *floor = [floor[0], floor[1].max(now[1]), floor[2].max(now[2])];
    }
    Ok(())
}

fn numbers(imap: &mut ImapClient, mailbox: &str) -> Result<[u64; 3]> {
    let answer = imap.ok(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)"))?;
    let line = answer.of("STATUS").next().context("no STATUS")?.to_owned();
    let words: Vec<&str> = line.split([' ', '(', ')']).collect();
    let number = |name: &str| -> Result<u64> {
        let at = words.iter().position(|word| *word == name).with_context(|| format!("no {name}"))?;
        Ok(words.get(at + 1).context("no number")?.parse()?)
    };
    Ok([number("UIDVALIDITY")?, number("UIDNEXT")?, number("HIGHESTMODSEQ")?])
}

fn uid_of(fetch: &str) -> Result<u32> {
    let rest = fetch.split("UID ").nth(1).context("no UID")?;
    Ok(rest.split([' ', ')']).next().context("no number")?.parse()?)
}

/// Numbers that look random and are the same for the same seed (xorshift, Marsaglia 2003).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
