//! STARTTLS and TLS under attack: what is said in clear counts for nothing afterwards, and strangers who never finish a
//! handshake cost little.

use std::net::TcpStream;

use anyhow::{Result, ensure};
use testkit::{Dialogue, Server, ServerOptions, SmtpClient};

use super::{EVE, count, ensure_grown_at_most, is_well, strict_server, weight};

/// Opens SMTP, says EHLO, and says STARTTLS with more behind it in the same segment.
fn start_smtp_tls(server: &Server, port: u16, behind: &str) -> Result<Dialogue> {
    let SmtpClient { mut dialogue, .. } = SmtpClient::connect(server.address(port))?;
    dialogue.send_octets(format!("STARTTLS\r\n{behind}").as_bytes())?;
    dialogue.expect("220 ")?;
    Ok(dialogue.start_tls()?.0)
}

#[test]
fn commands_behind_smtp_starttls_are_thrown_away() -> Result<()> {
    let server = strict_server()?;
    let mail =
        format!("MAIL FROM:<{EVE}>\r\nRCPT TO:<{}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n", Server::ANN);
    for port in [25, 587] {
        for behind in
            ["EHLO injected.example\r\n", &format!("EHLO injected.example\r\n{mail}"), "RSET\r\nNOOP", "\0"]
        {
            let mut tls = start_smtp_tls(&server, port, behind)?;
            // One answer to one command, and nobody has said hello.
            tls.send("VRFY who")?;
            tls.expect("252 ")?;
            tls.send(&format!("MAIL FROM:<{EVE}>"))?;
            tls.expect("503 ")?;
            tls.send("QUIT")?;
            tls.expect("221 ")?;
            ensure!(tls.is_closed()?);
        }
    }
    ensure!(count_over_tls(&server)? == 0);
    Ok(())
}

/// How many messages Ann has, asked by implicit TLS.
fn count_over_tls(server: &Server) -> Result<u64> {
    let (mut imap, _) = Dialogue::connect(server.address(993))?.start_tls()?;
    imap.expect("* OK ")?;
    imap.send(&format!("a LOGIN {} \"{}\"", Server::ANN, Server::PASSWORD))?;
    imap.expect("a OK ")?;
    imap.send("b STATUS INBOX (MESSAGES)")?;
    let told = imap.expect("* STATUS INBOX (MESSAGES ")?;
    Ok(told.trim_start_matches("* STATUS INBOX (MESSAGES ").trim_end_matches(')').parse()?)
}

#[test]
fn what_was_said_before_smtp_starttls_is_forgotten() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = server.smtp()?;
    smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
    smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
    smtp.dialogue.send_octets(b"BDAT 2\r\nx\n")?;
    smtp.reply()?;
    smtp.dialogue.send("STARTTLS")?;
    smtp.reply_of("220")?;
    let (mut tls, _) = smtp.dialogue.start_tls()?;
    for (command, code) in [
        ("BDAT 3 LAST\r\nx\r\n", "503"),
        ("DATA\r\n", "503"),
        ("STARTTLS\r\n", "503"),
        ("RCPT TO:<ann@example.test>\r\n", "503"),
    ] {
        tls.send_octets(command.as_bytes())?;
        tls.expect(code)?;
    }
    tls.send("EHLO client.example")?;
    loop {
        let line = tls.expect("250")?;
        ensure!(!line.contains("STARTTLS"), "{line}");
        if line.starts_with("250 ") {
            break;
        }
    }
    ensure!(count(&server, Server::ANN)? == 0);
    // With TLS from the start there is nothing to start.
    let (mut implicit, _) = Dialogue::connect(server.address(465))?.start_tls()?;
    implicit.expect("220 ")?;
    implicit.send("STARTTLS")?;
    implicit.expect("503 ")?;
    Ok(())
}

#[test]
fn commands_behind_imap_starttls_are_thrown_away() -> Result<()> {
    let server = strict_server()?;
    let login = format!("b LOGIN {} \"{}\"\r\n", Server::ANN, Server::PASSWORD);
    for behind in ["b NOOP\r\n", &login, "b LOGIN {5+}\r\nann", "b ID (", "b NO"] {
        let mut imap = Dialogue::connect(server.address(143))?;
        imap.expect("* OK ")?;
        imap.send_octets(format!("a STARTTLS\r\n{behind}").as_bytes())?;
        imap.expect("a OK ")?;
        let (mut imap, _) = imap.start_tls()?;
        imap.send("c SELECT INBOX")?;
        imap.expect("c BAD ")?;
        imap.send("d CAPABILITY")?;
        let told = imap.expect("* CAPABILITY ")?;
        ensure!(!told.contains("STARTTLS") && !told.contains("LOGINDISABLED"), "{told}");
        imap.expect("d OK ")?;
        imap.send("e STARTTLS")?;
        imap.expect("e BAD ")?;
    }
    Ok(())
}

#[test]
fn half_open_connections_cost_little() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = weight(&server)?;
    let mut silent = Vec::new();
    for round in 0..150_u8 {
        // TLS that never says hello, or only begins to.
        for port in [465, 993] {
            let mut stream = TcpStream::connect(server.address(port))?;
            if round % 2 == 0 {
                std::io::Write::write_all(&mut stream, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])?;
            }
            silent.push(stream);
        }
        // Half a command.
        for (port, half) in [(25, "EHLO half"), (587, "AUTH PL"), (143, "a LOGIN \"half")] {
            let mut stream = TcpStream::connect(server.address(port))?;
            std::io::Write::write_all(&mut stream, half.as_bytes())?;
            silent.push(stream);
        }
    }
    is_well(&server)?;
    // 750 connections; docs/internals/threat-model.md has the bounds of one.
    ensure_grown_at_most(&server, before, 48 << 20)?;
    // Octets that are no TLS: hung up on, and nothing else.
    for octets in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 512], &[0xff; 512], b"\x16\x03\x01\xff\xff"] {
        for port in [465, 993] {
            let mut stream = Dialogue::connect(server.address(port))?;
            stream.send_octets(octets)?;
            stream.socket().shutdown(std::net::Shutdown::Write)?;
            while stream.octets(1).is_ok() {}
        }
    }
    is_well(&server)
}
