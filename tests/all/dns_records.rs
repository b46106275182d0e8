//! The DNS records of our domains: told, written down, compared with the world, and written into it.
//!
//! The domain's zone lies on a real name server (Knot) inside the small world of names, as an owner's would.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{NameWorld, Record, Signing, mailstead_binary};

const KEY: &str =
    "key \"mail.key\" { algorithm hmac-sha256; secret \"q2hh0NfrOZRxrjbwUdRSHIBCBQrEN0cLwrtFFYU/1eE=\"; };\n";
/// The loopback address that Knot has for itself; its port is the world's.
const KNOT: Ipv4Addr = Ipv4Addr::new(127, 54, 0, 1);
/// Nobody listens in these stories: each server may have the same ports.
const PORT_OFFSET: &str = "20000";
const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// A server for shop.test, the world it lives in, and Knot with the zone.
struct Shop {
    directory: TempDir,
    world: NameWorld,
    knot: Option<Child>,
}

impl Shop {
    /// Nobody has added a record yet; `zone` are the lines that the owner had before.
    fn open(zone: &str) -> Result<Self> {
        let mut world = NameWorld::start(Signing::Unsigned)?;
        world.zone("test", Signing::Unsigned)?;
        world.zone("arpa", Signing::Unsigned)?;
        world.add_raw("shop.test", 2, wire_name("ns.shop.test"));
        world.add("ns.shop.test", &Record::Address(KNOT.into()));
        world.add_raw("7.2.0.192.in-addr.arpa", 12, wire_name("mail.shop.test"));
        let mut shop = Self { directory: TempDir::new()?, world, knot: None };
        shop.quickstart()?;
        shop.start_knot(zone)?;
        Ok(shop)
    }

    fn quickstart(&self) -> Result<()> {
        let mut child = Command::new(mailstead_binary()?)
            .args(["quickstart", "--hostname", "mail.shop.test", "--listen", "127.0.0.1", "--password-stdin"])
            .args(["--port-offset", PORT_OFFSET, "--dir"])
            .arg(self.path())
            .arg("ann@shop.test")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no standard input")?.write_all(b"correct horse 7\n")?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout)?;
        ensure!(told.contains("10 mail.shop.test.") && told.contains("v=DMARC1"), "{told}");
        let mut file = std::fs::OpenOptions::new().append(true).open(self.config())?;
        writeln!(
            file,
            "\n{}public_addresses = [\"192.0.2.7\"]\ncheck_block_lists = []\ncheck_port25_host = \"\"",
            self.world.settings()
        )?;
        Ok(())
    }

