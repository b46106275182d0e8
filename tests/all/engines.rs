//! Others' engines as Debian ships them, asked by the real server: clamd, spamd, rspamd, OpenDKIM and a milter in Python.

mod peers;

use anyhow::{Context, Result, ensure};
use testkit::{Server, ServerOptions};

use crate::debian::OpenDkim;
use peers::Engine;

const EVE: &str = "eve@elsewhere.example";
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

fn server(settings: String) -> Result<Server> {
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// What a stranger is told whose message is this; `250` where it is taken.
fn bring(server: &Server, message: &str) -> Result<String> {
    bring_with(server, ["", ""], message)
}

/// The same, with parameters of MAIL and RCPT.
fn bring_with(server: &Server, [of_mail, of_rcpt]: [&str; 2], message: &str) -> Result<String> {
    let mut smtp = server.smtp()?;
    let mut said = (String::new(), Vec::new());
    let body = format!("{}\r\n.", message.trim_end());
    let mail = format!("MAIL FROM:<{EVE}>{of_mail}");
    for line in [&mail, &format!("RCPT TO:<{}>{of_rcpt}", Server::ANN), "DATA", &body] {
        said = smtp.say(line)?;
        if !said.0.starts_with(['2', '3']) {
            break;
        }
    }
    Ok(format!("{} {}", said.0, said.1.join(" ")))
}

fn letter(body: &str) -> String {
    format!(
        "From: Eve <{EVE}>\r\nTo: {}\r\nSubject: hello\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <1@elsewhere.example>\r\n\r\n{body}\r\n",
        Server::ANN
    )
}

fn with_attachment(base64: &str) -> String {
    format!(
        "From: {EVE}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}\r\n--b--\r\n"
    )
}

fn messages(server: &Server, mailbox: &str) -> Result<Vec<String>> {
    let mut imap = server.imap(Server::ANN)?;
    let count = imap.ok(&format!("SELECT {mailbox}"))?.number_of("EXISTS").context("no EXISTS")?;
    let numbers = 1..=u32::try_from(count)?;
    numbers.map(|number| Ok(String::from_utf8_lossy(&imap.fetch_octets(number)?).into_owned())).collect()
}

#[test]
fn clamd_finds_what_its_signatures_know() -> Result<()> {
    let clamd = Engine::clamd()?;
    let server = server(format!("[engines.clamd]\naddress = \"{}\"\n", clamd.address()))?;
    // EICAR's test file (https://www.eicar.org), in two halves so that no scanner minds this source.
    let eicar = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
    use base64::Engine as _;
    let attached = with_attachment(&base64::engine::general_purpose::STANDARD.encode(eicar));
    let said = bring(&server, &attached)?;
    ensure!(said.starts_with("550 5.7.1 A virus was found"), "{said}\n{}", server.log());
    let said = bring(&server, &letter("mailstead-test-signature"))?;
    ensure!(said.starts_with("550 5.7.1 A virus was found"), "{said}");
    for _ in 0..2 {
        let said = bring(&server, &letter("nothing to fear"))?;
        ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    }
    ensure!(messages(&server, "INBOX")?.len() == 2);
    Ok(())
}

#[test]
fn spamd_is_believed_alone_or_with_others() -> Result<()> {
    let spamd = Engine::spamd()?;
    let place = spamd.address();
    let alone = server(format!("[engines.spamd]\naddress = \"{place}\"\nat_spam = \"reject\"\n"))?;
    let said = bring(&alone, &letter(GTUBE))?;
    ensure!(said.starts_with("550 5.7.1 Refused as spam"), "{said}\n{}", alone.log());
    let said = bring(&alone, &letter("Shall we meet at noon?"))?;
    ensure!(said.starts_with("250"), "{said}\n{}", alone.log());
    // Its points are those of the content filter, which knows this text, too, and is told that it weighs nothing.
    let settings = format!(
        "[engines.spamd]\naddress = \"{place}\"\n[spam]\ncheck_fronts = true\npoints = [\"GTUBE=0\"]\nat_kill = \"junk\"\n"
    );
    let added = server(settings)?;
    let said = bring(&added, &letter(GTUBE))?;
    ensure!(said.starts_with("250"), "{said}\n{}", added.log());
    let junk = messages(&added, "Junk")?;
    ensure!(junk.len() == 1 && junk[0].contains("SPAMD="), "{junk:?}");
    Ok(())
}

#[test]
fn rspamd_is_followed_where_it_is_wanted() -> Result<()> {
    let rspamd = Engine::rspamd()?;
    let server =
        server(format!("[engines.rspamd]\naddress = \"{}\"\nactions = \"follow\"\n", rspamd.address()))?;
    let said = bring(&server, &letter(GTUBE))?;
    ensure!(said.starts_with("550 5.7.1 Gtube pattern"), "{said}\n{}", server.log());
    let said = bring(&server, &letter("Shall we meet at noon?"))?;
    ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    Ok(())
}

#[test]
fn opendkim_writes_what_it_finds() -> Result<()> {
    let opendkim = OpenDkim::that_verifies(&[])?;
    let place = format!("unix:{}", opendkim.socket().display());
    let server = server(format!("[engines.milters]\naddresses = [\"{place}\"]\n"))?;
    for _ in 0..3 {
        let said = bring(&server, &letter("unsigned"))?;
        ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    }
    let kept = messages(&server, "INBOX")?;
    let name = format!("Authentication-Results: {};", OpenDkim::NAME);
    ensure!(kept.len() == 3 && kept.iter().all(|message| message.contains(&name)), "{kept:?}");
    Ok(())
}

#[test]
fn spamass_milter_asks_spamd() -> Result<()> {
    let spamd = Engine::spamd()?;
    let milter = Engine::spamass_milter(&spamd)?;
    let place = milter.address();
    let server = server(format!("[engines.milters]\naddresses = [\"{place}\"]\n"))?;
    let said = bring(&server, &letter(GTUBE))?;
    ensure!(said.starts_with("550 5.7.1 Blocked by SpamAssassin"), "{said}\n{}", server.log());
    let said = bring(&server, &letter("Shall we meet at noon?"))?;
    ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    let kept = messages(&server, "INBOX")?;
    ensure!(kept.len() == 1 && kept[0].contains("X-Spam-Checker-Version: SpamAssassin"), "{kept:?}");
    // spamd reads who brought it in a field that the milter makes of what it was told.
    ensure!(kept[0].contains("X-Spam-Status: No"), "{}", kept[0]);
    Ok(())
}

#[test]
fn a_milter_in_python_changes_everything() -> Result<()> {
    let milter = Engine::python_milter()?;
    let server = server(format!("[engines.milters]\naddresses = [\"{}\"]\n", milter.address()))?;
    let parameters =
        [" BODY=8BITMIME RET=HDRS ENVID=a+2Bb", " NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@far.example"];
    let said = bring_with(&server, parameters, &letter("the old body"))?;
    ensure!(said.starts_with("250"), "{said}\n{}", server.log());
    let kept = messages(&server, "INBOX")?;
    ensure!(kept.len() == 1, "{}", server.log());
    for line in [
        "Return-Path: <changed@elsewhere.example>\r\n",
        "X-Inserted: at the top\r\n",
        "Subject: changed\r\n",
        "X-Added: of 1 recipients, i=",
        "X-Parameters: BODY=8BITMIME RET=HDRS ENVID=a+2Bb NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@far.example\r\n",
        "X-Client: 127.0.0.1 ",
        "\r\n\r\nthe new body\r\n",
    ] {
        ensure!(kept[0].contains(line), "{line}: {}", kept[0]);
    }
    ensure!(!kept[0].contains("Message-ID:") && !kept[0].contains("the old body"), "{}", kept[0]);
    let mut bob = server.imap(Server::BOB)?;
    ensure!(bob.ok("SELECT INBOX")?.number_of("EXISTS") == Some(1), "{}", server.log());
    for (subject, expected) in [
        ("refuse", "550 5.7.1 Not with 100% of us"),
        ("later", "451 4.7.1 Not now"),
        ("discard", "250 2.0.0 Taken as"),
        ("quarantine", "250"),
    ] {
        let said = bring(&server, &letter("x").replace("Subject: hello", &format!("Subject: {subject}")))?;
        ensure!(said.starts_with(expected), "{subject}: {said}");
    }
    ensure!(messages(&server, "INBOX")?.len() == 1);
    let apart = server.command(&["quarantine", "list", Server::ANN])?;
    ensure!(apart.contains("quarantine"), "{apart}");
    Ok(())
}

#[test]
fn an_engine_that_has_gone_is_missed_as_it_was_said() -> Result<()> {
    let settings = |policy: &str| {
        format!(
            "[engines.clamd]\naddress = \"unix:/nonexistent/clamd.sock\"\non_failure = \"{policy}\"\n\
             [engines.milters]\naddresses = [\"inet:127.0.0.1:1\"]\non_failure = \"pass\"\n"
        )
    };
    let said = bring(&server(settings("defer"))?, &letter("x"))?;
    ensure!(said.starts_with("451 4.3.0 A filter does not answer"), "{said}");
    let server = server(settings("pass"))?;
    let said = bring(&server, &letter("x"))?;
    ensure!(said.starts_with("250"), "{said}");
    ensure!(server.log().contains("an engine does not answer"), "{}", server.log());
    Ok(())
}
