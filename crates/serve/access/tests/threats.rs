//! What has broken other servers, tried on this one: parsers, memory, CPU, injection, downgrade.

mod house;

use access::{Security, Settings};
use directory::Quota;
use house::{Client, House};

#[tokio::test]
async fn strangers_get_no_memory() {
    let house = House::new().await;
    // CVE-2024-34055, CVE-2025-61600: huge literals before login.
    let mut client = house.stranger().await;
    let answer = client.command("a LOGIN {2000000000}").await;
    assert_eq!(answer.len(), 1);
    assert!(answer[0].starts_with("a BAD [TOOBIG]"), "{answer:?}");
    let mut client = house.stranger().await;
    client.send("a LOGIN {4294967296+}\r\n").await;
    let answer = client.line().await;
    assert!(answer.starts_with("a BAD [TOOBIG]"), "{answer}");
    let answer = client.line().await;
    assert!(answer.starts_with("* BYE [TOOBIG]"), "{answer}");
    // CVE-2026-42006: an endless line.
    let mut client = house.stranger().await;
    let line = vec![b'x'; 16 * 1024];
    client.send_octets(&line).await;
    client.send("\r\nb NOOP\r\n").await;
    let answers = [client.line().await, client.line().await];
    assert!(answers[0].contains("BAD") && answers[1] == "b OK NOOP completed", "{answers:?}");
}

#[tokio::test]
async fn nesting_and_floods_are_bounded() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.command("s SELECT INBOX").await;
    // CVE-2026-27857: parentheses without end.
    let parentheses = "(".repeat(100_000);
    let answer = client.command(&format!("a SEARCH {parentheses}")).await;
    assert!(answer[0].starts_with("a BAD"), "{answer:?}");
    let nots = "NOT ".repeat(30_000);
    let answer = client.command(&format!("b SEARCH {nots}ALL")).await;
    assert_eq!(answer.len(), 1 + usize::from(answer[0].starts_with('*')), "{answer:?}");
    // CVE-2026-42391: ID with many parameters.
    let pairs = "\"x\" \"y\" ".repeat(1_000);
    let answer = client.command(&format!("c ID ({})", pairs.trim())).await;
    assert!(answer[0].starts_with("c BAD"), "{answer:?}");
}

#[tokio::test]
async fn wildcards_do_not_backtrack() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let name = "a".repeat(200);
    client.command(&format!("c CREATE {name}")).await;
    // CVE-2026-33607.
    let pattern = "*a".repeat(100);
    let answer = client.command(&format!("l LIST \"\" {pattern}b")).await;
    assert_eq!(answer, ["l OK LIST completed"]);
    let answer = client.command(&format!("m LIST \"\" {pattern}")).await;
    assert_eq!(answer.len(), 2);
}

#[tokio::test]
async fn mailbox_names_do_not_leave_the_account() {
    let house = House::new().await;
    let mut client = house.ann().await;
    // CVE-2026-0394 and its kin: names are names, not paths; what is stored is seen as such by its owner alone.
    for name in ["../bob/INBOX", "/etc/passwd", "..", "a/../../b", "~bob/INBOX", "#shared/x"] {
        client.command(&format!("c CREATE \"{name}\"")).await;
    }
    let mut bob = house.person("bob").await;
    let answer = bob.command("l LIST \"\" *").await;
    assert_eq!(answer.len(), 7, "{answer:?}");
    let answer = bob.command("s SELECT \"../ann/INBOX\"").await;
    assert_eq!(answer, ["s NO [NONEXISTENT] No such mailbox"]);
}

#[tokio::test]
async fn names_and_flags_cannot_forge_lines() {
    let house = House::new().await;
    let mut client = house.ann().await;
    for name in ["{12+}\r\nx\r\n* BYE now", "\"a\\\"b\""] {
        client.send(&format!("c CREATE {name}\r\n")).await;
        let answer = client.until("c").await;
        assert!(answer.iter().all(|line| !line.starts_with("* BYE")), "{answer:?}");
    }
    // Header text goes out quoted or as a literal, never as protocol.
    let evil = "Subject: \"x\r\n\t* 1 EXPUNGE\r\nFrom: \"a\\\\\" <b@c.example>\r\n\r\n";
    client.append("INBOX", "", evil).await;
    client.command("s SELECT INBOX").await;
    let answer = client.command("f FETCH 1 (ENVELOPE BODYSTRUCTURE)").await;
    assert_eq!(answer.len(), 2, "{answer:?}");
}

