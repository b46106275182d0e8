//! How much each account has sent lately: a stolen password must not cost the host its reputation.
//!
//! Kept in memory, by the hour. Whoever runs the door keeps it over a restart with [`SentHour`]s, some seconds behind.

use std::collections::HashMap;

use mail_types::AccountId;
use parking_lot::Mutex;
use platform::clock::Timestamp;

use super::routing::SendingLimits;

const HOURS: usize = 24;
const HOUR_MILLIS: i64 = 3_600_000;
/// Accounts remembered before those are let go that have been silent for a day.
const TIDY_AT: usize = 1_024;

/// Why an account may not send more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exceeded {
    /// It has sent enough for an hour.
    Hour,
    /// It has sent enough for a day.
    Day,
}

/// What an account sent in one hour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SentHour {
    /// Who.
    pub account: AccountId,
    /// The hour, counted from the beginning of 1970.
    pub hour: i64,
    /// Messages in it.
    pub messages: u32,
    /// Recipients of all of them.
    pub recipients: u32,
}

/// What accounts have sent.
#[derive(Default, Debug)]
pub(crate) struct Sent(Mutex<HashMap<AccountId, Account>>);

#[derive(Clone, Copy, Default, Debug)]
struct Amount {
    messages: u32,
    recipients: u32,
}

#[derive(Debug, Default)]
struct Account {
    /// The hour (since 1970) that `hours` ends with.
    last: i64,
    /// Amounts by the hour's number modulo 24.
    hours: [Amount; HOURS],
    /// Which of these have changed since they were last asked for.
    changed: [bool; HOURS],
}

impl Sent {
    /// Whether an account may send one more message, to so many recipients.
    pub(crate) fn check(
        &self,
        account: AccountId,
        recipients: u32,
        limits: SendingLimits,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        let mut accounts = self.0.lock();
        let Some(account) = accounts.get_mut(&account) else {
            return Account::default().check(Amount { messages: 1, recipients }, limits, now);
        };
        account.check(Amount { messages: 1, recipients }, limits, now)
    }

    /// The same, and counts it if it may.
    pub(crate) fn charge(
        &self,
        account: AccountId,
        recipients: u32,
        limits: SendingLimits,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        let mut accounts = self.0.lock();
        if accounts.len() >= TIDY_AT && !accounts.contains_key(&account) {
            let oldest = hour_of(now) - HOURS as i64;
            accounts.retain(|_, account| account.last > oldest);
        }
        let account = accounts.entry(account).or_default();
        let amount = Amount { messages: 1, recipients };
        account.check(amount, limits, now)?;
        let place = place_of(hour_of(now));
        let hour = &mut account.hours[place];
        hour.messages = hour.messages.saturating_add(amount.messages);
        hour.recipients = hour.recipients.saturating_add(amount.recipients);
        account.changed[place] = true;
        Ok(())
    }

    /// The hours that have changed since this was last asked.
    pub(crate) fn changed(&self) -> Vec<SentHour> {
        let mut accounts = self.0.lock();
        accounts.iter_mut().flat_map(|(&id, account)| account.take_changed(id)).collect()
    }

    /// Takes up what was kept; what is older than a day, or yet to come, counts no more.
    pub(crate) fn restore(&self, kept: &[SentHour], now: Timestamp) {
        let this = hour_of(now);
        let mut accounts = self.0.lock();
        for sent in kept.iter().filter(|sent| (this - HOURS as i64 + 1..=this).contains(&sent.hour)) {
            let account = accounts.entry(sent.account).or_default();
            account.go_on(this);
            let hour = &mut account.hours[place_of(sent.hour)];
            *hour = Amount {
                messages: hour.messages.saturating_add(sent.messages),
                recipients: hour.recipients.saturating_add(sent.recipients),
            };
        }
    }
}

