//! Sieve scripts: put, named, activated; bounded; there after a crash, a rebuild and a purge.

use std::time::Duration;

use mail_types::ScriptName;
use mailstore::{Account, ScriptLimits, StoreError};

use crate::crash::copy_directory;
use crate::house::{ANN, House, assert_sound, deliver, expunge, mailbox, open, uids};
use crate::repair::noise;

const LIMITS: ScriptLimits =
    ScriptLimits { script_octets_max: 1_000, scripts_max: 3, total_octets_max: 2_000 };

fn name(text: &str) -> ScriptName {
    ScriptName::parse(text).unwrap()
}

async fn put(account: &Account, script: &str, text: &[u8]) {
    account.put_script(&name(script), text, ScriptLimits::default()).await.unwrap();
}

/// Names, texts and the star of the active one.
async fn shelf(account: &Account) -> Vec<String> {
    let mut lines = Vec::new();
    for script in account.scripts().unwrap() {
        let text = account.script(&script.name).await.unwrap();
        assert_eq!((text.text.len() as u64, text.modseq), (script.octets, script.modseq));
        let star = if script.is_active { "*" } else { "" };
        lines.push(format!("{star}{}={}", script.name, String::from_utf8_lossy(&text.text)));
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_put_activated_renamed_and_deleted() {
    let house = House::new();
    let account = house.account(ANN).await;
    assert!(account.active_script().unwrap().is_none());
    put(&account, "a", b"keep;").await;
    put(&account, "b", b"discard;").await;
    let before = account.scripts().unwrap();
    put(&account, "a", b"keep;").await;
    assert_eq!(account.scripts().unwrap(), before, "the same text again is no change");
    account.activate_script(Some(&name("a"))).await.unwrap();
    put(&account, "a", b"stop;").await;
    assert_eq!(shelf(&account).await, ["*a=stop;", "b=discard;"]);
    assert!(account.active_script().unwrap().unwrap().modseq > before[0].modseq);

    let rename = account.rename_script(&name("a"), &name("b")).await;
    assert!(matches!(rename, Err(StoreError::ScriptExists)));
    let rename = account.rename_script(&name("c"), &name("d")).await;
    assert!(matches!(rename, Err(StoreError::NoSuchScript)));
    account.rename_script(&name("a"), &name("c")).await.unwrap();
    assert_eq!(shelf(&account).await, ["b=discard;", "*c=stop;"]);

    let delete = account.delete_script(&name("c")).await;
    assert!(matches!(delete, Err(StoreError::ScriptIsActive)));
    assert!(matches!(account.delete_script(&name("a")).await, Err(StoreError::NoSuchScript)));
    let activate = account.activate_script(Some(&name("a"))).await;
    assert!(matches!(activate, Err(StoreError::NoSuchScript)));
    account.activate_script(None).await.unwrap();
    account.delete_script(&name("c")).await.unwrap();
    assert_eq!(shelf(&account).await, ["b=discard;"]);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_have_bounds() {
    let house = House::new();
    let account = house.account(ANN).await;
    let put = async |script: &str, octets: usize| {
        let text = vec![b'#'; octets];
        let name = name(script);
        let checked = account.check_script(&name, octets as u64, LIMITS);
        let put = account.put_script(&name, &text, LIMITS).await;
        assert_eq!(checked.is_ok(), put.is_ok());
        put
    };
    assert!(put("a", 999).await.is_ok());
    assert!(put("a", 1_000).await.is_ok());
    assert!(matches!(put("a", 1_001).await, Err(StoreError::ScriptTooLarge)));
    assert!(put("b", 999).await.is_ok());
    assert!(put("c", 1).await.is_ok());
    assert!(matches!(put("c", 2).await, Err(StoreError::OverQuota)));
    assert!(matches!(put("d", 0).await, Err(StoreError::TooManyScripts)));
    assert!(put("a", 0).await.is_ok(), "what is replaced does not count");
    assert!(put("c", 1_000).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_script_fits_the_log() {
    let house = House::new();
    let account = house.account(ANN).await;
    let limits = ScriptLimits { script_octets_max: u64::MAX, scripts_max: 9, total_octets_max: u64::MAX };
    let too_long = &noise(1, 5 << 20)[..=4 << 20];
    let text = &too_long[..4 << 20];
    account.put_script(&name("a"), text, limits).await.unwrap();
    let put = account.put_script(&name("a"), too_long, limits).await;
    assert!(matches!(put, Err(StoreError::ScriptTooLarge)));
    account.rename_script(&name("a"), &name("b")).await.unwrap();
    assert_eq!(*account.script(&name("b")).await.unwrap().text, *text);
    drop(account);
    house.store.rebuild(Some(ANN)).await.unwrap();
    let account = house.account(ANN).await;
    assert_eq!(*account.script(&name("b")).await.unwrap().text, *text);
}

/// An account that has done everything that can be done with scripts, and how its shelf looks.
async fn lived_in() -> (House, Vec<String>) {
    let house = House::new();
    let account = house.account(ANN).await;
    for (script, text) in [("old", "keep;"), ("gone", "discard;"), ("main", "stop;"), ("again", "keep;")] {
        put(&account, script, text.as_bytes()).await;
    }
    account.activate_script(Some(&name("gone"))).await.unwrap();
    house.store.checkpoint().await.unwrap();
    account.activate_script(Some(&name("old"))).await.unwrap();
    account.delete_script(&name("gone")).await.unwrap();
    account.delete_script(&name("again")).await.unwrap();
    account.rename_script(&name("old"), &name("new")).await.unwrap();
    put(&account, "main", "# caf\u{e9}\r\nkeep;".as_bytes()).await;
    put(&account, "again", b"").await;
    let shelf = shelf(&account).await;
    assert_eq!(shelf, ["again=", "main=# caf\u{e9}\r\nkeep;", "*new=keep;"]);
    (house, shelf)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_there_after_a_crash_and_after_the_loss_of_every_index() {
    let (house, before) = lived_in().await;
    for is_index_lost in [false, true] {
        let data = tempfile::tempdir().unwrap();
        copy_directory(house.data.path(), data.path());
        if is_index_lost {
            std::fs::remove_dir_all(data.path().join("accounts")).unwrap();
        }
        let store = open(data.path(), &house.clock);
        assert_eq!(shelf(&store.account(ANN).await.unwrap()).await, before);
        assert_sound(&store).await;
    }
    let house = house.reopened().await;
    assert_eq!(shelf(&house.account(ANN).await).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_keeps_scripts_and_drops_what_they_were() {
    let (house, before) = lived_in().await;
    let account = house.account(ANN).await;
    for round in 0..20 {
        let text = noise(round, 100_000);
        put(&account, "main", &text).await;
        deliver(&house.store, ANN, &noise(100 + round, 100_000)).await;
    }
    put(&account, "main", "# caf\u{e9}\r\nkeep;".as_bytes()).await;
    let inbox = mailbox(&account, "INBOX").await;
    expunge(&account, inbox, &uids("1:20")).await;
    house.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let outcome = house.store.purge().await.unwrap();
    assert!(outcome.packs >= 2 && outcome.octets > 3_000_000, "{outcome:?}");
    assert_eq!(shelf(&account).await, before);
    assert_sound(&house.store).await;
    drop(account);
    house.store.rebuild(None).await.unwrap();
    assert_eq!(shelf(&house.account(ANN).await).await, before);
    let house = house.reopened().await;
    assert_eq!(shelf(&house.account(ANN).await).await, before);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_scripts_that_are_not_those_of_the_log() {
    let (house, _) = lived_in().await;
    let House { store, clock, data } = house;
    store.close().await.unwrap();
    let connection = storage::rusqlite::Connection::open(data.path().join("accounts/1/index.db")).unwrap();
    for damage in [
        "UPDATE scripts SET text = x'6b' WHERE name = 'main'",
        "DELETE FROM scripts WHERE name = 'again'",
        "INSERT INTO scripts VALUES('extra', 1, x'')",
        "UPDATE active_script SET name = 'main'",
    ] {
        assert_eq!(connection.execute(damage, []).unwrap(), 1, "{damage}");
    }
    drop(connection);
    let store = open(data.path(), &clock);
    let faults = store.verify().await.unwrap();
    for what in ["\"main\") is not what", "\"again\") is only", "\"extra\") is not in", "active script"] {
        assert!(faults.iter().any(|fault| fault.text.contains(what)), "{what}: {faults:#?}");
    }
    store.rebuild(Some(ANN)).await.unwrap();
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_scripts_and_lets_them_be_deleted() {
    let (house, _) = lived_in().await;
    let House { store, clock, data } = house;
    store.close().await.unwrap();
    let mut settings = crate::house::settings();
    settings.packs.free_octets_min = 1 << 60;
    let store = mailstore::Store::open(data.path(), settings, clock).unwrap();
    let account = store.account(ANN).await.unwrap();
    let put = account.put_script(&name("more"), b"keep;", ScriptLimits::default()).await;
    assert!(matches!(put, Err(StoreError::Full)));
    let rename = account.rename_script(&name("main"), &name("more")).await;
    assert!(matches!(rename, Err(StoreError::Full)));
    account.activate_script(None).await.unwrap();
    account.delete_script(&name("new")).await.unwrap();
    assert_eq!(account.scripts().unwrap().len(), 2);
}
