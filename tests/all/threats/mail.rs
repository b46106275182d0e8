//! Messages made to break those who read them: delivered, read back in every way, and found unchanged.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use testkit::{Server, ServerOptions};

use super::{EVE, ensure_grown_at_most, is_well, weight};

/// Each message with the class of attack that it is an example of.
fn bombs() -> Result<Vec<(&'static str, String)>> {
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let mut nested = String::new();
    for depth in 0..2_000 {
        write!(nested, "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n")?;
    }
    let mut messages = String::new();
    for _ in 0..1_000 {
        messages.push_str("Content-Type: message/rfc822\r\n\r\n");
    }
    let one_boundary = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".repeat(2_000)
    );
    let many_parts = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        "--b\r\n\r\nx\r\n".repeat(50_000)
    );
    let boundary_like = format!(
        "Content-Type: multipart/mixed; boundary={0}\r\n\r\n{1}",
        "-".repeat(70),
        format!("{}\r\n", "-".repeat(900)).repeat(500)
    );
    let parameters =
        format!("Content-Type: text/plain{}\r\n\r\nx\r\n", lines(20_000, &|n| format!(";\r\n p*{n}=x")));
    let encoded = format!(
        "Content-Type: text/plain{}\r\n\r\nx\r\n",
        lines(20_000, &|n| format!(";\r\n p{n}*=utf-8''%41"))
    );
    let file_name = format!(
        "Content-Disposition: attachment{}\r\n\r\nx\r\n",
        lines(2_000, &|n| format!(";\r\n filename*{n}*=%2e%2e%2f"))
    );
    let addresses =
        format!("From: a@b.example\r\nTo: {}z@b.example\r\n\r\nx\r\n", "a@b.example,\r\n ".repeat(40_000));
    let groups = format!("To: {}\r\n\r\nx\r\n", "g:;,\r\n ".repeat(40_000));
    let comments = format!("To: {}a@b.example\r\n\r\nx\r\n", "(\r\n ".repeat(40_000));
    let closed =
        format!("To: {0}{1}a@b.example\r\n\r\nx\r\n", "(\r\n ".repeat(20_000), ")\r\n ".repeat(20_000));
    let quotes = format!("To: \"{}\" <a@b.example>\r\n\r\nx\r\n", "\\\"\r\n ".repeat(40_000));
    let fields = format!("{}\r\nx\r\n", lines(100_000, &|n| format!("X-{n}: y\r\n")));
    let empty_fields = format!("{}\r\nx\r\n", "a:\r\n".repeat(200_000));
    let folded = format!("Subject: x\r\n{}\r\nx\r\n", " y\r\n".repeat(300_000));
    let words = format!("Subject:{}\r\n\r\nx\r\n", "\r\n =?utf-8?q?=41?=".repeat(40_000));
    let broken_words = format!("Subject:{}\r\n\r\nx\r\n", "\r\n =?utf-8?b?".repeat(60_000));
    let references =
        format!("References:{}\r\n\r\nx\r\n", lines(40_000, &|n| format!("\r\n <{n}@b.example>")));
    let received = format!("{}\r\nx\r\n", "Received: x\r\n".repeat(100));
    let quoted_printable = format!(
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}",
        format!("{}\r\n", "=".repeat(900)).repeat(2_000)
    );
    let html = format!("Content-Type: text/html\r\n\r\n{}", format!("{}\r\n", "<".repeat(900)).repeat(1_000));
    let entities =
        format!("Content-Type: text/html\r\n\r\n{}", format!("{}\r\n", "&#x".repeat(300)).repeat(1_000));
    let turns = format!(
        "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n{}",
        format!("{}\r\n", "\u{1b}$B\u{1b}(B".repeat(100)).repeat(1_000)
    );
    let utf7 = format!(
        "Content-Type: text/plain; charset=utf-7\r\n\r\n{}",
        format!("{}\r\n", "+AGE-".repeat(180)).repeat(1_000)
    );
    Ok(vec![
        ("nesting", nested),
        ("messages in messages", messages),
        ("one boundary for all", one_boundary),
        ("many parts", many_parts),
        ("boundaries that are none", boundary_like),
        ("parameter pieces", parameters),
        ("parameters", encoded),
        ("a file name in pieces", file_name),
        ("addresses", addresses),
        ("groups", groups),
        ("open comments", comments),
        ("comments", closed),
        ("quotes", quotes),
        ("fields", fields),
        ("empty fields", empty_fields),
        ("folds", folded),
        ("encoded words", words),
        ("broken encoded words", broken_words),
        ("references", references),
        ("hops", received),
        ("quoted-printable", quoted_printable),
        ("tags", html),
        ("character references", entities),
        ("charset turns", turns),
        ("UTF-7", utf7),
    ])
}

