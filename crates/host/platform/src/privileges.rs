//! Giving up the rights that only binding ports and reading keys needs, keeping files from other users, and raising the
//! limit of open files.
//!
//! The order of a start is: settings, keys, listeners, [`become_user`], then everything that meets a stranger.
//! The place for Landlock and seccomp is right after it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{self, Gid, Uid, User};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Why we could not become another user.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("there is no user called {0}; create it or change the setting")]
    NoSuchUser(String),
    /// We are not root, and somebody else than the user wanted.
    #[error("only root can become {0}; start as root or as that user, or leave the setting empty")]
    NotRoot(String),
    /// Root is no user to become.
    #[error("the server must not run as root; name an ordinary user")]
    Root,
    /// The system refused.
    #[error("cannot become {user}: {source}")]
    Refused {
        /// The user.
        user: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Becomes `user`, with that user's groups, for good and on all threads.
///
/// # Errors
/// [`PrivilegeError`]; the process must then end, for it may have given up some rights and not others.
pub fn become_user(user: &str) -> Result<(), PrivilegeError> {
    let refused = |errno: nix::Error| PrivilegeError::Refused { user: user.to_owned(), source: errno.into() };
    let target =
        User::from_name(user).map_err(refused)?.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))?;
    if target.uid.is_root() {
        return Err(PrivilegeError::Root);
    }
    if unistd::geteuid() == target.uid && unistd::getuid() == target.uid {
        return Ok(());
    }
    if !unistd::geteuid().is_root() {
        return Err(PrivilegeError::NotRoot(user.to_owned()));
    }
    change(&target).map_err(refused)
}

/// Becomes the user and group with these numbers, for good and on all threads: a command run by root in a directory
/// that belongs to somebody else.
///
/// # Errors
/// [`PrivilegeError`]; the process must then end.
pub fn become_owner(user: u32, group: u32) -> Result<(), PrivilegeError> {
    let refused =
        |errno: nix::Error| PrivilegeError::Refused { user: user.to_string(), source: errno.into() };
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    if uid.is_root() {
        return Err(PrivilegeError::Root);
    }
    if !unistd::geteuid().is_root() {
        return Err(PrivilegeError::NotRoot(user.to_string()));
    }
    unistd::setgroups(&[gid]).and_then(|()| give_up(uid, gid)).map_err(refused)
}

/// Groups first: without root's rights they can no longer be changed.
fn change(target: &User) -> Result<(), nix::Error> {
    let name = std::ffi::CString::new(target.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    unistd::initgroups(&name, target.gid)?;
    give_up(target.uid, target.gid)
}

fn give_up(uid: Uid, gid: Gid) -> Result<(), nix::Error> {
    unistd::setresgid(gid, gid, gid)?;
    unistd::setresuid(uid, uid, uid)?;
    // What was given up must not come back (CWE-273).
    if unistd::setuid(Uid::from_raw(0)).is_ok() || unistd::setgid(Gid::from_raw(0)).is_ok() {
        return Err(nix::Error::EPERM);
    }
    Ok(())
}

/// Files and directories that this process makes from now on are for its own user alone, whatever library makes them.
pub fn keep_new_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Takes a directory from everybody but its owner, and with it all that lies in it.
///
/// # Errors
/// What the operating system says.
pub fn keep_directory_private(directory: &Path) -> io::Result<()> {
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(directory, Permissions::from_mode(mode & 0o7700))
}

/// Raises the limit of open files to what the system allows us, at most `wanted`. Returns the limit we have then.
#[must_use]
pub fn raise_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let current = limit.current.unwrap_or(u64::MAX);
    let goal = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if goal <= current {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(goal), maximum: limit.maximum }) {
        Ok(()) => goal,
        Err(_) => current,
    }
}

/// Whether this process has root's rights.
#[must_use]
pub fn is_root() -> bool {
    unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_and_root_are_refused() {
        let unknown = become_user("no-such-user-here").unwrap_err();
        assert!(matches!(unknown, PrivilegeError::NoSuchUser(_)), "{unknown}");
        assert!(matches!(become_user("root").unwrap_err(), PrivilegeError::Root));
    }

    #[test]
    fn open_files_are_raised_as_far_as_allowed() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert_eq!(raise_open_files(0), before);
        let raised = raise_open_files(u64::MAX);
        assert!(raised >= before);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
    }
}
