//! What goes wrong in real life: each with a clear error, and nothing lost.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::{Dialogue, Internet, Server, ServerOptions, SmtpClient};

/// Starts a server that must refuse to start, and gives what it said.
fn refuses_to_start(server: &Server) -> Result<String> {
    let output = server.try_command(&["serve"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "it started, or ended with {}: {said}", output.status);
    Ok(said)
}

fn edit(server: &Server, change: impl Fn(&str) -> String) -> Result<()> {
    let text = std::fs::read_to_string(server.config())?;
    Ok(std::fs::write(server.config(), change(&text))?)
}

#[test]
fn a_wrong_configuration_is_told_with_line_and_nearest_name() -> Result<()> {
    let server = Server::make(ServerOptions::default())?;
    edit(&server, |text| format!("{text}\n[smtp]\nrecipient_max = 100\n"))?;
    for said in
        [refuses_to_start(&server)?, String::from_utf8(server.try_command(&["config", "check"])?.stderr)?]
    {
        ensure!(
            said.contains("did you mean smtp.recipients_max") && said.contains("mailstead.toml:"),
            "{said}"
        );
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let server = Server::make(ServerOptions::default())?;
    let taken = std::net::TcpListener::bind(server.address(25))?;
    let said = refuses_to_start(&server)?;
    ensure!(said.contains(&taken.local_addr()?.to_string()) && said.contains("in use"), "{said}");
    Ok(())
}

#[test]
fn a_web_server_that_has_the_port_does_not_keep_mail_out() -> Result<()> {
    let internet = Internet::start()?;
    let quiet = "[dns]\ncheck_block_lists = []\ncheck_port25_host = \"\"\n";
    let settings = internet.settings("", "").replacen("[dns]\n", quiet, 1);
    let mut server = Server::make(ServerOptions { settings, ..ServerOptions::default() })?;
    let web = std::net::TcpListener::bind(server.address(443))?;
    let monitored = std::net::TcpListener::bind(server.address(9825))?;
    server.up()?;
    server.smtp()?.send(
        "eve@strangers.example",
        &[Server::ANN],
        b"From: eve@strangers.example\r\n\r\nHello\r\n",
    )?;
    let log = server.log();
    for (place, words) in [(&web, "[mta_sts] is not shown"), (&monitored, "/healthz are not served")] {
        let place = place.local_addr()?.to_string();
        let told = log.lines().find(|line| line.contains(words)).with_context(|| log.clone())?;
        ensure!(told.contains(&place) && told.contains("in use") && told.contains("[listen."), "{told}");
    }
    // What the world is to know of it is told accordingly: nobody is to look for a policy that is not shown.
    ensure!(!server.command(&["dns", "records"])?.contains("mta-sts"));
    let checked = server.try_command(&["dns", "check"])?;
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    for listener in ["https", "metrics"] {
        ensure!(said.contains(&format!("listener {listener}: ")) && said.contains("in use"), "{said}");
    }
    server.stop()?;
    ensure!(server.command(&["dns", "records"])?.contains("mta-sts"));
    // Who asked for the place by name wants it.
    let mut file = std::fs::OpenOptions::new().append(true).open(server.config())?;
    writeln!(file, "[listen.https]\nenabled = true")?;
    let said = refuses_to_start(&server)?;
    ensure!(said.contains(&web.local_addr()?.to_string()) && said.contains("in use"), "{said}");
    Ok(())
}

#[test]
fn a_second_server_on_the_same_data_is_refused() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let text = std::fs::read_to_string(server.config())?;
    let other = server.directory().join("other.toml");
    let moved = testkit::free_offset()?;
    let line = text.lines().find(|line| line.starts_with("port_offset")).context("no offset")?;
    std::fs::write(&other, text.replace(line, &format!("port_offset = {}", moved.number())))?;
    let output =
        Command::new(testkit::mailstead_binary()?).arg("--config").arg(&other).arg("serve").output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let id = server.process_id().context("no process")?.to_string();
    ensure!(output.status.code() == Some(1) && said.contains(&id), "{said}");
    Ok(())
}

#[test]
fn unreadable_files_are_named() -> Result<()> {
    let server = Server::make(ServerOptions::default())?;
    let certificate = server.certificate();
    std::fs::rename(&certificate, certificate.with_extension("away"))?;
    let said = refuses_to_start(&server)?;
    ensure!(said.contains(&certificate.display().to_string()), "{said}");
    std::fs::write(&certificate, "no certificate")?;
    let said = refuses_to_start(&server)?;
    ensure!(said.contains(&certificate.display().to_string()), "{said}");
    let output = Command::new(testkit::mailstead_binary()?)
        .args(["--config", "/nonexistent/m.toml", "serve"])
        .output()?;
    ensure!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/m.toml"));
    Ok(())
}

#[test]
fn a_damaged_index_heals_itself() -> Result<()> {
    let mut server = Server::start(ServerOptions::default())?;
    for n in 0..20 {
        server.smtp()?.send(
            "eve@elsewhere.example",
            &[Server::ANN],
            format!("Subject: {n}\r\n\r\nx\r\n").as_bytes(),
        )?;
    }
    server.imap(Server::ANN)?.ok("SELECT INBOX")?;
    server.stop()?;
    for index in indexes(&server.data().join("accounts"))? {
        std::fs::write(&index, "this is no database any more")?;
    }
    server.up()?;
    let mut imap = server.imap(Server::ANN)?;
    ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(20));
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

fn indexes(accounts: &Path) -> Result<Vec<std::path::PathBuf>> {
    let files = std::fs::read_dir(accounts)?.map(|entry| Ok(entry?.path().join("index.db")));
    Ok(files.collect::<Result<Vec<_>>>()?.into_iter().filter(|file| file.is_file()).collect())
}

/// A small file system of its own, where root may make one.
pub(crate) struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn make(octets: &str) -> Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let size = format!("size={octets}");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .output()?;
        if !status.status.success() {
            eprintln!("skipped: no right to mount a small disk: {}", String::from_utf8_lossy(&status.stderr));
            return Ok(None);
        }
        Ok(Some(Self { directory }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.directory.path()).status());
    }
}

