//! What the scores of a filter are worth: the area above the ROC curve, and what is caught at a bound of false alarms.

use std::fmt::Write as _;

/// A score, higher for spam, and whether it was spam.
pub(super) type Scores = Vec<(f64, bool)>;

/// One filter's run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) filter: &'static str,
    pub(super) way: &'static str,
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

    /// What is caught in per cent where no more than this part of ham is taken for spam.
    pub(super) fn caught_at(&self, false_alarms: f64) -> f64 {
        let within = self.curve().into_iter().filter(|point| point.false_alarms <= false_alarms);
        within.map(|point| point.caught).fold(0.0, f64::max) * 100.0
    }

    pub(super) fn line(&self) -> String {
        let peak = self.peak_mib.map_or_else(|| "–".to_owned(), |peak| format!("{peak:.0}"));
        format!(
            "{:<14} {:<8} {:>9.4} {:>9.2} {:>9.2} {:>12.3} {:>9}",
            self.filter,
            self.way,
            self.area_above(),
            self.caught_at(0.001),
            self.caught_at(0.01),
            self.cpu_seconds,
            peak
        )
    }
}

pub(super) fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<14} {:<8} {:>9} {:>9} {:>9} {:>12} {:>9}\n",
        "filter", "way", "1-ROCA %", "at 0.1 %", "at 1 %", "CPU s/1,000", "peak MiB"
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
        Run { filter: "x", way: "batch", scores: scores.to_vec(), cpu_seconds: 0.0, peak_mib: None }
    }

    #[test]
    fn areas_and_catches_are_those_of_the_definition() {
        let perfect = run(&[(2.0, true), (1.0, true), (0.0, false), (-1.0, false)]);
        assert!(perfect.area_above().abs() < 1e-9);
        assert!((perfect.caught_at(0.0) - 100.0).abs() < 1e-9);
        let blind = run(&[(1.0, true), (1.0, false), (1.0, true), (1.0, false)]);
        assert!((blind.area_above() - 50.0).abs() < 1e-9);
        assert!(blind.caught_at(0.5).abs() < 1e-9);
        let one_wrong = run(&[(3.0, true), (2.0, false), (1.0, true), (0.0, false)]);
        assert!((one_wrong.area_above() - 25.0).abs() < 1e-9);
        assert!((one_wrong.caught_at(0.1) - 50.0).abs() < 1e-9);
        assert!((one_wrong.caught_at(0.5) - 100.0).abs() < 1e-9);
    }
}
