//! Mail leaves as its destination wishes: by TLSA records of a signed world to a real Postfix, and by an MTA-STS policy
//! that one of our servers publishes and another keeps to.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Internet, NameWorld, Record, Server, ServerOptions, Signing, WAIT_MAX};

use super::{
    ann_sends, inbox, json, message, server_with, wait_until, wait_until_deferred, wait_until_queue_is_empty,
};
use crate::clients::run;
use crate::postfix::Postfix;

const MX: &str = "mx.real.example";

/// SHA-256 of a certificate's public key, as OpenSSL finds it.
fn key_of(certificate: &Path) -> Result<Vec<u8>> {
    let script = "openssl x509 -in \"$1\" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum";
    let printed = run(Command::new("sh").args(["-c", script, "sh"]).arg(certificate))?;
    let digits = printed.split_whitespace().next().context("no digest")?;
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

struct Scene {
    internet: Internet,
    server: Server,
    postfix: Postfix,
    /// Its public key.
    key: Vec<u8>,
}

/// A signed world with a real Postfix in it.
fn scene(outbound: &str) -> Result<Scene> {
    let mut internet = Internet::start_signed()?;
    let address = internet.address()?;
    internet.names.add("real.example", &Record::MailExchanger(10, MX.into()));
    internet.names.add(MX, &Record::Address(address.ip()));
    let server = server_with(&internet, outbound, "", "")?;
    let (certificate, key) = (server.certificate(), server.certificate().with_file_name("key.pem"));
    let postfix = Postfix::that_takes("real.example", address, &certificate, &key)?;
    let key = key_of(&certificate)?;
    Ok(Scene { internet, server, postfix, key })
}

impl Scene {
    fn add_tlsa(&self, record: Record) -> String {
        let name = format!("_{}._tcp.{MX}", self.internet.port());
        self.internet.names.add(&name, &record);
        name
    }

    fn arrives(&self, count: usize) -> Result<()> {
        wait_until_queue_is_empty(&self.server)?;
        // Postfix files it after it has said yes.
        let begun = std::time::Instant::now();
        while self.postfix.kept()?.len() < count {
            ensure!(begun.elapsed() < WAIT_MAX, "{}\n{}", self.server.log(), self.postfix.log());
        }
        Ok(())
    }
}

/// How a message's only step to another server was protected, and who vouched for that.
fn protection(server: &Server, id: &str) -> Result<(Value, Value)> {
    let answer = json(server, &["trace", id])?;
    let steps = answer.as_array().or_else(|| answer["steps"].as_array()).context("no steps")?;
    let sent = steps.iter().rfind(|step| step["step"] == "sent");
    let sent = sent.with_context(|| format!("never sent: {answer}"))?;
    Ok((sent["tls_policy"].clone(), sent["verified_by"].clone()))
}

#[test]
fn a_real_postfix_gets_mail_by_the_key_that_dns_names() -> Result<()> {
    let scene = scene("idle_wait = 0")?;
    scene.add_tlsa(Record::Tlsa(3, 1, 1, vec![0; 32]));
    // A roll-over: the old key's record is still there.
    scene.add_tlsa(Record::Tlsa(3, 1, 1, scene.key.clone()));
    for count in 1..=2 {
        let id = format!("dane.{count}@example.test");
        ann_sends(&scene.server, &["eve@real.example"], &id)?;
        scene.arrives(count)?;
        ensure!(protection(&scene.server, &id)? == ("dane".into(), "dane".into()), "{}", scene.server.log());
    }
    Ok(())
}

#[test]
fn a_real_postfix_with_another_key_gets_no_mail() -> Result<()> {
    let scene = scene("")?;
    scene.add_tlsa(Record::Tlsa(3, 1, 1, vec![0; 32]));
    ann_sends(&scene.server, &["eve@real.example"], "other.key@example.test")?;
    wait_until_deferred(&scene.server, "matches none of the server's TLSA records")?;
    ensure!(scene.postfix.kept()?.is_empty());
    Ok(())
}

#[test]
fn forged_records_keep_mail_back() -> Result<()> {
    let scene = scene("")?;
    let name = scene.add_tlsa(Record::Tlsa(3, 1, 1, scene.key.clone()));
    scene.internet.names.forge(&name);
    ann_sends(&scene.server, &["eve@real.example"], "forged@example.test")?;
    wait_until_deferred(&scene.server, "TLSA records: DNSSEC validation failed")?;
    ensure!(scene.postfix.kept()?.is_empty());
    Ok(())
}

#[test]
fn what_one_server_publishes_another_keeps_to() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    // The one that publishes is home to the domain.
    let settings = format!(
        "{}[mta_sts]\nmode = \"enforce\"\nexchangers = [\"mx.far.example\"]\n",
        internet.settings("", "")
    );
    let mut publisher = Server::make(ServerOptions { settings, ..ServerOptions::default() })?;
    publisher.command(&["domain", "add", "far.example"])?;
    let (chain, key) = internet.certificate(&["localhost", "mta-sts.far.example"])?;
    std::fs::write(publisher.certificate(), chain)?;
    std::fs::write(publisher.certificate().with_file_name("key.pem"), key)?;
    publisher.up()?;
    let port = publisher.address(443).port();
    let url = format!("https://mta-sts.far.example:{port}/.well-known/mta-sts.txt");
    let text = run(Command::new("curl").args(["-sS", "-k", "--max-time", "60", "--noproxy", "*"]).args([
        "--resolve",
        &format!("mta-sts.far.example:{port}:127.0.0.1"),
        &url,
    ]))?;
    ensure!(
        text == "version: STSv1\r\nmode: enforce\r\nmx: mx.far.example\r\nmax_age: 604800\r\n",
        "{text:?}"
    );

    internet.names.add("mta-sts.far.example", &Record::Address([127, 0, 0, 1].into()));
    internet.names.add("_mta-sts.far.example", &Record::Text("v=STSv1; id=1;".into()));
    let sender = server_with(&internet, &format!("idle_wait = 0\nmta_sts_port = {port}"), "", "")?;
    host.set_tls(Some(internet.self_signed(&["mx.far.example"])?));
    ann_sends(&sender, &["eve@far.example"], "kept@example.test")?;
    wait_until_deferred(&sender, "invalid peer certificate")?;
    ensure!(host.received().is_empty());
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    ensure!(host.wait_for(1)?[0].is_encrypted);
    wait_until_queue_is_empty(&sender)?;
    wait_until("it is written down", &sender, || {
        Ok(protection(&sender, "kept@example.test")? == ("mta-sts".into(), "authority".into()))
    })?;
    // The policy holds without its publisher, and over a restart.
    publisher.stop()?;
    let mut sender = sender;
    sender.stop()?;
    sender.up()?;
    host.set_tls(None);
    ann_sends(&sender, &["eve@far.example"], "after@example.test")?;
    wait_until_deferred(&sender, "4.7.10")?;
    ensure!(host.received().len() == 1);
    Ok(())
}

