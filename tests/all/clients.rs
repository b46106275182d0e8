//! Clients and servers that people really use, from Debian's packages, against ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Corpus, Server, ServerOptions};

use crate::debian::Postfix;

const MESSAGE: &str =
    "From: ann@example.test\r\nTo: bob@example.test\r\nSubject: from a real client\r\n\r\nHello.\r\n";

/// Runs a program that must succeed; the result is what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}; scripts/test installs it"))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    Ok(text)
}

/// Waits until a mailbox has so many messages, told by IDLE.
pub(crate) fn wait_for_messages(server: &Server, person: &str, mailbox: &str, count: u64) -> Result<()> {
    let mut imap = server.imap(person)?;
    if imap.ok(&format!("SELECT {mailbox}"))?.number_of("EXISTS") >= Some(count) {
        return Ok(());
    }
    imap.send("IDLE")?;
    imap.dialogue.expect("+ ")?;
    loop {
        let line = imap.dialogue.line()?;
        let exists = line
            .strip_prefix("* ")
            .and_then(|rest| rest.strip_suffix(" EXISTS"))
            .and_then(|n| n.parse::<u64>().ok());
        if exists.is_some_and(|exists| exists >= count) {
            return Ok(());
        }
    }
}

#[test]
fn swaks_sends_with_starttls_and_auth() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let swaks = |port: u16, more: &[&str]| {
        let mut command = Command::new("swaks");
        command.args([
            "--server",
            "127.0.0.1",
            "--port",
            &server.address(port).port().to_string(),
            "--timeout",
            "30",
        ]);
        run(command.args(["--to", Server::BOB, "--helo", "client.example"]).args(more))
    };
    swaks(25, &["--from", "eve@elsewhere.example"])?;
    swaks(25, &["--from", "eve@elsewhere.example", "--tls"])?;
    let person = ["--from", Server::ANN, "--auth-user", Server::ANN, "--auth-password", Server::PASSWORD];
    for mechanism in ["PLAIN", "LOGIN"] {
        swaks(587, &[&["--tls", "--auth", mechanism][..], &person[..]].concat())?;
        swaks(465, &[&["--tls-on-connect", "--auth", mechanism][..], &person[..]].concat())?;
    }
    // A stranger's mail to elsewhere is no business of ours.
    let relay = swaks(25, &["--from", "eve@elsewhere.example", "--to", "victim@other.example"]);
    ensure!(relay.is_err());
    wait_for_messages(&server, Server::BOB, "INBOX", 6)
}

#[test]
fn postfixs_smtp_source_sends_on_many_connections() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut command = Command::new("/usr/sbin/smtp-source");
    command.args(["-s", "16", "-m", "400", "-l", "4096", "-f", "eve@elsewhere.example", "-t", Server::ANN]);
    run(command.arg(server.address(25).to_string()))?;
    wait_for_messages(&server, Server::ANN, "INBOX", 400)
}

#[test]
fn postfix_delivers_to_us_as_a_remote_host() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let postfix = Postfix::that_sends_to(server.address(25).port())?;
    postfix.send("eve@elsewhere.example", &[Server::ANN, Server::BOB], MESSAGE)?;
    for person in [Server::ANN, Server::BOB] {
        wait_for_messages(&server, person, "INBOX", 1)?;
        let mut imap = server.imap(person)?;
        imap.ok("SELECT INBOX")?;
        let got = String::from_utf8(imap.fetch_octets(1)?)?;
        ensure!(got.contains("with ESMTPS") && got.ends_with("\r\n\r\nHello.\r\n"), "{got}");
    }
    Ok(())
}

