//! Bans in the kernel's firewall, where `bans.nftables` says so.

use std::collections::HashMap;
use std::time::Duration;

use platform::clock::Timestamp;
use platform::firewall::{Change, Firewall};
use platform::guard::{Ban, Guard, SetBy};
use platform::network::Network;
use tokio::sync::watch;

use crate::settings::Settings;

/// The listeners whose ports are closed to banned peers.
const LISTENERS: [&str; 8] =
    ["smtp", "submission", "submissions", "imap", "imaps", "managesieve", "lmtp", "https"];
/// Bans that change in this time go to the kernel together.
const TOGETHER: Duration = Duration::from_millis(200);

/// Starts the helper, while there are still rights to do so. Without it bans hold all the same, in the server alone.
pub(super) fn start(settings: &Settings) -> Option<Firewall> {
    if settings.text("bans.nftables") != "set" {
        return None;
    }
    let enabled = LISTENERS.iter().filter(|name| settings.switch(&format!("listen.{name}.enabled")));
    let mut ports: Vec<u16> =
        enabled.flat_map(|name| settings.listener(name)).map(|address| address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut arguments = vec!["keep-firewall".to_owned()];
    arguments.extend(ports.iter().map(u16::to_string));
    let started = std::env::current_exe().and_then(|program| Firewall::start(&program, &arguments));
    started
        .inspect_err(
            |error| tracing::error!(%error, "bans.nftables: banned peers are not kept out by the kernel"),
        )
        .ok()
}

/// What of the guard's bans the kernel knows.
pub(super) struct Mirror {
    firewall: Firewall,
    guard: Guard,
    known: HashMap<Network, Option<Timestamp>>,
}

impl Mirror {
    pub(super) fn new(firewall: Firewall, guard: &Guard) -> Self {
        Self { firewall, guard: guard.clone(), known: HashMap::new() }
    }

    /// Tells the kernel of each change, until nobody makes any more; then the table goes.
    pub(super) async fn follow(mut self, mut changed: watch::Receiver<u64>, now: impl Fn() -> Timestamp) {
        loop {
            changed.borrow_and_update();
            let changes = self.changes(now());
            let told = tokio::task::spawn_blocking(move || {
                let told = self.firewall.change(&changes);
                (self, told)
            });
            let Ok((this, told)) = told.await else { return };
            self = this;
            if let Err(error) = told {
                tracing::error!(%error, "the kernel is told of no more bans");
                break;
            }
            // Cancelled, nothing is lost: all bans are compared each time.
            if changed.changed().await.is_err() {
                break;
            }
            tokio::time::sleep(TOGETHER).await;
        }
        // It waits for the helper's end.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }

    fn changes(&mut self, now: Timestamp) -> Vec<Change> {
        let bans = self.guard.bans().into_iter().filter(is_for_everybody);
        let wanted: HashMap<Network, Option<Timestamp>> = bans.map(|ban| (ban.network, ban.until)).collect();
        // What has ended the kernel forgets by itself.
        let lifted = self.known.iter().filter(|(network, until)| {
            !wanted.contains_key(network) && until.is_none_or(|until| until > now)
        });
        let mut changes: Vec<Change> = lifted.map(|(network, _)| Change::Remove(*network)).collect();
        for (network, until) in &wanted {
            if self.known.get(network) != Some(until) {
                let seconds = until.map(|until| seconds(until.since(now)));
                changes.push(Change::Put(*network, seconds));
            }
        }
        self.known = wanted;
        changes
    }
}

/// Rounded up: zero would be no end at all.
fn seconds(left: Duration) -> u64 {
    u64::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

/// The kernel cannot tell who in a network has logged in before: such a ban stays with the guard.
fn is_for_everybody(ban: &Ban) -> bool {
    let alone = if ban.network.address().is_ipv4() { 32 } else { 64 };
    ban.set_by == SetBy::Operator || ban.network.prefix() >= alone
}
