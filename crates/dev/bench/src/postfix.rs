//! Debian's Postfix as shipped, in front of Dovecot by LMTP: what a self-hoster runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cgroup::Group;
use crate::dovecot::{Dovecot, Format, run};
use crate::peer::Peer;

/// Dovecot needs a process for each session: more would only swap.
const DOVECOT_SESSIONS_MAX: u32 = 500;

/// The fields go in their order: the servers before what they stand on.
pub(crate) struct PostfixDovecot {
    dovecot: Dovecot,
    format: Format,
    group: Group,
    directory: tempfile::TempDir,
}

impl PostfixDovecot {
    pub(crate) fn start(format: Format) -> Result<Self> {
        let directory = tempfile::TempDir::new_in(std::env::current_dir()?.join("target"))?;
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let group = Group::make(&format!("{format:?}"))?;
        let dovecot = Dovecot::start(&directory.path().join("dovecot"), format, &group)?;
        let peer = Self { dovecot, format, group, directory };
        peer.start_postfix()?;
        Ok(peer)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("postfix").join(name)
    }

    fn start_postfix(&self) -> Result<()> {
        for name in ["queue", "state", "conf"] {
            std::fs::create_dir_all(self.path(name))?;
        }
        run(Command::new("chown").arg("postfix").arg(self.path("state")))?;
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmyhostname = mx.example.test\n\
             mydestination =\nvirtual_mailbox_domains = example.test\nvirtual_mailbox_maps = static:all\n\
             virtual_transport = lmtp:unix:{}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\nalias_maps =\nalias_database =\n\
             maillog_file = {}\nmaillog_file_prefixes = /\n",
            self.path("queue").display(),
            self.path("state").display(),
            self.dovecot.lmtp_socket().display(),
            self.path("log").display(),
        );
        std::fs::write(self.path("conf").join("main.cf"), main)?;
        // Debian's own list of services, without chroots (the sockets lie elsewhere) and on our port.
        let shipped = std::fs::read_to_string("/usr/share/postfix/master.cf.dist")
            .or_else(|_| std::fs::read_to_string("/etc/postfix/master.cf"))?;
        let master: Vec<String> = shipped.lines().map(|line| self.service(line)).collect();
        std::fs::write(self.path("conf").join("master.cf"), master.join("\n") + "\n")?;
        let arguments = [Path::new("-c"), &self.path("conf"), Path::new("start")];
        self.group.start("/usr/sbin/postfix", &arguments, &self.path("start.log"))
    }

    fn service(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(['#', ' ', '\t']) || words.len() < 8 {
            return line.to_owned();
        }
        let name = if words[0] == "smtp" && words[1] == "inet" {
            format!("127.0.0.1:{}", self.smtp().port())
        } else {
            words[0].to_owned()
        };
        format!("{name} {} {} {} n {}", words[1], words[2], words[3], words[5..].join(" "))
    }
}

impl Drop for PostfixDovecot {
    fn drop(&mut self) {
        if run(Command::new("/usr/sbin/postfix").arg("-c").arg(self.path("conf")).arg("abort")).is_err() {
            eprintln!("Postfix did not stop");
        }
    }
}

impl Peer for PostfixDovecot {
    fn name(&self) -> String {
        format!("Postfix+Dovecot {:?}", self.format)
    }
    fn smtp(&self) -> SocketAddr {
        self.dovecot.address(25)
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
            let told = run(Command::new("/usr/sbin/postqueue").arg("-c").arg(self.path("conf")).arg("-p"))?;
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
