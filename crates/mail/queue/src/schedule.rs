//! When what is tried again, and when its sender is told.
//!
//! RFC 5321 §4.5.4.1 asks for retries that become rarer and for giving up after days. Intervals double and are
//! spread, so that mail that failed together does not come back together.

use std::time::Duration;

use platform::clock::Timestamp;

use crate::message::{DeliverByMode, MessageKind, NewMessage, UNTIL_RELEASED};
use crate::settings::Settings;

/// The longest wait after a destination wanted less mail.
const THROTTLED_LONGEST: Duration = Duration::from_secs(300);

/// When a message's sender is told what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deadlines {
    /// Told that it is late, if ever.
    pub(crate) warn: Option<Timestamp>,
    /// Told that it is given up.
    pub(crate) expire: Timestamp,
    /// The sender named the time (RFC 2852): it is kept to even without a try since.
    pub(crate) is_warning_strict: bool,
    pub(crate) is_expiry_strict: bool,
}

impl Deadlines {
    pub(crate) fn of(message: &NewMessage, settings: &Settings) -> Self {
        let wish = message.hold_until.filter(|until| *until < UNTIL_RELEASED);
        let from = wish.map_or(message.arrived, |until| until.max(message.arrived));
        let (lifetime, warn_after) = match message.kind {
            MessageKind::Mail => (settings.lifetime, Some(settings.warn_after)),
            // Who would be told about a report?
            MessageKind::Report | MessageKind::TlsReport => (settings.report_lifetime, None),
        };
        let mut deadlines = Self {
            warn: warn_after.map(|after| from.saturating_add(after)),
            expire: from.saturating_add(lifetime),
            is_warning_strict: false,
            is_expiry_strict: false,
        };
        match message.deliver_by {
            Some(by) if by.mode == DeliverByMode::Return && by.at < deadlines.expire => {
                (deadlines.expire, deadlines.is_expiry_strict) = (by.at, true);
            }
            Some(by)
                if by.mode == DeliverByMode::Notify && deadlines.warn.is_some_and(|warn| by.at < warn) =>
            {
                (deadlines.warn, deadlines.is_warning_strict) = (Some(by.at), true);
            }
            _ => {}
        }
        // Late and given up in one moment is said once.
        deadlines.warn = deadlines.warn.filter(|warn| *warn < deadlines.expire);
        deadlines
    }

    /// When the next of them is, and whether it is kept to without a try.
    pub(crate) fn next(&self, is_warned: bool) -> (Timestamp, bool) {
        match self.warn.filter(|_| !is_warned) {
            Some(warn) => (warn, self.is_warning_strict),
            None => (self.expire, self.is_expiry_strict),
        }
    }

    /// What is to be said now of a parcel last tried then: a server that was down for days tries once more first.
    pub(crate) fn overdue(
        &self,
        is_warned: bool,
        tried: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<crate::overdue::OverdueKind> {
        let has_come = |at: Timestamp, is_strict: bool| at <= now && (is_strict || tried >= Some(at));
        if has_come(self.expire, self.is_expiry_strict) {
            return Some(crate::overdue::OverdueKind::Expired);
        }
        let is_late = self.warn.is_some_and(|warn| !is_warned && has_come(warn, self.is_warning_strict));
        is_late.then_some(crate::overdue::OverdueKind::Delayed)
    }
}

/// How long to wait after so many failures in a row (1 or more). `salt` spreads: the same gives the same.
pub(crate) fn retry_after(settings: &Settings, attempts: u32, salt: u64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20);
    let whole = settings.retry_first.saturating_mul(1 << doublings).min(settings.retry_longest);
    spread(whole, salt ^ u64::from(attempts))
}

/// How long a destination is left alone that wanted less.
pub(crate) fn throttled_for(settings: &Settings, salt: u64) -> Duration {
    spread(settings.retry_first.min(THROTTLED_LONGEST), salt)
}

/// Between seven eighths and nine eighths.
fn spread(whole: Duration, salt: u64) -> Duration {
    let eighth = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX) / 8;
    let less = whole.saturating_sub(Duration::from_millis(eighth));
    less.saturating_add(Duration::from_millis(mixed(salt) % (2 * eighth + 1)))
}

/// Spreads numbers that lie close together (the finisher of SplitMix64).
pub(crate) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_stay_within_an_eighth_of_their_doubling() {
        let settings = Settings::default();
        for attempts in 1..100 {
            let whole = Duration::from_secs((60_u64 << (attempts - 1).min(10)).min(3_600));
            for salt in 0..200 {
                let after = retry_after(&settings, attempts, salt);
                assert!(after >= whole * 7 / 8 && after <= whole * 9 / 8, "{attempts} {after:?}");
            }
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let settings = Settings::default();
        let times: std::collections::BTreeSet<Duration> =
            (0..1_000).map(|salt| retry_after(&settings, 7, salt)).collect();
        assert!(times.len() > 900);
    }

    #[test]
    fn late_and_given_up_in_one_moment_is_said_once() {
        let settings = Settings { warn_after: Duration::from_secs(500_000), ..Settings::default() };
        let deadlines = Deadlines::of(&NewMessage::empty(), &settings);
        assert_eq!(deadlines.warn, None);
        assert_eq!(deadlines.next(false), (deadlines.expire, false));
    }
}
