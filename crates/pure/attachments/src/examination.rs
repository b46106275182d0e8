//! The state of one message's examination that all its readers share: what was found, and what is left of the bounds.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::allowance::{Lease, WindowAllowance};
use crate::hash_list::HashList;
use crate::limits::{DEPTH_MAX, Limits, RATIO_FREE_OCTETS};
use crate::name::extension;
use crate::policy::{Class, Policy};
use crate::report::{Finding, Report};

/// What messages are held against: bounds, what follows from findings, and lists of known content.
#[derive(Debug, Default)]
pub struct Rules {
    /// How far is looked.
    pub limits: Limits,
    /// What follows from findings.
    pub policy: Policy,
    /// Known content; anything on one of them is a [`Class::Listed`].
    pub lists: Vec<HashList>,
    /// What windows of all messages may hold that are held against these rules at a time.
    pub windows: WindowAllowance,
}

#[derive(Debug)]
pub(crate) struct Examination {
    pub(crate) rules: Arc<Rules>,
    pub(crate) limits: Limits,
    report: Report,
    parts: usize,
    entries: usize,
    starts: usize,
    windows: Arc<AtomicUsize>,
}

/// What is said where archives become too much.
pub(crate) const BECOMES_TOO_MUCH: &str = "becomes more than is unpacked of one message";

/// Why something was not looked into to its end.
pub(crate) type Ending = (Class, String);

/// Packed things that are no entries of an archive and are looked into: members of a gzip file, streams of a PDF, macro
/// modules. Each costs what it takes to begin, however short it is.
const STARTS_MAX: usize = 8_192;

impl Examination {
    pub(crate) fn new(rules: Arc<Rules>) -> Examination {
        let limits = Limits { depth_max: rules.limits.depth_max.min(DEPTH_MAX), ..rules.limits };
        let windows = Arc::default();
        Examination { rules, limits, report: Report::default(), parts: 0, entries: 0, starts: 0, windows }
    }

    /// Notes a finding, unless it is what the name of the place promises and that is allowed. Of one class at one place the
    /// first stays.
    pub(crate) fn find(&mut self, class: Class, place: &[String], words: impl Into<String>) {
        let action = self.rules.policy.action(class);
        if place.last().is_some_and(|name| self.rules.policy.allows(&extension(name), class)) {
            return;
        }
        if self.report.findings.iter().any(|known| known.class == class && known.place == place) {
            return;
        }
        let finding = Finding { class, action, place: place.to_vec(), words: words.into() };
        if self.report.findings.len() < self.limits.findings_max {
            self.report.findings.push(finding);
            return;
        }
        self.report.findings_left_out += 1;
        let mildest = self.report.findings.iter_mut().min_by_key(|known| known.action);
        if let Some(mildest) = mildest.filter(|known| known.action < action) {
            *mildest = finding;
        }
    }

    /// Whether one more body part may be taken apart; counts it.
    pub(crate) fn count_part(&mut self) -> bool {
        let has_room = self.parts < self.limits.parts_max;
        self.parts += usize::from(has_room);
        has_room
    }

    pub(crate) fn has_room_for_part(&self) -> bool {
        self.parts < self.limits.parts_max
    }

    /// Whether one more entry of an archive may be looked at; counts it.
    pub(crate) fn count_entry(&mut self) -> bool {
        let has_room = self.entries < self.limits.entries_max;
        self.entries += usize::from(has_room);
        has_room
    }

    /// Whether one more of what is packed and no entry may be looked into; counts it.
    pub(crate) fn count_start(&mut self) -> bool {
        let has_room = self.starts < STARTS_MAX;
        self.starts += usize::from(has_room);
        has_room
    }

    /// Memory for windows, of which nothing is taken yet.
    pub(crate) fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.rules), Arc::clone(&self.windows))
    }

    pub(crate) fn count_content(&mut self) {
        self.report.contents += 1;
    }

    /// How many of these octets may still be expanded; counts them.
    pub(crate) fn count_expanded(&mut self, octets: usize) -> usize {
        let room = self.limits.expanded_octets_max.saturating_sub(self.report.expanded_octets);
        let granted = usize::try_from(room).unwrap_or(usize::MAX).min(octets);
        self.report.expanded_octets += granted as u64;
        granted
    }

    /// Whether anything more may be expanded.
    pub(crate) fn may_expand(&self) -> bool {
        self.report.expanded_octets < self.limits.expanded_octets_max
    }

    /// Counts what was unpacked; what is to be said where it is more than may be.
    pub(crate) fn end_of_expanded(&mut self, octets: usize) -> Option<Ending> {
        let is_too_much = self.count_expanded(octets) < octets;
        is_too_much.then(|| (Class::Incomplete, BECOMES_TOO_MUCH.to_owned()))
    }

    /// What is to be said where so much becomes far more.
    pub(crate) fn end_of_ratio(&self, packed_octets: u64, unpacked_octets: u64) -> Option<Ending> {
        let times = self.limits.ratio_max;
        let is_bomb = unpacked_octets > packed_octets.saturating_mul(times).max(RATIO_FREE_OCTETS);
        let words = || format!("becomes more than {times} times as long when it is unpacked");
        is_bomb.then(|| (Class::Bomb, words()))
    }

    pub(crate) fn finish(mut self) -> Report {
        self.report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.action));
        self.report
    }
}
