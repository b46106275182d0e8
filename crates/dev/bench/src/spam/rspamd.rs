//! Debian's rspamd, rules as shipped without network, Bayes trained on the same mail.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::corpus::Letter;
use super::peak_mib;
use super::scores::{Run, Scores};

/// How long the server may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

/// Where it adds a header as shipped.
const SPAM_FROM: f64 = 6.0;

/// Debian's server with places and ports of our own, stopped when dropped.
struct Rspamd {
    child: Child,
    directory: tempfile::TempDir,
    judge: SocketAddr,
    control: SocketAddr,
}

pub(super) fn batch(train: &[&Letter], test: &[&Letter]) -> anyhow::Result<Run> {
    let rspamd = Rspamd::start()?;
    for letter in train {
        rspamd.ask(
            rspamd.control,
            &[if letter.is_spam { "learn_spam" } else { "learn_ham" }],
            &letter.path,
        )?;
    }
    let before = rspamd.cpu_seconds();
    let mut scores = Scores::new();
    for letter in test {
        let said = rspamd.ask(rspamd.judge, &["--json", "symbols"], &letter.path)?;
        let said: serde_json::Value =
            serde_json::from_str(&said).with_context(|| format!("rspamd said {said}"))?;
        scores.push((said["score"].as_f64().context("rspamd gave no score")?, letter.is_spam));
    }
    let cpu_seconds = (rspamd.cpu_seconds() - before) * 1_000.0 / test.len().max(1) as f64;
    let peaks =
        rspamd.processes().into_iter().filter_map(|id| peak_mib(Path::new(&format!("/proc/{id}/status"))));
    let peak = peaks.fold(0.0, f64::max);
    Ok(Run {
        filter: "rspamd",
        way: "batch",
        spam_from: SPAM_FROM,
        scores,
        cpu_seconds,
        peak_mib: Some(peak),
    })
}

impl Rspamd {
    fn start() -> anyhow::Result<Rspamd> {
        let directory = tempfile::tempdir()?;
        // The server changes its user.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777))?;
        let (judge, control) = (free_address()?, free_address()?);
        overlay(directory.path(), judge, control)?;
        let variables = ["DBDIR", "RUNDIR", "LOGDIR", "LOCAL_CONFDIR"];
        let child = Command::new("rspamd")
            .args(["-f", "-i", "-c", "/etc/rspamd/rspamd.conf"])
            .args(variables.map(|name| format!("--var={name}={}", directory.path().display())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting rspamd")?;
        let rspamd = Rspamd { child, directory, judge, control };
        let started = Instant::now();
        while TcpStream::connect(judge).is_err() || TcpStream::connect(control).is_err() {
            anyhow::ensure!(started.elapsed() < START_MAX, "rspamd does not listen: {}", rspamd.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(rspamd)
    }

    fn ask(&self, address: SocketAddr, command: &[&str], path: &Path) -> anyhow::Result<String> {
        let output = Command::new("rspamc")
            .args(["-h", &address.to_string()])
            .args(command)
            .arg(path)
            .output()
            .context("starting rspamc")?;
        // A message that is too short to learn from is no failure.
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("rspamd.log")).unwrap_or_default()
    }

    /// The server's processes, the first with its workers.
    fn processes(&self) -> Vec<u32> {
        let first = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).chain([first]).collect()
    }

    fn cpu_seconds(&self) -> f64 {
        const TICKS: f64 = 100.0;
        let of = |id: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
        };
        self.processes().into_iter().map(of).sum()
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let _ended = Command::new("kill").args(["-TERM", &id]).status();
        let _status = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// What is laid over Debian's configuration: our ports, SQLite for Bayes, and nobody to ask on the network.
fn overlay(directory: &Path, judge: SocketAddr, control: SocketAddr) -> anyhow::Result<()> {
    let place = directory.display();
    let files = [
        ("worker-normal.inc", format!("bind_socket = \"{judge}\";\ncount = 1;\n")),
        ("worker-controller.inc", format!("bind_socket = \"{control}\";\nsecure_ip = [\"127.0.0.1\"];\n")),
        ("worker-proxy.inc", "enabled = false;\n".to_owned()),
        ("worker-fuzzy.inc", "enabled = false;\n".to_owned()),
        ("logging.inc", "level = \"error\";\n".to_owned()),
        (
            "options.inc",
            "dns { nameserver = [\"127.0.0.1:1\"]; timeout = 0.01s; retransmits = 0; }\ndisable_monitoring = true;\n"
                .to_owned(),
        ),
        (
            "classifier-bayes.conf",
            format!(
                "backend = \"sqlite3\";\nnew_schema = false;\ncache {{ backend = \"sqlite3\"; path = \"{place}/cache\"; }}\n\
                 statfile {{ symbol = \"BAYES_HAM\"; spam = false; path = \"{place}/ham\"; }}\n\
                 statfile {{ symbol = \"BAYES_SPAM\"; spam = true; path = \"{place}/spam\"; }}\n"
            ),
        ),
    ];
    let overrides = directory.join("override.d");
    std::fs::create_dir(&overrides)?;
    for (name, text) in files {
        std::fs::write(overrides.join(name), text)?;
    }
    Ok(())
}
