//! Programs that the operator has named: what scripts' `pipe`, `filter` and `execute` run.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use platform::program::{self, Bounds};
use sieve::message::Edition;

use super::run::Octets;

/// What a run of a program may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramBounds {
    /// How long it may take.
    pub time_max: Duration,
    /// Memory of each of its processes.
    pub memory_octets_max: u64,
    /// What it may write.
    pub output_octets_max: usize,
}

impl Default for ProgramBounds {
    /// A message waits for its programs, and its sender for the message.
    fn default() -> Self {
        Self {
            time_max: Duration::from_secs(10),
            memory_octets_max: 256 * 1024 * 1024,
            output_octets_max: 1024 * 1024,
        }
    }
}

/// All programs that run for one message may take so many times what one may: its sender waits for ten minutes at most
/// (RFC 5321 §4.5.3.2.6), and comes again.
const RUNS_TIME_FACTOR: u32 = 6;

/// The time that is left for the programs of one message.
pub(crate) struct ProgramTime(Mutex<Duration>);

impl ProgramTime {
    pub(crate) fn new(bounds: ProgramBounds) -> Self {
        Self(Mutex::new(bounds.time_max.saturating_mul(RUNS_TIME_FACTOR)))
    }

    /// Lets something run, no longer than it may and there is time.
    fn spend<T>(
        &self,
        time_max: Duration,
        run: impl FnOnce(Duration) -> Result<T, String>,
    ) -> Result<T, String> {
        let left = *self.0.lock();
        if left.is_zero() {
            return Err("the programs of this message took longer than they may".to_owned());
        }
        let begin = Instant::now();
        let result = run(time_max.min(left));
        *self.0.lock() = left.saturating_sub(begin.elapsed());
        result
    }
}

/// What a program is told of the message in its environment.
pub(crate) struct Circumstances {
    pub(crate) sender: String,
    pub(crate) recipient: String,
    pub(crate) user: String,
}

/// What a program reads.
pub(crate) enum Input<'a> {
    Nothing,
    Octets(&'a [u8]),
    /// A message in pieces.
    Message {
        source: &'a Octets,
        edition: Option<&'a Edition>,
    },
}

/// Runs a program; whether it ended well, and what it wrote.
pub(crate) fn run(
    path: &Path,
    arguments: &[String],
    circumstances: &Circumstances,
    input: &Input<'_>,
    bounds: ProgramBounds,
    time: &ProgramTime,
) -> Result<(bool, Vec<u8>), String> {
    let environment = [
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("USER", circumstances.user.clone()),
        ("SENDER", circumstances.sender.clone()),
        ("RECIPIENT", circumstances.recipient.clone()),
    ];
    let feed = |to: &mut dyn Write| match input {
        Input::Nothing => Ok(()),
        Input::Octets(octets) => to.write_all(octets),
        Input::Message { source, edition } => {
            let mut written = Ok(());
            source
                .visit(*edition, |octets| {
                    written = to.write_all(octets);
                    written.is_ok()
                })
                .map_err(|error| io::Error::other(error.to_string()))?;
            written
        }
    };
    let ended = time.spend(bounds.time_max, |time_max| {
        let ProgramBounds { memory_octets_max, output_octets_max, .. } = bounds;
        let bounds = Bounds { time_max, memory_octets_max, output_octets_max };
        program::run(path, arguments, &environment, feed, bounds).map_err(|error| error.to_string())
    })?;
    Ok((ended.status == Some(0), ended.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_one_message_share_its_time() {
        let time_max = Duration::from_millis(10);
        let time = ProgramTime::new(ProgramBounds { time_max, ..ProgramBounds::default() });
        // Each takes what it is given.
        let busy = |given: Duration| {
            let begin = Instant::now();
            while begin.elapsed() < given {
                std::hint::spin_loop();
            }
            Ok(given)
        };
        let mut given = Duration::ZERO;
        while let Ok(one) = time.spend(time_max, busy) {
            assert!(one <= time_max);
            given += one;
        }
        assert!(given <= RUNS_TIME_FACTOR * time_max, "{given:?}");
        assert!(time.0.lock().is_zero());
    }
}
