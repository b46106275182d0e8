//! What the crate promises to who builds on it: bounds, learning in the right direction, and little power for any one.

use proptest::prelude::*;
use spam::{
    ACCOUNT_DAY_MAX, Class, FEATURES_MAX, LESSON_MIN, MESSAGE_OCTETS_MAX, MODEL_OCTETS, Model, ModelError,
    PACKED_OCTETS_MAX, PERSONAL_OCTETS_MAX, Personal, REASONS_MAX, SHARED_DAY_MAX, Signal, Taught, features,
    pack, portable, starter, train, unpack,
};

const WANTED: &[u8] =
    b"From: Ann Miller <ann@example.org>\nTo: bob@example.net\nSubject: Re: the garden on Sunday\n\
    Date: Mon, 5 Jan 2026 10:00:00 +0100\nMessage-ID: <1@example.org>\nIn-Reply-To: <0@example.net>\n\n\
    Hello Bob,\n\nI will bring the seeds and the old spade. Can you bring the ladder?\n\nAnn\n";

const UNWANTED: &[u8] = b"From: \"WINNER\" <win8841@prize.example>\nSubject: YOU HAVE WON $1,000,000!!!\n\
    Content-Type: text/html\n\n<html><body><b>Congratulations!</b> Click <a href=\"http://10.1.2.3/claim\">here</a> \
    to claim your FREE money now. Limited offer, act now! To be removed, click <a href=\"http://x.example/\">here</a>.\
    </body></html>\n";

fn score(model: &Model<Vec<u8>>, message: &[u8]) -> f32 {
    model.judge(&features(message), None).log_odds
}

#[test]
fn what_was_learned_is_known() {
    let mut model = Model::empty();
    assert_eq!(score(&model, WANTED), 0.0);
    model.learn(&features(UNWANTED), Class::Unwanted);
    model.learn(&features(WANTED), Class::Wanted);
    assert!(score(&model, UNWANTED) > 1.0, "{}", score(&model, UNWANTED));
    assert!(score(&model, WANTED) < -1.0, "{}", score(&model, WANTED));
    assert_eq!((model.learned(Class::Wanted), model.learned(Class::Unwanted)), (1, 1));
}

#[test]
fn minds_can_be_changed() {
    let mut model = Model::empty();
    let message = features(WANTED);
    (0..20).for_each(|_| model.learn(&message, Class::Unwanted));
    assert!(score(&model, WANTED) > 1.0);
    (0..20).for_each(|_| model.learn(&message, Class::Wanted));
    assert!(score(&model, WANTED) < -1.0);
}

#[test]
fn the_first_day_works() {
    let model = starter();
    assert!(model.learned(Class::Wanted) > 1_000 && model.learned(Class::Unwanted) > 1_000);
    assert!(score(&model, WANTED) < -2.0, "{}", score(&model, WANTED));
    assert!(score(&model, UNWANTED) > 2.0, "{}", score(&model, UNWANTED));
}

