//! Mail servers as Debian ships them, each with configuration, data and port of its own: none runs as a system service.

mod dovecot;
mod exim;
mod opendkim;
mod opensmtpd;
mod postfix;
mod unpacked;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use dovecot::{Dovecot, Full};
pub(crate) use exim::{Exim, EximOptions};
pub(crate) use opendkim::OpenDkim;
pub(crate) use opensmtpd::OpenSmtpd;
pub(crate) use postfix::Postfix;

/// One that takes mail and keeps it.
pub(crate) trait TakesMail {
    /// The files of the messages that it keeps.
    fn kept(&self) -> Result<Vec<PathBuf>>;

    /// What it has logged.
    fn log(&self) -> String;
}

/// The files of what is new in a Maildir.
fn new_in(maildir: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(maildir.join("new")) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        // The Maildir comes with the first message.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
