//! Any octets have features, within bounds, and a judgement whose reasons add up to it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spam::{FEATURES_MAX, Model, Personal, features, portable, starter, unpack};

static STARTER: LazyLock<Model<Vec<u8>>> = LazyLock::new(starter);

fuzz_target!(|octets: &[u8]| {
    let all = features(octets);
    assert!(all.count() <= 5 * FEATURES_MAX);
    let (judgement, signals) = STARTER.explain(octets, None);
    assert!(judgement.log_odds.is_finite());
    let sum: f32 = signals.iter().map(|signal| signal.weight).sum();
    assert!((sum.clamp(-15.0, 15.0) - judgement.log_odds).abs() < 0.1, "{sum} {}", judgement.log_odds);
    assert!(portable(octets).len() <= octets.len());
    let _ = (unpack(octets), Personal::open(octets), Model::open(octets));
});