#[test]
fn a_full_disk_puts_mail_off_and_lets_people_delete() -> Result<()> {
    let Some(disk) = SmallDisk::make("48m")? else { return Ok(()) };
    let settings = "[store]\nfree_octets_min = \"8M\"".to_owned();
    let server = Server::start(ServerOptions {
        settings,
        place: Some(disk.path().into()),
        ..ServerOptions::default()
    })?;
    let filler = server.directory().join("filler");
    let mut smtp = server.smtp()?;
    smtp.send("eve@elsewhere.example", &[Server::ANN], b"Subject: before\r\n\r\nx\r\n")?;
    let mut file = std::fs::File::create(&filler)?;
    while file.write_all(&[0; 65_536]).is_ok() {}
    // The disk is full to the last octet.
    let mut smtp = server.smtp()?;
    smtp.dialogue.send("MAIL FROM:<eve@elsewhere.example>")?;
    let mut code = smtp.reply()?.0;
    if code == "250" {
        smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
        smtp.dialogue.send("DATA")?;
        code = smtp.reply()?.0;
        if code == "354" {
            smtp.dialogue.send_octets(b"Subject: during\r\n\r\nx\r\n.\r\n")?;
            code = smtp.reply()?.0;
        }
    }
    ensure!(code == "452", "a full disk is answered {code}");
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    let refused = imap.command("COPY 1 Archive")?.tagged;
    ensure!(refused.starts_with("OK") || refused.starts_with("NO [UNAVAILABLE]"), "{refused}");
    for command in ["STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
        imap.ok(command).with_context(|| format!("on a full disk; the log:\n{}", server.log()))?;
    }
    drop(file);
    std::fs::remove_file(&filler)?;
    server.smtp()?.send("eve@elsewhere.example", &[Server::ANN], b"Subject: after\r\n\r\nx\r\n")?;
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

#[test]
fn oversize_is_refused_early_and_late() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nmessage_octets_max = \"64K\"\n[imap]\nmessage_octets_max = \"64K\"".into(),
        ..ServerOptions::default()
    })?;
    let mut smtp = server.smtp()?;
    smtp.command("MAIL FROM:<eve@elsewhere.example> SIZE=65537", "552")?;
    smtp.command("MAIL FROM:<eve@elsewhere.example> SIZE=65536", "250")?;
    smtp.command("RSET", "250")?;
    let large = vec![b'x'; 900];
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < 70_000 {
        message.extend_from_slice(&large);
        message.extend_from_slice(b"\r\n");
    }
    let error =
        smtp.send("eve@elsewhere.example", &[Server::ANN], &message).expect_err("too large").to_string();
    ensure!(error.contains("552"), "{error}");
    // The connection lives on.
    smtp.send("eve@elsewhere.example", &[Server::ANN], b"Subject: small\r\n\r\nx\r\n")?;
    let mut imap = server.imap(Server::ANN)?;
    imap.dialogue.send("a APPEND Archive {65537}")?;
    imap.dialogue.expect("a NO [TOOBIG]")?;
    imap.ok("NOOP")?;
    Ok(())
}

