//! An alias leads elsewhere: the far host can still tell who wrote, a host that checks SPF takes it, and bounces find home.

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, Internet, Received, Record, Server};

use super::{
    HERE, NOT_HERE, bring, bring_in, domain, key, mail, peers, publish_ours, server_that_checks, signed,
};

const EVE: &str = "eve@strangers.example";

/// A letter of Eve's that went through the alias friend@example.test to pal@far.example.
struct Passed {
    internet: Internet,
    server: Server,
    home: Exchanger,
    letter: String,
    received: Received,
    records: Vec<(String, String)>,
}

impl Passed {
    fn on() -> Result<Self> {
        let mut internet = Internet::start()?;
        let (far, home) = (internet.domain("far.example")?, internet.domain("strangers.example")?);
        let server = server_that_checks(&internet, "", "")?;
        let mut records = publish_ours(&internet, &server)?;
        domain(&internet, "strangers.example", HERE, "reject");
        let key = key(&internet, "strangers.example", "s1")?;
        records.push((key.record_name().to_string(), key.key().public_record()?));
        records.push(("example.test".to_owned(), HERE.to_owned()));
        records.push(("_dmarc.strangers.example".to_owned(), "v=DMARC1; p=reject".to_owned()));
        server.command(&["alias", "add", "friend@example.test", "pal@far.example"])?;
        let letter = signed(&mail(EVE, "passed"), &key)?;
        bring_in(&server, EVE, "friend@example.test", letter.as_bytes())?;
        let received = far.wait_for(1)?.swap_remove(0);
        Ok(Self { internet, server, home, letter, received, records })
    }

    /// The sender that the far host was told.
    fn sender(&self) -> Result<&str> {
        self.received.sender.split(['<', '>']).nth(1).context("no sender")
    }
}

#[test]
fn the_far_host_can_tell_who_wrote() -> Result<()> {
    let passed = Passed::on()?;
    let octets = &passed.received.octets;
    ensure!(octets.ends_with(passed.letter.as_bytes()), "{}", passed.received.text());
    let sender = passed.sender()?;
    ensure!(
        sender.starts_with("SRS0=") && sender.ends_with("=strangers.example=eve@example.test"),
        "{sender}"
    );
    let said = peers("verify", &passed.records, &[], octets)?;
    ensure!(said["dkim"][0]["passes"] == true && said["dkim"][0]["domain"] == "strangers.example", "{said}");
    ensure!(said["arc"] == "pass" && said["sets"] == 1, "{said}");
    let text = super::unfolded(&passed.received.text());
    for words in ["ARC-Authentication-Results: i=1; localhost;", "dmarc=pass header.from=strangers.example"] {
        ensure!(text.contains(words), "{words} is not in {text}");
    }
    let spf = peers("spf", &passed.records, &["127.0.0.1", sender, &passed.received.hello], b"")?;
    ensure!(spf["result"] == "pass", "{spf}");
    let dmarc =
        peers("dmarc", &passed.records, &["strangers.example", "example.test", "strangers.example"], b"")?;
    ensure!(dmarc["policy"] == "pass", "{dmarc}");
    // A seal says who changed something behind us: the far host would see it.
    let changed = passed.received.text().replace("This is", "That was");
    let said = peers("verify", &passed.records, &[], changed.as_bytes())?;
    ensure!(said["arc"] == "fail" && said["dkim"][0]["passes"] == false, "{said}");
    // And another of us agrees.
    let other = server_that_checks(&passed.internet, "", "")?;
    bring_in(&other, sender, super::BOB, octets)?;
    let filed = super::filed(&other, "passed@strangers.example")?;
    ensure!(filed.results()?.contains("arc=pass header.oldest-pass=0"), "{filed:?}");
    ensure!(filed.results()?.contains("dmarc=pass header.from=strangers.example"), "{filed:?}");
    Ok(())
}

