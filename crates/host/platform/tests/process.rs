//! What concerns a whole process: its user, its log, its word to systemd. Each test runs this program once more and
//! looks at that child.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};

use platform::privileges::{become_user, is_root, keep_directory_private, keep_new_files_private};
use platform::systemd::{ServiceState, notify};
use platform::telemetry::{LogFormat, start_logging};

/// Tells a child which part it plays.
const PART: &str = "PLATFORM_TEST_PART";

/// Runs the test called `name` in a process of its own, where it finds itself to be the child.
fn child(name: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(PART, name);
    command.envs(environment.iter().copied()).output().unwrap()
}

fn is_child(name: &str) -> bool {
    std::env::var(PART).is_ok_and(|part| part == name)
}

fn stderr(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn root_is_given_up_for_good_on_all_threads() {
    const NAME: &str = "root_is_given_up_for_good_on_all_threads";
    if is_child(NAME) {
        let (go, going) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            going.recv().unwrap();
            (rustix::process::geteuid().as_raw(), rustix::process::getgroups().unwrap())
        });
        become_user("nobody").unwrap();
        go.send(()).unwrap();
        let (user, groups) = other.join().unwrap();
        assert_ne!(user, 0);
        assert!(!groups.iter().any(|group| group.is_root()), "{groups:?}");
        assert!(!is_root());
        // Again is fine; somebody else is not.
        become_user("nobody").unwrap();
        assert!(become_user("daemon").is_err());
    } else if is_root() {
        stderr(&child(NAME, &[]));
    } else {
        assert!(become_user("nobody").is_err());
    }
}

#[test]
fn files_are_kept_from_other_users() {
    const NAME: &str = "files_are_kept_from_other_users";
    if is_child(NAME) {
        let mode = |path: &std::path::Path| {
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
        };
        let directory = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        keep_directory_private(directory.path()).unwrap();
        assert_eq!(mode(directory.path()), 0o700);
        keep_directory_private(directory.path()).unwrap();
        assert_eq!(mode(directory.path()), 0o700);
        assert!(keep_directory_private(&directory.path().join("none")).is_err());

        keep_new_files_private();
        let (file, folder) = (directory.path().join("file"), directory.path().join("folder"));
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
    } else {
        stderr(&child(NAME, &[]));
    }
}

#[test]
fn panics_are_events() {
    const NAME: &str = "panics_are_events";
    if is_child(NAME) {
        let logging = start_logging(LogFormat::Json, "warn").unwrap();
        assert!(start_logging(LogFormat::Text, "warn").is_err());
        tracing::info!("too quiet");
        logging.set_level("info").unwrap();
        tracing::info!("now heard");
        assert!(logging.set_level("loud=noise").is_err());
        assert!(std::thread::spawn(|| panic!("a bug\nof two lines")).join().is_err());
    } else {
        let text = stderr(&child(NAME, &[]));
        assert!(!text.contains("too quiet") && text.contains("now heard"), "{text}");
        let line = text.lines().find(|line| line.contains("panic: a bug")).unwrap();
        assert!(line.starts_with('{') && line.contains("tests/process.rs"), "{line}");
    }
}

#[test]
fn systemd_hears_how_we_are() {
    const NAME: &str = "systemd_hears_how_we_are";
    if is_child(NAME) {
        for state in
            [ServiceState::Ready, ServiceState::Reloading, ServiceState::Ready, ServiceState::Stopping]
        {
            notify(state);
        }
    } else {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        stderr(&child(NAME, &[("NOTIFY_SOCKET", path.to_str().unwrap())]));
        let mut heard = Vec::new();
        for _ in 0..4 {
            let mut octets = [0; 256];
            let length = socket.recv(&mut octets).unwrap();
            heard.push(
                String::from_utf8_lossy(&octets[..length]).lines().next().unwrap_or_default().to_owned(),
            );
        }
        assert_eq!(heard, ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
    }
}