#[test]
fn malformed_commands_are_answered_and_counted() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nerrors_max = 5".into(),
        ..ServerOptions::default()
    })?;
    let mut smtp = server.smtp()?;
    for _ in 0..4 {
        smtp.command("FROBNICATE now", "500")?;
    }
    smtp.dialogue.send("MAIL TO:<x>")?;
    while !smtp.dialogue.is_closed()? {
        smtp.dialogue.line()?;
    }
    let mut imap = Dialogue::connect(server.address(143))?;
    imap.expect("* OK")?;
    for line in ["x", "a FROBNICATE", "a LOGIN", "a FETCH 1 (", "* NOOP"] {
        imap.send(line)?;
        let told = imap.line()?;
        ensure!(told.contains(" BAD "), "{line:?}: {told}");
    }
    imap.send("b NOOP")?;
    imap.expect("b OK")?;
    Ok(())
}

#[test]
fn a_client_that_dies_in_the_middle_leaves_nothing_behind() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = server.smtp()?;
    smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
    smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
    smtp.command("DATA", "354")?;
    smtp.dialogue.send_octets(b"Subject: half\r\n\r\nthis never")?;
    drop(smtp);
    let mut imap = Dialogue::connect(server.address(143))?;
    imap.expect("* OK")?;
    imap.send(&format!("a LOGIN {} \"{}\"", Server::ANN, Server::PASSWORD))?;
    imap.expect("a OK")?;
    imap.send_octets(b"b APPEND Archive {1000}\r\n")?;
    imap.expect("+ ")?;
    imap.send_octets(b"half a message")?;
    drop(imap);
    let mut imap = server.imap(Server::ANN)?;
    for mailbox in ["INBOX", "Archive"] {
        ensure!(imap.ok(&format!("SELECT {mailbox}"))?.number_of("EXISTS") == Some(0));
    }
    Ok(())
}

#[test]
fn nobody_relays_and_nobody_pretends() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = server.smtp()?;
    smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
    for stranger in
        ["x@other.example", "\"x@other.example\"@elsewhere.example", "x%other.example@elsewhere.example"]
    {
        let code = relay(&mut smtp, stranger)?;
        ensure!(code.starts_with('5'), "{stranger}: {code}");
    }
    ensure!(relay(&mut smtp, "nobody@example.test")? == "550");
    smtp.command("RCPT TO:<Postmaster>", "250")?;
    smtp.command("RCPT TO:<postmaster@example.test>", "250")?;
    let mut submission = SmtpClient::connect(server.address(587))?;
    ensure!(submission.command("MAIL FROM:<ann@example.test>", "530").is_ok(), "submission without a login");
    let mut submission = server.submission(Server::ANN)?;
    ensure!(submission.reply_after("MAIL FROM:<bob@example.test>")?.starts_with('5'), "ann sends as bob");
    submission.command("MAIL FROM:<ann@example.test>", "250")?;
    ensure!(
        submission.reply_after("RCPT TO:<x@other.example>")? == "250",
        "our own people may write to anyone"
    );
    Ok(())
}

fn relay(smtp: &mut SmtpClient, recipient: &str) -> Result<String> {
    smtp.reply_after(&format!("RCPT TO:<{recipient}>"))
}

#[test]
fn smuggled_messages_do_not_get_in() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"] {
        let mut smtp = server.smtp()?;
        smtp.command("MAIL FROM:<eve@elsewhere.example>", "250")?;
        smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
        smtp.command("DATA", "354")?;
        let smuggled = format!(
            "Subject: a\r\n\r\na{end}MAIL FROM:<admin@example.test>\r\nRCPT TO:<{}>\r\nDATA\r\nSubject: b\r\n\r\nb\r\n.\r\n",
            Server::BOB
        );
        smtp.dialogue.send_octets(smuggled.as_bytes())?;
        let (code, _) = smtp.reply()?;
        ensure!(code == "250" || code.starts_with('5'), "{end:?}: {code}");
        // Exactly one answer: the next one belongs to the next command.
        smtp.command("NOOP", "250")?;
    }
    let mut imap = server.imap(Server::BOB)?;
    ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(0), "a smuggled message got in");
    Ok(())
}
