//! Programs of the operator's, run for one message: no shell, an environment of their own, and bounds on time, memory and
//! what they write.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit};

/// What a run may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// From its start to its end.
    pub time_max: Duration,
    /// Memory of each of its processes (`RLIMIT_AS`).
    pub memory_octets_max: u64,
    /// What it may write to its standard output.
    pub output_octets_max: usize,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// What it wrote.
    pub output: Vec<u8>,
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("it cannot be started: {0}")]
    Start(#[source] io::Error),
    /// It took longer than it may.
    #[error("it took longer than it may")]
    TooLong,
    /// It wrote more than it may.
    #[error("it wrote more than it may")]
    TooMuch,
    /// What it was to read could not be read.
    #[error("what it was to read cannot be read: {0}")]
    Input(#[source] io::Error),
}

/// Runs a program to its end. Blocking. `feed` writes what it reads; a program that does not read is no fault. Whatever
/// it leaves behind in its process group is ended with it.
///
/// # Errors
/// [`ProgramError`].
pub fn run<S: AsRef<OsStr>>(
    path: &Path,
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, String)],
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    bounds: Bounds,
) -> Result<Ended, ProgramError> {
    let deadline = Instant::now() + bounds.time_max;
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(ProgramError::Start)?;
    let group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    group.limit(bounds);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (fed, output, is_over) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let is_over = group.ends_by(deadline);
            // Who waits on a pipe of what is left goes on.
            group.kill();
            is_over
        });
        let reading = scope.spawn(|| {
            let output = stdout.map(|stdout| read_until(stdout, deadline, bounds.output_octets_max));
            if matches!(output, Some(Err(ProgramError::TooMuch))) {
                group.kill();
            }
            output.unwrap_or(Ok(Vec::new()))
        });
        let fed = match stdin {
            Some(stdin) => Pipe::new(stdin, group, deadline).and_then(|mut pipe| feed(&mut pipe)),
            None => Ok(()),
        };
        let output = reading.join().unwrap_or(Ok(Vec::new()));
        (fed, output, watch.join().unwrap_or(false))
    });
    let status = end(&mut child);
    match (fed, output) {
        (_, Err(error)) => Err(error),
        (_, Ok(_)) if !is_over => Err(ProgramError::TooLong),
        (Err(error), Ok(_)) => Err(ProgramError::Input(error)),
        (Ok(()), Ok(output)) => Ok(Ended { status, output }),
    }
}

fn end(child: &mut Child) -> Option<i32> {
    child.wait().ok().and_then(|status| status.code())
}

/// The processes of a run.
#[derive(Clone, Copy)]
struct Group(Option<Pid>);

impl Group {
    fn limit(self, bounds: Bounds) {
        let same = |amount: u64| Rlimit { current: Some(amount), maximum: Some(amount) };
        let seconds = bounds.time_max.as_secs().saturating_add(1);
        for (resource, limit) in [
            (Resource::As, same(bounds.memory_octets_max)),
            (Resource::Cpu, same(seconds)),
            (Resource::Core, same(0)),
        ] {
            // A program that is over already needs none.
            let _ = prlimit(self.0, resource, limit);
        }
    }

    /// Waits for the end of the first process; whether it came in time.
    fn ends_by(self, deadline: Instant) -> bool {
        self.first().is_none_or(|first| wait(&mut [PollFd::new(&first, PollFlags::IN)], deadline))
    }

    /// The first process, to wait for.
    fn first(self) -> Option<OwnedFd> {
        self.0.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
    }

