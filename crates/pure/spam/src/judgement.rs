//! What is thought of a message, and why.

use crate::collector::{Features, View};
use crate::extract::{features, names};
use crate::model::{Model, WEIGHT_SCALE, norm, probability};
use crate::octets::Octets;
use crate::personal::Personal;

/// Log-odds are believed no further: content alone is never certain.
const LOG_ODDS_MAX: f32 = 15.0;

/// Reasons that are given where not all are asked for.
pub const REASONS_MAX: usize = 64;

/// What is thought of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Natural logarithm of how many times likelier unwanted than wanted; adds up with other evidence that is independent.
    pub log_odds: f32,
}

impl Judgement {
    pub(crate) fn new(log_odds: f32) -> Judgement {
        Judgement { log_odds: log_odds.clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX) }
    }

    /// How likely it is unwanted.
    pub fn probability(self) -> f32 {
        probability(self.log_odds)
    }
}

/// One reason for a judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its part in the log-odds: above zero speaks for unwanted.
    pub weight: f32,
    /// In plain words.
    pub text: String,
}

impl<O: Octets> Model<O> {
    /// Judges a message by the shared model, and by the receiving account's where there is one.
    pub fn judge(&self, features: &Features, personal: Option<&Personal>) -> Judgement {
        let shared = self.fusion().log_odds(&self.views(features));
        Judgement::new(shared + personal.map_or(0.0, |personal| personal.log_odds(features)))
    }

    /// Judges a message and gives the reasons, the strongest first; their weights add up to the log-odds but for the bounds.
    pub fn explain(&self, message: &[u8], personal: Option<&Personal>) -> (Judgement, Vec<Signal>) {
        let features = features(message);
        let reasons = self.reasons_for(&features, personal);
        (self.judge(&features, personal), named(message, reasons))
    }

    /// The strongest reasons for a judgement, the strongest first: [`REASONS_MAX`] at most. Costs half of what all of them cost.
    pub fn reasons(&self, message: &[u8], features: &Features, personal: Option<&Personal>) -> Vec<Signal> {
        let mut reasons = self.reasons_for(features, personal);
        if reasons.len() > REASONS_MAX {
            let by_weight = |a: &(f32, Reason), b: &(f32, Reason)| b.0.abs().total_cmp(&a.0.abs());
            reasons.select_nth_unstable_by(REASONS_MAX, by_weight);
            reasons.truncate(REASONS_MAX);
        }
        named(message, reasons)
    }

    fn reasons_for(&self, features: &Features, personal: Option<&Personal>) -> Vec<(f32, Reason)> {
        let fusion = self.fusion();
        let mut reasons = Vec::new();
        for ((view, hashes), share) in View::ALL.into_iter().zip(&features.views).zip(fusion.weights) {
            let unit = share / WEIGHT_SCALE / norm(hashes.len());
            let weights = hashes.iter().map(|&hash| (f32::from(self.cell(view, hash).weight) * unit, hash));
            match view {
                View::HeaderWords | View::BodyWords => {
                    let telling = weights.filter(|(weight, _)| *weight != 0.0);
                    reasons.extend(telling.map(|(weight, hash)| (weight, Reason::Word(hash))));
                }
                View::HeaderOctets => reasons.push((
                    weights.map(|(weight, _)| weight).sum(),
                    Reason::Other("the header's patterns of letters, all together"),
                )),
                View::BodyOctets => reasons.push((
                    weights.map(|(weight, _)| weight).sum(),
                    Reason::Other("the text's patterns of letters, all together"),
                )),
                View::Trace => reasons
                    .push((share * self.view(view, hashes), Reason::Other("the way it came, all together"))),
            }
        }
        if let Some(personal) = personal {
            reasons.push((personal.log_odds(features), Reason::Other("what this account has taught")));
        }
        reasons.push((fusion.bias, Reason::Other("before looking at the message")));
        reasons
    }
}

/// A reason before it is put in words.
enum Reason {
    /// A feature of words by its hash.
    Word(u32),
    Other(&'static str),
}

/// Puts reasons in words, the strongest first.
fn named(message: &[u8], reasons: Vec<(f32, Reason)>) -> Vec<Signal> {
    let hash = |(_, reason): &(f32, Reason)| match reason {
        Reason::Word(hash) => Some(*hash),
        Reason::Other(_) => None,
    };
    let words = names(message, Some(reasons.iter().filter_map(hash).collect()));
    let signal = |(weight, reason)| {
        let text = match reason {
            Reason::Word(hash) => words.get(&hash).cloned().unwrap_or_default(),
            Reason::Other(text) => text.to_owned(),
        };
        Signal { weight, text }
    };
    let mut signals: Vec<Signal> = reasons.into_iter().map(signal).collect();
    signals.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.text.cmp(&b.text)));
    signals
}
