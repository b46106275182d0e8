//! The ManageSieve door: greeting, logging in, scripts from first to last, and what strangers must not get.

mod house;

use std::time::Duration;

use access::{ScriptSettings, Security};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::AccountState;
use house::{Client, House, PASSWORD, secured};
use mail_types::ScriptName;
use mailstore::ScriptLimits;
use smtp::client::scram::{Binding, ScramBegun};

/// `\0ann@example.org\0secret word`.
const PLAIN: &str = "AGFubkBleGFtcGxlLm9yZwBzZWNyZXQgd29yZA==";

/// Every line up to the answer.
async fn answer(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = client.line().await;
        let is_last = ["OK", "NO", "BYE", "<closed>"].iter().any(|word| line.starts_with(word));
        lines.push(line);
        if is_last {
            return lines;
        }
    }
}

async fn ask(client: &mut Client, command: &str) -> Vec<String> {
    client.send(&format!("{command}\r\n")).await;
    answer(client).await
}

/// A client that has read the greeting.
async fn stranger(house: &House) -> Client {
    let mut client = Client::new(house.connect_to_scripts(Security::Trusted));
    let greeting = answer(&mut client).await;
    assert_eq!(greeting[0], "\"IMPLEMENTATION\" \"mailstead\"");
    client
}