impl Account {
    fn check(&mut self, more: Amount, limits: SendingLimits, now: Timestamp) -> Result<(), Exceeded> {
        self.go_on(hour_of(now));
        let (hour, day) = (self.last_hour(now), self.last_day());
        let exceeds = |sent: u64, more: u32, most: Option<u32>| {
            most.is_some_and(|most| sent.saturating_add(u64::from(more)) > u64::from(most))
        };
        if exceeds(day.0, more.messages, limits.messages_a_day)
            || exceeds(day.1, more.recipients, limits.recipients_a_day)
        {
            return Err(Exceeded::Day);
        }
        if exceeds(hour.0, more.messages, limits.messages_an_hour)
            || exceeds(hour.1, more.recipients, limits.recipients_an_hour)
        {
            return Err(Exceeded::Hour);
        }
        Ok(())
    }

    /// Forgets the hours between the last one and this one. A clock that goes back changes nothing.
    fn go_on(&mut self, hour: i64) {
        let passed = hour.saturating_sub(self.last);
        for step in 0..passed.clamp(0, HOURS as i64) {
            self.hours[place_of(hour - step)] = Amount::default();
            self.changed[place_of(hour - step)] = false;
        }
        self.last = self.last.max(hour);
    }

    fn take_changed(&mut self, account: AccountId) -> Vec<SentHour> {
        let changed = std::mem::take(&mut self.changed);
        let hours = (self.last - HOURS as i64 + 1..=self.last).filter(|&hour| changed[place_of(hour)]);
        let sent = |hour| {
            let Amount { messages, recipients } = self.hours[place_of(hour)];
            SentHour { account, hour, messages, recipients }
        };
        hours.map(sent).collect()
    }

    /// Messages and recipients of the last sixty minutes: this hour's, and of the hour before as much as is not over.
    fn last_hour(&self, now: Timestamp) -> (u64, u64) {
        let left = u64::try_from(HOUR_MILLIS - now.unix_millis().rem_euclid(HOUR_MILLIS)).unwrap_or(0);
        let this = self.hours[place_of(self.last)];
        let before = self.hours[place_of(self.last - 1)];
        let part = |amount: u32| u64::from(amount) * left / HOUR_MILLIS.unsigned_abs();
        (
            u64::from(this.messages) + part(before.messages),
            u64::from(this.recipients) + part(before.recipients),
        )
    }

    fn last_day(&self) -> (u64, u64) {
        self.hours.iter().fold((0, 0), |(messages, recipients), hour| {
            (messages + u64::from(hour.messages), recipients + u64::from(hour.recipients))
        })
    }
}

fn hour_of(now: Timestamp) -> i64 {
    now.unix_millis().div_euclid(HOUR_MILLIS)
}

