//! Programs that the operator has named: what scripts' `pipe`, `filter` and `execute` run.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

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
    let bounds = Bounds {
        time_max: bounds.time_max,
        memory_octets_max: bounds.memory_octets_max,
        output_octets_max: bounds.output_octets_max,
    };
    let ended =
        program::run(path, arguments, &environment, feed, bounds).map_err(|error| error.to_string())?;
    Ok((ended.status == Some(0), ended.output))
}