#[test]
fn bounces_find_home_and_nothing_else_goes_that_way() -> Result<()> {
    let passed = Passed::on()?;
    let srs = passed.sender()?;
    let bounce = mail("mailer-daemon@far.example", "bounce");
    bring_in(&passed.server, "", srs, bounce.as_bytes())?;
    let returned = &passed.home.wait_for(1)?[0];
    ensure!(returned.addresses() == [EVE] && returned.sender.starts_with("<>"), "{returned:?}");
    ensure!(returned.octets.ends_with(bounce.as_bytes()), "{}", returned.text());
    // A letter is no bounce.
    let letter = mail("pal@far.example", "letter");
    let said = bring(&passed.server, "mx.far.example", "pal@far.example", srs, letter.as_bytes())?;
    ensure!(said.code.starts_with('5'), "{said:?}");
    // Nobody makes such addresses but us: another hash, another day, another person.
    let parts: Vec<&str> = srs.split('=').collect();
    let [srs0, hash, day, host, rest] = parts[..] else { anyhow::bail!("what is {srs}?") };
    let flipped = if hash.starts_with('A') { "B" } else { "A" };
    for forged in [
        format!("{srs0}={flipped}{}={day}={host}={rest}", &hash[1..]),
        format!("{srs0}={hash}={day}={host}=x{rest}"),
        format!("{srs0}={hash}={day}=far.example={rest}"),
        format!("{srs0}=={day}={host}={rest}"),
    ] {
        let said = bring(&passed.server, "mx.far.example", "", &forged, bounce.as_bytes())?;
        ensure!(said.code == "550", "{forged}: {said:?}");
    }
    ensure!(passed.home.received().len() == 1);
    Ok(())
}

#[test]
fn mail_of_our_own_keeps_its_sender() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let server = server_that_checks(&internet, "", "")?;
    server.command(&["alias", "add", "friend@example.test", "pal@far.example"])?;
    let letter = mail(Server::ANN, "ours");
    server.submission(Server::ANN)?.send(Server::ANN, &["friend@example.test"], letter.as_bytes())?;
    let received = &far.wait_for(1)?[0];
    ensure!(received.sender.starts_with(&format!("<{}>", Server::ANN)), "{received:?}");
    Ok(())
}

#[test]
fn addresses_that_fill_a_path_come_in_go_on_and_find_home() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("strangers.example")?);
    let server = server_that_checks(&internet, "", "")?;
    domain(&internet, "strangers.example", HERE, "");
    server.command(&["alias", "add", "friend@example.test", "pal@far.example"])?;
    // As list servers write them, the recipient in the sender.
    let sender_of =
        |octets: usize| format!("{}@strangers.example", "bounces=pal=".repeat(30).split_at(octets).0);
    let room = 254 - "SRS0=HHHH=TT=strangers.example=@example.test".len();
    let last =
        |host: &Exchanger, count: usize| host.wait_for(count).map(|mut all| all.swap_remove(count - 1));
    for (count, octets, is_rewritten) in
        [(1, 65, true), (2, room - 1, true), (3, room, true), (4, room + 1, false)]
    {
        let sender = sender_of(octets);
        bring_in(&server, &sender, "friend@example.test", mail(EVE, "long").as_bytes())?;
        let passed = last(&far, count)?;
        let told = passed.sender.split(['<', '>']).nth(1).context("no sender")?.to_owned();
        if !is_rewritten {
            ensure!(told == sender, "{told}");
            continue;
        }
        ensure!(told.starts_with("SRS0=") && told.len() > 65 && told.len() <= 254, "{told}");
        bring_in(&server, "", &told, mail("mailer-daemon@far.example", "bounce").as_bytes())?;
        let returned = last(&home, count)?;
        ensure!(returned.addresses() == [sender.as_str()], "{returned:?}");
    }
    // What another forwarder rewrote keeps its way back, too.
    let other = format!("SRS0=HHHH=TT=strangers.example={}@other.example", "x".repeat(100));
    bring_in(&server, &other, "friend@example.test", mail(EVE, "again").as_bytes())?;
    let passed = last(&far, 5)?;
    ensure!(
        passed.sender.starts_with("<SRS1=") && passed.sender.contains("=other.example==HHHH="),
        "{passed:?}"
    );
    // Who has such an address is written to, and told of what went wrong.
    let (longest, too_long) = (sender_of(236), sender_of(237));
    ensure!(longest.len() == 254);
    server.submission(Server::ANN)?.send(Server::ANN, &[&longest], mail(Server::ANN, "answer").as_bytes())?;
    let answered = last(&home, 4)?;
    ensure!(answered.addresses() == [longest.as_str()], "{answered:?}");
    far.refuse("pal@far.example", "550 5.1.1 Nobody");
    bring_in(&server, &longest, "friend@example.test", mail(EVE, "refused").as_bytes())?;
    let report = last(&home, 5)?;
    ensure!(report.addresses() == [longest.as_str()] && report.sender.starts_with("<>"), "{report:?}");
    bring_in(&server, &longest, super::BOB, mail(EVE, "kept").as_bytes())?;
    let kept = super::filed(&server, "kept@strangers.example")?;
    ensure!(kept.text.contains(&format!("Return-Path: <{longest}>")), "{kept:?}");
    for (sender, to) in [(too_long.as_str(), super::BOB), (EVE, too_long.as_str())] {
        let said = bring(&server, "client.example", sender, to, b"")?;
        ensure!(said.code == "501", "{said:?}");
    }
    // Names of our own stay such that everybody takes them.
    for octets in [64, 65] {
        let address = format!("{}@example.test", "n".repeat(octets));
        let done = server.try_command(&["alias", "add", &address, Server::BOB])?;
        ensure!(done.status.success() == (octets == 64), "{done:?}");
    }
    Ok(())
}

