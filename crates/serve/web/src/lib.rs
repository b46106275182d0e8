//! The one HTTP server: for now `GET /metrics` (Prometheus) and `GET /healthz`, on a loopback listener.
//!
//! No message passes here yet; the operator's monitor does.

use std::time::Duration;

use platform::guard::Guard;
use platform::listener::Listener;
use platform::metrics::Metrics;
use platform::tasks::{Shutdown, Tasks};

/// The web door's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a request's header may take to arrive, and a connection may idle.
    pub header_timeout: Duration,
}

/// Serves until `stop`.
pub async fn serve(
    listener: Listener,
    settings: Settings,
    metrics: Metrics,
    tasks: Tasks,
    guard: Guard,
    stop: Shutdown,
) {
    let _ = (listener, settings, metrics, tasks, guard, stop);
    unimplemented!()
}
