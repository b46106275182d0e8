//! Accounts that look stolen: each is stopped in full and its owner told, whatever becomes of the others.

use std::time::Duration;

use mail_types::MailboxName;
use mta::Signal;
use platform::tasks::Tasks;

use super::house::House;

/// How long anybody waits for what comes at once.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_owner_who_cannot_be_told_keeps_no_other_waiting() {
    let house = House::new();
    let (ann, bob) = (house.account("ann@example.org"), house.account("bob@example.org"));
    assert!(ann < bob, "hers is the first turn");
    house.break_account(ann);
    for account in [ann, bob] {
        (0..5).for_each(|number| {
            house.breaker.note(account, Signal::Complaint { message: number, by: number })
        });
        assert!(house.breaker.stopped(account).is_some());
    }
    let tasks = Tasks::new(&house.metrics);
    let (door, stop) = (house.door.clone(), tasks.shutdown());
    tasks.spawn("breaker", async move { door.tend_breaker(stop).await });
    let account = house.store.account(bob).await.unwrap();
    let mut changes = account.watch();
    let told = async {
        let inbox = MailboxName::inbox();
        while account.mailboxes().await.unwrap().by_name(&inbox).unwrap().messages == 0 {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, told).await.expect("bob waits for ann");
    assert!(house.breaker.stopped(ann).is_some());
    // Letting her go ends what could not be done.
    assert!(house.breaker.unlock(ann).await.unwrap());
    tasks.drain(SOON).await;
}
