//! From acceptance to the last recipient.

use std::time::Duration;

use queue::{
    ConnectionEnd, NewEntry, NewReport, ParcelOutcome, Priority, QueueError, RECIPIENTS_MAX,
    RecipientOutcome, ReportTo, Settings,
};

use crate::house::{
    ANN, House, arriving, deferred, domain, filing, later, new_message, now, number, octets, recipient,
    relayed, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_out_at_once_and_leaves_nothing_behind() {
    let house = House::new();
    let new = new_message(&house.clock, &["ben@example.net"]);
    let id = house.accept(new.clone()).await;
    let mut lease = house.lease().await.unwrap();
    assert_eq!(lease.destination(), &domain("example.net"));
    let parcel = lease.next().await.unwrap();
    assert_eq!((parcel.id(), parcel.message(), parcel.attempts()), (id, &new, 0));
    assert_eq!(octets(&parcel).await, text(&new));
    assert_eq!(parcel.octets(), text(&new).len() as u64);
    let outcome =
        ParcelOutcome { recipients: vec![(number(0), RecipientOutcome::Relayed)], reports: Vec::new() };
    lease.settle(parcel, outcome).await.unwrap();
    assert!(lease.next().await.is_none());
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
    let stats = house.queue.stats().await.unwrap();
    assert_eq!((stats.messages, stats.destinations, stats.in_memory, stats.connections), (0, 0, 0, 0));
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_filing_and_queueing_are_one_write() {
    let house = House::new();
    house.store.account(ANN).await.unwrap();
    let before = house.store.stats().await.unwrap().entries;
    let new = new_message(&house.clock, &["ben@example.net"]);
    let message = arriving(&house.store, &text(&new)).await;
    let (_, answers) = house.queue.accept(message, new, vec![filing()]).await.unwrap();
    assert!(matches!(answers[..], [Ok(_)]));
    assert_eq!(house.store.stats().await.unwrap().entries, before + 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_messages_are_taken_together_or_not_at_all() {
    let house = House::new();
    let new = || new_message(&house.clock, &["ben@example.net"]);
    let message = async || arriving(&house.store, &text(&new())).await;
    let entries = vec![
        NewEntry { message: message().await, queued: None, filings: vec![filing(), filing()] },
        NewEntry { message: message().await, queued: Some(new()), filings: Vec::new() },
        NewEntry { message: message().await, queued: Some(new()), filings: vec![filing()] },
    ];
    let answers = house.queue.accept_all(entries).await.unwrap();
    let shapes: Vec<_> = answers.iter().map(|(accepted, filed)| (accepted.is_some(), filed.len())).collect();
    assert_eq!(shapes, [(false, 2), (true, 0), (true, 1)]);
    assert!(answers.iter().flat_map(|(_, filed)| filed).all(Result::is_ok));
    // One that breaks a bound keeps all of them out.
    let nobody = new_message(&house.clock, &[]);
    let entries = vec![
        NewEntry { message: message().await, queued: Some(new()), filings: vec![filing()] },
        NewEntry { message: message().await, queued: Some(nobody), filings: Vec::new() },
    ];
    assert!(matches!(house.queue.accept_all(entries).await, Err(QueueError::Invalid(_))));
    let crashed = house.crashed();
    // Who asks at once may come before the log has been read.
    crashed.pass(Duration::ZERO).await;
    assert_eq!(crashed.send(&relayed).await.len(), 2);
    let account = crashed.store.account(ANN).await.unwrap();
    assert_eq!(account.quota_usage().messages, 2);
    crashed.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_travel_by_destination_and_end_one_by_one() {
    let house = House::new();
    let recipients = ["a@one.example", "b@two.example", "c@one.example"];
    house.accept(new_message(&house.clock, &recipients)).await;
    let answer = |_: &queue::Parcel, address: &str| match address {
        "c@one.example" => RecipientOutcome::Deferred(later()),
        _ => RecipientOutcome::Relayed,
    };
    let mut sent = house.send(&answer).await;
    sent.sort_by_key(|line| line.split(' ').nth(1).unwrap().to_owned());
    assert_eq!(sent.len(), 3);
    assert!(house.lease().await.is_none());
    house.pass(Duration::from_secs(70)).await;
    let sent = house.send(&relayed).await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].ends_with("c@one.example"));
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn higher_priority_goes_first_then_fresh_before_old() {
    let house = House::new();
    let message = |priority| queue::NewMessage {
        priority: Priority::new(priority).unwrap(),
        ..new_message(&house.clock, &["ben@example.net"])
    };
    let old = house.accept(message(0)).await;
    house.send(&deferred).await;
    house.clock.advance(Duration::from_secs(70));
    let (fresh, low, high) =
        (house.accept(message(0)).await, house.accept(message(-4)).await, house.accept(message(4)).await);
    house.queue.look().await.unwrap();
    let order: Vec<String> = house.send(&relayed).await;
    let expected = [high, fresh, old, low].map(|id| format!("{} ben@example.net", id.to_text()));
    assert_eq!(order, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_is_dropped_comes_back() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    let mut lease = house.lease().await.unwrap();
    drop(lease.next().await.unwrap());
    let parcel = lease.next().await.unwrap();
    assert_eq!((parcel.id(), parcel.attempts()), (id, 0));
    // What is not named was not tried.
    lease.settle(parcel, ParcelOutcome::default()).await.unwrap();
    assert_eq!(lease.next().await.unwrap().id(), id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_grow_with_success_and_are_bounded() {
    let settings = Settings { connections_max: 3, destination_connections_max: 2, ..Settings::default() };
    let house = House::with(settings);
    for number in 0..10 {
        house.accept(new_message(&house.clock, &[&format!("u{number}@one.example")])).await;
        house.accept(new_message(&house.clock, &[&format!("u{number}@two.example")])).await;
    }
    let leases = [house.lease().await, house.lease().await, house.lease().await];
    let mut destinations: Vec<_> =
        leases.iter().flatten().map(|lease| lease.destination().to_string()).collect();
    destinations.sort();
    assert_eq!(destinations, ["one.example", "one.example", "two.example"]);
    assert!(house.lease().await.is_none(), "three connections are all");
    let [first, ..] = leases;
    first.unwrap().end(ConnectionEnd::Reached);
    assert!(house.lease().await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_do_not_answer_leave_connections_to_others() {
    let settings = Settings { connections_max: 4, ..Settings::default() };
    let house = House::with(settings);
    for number in 0..6 {
        house.accept(new_message(&house.clock, &[&format!("u@dead{number}.example")])).await;
    }
    while let Some(lease) = house.lease().await {
        lease.end(ConnectionEnd::Unreachable(later()));
    }
    house.pass(Duration::from_secs(70)).await;
    let troubled = [house.lease().await, house.lease().await, house.lease().await];
    assert_eq!(troubled.iter().flatten().count(), 2, "half of the connections at most");
    house.accept(new_message(&house.clock, &["ben@alive.example"])).await;
    assert_eq!(house.lease().await.unwrap().destination(), &domain("alive.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_gets_the_next_message() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    let mut lease = house.lease().await.unwrap();
    drop(lease.next().await.unwrap());
    let parcel = lease.next().await.unwrap();
    let relay =
        || ParcelOutcome { recipients: vec![(number(0), RecipientOutcome::Relayed)], reports: Vec::new() };
    lease.settle(parcel, relay()).await.unwrap();
    let (next, id) = tokio::join!(
        lease.next_within(Duration::from_secs(60)),
        house.accept(new_message(&house.clock, &["ben@example.net"]))
    );
    assert_eq!(next.unwrap().id(), id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_and_its_report_are_one_piece() {
    let house = House::new();
    house.store.account(ANN).await.unwrap();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    let mut lease = house.lease().await.unwrap();
    let parcel = lease.next().await.unwrap();
    let before = house.store.stats().await.unwrap().groups;
    let octets = text(parcel.message());
    let remote = queue::NewMessage {
        kind: queue::MessageKind::Report,
        reverse_path: mail_types::ReversePath::Null,
        ..new_message(&house.clock, &["ann@elsewhere.example"])
    };
    let outcome = ParcelOutcome {
        recipients: vec![(number(0), RecipientOutcome::Failed(later()))],
        reports: vec![
            NewReport {
                message: arriving(&house.store, &octets).await,
                to: ReportTo::Queue(Box::new(remote)),
            },
            NewReport { message: arriving(&house.store, &octets).await, to: ReportTo::Account(filing()) },
        ],
    };
    lease.settle(parcel, outcome).await.unwrap();
    assert_eq!(house.store.stats().await.unwrap().groups, before + 1);
    lease.end(ConnectionEnd::Reached);
    let crashed = house.crashed();
    assert!(matches!(crashed.queue.show(id).await, Err(QueueError::NoSuchMessage(_))));
    let sent = crashed.send(&relayed).await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].ends_with("ann@elsewhere.example"));
    let account = crashed.store.account(ANN).await.unwrap();
    assert_eq!(account.quota_usage().messages, 1);
    crashed.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_within_its_bounds_is_taken_and_none_beyond() {
    let house = House::new();
    let mut new = new_message(&house.clock, &[]);
    let refused = |new: queue::NewMessage| async {
        let message = arriving(&house.store, b"x\r\n").await;
        matches!(house.queue.accept(message, new, Vec::new()).await, Err(QueueError::Invalid(_)))
    };
    assert!(refused(new.clone()).await);
    new.recipients = (0..RECIPIENTS_MAX).map(|number| recipient(&format!("u{number}@example.net"))).collect();
    assert!(!refused(new.clone()).await);
    new.recipients.push(recipient("more@example.net"));
    assert!(refused(new).await);
    let long = |octets: usize| queue::NewMessage {
        envelope_id: Some("x".repeat(octets).into()),
        ..new_message(&house.clock, &["ben@example.net"])
    };
    assert!(!refused(long(queue::ENVELOPE_ID_OCTETS_MAX)).await);
    assert!(refused(long(queue::ENVELOPE_ID_OCTETS_MAX + 1)).await);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_does_not_wait_for_the_disk_until_the_bound() {
    let house = House::new();
    for number in 0..3 * queue::SETTLING_MAX {
        house.accept(new_message(&house.clock, &[&format!("u{number}@example.net")])).await;
    }
    let mut lease = house.lease().await.unwrap();
    let mut count = 0;
    while let Some(parcel) = lease.next().await {
        let recipients = vec![(number(0), RecipientOutcome::Relayed)];
        lease.settle(parcel, ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
        count += 1;
    }
    assert_eq!(count, 3 * queue::SETTLING_MAX);
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
    assert_eq!(house.crashed().queue.stats().await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_queue_gives_out_nothing() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    house.queue.stop();
    assert!(now(house.queue.lease()).await.is_none());
}

/// Delivery runs on tasks of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_can_do_all_of_it() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    let (queue, store) = (house.queue.clone(), house.store.clone());
    let work = tokio::spawn(async move {
        let mut lease = queue.lease().await;
        let parcel = lease.next().await.unwrap();
        octets(&parcel).await;
        let report = NewReport { message: arriving(&store, b"x\r\n").await, to: ReportTo::Account(filing()) };
        let recipients = vec![(number(0), RecipientOutcome::Failed(later()))];
        lease.settle(parcel, ParcelOutcome { recipients, reports: vec![report] }).await.unwrap();
        lease.flush().await.unwrap();
        lease.end(ConnectionEnd::Reached);
        tokio::select! {
            overdue = queue.overdue() => overdue.settle(Vec::new()).await.unwrap(),
            () = std::future::ready(()) => {}
        }
        queue.stats().await.unwrap().messages
    });
    assert_eq!(work.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_whose_report_cannot_be_written_waits_and_is_not_lost() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["a@example.net", "b@example.net"])).await;
    let mut lease = house.lease().await.unwrap();
    let parcel = lease.next().await.unwrap();
    let nobody = queue::NewMessage { recipients: Vec::new(), ..parcel.message().clone() };
    let outcome = ParcelOutcome {
        recipients: vec![
            (number(0), RecipientOutcome::Relayed),
            (number(1), RecipientOutcome::Failed(later())),
        ],
        reports: vec![NewReport {
            message: arriving(&house.store, b"x\r\n").await,
            to: ReportTo::Queue(Box::new(nobody)),
        }],
    };
    assert!(matches!(lease.settle(parcel, outcome).await, Err(QueueError::Invalid(_))));
    assert!(lease.next().await.is_none(), "not at once again");
    lease.flush().await.unwrap();
    drop(lease);
    let shown = house.queue.show(id).await.unwrap();
    assert_eq!(shown.recipients[0].state, queue::RecipientState::Relayed);
    assert_eq!(shown.recipients[1].state, queue::RecipientState::Waiting);
    house.pass(Duration::from_secs(70)).await;
    assert_eq!(house.send(&relayed).await.len(), 1);
}