/// A client of ann@example.org.
async fn ann(house: &House) -> Client {
    let mut client = stranger(house).await;
    let answer = ask(&mut client, &format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")).await;
    assert_eq!(answer, ["OK \"Logged in\""]);
    client
}

fn with_limits(house: &House, limits: ScriptLimits) {
    house.scripts.reconfigure(ScriptSettings { limits, ..ScriptSettings::default() });
}

fn literal(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

#[tokio::test]
async fn a_session_from_greeting_to_goodbye() {
    let house = House::new().await;
    let mut client = Client::new(house.connect_to_scripts(Security::Trusted));
    client
        .play(&format!(
            "S: \"IMPLEMENTATION\" \"mailstead\"
             S: \"SASL\" \"SCRAM-SHA-256 PLAIN LOGIN\"
             S: \"SIEVE\" \"…fileinto…\"
             S: \"NOTIFY\" \"mailto\"
             S: \"MAXREDIRECTS\" \"4\"
             S: \"STARTTLS\"
             S: \"LANGUAGE\" \"en\"
             S: \"UNAUTHENTICATE\"
             S: \"VERSION\" \"1.0\"
             S: OK \"mailstead is ready\"
             C: NOOP
             S: OK \"Done\"
             C: NOOP \"a \\\"tag\\\"\"
             S: OK (TAG \"a \\\"tag\\\"\") \"Done\"
             C: LISTSCRIPTS
             S: NO \"Log in first\"
             C: UNAUTHENTICATE
             S: NO \"Log in first\"
             C: FROBNICATE
             S: NO \"There is no such command\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: \"{PLAIN}\"
             S: OK \"Logged in\"
             C: AUTHENTICATE \"PLAIN\"
             S: NO \"Somebody has logged in already\"
             C: STARTTLS
             S: NO \"Somebody has logged in already\"
             C: CAPABILITY
             S: \"IMPLEMENTATION\" \"mailstead\"
             S: \"SASL\" \"SCRAM-SHA-256 PLAIN LOGIN\"
             S: \"SIEVE\" \"…\"
             S: \"NOTIFY\" \"mailto\"
             S: \"MAXREDIRECTS\" \"4\"
             S: \"LANGUAGE\" \"en\"
             S: \"OWNER\" \"ann@example.org\"
             S: \"UNAUTHENTICATE\"
             S: \"VERSION\" \"1.0\"
             S: OK \"That is all\"
             C: UNAUTHENTICATE
             S: OK \"Nobody is logged in\"
             C: LISTSCRIPTS
             S: NO \"Log in first\"
             C: AUTHENTICATE \"LOGIN\"
             S: \"VXNlcm5hbWU6\"
             C: \"YW5uQGV4YW1wbGUub3Jn\"
             S: \"UGFzc3dvcmQ6\"
             C: {{16+}}
             C: c2VjcmV0IHdvcmQ=
             S: OK \"Logged in\"
             C: LOGOUT
             S: OK \"Goodbye\"
             S: <closed>"
        ))
        .await;
}

#[tokio::test]
async fn scripts_are_put_listed_activated_read_renamed_and_deleted() {
    let house = House::new().await;
    let mut client = ann(&house).await;
    let script = "require \"fileinto\";\r\nfileinto \"caf\u{e9}\";\r\n";
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await, ["OK \"These are all\""]);
    assert_eq!(ask(&mut client, "HAVESPACE \"a\" 999").await, ["OK \"There is room\""]);
    let put = ask(&mut client, &format!("PUTSCRIPT \"a\" {}", literal(script))).await;
    assert_eq!(put, ["OK \"The script is kept\""]);
    assert_eq!(ask(&mut client, "PUTSCRIPT \"\u{fc} b\" \"keep;\"").await, ["OK \"The script is kept\""]);
    assert_eq!(ask(&mut client, "SETACTIVE \"a\"").await, ["OK \"The script is active\""]);
    let listed = ["\"a\" ACTIVE", "\"\u{fc} b\"", "OK \"These are all\""];
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await, listed);
    let got = ask(&mut client, "GETSCRIPT \"a\"").await;
    assert_eq!(got, [format!("{{{}}}\r\n{script}", script.len()), "OK \"This is what it says\"".to_owned()]);
    client
        .play(
            "C: DELETESCRIPT \"a\"
             S: NO (ACTIVE) \"…\"
             C: DELETESCRIPT \"none\"
             S: NO (NONEXISTENT) \"…\"
             C: GETSCRIPT \"none\"
             S: NO (NONEXISTENT) \"…\"
             C: SETACTIVE \"none\"
             S: NO (NONEXISTENT) \"…\"
             C: RENAMESCRIPT \"none\" \"other\"
             S: NO (NONEXISTENT) \"…\"
             C: RENAMESCRIPT \"a\" \"\u{fc} b\"
             S: NO (ALREADYEXISTS) \"…\"
             C: RENAMESCRIPT \"a\" \"c\"
             S: OK \"…\"
             C: LISTSCRIPTS
             S: \"c\" ACTIVE
             S: \"\u{fc} b\"
             S: OK \"…\"
             C: SETACTIVE \"\"
             S: OK \"No script is active\"
             C: SETACTIVE \"\"
             S: OK \"No script is active\"
             C: DELETESCRIPT \"c\"
             S: OK \"The script is gone\"
             C: LISTSCRIPTS
             S: \"\u{fc} b\"
             S: OK \"…\"",
        )
        .await;
    // What one session did, another sees; what is kept belongs to its owner alone.
    let account = house.store.account(house.account("ann")).await.unwrap();
    assert_eq!(&*account.script(&ScriptName::parse("\u{fc} b").unwrap()).await.unwrap().text, b"keep;");
    let bob = house.store.account(house.account("bob")).await.unwrap();
    assert!(bob.scripts().unwrap().is_empty());
}

#[tokio::test]
async fn faults_are_told_with_their_places_and_nothing_is_kept() {
    let house = House::new().await;
    let mut client = ann(&house).await;
    let faulty = "keep;\r\n  frobnicate;\r\nif size :over \"x\" { stop; }\r\n";
    for verb in ["CHECKSCRIPT", "PUTSCRIPT \"a\""] {
        let told = ask(&mut client, &format!("{verb} {}", literal(faulty))).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("NO "), "{told:?}");
        assert!(told[0].contains("line 2, column 3: ") && told[0].contains("line 3, column "), "{told:?}");
    }
    assert_eq!(ask(&mut client, "CHECKSCRIPT \"keep;\"").await, ["OK \"The script is valid\""]);
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await, ["OK \"These are all\""]);
    // A script that was kept stays when another of its name is refused.
    ask(&mut client, "PUTSCRIPT \"a\" \"keep;\"").await;
    assert!(ask(&mut client, "PUTSCRIPT \"a\" \"kep;\"").await[0].starts_with("NO \"line 1, column 1: "));
    assert_eq!(ask(&mut client, "GETSCRIPT \"a\"").await[0], "{5}\r\nkeep;");
    assert_eq!(ask(&mut client, "CHECKSCRIPT \"\"").await, ["OK \"The script is valid\""]);
}