/// Says that this process has a network of its own.
const PRIVATE: &str = "MAILSTEAD_PRIVATE_NETWORK";

/// Runs a test of this binary once more, in a network and with mounts of its own: there it may have the ports of name
/// servers, and say which resolver the system asks.
fn privately(test: &str, story: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(PRIVATE).is_some() {
        run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        return story();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]).arg(std::env::current_exe()?);
    run(command.args(["--exact", test, "--nocapture"]).env(PRIVATE, "1")).map(drop)
}

/// unbound as the system's validating resolver; it ends when it is dropped.
struct Unbound {
    child: Child,
    directory: tempfile::TempDir,
}

impl Unbound {
    fn start(names: &NameWorld) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("hints"), format!(". 3600 IN NS ns.\nns. 3600 IN A {}\n", names.root().ip()))?;
        let key = names.trust_anchor().context("the root is not signed")?;
        let settings = format!(
            "server:\n interface: 127.0.0.1\n do-ip6: no\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n\
             directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"{}\"\n verbosity: 1\n\
             do-not-query-localhost: no\n root-hints: \"{}\"\n trust-anchor: \". DNSKEY {key}\"\n\
             local-zone: \"test.\" nodefault\nremote-control:\n control-enable: no\n",
            directory.path().display(),
            path("log"),
            path("hints"),
        );
        std::fs::write(path("conf"), settings)?;
        std::fs::write(path("resolv.conf"), "nameserver 127.0.0.1\noptions edns0 trust-ad\n")?;
        run(Command::new("mount").args(["--bind", &path("resolv.conf"), "/etc/resolv.conf"]))?;
        let child = Command::new("/usr/sbin/unbound").args(["-d", "-c", &path("conf")]).spawn()?;
        let unbound = Self { child, directory };
        let begun = std::time::Instant::now();
        while TcpStream::connect("127.0.0.1:53").is_err() {
            ensure!(begun.elapsed() < WAIT_MAX, "unbound does not come up: {}", unbound.log());
        }
        Ok(unbound)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            eprintln!("unbound did not stop");
        }
    }
}

#[test]
fn a_real_postfix_finds_our_key_in_dns() -> Result<()> {
    privately("sending::protection::a_real_postfix_finds_our_key_in_dns", || {
        let mut names = NameWorld::start_at(53, Signing::Signed)?;
        names.zone("test", Signing::Signed)?;
        let server = Server::start(ServerOptions::default())?;
        let port = server.address(25).port();
        names.add("example.test", &Record::MailExchanger(10, "mx.example.test".into()));
        names.add("mx.example.test", &Record::Address([127, 0, 0, 1].into()));
        let key = key_of(&server.certificate())?;
        names.add(&format!("_{port}._tcp.mx.example.test"), &Record::Tlsa(3, 1, 1, key));
        let unbound = Unbound::start(&names)?;
        // Postfix's own: what it is to send must not lie at an address of its own.
        run(Command::new("ip").args(["addr", "add", "127.0.0.9/32", "dev", "lo"]))?;
        let postfix = Postfix::that_sends_by_dane("example.test", port)?;
        let text =
            message("from.postfix@elsewhere.example").replace("ann@example.test", "eve@elsewhere.example");
        postfix.send("eve@elsewhere.example", &[Server::ANN], &text)?;
        let begun = std::time::Instant::now();
        let verified = format!("Verified TLS connection established to mx.example.test[127.0.0.1]:{port}");
        while !postfix.log().contains(&verified) {
            ensure!(begun.elapsed() < WAIT_MAX, "{}\n{}", postfix.log(), unbound.log());
        }
        ensure!(inbox(&server, Server::ANN, 1)?[0].contains("from.postfix@elsewhere.example"));
        Ok(())
    })
}
