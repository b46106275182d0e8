//! How the shared model learns: logistic regression, online, with a step for each cell that shrinks with what was learned into
//! it (AdaGrad), only from messages that were not clear enough; the views' fusion learns from what it said before it knew. With
//! each lesson of who runs the server some hard ones of before are repeated.

use crate::collector::{Features, View};
use crate::model::{CELLS, Cell, Class, Fusion, HEAT_SCALE, Model, WEIGHT_SCALE, norm, probability};
use crate::octets::OctetsMut;

/// Length of a step.
const RATE: f32 = 10.0;

/// Heat of a cell nobody has learned into: the first step is at most `RATE / sqrt(FIRST_HEAT)` times the error.
const FIRST_HEAT: f32 = 0.03;

/// A view that is wrong by less does not learn: clear mail must not wear features out.
const ERROR_MIN: f32 = 0.15;

/// Length of a step of the fusion.
const FUSION_RATE: f32 = 0.01;

/// Bounds of a view's part in the fusion: none may fall silent, none may rule.
const FUSION_WEIGHTS: std::ops::RangeInclusive<f32> = 0.05..=2.0;

/// A view's log-odds count no further for the fusion's learning.
const VIEW_LOG_ODDS_MAX: f32 = 8.0;

/// Cells that age with each message: all of them in 3,328 messages.
const AGED_CELLS: u32 = 512;

/// Part of a weight and of a heat that a cell keeps losing: one in so many.
const WEIGHT_LOSS: i16 = 64;
const HEAT_LOSS: u16 = 32;

/// How far a message may move the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// The whole step: from who runs the server.
    Whole,
    /// A sixteenth: from one of many accounts, which may be wrong or mean it ill.
    Careful,
    /// Twice the step: one of many passes over a heap, whose end is what counts.
    Heap,
}

impl Pace {
    /// Part of a step that is made.
    fn factor(self) -> f32 {
        match self {
            Pace::Whole => 1.0,
            Pace::Careful => 1.0 / 16.0,
            Pace::Heap => 2.0,
        }
    }

    /// Part of the heat that a step leaves.
    fn heat(self) -> f32 {
        self.factor().min(1.0)
    }
}

impl<O: OctetsMut> Model<O> {
    /// Learns that a message is of this class, on the word of who runs the server. Seal the model before its octets are kept.
    pub fn learn(&mut self, features: &Features, class: Class) {
        self.learn_at(features, class, Pace::Whole);
    }

    /// Learns; says how wrong the model was, from 0 to 1.
    pub(crate) fn learn_at(&mut self, features: &Features, class: Class, pace: Pace) -> f32 {
        let views = self.views(features);
        let error = self.learn_fusion(&views, class, pace);
        self.learn_views(features, &views, class, pace);
        self.set_learned(class, self.learned(class).saturating_add(1));
        if pace == Pace::Whole {
            self.repeat();
            self.keep(features, class, error);
        }
        self.age();
        error
    }

    pub(crate) fn learn_views(
        &mut self,
        features: &Features,
        views: &[f32; View::COUNT],
        class: Class,
        pace: Pace,
    ) {
        for ((view, hashes), log_odds) in View::ALL.into_iter().zip(&features.views).zip(views) {
            let error = target(class) - probability(*log_odds);
            if error.abs() >= ERROR_MIN {
                self.step(view, hashes, error, pace);
            }
        }
    }

    fn step(&mut self, view: View, hashes: &[u32], error: f32, pace: Pace) {
        let length = RATE * pace.factor() * error / norm(hashes.len()) * WEIGHT_SCALE;
        let heat_gain = (error * error * pace.heat() * HEAT_SCALE).round() as u16;
        for &hash in hashes {
            let cell = self.cell(view, hash);
            let heat = cell.heat.saturating_add(heat_gain);
            let step = length / (FIRST_HEAT + f32::from(heat) / HEAT_SCALE).sqrt();
            let weight = cell.weight.saturating_add(step.round() as i16);
            self.set_cell(view, hash, Cell { weight, heat });
        }
    }

    fn learn_fusion(&mut self, views: &[f32; View::COUNT], class: Class, pace: Pace) -> f32 {
        let mut fusion = self.fusion();
        let error = fusion.learn(views, class, FUSION_RATE * pace.factor());
        self.set_fusion(&fusion);
        error
    }

    /// Lets some cells forget a little, so that what nobody sends any more makes room, and what changes can be learned anew.
    fn age(&mut self) {
        let first = self.aged();
        for number in (first as usize..).take(AGED_CELLS as usize) {
            let Cell { weight, heat } = self.cell_at(number);
            if weight != 0 || heat != 0 {
                let aged = Cell { weight: weight - weight / WEIGHT_LOSS, heat: heat - heat / HEAT_LOSS };
                self.set_cell_at(number, aged);
            }
        }
        self.set_aged((first + AGED_CELLS) % CELLS as u32);
    }
}

impl Fusion {
    /// One step; says how wrong it was, from 0 to 1.
    pub(crate) fn learn(&mut self, views: &[f32; View::COUNT], class: Class, rate: f32) -> f32 {
        let error = target(class) - probability(self.log_odds(views));
        for (weight, view) in self.weights.iter_mut().zip(views) {
            let moved = *weight + rate * error * view.clamp(-VIEW_LOG_ODDS_MAX, VIEW_LOG_ODDS_MAX);
            *weight = moved.clamp(*FUSION_WEIGHTS.start(), *FUSION_WEIGHTS.end());
        }
        self.bias = (self.bias + rate * error).clamp(-VIEW_LOG_ODDS_MAX, VIEW_LOG_ODDS_MAX);
        error.abs()
    }
}

pub(crate) fn target(class: Class) -> f32 {
    match class {
        Class::Wanted => 0.0,
        Class::Unwanted => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_learned_again_is_forgotten() {
        let mut model = Model::empty();
        let first = Cell { weight: 6_400, heat: 3_200 };
        model.set_cell(View::HeaderOctets, 77, first);
        let rounds = CELLS / AGED_CELLS as usize;
        (0..rounds).for_each(|_| model.age());
        assert_eq!(model.cell(View::HeaderOctets, 77), Cell { weight: 6_300, heat: 3_100 });
        assert_eq!(model.aged(), 0, "a whole round");
    }

    #[test]
    fn a_step_is_bounded_however_little_a_message_says() {
        let mut model = Model::empty();
        model.step(View::BodyWords, &[5], 1.0, Pace::Whole);
        let whole = f32::from(model.cell(View::BodyWords, 5).weight) / WEIGHT_SCALE;
        assert!(whole <= RATE / norm(1) / FIRST_HEAT.sqrt(), "{whole}");
        model.step(View::BodyWords, &[6], 1.0, Pace::Careful);
        assert!(f32::from(model.cell(View::BodyWords, 6).weight) / WEIGHT_SCALE < whole / 4.0);
    }

    #[test]
    fn clear_mail_wears_nothing_out() {
        let mut model = Model::empty();
        let features = Features { views: [vec![1], vec![2], vec![3], vec![4], vec![5]] };
        (0..200).for_each(|_| model.learn(&features, Class::Unwanted));
        let before = model.cell(View::HeaderWords, 1);
        let views = model.views(&features);
        model.learn_views(&features, &views, Class::Unwanted, Pace::Whole);
        assert_eq!(model.cell(View::HeaderWords, 1), before);
    }
}
