//! What is thought of a message in the end: the hits of all rules, their sum, and the grade that follows from it.

use std::collections::HashSet;

use mail_types::DomainName;

use crate::hit::Hit;
use crate::judgement::Judgement;

/// Hits of one verdict; of more those that weigh most are kept.
pub const HITS_MAX: usize = 200;

/// Scores at which something follows. The defaults are those that many small servers know from SpamAssassin behind amavis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// From here on header fields tell the score.
    pub tag: f32,
    /// From here on it is called unwanted.
    pub tag2: f32,
    /// From here on nobody shall have to look at it.
    pub kill: f32,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { tag: 2.0, tag2: 6.31, kill: 10.0 }
    }
}

/// What a score means at given thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing to tell.
    Clean,
    /// Header fields tell the score.
    Tagged,
    /// Unwanted: marked, filed as junk.
    Unwanted,
    /// So unwanted that it is kept from people.
    Killed,
}

/// What is thought of a message, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    hits: Vec<Hit>,
    score: f32,
    judgement: Option<Judgement>,
    links: Vec<DomainName>,
}

impl Verdict {
    /// Adds hits up. A rule counts once: of hits with one name the first counts.
    pub fn new(judgement: Option<Judgement>, mut hits: Vec<Hit>) -> Verdict {
        let mut seen = HashSet::new();
        hits.retain(|hit| seen.insert(hit.name().to_owned()));
        hits.sort_by(|a, b| {
            b.points().abs().total_cmp(&a.points().abs()).then_with(|| a.name().cmp(b.name()))
        });
        hits.truncate(HITS_MAX);
        // The same hits give the same sum in whatever order they were found.
        let score = hits.iter().map(|hit| f64::from(hit.points())).sum::<f64>() as f32;
        Verdict { hits, score, judgement, links: Vec::new() }
    }

    /// The verdict on a message whose links lead to these domains.
    pub(crate) fn leading_to(self, links: Vec<DomainName>) -> Verdict {
        Verdict { links, ..self }
    }

    /// The domains that somebody has registered to which the message's links lead, each once: lists of domains can be asked for them.
    pub fn links(&self) -> &[DomainName] {
        &self.links
    }

    /// The same for somebody for whom other hits count: one takes the place of that of its name, one without points takes it away.
    pub fn with(&self, own: &[Hit]) -> Verdict {
        if own.is_empty() {
            return self.clone();
        }
        let mut hits = own.to_vec();
        let is_own = |hit: &&Hit| own.iter().any(|other| other.name() == hit.name());
        hits.extend(self.hits.iter().filter(|hit| !is_own(hit)).cloned());
        hits.retain(|hit| hit.points() != 0.0 || !is_own(&hit));
        Verdict::new(self.judgement, hits).leading_to(self.links.clone())
    }

    /// The sum of all points.
    pub fn score(&self) -> f32 {
        self.score
    }

    /// The rules that fired, those that weigh most first.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// What the statistical models thought, where they were asked.
    pub fn judgement(&self) -> Option<Judgement> {
        self.judgement
    }

    /// What the score means.
    pub fn grade(&self, thresholds: &Thresholds) -> Grade {
        let reaches = |threshold: f32| reaches(self.score, threshold);
        if reaches(thresholds.kill) {
            Grade::Killed
        } else if reaches(thresholds.tag2) {
            Grade::Unwanted
        } else if reaches(thresholds.tag) {
            Grade::Tagged
        } else {
            Grade::Clean
        }
    }
}

/// Whether a score reaches a threshold. What is shown as reaching it does: scores count in tenths of a tenth.
pub fn reaches(score: f32, threshold: f32) -> bool {
    hundredths(score) >= hundredths(threshold)
}

/// Sums of floating-point numbers are off by little: 6.31 in parts is 6.31.
fn hundredths(score: f32) -> i64 {
    (f64::from(score) * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(points: &[f32]) -> Verdict {
        let hits =
            points.iter().enumerate().map(|(index, &points)| Hit::new(&format!("R{index}"), points, ""));
        Verdict::new(None, hits.collect())
    }

    #[test]
    fn what_counts_for_somebody_takes_the_place_of_what_counts_for_all() {
        let own = [Hit::new("R1", -3.0, ""), Hit::new("MINE", 0.5, ""), Hit::new("R2", 0.0, "")];
        let theirs = verdict(&[4.0, 1.0, 2.0, 0.0]).with(&own);
        let told: Vec<_> = theirs.hits().iter().map(|hit| (hit.name(), hit.points())).collect();
        assert_eq!(told, [("R0", 4.0), ("R1", -3.0), ("MINE", 0.5), ("R3", 0.0)]);
        assert_eq!(theirs.score(), 1.5);
        assert_eq!(verdict(&[4.0]).with(&[]), verdict(&[4.0]));
    }

    #[test]
    fn grades_begin_at_their_thresholds() {
        let grade = |points: &[f32]| verdict(points).grade(&Thresholds::default());
        assert_eq!(grade(&[]), Grade::Clean);
        assert_eq!(grade(&[1.99]), Grade::Clean);
        assert_eq!(grade(&[2.0]), Grade::Tagged);
        assert_eq!(grade(&[6.3]), Grade::Tagged);
        assert_eq!(grade(&[0.1, 0.21, 6.0]), Grade::Unwanted);
        assert_eq!(grade(&[9.99]), Grade::Unwanted);
        assert_eq!(grade(&[3.3, 3.3, 3.4]), Grade::Killed);
        assert_eq!(grade(&[20.0, -12.0]), Grade::Unwanted);
    }

    #[test]
    fn a_rule_counts_once_and_hits_are_bounded() {
        let twice = Verdict::new(None, vec![Hit::new("A", 1.0, "first"), Hit::new("A", 3.0, "second")]);
        assert_eq!((twice.score(), twice.hits().len()), (1.0, 1));
        for (given, kept) in [(HITS_MAX - 1, HITS_MAX - 1), (HITS_MAX, HITS_MAX), (HITS_MAX + 1, HITS_MAX)] {
            assert_eq!(verdict(&vec![0.01; given]).hits().len(), kept);
        }
    }
}
