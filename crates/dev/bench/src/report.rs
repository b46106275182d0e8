//! The figures, and how many times better or worse they are.

use std::fmt::Write as _;

/// Whether more is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Better {
    More,
    Less,
}

#[derive(Debug)]
struct Figure {
    work: String,
    peer: String,
    value: f64,
    unit: &'static str,
    better: Better,
}

/// Everything measured in one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

/// Our own name in the columns; ratios are ours to everybody else's.
pub(crate) const OURS: &str = "mailstead";

impl Report {
    /// Notes a figure, and tells whoever watches.
    pub(crate) fn add(&mut self, work: &str, peer: &str, value: f64, unit: &'static str, better: Better) {
        eprintln!("{work}: {peer}: {value:.3} {unit}");
        self.figures.push(Figure { work: work.to_owned(), peer: peer.to_owned(), value, unit, better });
    }

    fn ours(&self, work: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.work == work && figure.peer == OURS)
            .map(|figure| figure.value)
    }

    /// How many times better we are; below 1 is worse.
    fn ratio(&self, figure: &Figure) -> Option<f64> {
        let ours = self.ours(&figure.work)?;
        (figure.peer != OURS).then(|| match figure.better {
            Better::More => ours / figure.value,
            Better::Less => figure.value / ours,
        })
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut told: Vec<&str> = Vec::new();
        for Figure { work, .. } in &self.figures {
            if told.contains(&work.as_str()) {
                continue;
            }
            told.push(work);
            let _ = writeln!(text, "{work}");
            for figure in self.figures.iter().filter(|figure| figure.work == *work) {
                let _ = write!(text, "    {:<26} {:>12.3} {}", figure.peer, figure.value, figure.unit);
                if let Some(ratio) = self.ratio(figure) {
                    let _ = write!(text, " (mailstead: {ratio:.2} times as good)");
                }
                text.push('\n');
            }
        }
        text
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        self.figures
            .iter()
            .map(|figure| {
                serde_json::json!({
                    "work": figure.work,
                    "peer": figure.peer,
                    "value": figure.value,
                    "unit": figure.unit,
                    "times_as_good": self.ratio(figure),
                })
            })
            .collect()
    }
}
