//! `serve`: the server in the foreground, until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use platform::systemd::{ServiceState, notify};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::Settings;
use crate::wire::Running;

/// How long sessions get to end by themselves.
const DRAIN: Duration = Duration::from_secs(20);

pub(super) fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(config)?;
    crate::wire::start_logging(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("door").build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut running = Running::start(settings).await?;
        notify(ServiceState::Ready);
        while let Asked::Reload = signals.next().await {
            notify(ServiceState::Reloading);
            reload(&mut running, config).await;
            notify(ServiceState::Ready);
        }
        notify(ServiceState::Stopping);
        running.stop(DRAIN).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A bad new configuration leaves the old one in force and says so.
async fn reload(running: &mut Running, config: &Path) {
    match Settings::load(config) {
        Ok(settings) => running.reload(settings).await,
        Err(error) => tracing::error!("not reloaded, the former configuration stays in force:\n{error}"),
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

enum Asked {
    Reload,
    Stop,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening to signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        // Signals are kept by their streams: an arm not taken loses nothing.
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
        }
    }
}