#[tokio::test]
async fn limits_have_their_codes() {
    let house = House::new().await;
    with_limits(&house, ScriptLimits { script_octets_max: 10, scripts_max: 2, total_octets_max: 15 });
    let mut client = ann(&house).await;
    client
        .play(
            "C: PUTSCRIPT \"a\" {10+}
             C: keep;#4567
             S: OK \"…\"
             C: PUTSCRIPT \"b\" {11+}
             C: keep;#45678
             S: NO (QUOTA/MAXSIZE) \"…\"
             C: HAVESPACE \"b\" 11
             S: NO (QUOTA/MAXSIZE) \"…\"
             C: HAVESPACE \"b\" 6
             S: NO (QUOTA) \"…\"
             C: PUTSCRIPT \"b\" \"keep; \"
             S: NO (QUOTA) \"…\"
             C: PUTSCRIPT \"b\" \"keep;\"
             S: OK \"…\"
             C: HAVESPACE \"c\" 0
             S: NO (QUOTA/MAXSCRIPTS) \"…\"
             C: PUTSCRIPT \"c\" \"\"
             S: NO (QUOTA/MAXSCRIPTS) \"…\"
             C: PUTSCRIPT \"a\" \"stop;\"
             S: OK \"…\"
             C: PUTSCRIPT \"a\x01\" \"stop;\"
             S: NO \"A script's name has at most 512 octets and no control characters\"",
        )
        .await;
    let answer = ask(&mut client, &format!("HAVESPACE \"{}\" 1", "n".repeat(513))).await;
    assert!(answer[0].starts_with("NO \"A script's name"), "{answer:?}");
    let answer = ask(&mut client, &format!("HAVESPACE \"{}\" 1", "n".repeat(512))).await;
    assert!(answer[0].starts_with("NO (QUOTA/MAXSCRIPTS)"), "{answer:?}");
}

#[tokio::test]
async fn nobody_logs_in_by_clear_text() {
    let house = House::new().await;
    let mut client = Client::new(house.connect_to_scripts(Security::StartTls));
    let greeting = answer(&mut client).await;
    assert!(greeting.contains(&"\"SASL\" \"\"".to_owned()), "{greeting:?}");
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256"] {
        let answer = ask(&mut client, &format!("AUTHENTICATE \"{mechanism}\" \"{PLAIN}\"")).await;
        assert_eq!(answer, ["NO (ENCRYPT-NEEDED) \"Start TLS before you log in\""]);
    }
}

#[tokio::test]
async fn starttls_forgets_what_came_before_it() {
    let house = House::new().await;
    let mut client = Client::new(house.connect_to_scripts(Security::StartTls));
    answer(&mut client).await;
    // CVE-2011-0411: a command smuggled in behind STARTTLS must not be carried out under TLS.
    client.send("STARTTLS\r\nNOOP \"smuggled\"\r\n").await;
    assert_eq!(client.line().await, "OK \"Begin TLS negotiation now\"");
    let (mut client, _) = secured(client.stream).await;
    let greeting = answer(&mut client).await;
    assert_eq!(greeting.last().unwrap(), "OK \"mailstead is ready\"");
    assert!(greeting.contains(&"\"SASL\" \"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\"".to_owned()));
    assert!(!greeting.contains(&"\"STARTTLS\"".to_owned()));
    assert_eq!(ask(&mut client, "NOOP \"own\"").await, ["OK (TAG \"own\") \"Done\""]);
    assert_eq!(ask(&mut client, "STARTTLS").await, ["NO \"TLS cannot be started here\""]);
    let answer = ask(&mut client, &format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")).await;
    assert_eq!(answer, ["OK \"Logged in\""]);
}

#[tokio::test]
async fn sasl_exchanges_end_well_or_are_refused() {
    let house = House::new().await;
    let mut client = stranger(&house).await;
    client
        .play(
            "C: AUTHENTICATE \"CRAM-MD5\"
             S: NO \"Authentication mechanism is not offered here\"
             C: AUTHENTICATE \"SCRAM-SHA-256-PLUS\"
             S: NO \"Authentication mechanism is not offered here\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: \"*\"
             S: NO \"Authentication cancelled\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: NOOP \"now\"
             S: NO \"Malformed authentication exchange\"
             C: AUTHENTICATE \"PLAIN\" \"&&&\"
             S: NO \"Malformed authentication exchange\"
             C: AUTHENTICATE \"PLAIN\" \"\"
             S: NO \"Malformed authentication exchange\"
             C: AUTHENTICATE \"PLAIN\" \"AGFubkBleGFtcGxlLm9yZwB3cm9uZw==\"
             S: NO \"User name or password is wrong\"
             C: AUTHENTICATE \"PLAIN\" \"Ym9iQGV4YW1wbGUub3JnAGFubkBleGFtcGxlLm9yZwBzZWNyZXQgd29yZA==\"
             S: NO \"…\"",
        )
        .await;
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await, ["NO \"Log in first\""]);
}

