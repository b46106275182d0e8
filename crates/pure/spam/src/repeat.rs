//! Hard lessons that are kept and repeated with later ones, so that what was difficult once is not learned only once. Only lessons
//! of who runs the server: one of an account must not count more often than it was given.

use crate::collector::{Features, View, mix};
use crate::learn::Pace;
use crate::model::{Class, Model};
use crate::octets::OctetsMut;

/// Lessons that are kept.
pub(crate) const HARD_MAX: usize = 64;

/// Octets of one: its head and its features.
pub(crate) const HARD_OCTETS: usize = 16 * 1024;

/// Octets before the features: fingerprint, class, and how many features of each view.
const HEAD_OCTETS: usize = 8 + 2 + 2 * View::COUNT;

/// Where a lesson says what the message was.
const CLASS_PLACE: usize = 8;

/// Octets of a feature: no view has more than 2^24 cells.
const FEATURE_OCTETS: usize = 3;

/// Features that a lesson keeps.
const KEPT_FEATURES_MAX: usize = (HARD_OCTETS - HEAD_OCTETS) / FEATURE_OCTETS;

/// A message that was judged wrong by less is not hard.
const ERROR_MIN: f32 = 0.15;

/// Lessons that are repeated with each new one.
const REPEATED: u64 = 2;

impl<O: OctetsMut> Model<O> {
    /// Repeats some of the lessons that are kept.
    pub(crate) fn repeat(&mut self) {
        for draw in 0..REPEATED {
            let Some(index) = self.drawn(draw) else { return };
            let Some((features, class)) = read(&self.hard_lesson(index)) else { continue };
            let views = self.views(&features);
            self.learn_views(&features, &views, class, Pace::Whole);
        }
    }

    /// Keeps a lesson if it was hard; one about the same message only takes the new class.
    pub(crate) fn keep(&mut self, features: &Features, class: Class, error: f32) {
        let fingerprint = fingerprint(features).to_le_bytes();
        let count = self.hard_lessons();
        let same = (0..count).find(|&index| self.hard_lesson_start(index) == fingerprint);
        if let Some(index) = same {
            self.set_hard_lesson(index, CLASS_PLACE, &[class_octet(class)]);
            return;
        }
        if error < ERROR_MIN {
            return;
        }
        let index = if count < HARD_MAX { count } else { self.drawn(REPEATED).unwrap_or(0) };
        self.set_hard_lesson(index, 0, &written(fingerprint, features, class));
        self.set_hard_lessons(count.max(index + 1));
    }

    /// One of the lessons that are kept, by a lot that depends on nothing but how many were learned.
    fn drawn(&self, draw: u64) -> Option<usize> {
        let learned = self.learned(Class::Wanted).wrapping_add(self.learned(Class::Unwanted));
        let lot = mix(learned.wrapping_mul(REPEATED + 1).wrapping_add(draw)) >> 32;
        lot.checked_rem(self.hard_lessons() as u64).map(|index| index as usize)
    }
}

/// A lesson's octets. Of a message that says more than fits, each view gives up its part; hashes are sorted, so that what is kept is
/// drawn by lot, and the same in each message.
fn written(fingerprint: [u8; 8], features: &Features, class: Class) -> Vec<u8> {
    let all = features.count().max(1);
    let kept = |hashes: &Vec<u32>| hashes.len().min(hashes.len() * KEPT_FEATURES_MAX / all);
    let mut octets = Vec::with_capacity(HARD_OCTETS);
    octets.extend_from_slice(&fingerprint);
    octets.extend_from_slice(&[class_octet(class), 0]);
    for hashes in &features.views {
        octets.extend_from_slice(&(kept(hashes) as u16).to_le_bytes());
    }
    for hashes in &features.views {
        for hash in hashes.iter().take(kept(hashes)) {
            let [a, b, c, _] = hash.to_le_bytes();
            octets.extend_from_slice(&[a, b, c]);
        }
    }
    octets
}