#[tokio::test]
async fn mime_bombs_are_stored_and_read() {
    let house = House::new().await;
    let mut client = house.ann().await;
    // CVE-2020-12100: nesting without end; CVE-2026-27859: parameters without end; CVE-2024-23184: addresses.
    let mut nested = String::new();
    for depth in 0..2_000 {
        nested.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"));
    }
    let parameters: String = (0..5_000).map(|number| format!("; p*{number}=x")).collect();
    let parameters = format!("Content-Type: text/plain{parameters}\r\n\r\nbody\r\n");
    let addresses = format!("To: {}a@b.example\r\n\r\nbody\r\n", "a@b.example, ".repeat(20_000));
    for message in [&nested, &parameters, &addresses] {
        client.append("INBOX", "", message).await;
    }
    client.command("s SELECT INBOX").await;
    for number in 1..=3 {
        let answer =
            client.command(&format!("f FETCH {number} (ENVELOPE BODYSTRUCTURE BODY.PEEK[1.1.1])")).await;
        assert!(answer.last().unwrap().starts_with("f OK"), "{answer:?}");
        let answer = client.command(&format!("g SEARCH {number} BODY nowhere")).await;
        assert!(answer.last().unwrap().starts_with("g OK"), "{answer:?}");
    }
}

#[tokio::test]
async fn sasl_does_not_step_down() {
    let house = House::new().await;
    // "\0ann@example.org\0secret\tword": a tab in base64 is a tab in a password and nothing else (CVE-2026-33603).
    let mut client = house.stranger().await;
    let answer = client.command("a AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQJd29yZA==").await;
    assert_eq!(answer, ["a NO [AUTHENTICATIONFAILED] User name or password is wrong"]);
    // Channel binding is not offered without a channel.
    let answer = client.command("b AUTHENTICATE SCRAM-SHA-256-PLUS").await;
    assert_eq!(answer, ["b NO Authentication mechanism is not offered here"]);
    // Acting as another: the authorization identity must be one's own.
    let answer = client
        .command("c AUTHENTICATE PLAIN Ym9iQGV4YW1wbGUub3JnAGFubkBleGFtcGxlLm9yZwBzZWNyZXQgd29yZA==")
        .await;
    assert!(answer[0].starts_with("c NO"), "{answer:?}");
    assert!(client.command("d SELECT INBOX").await[0].starts_with("d BAD"));
}

#[tokio::test]
async fn a_half_dead_client_harms_nobody() {
    let house = House::new().await;
    // Gone in the middle of a literal: nothing is filed.
    let mut client = house.ann().await;
    client.send("a APPEND INBOX {1000+}\r\nSubject: half").await;
    drop(client);
    let mut other = house.ann().await;
    let answer = other.command("s STATUS INBOX (MESSAGES)").await;
    assert_eq!(answer[0], "* STATUS INBOX (MESSAGES 0)");
    // Gone in the middle of a command line, and before the greeting is read.
    let mut client = house.ann().await;
    client.send("a FETCH 1").await;
    drop(client);
    drop(house.connect(Security::ImplicitTls));
    assert!(other.command("n NOOP").await[0].starts_with("n OK"));
}

#[tokio::test]
async fn a_search_without_end_is_given_up() {
    let settings = Settings { search_time_max: std::time::Duration::ZERO, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut client: Client = house.ann().await;
    client.append_many("INBOX", 3).await;
    client.command("s SELECT INBOX").await;
    let answer = client.command("a UID SEARCH RETURN (SAVE) BODY x").await;
    assert_eq!(answer, ["a NO [LIMIT] Search took too long; ask for less"]);
    let answer = client.command("b FETCH 1:3 UID").await;
    assert_eq!(answer.len(), 4, "{answer:?}");
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let settings = Settings { search_time_max: std::time::Duration::ZERO, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut client: Client = house.ann().await;
    for number in 0..10 {
        client.command(&format!("c CREATE x{number}")).await;
        client.command(&format!("c SUBSCRIBE x{number}")).await;
    }
    for command in ["LIST \"\" *", "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *", "LSUB \"\" *"] {
        let answer = client.command(&format!("l {command}")).await;
        assert_eq!(answer, ["l NO [LIMIT] Search took too long; ask for less"], "{command}");
    }
    assert_eq!(client.command("n NOOP").await, ["n OK NOOP completed"]);
}
