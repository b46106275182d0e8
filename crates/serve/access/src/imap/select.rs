//! SELECT and EXAMINE: opening a mailbox, and bringing a client that comes back up to date (RFC 9051 §6.3.2,
//! RFC 7162 §3.2.5).

use imap::Dialect;
use imap::command::{Opening, Qresync, Select};
use imap::response::{self, Code, Condition, FetchResponse, ListAttributes, ListEntry, Vanished};
use mail_types::{SystemFlag, Uid, UidSet};
use mailstore::MailboxInfo;
use platform::lines::Wire;

use super::person::{Person, Selected};
use super::replies::{Done, DoneCode, Refusal, Stop};
use super::{list, updates};

/// SELECT or EXAMINE.
pub(crate) async fn select(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: Select,
) -> Result<Done, Stop> {
    if arguments.qresync.is_some() && !person.enabled.qresync {
        return Err(Refusal::Senseless("Say ENABLE QRESYNC first").into());
    }
    // Held until the new one is open: selecting the same mailbox again then costs no look at the disk.
    let previous = person.selected.take();
    if previous.is_some() {
        // What follows is about another mailbox, also when this one cannot be opened (RFC 9051 §6.3.2).
        response::write_untagged(
            wire.output(),
            Condition::Ok,
            Some(&Code::Closed),
            "Previous mailbox closed",
        );
    }
    person.enabled.condstore |= arguments.condstore;

    let mailbox = person.mailbox(&arguments.mailbox).await?;
    // Watched before the view is taken: no change can fall between the two.
    let mut changes = person.account.watch();
    changes.borrow_and_update();
    let view = person.account.open_mailbox(mailbox.id).await?;
    drop(previous);
    let selected = Selected {
        mailbox: mailbox.id,
        opening: arguments.opening,
        keywords_told: view.keywords().len(),
        view,
        saved: UidSet::new(),
        changes,
        owes_expunges: None,
    };
    describe(wire.output(), dialect, person, &selected, &mailbox);
    if let Some(known) = &arguments.qresync {
        resynchronise(wire, dialect, person, &selected, known).await?;
    }
    person.selected = Some(Box::new(selected));
    Ok(match arguments.opening {
        Opening::ReadWrite => Done::with(DoneCode::ReadWrite, "SELECT completed"),
        Opening::ReadOnly => Done::with(DoneCode::ReadOnly, "EXAMINE completed"),
    })
}

/// The responses that every SELECT gives.
fn describe(
    out: &mut Vec<u8>,
    dialect: Dialect,
    person: &Person,
    selected: &Selected,
    mailbox: &MailboxInfo,
) {
    let view = &selected.view;
    updates::write_keywords(out, view, selected.opening);
    response::write_exists(out, view.messages());
    if !person.enabled.rev2 {
        // RFC 3501 §6.3.1 asks for both; IMAP4rev2 has dropped them.
        response::write_recent(out, 0);
        if let Some((number, _)) = view.iter().find(|(_, entry)| !entry.flags.has(SystemFlag::Seen)) {
            let code = Code::Unseen(number);
            response::write_untagged(out, Condition::Ok, Some(&code), "First unseen message");
        }
    }
    let codes = [
        (Code::UidValidity(view.uid_validity()), "UIDs are valid"),
        (Code::UidNext(view.uid_next()), "Next UID"),
        (Code::HighestModSeq(view.highest_modseq()), "Highest mod-sequence"),
        (Code::MailboxId(selected.mailbox), "Mailbox id"),
    ];
    for (code, text) in &codes {
        response::write_untagged(out, Condition::Ok, Some(code), text);
    }
    if person.enabled.rev2 {
        let attributes = ListAttributes { special_use: mailbox.special_use, ..ListAttributes::default() };
        response::write_list(out, &ListEntry { attributes, ..list::entry(&mailbox.name) }, dialect);
    }
}

/// What changed since the client was last here: who vanished, then whose flags changed.
async fn resynchronise(
    wire: &mut Wire,
    dialect: Dialect,
    person: &Person,
    selected: &Selected,
    known: &Qresync,
) -> Result<(), Stop> {
    let view = &selected.view;
    if known.uid_validity != view.uid_validity() {
        return Ok(());
    }
    let vanished = person.account.vanished_since(selected.mailbox, known.mod_seq).await?;
    let vanished = of_interest(selected, known, &vanished);
    response::write_vanished(wire.output(), Vanished::Earlier, &vanished);
    for (number, entry) in view.iter() {
        let is_known = known.known_uids.as_ref().is_none_or(|uids| uids.contains(entry.uid));
        if entry.modseq <= known.mod_seq || !is_known {
            continue;
        }
        let out = wire.output();
        let mut fetched = FetchResponse::start(out, number, dialect);
        fetched.uid(out, entry.uid);
        fetched.flags(out, entry.flags, view.keywords());
        fetched.mod_seq(out, entry.modseq);
        fetched.finish(out);
        wire.relieve().await?;
    }
    Ok(())
}

