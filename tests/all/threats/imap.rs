//! IMAP under attack: parsers fed without end before and after login, patterns that backtrack, names that want to be paths,
//! and clients that ask and do not read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use testkit::{Dialogue, ImapClient, Server, ServerOptions};

use super::{ensure_grown_at_most, expect_one_of, is_well, weight};

#[test]
fn strangers_get_little_memory() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = weight(&server)?;
    let mut held = Vec::new();
    for _ in 0..100 {
        // Half a command each, as long as strangers may have them, and never its end.
        for half in [
            format!("a LOGIN \"{}", "x".repeat(12_000)),
            format!("a ID ({}", "\"k\" \"v\" ".repeat(1_400)),
            format!("a LOGIN {{4096+}}\r\n{}", "x".repeat(4_000)),
            format!("a {}", "(".repeat(12_000)),
        ] {
            let mut imap = Dialogue::connect(server.address(143))?;
            imap.expect("* OK ")?;
            imap.send_octets(half.as_bytes())?;
            held.push(imap);
        }
    }
    is_well(&server)?;
    ensure_grown_at_most(&server, before, 48 << 20)?;
    drop(held);
    // Beyond that they are refused, by a BAD or by the end of the connection.
    for flood in [
        "a LOGIN {4097}\r\n".to_owned(),
        "a LOGIN {2147483648}\r\n".to_owned(),
        "a LOGIN {4294967295+}\r\n".to_owned(),
        "a LOGIN {18446744073709551616}\r\n".to_owned(),
        "a LOGIN {-1}\r\n".to_owned(),
        format!("a LOGIN {}\r\n", "{1+}\r\nx ".repeat(1_000)),
        format!("a ID ({})\r\n", "\"k\" \"v\" ".repeat(10_000).trim()),
        format!("a ID ({})\r\n", "{0+}\r\n NIL ".repeat(10_000).trim()),
        format!("a {}\r\n", "(".repeat(1 << 20)),
        format!("a AUTHENTICATE PLAIN {}\r\n", "A".repeat(1 << 20)),
        format!("{}\r\n", "a".repeat(4 << 20)),
        "a APPEND INBOX {1000000+}\r\n".to_owned(),
        format!("a SEARCH {}ALL\r\n", "NOT ".repeat(100_000)),
    ] {
        let mut imap = ImapClient::connect(server.address(143))?;
        // The server may hang up before all is sent.
        if imap.dialogue.send_octets(flood.as_bytes()).is_ok() {
            let shown: String = flood.chars().take(40).collect();
            expect_one_of(&mut imap, &["a BAD", "* BAD", "a NO", "* BYE"]).with_context(|| shown)?;
        }
    }
    ensure_grown_at_most(&server, before, 64 << 20)?;
    is_well(&server)
}

#[test]
fn commands_after_login_are_bounded_too() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    for number in 0..20 {
        imap.append("INBOX", "", format!("Subject: {number}\r\n\r\nx\r\n").as_bytes())?;
    }
    imap.ok("SELECT INBOX")?;
    let before = weight(&server)?;
    let many = |text: &str, count: usize| text.repeat(count).trim_end_matches([' ', ',']).to_owned();
    for command in [
        format!("SEARCH {}", "(".repeat(250_000)),
        format!("SEARCH {}ALL{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SEARCH {}ALL", "NOT ".repeat(60_000)),
        format!("SEARCH {}ALL ALL", "OR ".repeat(80_000)),
        format!("SEARCH {}", many("TEXT x ", 30_000)),
        format!("SEARCH {}", many("1:* ", 60_000)),
        format!("SEARCH {}", many("1,", 120_000)),
        format!("UID SEARCH {}", many("1:4294967295,", 19_000)),
        format!("FETCH 1:* ({})", many("BODY.PEEK[] ", 20_000)),
        format!("FETCH 1:* ({})", many("BODY.PEEK[HEADER.FIELDS (Subject)] ", 7_000)),
        format!("FETCH 1:* BODY.PEEK[HEADER.FIELDS ({})]", many("Subject ", 30_000)),
        format!("FETCH 1 BODY.PEEK[{}]", many("1.", 120_000).trim_end_matches('.')),
        format!("FETCH {} FLAGS", many("1:*,", 60_000)),
        format!("FETCH {} FLAGS", many("4294967295:1,", 19_000)),
        "FETCH 1 BODY.PEEK[]<4294967295.4294967295>".to_owned(),
        "FETCH 1 BODY.PEEK[]<99999999999999999999999.1>".to_owned(),
        format!("STORE 1 +FLAGS ({})", many("k ", 100_000)),
        format!("STORE 1 +FLAGS ({})", (0..40_000).map(|n| format!("k{n} ")).collect::<String>().trim_end()),
        format!("LIST \"\" ({})", many("* ", 100_000)),
        format!("LIST (SUBSCRIBED) \"\" ({}) RETURN (STATUS (MESSAGES UNSEEN))", many("% ", 100_000)),
        format!("LIST \"\" {}", "*%".repeat(100_000)),
        format!("STATUS INBOX ({})", many("MESSAGES ", 25_000)),
        format!("ENABLE {}", many("CONDSTORE ", 20_000)),
        format!("ID ({})", many("\"k\" \"v\" ", 30_000)),
        format!("GETQUOTA \"{}\"", "x".repeat(250_000)),
        format!("SELECT INBOX (QRESYNC (1 1 {}))", many("1:5,", 60_000)),
        format!("CREATE \"{}\"", "a/".repeat(100_000)),
    ] {
        let shown: String = command.chars().take(40).collect();
        let answer = imap.command(&command).with_context(|| shown.clone())?;
        let is_word = ["OK", "NO", "BAD"].iter().any(|word| answer.tagged.starts_with(word));
        ensure!(is_word, "{shown}: {}", answer.tagged);
    }
    ensure_grown_at_most(&server, before, 96 << 20)?;
    imap.ok("NOOP")?;
    // Literals and lines beyond what a person gets.
    for flood in [
        format!("z SEARCH {}", "{65537+}\r\n"),
        format!("z SEARCH {}\r\n", "TEXT {1+}\r\nx ".repeat(2_000)),
        format!("z SEARCH {}\r\n", "x".repeat(4 << 20)),
        "z CREATE {99999999999999999999}\r\n".to_owned(),
        "z APPEND INBOX {18446744073709551615+}\r\n".to_owned(),
        "z APPEND INBOX {9223372036854775807}\r\n".to_owned(),
    ] {
        let mut imap = server.imap(Server::ANN)?;
        if imap.dialogue.send_octets(flood.as_bytes()).is_ok() {
            let shown: String = flood.chars().take(40).collect();
            expect_one_of(&mut imap, &["z BAD", "* BAD", "z NO", "* BYE"]).with_context(|| shown)?;
        }
    }
    ensure_grown_at_most(&server, before, 96 << 20)?;
    is_well(&server)
}