#[test]
fn curl_sends_and_reads() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let file = server.directory().join("mail.eml");
    std::fs::write(&file, MESSAGE)?;
    let person = |name: &str| format!("{name}:{}", Server::PASSWORD);
    let url = |scheme: &str, port: u16, path: &str| {
        format!("{scheme}://localhost:{}{path}", server.address(port).port())
    };
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        run(command
            .args(["-sS", "-4", "--max-time", "30", "--cacert"])
            .arg(server.certificate())
            .args(arguments))
    };
    let upload = file.display().to_string();
    let ann = person(Server::ANN);
    let send = ["--user", &ann, "--mail-from", Server::ANN, "--mail-rcpt", Server::BOB, "-T", &upload];
    curl(&[&[url("smtps", 465, "").as_str()][..], &send[..]].concat())?;
    curl(&[&[url("smtp", 587, "").as_str(), "--ssl-reqd"][..], &send[..]].concat())?;
    let bob = person(Server::BOB);
    let got = curl(&[&url("imaps", 993, "/INBOX;UID=1"), "--user", &bob])?;
    ensure!(got.contains("Subject: from a real client") && got.contains("Hello."), "{got}");
    curl(&[&url("imaps", 993, "/Drafts"), "--user", &bob, "-T", &upload])?;
    let listed = curl(&[&url("imap", 143, "/"), "--ssl-reqd", "--user", &bob])?;
    ensure!(listed.contains("INBOX") && listed.contains("Drafts"), "{listed}");
    let examined = curl(&[&url("imaps", 993, "/INBOX"), "--user", &bob, "-X", "SEARCH SUBJECT real"])?;
    ensure!(examined.contains("1 2"), "{examined}");
    Ok(())
}

/// What scripts for Python's imaplib begin with: somebody has logged in.
const IMAPLIB: &str = r#"
import imaplib, ssl, sys
port, cert, user, password = int(sys.argv[1]), *sys.argv[2:5]
imaplib.Commands.update({"MOVE": ("SELECTED",), "SETMETADATA": ("AUTH", "SELECTED")})
m = imaplib.IMAP4("localhost", port)
m.starttls(ssl.create_default_context(cafile=cert))
m.login(user, password)
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
"#;

/// Does as a script for Python's imaplib says; its own arguments are `sys.argv[5:]`.
pub(crate) fn imaplib(server: &Server, who: &str, script: &str, arguments: &[&str]) -> Result<()> {
    let mut python = Command::new("python3");
    python.args(["-c", &format!("{IMAPLIB}{script}m.logout()\n"), &server.address(143).port().to_string()]);
    run(python.arg(server.certificate()).args([who, Server::PASSWORD]).args(arguments)).map(drop)
}

