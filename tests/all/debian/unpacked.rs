//! Servers that Debian cannot install beside Postfix. scripts/peers unpacks them; here each runs with processes and mounts
//! of its own, where its users exist and its files lie where it was built to look for them.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Where a server finds what was unpacked.
pub(super) const ROOT: &str = "/mnt/peer";
/// The first number of the users that exist for a server alone.
const USERS_FROM: u32 = 64_100;

/// A directory for a server's configuration and data, in which its own users may look around.
#[derive(Debug)]
pub(super) struct Home {
    directory: TempDir,
}

impl Home {
    /// With these users.
    pub(super) fn make(users: &[&str]) -> Result<Self> {
        let home = Self { directory: tempfile::tempdir()? };
        std::fs::set_permissions(home.directory.path(), PermissionsExt::from_mode(0o755))?;
        for name in ["passwd", "group"] {
            let mut lines = std::fs::read_to_string(Path::new("/etc").join(name))?;
            for (user, number) in users.iter().zip(USERS_FROM..) {
                lines.push_str(&match name {
                    "passwd" => format!("{user}:x:{number}:{number}::/:/usr/sbin/nologin\n"),
                    _ => format!("{user}:x:{number}:\n"),
                });
            }
            std::fs::write(home.path(name), lines)?;
        }
        Ok(home)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A directory of the first user.
    pub(super) fn own_directory(&self, name: &str) -> Result<PathBuf> {
        std::fs::create_dir(self.path(name))?;
        self.give(name)
    }

    /// A copy of a file that the first user alone may read.
    pub(super) fn own_copy(&self, file: &Path, name: &str) -> Result<PathBuf> {
        std::fs::copy(file, self.path(name))?;
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o400))?;
        self.give(name)
    }

    fn give(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        chown(&path, Some(USERS_FROM), Some(USERS_FROM)).context("only root can make users for a server")?;
        Ok(path)
    }
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Unpacked {
    home: Home,
    child: Child,
}

impl Unpacked {
    /// Starts what scripts/peers calls `name`, and returns when it listens. `mounts` are further lines of sh before
    /// `command`, both with `$HERE` for the home.
    pub(super) fn start(
        name: &str,
        home: Home,
        mounts: &str,
        command: &str,
        address: SocketAddr,
    ) -> Result<Self> {
        let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join(name);
        ensure!(unpacked.is_dir(), "{} is not there: scripts/peers unpacks it", unpacked.display());
        let script = format!(
            "set -e\nmount --bind $HERE/passwd /etc/passwd\nmount --bind $HERE/group /etc/group\n\
             mount -t tmpfs tmpfs /mnt\nmkdir {ROOT}\nmount --bind {} {ROOT}\n{mounts}\nexec {command}\n",
            unpacked.display()
        );
        let output = std::fs::File::create(home.path("output"))?;
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"])
            .args(["--", "sh", "-c", &script])
            .env("HERE", home.directory.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("unshare")?;
        let mut server = Self { home, child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > testkit::WAIT_MAX || server.child.try_wait()?.is_some() {
                bail!("{name} does not come up: {}", server.output());
            }
        }
        Ok(server)
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// What it has said on standard output and standard error.
    pub(super) fn output(&self) -> String {
        std::fs::read_to_string(self.home.path("output")).unwrap_or_default()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // With the first of its processes all others end.
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            eprintln!("a server could not be ended");
        }
    }
}
