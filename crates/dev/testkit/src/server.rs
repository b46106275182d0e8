//! A mailstead of one's own: made by `quickstart` in a temporary directory, started, killed, started again.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::dialogue::WAIT_MAX;
use crate::imap_client::ImapClient;
use crate::ports::{Offset, free_offset};
use crate::smtp_client::SmtpClient;

/// How a server is made.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Lines added to the configuration; tables are opened by name: `[smtp]\nrecipients_max = 100`.
    pub settings: String,
    /// Where its directory is made; a temporary one of the system's without it.
    pub place: Option<PathBuf>,
    /// More of the environment that the server runs in (a preloaded library, say).
    pub environment: Vec<(String, String)>,
    /// What the server is started by, where it is not by itself: `nsenter` and its arguments, say.
    pub started_by: Vec<String>,
}

/// A server with the accounts ann@example.test and bob@example.test, whose passwords are [`Server::PASSWORD`].
#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    offset: Offset,
    options: ServerOptions,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// The program under test: `MAILSTEAD_BINARY`, or what was built beside this test.
///
/// # Errors
/// When it was not built.
pub fn mailstead_binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("MAILSTEAD_BINARY") {
        return Ok(binary.into());
    }
    let own = std::env::current_exe()?;
    let beside =
        own.ancestors().skip(1).take(2).map(|folder| folder.join("mailstead")).find(|file| file.is_file());
    beside.context("the mailstead binary is not built: cargo build -p mailstead")
}

impl Server {
    /// The password of every account that a story makes.
    pub const PASSWORD: &'static str = "correct horse 7";
    /// The first account.
    pub const ANN: &'static str = "ann@example.test";
    /// The second account.
    pub const BOB: &'static str = "bob@example.test";

    /// Makes a server with two people and starts it. Passwords work without TLS from loopback unless the settings say
    /// otherwise.
    ///
    /// # Errors
    /// When it does not come up; the error shows its log.
    pub fn start(options: ServerOptions) -> Result<Self> {
        let mut server = Self::make(options)?;
        server.up()?;
        Ok(server)
    }

    /// Makes a server with two people without starting it.
    ///
    /// # Errors
    /// When a command fails.
    pub fn make(options: ServerOptions) -> Result<Self> {
        let directory = match &options.place {
            Some(place) => TempDir::new_in(place)?,
            None => TempDir::new()?,
        };
        let server = Self { directory, offset: free_offset()?, options, running: None };
        server.quickstart()?;
        server.command(&["account", "add", Self::BOB, "--password", Self::PASSWORD])?;
        Ok(server)
    }

    fn quickstart(&self) -> Result<()> {
        let mut child = Command::new(mailstead_binary()?)
            .args([
                "quickstart",
                "--hostname",
                "localhost",
                "--listen",
                "127.0.0.1",
                "--password-stdin",
                "--dir",
            ])
            .arg(self.directory.path())
            .args(["--port-offset", &self.offset.number().to_string(), Self::ANN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        stdin.context("no standard input")?.write_all(format!("{}\n", Self::PASSWORD).as_bytes())?;
        check(&child.wait_with_output()?, "quickstart")?;
        let mut file = std::fs::OpenOptions::new().append(true).open(self.config())?;
        if !self.options.settings.contains("plaintext_on_loopback") {
            writeln!(file, "\n[auth]\nplaintext_on_loopback = true")?;
        }
        // The lists of the world are not to be asked.
        if !self.options.settings.contains("[screen]") {
            writeln!(file, "\n[screen]\nlists = []\ndomain_lists = []")?;
        }
        writeln!(file, "{}", self.options.settings)?;
        Ok(())
    }

    /// Starts the server and returns when it says that it is ready.
    ///
    /// # Errors
    /// When it ends instead, with its log.
    pub fn up(&mut self) -> Result<()> {
        // The server tells systemd when it is ready (sd_notify(3)); here we are systemd.
        let socket = self.directory.path().join("notify");
        drop(std::fs::remove_file(&socket));
        let notified = UnixDatagram::bind(&socket)?;
        notified.set_read_timeout(Some(std::time::Duration::from_millis(50)))?;
        let mut words =
            self.options.started_by.iter().map(Into::into).chain([mailstead_binary()?.into_os_string()]);
        let mut child = Command::new(words.next().context("nothing to start")?)
            .args(words)
            .arg("--config")
            .arg(self.config())
            .arg("serve")
            .env("NOTIFY_SOCKET", &socket)
            .envs(self.options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().context("no standard error")?;
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Ok(mut lines) = kept.lock() {
                    lines.push(line);
                }
            }
        });
        self.running = Some(Running { child, log });
        let begun = std::time::Instant::now();
        let mut message = [0; 512];
        loop {
            if let Ok(length) = notified.recv(&mut message)
                && message[..length].windows(7).any(|part| part == b"READY=1")
            {
                return Ok(());
            }
            if begun.elapsed() > WAIT_MAX || self.has_ended()? {
                bail!("the server does not come up; its log:\n{}", self.log());
            }
        }
    }

