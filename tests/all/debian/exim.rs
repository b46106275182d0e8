//! Exim as a host that takes mail.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::unpacked::{Home, ROOT, Unpacked};
use super::{TakesMail, new_in};

/// What differs between one Exim and another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EximOptions<'a> {
    /// A certificate and its key; without them it offers no TLS.
    pub(crate) certificate: Option<(&'a Path, &'a Path)>,
    /// More lines for the main part of its configuration.
    pub(crate) main: &'a str,
}

/// A running Exim that keeps the mail of `real.example` but for `nobody@real.example`; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Exim(Unpacked);

impl Exim {
    /// The address to which it says that there is nobody.
    pub(crate) const NOBODY: &'static str = "nobody@real.example";

    pub(crate) fn start(address: SocketAddr, options: EximOptions<'_>) -> Result<Self> {
        let home = Home::make(&["Debian-exim"])?;
        let path = |name: &str| home.path(name).display().to_string();
        for name in ["spool", "logs", "boxes"] {
            home.own_directory(name)?;
        }
        let tls = match options.certificate {
            Some((certificate, key)) => {
                home.own_copy(certificate, "certificate.pem")?;
                home.own_copy(key, "key.pem")?;
                format!(
                    "tls_advertise_hosts = *\ntls_certificate = {}\ntls_privatekey = {}\n",
                    path("certificate.pem"),
                    path("key.pem")
                )
            }
            None => "tls_advertise_hosts =\n".to_owned(),
        };
        let configuration = format!(
            "exim_path = {ROOT}/usr/sbin/exim4\nspool_directory = {spool}\nlog_file_path = {logs}/%slog\n\
             pid_file_path = {spool}/exim.pid\nprimary_hostname = mx.real.example\nlocal_interfaces = {ip}.{port}\n\
             qualify_domain = real.example\nkeep_environment =\nhost_lookup =\nrfc1413_query_timeout = 0s\n\
             smtp_accept_queue_per_connection = 0\nsmtp_accept_max_per_connection = 100000\n\
             message_size_limit = 70M\nacl_smtp_rcpt = at_recipient\n{tls}{main}\n\
             begin acl\nat_recipient:\n  deny !domains = real.example\n  message = relay not permitted\n\
             deny local_parts = nobody\n  message = 550 5.1.1 There is nobody of this name\n\
             defer condition = ${{if exists{{{grey}}}}}\n  message = 451 4.7.1 Greylisted, come again\n  accept\n\
             begin routers\nbox:\n  driver = accept\n  domains = real.example\n  transport = box\n\
             begin transports\nbox:\n  driver = appendfile\n  directory = {boxes}/box\n  maildir_format\n\
             create_directory\n  batch_max = 100\n  envelope_to_add\n  return_path_add\n  user = Debian-exim\n  group = Debian-exim\n",
            spool = path("spool"),
            logs = path("logs"),
            ip = address.ip(),
            port = address.port(),
            main = options.main,
            grey = path("grey"),
            boxes = path("boxes"),
        );
        std::fs::write(home.path("exim.conf"), configuration)?;
        let command = format!("{ROOT}/usr/sbin/exim4 -C $HERE/exim.conf -bdf");
        Ok(Self(Unpacked::start("exim", home, "", &command, address)?))
    }

    /// From now on it defers every recipient, or does so no more.
    pub(crate) fn set_grey(&self, is_grey: bool) -> Result<()> {
        let flag = self.0.home().path("grey");
        let changed = if is_grey { std::fs::write(flag, "") } else { std::fs::remove_file(flag) };
        changed.context("the flag of Exim")
    }
}

impl TakesMail for Exim {
    fn kept(&self) -> Result<Vec<PathBuf>> {
        new_in(&self.0.home().path("boxes/box"))
    }

    fn log(&self) -> String {
        let log = |name: &str| std::fs::read_to_string(self.0.home().path(name)).unwrap_or_default();
        format!("{}{}{}", log("logs/mainlog"), log("logs/paniclog"), self.0.output())
    }
}
