//! What one account wants otherwise than the others: a small table that corrects the shared model's log-odds. It starts with
//! 2 KiB, grows as it learns, and ends at 16 KiB.

use crate::collector::Features;
use crate::learn::{Pace, target};
use crate::model::{Class, Model, ModelError, checksum, norm};
use crate::octets::OctetsMut;

const MAGIC: [u8; 8] = *b"MSTDPERS";

/// Changes with the layout, with the features and with their hashes.
const VERSION: u8 = 1;

/// Octets before the weights.
const HEADER_OCTETS: usize = 40;

/// Binary logarithm of how many weights there are at first and at last.
const BITS_MIN: u8 = 10;
const BITS_MAX: u8 = 13;

/// Messages learned at the first size; at each further one twice as many.
const MESSAGES_FIRST: u32 = 16;

/// Most octets of a personal model.
pub const PERSONAL_OCTETS_MAX: usize = HEADER_OCTETS + (2 << BITS_MAX);

/// Length of a step, and the error below which none is made.
const RATE: f32 = 3.0;
const ERROR_MIN: f32 = 0.2;

/// Units of a weight in one.
const WEIGHT_SCALE: f32 = 2_048.0;

/// The correction reaches no further; the shared model is heard even where an account disagrees.
pub(crate) const LOG_ODDS_MAX: f32 = 8.0;

/// What one account may move the shared model in a day, in messages judged quite wrongly.
pub const ACCOUNT_DAY_MAX: f32 = 2.0;

/// The least that a lesson counts, however right the model was.
pub const LESSON_MIN: f32 = 0.05;

/// What all accounts together may move it in a day.
pub const SHARED_DAY_MAX: f32 = 400.0;

/// The personal model of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    weights: Vec<i16>,
    learned: u32,
    /// The day something was last learned, and what of the shared model's allowance was spent then, in thousandths.
    day: u32,
    spent: u32,
}

/// What became of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taught {
    /// The account's model and the shared one have learned.
    Both,
    /// Only the account's: it, or all accounts together, have moved the shared model enough for this day.
    PersonalOnly,
}

impl Default for Personal {
    fn default() -> Personal {
        Personal { weights: vec![0; 1 << BITS_MIN], learned: 0, day: 0, spent: 0 }
    }
}

impl Personal {
    /// Reads what [`Personal::octets`] wrote.
    pub fn open(octets: &[u8]) -> Result<Personal, ModelError> {
        let (header, cells) = octets.split_at_checked(HEADER_OCTETS).ok_or(ModelError::Damaged)?;
        if header.get(..8) != Some(&MAGIC) {
            return Err(ModelError::Damaged);
        }
        if header.get(8) != Some(&VERSION) {
            return Err(ModelError::Version);
        }
        let bits = header.get(9).copied().unwrap_or_default();
        let number = |start: usize| {
            let four = header.get(start..start + 4).and_then(|four| four.try_into().ok());
            four.map(u32::from_le_bytes).ok_or(ModelError::Damaged)
        };
        let sum = u64::from(number(16)?) | u64::from(number(20)?) << 32;
        let is_sound =
            (BITS_MIN..=BITS_MAX).contains(&bits) && cells.len() == 2 << bits && sum == checksum(octets);
        if !is_sound {
            return Err(ModelError::Damaged);
        }
        let weights = cells.chunks_exact(2).map(|two| match *two {
            [low, high] => i16::from_le_bytes([low, high]),
            _ => 0,
        });
        Ok(Personal {
            weights: weights.collect(),
            learned: number(24)?,
            day: number(28)?,
            spent: number(32)?,
        })
    }

    /// All of it, to be kept.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEADER_OCTETS + 2 * self.weights.len());
        octets.extend_from_slice(&MAGIC);
        octets.extend_from_slice(&[VERSION, self.bits(), 0, 0, 0, 0, 0, 0]);
        octets.extend_from_slice(&[0; 8]);
        for number in [self.learned, self.day, self.spent, 0] {
            octets.extend_from_slice(&number.to_le_bytes());
        }
        octets.extend(self.weights.iter().flat_map(|weight| weight.to_le_bytes()));
        let sum = checksum(&octets).to_le_bytes();
        if let Some(place) = octets.get_mut(16..24) {
            place.copy_from_slice(&sum);
        }
        octets
    }

    /// How many messages it has learned from.
    pub fn learned(&self) -> u32 {
        self.learned
    }

    /// By how much it corrects the shared model.
    pub(crate) fn log_odds(&self, features: &Features) -> f32 {
        let hashes = Self::hashes(features);
        let sum: i64 = hashes.iter().map(|&hash| i64::from(self.weight(hash))).sum();
        (sum as f32 / WEIGHT_SCALE / norm(hashes.len())).clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX)
    }

    /// The account says what a message is. Its own model learns, and the shared one within the day's bounds; `day` counts from
    /// any beginning. Seal the shared model before its octets are kept.
    pub fn teach<O: OctetsMut>(
        &mut self,
        shared: &mut Model<O>,
        features: &Features,
        class: Class,
        day: u32,
    ) -> Taught {
        let error = target(class) - shared.judge(features, Some(self)).probability();
        if error.abs() >= ERROR_MIN {
            self.step(Self::hashes(features), error);
        }
        self.learned = self.learned.saturating_add(1);
        self.grow();
        if self.day != day {
            (self.day, self.spent) = (day, 0);
        }
        if shared.day() != day {
            shared.set_day(day, 0.0);
        }
        let has_room = self.spent < (ACCOUNT_DAY_MAX * 1_000.0) as u32 && shared.spent() < SHARED_DAY_MAX;
        if !has_room {
            return Taught::PersonalOnly;
        }
        let moved = shared.learn_at(features, class, Pace::Careful).max(LESSON_MIN);
        self.spent = self.spent.saturating_add((moved * 1_000.0).round() as u32);
        shared.set_day(day, shared.spent() + moved);
        Taught::Both
    }

    /// Who writes, from where and with what: there people differ. Texts are the same for all.
    fn hashes(features: &Features) -> &[u32] {
        let [header, ..] = &features.views;
        header
    }

    fn step(&mut self, hashes: &[u32], error: f32) {
        let step = (RATE * error / norm(hashes.len()) * WEIGHT_SCALE).round() as i16;
        let mask = self.weights.len() - 1;
        for &hash in hashes {
            if let Some(weight) = self.weights.get_mut(hash as usize & mask) {
                *weight = weight.saturating_add(step);
            }
        }
    }

    fn weight(&self, hash: u32) -> i16 {
        self.weights.get(hash as usize & (self.weights.len() - 1)).copied().unwrap_or_default()
    }

    fn bits(&self) -> u8 {
        self.weights.len().ilog2() as u8
    }

    /// Twice the weights: each stands for half as many features as before, and says the same of both halves at first.
    fn grow(&mut self) {
        let bits = self.bits();
        if bits < BITS_MAX && self.learned >= MESSAGES_FIRST << (bits - BITS_MIN) {
            self.weights.extend_from_within(..);
        }
    }
}