/// Parts asked of each message: none of them need exist.
const DEEP: &str = "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1";

#[test]
fn mail_made_to_burn_memory_and_time_is_kept_and_read() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = weight(&server)?;
    let bombs = bombs()?;
    for (what, bomb) in &bombs {
        server
            .smtp()?
            .send_chunk(EVE, &[Server::ANN], bomb.as_bytes())
            .with_context(|| (*what).to_owned())?;
    }
    let mut imap = server.imap(Server::ANN)?;
    ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(bombs.len() as u64));
    for (uid, (what, bomb)) in (1_u32..).zip(&bombs) {
        let got = imap.fetch_octets(uid)?;
        ensure!(got.ends_with(bomb.as_bytes()), "{what} has changed");
        for items in [
            "(ENVELOPE BODYSTRUCTURE BODY)",
            "(BODY.PEEK[HEADER.FIELDS (To Subject Content-Type)] BODY.PEEK[TEXT]<0.100>)",
            &format!("(BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[{DEEP}] BINARY.PEEK[1]<0.100>)"),
        ] {
            let answer = imap.command(&format!("UID FETCH {uid} {items}"))?;
            ensure!(
                answer.tagged.starts_with("OK") || answer.tagged.starts_with("NO [UNKNOWN-CTE]"),
                "{what}: {items}: {}",
                answer.tagged
            );
        }
        for key in [
            "TEXT nowhere",
            "BODY nowhere",
            "TO nowhere",
            "SUBJECT nowhere",
            "HEADER References nowhere",
            "HEADER X-99999 nowhere",
        ] {
            let answer = imap.ok(&format!("UID SEARCH UID {uid} {key}"))?;
            ensure!(answer.untagged == ["SEARCH"], "{what}: {key}: {:?}", answer.untagged);
        }
        imap.ok(&format!("UID COPY {uid} Archive"))?;
    }
    // Several of them at once, from several sessions, as webmail would.
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = server.imap(Server::ANN)?;
        session.ok("EXAMINE INBOX")?;
        let tag = session.send("FETCH 1:* (ENVELOPE BODYSTRUCTURE)")?;
        sessions.push((session, tag));
    }
    for (session, tag) in &mut sessions {
        let mut literals = Vec::new();
        while !session.response(&mut literals)?.starts_with(&format!("{tag} OK")) {}
    }
    ensure_grown_at_most(&server, before, 128 << 20)?;
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    is_well(&server)
}

#[test]
fn headers_come_out_as_data_and_never_as_protocol() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let evil = "Subject: x\"\r\n\t* 1 EXPUNGE\r\n\t)\r\nFrom: \"a\\\"\r\n ) {3}\" <b\"@c.example>\r\nTo: {5}\r\n x NIL\r\n\
        Message-ID: <\"\r\n * BYE>\r\nContent-Type: text/plain; name=\"\\\"\r\n ) {4}\"; x*=us-ascii''%0d%0a%2a%20BYE\r\n\
        Content-Disposition: attachment; filename*=utf-8''%0d%0ax%20OK%0d%0a%00\r\n\r\nx\r\n";
    server.smtp()?.send_chunk(EVE, &[Server::ANN], evil.as_bytes())?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    let answer = imap.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (\"Subject\")])")?;
    // One response, read whole by a client that counts literals.
    ensure!(answer.untagged.len() == 1 && answer.untagged[0].starts_with("1 FETCH ("), "{answer:?}");
    ensure!(imap.ok("NOOP")?.untagged.is_empty());
    // A search string that is header and protocol at once.
    imap.dialogue.send_octets(b"s SEARCH SUBJECT {15+}\r\nx\"\r\n* 1 EXPUNGE\r\n")?;
    imap.dialogue.expect("* SEARCH")?;
    imap.dialogue.expect("s OK ")?;
    Ok(())
}
