//! Postfix: as a host that sends to us, and as one that takes our mail.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{TakesMail, new_in};
use crate::clients::run;

/// A running Postfix; it ends when it is dropped.
pub(crate) struct Postfix {
    directory: tempfile::TempDir,
}

impl Postfix {
    /// One without a listener that sends everything to one port here.
    pub(crate) fn that_sends_to(port: u16) -> Result<Self> {
        let main = format!(
            "mydestination =\ninet_interfaces = loopback-only\nrelayhost = [127.0.0.1]:{port}\n\
             smtp_tls_security_level = may\nsmtp_host_lookup = native\n"
        );
        Self::start(&main, None)
    }

    /// One without a listener that sends everything to a domain's exchangers at this port, as DANE says.
    pub(crate) fn that_sends_by_dane(domain: &str, port: u16) -> Result<Self> {
        // On another address than the exchangers', which it would take for itself; the network must have it.
        let main = format!(
            "mydestination =\ninet_interfaces = 127.0.0.9\ninet_protocols = ipv4\nrelayhost = {domain}:{port}\n\
             smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\nsmtp_host_lookup = dns\n\
             smtp_tls_loglevel = 1\n"
        );
        Self::start(&main, None)
    }

    /// One that listens at an address and keeps a domain's mail in Maildirs, with TLS by these files.
    pub(crate) fn that_takes(
        domain: &str,
        address: SocketAddr,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self> {
        Self::taking(domain, address, (certificate, key), "")
    }

    /// The same, through a milter that listens at a socket.
    pub(crate) fn that_takes_through(
        milter: &Path,
        domain: &str,
        address: SocketAddr,
        certificate: (&Path, &Path),
    ) -> Result<Self> {
        let milter = milter.display();
        let lines = format!("smtpd_milters = unix:{milter}\nmilter_default_action = tempfail\n");
        Self::taking(domain, address, certificate, &lines)
    }

    fn taking(
        domain: &str,
        address: SocketAddr,
        (certificate, key): (&Path, &Path),
        more: &str,
    ) -> Result<Self> {
        let number = |option: &str| -> Result<String> {
            Ok(run(Command::new("id").args([option, "postfix"]))?.trim().to_owned())
        };
        let main = format!(
            "mydestination =\ninet_interfaces = loopback-only\nmynetworks =\nlocal_header_rewrite_clients =\nlocal_transport = error:none\n\
             smtpd_relay_restrictions = reject_unauth_destination\n\
             virtual_mailbox_domains = {domain}\nvirtual_mailbox_maps = static:box/\nvirtual_minimum_uid = 1\n\
             virtual_uid_maps = static:{}\nvirtual_gid_maps = static:{}\nvirtual_mailbox_base = $queue_directory/../boxes\n\
             smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\n{more}",
            number("-u")?,
            number("-g")?,
            certificate.display(),
            key.display(),
        );
        Self::start(&main, Some(address))
    }

    fn start(main: &str, listener: Option<SocketAddr>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // Postfix's processes run as another user and must get in.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        for name in ["queue", "state", "conf", "boxes"] {
            std::fs::create_dir(path(name))?;
        }
        run(Command::new("chown").args(["postfix", &path("state"), &path("boxes")]))?;
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmyhostname = remote.example\n\
             maillog_file = {}\nmaillog_file_prefixes = /\nalias_maps =\nalias_database =\n{main}",
            path("queue"),
            path("state"),
            path("log"),
        );
        std::fs::write(directory.path().join("conf/main.cf"), main)?;
        std::fs::write(directory.path().join("conf/master.cf"), services(listener)?)?;
        let postfix = Self { directory };
        run(Command::new("/usr/sbin/postfix").args(["-c", &postfix.conf(), "start"]))
            .with_context(|| postfix.log())?;
        Ok(postfix)
    }

    fn conf(&self) -> String {
        self.directory.path().join("conf").display().to_string()
    }

    /// Hands it a message to send.
    pub(crate) fn send(&self, from: &str, to: &[&str], message: &str) -> Result<()> {
        let mut child = Command::new("/usr/sbin/sendmail")
            .args(["-C", &self.conf(), "-f", from])
            .args(to)
            .stdin(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("no standard input")?
            .write_all(message.replace("\r\n", "\n").as_bytes())?;
        ensure!(child.wait()?.success(), "sendmail refuses");
        Ok(())
    }
}

impl TakesMail for Postfix {
    fn kept(&self) -> Result<Vec<PathBuf>> {
        new_in(&self.directory.path().join("boxes/box"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// Debian's own list of services, without chroots (our directories lie elsewhere) and with this listener alone.
fn services(listener: Option<SocketAddr>) -> Result<String> {
    let shipped = std::fs::read_to_string("/usr/share/postfix/master.cf.dist")?;
    let without_chroot = |line: &str| -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_service = !line.starts_with(['#', ' ', '\t']) && words.len() >= 8;
        if is_service {
            format!("{} n {}", words[..4].join(" "), words[5..].join(" "))
        } else {
            line.to_owned()
        }
    };
    let is_listener = |line: &&str| line.split_whitespace().nth(1) == Some("inet");
    let lines = shipped.lines().filter(|line| !is_listener(line)).map(without_chroot);
    let mut master: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    if let Some(address) = listener {
        master.push_str(&format!("{address} inet n - n - - smtpd\n"));
    }
    Ok(master)
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if run(Command::new("/usr/sbin/postfix").args(["-c", &self.conf(), "abort"])).is_err() {
            eprintln!("postfix did not stop");
        }
    }
}
