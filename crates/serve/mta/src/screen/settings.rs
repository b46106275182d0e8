//! What the operator chose about strangers on port 25 (`[screen]`).

use std::time::Duration;

use mail_types::Address;

use super::lists::ListSettings;
use super::rates::RateLimits;

/// What becomes of strangers before their mail is seen.
#[derive(Clone, Debug)]
pub struct ScreenSettings {
    /// Whether anything is judged.
    pub is_on: bool,
    /// Lists of addresses and domains.
    pub lists: ListSettings,
    /// Points from which on mail is refused at RCPT; none: points alone refuse nothing.
    pub refuse_points: Option<f32>,
    /// How long one waits before the greeting for clients who cannot wait.
    pub greet_pause: Duration,
    /// What becomes of clients who speak out of turn.
    pub early_talkers: Consequence,
    /// What becomes of clients whose name behind HELO cannot be theirs.
    pub hello: Consequence,
    /// What becomes of mail in the name of our own domains that SPF does not vouch for.
    pub own_domain: Consequence,
    /// Who is asked to come again.
    pub greylist: Greylist,
    /// How long one has to wait before coming again.
    pub greylist_delay: Duration,
    /// How late one may come again.
    pub greylist_window: Duration,
    /// Addresses that never were anybody's.
    pub traps: Vec<Address>,
    /// What becomes of mail to traps.
    pub on_trap: OnTrap,
    /// What strangers may bring.
    pub rates: RateLimits,
}

/// What follows from something that speaks against a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consequence {
    /// Nothing: nobody looks.
    Off,
    /// Points for the content filter.
    Points,
    /// Its mail is refused.
    Refuse,
}

/// Who is asked to come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Greylist {
    /// Nobody.
    Off,
    /// Those about whom something is suspicious.
    Suspicious,
    /// Everybody who is not known.
    All,
}

/// What becomes of mail to traps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnTrap {
    /// It is taken and thrown away, so that its sender learns nothing.
    Discard,
    /// It is refused like mail to any unknown address.
    Refuse,
}

impl Default for ScreenSettings {
    /// Nothing that loses mail, and nobody asked whom the operator has not named.
    fn default() -> Self {
        Self {
            is_on: true,
            lists: ListSettings { time_max: Duration::from_secs(5), ..ListSettings::default() },
            refuse_points: None,
            greet_pause: Duration::from_secs(2),
            early_talkers: Consequence::Points,
            hello: Consequence::Points,
            own_domain: Consequence::Points,
            greylist: Greylist::Suspicious,
            greylist_delay: Duration::from_secs(300),
            greylist_window: Duration::from_secs(2 * 24 * 3_600),
            traps: Vec::new(),
            on_trap: OnTrap::Discard,
            rates: RateLimits {
                connections_per_network: Some(50),
                messages_a_minute: Some(1_000),
                recipients_a_minute: Some(5_000),
            },
        }
    }
}
