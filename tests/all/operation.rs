//! What an operator relies on: LMTP, aliases and sub-addresses, metrics, logs, certificates, an orderly end.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::{Dialogue, Server, ServerOptions};

const MESSAGE: &str = "Subject: x\r\n\r\nx\r\n";

fn with(settings: &str) -> Result<Server> {
    Server::start(ServerOptions { settings: settings.to_owned(), ..ServerOptions::default() })
}

fn inbox(server: &Server, person: &str) -> Result<u64> {
    server.imap(person)?.ok("SELECT INBOX")?.number_of("EXISTS").context("no EXISTS")
}

#[test]
fn lmtp_answers_for_each_recipient() -> Result<()> {
    let place = tempfile::tempdir()?;
    let socket = place.path().join("lmtp.sock");
    // The table [listen] was opened by quickstart: the environment says the rest.
    let environment = vec![
        ("MAILSTEAD_LISTEN_LMTP_ENABLED".to_owned(), "true".to_owned()),
        ("MAILSTEAD_LISTEN_LMTP_SOCKET".to_owned(), socket.display().to_string()),
    ];
    let server = Server::start(ServerOptions { environment, ..ServerOptions::default() })?;
    let talk = [
        ("LHLO front.example", "250"),
        ("MAIL FROM:<eve@elsewhere.example>", "250"),
        ("RCPT TO:<ann@example.test>", "250"),
        ("RCPT TO:<nobody@example.test>", "550"),
        ("RCPT TO:<bob@example.test>", "250"),
        ("DATA", "354"),
        ("Subject: by LMTP\r\n\r\nx\r\n.", "250"),
    ];
    let mut tcp = Dialogue::connect(server.address(24))?;
    tcp.expect("220")?;
    for (line, code) in talk {
        tcp.send(line)?;
        while tcp.expect(code)?.as_bytes().get(3) == Some(&b'-') {}
    }
    // The second reply: one for each recipient that was taken.
    tcp.expect("250")?;
    let mut unix = UnixStream::connect(&socket)?;
    unix.set_read_timeout(Some(testkit::WAIT_MAX))?;
    for (line, _) in talk {
        unix.write_all(format!("{line}\r\n").as_bytes())?;
    }
    unix.write_all(b"QUIT\r\n")?;
    let mut said = String::new();
    unix.read_to_string(&mut said)?;
    ensure!(said.lines().filter(|line| line.starts_with("250 2.0.0")).count() >= 2, "{said}");
    ensure!(inbox(&server, Server::ANN)? == 2 && inbox(&server, Server::BOB)? == 2);
    Ok(())
}

#[test]
fn addresses_lead_where_the_directory_says() -> Result<()> {
    let server = with("[directory]\nsubaddress_delimiters = \"+-\"")?;
    server.command(&["alias", "add", "team@example.test", Server::ANN, "inner@example.test"])?;
    server.command(&["alias", "add", "inner@example.test", Server::BOB, Server::ANN])?;
    server.command(&["alias", "add", "void@example.test", "/dev/null"])?;
    ensure!(
        !server.try_command(&["alias", "add", "loop@example.test", "loop@example.test"])?.status.success()
    );
    let mut smtp = server.smtp()?;
    for (to, ann, bob) in [
        ("ann+shop@example.test", 1, 0),
        ("ANN-shop@Example.TEST", 2, 0),
        ("team@example.test", 3, 1),
        ("void@example.test", 3, 1),
        ("postmaster@example.test", 4, 1),
    ] {
        smtp.send("eve@elsewhere.example", &[to], MESSAGE.as_bytes())?;
        ensure!(inbox(&server, Server::ANN)? == ann && inbox(&server, Server::BOB)? == bob, "{to}");
    }
    smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
    ensure!(smtp.reply_after("RCPT TO:<anything@example.test>")? == "550");
    server.command(&["alias", "add", "@example.test", Server::BOB])?;
    smtp.command("RCPT TO:<anything@example.test>", "250")?;
    Ok(())
}

#[test]
fn a_quota_holds_and_a_disabled_account_takes_nothing() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    server.command(&["account", "quota", Server::ANN, "4K"])?;
    let mut smtp = server.smtp()?;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(400));
    smtp.command(&format!("MAIL FROM:<eve@elsewhere.example> SIZE={}", large.len()), "250")?;
    smtp.command("RCPT TO:<ann@example.test>", "452")?;
    smtp.command("RSET", "250")?;
    let mut imap = server.imap(Server::ANN)?;
    imap.dialogue.send(&format!("a APPEND Drafts {{{}}}", large.len()))?;
    imap.dialogue.expect("a NO [OVERQUOTA]")?;
    ensure!(imap.ok("GETQUOTAROOT INBOX")?.untagged.iter().any(|line| line.contains("STORAGE 0 4")));
    // Whoever announces no size finds out with the next message: the one that fills the account is still taken.
    smtp.send("eve@elsewhere.example", &[Server::ANN], large.as_bytes())?;
    smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
    smtp.command("RCPT TO:<ann@example.test>", "452")?;
    server.command(&["account", "disable", Server::BOB])?;
    let mut smtp = server.smtp()?;
    smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
    ensure!(smtp.reply_after("RCPT TO:<bob@example.test>")?.starts_with('5'));
    ensure!(server.imap(Server::BOB).is_err());
    Ok(())
}

