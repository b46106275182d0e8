//! Mail comes in, is kept, and comes out as it was.

use anyhow::{Context, Result, ensure};
use testkit::{Corpus, ImapClient, Mail, Server, ServerOptions};

/// Messages that one IMAP command may be asked for at a time in these stories.
const BATCH: usize = 500;

#[test]
fn a_message_from_a_stranger_is_kept_and_read() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = server.smtp()?;
    let message =
        b"From: eve@elsewhere.example\r\nTo: ann@example.test\r\nSubject: hello\r\n\r\nHello Ann.\r\n";
    smtp.send("eve@elsewhere.example", &[Server::ANN], message)?;
    let mut imap = server.imap(Server::ANN)?;
    let answer = imap.ok("SELECT INBOX")?;
    ensure!(answer.number_of("EXISTS") == Some(1));
    let got = imap.fetch_octets(1)?;
    ensure!(got.ends_with(message), "{}", String::from_utf8_lossy(&got));
    let trace = String::from_utf8_lossy(&got[..got.len() - message.len()]).into_owned();
    ensure!(trace.starts_with("Return-Path: <eve@elsewhere.example>\r\nReceived: from "), "{trace}");
    ensure!(trace.matches("Return-Path:").count() == 1, "{trace}");
    Ok(())
}

#[test]
fn one_message_for_two_people_lies_on_disk_once() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let noise: String = (0..400_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let lines: String =
        noise.as_bytes().chunks(72).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect();
    let message = format!("Subject: large\r\n\r\n{lines}");
    let before = pack_octets(&server)?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN, Server::BOB], message.as_bytes())?;
    let grown = pack_octets(&server)? - before;
    ensure!(
        grown < u64::try_from(message.len())?,
        "packs grew by {grown} for a message of {}",
        message.len()
    );
    for person in [Server::ANN, Server::BOB] {
        let mut imap = server.imap(person)?;
        imap.ok("SELECT INBOX")?;
        ensure!(imap.fetch_octets(1)?.ends_with(message.as_bytes()));
    }
    Ok(())
}

fn pack_octets(server: &Server) -> Result<u64> {
    let mut octets = 0;
    for entry in std::fs::read_dir(server.data().join("packs"))? {
        octets += entry?.metadata()?.len();
    }
    Ok(octets)
}

#[test]
fn a_user_submits_to_another() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut submission = server.submission(Server::ANN)?;
    let message = b"From: ann@example.test\r\nTo: bob@example.test\r\nBcc: secret@example.test\r\nSubject: lunch\r\n\r\nNoon?\r\n";
    submission.send(Server::ANN, &[Server::BOB], message)?;
    let mut imap = server.imap(Server::BOB)?;
    imap.ok("SELECT INBOX")?;
    let got = String::from_utf8(imap.fetch_octets(1)?)?;
    ensure!(got.contains("Message-ID: <") && got.contains("\r\nDate: "), "{got}");
    ensure!(!got.contains("secret@example.test") && !got.contains("127.0.0.1"), "{got}");
    Ok(())
}

#[test]
fn a_new_message_wakes_who_idles() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    let tag = imap.send("IDLE")?;
    imap.dialogue.expect("+ ")?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], b"Subject: now\r\n\r\nx\r\n")?;
    imap.dialogue.expect("* 1 EXISTS")?;
    imap.dialogue.send("DONE")?;
    loop {
        if imap.dialogue.line()?.starts_with(&format!("{tag} OK")) {
            return Ok(());
        }
    }
}

#[test]
fn every_message_of_the_corpus_comes_out_as_it_went_in_by_smtp() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nmessages_max = 1000000".into(),
        ..ServerOptions::default()
    })?;
    let corpus = Corpus::open()?;
    let mut smtp = server.smtp()?;
    let wires: Vec<Vec<u8>> = corpus.mails().iter().map(Mail::with_crlf).collect();
    for (mail, wire) in corpus.mails().iter().zip(&wires) {
        smtp.send("eve@elsewhere.example", &[Server::ANN], wire).with_context(|| mail.name.clone())?;
    }
    smtp.quit()?;
    compare(&mut server.imap(Server::ANN)?, "INBOX", &wires, |got, sent| {
        got.ends_with(sent) && is_trace(&got[..got.len() - sent.len()])
    })?;
    ensure!(server.command(&["verify"])?.contains("0 faults"));
    Ok(())
}

/// Whether these octets are Return-Path and Received, and nothing else.
fn is_trace(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets);
    let names = text
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap_or_default());
    names.eq(["Return-Path", "Received"])
}

#[test]
fn every_message_of_the_corpus_comes_out_as_it_went_in_by_append() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let corpus = Corpus::open()?;
    let mut imap = server.imap(Server::BOB)?;
    let mails: Vec<Vec<u8>> =
        corpus.mails().iter().map(|mail| mail.octets.clone()).filter(|octets| !octets.is_empty()).collect();
    for octets in &mails {
        imap.append("Archive", "", octets)?;
    }
    compare(&mut imap, "Archive", &mails, |got, sent| got == sent)?;
    // Every parser of structure looks at every message, and nothing breaks.
    for (first, last) in batches(mails.len()) {
        let answer = imap.ok(&format!("FETCH {first}:{last} (ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.10>)"))?;
        ensure!(answer.of("FETCH").count() == last - first + 1);
    }
    Ok(())
}

fn batches(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..=count).step_by(BATCH).map(move |first| (first, (first + BATCH - 1).min(count)))
}

fn compare(
    imap: &mut ImapClient,
    mailbox: &str,
    sent: &[Vec<u8>],
    same: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<()> {
    let answer = imap.ok(&format!("SELECT {mailbox}"))?;
    ensure!(answer.number_of("EXISTS") == Some(u64::try_from(sent.len())?), "{answer:?}");
    for (first, last) in batches(sent.len()) {
        let answer = imap.ok(&format!("FETCH {first}:{last} BODY.PEEK[]"))?;
        ensure!(answer.literals.len() == last - first + 1, "an answer without its octets");
        for (got, sent) in answer.literals.iter().zip(&sent[first - 1..last]) {
            ensure!(
                same(got, sent),
                "sent {:?}\ngot {:?}",
                String::from_utf8_lossy(sent),
                String::from_utf8_lossy(got)
            );
        }
    }
    Ok(())
}

#[test]
fn a_message_of_fifty_megabytes_streams() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nmessage_octets_max = \"60M\"\n[imap]\nmessage_octets_max = \"60M\"".into(),
        ..ServerOptions::default()
    })?;
    let mut message = b"Subject: huge\r\n\r\n".to_vec();
    let mut state = 1_u32;
    while message.len() < 50 << 20 {
        for _ in 0..9 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            message.extend_from_slice(format!("{state:08x}").as_bytes());
        }
        message.extend_from_slice(b"\r\n");
    }
    let id = server.process_id().context("no process")?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], &message)?;
    let mut imap = server.imap(Server::ANN)?;
    imap.append("Archive", "", &message)?;
    imap.ok("SELECT INBOX")?;
    ensure!(imap.fetch_octets(1)?.ends_with(&message));
    let most = peak_resident_octets(id)?;
    ensure!(most < 100 << 20, "the server needed {most} octets of memory");
    Ok(())
}

/// The most memory that a process has had resident so far (proc(5), VmHWM).
pub(crate) fn peak_resident_octets(id: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1_024)
}