/// Reads what [`written`] gave.
fn read(octets: &[u8]) -> Option<(Features, Class)> {
    let (head, mut rest) = octets.split_at_checked(HEAD_OCTETS)?;
    let class =
        if *head.get(CLASS_PLACE)? == class_octet(Class::Unwanted) { Class::Unwanted } else { Class::Wanted };
    let mut features = Features::default();
    for (hashes, count) in features.views.iter_mut().zip(head.get(10..)?.chunks_exact(2)) {
        let count = usize::from(u16::from_le_bytes(count.try_into().ok()?));
        let (here, behind) = rest.split_at_checked(count * FEATURE_OCTETS)?;
        rest = behind;
        hashes.extend(here.chunks_exact(FEATURE_OCTETS).map(|three| match *three {
            [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
            _ => 0,
        }));
    }
    Some((features, class))
}

/// Tells messages apart.
fn fingerprint(features: &Features) -> u64 {
    let hashes = features.views.iter().flatten();
    hashes.fold(features.count() as u64, |sum, &hash| mix(sum ^ u64::from(hash)))
}

fn class_octet(class: Class) -> u8 {
    match class {
        Class::Wanted => 0,
        Class::Unwanted => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of one view with so many features; no two numbers of messages of 50 have any in common.
    fn message(features: u32, number: u32) -> Features {
        let mut all = Features::default();
        all.views[View::BodyWords as usize] = (number * 50..).take(features as usize).collect();
        all
    }

    fn kept(model: &Model<Vec<u8>>) -> Vec<(usize, Class)> {
        let lessons = (0..model.hard_lessons()).filter_map(|index| read(&model.hard_lesson(index)));
        lessons.map(|(features, class)| (features.count(), class)).collect()
    }

    #[test]
    fn a_lesson_keeps_as_many_features_as_fit() {
        for (features, fit) in [
            (KEPT_FEATURES_MAX - 1, KEPT_FEATURES_MAX - 1),
            (KEPT_FEATURES_MAX, KEPT_FEATURES_MAX),
            (KEPT_FEATURES_MAX + 1, KEPT_FEATURES_MAX),
        ] {
            let mut model = Model::empty();
            model.learn(&message(features as u32, 0), Class::Unwanted);
            assert_eq!(kept(&model), [(fit, Class::Unwanted)]);
        }
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut model = Model::empty();
        for number in 0..HARD_MAX as u32 + 1 {
            let count = model.hard_lessons();
            assert_eq!(count, (number as usize).min(HARD_MAX));
            model.keep(&message(50, number), Class::Wanted, 1.0);
        }
        assert_eq!(kept(&model).len(), HARD_MAX);
        model.seal();
        assert!(Model::open(model.octets()).is_ok());
    }

    #[test]
    fn what_was_easy_is_not_kept() {
        let mut model = Model::empty();
        model.keep(&message(50, 0), Class::Wanted, ERROR_MIN - 0.01);
        assert!(kept(&model).is_empty());
        model.keep(&message(50, 0), Class::Wanted, ERROR_MIN);
        assert_eq!(kept(&model).len(), 1);
    }

    #[test]
    fn a_mistake_that_is_corrected_is_not_repeated() {
        let mut model = Model::empty();
        model.learn(&message(50, 0), Class::Unwanted);
        model.learn(&message(50, 0), Class::Wanted);
        assert_eq!(kept(&model), [(50, Class::Wanted)]);
    }

    #[test]
    fn what_was_hard_is_learned_again_with_other_mail() {
        // The other mail shares half of its features, and pulls them to its side.
        let hard = message(100, 0);
        let learned_with_others = |pace| {
            let mut model = Model::empty();
            model.learn_at(&hard, Class::Unwanted, pace);
            (0..20).for_each(|_| model.learn(&message(50, 1), Class::Wanted));
            model.views(&hard)[View::BodyWords as usize]
        };
        assert!(learned_with_others(Pace::Whole) > 0.0);
        assert!(learned_with_others(Pace::Careful) < 0.0, "an account's lesson is not repeated");
        let mut model = Model::empty();
        model.learn_at(&hard, Class::Unwanted, Pace::Careful);
        assert!(kept(&model).is_empty());
    }
}
