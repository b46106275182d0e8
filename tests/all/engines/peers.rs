//! Engines from Debian, each with a directory of its own and a Unix socket in it: none runs as a system service, none
//! fetches anything.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use testkit::WAIT_MAX;

/// A running engine; it ends when it is dropped.
pub(super) struct Engine {
    directory: tempfile::TempDir,
    child: Child,
}

impl Engine {
    /// clamd that knows two signatures: EICAR's test file by its MD5, and some words of ours.
    pub(super) fn clamd() -> Result<Self> {
        let directory = folder()?;
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("db"))?;
        std::fs::set_permissions(at("db"), std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(at("db/test.hdb"), "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n")?;
        let words: String = "mailstead-test-signature".bytes().map(|octet| format!("{octet:02x}")).collect();
        std::fs::write(at("db/test.ndb"), format!("Mailstead.Test:0:*:{words}\n"))?;
        std::fs::write(
            at("conf"),
            format!(
                "LocalSocket {}\nDatabaseDirectory {}\nForeground yes\nStreamMaxLength 16M\nMaxThreads 2\n",
                at("socket").display(),
                at("db").display()
            ),
        )?;
        let mut command = Command::new("/usr/sbin/clamd");
        command.arg("-c").arg(at("conf"));
        Self::up(directory, command)
    }

    /// spamd with its local rules alone.
    pub(super) fn spamd() -> Result<Self> {
        let directory = folder()?;
        let at = |name: &str| directory.path().join(name);
        let mut command = Command::new("/usr/sbin/spamd");
        command.args(["-L", "-x", "-s", "stderr", "-m", "1", "-u", "nobody"]);
        command.arg("-H").arg(directory.path()).arg("--pidfile").arg(at("pid"));
        command.arg(format!("--socketpath={}", at("socket").display()));
        Self::up(directory, command)
    }

    /// rspamd's normal worker, without modules and without DNS.
    pub(super) fn rspamd() -> Result<Self> {
        let directory = folder()?;
        // It becomes nobody and makes its sockets then.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777))?;
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("tld"), "com\norg\nexample\n")?;
        std::fs::write(
            at("conf"),
            format!(
                "options {{\n pidfile = \"{0}/pid\"; control_socket = \"{0}/control\"; url_tld = \"{0}/tld\";\n \
                 tempdir = \"{0}\"; filters = \"\"; gtube_patterns = \"all\";\n \
                 dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; retransmits = 1; }}\n}}\n\
                 logging {{ type = \"console\"; level = \"error\"; }}\n\
                 worker \"normal\" {{ bind_socket = \"{0}/socket mode=0666\"; count = 1; }}\n\
                 actions {{ reject = 15; add_header = 6; }}\n",
                directory.path().display()
            ),
        )?;
        let mut command = Command::new("rspamd");
        command.args(["-f", "-i", "-u", "nobody", "-g", "nogroup", "-c"]).arg(at("conf"));
        Self::up(directory, command)
    }

    /// spamass-milter, which asks a spamd and refuses what has many points.
    pub(super) fn spamass_milter(spamd: &Self) -> Result<Self> {
        let directory = folder()?;
        let at = |name: &str| directory.path().join(name);
        let mut command = Command::new("/usr/sbin/spamass-milter");
        command.arg("-p").arg(at("socket")).args(["-r", "15", "--", "-U"]);
        command.arg(spamd.directory.path().join("socket"));
        Self::up(directory, command)
    }

    /// A milter of libmilter's, in Python, that does each change there is.
    pub(super) fn python_milter() -> Result<Self> {
        let directory = folder()?;
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("changer.py"), PYTHON)?;
        // Debian's own, which has its packages.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(at("changer.py")).arg(at("socket"));
        Self::up(directory, command)
    }

    /// Its place, as settings name it.
    pub(super) fn address(&self) -> String {
        format!("unix:{}", self.directory.path().join("socket").display())
    }

    fn up(directory: tempfile::TempDir, mut command: Command) -> Result<Self> {
        let log = std::fs::File::create(directory.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut engine = Self { child: command.spawn()?, directory };
        let begun = Instant::now();
        while UnixStream::connect(engine.directory.path().join("socket")).is_err() {
            let runs = engine.child.try_wait()?.is_none() && begun.elapsed() < WAIT_MAX;
            ensure!(runs, "{command:?} is not up: {}", log_of(engine.directory.path()));
            std::thread::yield_now();
        }
        Ok(engine)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Politely, so that children end with it.
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        if asked.and_then(|_| self.child.wait()).is_err() {
            eprintln!("an engine did not stop");
        }
    }
}

/// A directory that other users may enter.
fn folder() -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

fn log_of(directory: &Path) -> String {
    let file: PathBuf = directory.join("log");
    std::fs::read_to_string(file).unwrap_or_default()
}

const PYTHON: &str = r#"
import sys, Milter

class Changer(Milter.Base):
    @Milter.noreply
    def connect(self, name, family, address):
        return Milter.CONTINUE

    def envfrom(self, sender, *parameters):
        self.recipients, self.subject, self.parameters = [], "", list(parameters)
        return Milter.CONTINUE

    def envrcpt(self, recipient, *parameters):
        self.recipients.append(recipient)
        self.parameters += parameters
        return Milter.CONTINUE

    @Milter.noreply
    def header(self, name, value):
        if name == "Subject":
            self.subject = value.strip()
        return Milter.CONTINUE

    def eom(self):
        if self.subject == "refuse":
            self.setreply("550", "5.7.1", "Not with 100%% of us")
            return Milter.REJECT
        if self.subject == "later":
            return Milter.TEMPFAIL
        if self.subject == "discard":
            return Milter.DISCARD
        if self.subject == "quarantine":
            self.quarantine("it smells")
            return Milter.ACCEPT
        self.progress()
        self.chgfrom("<changed@elsewhere.example>", "ENVID=other")
        self.addrcpt("<bob@example.test>")
        self.addheader("X-Added", "of %d recipients, i=%s" % (len(self.recipients), self.getsymval("i")))
        self.addheader("X-Parameters", " ".join(self.parameters))
        self.addheader("X-Client", "%s %s" % (self.getsymval("{client_addr}"), self.getsymval("{client_port}")))
        self.addheader("X-Inserted", "at the top", 0)
        self.chgheader("Subject", 1, "changed")
        self.chgheader("Message-ID", 1, "")
        self.replacebody("the new body\r\n")
        return Milter.ACCEPT

Milter.factory = Changer
Milter.set_flags(Milter.CHGBODY | Milter.CHGHDRS | Milter.ADDHDRS | Milter.ADDRCPT | Milter.DELRCPT
    | Milter.QUARANTINE | Milter.CHGFROM)
Milter.runmilter("changer", "unix:" + sys.argv[1], 240)
"#;
