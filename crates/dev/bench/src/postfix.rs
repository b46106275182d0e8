//! Debian's Postfix as shipped: in front of Dovecot by LMTP, which is what a self-hoster runs, or alone, sending mail on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cgroup::Group;
use crate::dovecot::{Dovecot, Format, run};
use crate::out::Sender;
use crate::peer::Peer;

/// Dovecot needs a process for each session: more would only swap.
const DOVECOT_SESSIONS_MAX: u32 = 500;

/// A Postfix with its data and configuration in a directory of its own.
struct Postfix {
    directory: PathBuf,
    port: u16,
}

/// The fields go in their order: the servers before what they stand on.
pub(crate) struct PostfixDovecot {
    postfix: Postfix,
    dovecot: Dovecot,
    format: Format,
    group: Group,
    _directory: tempfile::TempDir,
}

impl PostfixDovecot {
    pub(crate) fn start(format: Format) -> Result<Self> {
        Self::with(format, Group::make(&format!("{format:?}"))?, "")
    }

    /// One with more settings of Postfix.
    pub(crate) fn with(format: Format, group: Group, more: &str) -> Result<Self> {
        let directory = open_directory()?;
        let dovecot = Dovecot::start(&directory.path().join("dovecot"), format, &group)?;
        let settings = format!(
            "virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = static:all\nvirtual_transport = lmtp:unix:{}\n{more}",
            dovecot.lmtp_socket().display()
        );
        let (place, port) = (directory.path().join("postfix"), dovecot.address(25).port());
        let postfix = Postfix::start(&place, port, &settings, &group)?;
        Ok(Self { postfix, dovecot, format, group, _directory: directory })
    }
}

impl Postfix {
    /// Configures and starts it.
    fn start(directory: &Path, port: u16, settings: &str, group: &Group) -> Result<Self> {
        let postfix = Self { directory: directory.to_owned(), port };
        for name in ["queue", "state", "conf"] {
            std::fs::create_dir_all(postfix.path(name))?;
        }
        run(Command::new("chown").arg("postfix").arg(postfix.path("state")))?;
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmyhostname = mx.example.test\n\
             mydestination =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\nalias_maps =\nalias_database =\n\
             maillog_file = {}\nmaillog_file_prefixes = /\n{settings}",
            postfix.path("queue").display(),
            postfix.path("state").display(),
            postfix.path("log").display(),
        );
        std::fs::write(postfix.path("conf").join("main.cf"), main)?;
        // Debian's own list of services, without chroots (the sockets lie elsewhere) and on our port.
        let shipped = std::fs::read_to_string("/usr/share/postfix/master.cf.dist")
            .or_else(|_| std::fs::read_to_string("/etc/postfix/master.cf"))?;
        let master: Vec<String> = shipped.lines().map(|line| postfix.service(line)).collect();
        std::fs::write(postfix.path("conf").join("master.cf"), master.join("\n") + "\n")?;
        let arguments = [Path::new("-c"), &postfix.path("conf"), Path::new("start")];
        group.start("/usr/sbin/postfix", &arguments, &postfix.path("start.log"))?;
        Ok(postfix)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn service(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(['#', ' ', '\t']) || words.len() < 8 {
            return line.to_owned();
        }
        let name = if words[0] == "smtp" && words[1] == "inet" {
            self.address().to_string()
        } else {
            words[0].to_owned()
        };
        format!("{name} {} {} {} n {}", words[1], words[2], words[3], words[5..].join(" "))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if run(Command::new("/usr/sbin/postfix").arg("-c").arg(self.path("conf")).arg("abort")).is_err() {
            eprintln!("Postfix did not stop");
        }
    }
}

/// A Postfix that sends mail on by a table of routes. The fields go in their order.
pub(crate) struct PostfixAlone {
    postfix: Postfix,
    group: Group,
    _directory: tempfile::TempDir,
    _ports: testkit::Offset,
}

impl PostfixAlone {
    /// `routes` is a transport table: a line for each domain.
    pub(crate) fn start(routes: &str) -> Result<Self> {
        let directory = open_directory()?;
        let table = directory.path().join("routes");
        std::fs::write(&table, routes)?;
        let settings = format!(
            "relay_domains =\nmynetworks = 127.0.0.0/8\ntransport_maps = texthash:{}\n",
            table.display()
        );
        let group = Group::make("postfix")?;
        let ports = testkit::free_offset()?;
        let port = 25 + ports.number();
        let postfix = Postfix::start(&directory.path().join("postfix"), port, &settings, &group)?;
        let alone = Self { postfix, group, _directory: directory, _ports: ports };
        alone.wait_until_up()?;
        Ok(alone)
    }

    fn wait_until_up(&self) -> Result<()> {
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(self.postfix.address()).is_err() {
            anyhow::ensure!(begun.elapsed() < testkit::WAIT_MAX, "Postfix does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Sender for PostfixAlone {
    fn name(&self) -> String {
        "Postfix".to_owned()
    }
    fn submission(&self) -> SocketAddr {
        self.postfix.address()
    }
    fn group(&self) -> &Group {
        &self.group
    }
}

/// A directory that Postfix's own users can look into.
pub(crate) fn open_directory() -> Result<tempfile::TempDir> {
    let directory = tempfile::TempDir::new_in(std::env::current_dir()?.join("target"))?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(directory)
}

impl Peer for PostfixDovecot {
    fn name(&self) -> String {
        format!("Postfix+Dovecot {:?}", self.format)
    }
    fn smtp(&self) -> SocketAddr {
        self.postfix.address()
    }
    fn imap(&self) -> SocketAddr {
        self.dovecot.address(143)
    }
    fn imaps(&self) -> SocketAddr {
        self.dovecot.address(993)
    }
    fn sessions_max(&self) -> u32 {
        DOVECOT_SESSIONS_MAX
    }
    fn wait_until_filed(&self) -> Result<()> {
        loop {
            let told =
                run(Command::new("/usr/sbin/postqueue").arg("-c").arg(self.postfix.path("conf")).arg("-p"))?;
            if told.contains("is empty") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    fn cpu_time(&self) -> Result<Duration> {
        self.group.cpu_time()
    }
    fn resident_octets(&self) -> Result<u64> {
        self.group.resident_octets()
    }
    fn fill(&self, count: u32) -> Result<bool> {
        self.dovecot.fill(count)?;
        Ok(true)
    }
}
