//! Mail that programs people use hand to us arrives at a real Postfix octet for octet, but for the trace fields on top.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Corpus, Internet, Record, Server};

use super::arrival::{HARD, Looked, ensure_fields, hard};
use super::{server_in, wait_until_queue_is_empty};
use crate::clients::run;
use crate::debian::Postfix;

struct Scene {
    server: Server,
    postfix: Postfix,
}

fn scene() -> Result<(Internet, Scene)> {
    let mut internet = Internet::start()?;
    let address = internet.address()?;
    internet.names.add("real.example", &Record::MailExchanger(10, "mx.real.example".into()));
    internet.names.add("mx.real.example", &Record::Address(address.ip()));
    let server = server_in(&internet)?;
    let key = server.certificate().with_file_name("key.pem");
    let postfix = Postfix::that_takes("real.example", address, &server.certificate(), &key)?;
    Ok((internet, Scene { server, postfix }))
}

impl Scene {
    /// Waits until Postfix has this message, whole and under TLS.
    fn arrives(&self, looked: &mut Looked, sent: &[u8], what: &str) -> Result<()> {
        let trace = looked.arrives(&self.postfix, &self.server, sent, what)?;
        let fields = ["Return-Path", "X-Original-To", "Delivered-To", "Received", "Received"];
        ensure_fields(&trace, &fields)?;
        ensure!(
            trace.contains("Return-Path: <ann@example.test>") && trace.contains("with ESMTPS"),
            "{trace}"
        );
        Ok(())
    }
}

/// Sends a file as Ann to Eve.
type Program = fn(&Server, &Path) -> Result<()>;

const SMTPLIB: &str = r#"
import smtplib, ssl, sys
port, cert, user, password, file = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
s = smtplib.SMTP("localhost", port)
s.starttls(context=ssl.create_default_context(cafile=cert))
s.login(user, password)
s.sendmail(user, ["eve@real.example"], open(file, "rb").read(), mail_options=["BODY=8BITMIME"])
s.quit()
"#;

