//! What the scores of a filter are worth: the area above the ROC curve, and what is caught at a bound of false alarms.

use std::fmt::Write as _;

/// A score, higher for spam, and whether it was spam.
pub(super) type Scores = Vec<(f64, bool)>;

/// One filter's run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) filter: &'static str,
    pub(super) way: &'static str,
    /// The score from which the filter itself calls a message spam.
    pub(super) spam_from: f64,
    pub(super) scores: Scores,
    /// CPU seconds for 1,000 messages judged; with learning where the way is online.
    pub(super) cpu_seconds: f64,
    pub(super) peak_mib: Option<f64>,
}

/// A point of the ROC curve: parts of ham taken for spam, and of spam caught.
pub(super) struct Point {
    pub(super) false_alarms: f64,
    pub(super) caught: f64,
}

impl Run {
    /// The curve, from the strictest threshold on; equal scores are one step.
    pub(super) fn curve(&self) -> Vec<Point> {
        let mut scores = self.scores.clone();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let spam = scores.iter().filter(|score| score.1).count().max(1) as f64;
        let ham = (scores.len() as f64 - spam).max(1.0);
        let (mut caught, mut alarms) = (0.0, 0.0);
        let mut points = vec![Point { false_alarms: 0.0, caught: 0.0 }];
        for equal in scores.chunk_by(|a, b| a.0 == b.0) {
            let spam_here = equal.iter().filter(|score| score.1).count();
            caught += spam_here as f64;
            alarms += (equal.len() - spam_here) as f64;
            points.push(Point { false_alarms: alarms / ham, caught: caught / spam });
        }
        points
    }

    /// 1-ROCA: how often a ham scores above a spam, in per cent.
    pub(super) fn area_above(&self) -> f64 {
        let curve = self.curve();
        let areas = curve.windows(2).map(|pair| match pair {
            [a, b] => (b.false_alarms - a.false_alarms) * (1.0 - (a.caught + b.caught) / 2.0),
            _ => 0.0,
        });
        areas.sum::<f64>() * 100.0
    }

    /// What is missed in per cent where no more than this part of ham is taken for spam: TREC's sm% at hm%.
    pub(super) fn missed_at(&self, false_alarms: f64) -> f64 {
        let within = self.curve().into_iter().filter(|point| point.false_alarms <= false_alarms);
        (1.0 - within.map(|point| point.caught).fold(0.0, f64::max)) * 100.0
    }

    /// Ham taken for spam and spam missed, in per cent, where the filter itself draws the line: TREC's hm% and sm%.
    pub(super) fn mistakes(&self) -> (f64, f64) {
        let [ham, spam] = self.counted();
        (percent(ham), percent(spam))
    }

    /// The mean of both kinds of mistakes on the scale of log-odds, in per cent: TREC's lam%. Half a mistake is added to each, so
    /// that none at all has a value.
    pub(super) fn logistic_average(&self) -> f64 {
        let log_odds = |(mistakes, all): (usize, usize)| {
            let part = (mistakes as f64 + 0.5) / (all as f64 + 1.0);
            (part / (1.0 - part)).ln()
        };
        let [ham, spam] = self.counted().map(log_odds);
        100.0 / (1.0 + (-(ham + spam) / 2.0).exp())
    }

    /// Mistakes and messages, of ham and of spam.
    fn counted(&self) -> [(usize, usize); 2] {
        [false, true].map(|is_spam| {
            let kind = self.scores.iter().filter(|score| score.1 == is_spam);
            let wrong = kind.clone().filter(|score| (score.0 >= self.spam_from) != is_spam);
            (wrong.count(), kind.count())
        })
    }

    pub(super) fn line(&self) -> String {
        let peak = self.peak_mib.map_or_else(|| "–".to_owned(), |peak| format!("{peak:.0}"));
        let (low, high) = self.area_bounds();
        let (ham, spam) = self.mistakes();
        format!(
            "{:<13} {:<23} {:>7} {:>9.4} {:>15} {:>7.3} {:>7.2} {:>7.2} {:>8.2} {:>8.2} {:>12.3} {:>9}",
            self.filter,
            self.way,
            self.scores.len(),
            self.area_above(),
            format!("{low:.4}–{high:.4}"),
            self.logistic_average(),
            ham,
            spam,
            self.missed_at(0.001),
            self.missed_at(0.01),
            self.cpu_seconds,
            peak
        )
    }

