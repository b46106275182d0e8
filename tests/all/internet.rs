//! The small internet: remote hosts find us by MX and behave as their temper is; nothing is lost, nothing is doubled.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use testkit::{NameServer, Record, RemoteHost, Server, ServerOptions, Temper};

#[test]
fn hosts_of_every_temper_are_served() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let names = NameServer::start()?;
    names.add("example.test", Record::MailExchanger(10, "mail.example.test".into()));
    names.add("mail.example.test", Record::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let mut arrived = 0;
    for temper in [
        Temper::DropsInData,
        Temper::Polite,
        Temper::Pipelining,
        Temper::Chunking,
        Temper::EarlyTalker,
        Temper::Dribbling,
    ] {
        let host = RemoteHost::new("mx.elsewhere.example", temper, &names, server.address(25).port());
        let message = format!("Subject: {temper:?}\r\n\r\n.A dot, and a line.\r\n..\r\n");
        let said = host.send("eve@elsewhere.example", Server::ANN, message.as_bytes())?;
        arrived += u64::from(!said.is_empty());
        let mut imap = server.imap(Server::ANN)?;
        ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(arrived), "{temper:?}");
        if !said.is_empty() {
            ensure!(imap.fetch_octets(u32::try_from(arrived)?)?.ends_with(message.as_bytes()), "{temper:?}");
        }
    }
    ensure!(arrived == 5);
    Ok(())
}

#[test]
fn a_host_that_leaves_after_the_dot_is_served_all_the_same() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let names = NameServer::start()?;
    names.add("example.test", Record::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    imap.send("IDLE")?;
    imap.dialogue.expect("+ ")?;
    let host =
        RemoteHost::new("mx.elsewhere.example", Temper::LeavesAfterDot, &names, server.address(25).port());
    host.send("eve@elsewhere.example", Server::ANN, b"Subject: gone\r\n\r\nx\r\n")?;
    imap.dialogue.expect("* 1 EXISTS")?;
    Ok(())
}