#[test]
fn junk_is_not_passed_on() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("strangers.example")?);
    let inner = internet.domain("inner.example")?;
    let server = server_that_checks(&internet, "", "backup_domains = [\"inner.example\"]")?;
    publish_ours(&internet, &server)?;
    domain(&internet, "doubt.example", NOT_HERE, "quarantine");
    server.command(&["alias", "add", "friend@example.test", "pal@far.example"])?;
    server.command(&["alias", "add", "both@example.test", "pal@far.example", super::BOB])?;
    let eve = "eve@doubt.example";
    // It would lie nowhere here: its sender hears so.
    let said = bring(&server, "client.example", eve, "friend@example.test", mail(eve, "alone").as_bytes())?;
    ensure!(
        said.code == "550" && said.text.contains("5.7.1") && said.text.contains("not passed on"),
        "{said:?}"
    );
    let checks = super::checks_of(&server, eve)?;
    ensure!(checks.last().is_some_and(|last| last.ends_with("; it could only be passed on")), "{checks:?}");
    // One reply cannot refuse some.
    let both = [super::BOB, "friend@example.test"];
    let said = server.smtp()?.send(eve, &both, mail(eve, "two").as_bytes());
    ensure!(said.is_err_and(|refused| refused.to_string().contains("not passed on")));
    ensure!(super::find(&server, "two@strangers.example")?.is_none());
    // Whom we only stand in for judges for himself.
    bring_in(&server, eve, "ann@inner.example", mail(eve, "backup").as_bytes())?;
    ensure!(inner.wait_for(1)?[0].addresses() == ["ann@inner.example"]);
    // Bob's copy lies in Junk, with no seal on it, and is the only one.
    bring_in(&server, eve, "both@example.test", mail(eve, "kept").as_bytes())?;
    let kept = super::filed(&server, "kept@strangers.example")?;
    ensure!(kept.mailbox == "Junk" && !kept.text.contains("ARC-Seal"), "{kept:?}");
    let checks = super::checks_of(&server, eve)?;
    ensure!(checks.last().is_some_and(|last| last.ends_with("; it is not passed on")), "{checks:?}");
    // What nobody disowns goes on; it is the first that the far host sees.
    bring_in(&server, EVE, "both@example.test", mail(EVE, "honest").as_bytes())?;
    let passed = &far.wait_for(1)?[0];
    ensure!(passed.message_id().contains("honest@strangers.example"), "{passed:?}");
    // And so does the report on it, whoever doubts who wrote that.
    let srs = passed.sender.split(['<', '>']).nth(1).context("no sender")?.to_owned();
    bring_in(&server, "", &srs, mail("mailer-daemon@doubt.example", "bounce").as_bytes())?;
    ensure!(home.wait_for(1)?[0].addresses() == [EVE]);
    ensure!(far.received().len() == 1, "{:?}", far.received());
    Ok(())
}

#[test]
fn a_report_to_a_stranger_is_signed_by_the_domain_he_wrote_to() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("strangers.example")?);
    // Whom nothing proves is told nothing.
    internet.names.add("strangers.example", &Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    // Its own name, localhost, is nobody's domain and has no key.
    let server = server_that_checks(&internet, "", "")?;
    server.command(&["domain", "add", "second.test"])?;
    let records = publish_ours(&internet, &server)?;
    server.command(&["alias", "add", "friend@second.test", "pal@far.example"])?;
    far.refuse("pal@far.example", "550 5.1.1 Nobody");
    bring_in(&server, EVE, "friend@second.test", mail(EVE, "refused").as_bytes())?;
    let report = &home.wait_for(1)?[0];
    ensure!(report.text().contains("postmaster@second.test>\r\n"), "{}", report.text());
    let said = peers("verify", &records, &[], &report.octets)?;
    ensure!(said["dkim"].as_array().is_some_and(|all| all.len() == 2), "{said}");
    for signature in said["dkim"].as_array().context("no signatures")? {
        ensure!(signature["passes"] == true && signature["domain"] == "second.test", "{said}");
    }
    Ok(())
}