/// Those of the vanished that the client can have known: within the UIDs it names, below UIDNEXT, not here (a
/// change after the view was taken is told later), and above the last of its samples that still holds
/// (RFC 7162 §3.2.5.2).
fn of_interest(selected: &Selected, known: &Qresync, vanished: &UidSet) -> UidSet {
    let view = &selected.view;
    let floor = known.samples.as_ref().map_or(0, |samples| {
        let pairs = ranges_in_step(samples.numbers.ranges(), samples.uids.ranges(), view.messages());
        let holding =
            pairs.filter(|&(number, uid)| view.entry(number).is_some_and(|entry| entry.uid == Uid(uid)));
        holding.last().map_or(0, |(_, uid)| uid)
    });
    let ceiling = view.uid_next().0.saturating_sub(1);
    let first = floor.saturating_add(1);
    let within = intersect(vanished.ranges(), &[(first, ceiling)]);
    let within = match &known.known_uids {
        Some(uids) => intersect(within.ranges(), uids.ranges()),
        None => within,
    };
    subtract(&within, view.uids().ranges())
}

/// Sequence numbers with the UIDs that they had, pair by pair, no more than a mailbox of `most` messages can have:
/// a range of the client's may span four thousand million.
fn ranges_in_step<'a>(
    numbers: &'a [(u32, u32)],
    uids: &'a [(u32, u32)],
    most: u32,
) -> impl Iterator<Item = (u32, u32)> + 'a {
    let open = |&(first, last): &(u32, u32)| first..=last;
    let pairs = numbers.iter().flat_map(open).zip(uids.iter().flat_map(open));
    pairs.take_while(move |&(number, _)| number <= most)
}

/// The numbers in both of two ascending lists of ranges.
pub(crate) fn intersect(one: &[(u32, u32)], other: &[(u32, u32)]) -> UidSet {
    let (mut a, mut b) = (one.iter().copied().peekable(), other.iter().copied().peekable());
    let mut both = Vec::new();
    while let (Some(&(a_first, a_last)), Some(&(b_first, b_last))) = (a.peek(), b.peek()) {
        let (first, last) = (a_first.max(b_first), a_last.min(b_last));
        if first <= last {
            both.push((first, last));
        }
        if a_last <= b_last {
            a.next();
        } else {
            b.next();
        }
    }
    UidSet::from_ranges(both)
}

/// The numbers of an ascending set that are not in an ascending list of ranges.
pub(crate) fn subtract(set: &UidSet, without: &[(u32, u32)]) -> UidSet {
    let mut left = Vec::new();
    let mut without = without.iter().copied().peekable();
    for &(start, last) in set.ranges() {
        let mut first = u64::from(start);
        while without.next_if(|&(_, end)| end < start).is_some() {}
        while let Some(&(gap_first, gap_last)) = without.peek().filter(|&&(gap_first, _)| gap_first <= last) {
            if first < u64::from(gap_first) {
                left.push((first as u32, gap_first - 1));
            }
            first = u64::from(gap_last) + 1;
            if gap_last > last {
                break;
            }
            without.next();
        }
        if first <= u64::from(last) {
            left.push((first as u32, last));
        }
    }
    UidSet::from_ranges(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> UidSet {
        UidSet::from_ranges(ranges.iter().copied())
    }

    #[test]
    fn sets_meet() {
        let both = intersect(&[(1, 5), (8, 10), (20, 20)], &[(4, 9), (19, u32::MAX)]);
        assert_eq!(both.to_string(), "4:5,8:9,20");
        assert!(intersect(&[(1, 5)], &[]).is_empty());
    }

    #[test]
    fn sets_part() {
        assert_eq!(subtract(&set(&[(1, 10)]), &[(3, 4), (6, 6), (10, 12)]).to_string(), "1:2,5,7:9");
        assert_eq!(subtract(&set(&[(1, 2), (5, 6)]), &[(2, 5)]).to_string(), "1,6");
        assert_eq!(subtract(&set(&[(1, 2), (5, 6)]), &[(1, u32::MAX)]).to_string(), "");
        assert_eq!(
            subtract(&set(&[(7, u32::MAX)]), &[(1, 3), (u32::MAX, u32::MAX)]).to_string(),
            "7:4294967294"
        );
    }

    #[test]
    fn samples_pair_up_and_are_bounded() {
        let pairs: Vec<_> =
            ranges_in_step(&[(1, 2), (5, u32::MAX)], &[(10, 10), (20, u32::MAX)], 6).collect();
        assert_eq!(pairs, [(1, 10), (2, 20), (5, 21), (6, 22)]);
    }
}