#[tokio::test]
async fn scram_proves_the_server_together_with_its_ok() {
    let house = House::new().await;
    let mut client = stranger(&house).await;
    let (begun, first) = ScramBegun::new("ann@example.org", Binding::Impossible, "any-nonce");
    client.send(&format!("AUTHENTICATE \"SCRAM-SHA-256\" \"{}\"\r\n", STANDARD.encode(first))).await;
    let challenge = client.line().await;
    let puzzle = begun.read(&STANDARD.decode(challenge.trim_matches('"')).unwrap()).unwrap();
    let (proof, last) = puzzle.solve(&PASSWORD.into());
    client.send(&format!("\"{}\"\r\n", STANDARD.encode(last))).await;
    let ok = client.line().await;
    let last = ok.strip_prefix("OK (SASL \"").and_then(|rest| rest.strip_suffix("\") \"Logged in\""));
    proof.verify(&STANDARD.decode(last.unwrap()).unwrap()).unwrap();
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await, ["OK \"These are all\""]);
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down_and_stopped() {
    let house = House::new().await;
    let mut last = Vec::new();
    for client_number in 0..4 {
        let mut client = stranger(&house).await;
        for number in 0..3 {
            let token = STANDARD.encode(format!("\0ann@example.org\0wrong{client_number}{number}"));
            last = ask(&mut client, &format!("AUTHENTICATE \"PLAIN\" \"{token}\"")).await;
        }
    }
    assert_eq!(last, ["NO (TRYLATER) \"Too many failed logins, try again later\""]);
    // The right password does not help now, and the other door is shut to that address too.
    let mut client = stranger(&house).await;
    let answer = ask(&mut client, &format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")).await;
    assert!(answer[0].starts_with("NO (TRYLATER)"), "{answer:?}");
    let mut client = house.stranger().await;
    let answer = client.command(&format!("a LOGIN ann@example.org \"{PASSWORD}\"")).await;
    assert!(answer[0].starts_with("a NO [UNAVAILABLE]"), "{answer:?}");
}

#[tokio::test]
async fn strangers_get_no_memory() {
    // CVE-2026-33605, CVE-2026-27858, CVE-2026-40013, CVE-2025-59032: memory and faults before login.
    let house = House::new().await;
    for (command, expected) in [
        ("AUTHENTICATE \"PLAIN\" {2000000000+}", "BYE \"Too much, or out of step\""),
        ("AUTHENTICATE {18446744073709551615+}", "BYE \"Too much, or out of step\""),
        ("PUTSCRIPT \"a\" {65537+}", "BYE \"Too much, or out of step\""),
        ("AUTHENTICATE \"PLAIN\" {99999999999999999999999+}", "NO \"A literal is announced wrongly\""),
        ("AUTHENTICATE {0+}", "<silence>"),
    ] {
        let mut client = stranger(&house).await;
        client.send(&format!("{command}\r\n")).await;
        if expected == "<silence>" {
            client.send("\r\n").await;
            assert_eq!(client.line().await, "NO \"Authentication mechanism is not offered here\"");
        } else {
            assert_eq!(client.line().await, expected, "{command}");
        }
    }
    let mut client = stranger(&house).await;
    let line = "x".repeat(20_000);
    assert_eq!(ask(&mut client, &line).await, ["NO \"The command is too long\""]);
    client.send_octets(&vec![b'x'; 200_000]).await;
    assert_eq!(client.line().await, "BYE \"Too much, or out of step\"");
    // A huge script from somebody who may not put any is read away, not kept.
    let mut client = stranger(&house).await;
    let answer = ask(&mut client, &format!("PUTSCRIPT \"a\" {}", literal(&"#".repeat(40_000)))).await;
    assert_eq!(answer, ["NO (QUOTA/MAXSIZE) \"The script is too large\""]);
    assert_eq!(ask(&mut client, "NOOP").await, ["OK \"Done\""]);
}

#[tokio::test]
async fn no_line_of_a_script_is_a_command() {
    let house = House::new().await;
    let mut client = ann(&house).await;
    ask(&mut client, "PUTSCRIPT \"victim\" \"keep;\"").await;
    let evil = "\r\nDELETESCRIPT \"victim\"\r\n";
    for command in [
        format!("PUTSCRIPT \"a\" {{{}}}\r\n{evil}", evil.len()),
        format!("PUTSCRIPT \"a {{{}+}}\r\n{evil}", evil.len()),
        format!("FROBNICATE \"a\" {{{}+}}\r\n{evil}", evil.len()),
        format!("PUTSCRIPT \"a\" \"b\" \"c\" \"d\" {{{}+}}\r\n{evil}", evil.len()),
        format!("PUTSCRIPT \"a\" {}", literal(&evil.repeat(50_000))),
    ] {
        let told = ask(&mut client, &command).await;
        assert!(told[0].starts_with("NO "), "{told:?}");
        assert_eq!(ask(&mut client, "NOOP").await, ["OK \"Done\""]);
    }
    assert_eq!(ask(&mut client, "LISTSCRIPTS").await.len(), 2);
}

#[tokio::test]
async fn endless_mistakes_end() {
    let house = House::new().await;
    let mut client = stranger(&house).await;
    for _ in 0..20 {
        client.send("FROBNICATE\r\n").await;
    }
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| line.starts_with("NO")) {
        lines.push(client.line().await);
    }
    assert_eq!((lines.len(), lines[20].as_str()), (21, "BYE \"Too many errors\""));
    // Faults in scripts are no mistakes of the client.
    let mut client = ann(&house).await;
    for _ in 0..30 {
        assert!(ask(&mut client, "CHECKSCRIPT \"kep;\"").await[0].starts_with("NO "));
    }
}