const EVERYDAY: &str = r#"
ok(m.create("Work/2026"))
ok(m.append("Work/2026", "(\\Seen $Forwarded)", None, b"Subject: one\r\n\r\nfirst\r\n"))
ok(m.append("Work/2026", "", imaplib.Time2Internaldate(0), b"Subject: two\r\n\r\nsecond\r\n"))
assert ok(m.select("Work/2026")) == [b"2"]
assert ok(m.search(None, "SEEN")) == [b"1"]
assert ok(m.search("UTF-8", "BODY", "second")) == [b"2"]
assert ok(m.uid("SEARCH", "SUBJECT", "one")) == [b"1"]
data = ok(m.fetch("1:2", "(UID FLAGS RFC822.SIZE INTERNALDATE ENVELOPE BODY[HEADER.FIELDS (SUBJECT)] BODY[TEXT])"))
assert any(b"first" in part[1] for part in data if isinstance(part, tuple)), data
assert b" 1-Jan-1970" in b"".join(p if isinstance(p, bytes) else p[0] for p in data), data
ok(m.copy("1", "Archive"))
ok(m.store("1", "+FLAGS", "\\Deleted"))
assert ok(m.expunge()) == [b"1"]
assert ok(m.select("Archive", readonly=True)) == [b"1"]
assert b"$Forwarded" in ok(m.fetch("1", "FLAGS"))[0]
ok(m.close())
ok(m.rename("Work/2026", "Work/2027"))
ok(m.subscribe("Work/2027"))
assert any(b"Work/2027" in line for line in ok(m.lsub())), m.lsub()
ok(m.status("Work/2027", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
ok(m.delete("Work/2027"))
"#;

#[test]
fn pythons_imaplib_does_its_everyday_things() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    imaplib(&server, Server::ANN, EVERYDAY, &[])
}

/// Messages that mbsync and offlineimap carry: at least 1,000 where real mail is there.
const SYNCED: usize = 1_200;

/// The messages of a Maildir: octets without what mbsync adds, and how often they are there.
fn maildir(directory: &Path) -> Result<BTreeMap<Vec<u8>, usize>> {
    let mut mails = BTreeMap::new();
    for part in ["cur", "new"] {
        for entry in std::fs::read_dir(directory.join(part))? {
            *mails.entry(without_tuid(&std::fs::read(entry?.path())?)).or_default() += 1;
        }
    }
    Ok(mails)
}

/// mbsync marks what it carries with a field X-TUID, and offlineimap with X-OfflineIMAP, so that they find it again.
fn without_tuid(octets: &[u8]) -> Vec<u8> {
    let lines = octets.split_inclusive(|&octet| octet == b'\n');
    lines
        .filter(|line| !line.starts_with(b"X-TUID: ") && !line.starts_with(b"X-OfflineIMAP: "))
        .flatten()
        .copied()
        .collect()
}

fn mbsync(server: &Server, name: &str) -> Result<()> {
    let home = server.directory();
    let config = home.join(format!("{name}.mbsyncrc"));
    std::fs::write(
        &config,
        format!(
            "IMAPAccount us\nHost localhost\nPort {}\nUser {}\nPass \"{}\"\nSSLType IMAPS\nCertificateFile {}\nPipelineDepth 50\n\n\
         IMAPStore far\nAccount us\n\nMaildirStore near\nPath {}/\nInbox {}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns Archive\nCreate Both\nExpunge Both\nSync All\nSyncState *\nCopyArrivalDate yes\n",
            server.address(993).port(),
            Server::ANN,
            Server::PASSWORD,
            server.certificate().display(),
            home.join(name).display(),
            home.join(name).display(),
        ),
    )?;
    run(Command::new("mbsync").args(["-V", "-c"]).arg(&config).arg("-a")).map(drop)
}

#[test]
fn mbsync_carries_real_mail_both_ways_without_changing_an_octet() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let corpus = Corpus::open()?;
    ensure!(!corpus.is_real || corpus.mails().len() >= 1_000);
    // A Maildir holds LF line ends; mbsync sends CRLF and turns it back. What has other line ends it cannot carry, nor
    // a message whose header has no end.
    let fits = |octets: &[u8]| {
        let has_end = octets.windows(2).any(|pair| pair == b"\n\n");
        has_end && !octets.contains(&b'\r') && !octets.contains(&0) && octets.ends_with(b"\n")
    };
    let mails: Vec<&[u8]> = corpus
        .mails()
        .iter()
        .map(|mail| mail.octets.as_slice())
        .filter(|octets| fits(octets))
        .take(SYNCED)
        .collect();
    let own: Vec<Vec<u8>> = corpus
        .mails()
        .iter()
        .map(|mail| mail.with_crlf().into_iter().filter(|&o| o != b'\r' && o != 0).collect())
        .collect();
    let mails: Vec<&[u8]> = if mails.len() >= 10 {
        mails
    } else {
        own.iter().map(Vec::as_slice).filter(|octets| fits(octets)).collect()
    };
    let (here, there) = (server.directory().join("here/Archive"), server.directory().join("there/Archive"));
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(here.join(part))?;
        std::fs::create_dir_all(server.directory().join("there"))?;
    }
    let mut expected: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (number, octets) in mails.iter().enumerate() {
        std::fs::write(
            here.join("cur").join(format!("{}.{number}.host:2,S", 1_700_000_000 + number)),
            octets,
        )?;
        *expected.entry(without_tuid(octets)).or_default() += 1;
    }
    mbsync(&server, "here").context("pushing")?;
    mbsync(&server, "there").context("pulling")?;
    ensure!(maildir(&there)? == expected, "what came out is not what went in");
    // Both sides change: one is deleted here, one flagged there; both see both.
    let (deleted, flagged) = (file_of(&here, 0)?, file_of(&there, 5)?);
    std::fs::remove_file(&deleted)?;
    std::fs::rename(&flagged, format!("{}F", flagged.display()))?;
    for name in ["here", "there", "here"] {
        mbsync(&server, name).with_context(|| format!("again {name}"))?;
    }
    let (one, other) = (maildir(&here)?, maildir(&there)?);
    ensure!(one == other && one.values().sum::<usize>() == mails.len() - 1);
    let is_flagged = |directory: &Path| -> Result<usize> {
        Ok(std::fs::read_dir(directory.join("cur"))?
            .filter_map(|e| e.ok())
            .filter(|e| {
                let name = e.file_name().to_string_lossy().into_owned();
                name.split(":2,").nth(1).is_some_and(|flags| flags.contains('F'))
            })
            .count())
    };
    ensure!(is_flagged(&here)? == 1 && is_flagged(&there)? == 1);
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

