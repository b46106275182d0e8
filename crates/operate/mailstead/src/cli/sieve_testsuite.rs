//! `sieve testsuite`: judges the Sieve engine by files of tests that others wrote. Gives the tests the files beside them, and
//! the programs beside them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use sieve::testsuite::{SuiteHost, SuiteOutcome, SuiteProgram, run_suite};
use sieve::{Finished, Now};

use super::FAILED;

/// Octets of a file beside the tests that are read.
const FILE_OCTETS_MAX: u64 = 16 << 20;
/// Octets of a program's output that are read.
const OUTPUT_OCTETS_MAX: u64 = 16 << 20;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The files of tests.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let mut told = Told::default();
    for file in &arguments.files {
        let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let path = file.to_str().context("the path of a file of tests must be UTF-8")?;
        let outcome = run_suite(path, &text, &Beside::new(file));
        told.take(path, &outcome, json);
    }
    told.finish(json)?;
    Ok(if told.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// What is told of all files.
#[derive(Default)]
struct Told {
    passed: usize,
    failed: usize,
    files: Vec<serde_json::Value>,
}

impl Told {
    fn take(&mut self, path: &str, outcome: &SuiteOutcome, json: bool) {
        let failed = outcome.tests.iter().filter(|test| test.failure.is_some()).count();
        self.passed += outcome.tests.len() - failed;
        self.failed += failed + outcome.faults.len();
        if json {
            let tests = outcome.tests.iter().map(
                |test| serde_json::json!({ "name": test.name, "line": test.line, "failure": test.failure }),
            );
            let tests: Vec<_> = tests.collect();
            self.files.push(serde_json::json!({ "file": path, "tests": tests, "faults": outcome.faults }));
            return;
        }
        println!("{path}");
        for line in &outcome.printed {
            println!("  {line}");
        }
        for test in &outcome.tests {
            match &test.failure {
                None => println!("  ok      {}", test.name),
                Some(failure) => {
                    println!("  FAILED  {} (line {}): {}", test.name, test.line, failure.trim_end())
                }
            }
        }
        for fault in &outcome.faults {
            println!("  FAULT   {fault}");
        }
    }

    fn finish(&mut self, json: bool) -> Result<()> {
        if json {
            let files = std::mem::take(&mut self.files);
            let all = serde_json::json!({ "passed": self.passed, "failed": self.failed, "files": files });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            println!("{} tests passed, {} failed.", self.passed, self.failed);
        }
        Ok(())
    }
}

/// The files and programs beside a file of tests.
struct Beside {
    /// Programs have to be inside of it.
    house: Option<PathBuf>,
}

impl Beside {
    fn new(file: &Path) -> Beside {
        let file = file.canonicalize().ok();
        Beside { house: file.and_then(|file| Some(file.parent()?.parent()?.to_owned())) }
    }

    fn program(&self, program: &SuiteProgram<'_>) -> Option<PathBuf> {
        let is_plain =
            !program.name.is_empty() && !program.name.contains(['/', '\0']) && program.name != "..";
        let path = Path::new(program.directory).join(program.name).canonicalize().ok()?;
        let house = self.house.as_ref()?;
        (is_plain && path.is_file() && path.starts_with(house)).then_some(path)
    }
}

impl SuiteHost for Beside {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(FILE_OCTETS_MAX).read_to_end(&mut octets).ok()?;
        Some(octets)
    }

    fn run(&self, program: &SuiteProgram<'_>) -> Result<Finished, String> {
        let Some(path) = self.program(program) else {
            return Err(format!("there is no program '{}' beside the tests", program.name));
        };
        let environment = program.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let child = Command::new(path)
            .args(program.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("'{}' cannot be started: {error}", program.name))?;
        attend(child, program)
    }

    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_seconds: i64::try_from(since.as_secs()).unwrap_or_default(), zone_minutes: 0 }
    }
}

/// Feeds a program and takes what it writes, until it ends or its time is over.
fn attend(mut child: Child, program: &SuiteProgram<'_>) -> Result<Finished, String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdin) = child.stdin.take() {
        let input = program.input.to_vec();
        // A program that does not read to the end has had enough.
        std::thread::spawn(move || stdin.write_all(&input));
    }
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.take(OUTPUT_OCTETS_MAX).read_to_end(&mut output);
            // Nobody waits any more once the time is over.
            let _unheard = sender.send(read.map(|_| output));
        });
    }
    let output = match program.seconds_max {
        Some(seconds) => receiver.recv_timeout(Duration::from_secs(seconds)).ok(),
        None => receiver.recv().ok(),
    };
    let Some(Ok(output)) = output else {
        let ended = child.kill().and_then(|()| child.wait());
        return Err(match ended {
            Ok(_) => format!("'{}' took more than its time", program.name),
            Err(error) => format!("'{}' took more than its time and cannot be ended: {error}", program.name),
        });
    };
    let status = child.wait().map_err(|error| format!("'{}' was lost: {error}", program.name))?;
    Ok(Finished { is_success: status.success(), output })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with a file of tests in `suite/tests`, and a program in `suite/bin` that says what it reads.
    fn house(tests: &str) -> (tempfile::TempDir, PathBuf) {
        let house = tempfile::tempdir().expect("a directory");
        let directory = house.path().join("suite/tests");
        let programs = house.path().join("suite/bin");
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::create_dir_all(&programs).expect("a directory");
        let program = programs.join("echo");
        std::fs::write(&program, "#!/bin/sh\nexec cat\n").expect("a program");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let file = directory.join("it.svtest");
        std::fs::write(&file, format!("require \"vnd.dovecot.testsuite\";\n{tests}")).expect("a file");
        (house, file)
    }

    fn judge(tests: &str) -> String {
        let (_house, file) = house(tests);
        format!("{:?}", run(&Arguments { files: vec![file] }, false).expect("readable"))
    }

    #[test]
    fn the_exit_status_says_whether_all_tests_passed() {
        let failed = format!("{:?}", ExitCode::from(FAILED));
        assert_eq!(judge("test \"good\" { }"), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(judge("test \"good\" { } test \"bad\" { test_fail \"it is\"; }"), failed);
        assert_eq!(judge("frop;"), failed);
    }

    fn call<'p>(directory: &'p str, name: &'p str, seconds_max: Option<u64>) -> SuiteProgram<'p> {
        SuiteProgram { directory, name, arguments: &[], environment: &[], input: b"text", seconds_max }
    }

    #[test]
    fn only_programs_beside_the_tests_are_run() {
        let (house, file) = house("");
        let beside = Beside::new(&file);
        let inside = house.path().join("suite/tests/../bin");
        let finished = beside.run(&call(inside.to_str().expect("UTF-8"), "echo", Some(60)));
        assert_eq!(finished, Ok(Finished { is_success: true, output: b"text".to_vec() }));
        for (directory, name) in
            [("/bin", "cat"), (inside.to_str().expect("UTF-8"), "../bin/echo"), ("", "echo")]
        {
            assert!(beside.run(&call(directory, name, None)).is_err(), "{directory} {name}");
        }
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let (house, file) = house("");
        let programs = house.path().join("suite/bin");
        let program = programs.join("forever");
        std::fs::write(&program, "#!/bin/sh\nexec tail -f /dev/null\n").expect("a program");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let ended = Beside::new(&file).run(&call(programs.to_str().expect("UTF-8"), "forever", Some(0)));
        assert_eq!(ended, Err("'forever' took more than its time".to_owned()));
    }
}