#[test]
fn every_judgement_is_explained() {
    let model = starter();
    for message in [WANTED, UNWANTED] {
        let (judgement, signals) = model.explain(message, Some(&Personal::default()));
        assert_eq!(judgement, model.judge(&features(message), None));
        let sum: f32 = signals.iter().map(|signal| signal.weight).sum();
        assert!((sum - judgement.log_odds).abs() < 0.01, "{sum} {}", judgement.log_odds);
        assert!(signals.iter().all(|signal| !signal.text.is_empty()));
        assert!(signals.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
        let strongest = model.reasons(message, &features(message), Some(&Personal::default()));
        assert_eq!(strongest.len(), signals.len().min(REASONS_MAX));
        let weights =
            |signals: &[Signal]| signals.iter().map(|signal| signal.weight.abs()).collect::<Vec<_>>();
        assert_eq!(weights(&strongest), weights(&signals)[..strongest.len()]);
        assert!(strongest.iter().all(|signal| signals.contains(signal)), "{strongest:?}");
    }
    let (_, signals) = model.explain(UNWANTED, None);
    assert!(
        signals.iter().any(|signal| signal.text == "“free” in the text" && signal.weight > 0.0),
        "{signals:?}"
    );
}

#[test]
fn a_model_comes_back_as_it_was_kept() {
    let mut model = starter();
    model.learn(&features(WANTED), Class::Wanted);
    assert!(matches!(Model::open(model.octets()), Err(ModelError::Damaged)), "not sealed");
    model.seal();
    assert_eq!(model.octets().len(), MODEL_OCTETS);
    let again = Model::open(model.octets()).expect("sealed");
    assert_eq!(again.judge(&features(UNWANTED), None), model.judge(&features(UNWANTED), None));
    for place in [0, 8, 10, 60, MODEL_OCTETS / 2, MODEL_OCTETS - 1] {
        let mut octets = model.octets().to_vec();
        octets[place] ^= 1;
        assert!(Model::open(octets).is_err(), "{place}");
    }
    assert!(Model::open(&model.octets()[..MODEL_OCTETS - 1]).is_err());
}

#[test]
fn packing_keeps_what_weighs() {
    let lessons = [(features(WANTED), Class::Wanted), (features(UNWANTED), Class::Unwanted)];
    let model = train(&lessons);
    let packed = pack(&model);
    assert!(packed.len() <= PACKED_OCTETS_MAX);
    let unpacked = unpack(&packed).expect("just packed");
    for message in [WANTED, UNWANTED] {
        assert!((score(&unpacked, message) - score(&model, message)).abs() < 0.2);
    }
    assert_eq!(pack(&train(&lessons)), packed, "training is reproducible");
    for cut in [0, 10, 75, packed.len() - 1] {
        assert!(unpack(&packed[..cut]).is_err());
    }
}

#[test]
fn what_ties_mail_to_a_place_can_be_taken_off() {
    let mail = [b"Received: from a by b; today\nList-Id: <x>\n" as &[u8], WANTED].concat();
    let portable = String::from_utf8(portable(&mail)).expect("ASCII");
    assert!(portable.starts_with("From: Ann Miller") && portable.ends_with("Ann\n"));
    assert!(!portable.contains("Received") && !portable.contains("List-Id") && !portable.contains("\nTo:"));
}

#[test]
fn an_account_has_a_taste_of_its_own() {
    let mut shared = starter();
    let (mut ann, bob) = (Personal::default(), Personal::default());
    let newsletter = features(UNWANTED);
    for day in 0..10 {
        ann.teach(&mut shared, &newsletter, Class::Wanted, day);
    }
    let score = |personal| shared.judge(&newsletter, Some(personal)).log_odds;
    assert!(score(&ann) < score(&bob) - 1.0, "{} {}", score(&ann), score(&bob));
    let again = Personal::open(&ann.octets()).expect("just written");
    assert_eq!(again, ann);
}

#[test]
fn a_personal_model_grows_to_its_bound() {
    let mut shared = Model::empty();
    let mut personal = Personal::default();
    let message = features(WANTED);
    let first = personal.octets().len();
    assert!(first <= 2_100);
    let before =
        |personal: &Personal, shared: &Model<Vec<u8>>| shared.judge(&message, Some(personal)).log_odds;
    for _ in 0..15 {
        personal.teach(&mut shared, &message, Class::Wanted, 1);
    }
    assert_eq!(personal.octets().len(), first);
    let score = before(&personal, &shared);
    personal.teach(&mut shared, &message, Class::Wanted, 1);
    assert!(personal.octets().len() > first);
    assert!((before(&personal, &shared) - score).abs() < 0.5, "growing changes no mind");
    for _ in 0..500 {
        personal.teach(&mut shared, &message, Class::Wanted, 1);
    }
    assert_eq!(personal.octets().len(), PERSONAL_OCTETS_MAX);
    let mut octets = personal.octets();
    octets[50] ^= 1;
    assert!(Personal::open(&octets).is_err());
}

#[test]
fn one_account_moves_the_others_little_in_a_day() {
    let mut shared = starter();
    let mut liar = Personal::default();
    let message = features(WANTED);
    let before = shared.judge(&message, None).log_odds;
    let mut taken = 0;
    for _ in 0..500 {
        taken += usize::from(liar.teach(&mut shared, &message, Class::Unwanted, 7) == Taught::Both);
    }
    // The first lessons are wholly wrong, the later ones less.
    assert!(taken >= ACCOUNT_DAY_MAX as usize && taken <= 8, "{taken}");
    let after = shared.judge(&message, None);
    assert!(after.probability() < 0.5, "{before} {}", after.log_odds);
    shared.seal();
    let same = shared.octets().to_vec();
    assert_eq!(liar.teach(&mut shared, &message, Class::Unwanted, 7), Taught::PersonalOnly);
    shared.seal();
    assert!(same == shared.octets());
    assert_eq!(liar.teach(&mut shared, &message, Class::Unwanted, 8), Taught::Both, "a new day");
}

#[test]
fn all_accounts_together_are_bounded_too() {
    let mut shared = Model::empty();
    let mut taken = 0;
    // They disagree, so that each finds the model about half wrong.
    for number in 0..2_000 {
        let class = if number % 2 == 0 { Class::Wanted } else { Class::Unwanted };
        let lesson = Personal::default().teach(&mut shared, &features(WANTED), class, 3);
        taken += usize::from(lesson == Taught::Both);
    }
    assert!((SHARED_DAY_MAX as usize..2_000).contains(&taken), "{taken}");
}

#[test]
fn a_lesson_costs_something_even_where_all_agree() {
    let mut shared = starter();
    let mut ann = Personal::default();
    let taken =
        (0..1_000).filter(|_| ann.teach(&mut shared, &features(WANTED), Class::Wanted, 1) == Taught::Both);
    assert_eq!(taken.count(), (ACCOUNT_DAY_MAX / LESSON_MIN) as usize);
}

#[test]
fn long_mail_is_bounded() {
    let mut message = b"Subject: x\nContent-Type: text/html\n\n".to_vec();
    for number in 0..200_000 {
        message.extend_from_slice(
            format!("<a href=\"http://h{number}.example/p{number}\">w{number}</a> ").as_bytes(),
        );
    }
    let all = features(&message);
    assert!(all.count() <= 5 * FEATURES_MAX);
    assert_eq!(all, features(&message[..MESSAGE_OCTETS_MAX]));
    assert_ne!(all, features(&message[..1_000]));
}

/// Pieces that messages are made of, so that random ones reach deep.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 16] = [
        "From: ",
        "Subject: =?utf-8?B?",
        "Received: from x.example ([1.2.3.4]) by y; ",
        "Content-Type: multipart/mixed; boundary=b\n",
        "Content-Type: text/html; charset=utf-16\n",
        "Content-Transfer-Encoding: base64\n",
        "\n\n",
        "\n--b\n",
        "<a href=\"http://x@\u{e4}.example/",
        "<!--",
        "-->",
        "<img src='",
        ">",
        "http://",
        "p\u{430}ypal \u{fc} \u{200b}",
        "F R E E M O N E Y",
    ];
    let piece = prop::sample::select(PIECES.as_slice());
    prop::collection::vec((piece, prop::collection::vec(any::<u8>(), 0..6)), 0..60).prop_map(|pieces| {
        pieces.into_iter().flat_map(|(piece, noise)| [piece.as_bytes(), &noise].concat()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_octets_are_digested(message in mail()) {
        let all = features(&message);
        prop_assert!(all.count() <= 5 * FEATURES_MAX);
        prop_assert_eq!(&all, &features(&message));
        let _ = portable(&message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn learning_moves_the_right_way(message in mail(), is_unwanted: bool) {
        let mut model = starter();
        let class = if is_unwanted { Class::Unwanted } else { Class::Wanted };
        let all = features(&message);
        let before = model.judge(&all, None).log_odds;
        for _ in 0..3 {
            model.learn(&all, class);
        }
        let after = model.judge(&all, None).log_odds;
        let (_, signals) = model.explain(&message, None);
        prop_assert!(signals.len() <= 2 * FEATURES_MAX + 4);
        let is_right = if is_unwanted { after >= before - 0.05 } else { after <= before + 0.05 };
        prop_assert!(is_right, "{} {}", before, after);
    }

    #[test]
    fn any_octets_are_a_model_or_are_refused(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Model::open(octets.as_slice()).is_err());
        prop_assert!(Personal::open(&octets).is_err());
        prop_assert!(unpack(&octets).is_err());
    }
}
