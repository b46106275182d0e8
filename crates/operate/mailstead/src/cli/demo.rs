//! `demo`: shows a message's whole way on this machine: a server in a temporary directory, a small internet, two people.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{
    Exchanger, ImapClient, Internet, NameServer, Phase, Record, RemoteHost, SmtpClient, Temper, Whim,
};

use super::quickstart;
use crate::admin::{Answer, Hidden, Request, execute};
use crate::settings::Settings;
use crate::wire::Running;

/// How long sessions get to end by themselves.
const DRAIN: Duration = Duration::from_secs(2);
const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";
const PASSWORD: &str = "demo";
/// Somebody at another host.
const FRED: &str = "fred@faraway.example";

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  mailstead demo\n  mailstead demo --once")]
pub(super) struct Arguments {
    /// Run through and end, with exit status 0 when everything worked.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let ports = testkit::free_offset()?;
    let offset = ports.number();
    let mut internet = Internet::start()?;
    let host = internet.domain("faraway.example")?;
    host.set_tls(Some(internet.certified(&[host.name()])?));
    let settings = prepare(directory.path(), offset, &internet)?;
    // Warnings and errors only: the steps below are what is to be read.
    crate::wire::start_logging(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = Running::start(settings).await?;
        add_people(&running).await?;
        println!("A mailstead for example.test is up, in {}.\n", directory.path().display());
        let told = tokio::task::spawn_blocking(move || Story::begin(offset, host)?.tell()).await?;
        if told.is_ok() && !arguments.once {
            invite(offset, directory.path());
            tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
        }
        running.stop(DRAIN).await?;
        told
    })?;
    println!("\nThe demo went well.");
    Ok(ExitCode::SUCCESS)
}

fn prepare(directory: &Path, offset: u16, internet: &Internet) -> Result<Settings> {
    let config =
        quickstart::make(directory, "localhost", offset, IpAddr::V4(Ipv4Addr::LOCALHOST), ANN, PASSWORD)?;
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(
        &config,
        format!(
            "{text}\n[auth]\nplaintext_on_loopback = true\n\n[log]\nlevel = \"warn\"\n\n[screen]\nlists = []\ndomain_lists = []\n\n{}",
            internet.settings("", "")
        ),
    )?;
    Ok(Settings::load(&config)?)
}

async fn add_people(running: &Running) -> Result<()> {
    let requests = [
        Request::AccountAdd { address: BOB.into(), password: Hidden(PASSWORD.into()), quota: None },
        Request::AliasAdd { alias: "team@example.test".into(), targets: vec![ANN.into(), BOB.into()] },
    ];
    for request in requests {
        if let Answer::Failed { why } = execute(running.house(), request).await {
            anyhow::bail!(why);
        }
    }
    Ok(())
}

struct Story {
    offset: u16,
    names: NameServer,
    /// Fred's mail host.
    host: Exchanger,
    step: u32,
}

