//! Telling systemd that we are ready, reloading or stopping (sd_notify(3)); without systemd nothing happens.

use sd_notify::NotifyState;

/// What the service is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceState {
    /// All listeners are open.
    Ready,
    /// Settings are being read again; `Ready` follows.
    Reloading,
    /// Sessions are being drained.
    Stopping,
}

/// Tells systemd. A failure is logged and otherwise without consequence.
pub fn notify(state: ServiceState) {
    let told = match state {
        ServiceState::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // `Type=notify-reload` wants the time with it.
        ServiceState::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        ServiceState::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, ?state, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_systemd_nothing_happens() {
        for state in [ServiceState::Ready, ServiceState::Reloading, ServiceState::Stopping] {
            notify(state);
        }
    }
}