/// Always within the 24: the remainder is.
fn place_of(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(HOURS as i64)).unwrap_or(0) % HOURS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: AccountId = AccountId(1);
    const BOB: AccountId = AccountId(2);
    const LIMITS: SendingLimits = SendingLimits {
        messages_an_hour: Some(3),
        messages_a_day: Some(5),
        recipients_an_hour: Some(10),
        recipients_a_day: Some(20),
    };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_640_400 + minutes * 60)
    }

    #[test]
    fn an_hour_has_its_messages() {
        let sent = Sent::default();
        for _ in 0..3 {
            assert_eq!(sent.charge(ANN, 1, LIMITS, at(0)), Ok(()));
        }
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(1)), Err(Exceeded::Hour));
        assert_eq!(sent.check(BOB, 1, LIMITS, at(1)), Ok(()), "others go on");
        // Half of the first hour's are still within the last sixty minutes.
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(90)), Ok(()));
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(91)), Ok(()));
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(200)), Err(Exceeded::Day));
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(24 * 60)), Ok(()), "a day later");
    }

    #[test]
    fn recipients_count_one_by_one() {
        let sent = Sent::default();
        assert_eq!(sent.check(ANN, 9, LIMITS, at(0)), Ok(()));
        assert_eq!(sent.check(ANN, 10, LIMITS, at(0)), Ok(()));
        assert_eq!(sent.check(ANN, 11, LIMITS, at(0)), Err(Exceeded::Hour));
        assert_eq!(sent.check(ANN, 21, LIMITS, at(0)), Err(Exceeded::Day));
        assert_eq!(sent.charge(ANN, 10, LIMITS, at(0)), Ok(()));
        assert_eq!(
            sent.charge(ANN, 1, LIMITS, at(0)),
            Err(Exceeded::Hour),
            "what was checked was not counted"
        );
    }

    #[test]
    fn what_was_kept_counts_after_a_restart() {
        let sent = Sent::default();
        for minutes in [0, 1, 61] {
            assert_eq!(sent.charge(ANN, 2, LIMITS, at(minutes)), Ok(()));
        }
        assert_eq!(sent.charge(BOB, 1, LIMITS, at(61)), Ok(()));
        let mut kept = sent.changed();
        kept.sort_unstable();
        let hour = hour_of(at(0));
        let row = |account, hour, messages, recipients| SentHour { account, hour, messages, recipients };
        assert_eq!(kept, [row(ANN, hour, 2, 4), row(ANN, hour + 1, 1, 2), row(BOB, hour + 1, 1, 1)]);
        assert_eq!(sent.changed(), [], "nothing since");
        assert_eq!(sent.charge(BOB, 1, LIMITS, at(62)), Ok(()));
        assert_eq!(sent.changed(), [row(BOB, hour + 1, 2, 2)], "the whole hour again");

        let sent = Sent::default();
        sent.restore(&kept, at(62));
        assert_eq!(sent.changed(), [], "it is kept already");
        assert_eq!(sent.check(ANN, 5, LIMITS, at(62)), Ok(()), "two, and most of four before");
        assert_eq!(sent.check(ANN, 6, LIMITS, at(62)), Err(Exceeded::Hour));
        assert_eq!(sent.check(ANN, 1, LIMITS, at(180)), Ok(()));
        assert_eq!(sent.check(ANN, 15, LIMITS, at(180)), Err(Exceeded::Day));
        let sent = Sent::default();
        sent.restore(&[row(ANN, hour - 23, 5, 5), row(BOB, hour - 24, 5, 5)], at(0));
        assert_eq!(sent.check(ANN, 1, LIMITS, at(0)), Err(Exceeded::Day), "the last hour that counts");
        assert_eq!(sent.check(BOB, 1, LIMITS, at(0)), Ok(()), "one older");
        sent.restore(&[row(BOB, hour + 1, 5, 5)], at(0));
        assert_eq!(sent.check(BOB, 1, LIMITS, at(0)), Ok(()), "yet to come: the clock was wrong");
    }

    #[test]
    fn without_limits_everything_goes() {
        let sent = Sent::default();
        let none = SendingLimits {
            messages_an_hour: None,
            messages_a_day: None,
            recipients_an_hour: None,
            recipients_a_day: None,
        };
        assert_eq!(sent.charge(ANN, u32::MAX, none, at(0)), Ok(()));
        assert_eq!(sent.charge(ANN, u32::MAX, none, at(0)), Ok(()));
    }

    #[test]
    fn who_is_silent_for_a_day_is_forgotten() {
        let sent = Sent::default();
        for number in 0..TIDY_AT {
            let account = AccountId(u32::try_from(number).unwrap() + 10);
            assert_eq!(sent.charge(account, 1, LIMITS, at(0)), Ok(()));
        }
        assert_eq!(sent.charge(ANN, 1, LIMITS, at(23 * 60)), Ok(()));
        assert_eq!(sent.0.lock().len(), TIDY_AT + 1);
        assert_eq!(sent.charge(BOB, 1, LIMITS, at(24 * 60)), Ok(()));
        assert_eq!(sent.0.lock().len(), 2);
    }
}
