//! What is counted of strangers who are judged.

use platform::metrics::{Counter, Metrics};

/// Why a stranger's mail is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    List,
    Points,
    EarlyTalker,
    Hello,
    OwnDomain,
    Network,
    Rate,
}

#[derive(Debug)]
pub(crate) struct Counts {
    list: Counter,
    points: Counter,
    early_talker: Counter,
    hello: Counter,
    own_domain: Counter,
    network: Counter,
    rate: Counter,
    pub(crate) early_talkers: Counter,
    pub(crate) greylisted: Counter,
    pub(crate) came_again: Counter,
    pub(crate) trapped: Counter,
    pub(crate) unknown_slowed: Counter,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let refused = |reason| {
            let help = "Connections and recipients of strangers that were refused before content, by reason.";
            metrics.counter("mailstead_screen_refused_total", help, &[("reason", reason)])
        };
        let greylist = |outcome| {
            let help = "Suspicious strangers who were asked to come again, and those who have.";
            metrics.counter("mailstead_screen_greylist_total", help, &[("outcome", outcome)])
        };
        Self {
            list: refused("list"),
            points: refused("points"),
            early_talker: refused("early_talker"),
            hello: refused("hello"),
            own_domain: refused("own_domain"),
            network: refused("network"),
            rate: refused("rate"),
            early_talkers: metrics.counter(
                "mailstead_screen_early_talkers_total",
                "Connections of strangers who spoke out of turn.",
                &[],
            ),
            greylisted: greylist("asked"),
            came_again: greylist("came_again"),
            trapped: metrics.counter(
                "mailstead_screen_trapped_total",
                "Recipients that are traps, as strangers named them.",
                &[],
            ),
            unknown_slowed: metrics.counter(
                "mailstead_screen_unknown_slowed_total",
                "Unknown recipients named by strangers whose wanted mail outweighs them: slowed, not counted for a ban.",
                &[],
            ),
        }
    }

    pub(crate) fn refused(&self, why: Refused) {
        match why {
            Refused::List => &self.list,
            Refused::Points => &self.points,
            Refused::EarlyTalker => &self.early_talker,
            Refused::Hello => &self.hello,
            Refused::OwnDomain => &self.own_domain,
            Refused::Network => &self.network,
            Refused::Rate => &self.rate,
        }
        .increment();
    }
}
