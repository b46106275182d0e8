//! A long queue: opened soon, in bounded memory. Sized down; `scripts/bench queue` does it with a million.

use queue::{ConnectionEnd, Filter};

use crate::house::{House, later, new_message, relayed};

const MESSAGES: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_is_read_piece_by_piece() {
    let house = House::new();
    for number in 0..MESSAGES {
        house.accept(new_message(&house.clock, &[&format!("u{number}@d{}.example", number % 2)])).await;
    }
    // Both cannot be reached: their mail need not be in memory.
    for _ in 0..2 {
        house.lease().await.unwrap().end(ConnectionEnd::Unreachable(later()));
    }
    house.queue.look().await.unwrap();
    assert_eq!(house.queue.stats().await.unwrap().in_memory, 0);
    let house = house.reopened().await;
    house.queue.retry(Filter::default()).await.unwrap();
    let stats = house.queue.stats().await.unwrap();
    assert_eq!(stats.messages, MESSAGES as u64);
    assert!(stats.in_memory < 1_200, "{} in memory", stats.in_memory);
    let sent = house.send(&relayed).await;
    let distinct: std::collections::BTreeSet<&String> = sent.iter().collect();
    assert_eq!((sent.len(), distinct.len()), (MESSAGES, MESSAGES));
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
    house.assert_sound().await;
}