#[tokio::test]
async fn sessions_have_their_number() {
    let house = House::new().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(ann(&house).await);
    }
    let mut client = stranger(&house).await;
    let login = format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"");
    let answer = ask(&mut client, &login).await;
    assert_eq!(answer, ["NO (TRYLATER) \"Too many sessions of this account\""]);
    // UNAUTHENTICATE gives the place back.
    ask(&mut clients[0], "UNAUTHENTICATE").await;
    assert_eq!(ask(&mut client, &login).await, ["OK \"Logged in\""]);
}

#[tokio::test]
async fn sessions_end_when_nobody_speaks_or_the_account_or_the_server_goes() {
    let house = House::new().await;
    house.scripts.reconfigure(ScriptSettings {
        login_timeout: Duration::from_millis(20),
        idle_timeout: Duration::from_millis(20),
        ..ScriptSettings::default()
    });
    let mut silent = stranger(&house).await;
    assert_eq!(silent.line().await, "BYE \"Nobody logged in\"");
    house
        .scripts
        .reconfigure(ScriptSettings { idle_timeout: Duration::from_millis(20), ..ScriptSettings::default() });
    let mut silent = ann(&house).await;
    assert_eq!(silent.line().await, "BYE \"Idle too long\"");
    house.scripts.reconfigure(ScriptSettings::default());
    let mut client = ann(&house).await;
    let disabled = AccountState::Disabled { reason: "gone".into() };
    house.directory.set_state(house.account("ann"), disabled).unwrap();
    assert_eq!(client.line().await, "BYE \"Log in again\"");
    let mut other = stranger(&house).await;
    house.shut_down();
    assert_eq!(other.line().await, "BYE (TRYLATER) \"Server is going down\"");
}
