//! All real mail that `MAILSTEAD_CORPUS` names, or else our own odd mail, scanned with both line ends and in any chunks.
#![allow(clippy::expect_used, reason = "a test ends where it cannot go on")]

mod invariants;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use message::{TextExtraction, TextScope, visit_text};

/// Longest time for one mail, debug build and busy machine included: quadratic work on the corpus takes longer.
const SCAN_TIME_MAX: Duration = Duration::from_secs(5);

/// Octets of text read from one mail; more than any of the corpus has.
const TEXT_OCTETS_MAX: u64 = 64 * 1024 * 1024;

#[test]
fn real_mail_is_understood() {
    let directory = std::env::var_os("MAILSTEAD_CORPUS").map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"));
    let mut mails = Vec::new();
    collect(&directory, &mut mails);
    assert!(mails.len() >= 20, "only {} mails in {}", mails.len(), directory.display());
    for path in &mails {
        let stored = fs::read(path).expect("a mail");
        for message in [with_crlf(&stored), stored] {
            let started = Instant::now();
            check(&message);
            assert!(started.elapsed() < SCAN_TIME_MAX, "{} takes long", path.display());
        }
    }
}

fn check(message: &[u8]) {
    let summary = invariants::scan(message, 64 * 1024);
    invariants::check(&summary, message);
    assert_eq!(invariants::scan(message, 97), summary);
    let extraction = TextExtraction::new(&summary.structure, TextScope::HeaderAndBody, TEXT_OCTETS_MAX);
    let read = |span| Ok::<_, ()>(invariants::octets(message, span).to_vec());
    assert_eq!(visit_text(extraction, read, |_| ControlFlow::Continue(())), Ok(()));
}

fn collect(directory: &Path, mails: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of mail") {
        let path = entry.expect("a directory of mail").path();
        if path.is_dir() {
            collect(&path, mails);
        } else {
            mails.push(path);
        }
    }
}

fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                wire.extend_from_slice(b"\r\n");
            }
            None => wire.extend_from_slice(line),
        }
    }
    wire
}