impl Story {
    fn begin(offset: u16, host: Exchanger) -> Result<Self> {
        let names = NameServer::start()?;
        names.add("example.test", Record::MailExchanger(10, "mail.example.test".into()));
        names.add("mail.example.test", Record::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        Ok(Self { offset, names, host, step: 0 })
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port + self.offset))
    }

    fn say(&mut self, text: &str) {
        self.step += 1;
        println!("{}. {text}", self.step);
    }

    fn tell(mut self) -> Result<()> {
        self.a_stranger_writes()?;
        self.ann_idles_while_more_comes()?;
        self.ann_answers_bob()?;
        self.ann_writes_to_the_outside()?;
        self.the_outside_answers()?;
        self.an_address_that_is_not_there()?;
        self.a_mailing_list_of_two()?;
        self.bob_tidies_up()?;
        self.what_is_refused()
    }

    fn a_stranger_writes(&mut self) -> Result<()> {
        let host = RemoteHost::new("mx.elsewhere.example", Temper::Polite, &self.names, self.at(25).port());
        let message = b"From: Eve <eve@elsewhere.example>\r\nTo: ann@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
            Date: Mon, 2 Feb 2026 10:00:00 +0000\r\nMessage-ID: <1@elsewhere.example>\r\n\r\nHello Ann, this is Eve.\r\n";
        let said = host.send("eve@elsewhere.example", ANN, message)?;
        self.say(&format!(
            "mx.elsewhere.example looked up the MX of example.test and brought a message: 250 {said}"
        ));
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        let answer = imap.ok("SELECT INBOX")?;
        ensure!(answer.number_of("EXISTS") == Some(1), "the message is not in INBOX");
        ensure!(imap.fetch_octets(1)?.ends_with(message), "the message is not what was sent");
        let answer = imap.ok("FETCH 1 (UID FLAGS RFC822.SIZE ENVELOPE)")?;
        let shown = answer.of("FETCH").next().context("no FETCH response")?.to_owned();
        self.say(&format!("Ann read it by IMAP, octet for octet what was sent: {shown}"));
        Ok(())
    }

    fn ann_idles_while_more_comes(&mut self) -> Result<()> {
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        imap.send("IDLE")?;
        imap.dialogue.expect("+ ")?;
        let host = RemoteHost::new("mx.elsewhere.example", Temper::Chunking, &self.names, self.at(25).port());
        host.send("", ANN, b"Subject: a report\r\n\r\nFrom the null sender, in chunks.\r\n")?;
        let line = imap.dialogue.expect("* 2 EXISTS")?;
        self.say(&format!("Ann's mail program idled and was told at once: {line}"));
        Ok(())
    }

    fn ann_answers_bob(&mut self) -> Result<()> {
        let mut submission = SmtpClient::connect(self.at(587))?;
        submission.login(ANN, PASSWORD)?;
        let message = b"From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nBcc: nobody@example.test\r\nSubject: lunch?\r\n\r\nAt noon.\r\n";
        let said = submission.send(ANN, &[BOB], message)?;
        submission.quit()?;
        let mut imap = ImapClient::login(self.at(143), BOB, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        let got = String::from_utf8(imap.fetch_octets(1)?)?;
        ensure!(
            got.contains("\r\nMessage-ID: <") && !got.contains("nobody@"),
            "submission left it as it was: {got}"
        );
        self.say(&format!("Ann logged in and submitted a message to Bob (250 {said}); Date and Message-ID were added, Bcc removed."));
        Ok(())
    }

    fn ann_writes_to_the_outside(&mut self) -> Result<()> {
        self.host.plan(Phase::Recipient, Whim::Says("451 4.7.1 Greylisted, come again".into()), 1);
        let mut submission = SmtpClient::connect(self.at(587))?;
        submission.login(ANN, PASSWORD)?;
        let message = b"From: Ann <ann@example.test>\r\nTo: fred@faraway.example\r\nSubject: are you there?\r\n\
            Message-ID: <outward@example.test>\r\nDate: Mon, 2 Feb 2026 12:00:00 +0000\r\n\r\nHello from a small server.\r\n";
        let said = submission.send(ANN, &[FRED], message)?;
        submission.quit()?;
        self.say(&format!(
            "Ann submitted a message to {FRED}, who lives elsewhere; it is on disk in the queue (250 {said})."
        ));
        let received = self.host.wait_for(1)?;
        let got = received.first().context("nothing arrived")?;
        ensure!(got.is_encrypted && got.octets.ends_with(message), "it arrived otherwise: {}", got.text());
        self.say(&format!(
            "The server looked up the MX of faraway.example and went to {} with STARTTLS; that host greylisted it (451), was \
             asked again, and took it, octet for octet what Ann wrote.",
            self.host.name()
        ));
        Ok(())
    }

    fn the_outside_answers(&mut self) -> Result<()> {
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        imap.send("IDLE")?;
        imap.dialogue.expect("+ ")?;
        let host = RemoteHost::new(self.host.name(), Temper::Pipelining, &self.names, self.at(25).port());
        let message =
            b"From: Fred <fred@faraway.example>\r\nTo: ann@example.test\r\nSubject: Re: are you there?\r\n\
            In-Reply-To: <outward@example.test>\r\n\r\nI am.\r\n";
        host.send(FRED, ANN, message)?;
        imap.dialogue.expect("* 3 EXISTS")?;
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        ensure!(imap.fetch_octets(3)?.ends_with(message), "the answer is not what was sent");
        self.say("Fred's host brought his answer back to Ann.");
        Ok(())
    }

    fn an_address_that_is_not_there(&mut self) -> Result<()> {
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        imap.send("IDLE")?;
        imap.dialogue.expect("+ ")?;
        self.host.refuse("ferd@faraway.example", "550 5.1.1 No such user here");
        let mut submission = SmtpClient::connect(self.at(587))?;
        submission.login(ANN, PASSWORD)?;
        submission.send(
            ANN,
            &["ferd@faraway.example"],
            b"From: ann@example.test\r\nSubject: oops\r\n\r\nx\r\n",
        )?;
        imap.dialogue.expect("* 4 EXISTS")?;
        let mut imap = ImapClient::login(self.at(143), ANN, PASSWORD)?;
        imap.ok("SELECT INBOX")?;
        let report = String::from_utf8(imap.fetch_octets(4)?)?;
        ensure!(
            report.contains("report-type=delivery-status") && report.contains("No such user here"),
            "{report}"
        );
        let subject =
            report.lines().find(|line| line.starts_with("Subject: ")).unwrap_or_default().to_owned();
        self.say(&format!(
            "Ann mistyped an address, was refused there, and got a report in her INBOX: {subject}"
        ));
        Ok(())
    }

    fn a_mailing_list_of_two(&mut self) -> Result<()> {
        let mut smtp = SmtpClient::connect(self.at(25))?;
        smtp.send(
            "eve@elsewhere.example",
            &["team@example.test"],
            b"Subject: to the team\r\n\r\nBoth of you.\r\n",
        )?;
        for person in [ANN, BOB] {
            let mut imap = ImapClient::login(self.at(143), person, PASSWORD)?;
            imap.ok("SELECT INBOX")?;
            let found = imap.ok("SEARCH SUBJECT \"to the team\"")?;
            ensure!(found.untagged.iter().any(|line| line.len() > "SEARCH".len()), "{person} did not get it");
        }
        self.say("A message to team@example.test reached Ann and Bob; its octets lie on disk once.");
        Ok(())
    }

    fn bob_tidies_up(&mut self) -> Result<()> {
        let mut imap = ImapClient::login(self.at(143), BOB, PASSWORD)?;
        imap.ok("CREATE Work/2026")?;
        imap.ok("SELECT INBOX")?;
        let moved = imap.ok("UID MOVE 1 Work/2026")?;
        let code = moved.untagged.iter().find(|line| line.contains("COPYUID")).cloned().unwrap_or_default();
        imap.ok("SELECT Work/2026")?;
        imap.ok("STORE 1 +FLAGS (\\Seen $Done)")?;
        self.say(&format!("Bob made a mailbox, moved a message there ({code}) and marked it."));
        Ok(())
    }

    fn what_is_refused(&mut self) -> Result<()> {
        let mut smtp = SmtpClient::connect(self.at(25))?;
        smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
        let relay = smtp.reply_after("RCPT TO:<victim@other.example>")?;
        let unknown = smtp.reply_after("RCPT TO:<nobody@example.test>")?;
        ensure!(relay.starts_with('5') && unknown.starts_with('5'), "relay: {relay}, unknown: {unknown}");
        self.say(&format!(
            "A stranger's mail to elsewhere was refused ({relay}), and mail to nobody here too ({unknown})."
        ));
        Ok(())
    }
}

fn invite(offset: u16, directory: &Path) {
    let port = |port: u16| port + offset;
    println!(
        "\nIt stays up until Ctrl-C. Connect a mail program of yours:\n\
         \x20 IMAP        localhost port {} (TLS; self-signed certificate) or {} (STARTTLS)\n\
         \x20 submission  localhost port {} (TLS) or {} (STARTTLS)\n\
         \x20 scripts     localhost port {} (ManageSieve, STARTTLS)\n\
         \x20 people      {ANN} and {BOB}, password {PASSWORD:?}\n\
         \x20 send in     swaks --server 127.0.0.1:{} --to {ANN}\n\
         \x20 look        curl -k --user {ANN}:{PASSWORD} 'imaps://localhost:{}/INBOX;UID=1'\n\
         \x20 administer  mailstead --config {}/mailstead.toml account list\n\
         \x20 metrics     curl http://127.0.0.1:{}/metrics",
        port(993),
        port(143),
        port(465),
        port(587),
        port(4190),
        port(25),
        port(993),
        directory.display(),
        port(9825),
    );
}
