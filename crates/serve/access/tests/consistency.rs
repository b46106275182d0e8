//! Sessions that change one mailbox at random, and clients that believe every word: at the end each must know exactly
//! what is there. Seeds are fixed; a failure names its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod house;

use std::collections::BTreeMap;

use house::{Client, House};

/// A client that keeps a mailbox in its head, from what it is told alone.
struct Believer {
    client: Client,
    /// By sequence number: the UID, once it is known, and the flags.
    messages: Vec<(Option<u32>, Option<String>)>,
    uses_vanished: bool,
    tag: u32,
}

impl Believer {
    async fn new(house: &House, enable: &str) -> Self {
        let mut client = house.ann().await;
        if !enable.is_empty() {
            client.command(&format!("en ENABLE {enable}")).await;
        }
        let mut believer =
            Self { client, messages: Vec::new(), uses_vanished: enable.contains("QRESYNC"), tag: 0 };
        believer.command("SELECT INBOX").await;
        believer
    }

    /// Sends a command and believes every line of its answer. Returns whether numbers moved meanwhile.
    async fn command(&mut self, command: &str) -> String {
        self.tag += 1;
        let lines = self.client.command(&format!("t{} {command}", self.tag)).await;
        let is_by_number = ["FETCH", "STORE", "SEARCH"].iter().any(|verb| command.starts_with(verb));
        for line in &lines {
            let has_moved = self.believe(line);
            assert!(!(has_moved && is_by_number), "{command}: {lines:?}");
        }
        lines.last().cloned().unwrap_or_default()
    }

    fn believe(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["*", count, "EXISTS"] => {
                let count: usize = count.parse().unwrap();
                assert!(count >= self.messages.len(), "{line} after {}", self.messages.len());
                self.messages.resize(count, (None, None));
            }
            ["*", number, "EXPUNGE"] => {
                assert!(!self.uses_vanished, "{line}");
                self.messages.remove(number.parse::<usize>().unwrap() - 1);
                return true;
            }
            ["*", "VANISHED", set] => {
                assert!(self.uses_vanished, "{line}");
                let gone = open(set);
                let before = self.messages.len();
                self.messages.retain(|(uid, _)| uid.is_none_or(|uid| !gone.contains(&uid)));
                // The others can only be some that EXISTS has told of and nobody has asked about.
                for _ in 0..gone.len() - (before - self.messages.len()) {
                    let unknown = self.messages.iter().position(|(uid, _)| uid.is_none());
                    self.messages.remove(unknown.expect("VANISHED of what was never told"));
                }
                return true;
            }
            ["*", number, "FETCH", ..] => self.believe_fetch(number.parse().unwrap(), line),
            _ => {}
        }
        false
    }

    fn believe_fetch(&mut self, number: usize, line: &str) {
        let message = &mut self.messages[number - 1];
        if let Some(uid) = between(line, "UID ", &[' ', ')']) {
            let uid = uid.parse().unwrap();
            assert!(message.0.is_none_or(|known| known == uid), "{line}, but {message:?}");
            message.0 = Some(uid);
        }
        if let Some(flags) = between(line, "FLAGS (", &[')']) {
            message.1 = Some(sorted(flags));
        }
    }

    /// Learns the UIDs it does not know: VANISHED means nothing without them.
    async fn learn(&mut self) {
        if self.messages.iter().any(|(uid, _)| uid.is_none()) {
            self.command("FETCH 1:* (UID FLAGS)").await;
        }
    }

    /// What it believes, by UID.
    async fn belief(&mut self) -> BTreeMap<u32, String> {
        self.command("NOOP").await;
        self.learn().await;
        let believed =
            self.messages.iter().map(|(uid, flags)| (uid.unwrap(), flags.clone().unwrap_or_default()));
        believed.collect()
    }
}

fn between<'a>(line: &'a str, start: &str, ends: &[char]) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    rest.split(ends).next()
}

fn sorted(flags: &str) -> String {
    let mut flags: Vec<&str> = flags.split(' ').filter(|flag| !flag.is_empty()).collect();
    flags.sort_unstable();
    flags.join(" ")
}

fn open(set: &str) -> Vec<u32> {
    let ranges = set.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    ranges.flat_map(|(first, last)| first.parse::<u32>().unwrap()..=last.parse().unwrap()).collect()
}

/// Xorshift: the same numbers for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn random_command(dice: &mut Dice, messages: usize) -> String {
    const FLAGS: [&str; 6] = ["\\Seen", "\\Deleted", "\\Flagged", "$A", "$B", "\\Deleted"];
    let number = dice.below(messages) + 1;
    let last = (number + dice.below(3)).min(messages.max(1));
    let flag = FLAGS[dice.below(FLAGS.len())];
    let sign = ["+", "-", ""][dice.below(3)];
    let silent = ["", ".SILENT"][dice.below(2)];
    if messages == 0 {
        return "NOOP".to_owned();
    }
    match dice.below(12) {
        0 => "NOOP".to_owned(),
        1 => "EXPUNGE".to_owned(),
        2..=4 => format!("STORE {number}:{last} {sign}FLAGS{silent} ({flag})"),
        5 => format!("UID STORE {number}:{} {sign}FLAGS ({flag})", last + 5),
        6 => format!("FETCH {number}:{last} (FLAGS BODY[TEXT])"),
        7 => "UID FETCH 1:* (FLAGS)".to_owned(),
        8 => format!("COPY {number}:{last} INBOX"),
        9 => format!("MOVE {number} INBOX"),
        10 => "SEARCH DELETED".to_owned(),
        _ => format!("UID EXPUNGE {number}:{}", last + 10),
    }
}

async fn play(seed: u64) {
    let house = House::new().await;
    let mut filler = house.ann().await;
    filler.append_many("INBOX", 5).await;
    let mut sessions = Vec::new();
    for enable in ["", "CONDSTORE", "QRESYNC", "IMAP4rev2", "QRESYNC IMAP4rev2"] {
        sessions.push(Believer::new(&house, enable).await);
    }
    let mut dice = Dice(seed);
    for _ in 0..150 {
        let session = dice.below(sessions.len());
        let session = &mut sessions[session];
        session.learn().await;
        if dice.below(6) == 0 {
            let answer = session.command("APPEND INBOX {8+}\r\nA: 1abcd").await;
            assert!(answer.contains(" OK "), "seed {seed}: {answer}");
            continue;
        }
        let command = random_command(&mut dice, session.messages.len());
        let answer = session.command(&command).await;
        let is_fine = answer.contains(" OK ") || answer.contains(" NO [EXPUNGEISSUED] ");
        assert!(is_fine, "seed {seed}: {command}: {answer}");
    }
    let truth = Believer::new(&house, "").await.belief().await;
    for (index, session) in sessions.iter_mut().enumerate() {
        assert_eq!(session.belief().await, truth, "seed {seed}, session {index}");
    }
}

#[tokio::test]
async fn everybody_ends_up_knowing_the_same() {
    for seed in 1..=8 {
        play(seed * 0x9E37_79B9).await;
    }
}
