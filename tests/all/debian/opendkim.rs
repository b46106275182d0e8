//! OpenDKIM as the milter of a mail server: it verifies what passes and writes Authentication-Results on top.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use testkit::WAIT_MAX;

/// A running OpenDKIM; it ends when it is dropped.
pub(crate) struct OpenDkim {
    directory: tempfile::TempDir,
    child: Child,
}

impl OpenDkim {
    /// One for which these records are all DNS there is.
    pub(crate) fn that_verifies(records: &[(String, String)]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // The mail server's processes run as another user and must get in.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let place = |name: &str| directory.path().join(name);
        let lines = records.iter().map(|(name, record)| format!("{name} {record}\n"));
        std::fs::write(place("keys"), lines.collect::<String>())?;
        // Nobody is one of its own: what comes from loopback is verified, too.
        std::fs::write(place("own"), "192.0.2.1\n")?;
        std::fs::write(
            place("conf"),
            format!(
                "Syslog no\nMode v\nUMask 000\nAuthservID milter.test\nAlwaysAddARHeader yes\nInternalHosts {}\n\
                 TestPublicKeys {}\nSocket local:{}\n",
                place("own").display(),
                place("keys").display(),
                place("socket").display(),
            ),
        )?;
        let mut command = Command::new("/usr/sbin/opendkim");
        command.arg("-f").arg("-x").arg(place("conf")).stdin(Stdio::null());
        let child = command.spawn()?;
        let mut milter = Self { directory, child };
        let begun = Instant::now();
        while UnixStream::connect(milter.socket()).is_err() {
            ensure!(milter.child.try_wait()?.is_none() && begun.elapsed() < WAIT_MAX, "opendkim is not up");
            std::thread::yield_now();
        }
        Ok(milter)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Its name in Authentication-Results.
    pub(crate) const NAME: &'static str = "milter.test";
}

impl Drop for OpenDkim {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            eprintln!("opendkim did not stop");
        }
    }
}
