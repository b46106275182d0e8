//! Debian's Dovecot as shipped, with its data and configuration in a temporary directory: IMAP, LMTP, Maildir or mdbox.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cgroup::Group;
use crate::peer::account;

/// How Dovecot keeps mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Maildir,
    Mdbox,
}

pub(crate) struct Dovecot {
    directory: PathBuf,
    format: Format,
    pub(crate) offset: testkit::Offset,
}

impl Dovecot {
    /// Configures and starts it.
    pub(crate) fn start(directory: &Path, format: Format, group: &Group) -> Result<Self> {
        let dovecot = Self { directory: directory.to_owned(), format, offset: testkit::free_offset()? };
        for name in ["run", "mail", "state"] {
            std::fs::create_dir_all(directory.join(name))?;
        }
        run(Command::new("chown").arg("-R").arg("mail:mail").arg(directory.join("mail")))?;
        let pair = tls::self_signed::generate(&["localhost"], platform::clock::Clock::system().now())?;
        std::fs::write(directory.join("cert.pem"), pair.chain)?;
        std::fs::write(directory.join("key.pem"), pair.key)?;
        std::fs::write(dovecot.config(), dovecot.config_text()?)?;
        let arguments = [Path::new("-c"), &dovecot.config()];
        group.start("/usr/sbin/dovecot", &arguments, &directory.join("start.log"))?;
        Ok(dovecot)
    }

    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port + self.offset.number()))
    }

    pub(crate) fn lmtp_socket(&self) -> PathBuf {
        self.directory.join("run/lmtp-in")
    }

    fn config(&self) -> PathBuf {
        self.directory.join("dovecot.conf")
    }

    fn location(&self) -> String {
        let mail = self.directory.join("mail").display().to_string();
        match self.format {
            Format::Maildir => format!("maildir:{mail}/%n"),
            Format::Mdbox => format!("mdbox:{mail}/%n"),
        }
    }

    fn config_text(&self) -> Result<String> {
        let user = run(Command::new("id").args(["-u", "mail"]))?;
        let group = run(Command::new("id").args(["-g", "mail"]))?;
        let path = |name: &str| self.directory.join(name).display().to_string();
        Ok(format!(
            "protocols = imap lmtp\nbase_dir = {run}\nstate_dir = {state}\nlog_path = {log}\nlisten = 127.0.0.1\n\
             mail_location = {location}\nmail_uid = {user}\nmail_gid = {group}\nfirst_valid_uid = 1\ndisable_plaintext_auth = no\n\
             ssl = yes\nssl_cert = <{cert}\nssl_key = <{key}\nmail_max_userip_connections = 20000\n\
             passdb {{\n driver = static\n args = nopassword=y\n}}\n\
             userdb {{\n driver = static\n args = uid={user} gid={group} home={mail}/%n allow_all_users=yes\n}}\n\
             auth_username_format = %Ln\n\
             namespace inbox {{\n inbox = yes\n mailbox Archive {{\n auto = create\n special_use = \\Archive\n }}\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {imap}\n }}\n inet_listener imaps {{\n port = {imaps}\n ssl = yes\n }}\n process_limit = 20000\n}}\n\
             service imap {{\n process_limit = 20000\n client_limit = 1\n}}\n\
             service lmtp {{\n unix_listener lmtp-in {{\n mode = 0666\n }}\n}}\n\
             service stats {{\n unix_listener stats-writer {{\n mode = 0666\n }}\n}}\n\
             default_process_limit = 10000\ndefault_client_limit = 30000\nprotocol lmtp {{\n postmaster_address = postmaster@example.test\n}}\n",
            run = path("run"),
            state = path("state"),
            log = path("log"),
            mail = path("mail"),
            cert = path("cert.pem"),
            key = path("key.pem"),
            location = self.location(),
            user = user.trim(),
            group = group.trim(),
            imap = 143 + self.offset.number(),
            imaps = 993 + self.offset.number(),
        ))
    }

    /// Writes a Maildir of so many messages and, for mdbox, imports it.
    pub(crate) fn fill(&self, count: u32) -> Result<()> {
        let name = account(0).split('@').next().unwrap_or_default().to_owned();
        let maildir = match self.format {
            Format::Maildir => self.directory.join("mail").join(&name).join(".Archive"),
            Format::Mdbox => self.directory.join("mail/import/.Archive"),
        };
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(maildir.join(part))?;
        }
        for number in 0..count {
            let octets: Vec<u8> =
                crate::mail::message(number).into_iter().filter(|&octet| octet != b'\r').collect();
            std::fs::write(
                maildir.join("cur").join(format!("{}.{number}.host:2,", 1_700_000_000 + number)),
                octets,
            )?;
        }
        run(Command::new("chown").arg("-R").arg("mail:mail").arg(self.directory.join("mail")))?;
        if self.format == Format::Mdbox {
            let source = format!("maildir:{}", self.directory.join("mail/import").display());
            run(Command::new("doveadm")
                .arg("-c")
                .arg(self.config())
                .args(["import", "-u", &name, "-s", &source, "", "mailbox", "Archive", "all"]))?;
        }
        Ok(())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if run(Command::new("/usr/sbin/dovecot").arg("-c").arg(self.config()).arg("stop")).is_err() {
            eprintln!("Dovecot did not stop");
        }
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("starting {command:?}; scripts/bench installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}