    fn kill(self) {
        if let Some(pid) = self.0 {
            // None is left, mostly.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Waits until one of them is ready, or at its end; whether that was in time.
fn wait(what: &mut [PollFd<'_>], deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(what, Some(&timeout)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            _ => return true,
        }
    }
}

fn read_until(
    mut from: impl Read + AsFd,
    deadline: Instant,
    octets_max: usize,
) -> Result<Vec<u8>, ProgramError> {
    let mut output = Vec::new();
    let mut piece = [0; 8_192];
    while wait(&mut [PollFd::new(&from, PollFlags::IN)], deadline) {
        let read = from.read(&mut piece).unwrap_or(0);
        if read == 0 {
            return Ok(output);
        }
        output.extend_from_slice(piece.get(..read).unwrap_or_default());
        if output.len() > octets_max {
            return Err(ProgramError::TooMuch);
        }
    }
    Err(ProgramError::TooLong)
}

/// What a program reads. One that has read enough, or is over, is told nothing more: what it left behind, out of our
/// reach, must not keep us waiting.
struct Pipe {
    stdin: ChildStdin,
    /// The first process.
    first: Option<OwnedFd>,
    deadline: Instant,
}

impl Pipe {
    fn new(stdin: ChildStdin, group: Group, deadline: Instant) -> io::Result<Self> {
        ioctl_fionbio(&stdin, true)?;
        Ok(Self { stdin, first: group.first(), deadline })
    }

    /// Waits until it takes more; whether it ever will.
    fn takes_more(&self) -> io::Result<bool> {
        let Some(first) = &self.first else { return Ok(false) };
        let mut either = [PollFd::new(&self.stdin, PollFlags::OUT), PollFd::new(first, PollFlags::IN)];
        if !wait(&mut either, self.deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(either.first().is_some_and(|stdin| !stdin.revents().is_empty()))
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        loop {
            match self.stdin.write(octets) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(octets.len()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.takes_more()? {
                        return Ok(octets.len());
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::kill_process;

    use super::*;

    const BOUNDS: Bounds =
        Bounds { time_max: Duration::from_secs(30), memory_octets_max: 1 << 30, output_octets_max: 10 };

    fn sh(script: &str, input: &[u8], bounds: Bounds) -> Result<Ended, ProgramError> {
        let feed = |to: &mut dyn Write| to.write_all(input);
        run(Path::new("/bin/sh"), ["-c", script], &[("USER", "ann".to_owned())], feed, bounds)
    }

    fn said(text: &str) -> Ended {
        Ended { status: Some(0), output: text.as_bytes().to_vec() }
    }

    #[test]
    fn programs_read_write_and_end() {
        assert_eq!(sh("cat", b"0123456789", BOUNDS).unwrap(), said("0123456789"));
        assert_eq!(sh("exit 3", &[b'x'; 1 << 20], BOUNDS).unwrap().status, Some(3), "it need not read");
        assert_eq!(sh("kill -9 $$", b"", BOUNDS).unwrap().status, None);
        assert_eq!(sh("echo $USER $HOME $PWD", b"", BOUNDS).unwrap(), said("ann /\n"));
        let missing = run(Path::new("/nonexistent"), [""; 0], &[], |_| Ok(()), BOUNDS);
        assert!(matches!(missing, Err(ProgramError::Start(_))));
    }

    #[test]
    fn bounds_hold() {
        for (octets, fits) in [(9, true), (10, true), (11, false)] {
            let script = format!("head -c {octets} /dev/zero; sleep 1000");
            let script = if fits { script.replace("sleep 1000", "exit 0") } else { script };
            let ended = sh(&script, b"", BOUNDS);
            assert_eq!(ended.is_ok(), fits, "{octets}");
            assert!(fits || matches!(ended, Err(ProgramError::TooMuch)));
        }
        let short = Bounds { time_max: Duration::from_millis(100), ..BOUNDS };
        assert!(matches!(sh("sleep 1000", b"", short), Err(ProgramError::TooLong)));
        assert!(matches!(sh("sleep 1000 & exec 1>&-; wait", b"", short), Err(ProgramError::TooLong)));
        let narrow = Bounds { memory_octets_max: 64 << 20, ..BOUNDS };
        // It is fed once its bounds are set.
        let eats = "read go; x=$(head -c 100000000 /dev/zero | tr '\\0' a); echo ${#x}";
        assert_eq!(sh(eats, b"go\n", BOUNDS).unwrap(), said("100000000\n"));
        assert_ne!(sh(eats, b"go\n", narrow).unwrap(), said("100000000\n"));
    }

    #[test]
    fn what_is_left_behind_is_ended() {
        // The one in the background would keep the pipe open for ever.
        assert_eq!(sh("sleep 1000 & echo done", b"", BOUNDS).unwrap(), said("done\n"));
    }

    #[test]
    fn what_has_left_its_group_keeps_nobody_waiting() {
        // It has a session of its own, the pipe, and reads nothing from it.
        let script = "exec 3<&0; (setsid sh -c 'echo $$; exec sleep 1000 >/dev/null' <&3 &) | { read pid; echo $pid; }";
        let begin = Instant::now();
        let ended = sh(script, &[b'x'; 1 << 20], BOUNDS).unwrap();
        let waited = begin.elapsed();
        let left: i32 = String::from_utf8(ended.output).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
        assert_eq!(ended.status, Some(0));
        assert!(waited < BOUNDS.time_max, "{waited:?}");
    }
}