    /// Where the area above the curve lies with 95 % certainty: of so many draws with replacement, the same each time, all but the
    /// lowest and the highest fortieth.
    fn area_bounds(&self) -> (f64, f64) {
        const DRAWS: usize = 200;
        let mut scores = self.scores.clone();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut areas: Vec<f64> = (0..DRAWS).map(|_| drawn_area(&scores, &mut random)).collect();
        areas.sort_by(f64::total_cmp);
        let at = |index: usize| areas.get(index).copied().unwrap_or_default();
        (at(DRAWS / 40), at(DRAWS - 1 - DRAWS / 40))
    }
}

/// The area above the curve in per cent, of as many messages drawn with replacement from these, which are sorted.
fn drawn_area(scores: &[(f64, bool)], random: &mut u64) -> f64 {
    let mut drawn = vec![0_u32; scores.len()];
    for _ in 0..scores.len() {
        // Marsaglia's xorshift.
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        if let Some(count) = drawn.get_mut((*random % scores.len() as u64) as usize) {
            *count += 1;
        }
    }
    let drawn: Vec<(f64, bool, f64)> = scores
        .iter()
        .zip(drawn)
        .map(|(&(score, is_spam), count)| (score, is_spam, f64::from(count)))
        .collect();
    let (mut caught, mut ham, mut inverted) = (0.0, 0.0, 0.0);
    for equal in drawn.chunk_by(|a, b| a.0 == b.0) {
        let sum = |of: bool| equal.iter().filter(|one| one.1 == of).map(|one| one.2).sum::<f64>();
        // Each ham here stands above all spam that is still to come.
        inverted -= sum(false) * (caught + sum(true) / 2.0);
        ham += sum(false);
        caught += sum(true);
    }
    if ham * caught > 0.0 { (inverted / caught + ham) / ham * 100.0 } else { 0.0 }
}

fn percent((mistakes, all): (usize, usize)) -> f64 {
    mistakes as f64 * 100.0 / all.max(1) as f64
}

pub(super) fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<13} {:<23} {:>7} {:>9} {:>15} {:>7} {:>7} {:>7} {:>8} {:>8} {:>12} {:>9}\n",
        "filter",
        "way",
        "judged",
        "1-ROCA %",
        "of 95 in 100",
        "lam %",
        "hm %",
        "sm %",
        "sm@0.1 %",
        "sm@1 %",
        "CPU s/1,000",
        "peak MiB"
    );
    for run in runs {
        let _ = writeln!(text, "{}", run.line());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scores: &[(f64, bool)]) -> Run {
        Run {
            filter: "x",
            way: "batch",
            spam_from: 1.5,
            scores: scores.to_vec(),
            cpu_seconds: 0.0,
            peak_mib: None,
        }
    }

    #[test]
    fn areas_and_catches_are_those_of_the_definition() {
        let perfect = run(&[(2.0, true), (1.0, true), (0.0, false), (-1.0, false)]);
        assert!(perfect.area_above().abs() < 1e-9);
        assert!(perfect.missed_at(0.0).abs() < 1e-9);
        let blind = run(&[(1.0, true), (1.0, false), (1.0, true), (1.0, false)]);
        assert!((blind.area_above() - 50.0).abs() < 1e-9);
        assert!((blind.missed_at(0.5) - 100.0).abs() < 1e-9);
        let one_wrong = run(&[(3.0, true), (2.0, false), (1.0, true), (0.0, false)]);
        assert!((one_wrong.area_above() - 25.0).abs() < 1e-9);
        assert!((one_wrong.missed_at(0.1) - 50.0).abs() < 1e-9);
        assert!(one_wrong.missed_at(0.5).abs() < 1e-9);
    }

    #[test]
    fn mistakes_are_counted_where_the_filter_draws_the_line() {
        let run = run(&[(3.0, true), (2.0, false), (1.5, true), (1.0, true), (0.0, false), (0.0, false)]);
        let (ham, spam) = run.mistakes();
        assert!((ham - 100.0 / 3.0).abs() < 1e-9 && (spam - 100.0 / 3.0).abs() < 1e-9, "{ham} {spam}");
        // (1 + 0.5) / (3 + 1) of both kinds.
        assert!((run.logistic_average() - 37.5).abs() < 1e-9, "{}", run.logistic_average());
    }

    #[test]
    fn the_area_lies_within_its_bounds() {
        let scores: Vec<(f64, bool)> = (0..400)
            .map(|number| (f64::from(number * 7 % 400) + f64::from(number % 2) * 150.0, number % 2 == 1))
            .collect();
        let run = run(&scores);
        let (low, high) = run.area_bounds();
        assert!(low < run.area_above() && run.area_above() < high, "{low} {} {high}", run.area_above());
        assert!(low > 0.5 * run.area_above() && high < 2.0 * run.area_above(), "{low} {high}");
    }
}
