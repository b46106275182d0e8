//! What a purge wrote once more is read again after a crash, when what it says is long over: stories that the histories
//! drawn beside found.

use super::{Pair, Places, Step};

/// Whether the index is as the model, which reads nothing twice, after all this.
fn tell(story: &[Step]) {
    let mut pair = Pair::new();
    story.iter().for_each(|step| pair.step(step).unwrap());
    pair.apply().unwrap();
    pair.compare(&pair.sqlite, Places::Same).unwrap();
    pair.compare_rebuilt().unwrap();
}

/// A change that is in the log before what a purge writes, but applied only after it.
const UNDER_WAY: Step = Step::Subscribe { name: 3, is_subscribed: true };

#[test]
fn an_unsubscribed_name_is_not_subscribed_again() {
    let subscribe = Step::Subscribe { name: 2, is_subscribed: true };
    let unsubscribe = Step::Subscribe { name: 2, is_subscribed: false };
    tell(&[subscribe, unsubscribe, Step::Purge { keep: 0 }, Step::Replay]);
}

#[test]
fn a_forgotten_mailbox_does_not_come_back() {
    tell(&[
        Step::Create { name: 1, use_number: 0 },
        Step::Deliver { mailbox: 0, links: vec![1], subject: 7 },
        Step::Delete { mailbox: 0 },
        UNDER_WAY,
        Step::Purge { keep: 3 },
        Step::Forget { age: 0 },
        Step::Replay,
    ]);
}

#[test]
fn a_forgotten_message_takes_no_room_again() {
    tell(&[
        Step::Create { name: 1, use_number: 0 },
        Step::Deliver { mailbox: 0, links: vec![1], subject: 7 },
        Step::Expunge { mailbox: 0, first: 1, count: 0 },
        UNDER_WAY,
        Step::Purge { keep: 1 },
        Step::Forget { age: 0 },
        Step::Replay,
    ]);
}