fn msmtp(server: &Server, file: &Path) -> Result<()> {
    let mut command = Command::new("msmtp");
    command.args(["--host=localhost", "--tls=on", "--tls-starttls=on", "--auth=plain", "--timeout=60"]);
    command.args([
        &format!("--port={}", server.address(587).port()),
        &format!("--tls-trust-file={}", server.certificate().display()),
        &format!("--user={}", Server::ANN),
        &format!("--passwordeval=echo '{}'", Server::PASSWORD),
        &format!("--from={}", Server::ANN),
    ]);
    let output = command.args(["--", "eve@real.example"]).stdin(std::fs::File::open(file)?);
    let output = output.stdout(Stdio::piped()).stderr(Stdio::piped()).output().context("msmtp")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn swaks(server: &Server, file: &Path) -> Result<()> {
    let port = server.address(465).port().to_string();
    let mut command = Command::new("swaks");
    command.args(["--server", "127.0.0.1", "--port", &port, "--timeout", "60", "--tls-on-connect"]);
    command.args(["--auth", "PLAIN", "--auth-user", Server::ANN, "--auth-password", Server::PASSWORD]);
    command.args(["--from", Server::ANN, "--to", "eve@real.example", "--helo", "client.example"]);
    // The file as it is: no dots of its own, no words replaced.
    run(command.args(["--silent", "3", "--no-data-fixup", "--data"]).arg(format!("@{}", file.display())))
        .map(drop)
}

fn curl(server: &Server, file: &Path) -> Result<()> {
    let url = format!("smtp://localhost:{}", server.address(587).port());
    let mut command = Command::new("curl");
    command.args(["-sS", "-4", "--max-time", "60", "--ssl-reqd", "--cacert"]).arg(server.certificate());
    command.args(["--user", &format!("{}:{}", Server::ANN, Server::PASSWORD), "--mail-from", Server::ANN]);
    run(command.args(["--mail-rcpt", "eve@real.example", &url, "-T"]).arg(file)).map(drop)
}

fn smtplib(server: &Server, file: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-c", SMTPLIB, &server.address(587).port().to_string()]).arg(server.certificate());
    run(command.args([Server::ANN, Server::PASSWORD]).arg(file)).map(drop)
}

#[test]
fn four_programs_send_to_a_real_postfix_octet_for_octet() -> Result<()> {
    let (_internet, scene) = scene()?;
    let server = &scene.server;
    let file = server.directory().join("mail.eml");
    let mut looked = Looked::default();
    for octets in [0, 5 << 20] {
        let programs: [(&str, Program); 3] = [("msmtp", msmtp), ("curl", curl), ("smtplib", smtplib)];
        for (name, send) in programs {
            let sent = hard(&format!("{name}.{octets}"), octets);
            // msmtp wants a file as programs on Unix write it.
            let lines = String::from_utf8(sent.clone())?;
            std::fs::write(&file, if name == "msmtp" { lines.replace("\r\n", "\n") } else { lines })?;
            send(server, &file).with_context(|| name.to_owned())?;
            scene.arrives(&mut looked, &sent, name)?;
        }
        let sent = hard(&format!("swaks.{octets}"), octets);
        let mut wire = String::from_utf8(sent.clone())?.replace("\r\n.", "\r\n..");
        wire.push('.');
        std::fs::write(&file, wire)?;
        swaks(server, &file)?;
        scene.arrives(&mut looked, &sent, "swaks")?;
    }
    Ok(())
}

#[test]
fn lone_line_ends_are_repaired_before_they_leave() -> Result<()> {
    let (_internet, scene) = scene()?;
    let text = format!("{HARD}Message-ID: <cr@example.test>\r\n\r\none\rtwo\nthree\r\n\rfour\r\n");
    scene.server.submission(Server::ANN)?.send(Server::ANN, &["eve@real.example"], text.as_bytes())?;
    let repaired = text.replace("one\rtwo\nthree\r\n\rfour", "one\r\ntwo\r\nthree\r\n\r\nfour");
    scene.arrives(&mut Looked::default(), repaired.as_bytes(), "lone line ends")
}

#[test]
fn a_real_postfix_that_knows_nobody_of_the_name_is_quoted() -> Result<()> {
    let (_internet, scene) = scene()?;
    super::ann_sends(&scene.server, &["eve@real.example"], "known@example.test")?;
    // Another domain at the same host: Postfix takes none of its mail.
    let target = "eve@unreal.example";
    _internet.names.add("unreal.example", &Record::MailExchanger(10, "mx.real.example".into()));
    super::ann_sends(&scene.server, &[target], "unknown@example.test")?;
    let report = super::parsed(&super::inbox(&scene.server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["status"] == "5.7.1", "{report}");
    ensure!(report["text"].as_str().is_some_and(|text| text.contains("Relay access denied")), "{report}");
    Ok(())
}

#[test]
fn every_message_of_the_corpus_leaves_as_it_came() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    // As a relay for a network of ours: nothing is completed that a program here has forgotten.
    let lines = "relay_networks = [\"127.0.0.1/32\"]\nidle_wait = 0";
    let server = super::server_with(&internet, lines, "", "[smtp]\nmessages_max = 1000000\n")?;
    let corpus = Corpus::open()?;
    let mut sent = Vec::new();
    for extensions in [&["PIPELINING", "8BITMIME", "CHUNKING"][..], &["8BITMIME"]] {
        host.set_extensions(extensions);
        let mut smtp = server.smtp()?;
        for mail in corpus.mails() {
            let wire = mail.with_crlf();
            smtp.send("eve@elsewhere.example", &["fred@far.example"], &wire)
                .with_context(|| mail.name.clone())?;
            sent.push(wire);
        }
        host.wait_for(sent.len())?;
        wait_until_queue_is_empty(&server)?;
    }
    // They may overtake each other.
    let received = host.received();
    ensure!(received.len() == sent.len(), "{} of {}", received.len(), sent.len());
    let mut kept: Vec<&[u8]> =
        received.iter().map(|one| without_received(&one.octets)).collect::<Result<_>>()?;
    kept.sort_unstable();
    sent.sort_unstable();
    for (kept, sent) in kept.iter().zip(&sent) {
        ensure!(
            kept == sent,
            "sent {:?}\nkept {:?}",
            String::from_utf8_lossy(sent),
            String::from_utf8_lossy(kept)
        );
    }
    Ok(())
}

/// A message without the Received field on top, which is all that we add.
fn without_received(octets: &[u8]) -> Result<&[u8]> {
    ensure!(octets.starts_with(b"Received: from "), "{}", String::from_utf8_lossy(octets));
    let mut end = 0;
    loop {
        let line = octets[end..].windows(2).position(|pair| pair == b"\r\n").context("no line end")? + 2;
        end += line;
        if !octets[end..].starts_with(b" ") && !octets[end..].starts_with(b"\t") {
            return Ok(&octets[end..]);
        }
    }
}

#[test]
fn fifty_megabytes_stream_out() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server =
        super::server_with(&internet, "idle_wait = 0", "", "[smtp]\nmessage_octets_max = \"60M\"\n")?;
    host.set_extensions(&["8BITMIME", "SIZE 70000000"]);
    let sent = hard("fifty", 50 << 20);
    let id = server.process_id().context("no process")?;
    server.submission(Server::ANN)?.send(Server::ANN, &["fred@far.example"], &sent)?;
    ensure!(host.wait_for(1)?[0].octets.ends_with(&sent));
    host.set_extensions(&["8BITMIME", "CHUNKING"]);
    let sent = hard("fifty.chunks", 50 << 20);
    server.submission(Server::ANN)?.send(Server::ANN, &["fred@far.example"], &sent)?;
    ensure!(host.wait_for(2)?[1].octets.ends_with(&sent));
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = peak.split_whitespace().next().context("no number")?.parse()?;
    ensure!(kib < 100 << 10, "the server needed {kib} KiB of memory");
    // A host that says that it takes less gets nothing, and Ann is told at once.
    host.set_extensions(&["8BITMIME", "SIZE 1000000"]);
    server.submission(Server::ANN)?.send(Server::ANN, &["fred@far.example"], &hard("large", 2 << 20))?;
    let report = super::parsed(&super::inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["status"] == "5.3.4", "{report}");
    wait_until_queue_is_empty(&server)
}