#[test]
fn people_from_dovecot_keep_their_dots() -> Result<()> {
    let server = with("[imap]\nseparator = \".\"")?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("CREATE Work.2026")?;
    let listed = imap.ok("LIST \"\" \"Work.%\"")?;
    ensure!(listed.untagged.iter().any(|line| line.contains("\".\" \"Work.2026\"")), "{listed:?}");
    ensure!(server.command(&["mailbox", "list", Server::ANN])?.contains("Work/2026"));
    Ok(())
}

#[test]
fn metrics_count_and_health_is_told() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], MESSAGE.as_bytes())?;
    let get = |path: &str| -> Result<String> {
        let mut http = Dialogue::connect(server.address(9825))?;
        http.send_octets(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut text = String::new();
        while !http.is_closed()? {
            text.push_str(&http.line()?);
            text.push('\n');
        }
        Ok(text)
    };
    ensure!(get("/healthz")?.starts_with("HTTP/1.1 200"));
    let metrics = get("/metrics")?;
    for name in ["mailstead_smtp_", "mailstead_imap_", "mailstead_certificate_", "process_"] {
        ensure!(
            metrics.contains(&format!("\n{name}")) || metrics.contains(&format!("TYPE {name}")),
            "{name}: {metrics}"
        );
    }
    ensure!(get("/etc/passwd")?.starts_with("HTTP/1.1 404"));
    Ok(())
}

#[test]
fn json_logs_have_one_object_a_line_and_no_secret() -> Result<()> {
    let server = with("[log]\nformat = \"json\"\nlevel = \"debug\"")?;
    drop(server.imap(Server::ANN)?);
    drop(server.submission(Server::BOB)?);
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], MESSAGE.as_bytes())?;
    let log = server.log();
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        ensure!(event.is_object());
    }
    ensure!(!log.contains(Server::PASSWORD));
    Ok(())
}

/// The certificate that a server shows, as openssl reads it.
fn shown_certificate(server: &Server) -> Result<String> {
    let address = server.address(993).to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "localhost"])
        .stdin(std::process::Stdio::null())
        .output()
        .context("openssl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE-----").context("no certificate shown")?;
    let end = text.find("-----END CERTIFICATE-----").context("no end")?;
    Ok(text[begin..end].to_owned())
}

#[test]
fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = shown_certificate(&server)?;
    let key = server.directory().join("tls/key.pem");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(server.certificate())
        .output()?;
    ensure!(made.status.success());
    let mut idle = server.imap(Server::ANN)?;
    reload(&server)?;
    let after = shown_certificate(&server)?;
    ensure!(after != before, "the new certificate is not shown");
    std::fs::write(server.certificate(), "broken")?;
    reload(&server)?;
    ensure!(shown_certificate(&server)? == after, "a broken file took the certificate away");
    idle.ok("NOOP")?;
    Ok(())
}

/// Sends SIGHUP and waits until the log says that it was heeded once more.
fn reload(server: &Server) -> Result<()> {
    let heeded = |log: &str| log.matches("configuration reloaded").count();
    let before = heeded(&server.log());
    server.signal("HUP")?;
    let begun = std::time::Instant::now();
    while heeded(&server.log()) == before {
        ensure!(begun.elapsed() < testkit::WAIT_MAX, "not reloaded:\n{}", server.log());
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn a_broken_new_configuration_leaves_the_old_one_in_force() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let text = std::fs::read_to_string(server.config())?;
    std::fs::write(server.config(), format!("{text}\n[smtp]\nrecipients_max = \"many\"\n"))?;
    server.signal("HUP")?;
    let begun = std::time::Instant::now();
    while !server.log().contains("smtp.recipients_max") {
        ensure!(begun.elapsed() < testkit::WAIT_MAX, "nothing was said");
        std::thread::yield_now();
    }
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], MESSAGE.as_bytes())?;
    Ok(())
}

#[test]
fn sigterm_says_goodbye_and_ends_in_order() -> Result<()> {
    let mut server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    let smtp = server.smtp()?;
    server.signal("TERM")?;
    loop {
        let line = imap.dialogue.line()?;
        if line.starts_with("* BYE") {
            break;
        }
    }
    let mut reader = BufReader::new(smtp.dialogue.socket().try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.starts_with("421"), "{line:?}");
    server.stop()
}
