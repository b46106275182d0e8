//! What rules say of a directory of mail: how fast they are, what fires how often in ham and spam, and whether the score is better than the model by itself.
//! `cargo run --release -p spam --example rules -- DIR [FILE.cf...]`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spam::{Catalogue, Class, Facts, MODEL_RULE, Model, RuleReader, features, train, weigh};

/// Each is judged by what was learned from the others.
const FOLDS: usize = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let mut catalogue = Catalogue::default();
    let files: Vec<String> = arguments.collect();
    if !files.is_empty() {
        take_files(&files, &mut catalogue);
    }
    let mut fired: BTreeMap<String, (f32, usize, usize)> = BTreeMap::new();
    let (mut by_model, mut by_score) = (Vec::new(), Vec::new());
    let (mut elapsed, mut octets) = (Duration::ZERO, 0);
    let letters = letters(&directory);
    for fold in 0..FOLDS {
        let model = learned(&letters, fold);
        for (file, is_spam) in letters.iter().skip(fold).step_by(FOLDS) {
            let Ok(message) = std::fs::read(file) else { continue };
            let (judgement, signals) = model.explain(&message, None);
            let content = Some((judgement, signals.as_slice()));
            let weighed = || {
                let before = Instant::now();
                let verdict = weigh(&message, content, &Facts::default(), &catalogue);
                (before.elapsed(), verdict)
            };
            // Others use this machine too: the fastest of a few is what it costs.
            let (mut fastest, verdict) = weighed();
            for _ in 0..3 {
                fastest = fastest.min(weighed().0);
            }
            elapsed += fastest;
            octets += message.len();
            by_model.push((judgement.log_odds, *is_spam));
            by_score.push((verdict.score(), *is_spam));
            for hit in verdict.hits().iter().filter(|hit| hit.name() != MODEL_RULE) {
                let counts = fired.entry(hit.name().to_owned()).or_insert((hit.points(), 0, 0));
                counts.1 += usize::from(!is_spam);
                counts.2 += usize::from(*is_spam);
            }
        }
    }
    println!("a newsletter of 50 KB: {:.0} µs", newsletter(&catalogue).as_secs_f64() * 1e6);
    let letters = by_score.len().max(1);
    println!(
        "{letters} messages, {octets} octets, {:.0} µs each",
        elapsed.as_secs_f64() * 1e6 / letters as f64
    );
    println!("{:>8} {:>6} {:>6} rule", "points", "ham", "spam");
    for (name, (points, ham, spam)) in &fired {
        println!("{points:>8.2} {ham:>6} {spam:>6} {name}");
    }
    for (name, scores) in [("model", &mut by_model), ("score", &mut by_score)] {
        println!(
            "{name}: 1-ROCA {:.4} %, caught at 0.1 % false: {:.1} %",
            100.0 * (1.0 - area(scores)),
            100.0 * caught(scores)
        );
    }
    for threshold in [2.0, 6.31, 10.0] {
        let above = |is_spam: bool| {
            by_score.iter().filter(|(score, kind)| *kind == is_spam && *score >= threshold).count()
        };
        println!("at {threshold} and above: {} ham, {} spam", above(false), above(true));
    }
}

/// What the rules cost for a message of 50 KB with much markup: the fastest of a few.
fn newsletter(catalogue: &Catalogue) -> Duration {
    let mut message = b"From: Shop <news@shop.example>\nTo: bob@home.example\nSubject: Our offers\nDate: Mon, 5 Jan 2026 10:00:00 +0100\n\
        Message-ID: <1@shop.example>\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n<html><body>"
        .to_vec();
    for index in 0.. {
        if message.len() > 50 * 1024 {
            break;
        }
        message.extend_from_slice(
            format!(
                "<tr><td style=\"color:#333333;font-size:14px\"><a href=\"https://click.shop{}.example/t/{index}?u=b\">\
                 Garden chair no. {index}</a><img src=\"https://img.shop.example/{index}.png\" width=200> of oak and steel, \
                 only this week for 49 &euro; instead of 79 &euro;</td></tr>\n",
                index % 7
            )
            .as_bytes(),
        );
    }
    let weighed = || {
        let before = Instant::now();
        let verdict = weigh(&message, None, &Facts::default(), catalogue);
        assert!(verdict.score().is_finite());
        before.elapsed()
    };
    (0..30).map(|_| weighed()).min().unwrap_or_default()
}

/// What is learned from all but one fold.
fn learned(letters: &[(PathBuf, bool)], left_out: usize) -> Model<Vec<u8>> {
    let others = letters.iter().enumerate().filter(|(index, _)| index % FOLDS != left_out);
    let lessons: Vec<_> = others
        .filter_map(|(_, (file, is_spam))| {
            let class = if *is_spam { Class::Unwanted } else { Class::Wanted };
            Some((features(&std::fs::read(file).ok()?), class))
        })
        .collect();
    train(&lessons)
}

fn take_files(files: &[String], catalogue: &mut Catalogue) {
    let before = Instant::now();
    let mut reader = RuleReader::default();
    for file in files {
        let text = std::fs::read(file).unwrap_or_default();
        let folder = Path::new(file).parent().unwrap_or(Path::new("."));
        reader.read(file, &text, &mut |name| std::fs::read(folder.join(name)).ok());
    }
    let files = reader.finish();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for skipped in files.skipped() {
        println!("{}:{}: {}: {}", skipped.file, skipped.line, skipped.rule, skipped.reason);
        let kind = skipped.reason.split(',').next().unwrap_or_default();
        *reasons.entry(kind.to_owned()).or_default() += 1;
    }
    println!("{reasons:#?}");
    println!(
        "{} rules in {:.1} s, {} skipped, {} uncertain, settings {:?}",
        files.count(),
        before.elapsed().as_secs_f64(),
        files.skipped().len(),
        files.uncertain().len(),
        files.settings()
    );
    catalogue.take_files(files);
}

/// Files below directories whose names tell what is in them.
fn letters(directory: &Path) -> Vec<(PathBuf, bool)> {
    let mut letters = Vec::new();
    for kind in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_spam = kind.file_name().to_string_lossy().contains("spam");
        for file in std::fs::read_dir(kind.path()).into_iter().flatten().flatten() {
            letters.push((file.path(), is_spam));
        }
    }
    letters.sort();
    letters
}

/// The share of spam above all but a thousandth of ham; scores ascend.
fn caught(scores: &[(f32, bool)]) -> f64 {
    let ham: Vec<f32> = scores.iter().filter(|(_, is_spam)| !is_spam).map(|(score, _)| *score).collect();
    let Some(threshold) = ham.get((ham.len() - 1).saturating_sub(ham.len() / 1_000)) else { return 0.0 };
    let spam = scores.iter().filter(|(_, is_spam)| *is_spam);
    spam.clone().filter(|(score, _)| score > threshold).count() as f64 / spam.count().max(1) as f64
}

/// How likely a message of spam has more points than one of ham.
fn area(scores: &mut [(f32, bool)]) -> f64 {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ham, mut pairs, mut spam) = (0.0, 0.0, 0.0);
    for same in scores.chunk_by(|a, b| a.0 == b.0) {
        let spam_here = same.iter().filter(|(_, is_spam)| *is_spam).count() as f64;
        let ham_here = same.len() as f64 - spam_here;
        pairs += spam_here * (ham + ham_here / 2.0);
        ham += ham_here;
        spam += spam_here;
    }
    pairs / (ham * spam).max(1.0)
}
