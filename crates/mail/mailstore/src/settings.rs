//! What the operator may set about the store: plain values, checked by the settings table.

use std::time::Duration;

use storage::PackSettings;

/// The store's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the log is kept.
    pub packs: PackSettings,
    /// Account indexes open at once; more are opened only while all of these are in use.
    pub accounts_open_max: usize,
    /// Log octets after which a checkpoint shortens the replay after a crash.
    pub checkpoint_octets: u64,
    /// Longest time between checkpoints while anything changes.
    pub checkpoint_interval: Duration,
    /// How long expunged messages stay recoverable.
    pub recoverable: Duration,
    /// Share of dead octets in a pack, in percent, from which a purge rewrites it.
    pub purge_dead_percent: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            packs: PackSettings::default(),
            accounts_open_max: 256,
            checkpoint_octets: 64 * 1024 * 1024,
            checkpoint_interval: Duration::from_secs(300),
            recoverable: Duration::from_secs(7 * 24 * 3600),
            purge_dead_percent: 30,
        }
    }
}
