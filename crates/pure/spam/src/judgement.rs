//! What is thought of a message, and why.

use crate::collector::{Features, View};
use crate::extract::named_features;
use crate::model::{Model, WEIGHT_SCALE, norm, probability};
use crate::personal::Personal;

/// Log-odds are believed no further: content alone is never certain.
const LOG_ODDS_MAX: f32 = 15.0;

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

impl<O: AsRef<[u8]>> Model<O> {
    /// Judges a message by the shared model, and by the receiving account's where there is one.
    pub fn judge(&self, features: &Features, personal: Option<&Personal>) -> Judgement {
        let shared = self.fusion().log_odds(&self.views(features));
        Judgement::new(shared + personal.map_or(0.0, |personal| personal.log_odds(features)))
    }

    /// Judges a message and gives the reasons, the strongest first; their weights add up to the log-odds but for the bounds.
    pub fn explain(&self, message: &[u8], personal: Option<&Personal>) -> (Judgement, Vec<Signal>) {
        let (features, names) = named_features(message);
        let fusion = self.fusion();
        let mut signals = Vec::new();
        for ((view, hashes), share) in View::ALL.into_iter().zip(&features.views).zip(fusion.weights) {
            let unit = share / WEIGHT_SCALE / norm(hashes.len());
            let weights = hashes.iter().map(|&hash| (hash, f32::from(self.cell(view, hash).weight) * unit));
            match view {
                View::HeaderWords | View::BodyWords => {
                    signals.extend(weights.filter(|(_, weight)| *weight != 0.0).map(|(hash, weight)| {
                        Signal { weight, text: names.get(&hash).cloned().unwrap_or_default() }
                    }))
                }
                View::HeaderOctets => signals.push(Signal {
                    weight: weights.map(|(_, weight)| weight).sum(),
                    text: "the header's patterns of letters, all together".to_owned(),
                }),
                View::BodyOctets => signals.push(Signal {
                    weight: weights.map(|(_, weight)| weight).sum(),
                    text: "the text's patterns of letters, all together".to_owned(),
                }),
                View::Trace => signals.push(Signal {
                    weight: share * self.view(view, hashes),
                    text: "the way it came, all together".to_owned(),
                }),
            }
        }
        if let Some(personal) = personal {
            let text = "what this account has taught".to_owned();
            signals.push(Signal { weight: personal.log_odds(&features), text });
        }
        signals.push(Signal { weight: fusion.bias, text: "before looking at the message".to_owned() });
        signals.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.text.cmp(&b.text)));
        (self.judge(&features, personal), signals)
    }
}