    /// Whether the process has ended by itself.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        match &mut self.running {
            Some(running) => Ok(running.child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// Sends SIGTERM and waits until the server has ended in order.
    ///
    /// # Errors
    /// When it ends with another status than 0.
    pub fn stop(&mut self) -> Result<()> {
        self.signal("TERM")?;
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let status = running.child.wait()?;
        if !status.success() {
            let log = running.log.lock().map(|lines| lines.join("\n")).unwrap_or_default();
            bail!("the server ended with {status}; its log:\n{log}");
        }
        Ok(())
    }

    /// Kills the server as a crash would: SIGKILL, no farewell.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill()?;
            running.child.wait()?;
        }
        Ok(())
    }

    /// Sends a signal by name: `HUP`, `TERM`.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.process_id().context("the server does not run")?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status()?;
        anyhow::ensure!(status.success(), "kill -{name} {id}: {status}");
        Ok(())
    }

    /// The server's process number while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// What the server has logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        let log =
            self.running.as_ref().and_then(|running| running.log.lock().ok().map(|lines| lines.join("\n")));
        log.unwrap_or_default()
    }

    /// Runs an admin command that must succeed; the result is what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_command(arguments)?;
        check(&output, &arguments.join(" "))
    }

    /// Runs an admin command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(mailstead_binary()?);
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command.envs(self.options.environment.iter().cloned());
        command.output().context("starting mailstead")
    }

    /// The address of a listener, by its usual port.
    #[must_use]
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port + self.offset.number()))
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("mailstead.toml")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The directory of everything, for a story's own files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The self-signed certificate, for clients that want to trust it.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("tls/certificate.pem")
    }

    /// An SMTP client at port 25.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn smtp(&self) -> Result<SmtpClient> {
        SmtpClient::connect(self.address(25))
    }

    /// A client at the submission port, logged in.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn submission(&self, user: &str) -> Result<SmtpClient> {
        let mut client = SmtpClient::connect(self.address(587))?;
        client.login(user, Self::PASSWORD)?;
        Ok(client)
    }

    /// The same under TLS.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn submission_under_tls(&self, user: &str) -> Result<SmtpClient> {
        let mut client = SmtpClient::connect(self.address(587))?.start_tls()?;
        client.login(user, Self::PASSWORD)?;
        Ok(client)
    }

    /// An IMAP client, logged in.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn imap(&self, user: &str) -> Result<ImapClient> {
        ImapClient::login(self.address(143), user, Self::PASSWORD)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.kill().is_err() {
            eprintln!("a test server could not be killed");
        }
    }
}

fn check(output: &Output, what: &str) -> Result<String> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "mailstead {what}: {}\n{out}{err}", output.status);
    Ok(out.into_owned())
}
