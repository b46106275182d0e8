//! Dovecot as the place where somebody else's mailboxes are, reached by LMTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::new_in;
use crate::clients::run;

/// Whether mail for a full mailbox may come again later, or is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    Later,
    Never,
}

/// A running Dovecot with Eve's mailbox, and Fred's, which is full; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Dovecot {
    directory: tempfile::TempDir,
}

impl Dovecot {
    pub(crate) fn start(address: SocketAddr, full: Full) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let dovecot = Self { directory };
        for name in ["run", "state", "boxes"] {
            std::fs::create_dir(dovecot.path(name))?;
        }
        run(Command::new("chown").arg("mail").arg(dovecot.path("boxes")))?;
        dovecot.write_users()?;
        let path = |name: &str| dovecot.path(name).display().to_string();
        let configuration = format!(
            "protocols = lmtp\nbase_dir = {run}\nstate_dir = {state}\nlog_path = {log}\nssl = no\nfirst_valid_uid = 1\n\
             mail_location = maildir:{boxes}/%n\nauth_username_format = %Ln\n\
             passdb {{\n driver = static\n args = nopassword=y\n}}\n\
             userdb {{\n driver = passwd-file\n args = {users}\n}}\n\
             plugin {{\n quota = maildir:User quota\n quota_grace = 0\n}}\n\
             mail_plugins = quota\nquota_full_tempfail = {is_temporary}\n\
             service lmtp {{\n inet_listener lmtp {{\n address = {ip}\n port = {port}\n }}\n}}\n\
             service stats {{\n unix_listener stats-writer {{\n mode = 0666\n }}\n}}\n\
             protocol lmtp {{\n postmaster_address = postmaster@boxes.example\n}}\n",
            run = path("run"),
            state = path("state"),
            log = path("log"),
            boxes = path("boxes"),
            users = path("users"),
            is_temporary = if full == Full::Later { "yes" } else { "no" },
            ip = address.ip(),
            port = address.port(),
        );
        std::fs::write(dovecot.path("dovecot.conf"), configuration)?;
        // Returns when it listens. What goes on holds the outputs open, so nobody may wait for their end.
        let mut start = Command::new("/usr/sbin/dovecot");
        start.arg("-c").arg(dovecot.path("dovecot.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        run(&mut start).with_context(|| dovecot.log())?;
        let file = dovecot.path("first.eml");
        std::fs::write(&file, "Subject: the first of all\n\nx\n")?;
        run(dovecot.doveadm().args(["save", "-u", "fred"]).arg(&file))?;
        Ok(dovecot)
    }

    /// Fred has place for one message, and has one.
    fn write_users(&self) -> Result<()> {
        let number = |option: &str| -> Result<String> {
            Ok(run(Command::new("id").args([option, "mail"]))?.trim().to_owned())
        };
        let (user, group) = (number("-u")?, number("-g")?);
        let boxes = self.path("boxes").display().to_string();
        let line = |name: &str, rule: &str| format!("{name}::{user}:{group}::{boxes}/{name}::{rule}\n");
        let users = [line("eve", ""), line("fred", "userdb_quota_rule=*:messages=1")];
        Ok(std::fs::write(self.path("users"), users.concat())?)
    }

    /// Fred makes place in his mailbox.
    pub(crate) fn fred_tidies_up(&self) -> Result<()> {
        run(self.doveadm().args(["expunge", "-u", "fred", "mailbox", "INBOX", "all"])).map(drop)
    }

    fn doveadm(&self) -> Command {
        let mut command = Command::new("doveadm");
        command.arg("-c").arg(self.path("dovecot.conf"));
        command
    }

    /// The files of somebody's messages.
    pub(crate) fn kept(&self, person: &str) -> Result<Vec<PathBuf>> {
        new_in(&self.path("boxes").join(person))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if run(Command::new("/usr/sbin/dovecot").arg("-c").arg(self.path("dovecot.conf")).arg("stop"))
            .is_err()
        {
            eprintln!("dovecot did not stop");
        }
    }
}