fn file_of(maildir: &Path, number: usize) -> Result<std::path::PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(maildir.join("cur"))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.into_iter().nth(number).context("too few messages")
}

#[test]
fn offlineimap_reads_everything() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    let mails: Vec<String> = (0..120)
        .map(|n| format!("Message-ID: <{n}@x.example>\r\nSubject: number {n}\r\n\r\nbody {n}\r\n"))
        .collect();
    for mail in &mails {
        imap.append("Archive", "(\\Seen)", mail.as_bytes())?;
    }
    let home = server.directory();
    let config = home.join("offlineimaprc");
    std::fs::write(
        &config,
        format!(
            "[general]\naccounts = us\nmetadata = {0}/meta\nui = quiet\n[Account us]\nlocalrepository = near\nremoterepository = far\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {0}/offline\n\
         [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {1}\nremoteuser = {2}\nremotepass = {3}\nssl = yes\n\
         sslcacertfile = {4}\nfolderfilter = lambda name: name == 'Archive'\n",
            home.display(),
            server.address(993).port(),
            Server::ANN,
            Server::PASSWORD,
            server.certificate().display(),
        ),
    )?;
    run(Command::new("offlineimap").arg("-o").arg("-c").arg(&config))?;
    let got = maildir(&home.join("offline/Archive"))?;
    let expected: BTreeMap<Vec<u8>, usize> =
        mails.iter().map(|mail| (mail.replace("\r\n", "\n").into_bytes(), 1)).collect();
    let got: BTreeMap<Vec<u8>, usize> = got
        .into_iter()
        .map(|(mail, n)| (String::from_utf8_lossy(&mail).replace("\r\n", "\n").into_bytes(), n))
        .collect();
    ensure!(got == expected, "{} of {} messages", got.len(), expected.len());
    Ok(())
}

#[test]
fn neomutt_shows_a_mailbox() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], MESSAGE.as_bytes())?;
    let copy = server.directory().join("copy");
    let rc = server.directory().join("muttrc");
    let pager = server.directory().join("pager");
    std::fs::write(&pager, format!("#!/bin/sh\ncat \"$1\" >{}\n", copy.display()))?;
    std::fs::set_permissions(&pager, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    // neomutt asks whether to make this directory, and waits for an answer, where it is missing.
    std::fs::create_dir_all(server.directory().join("Mail"))?;
    std::fs::write(
        &rc,
        format!(
            "set imap_user = \"{}\"\nset imap_pass = \"{}\"\nset certificate_file = \"{}\"\nset ssl_force_tls = yes\nset ssl_verify_host = no\n\
         set imap_check_subscribed = no\nset header_cache = \"\"\nset confirmcreate = no\nset confirmappend = no\nset quit = yes\nset delete = no\n\
         set wait_key = no\nset prompt_after = no\nset pager = \"{}\"\n",
            Server::ANN,
            Server::PASSWORD,
            server.certificate().display(),
            pager.display(),
        ),
    )?;
    // Opening the message shows it in the pager, which is a program of ours here: it keeps what it is shown.
    let folder = format!("imaps://localhost:{}/INBOX", server.address(993).port());
    let neomutt = format!("neomutt -n -F {} -f {folder} -e \"push <display-message><quit>\"", rc.display());
    let mut command = Command::new("timeout");
    command
        .args(["60", "script", "-qec", &neomutt, "/dev/null"])
        .env("TERM", "xterm")
        .env("HOME", server.directory());
    let shown = run(&mut command)?;
    let copied =
        std::fs::read_to_string(&copy).with_context(|| format!("neomutt copied nothing: {shown}"))?;
    ensure!(copied.contains("Subject: from a real client") && copied.contains("Hello."), "{copied}");
    Ok(())
}