#[test]
fn list_patterns_do_not_backtrack() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    for number in 0..100 {
        imap.ok(&format!("CREATE {}{number}", "a".repeat(200)))?;
    }
    for unit in ["*a", "%a", "*%a", "a*a%", "*"] {
        // A matcher that goes back would outlive the universe; nothing here ends in b.
        let answer = imap.ok(&format!("LIST \"\" \"{}b\"", unit.repeat(90)))?;
        ensure!(answer.untagged.is_empty(), "{unit}");
        let answer = imap.ok(&format!("LSUB \"\" \"{}b\"", unit.repeat(90)))?;
        ensure!(answer.untagged.is_empty(), "{unit}");
    }
    ensure!(imap.ok(&format!("LIST \"\" \"{}*\"", "*a".repeat(90)))?.untagged.len() == 100);
    Ok(())
}

/// Every file and directory below.
fn tree(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path);
        }
    }
    Ok(found)
}

#[test]
fn names_are_never_paths() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    server.imap(Server::BOB)?.ok("SELECT INBOX")?;
    let before = tree(server.directory())?;
    let mut names: Vec<Vec<u8>> = [
        "../../etc/passwd",
        "../2/INBOX",
        "/etc/passwd",
        "//",
        "/",
        "..",
        ".",
        "a/../../b",
        "a//b",
        "~bob/INBOX",
        "#shared/x",
        "INBOX/../../x",
        "C:\\x",
        "..\\..\\x",
        "%2e%2e%2fx",
        "' OR 1=1 --",
        "'; DROP TABLE mailbox; --",
        "\"\"\"",
        "x\" BAD",
        "&AC4ALgAv-",
        "&AAA-",
        "\u{202e}x",
        "a/b/c/d/e/f/g/h/i/j",
        "nul",
        "-rf",
        "$(id)",
        "`id`",
        "|id",
        ";id",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend([
        b"a\0b".to_vec(),
        b"a\rb".to_vec(),
        b"a\nb".to_vec(),
        b"\xbf\x27 OR 1=1".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'x'; 5_000],
    ]);
    for name in &names {
        for verb in ["CREATE", "SELECT", "SUBSCRIBE", "DELETE", "STATUS"] {
            let mut command = format!("n {verb} {{{}+}}\r\n", name.len()).into_bytes();
            command.extend_from_slice(name);
            command.extend_from_slice(if verb == "STATUS" { b" (MESSAGES)\r\n" } else { b"\r\n" });
            imap.dialogue.send_octets(&command)?;
            let mut literals = Vec::new();
            loop {
                let line = imap.response(&mut literals)?;
                ensure!(!line.contains("root:"), "{line}");
                if line.starts_with("n ") {
                    break;
                }
                ensure!(line.starts_with("* "), "a name forged a line: {line}");
            }
        }
        let bad = name.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
        let created = imap.ok("LIST \"\" *")?;
        ensure!(!bad || !created.untagged.iter().any(|line| line.contains("a\u{0}b")), "{created:?}");
    }
    // Nothing was made but what the account's own index holds, and Bob sees nothing of it.
    let journals = |path: &PathBuf| {
        !path.to_string_lossy().ends_with("-wal") && !path.to_string_lossy().ends_with("-shm")
    };
    let made: Vec<PathBuf> =
        tree(server.directory())?.difference(&before).filter(|path| journals(path)).cloned().collect();
    ensure!(made.is_empty(), "{made:?}");
    let mut bob = server.imap(Server::BOB)?;
    ensure!(bob.ok("LIST \"\" *")?.untagged.len() == 6, "Bob sees mailboxes of others");
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    is_well(&server)
}

