//! Reading a large mailbox: the same commands to each server, warm, the best of three.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::mail::message;
use crate::peer::{PASSWORD, Peer, account};
use crate::report::{Better, Report};

/// A command is given so often; the first time warms caches, the best of the others counts.
const TIMES: usize = 4;
/// Messages that one MULTIAPPEND-less APPEND run stores.
const APPENDED: u32 = 10_000;

/// A connection that reads as fast as the kernel gives, and looks at nothing but the tag.
pub(crate) struct Fast {
    stream: TcpStream,
    buffer: Vec<u8>,
    tags: u32,
}

impl Fast {
    pub(crate) fn login(peer: &dyn Peer, user: &str) -> Result<Self> {
        let stream = TcpStream::connect(peer.imap())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        let mut fast = Self { stream, buffer: vec![0; 1 << 20], tags: 0 };
        let count = fast.stream.read(&mut fast.buffer)?;
        ensure!(fast.buffer[..count].starts_with(b"* OK"), "no greeting");
        fast.ok(&format!("LOGIN {user} \"{PASSWORD}\""))?;
        Ok(fast)
    }

    /// Gives a command; the result is the octets that came back and the time it took.
    pub(crate) fn ok(&mut self, command: &str) -> Result<(u64, Duration)> {
        self.tags += 1;
        let tag = format!("bench{}", self.tags);
        let begun = Instant::now();
        self.stream.write_all(format!("{tag} {command}\r\n").as_bytes())?;
        let octets = self.until(&tag)?;
        Ok((octets, begun.elapsed()))
    }

    /// Reads up to the tagged response, which must be OK.
    fn until(&mut self, tag: &str) -> Result<u64> {
        let wanted = format!("{tag} ");
        let mut kept = 0;
        let mut octets = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[kept..])?;
            ensure!(count > 0, "hung up before {tag}");
            octets += u64::try_from(count)?;
            let seen = &self.buffer[..kept + count];
            if seen.ends_with(b"\r\n")
                && let Some(at) = memchr::memmem::rfind(seen, wanted.as_bytes())
            {
                let line = String::from_utf8_lossy(&seen[at..]).into_owned();
                ensure!(line.starts_with(&format!("{wanted}OK")), "{line}");
                return Ok(octets);
            }
            // The tag may lie across two reads.
            let tail = seen.len().min(512);
            let from = seen.len() - tail;
            self.buffer.copy_within(from..from + tail, 0);
            kept = tail;
        }
    }

    /// Stores messages with non-synchronising literals, a hundred commands under way at a time.
    fn append(&mut self, mailbox: &str, numbers: std::ops::Range<u32>) -> Result<Duration> {
        let begun = Instant::now();
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() {
            let mut wire = Vec::new();
            let mut last = String::new();
            for number in numbers.by_ref().take(100) {
                self.tags += 1;
                last = format!("bench{}", self.tags);
                let octets = message(number);
                wire.extend_from_slice(
                    format!("{last} APPEND {mailbox} {{{}+}}\r\n", octets.len()).as_bytes(),
                );
                wire.extend_from_slice(&octets);
                wire.extend_from_slice(b"\r\n");
            }
            self.stream.write_all(&wire)?;
            self.until(&last)?;
        }
        Ok(begun.elapsed())
    }
}

fn best(fast: &mut Fast, command: &str) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        times.push(fast.ok(command).with_context(|| command.to_owned())?.1);
    }
    times.into_iter().skip(1).min().context("no times")
}

pub(crate) fn run(report: &mut Report, peer: &dyn Peer, messages: u32) -> Result<()> {
    let mut fast = Fast::login(peer, &account(0))?;
    let name = peer.name();
    let time = fast.append("INBOX", 0..APPENDED)?;
    report.add(
        &format!("APPEND of {APPENDED}, pipelined"),
        &name,
        f64::from(APPENDED) / time.as_secs_f64(),
        "messages/s",
        Better::More,
    );
    if !peer.fill(messages)? {
        fast.append("Archive", 0..messages)?;
    }
    let mut milliseconds =
        |work: &str, time: Duration| report.add(work, &name, time.as_secs_f64() * 1e3, "ms", Better::Less);
    let size = messages.to_string();
    let ten = messages.min(10_000);
    milliseconds(&format!("SELECT of {size}"), best(&mut fast, "SELECT Archive")?);
    let all = best(&mut fast, "UID FETCH 1:* (UID FLAGS)")?;
    milliseconds(&format!("UID FETCH 1:* (UID FLAGS) of {size}"), all);
    milliseconds(
        &format!("FETCH ENVELOPE BODYSTRUCTURE of {ten}"),
        best(&mut fast, &format!("FETCH 1:{ten} (ENVELOPE BODYSTRUCTURE)"))?,
    );
    milliseconds(
        &format!("FETCH of header fields of {ten}"),
        best(
            &mut fast,
            &format!(
                "FETCH 1:{ten} (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES CONTENT-TYPE)])"
            ),
        )?,
    );
    milliseconds(&format!("download of {ten}"), best(&mut fast, &format!("FETCH 1:{ten} BODY.PEEK[]"))?);
    milliseconds(&format!("SEARCH UNSEEN of {size}"), best(&mut fast, "SEARCH UNSEEN")?);
    milliseconds(&format!("SEARCH SUBJECT of {size}"), best(&mut fast, "SEARCH SUBJECT \"number 77\"")?);
    milliseconds(&format!("SEARCH FROM of {size}"), best(&mut fast, "SEARCH FROM sender499")?);
    milliseconds(
        &format!("SEARCH HEADER Message-ID of {size}"),
        best(&mut fast, "SEARCH HEADER Message-ID 777.bench")?,
    );
    let mut stored = Vec::new();
    for round in 0..TIMES {
        let sign = if round % 2 == 0 { '+' } else { '-' };
        stored.push(fast.ok(&format!("STORE 1:{ten} {sign}FLAGS.SILENT (\\Flagged)"))?.1);
    }
    milliseconds(&format!("STORE of {ten}"), stored.into_iter().skip(1).min().context("no times")?);
    fast.ok("SELECT INBOX")?;
    fast.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")?;
    let (_, expunged) = fast.ok("EXPUNGE")?;
    milliseconds(&format!("EXPUNGE of {APPENDED}"), expunged);
    Ok(())
}
