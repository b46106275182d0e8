//! `keep-firewall …`: the helper that a server starts before it gives its rights up. Nobody else has a use for it.

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mailstead keep-firewall 25 587 < /dev/null")]
pub(super) struct Arguments {
    /// The ports that are closed to banned peers.
    #[arg(required = true)]
    ports: Vec<u16>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    // Whoever ends the server ends all its processes: the table is removed when the server has gone.
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        drop(signal(kind).context("listening to signals")?);
    }
    platform::firewall::keep(&arguments.ports, std::io::stdin().lock(), std::io::stdout().lock())
        .context("keeping the firewall")?;
    Ok(ExitCode::SUCCESS)
}
