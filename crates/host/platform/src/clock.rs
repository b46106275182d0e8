//! What time it is: from the system, or set by a test. Every other room asks a [`Clock`], never the system.
//!
//! Two kinds of time: [`Timestamp`] is the calendar's (written to disk and into headers, may jump when the
//! administrator sets it); [`Monotonic`] only grows and measures waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of the calendar: milliseconds since 1970-01-01T00:00:00Z. Negative before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since 1970-01-01T00:00:00Z; the far ends of `i64` are clamped.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `duration` more; clamped at the end of time.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(duration)))
    }

    /// This moment less `duration`; clamped at the beginning of time.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(duration)))
    }

    /// How long ago `earlier` was; zero if it lies ahead (clocks may be set back).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_millis)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis_of(after)),
            Err(before) => Self(-millis_of(before.duration())),
        }
    }
}

/// A moment on a clock that only grows; its zero means nothing. For waits and rates, never for disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Tells the time. Clones share one source.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Settable(Arc<Settable>),
}

#[derive(Debug)]
struct Settable {
    calendar_millis: AtomicI64,
    monotonic_nanos: AtomicU64,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands still at `start` until a test moves it with [`Self::set`] or [`Self::advance`].
    #[must_use]
    pub fn settable(start: Timestamp) -> Self {
        Self(Source::Settable(Arc::new(Settable {
            calendar_millis: AtomicI64::new(start.0),
            monotonic_nanos: AtomicU64::new(0),
        })))
    }

    /// The calendar's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => SystemTime::now().into(),
            Source::Settable(settable) => Timestamp(settable.calendar_millis.load(Ordering::Relaxed)),
        }
    }

    /// The growing clock's time.
    #[must_use]
    pub fn monotonic(&self) -> Monotonic {
        match &self.0 {
            Source::System { started } => Monotonic(started.elapsed()),
            Source::Settable(settable) => {
                Monotonic(Duration::from_nanos(settable.monotonic_nanos.load(Ordering::Relaxed)))
            }
        }
    }

    /// Moves a settable clock's calendar to `time`, forwards or backwards, as an administrator might; the
    /// growing clock stays. The system's clock is not ours to set: nothing happens.
    pub fn set(&self, time: Timestamp) {
        if let Source::Settable(settable) = &self.0 {
            settable.calendar_millis.store(time.0, Ordering::Relaxed);
        }
    }

    /// Lets `duration` pass on both of a settable clock's faces. Nothing happens to the system's clock.
    pub fn advance(&self, duration: Duration) {
        if let Source::Settable(settable) = &self.0 {
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            settable.calendar_millis.fetch_add(millis_of(duration), Ordering::Relaxed);
            settable.monotonic_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_before_1970() {
        assert_eq!(Timestamp::from_unix_millis(-1).unix_seconds(), -1);
        assert_eq!(Timestamp::from_unix_millis(1999).unix_seconds(), 1);
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX).unix_millis(), i64::MAX);
    }

    #[test]
    fn system_time_converts_on_both_sides_of_1970() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(UNIX_EPOCH + second).unix_millis(), 1000);
        assert_eq!(Timestamp::from(UNIX_EPOCH - second).unix_millis(), -1000);
    }

    #[test]
    fn settable_clock_moves_only_when_told() {
        let clock = Clock::settable(Timestamp::from_unix_seconds(100));
        let other = clock.clone();
        let begin = clock.monotonic();
        other.advance(Duration::from_millis(2500));
        assert_eq!(clock.now(), Timestamp::from_unix_millis(102_500));
        assert_eq!(clock.monotonic().since(begin), Duration::from_millis(2500));
        other.set(Timestamp::from_unix_seconds(50));
        assert_eq!(clock.now().unix_seconds(), 50);
        assert_eq!(clock.monotonic().since(begin), Duration::from_millis(2500));
    }

    #[test]
    fn a_moment_ahead_was_no_time_ago() {
        let (early, late) = (Timestamp::from_unix_seconds(1), Timestamp::from_unix_seconds(2));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_secs(1));
    }

    #[test]
    fn system_clock_grows() {
        let clock = Clock::system();
        let first = clock.monotonic();
        clock.set(Timestamp::default());
        clock.advance(Duration::from_secs(1_000_000));
        assert!(clock.monotonic() >= first);
        assert!(clock.monotonic().since(first) < Duration::from_secs(100_000));
        assert!(clock.now() > Timestamp::from_unix_seconds(1_600_000_000));
    }
}
