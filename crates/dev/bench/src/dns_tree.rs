//! A tree of names with a root of its own, signed by ldns and served by nsd: NSEC, NSEC3, unsigned, and wrongly signed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Where the tree is served, at the port that all the world's servers have: unbound knows no other.
pub(crate) const AUTHORITY: &str = "127.53.1.1";
/// Names asked for in each zone; the last tenth of them does not exist.
const NAMES_A_ZONE: u32 = 100;

/// How a zone is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    Nsec,
    Nsec3,
    None,
    /// Its parent names another key.
    Wrong,
}

impl Signing {
    fn of(zone: u32) -> Self {
        match zone % 20 {
            0..=8 => Self::Nsec,
            9..=13 => Self::Nsec3,
            14..=18 => Self::None,
            _ => Self::Wrong,
        }
    }
}

pub(crate) struct Tree {
    /// The root's key, as a trust anchor is written.
    pub(crate) anchor: String,
    pub(crate) names: Vec<String>,
    configuration: std::path::PathBuf,
}

impl Tree {
    /// Makes the zones' files.
    pub(crate) fn make(directory: &Path, names: u32) -> Result<Self> {
        let zones = names.div_ceil(NAMES_A_ZONE);
        let mut test = apex("test");
        let mut all = Vec::new();
        let mut served = vec![".".to_owned(), "test".to_owned()];
        for number in 0..zones {
            let (zone, signing) = (format!("z{number}.test"), Signing::of(number));
            let mut text = apex(&zone);
            for host in 0..NAMES_A_ZONE {
                all.push(format!("h{host}.{zone}"));
                if host < NAMES_A_ZONE / 10 * 9 {
                    writeln!(text, "h{host}.{zone}. A 192.0.2.{}", host % 250)?;
                }
            }
            writeln!(test, "{zone}. NS ns.test.")?;
            test += &sign(directory, &zone, &text, signing)?;
            served.push(zone);
        }
        all.truncate(usize::try_from(names)?);
        let mut root = apex("");
        writeln!(root, "test. NS ns.test.\nns.test. A {AUTHORITY}")?;
        writeln!(test, "ns.test. A {AUTHORITY}")?;
        root += &sign(directory, "test", &test, Signing::Nsec)?;
        sign(directory, ".", &root, Signing::Nsec)?;
        let key = std::fs::read_to_string(directory.join("root.anchor"))?;
        let anchor = key.split_once("DNSKEY").context("no key")?.1;
        let anchor = anchor.split(';').next().unwrap_or(anchor).trim().to_owned();
        let configuration = directory.join("nsd.conf");
        let mut text = format!(
            "server:\n ip-address: {AUTHORITY}\n zonesdir: \"{0}\"\n database: \"\"\n username: \"\"\n\
             \x20pidfile: \"\"\n xfrdfile: \"{0}/xfrd\"\n xfrdir: \"{0}\"\n zonelistfile: \"{0}/zonelist\"\n rrl-ratelimit: 0\n\
             \x20rrl-whitelist-ratelimit: 0\nremote-control:\n control-enable: no\n",
            directory.display()
        );
        for zone in served {
            writeln!(text, "zone:\n name: \"{zone}\"\n zonefile: \"{}.zone\"", file_name(&zone))?;
        }
        std::fs::write(&configuration, text)?;
        Ok(Self { anchor, names: all, configuration })
    }

    /// Starts the server.
    pub(crate) fn serve(&self) -> Result<Child> {
        let nsd = Command::new("/usr/sbin/nsd")
            .args(["-d", "-c"])
            .arg(&self.configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        nsd.context("nsd is not there: apt-get install nsd")
    }
}

fn file_name(zone: &str) -> &str {
    if zone == "." { "root" } else { zone }
}

fn apex(zone: &str) -> String {
    let server = if zone.is_empty() { "ns.".to_owned() } else { "ns.test.".to_owned() };
    let mut text = format!("{zone}. 3600 SOA {server} ops.test. 1 3600 600 86400 300\n{zone}. NS {server}\n");
    if zone.is_empty() {
        text += &format!("ns. A {AUTHORITY}\n");
    }
    format!("$TTL 3600\n{text}")
}

/// Writes a zone's file, and gives the DS record for its parent.
fn sign(directory: &Path, zone: &str, text: &str, signing: Signing) -> Result<String> {
    let plain = directory.join(format!("{}.zone", file_name(zone)));
    std::fs::write(&plain, text)?;
    if signing == Signing::None {
        return Ok(String::new());
    }
    let key = key(directory, zone)?;
    let mut signer = Command::new("ldns-signzone");
    signer.current_dir(directory).args(["-o", zone, "-f"]).arg(&plain);
    if signing == Signing::Nsec3 {
        signer.args(["-n", "-t", "0"]);
    }
    output(signer.arg(&plain).arg(&key))?;
    if zone == "." {
        std::fs::copy(directory.join(format!("{key}.key")), directory.join("root.anchor"))?;
        return Ok(String::new());
    }
    let told = if signing == Signing::Wrong { self::key(directory, zone)? } else { key };
    output(Command::new("ldns-key2ds").current_dir(directory).args(["-n", "-2", &format!("{told}.key")]))
}

fn key(directory: &Path, zone: &str) -> Result<String> {
    let mut generator = Command::new("ldns-keygen");
    let name = output(generator.current_dir(directory).args(["-a", "ECDSAP256SHA256", "-k", zone]))?;
    Ok(name.trim().to_owned())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}; apt-get install ldnsutils"))?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
