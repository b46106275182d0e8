//! What an intruder on the machine finds: files of the server's own user alone, and no way out of the data directory.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use testkit::{Server, ServerOptions};

use super::EVE;

#[test]
fn files_are_for_the_server_alone() -> Result<()> {
    let mut server = Server::start(ServerOptions::default())?;
    server.smtp()?.send(EVE, &[Server::ANN], b"Subject: secret\r\n\r\nx\r\n")?;
    server.imap(Server::ANN)?.ok("CREATE private")?;
    let mode =
        |path: &std::path::Path| -> Result<u32> { Ok(path.symlink_metadata()?.permissions().mode() & 0o777) };
    let check = |server: &Server| -> Result<()> {
        ensure!(mode(&server.data())? == 0o700, "the data directory is {:o}", mode(&server.data())?);
        let mut open = vec![server.data()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                ensure!(
                    mode(&path)? & 0o077 == 0 || path.extension().is_some_and(|end| end == "sock"),
                    "{} is {:o}",
                    path.display(),
                    mode(&path)?
                );
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        Ok(())
    };
    check(&server)?;
    ensure!(mode(&server.directory().join("tls/key.pem"))? == 0o600);
    ensure!(mode(&server.data().join("run"))? == 0o700, "the admin socket's directory is open");
    // A directory that others may look into is closed at the next start.
    server.stop()?;
    std::fs::set_permissions(server.data(), PermissionsExt::from_mode(0o755))?;
    server.up()?;
    check(&server)
}

#[test]
fn open_files_do_not_leak() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let id = server.process_id().unwrap_or_default();
    let files = || -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{id}/fd"))?.count()) };
    let visit = || -> Result<()> {
        let mut smtp = server.smtp()?;
        smtp.send(EVE, &[Server::ANN], b"Subject: x\r\n\r\nx\r\n")?;
        smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
        smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
        smtp.command("DATA", "354")?;
        // Large enough to get a file of its own, and gone before its end.
        smtp.dialogue.send_octets(&b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n".repeat(20_000))?;
        drop(smtp);
        let mut imap = server.imap(Server::ANN)?;
        imap.ok("SELECT INBOX")?;
        imap.ok("FETCH 1:* BODY.PEEK[]")?;
        imap.dialogue.send_octets(b"x APPEND INBOX {900000+}\r\nhalf")?;
        Ok(())
    };
    visit()?;
    let before = files()?;
    for _ in 0..30 {
        visit()?;
    }
    // Files of half messages, too, go with their sessions, the last of which may still be on their way out.
    let half_messages = || -> Result<usize> {
        let files = std::fs::read_dir(server.data().join("packs"))?.flatten();
        Ok(files.filter(|file| file.file_name().to_string_lossy().contains("tmp")).count())
    };
    let begun = std::time::Instant::now();
    while files()? > before + 8 || half_messages()? > 0 {
        ensure!(
            begun.elapsed() < testkit::WAIT_MAX,
            "{before} open files before, {} after, {} of half messages",
            files()?,
            half_messages()?
        );
    }
    Ok(())
}