    fn start_knot(&mut self, zone: &str) -> Result<()> {
        let (directory, port) = (self.path().display().to_string(), self.world.port());
        let head = "$TTL 3600\n@ IN SOA ns.shop.test. ops.shop.test. 1 3600 600 86400 60\n@ IN NS ns\n";
        std::fs::write(self.path().join("shop.test.zone"), format!("{head}ns IN A {KNOT}\n{zone}"))?;
        std::fs::write(self.path().join("dns.key"), KEY)?;
        std::fs::create_dir(self.path().join("knot"))?;
        let mut settings = String::new();
        write!(
            settings,
            "server:\n    rundir: \"{directory}\"\n    listen: {KNOT}@{port}\n\
             database:\n    storage: \"{directory}/knot\"\n\
             key:\n  - id: mail.key\n    algorithm: hmac-sha256\n    secret: q2hh0NfrOZRxrjbwUdRSHIBCBQrEN0cLwrtFFYU/1eE=\n\
             acl:\n  - id: update\n    key: mail.key\n    action: update\n\
             zone:\n  - domain: shop.test\n    storage: \"{directory}\"\n    file: shop.test.zone\n    acl: update\n"
        )?;
        std::fs::write(self.path().join("knot.conf"), settings)?;
        let log = std::fs::File::create(self.path().join("knot.log"))?;
        let child = Command::new("knotd")
            .arg("--config")
            .arg(self.path().join("knot.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("knotd is missing: scripts/test installs it")?;
        self.knot = Some(child);
        self.wait_for_knot(SocketAddr::from((KNOT, port)))
    }

    /// The owner's zone has these lines from now on.
    fn paste(&mut self, zone: &str) -> Result<()> {
        if let Some(mut knot) = self.knot.take() {
            knot.kill()?;
            knot.wait()?;
        }
        std::fs::remove_dir_all(self.path().join("knot"))?;
        self.start_knot(zone)
    }

    /// Until it answers for the zone.
    fn wait_for_knot(&mut self, address: SocketAddr) -> Result<()> {
        let begun = Instant::now();
        let mut question = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(wire_name("shop.test"));
        question.extend([0, 6, 0, 1]);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        while begun.elapsed() < START_WAIT_MAX {
            socket.send_to(&question, address)?;
            let mut answer = [0; 512];
            // A useful answer: no error, and a record in it.
            if let Ok((length, _)) = socket.recv_from(&mut answer)
                && length > 12
                && answer[3] & 0x0f == 0
                && answer[7] > 0
            {
                return Ok(());
            }
            if self.knot.as_mut().context("knot")?.try_wait()?.is_some() {
                break;
            }
        }
        bail!("knotd does not come up: {}", std::fs::read_to_string(self.path().join("knot.log"))?)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn config(&self) -> std::path::PathBuf {
        self.path().join("mailstead.toml")
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(mailstead_binary()?);
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command.output().context("starting mailstead")
    }

    fn told(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Everything that a check found about the domain and the host, and its exit status.
    fn check(&self) -> Result<(Option<i32>, Vec<Value>)> {
        let output = self.run(&["--json", "dns", "check"])?;
        let told: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        let mut findings = told["host"]["findings"].as_array().context("host")?.clone();
        for domain in told["domains"].as_array().context("domains")? {
            findings.extend(domain["findings"].as_array().context("findings")?.clone());
        }
        ensure!(told["ok"] == (output.status.code() == Some(0)), "{told}");
        Ok((output.status.code(), findings))
    }

    fn apply(&self, more: &[&str]) -> Result<Output> {
        let server = format!("{KNOT}:{}", self.world.port());
        let key = self.path().join("dns.key").display().to_string();
        let mut arguments = vec!["dns", "apply", "--server", &server, "--key-file", &key];
        arguments.extend(more);
        self.run(&arguments)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(knot) = &mut self.knot {
            drop(knot.kill());
            drop(knot.wait());
        }
    }
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap_or(0));
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn wrong(findings: &[Value]) -> Vec<&Value> {
    findings.iter().filter(|finding| finding["status"] == "wrong").collect()
}

#[test]
fn records_are_told_to_people_and_machines() -> Result<()> {
    let shop = Shop::open("")?;
    let told = shop.told(&["dns", "records", "shop.test"])?;
    for line in ["shop.test.", "10 mail.shop.test.", "# mail for the domain comes here", "192.0.2.7"] {
        ensure!(told.contains(line), "{line} in {told}");
    }
    let told: Value = serde_json::from_str(&shop.told(&["--json", "dns", "records"])?)?;
    let records = told.as_array().context("a list")?;
    let find = |kind: &str, name: &str| {
        records.iter().find(|record| record["type"] == kind && record["name"] == name)
    };
    ensure!(find("MX", "shop.test").context("MX")?["value"] == "10 mail.shop.test.", "{told}");
    ensure!(find("TXT", "shop.test").context("SPF")?["value"] == "v=spf1 mx -all", "{told}");
    let pointer = find("PTR", "7.2.0.192.in-addr.arpa").context("PTR")?;
    ensure!(pointer["kept_by"] == "address provider" && pointer["importance"] == "needed", "{told}");
    ensure!(find("TLSA", "_25._tcp.mail.shop.test").is_some(), "{told}");
    ensure!(find("SRV", "_pop3._tcp.shop.test").context("POP3")?["value"] == "0 0 0 .", "{told}");
    let stranger = shop.run(&["dns", "records", "other.test"])?;
    ensure!(stranger.status.code() == Some(1), "{stranger:?}");
    Ok(())
}

#[test]
fn an_owner_pastes_the_zone_file_and_the_check_is_content() -> Result<()> {
    let mut shop = Shop::open("")?;
    let (status, findings) = shop.check()?;
    ensure!(status == Some(1), "{findings:#?}");
    for about in ["shop.test MX", "shop.test TXT (SPF)", "_dmarc.shop.test TXT (DMARC)", "mail.shop.test A"] {
        let found = findings.iter().find(|finding| finding["about"] == about).context(about)?;
        ensure!(found["status"] == "wrong" && found["remedy"] != "" && found["causes"] != "", "{found}");
    }
    let lines = shop.told(&["dns", "zone", "shop.test"])?;
    shop.paste(&lines)?;
    let (status, findings) = shop.check()?;
    ensure!(status == Some(0), "{:#?}", wrong(&findings));
    let told = shop.told(&["dns", "check"])?;
    ensure!(told.contains("right    shop.test MX: 10 mail.shop.test.") && told.contains("0 wrong"), "{told}");
    // The address calls itself something else: the check says so, and what to ask for.
    shop.world.clear("7.2.0.192.in-addr.arpa");
    shop.world.add_raw("7.2.0.192.in-addr.arpa", 12, wire_name("static-7.provider.test"));
    let (status, findings) = shop.check()?;
    let wrong = wrong(&findings);
    ensure!(status == Some(1) && wrong.len() == 1, "{wrong:#?}");
    ensure!(
        wrong[0]["remedy"].as_str().is_some_and(|remedy| remedy.contains("PTR mail.shop.test.")),
        "{wrong:#?}"
    );
    Ok(())
}

#[test]
fn records_are_written_after_their_difference_was_shown() -> Result<()> {
    let before = "@ IN TXT \"site-verification=1234\"\n@ IN TXT \"v=spf1 include:_spf.other.test ~all\"\n\
                  @ IN MX 10 old.other.test.\nwww IN A 192.0.2.80\n";
    let shop = Shop::open(before)?;
    let shown = String::from_utf8(shop.apply(&["--dry-run"])?.stdout)?;
    for line in [
        "- shop.test. MX 10 old.other.test.",
        "+ shop.test. MX 10 mail.shop.test.",
        "- shop.test. TXT \"v=spf1 include:_spf.other.test ~all\"",
        "+ shop.test. TXT \"v=spf1 mx include:_spf.other.test ~all\"",
        "+ _dmarc.shop.test. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@shop.test\"",
        "+ mail.shop.test. A 192.0.2.7",
        "nothing was changed",
    ] {
        ensure!(shown.contains(line), "{line} in\n{shown}");
    }
    ensure!(!shown.contains("site-verification") && !shown.contains("www"), "{shown}");
    let (status, _) = shop.check()?;
    ensure!(status == Some(1), "a dry run changes nothing");
    // To look needs no key; to write does.
    ensure!(shop.told(&["dns", "apply"])? == shown);
    ensure!(shop.run(&["dns", "apply", "--yes"])?.status.code() == Some(1));

    let applied = shop.apply(&["--yes"])?;
    ensure!(applied.status.success(), "{applied:?}");
    let again = shop.apply(&["--yes", "--json"])?;
    let again: Value = serde_json::from_slice(&again.stdout)?;
    ensure!(again["zones"] == serde_json::json!([]) && again["changed"] == false, "{again:#}");
    let (status, findings) = shop.check()?;
    // The policy of the other domain, which is none, is the owner's to take out.
    ensure!(wrong(&findings).is_empty() && status == Some(0), "{:#?}", wrong(&findings));
    // What was the owner's is still there.
    let texts = shop.told(&["dns", "resolve", "shop.test", "TXT"])?;
    ensure!(texts.contains("site-verification=1234") && texts.contains("v=spf1 mx include:"), "{texts}");
    Ok(())
}

#[test]
fn a_key_that_the_server_does_not_know_changes_nothing() -> Result<()> {
    let shop = Shop::open("")?;
    std::fs::write(shop.path().join("dns.key"), KEY.replace("q2hh", "AAAA"))?;
    let refused = shop.apply(&["--yes"])?;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && told.contains("does not know the key"), "{refused:?}");
    std::fs::write(shop.path().join("dns.key"), "no key\n")?;
    let refused = shop.apply(&["--yes"])?;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && told.contains("no key is in it"), "{told}");
    // A server that is not there.
    let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    ensure!(TcpStream::connect(nowhere).is_err(), "somebody took the port");
    std::fs::write(shop.path().join("dns.key"), KEY)?;
    let key = shop.path().join("dns.key").display().to_string();
    let refused =
        shop.run(&["dns", "apply", "--server", &nowhere.to_string(), "--key-file", &key, "--yes"])?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    let (status, _) = shop.check()?;
    ensure!(status == Some(1), "nothing was changed");
    Ok(())
}