#[test]
fn account_names_are_never_paths() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = tree(server.directory())?;
    for name in [
        "../../x@example.test",
        "a/../b@example.test",
        "x@../example.test",
        "x@example.test/../y",
        "/etc/passwd",
        "x@/etc",
        "x@..",
        "'; DROP TABLE account; --@example.test",
        "x@'; DROP TABLE domain; --",
        "--help@example.test\n",
        "x\n@example.test",
    ] {
        // Made or refused, it is a name in a table and no file.
        let added = server.try_command(&["account", "add", "--password", Server::PASSWORD, "--", name])?;
        let _ = server.try_command(&["alias", "add", "--", name, Server::BOB])?;
        let mut imap = ImapClient::connect(server.address(143))?;
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        if !name.contains('\n') {
            let told = imap.command(&format!("LOGIN \"{quoted}\" \"{}\"", Server::PASSWORD))?.tagged;
            ensure!(told.starts_with("OK") == added.status.success(), "{name}: {told}");
        }
    }
    let accounts = server.data().join("accounts");
    for path in tree(server.directory())?.difference(&before) {
        let name = path.strip_prefix(&accounts).with_context(|| format!("{} was made", path.display()))?;
        let first = name.iter().next().context("no name")?.to_string_lossy().into_owned();
        ensure!(first.bytes().all(|octet| octet.is_ascii_digit()), "{} was made", path.display());
    }
    ensure!(server.command(&["account", "list"])?.contains(Server::BOB));
    is_well(&server)
}

#[test]
fn what_is_not_there_is_not_offered() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    let capability = imap.ok("CAPABILITY")?.untagged.concat();
    for absent in ["THREAD", "SORT", "COMPRESS", "ACL", "NOTIFY", "URLAUTH", "CATENATE"] {
        ensure!(!capability.split([' ', '=']).any(|word| word == absent), "{capability}");
    }
    imap.ok("SELECT INBOX")?;
    for command in [
        "THREAD REFERENCES UTF-8 ALL",
        "SORT (DATE) UTF-8 ALL",
        "COMPRESS DEFLATE",
        "SETACL INBOX anyone lrs",
        "GETACL INBOX",
        "XAPPLEPUSHSERVICE x",
        "SETQUOTA \"\" (STORAGE 1)",
    ] {
        let told = imap.command(command)?.tagged;
        ensure!(told.starts_with("BAD") || told.starts_with("NO"), "{command}: {told}");
    }
    Ok(())
}

#[test]
fn clients_that_do_not_read_are_not_buffered() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    let large = [
        b"Subject: large\r\n\r\n".to_vec(),
        b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n".repeat(400_000),
    ]
    .concat();
    imap.append("INBOX", "", &large)?;
    let before = weight(&server)?;
    let mut silent = Vec::new();
    for _ in 0..10 {
        // A person who asks for 20 MB a hundred times, and strangers who ask what we can do; none of them reads.
        let mut person = server.imap(Server::ANN)?;
        person.ok("SELECT INBOX")?;
        person.dialogue.send_octets("x FETCH 1 BODY[]\r\n".repeat(100).as_bytes())?;
        silent.push(person);
    }
    for _ in 0..50 {
        let mut stranger = ImapClient::connect(server.address(143))?;
        stranger.dialogue.socket().set_nonblocking(true)?;
        // As much as the server takes: it takes no more once it cannot get rid of its answers.
        let flood = "x CAPABILITY\r\n".repeat(20_000);
        drop(stranger.dialogue.send_octets(flood.as_bytes()));
        silent.push(stranger);
    }
    is_well(&server)?;
    // Nor do they hold up the account: another of its sessions changes what they are reading.
    let mut other = server.imap(Server::ANN)?;
    other.ok("SELECT INBOX")?;
    other.ok("STORE 1 +FLAGS (\\Flagged \\Deleted)")?;
    ensure!(other.ok("EXPUNGE")?.number_of("EXPUNGE") == Some(1));
    ensure_grown_at_most(&server, before, 64 << 20)?;
    Ok(())
}
