//! Every verdict and policy over DNS, signed and unsigned: what is refused, what lies where, what readers and the record are
//! told.

use anyhow::{Context, Result, ensure};
use testkit::{Humour, Internet, Record, Server, Signing};

use super::{
    HERE, NOT_HERE, bring, bring_in, checks_of, domain, filed, find, key, mail, now, server_that_checks,
    signed, signed_at, unpublished_key,
};

/// A letter that comes, and what becomes of it.
struct Letter {
    /// The domain that stands in From and, if there is no other, in MAIL FROM.
    author: &'static str,
    sender: &'static str,
    /// The message instead of a plain one.
    message: Option<String>,
    code: &'static str,
    mailbox: &'static str,
    /// Words of Authentication-Results.
    results: &'static [&'static str],
    /// The last line of its record.
    judged: &'static str,
}

impl Letter {
    /// One that is taken.
    fn new(author: &'static str, results: &'static [&'static str], judged: &'static str) -> Self {
        Self { author, sender: "", message: None, code: "250", mailbox: "INBOX", results, judged }
    }

    fn from(self, sender: &'static str) -> Self {
        Self { sender, ..self }
    }

    fn junk(self) -> Self {
        Self { mailbox: "Junk", ..self }
    }

    fn refused(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    fn reading(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }

    fn check(&self, server: &Server) -> Result<()> {
        let id = self.author;
        let plain = || mail(&format!("eve@{}", self.author), id);
        let message = self.message.clone().unwrap_or_else(plain);
        let sender = format!("eve@{}", if self.sender.is_empty() { self.author } else { self.sender });
        let said = bring(server, "client.example", &sender, super::BOB, message.as_bytes())?;
        ensure!(said.code == self.code, "{id}: {said:?}\n{}", server.log());
        let checks = checks_of(server, &sender)?;
        ensure!(checks.last().is_some_and(|last| last == self.judged), "{id}: {checks:#?}");
        let id = format!("{id}@strangers.example");
        if self.code != "250" {
            return ensure_nowhere(server, &id);
        }
        let filed = filed(server, &id)?;
        ensure!(filed.mailbox == self.mailbox, "{filed:?}");
        ensure!(filed.fetched.contains("$Junk") == (self.mailbox == "Junk"), "{filed:?}");
        let results = filed.results()?;
        for words in self.results {
            ensure!(results.contains(words), "{id}: {words:?} is not in {results}");
        }
        Ok(())
    }
}

fn ensure_nowhere(server: &Server, id: &str) -> Result<()> {
    ensure!(find(server, id)?.is_none(), "{id} was filed");
    Ok(())
}

#[test]
fn what_spf_says_is_told_and_dmarc_decides() -> Result<()> {
    for signing in [Signing::Unsigned, Signing::Signed] {
        let internet = Internet::start_with(signing)?;
        let server = server_that_checks(&internet, "", "")?;
        domain(&internet, "pass.example", HERE, "reject");
        domain(&internet, "fail.example", NOT_HERE, "reject");
        domain(&internet, "doubt.example", NOT_HERE, "quarantine");
        domain(&internet, "soft.example", "v=spf1 ~all", "none");
        domain(&internet, "neutral.example", "v=spf1 ?all", "");
        domain(&internet, "broken.example", "v=spf1 nonsense:x -all", "");
        domain(&internet, "strict.example", HERE, "reject; aspf=s");
        domain(&internet, "sub.strict.example", HERE, "");
        domain(&internet, "test.example", NOT_HERE, "reject; t=y");
        for letter in [
            Letter::new(
                "pass.example",
                &["spf=pass smtp.mailfrom=pass.example", "dkim=none", "dmarc=pass header.from=pass.example"],
                "taken: pass.example vouches for it",
            ),
            Letter::new("fail.example", &[], "refused: fail.example did not send it and asks for reject")
                .refused("550"),
            Letter::new(
                "doubt.example",
                &["spf=fail", "dmarc=fail header.from=doubt.example policy.dmarc=quarantine"],
                "filed as junk: doubt.example did not send it and asks for quarantine",
            )
            .junk(),
            Letter::new(
                "soft.example",
                &["spf=softfail", "dmarc=fail", "policy.dmarc=none"],
                "taken: soft.example did not send it and asks for none",
            ),
            Letter::new(
                "neutral.example",
                &["spf=neutral", "dmarc=none"],
                "taken: neutral.example says nothing of it",
            ),
            Letter::new(
                "broken.example",
                &["spf=permerror", "dmarc=none"],
                "taken: broken.example says nothing of it",
            ),
            Letter::new(
                "none.example",
                &["spf=none", "dmarc=none"],
                "taken: none.example says nothing of it",
            ),
            // A domain that passes vouches for nobody else; nor for its organisation, where that wants to be exact.
            Letter::new("fail.example", &[], "refused: fail.example did not send it and asks for reject")
                .from("pass.example")
                .refused("550"),
            Letter::new("strict.example", &[], "refused: strict.example did not send it and asks for reject")
                .from("sub.strict.example")
                .refused("550"),
            // A domain that tries its policy out gets the next milder one.
            Letter::new(
                "test.example",
                &["dmarc=fail", "policy.dmarc=quarantine"],
                "filed as junk: test.example did not send it and asks for quarantine",
            )
            .junk(),
        ] {
            letter.check(&server).with_context(|| format!("{} in a world {signing:?}", letter.author))?;
        }
    }
    Ok(())
}

#[test]
fn signatures_vouch_where_spf_does_not() -> Result<()> {
    let internet = Internet::start_with(Signing::Signed)?;
    let server = server_that_checks(&internet, "", "")?;
    let with = |name: &'static str, policy: &str| -> Result<_> {
        domain(&internet, name, NOT_HERE, policy);
        Ok((key(&internet, name, "s1")?, mail(&format!("eve@{name}"), name)))
    };
    let (good, letter) = with("good.example", "reject")?;
    Letter::new(
        "good.example",
        &["spf=fail", "dkim=pass header.d=good.example header.s=s1", "dmarc=pass header.from=good.example"],
        "taken: good.example vouches for it",
    )
    .reading(signed(&letter, &good)?)
    .check(&server)?;

    let (changed, letter) = with("changed.example", "none")?;
    Letter::new(
        "changed.example",
        &["dkim=fail reason=\"body was changed\" header.d=changed.example", "dmarc=fail"],
        "taken: changed.example did not send it and asks for none",
    )
    .reading(signed(&letter, &changed)?.replace("This is", "That was"))
    .check(&server)?;

    let (_, letter) = with("keyless.example", "none")?;
    let lost = unpublished_key("keyless.example", "lost", sender_auth::dkim::SigningKey::generate_rsa()?)?;
    Letter::new(
        "keyless.example",
        &["dkim=permerror reason=\"no key\" header.d=keyless.example header.s=lost", "dmarc=fail"],
        "taken: keyless.example did not send it and asks for none",
    )
    .reading(signed(&letter, &lost)?)
    .check(&server)?;

    let (old, letter) = with("old.example", "none")?;
    Letter::new(
        "old.example",
        &["reason=\"signature expired\" header.d=old.example", "dmarc=fail"],
        "taken: old.example did not send it and asks for none",
    )
    .reading(signed_at(&letter, &old, now()? - 7_200, Some(3_600))?)
    .check(&server)?;

    // A stranger's good signature is told, and vouches for nobody but the stranger.
    let (_, letter) = with("victim.example", "reject")?;
    Letter::new("victim.example", &[], "refused: victim.example did not send it and asks for reject")
        .reading(signed(&letter, &good)?)
        .refused("550")
        .check(&server)
}

#[test]
fn several_authors_are_judged_by_the_worst() -> Result<()> {
    let internet = Internet::start()?;
    let server = server_that_checks(&internet, "", "")?;
    domain(&internet, "pass.example", HERE, "reject");
    domain(&internet, "bank.example", NOT_HERE, "reject");
    let both = mail("eve@pass.example, service@bank.example", "pass.example");
    Letter::new("pass.example", &[], "refused: bank.example did not send it and asks for reject")
        .reading(both)
        .refused("550")
        .check(&server)?;
    // Two fields: each reader shows another author. Neither is believed, even where each could be.
    domain(&internet, "twice.example", HERE, "reject");
    let twice = format!("From: eve@twice.example\r\n{}", mail("ann@twice.example", "twice.example"));
    let said = bring(&server, "client.example", "eve@twice.example", super::BOB, twice.as_bytes())?;
    ensure!(said.code == "250", "{said:?}");
    let filed = filed(&server, "twice.example@strangers.example")?;
    ensure!(filed.mailbox == "Junk" && filed.results()?.contains("dmarc=permerror"), "{filed:?}");
    Ok(())
}

#[test]
fn reports_are_judged_by_the_name_of_their_host() -> Result<()> {
    let internet = Internet::start()?;
    let server = server_that_checks(&internet, "", "")?;
    domain(&internet, "client.example", HERE, "");
    bring_in(&server, "", super::BOB, mail("mailer-daemon@client.example", "report").as_bytes())?;
    let filed = filed(&server, "report@strangers.example")?;
    ensure!(filed.results()?.contains("spf=pass smtp.helo=client.example"), "{filed:?}");
    ensure!(filed.header().contains("Received-SPF: pass "), "{filed:?}");
    Ok(())
}

#[test]
fn what_cannot_be_asked_is_told_where_something_else_vouches() -> Result<()> {
    let mut internet = Internet::start_with(Signing::Signed)?;
    let dark = internet.names.zone("dark.example", Signing::Unsigned)?;
    internet.names.set_humour(dark, Humour::Failing);
    let server = server_that_checks(&internet, "", "")?;
    domain(&internet, "good.example", HERE, "reject");
    let key = key(&internet, "good.example", "s1")?;
    let letter = signed(&mail("eve@good.example", "good.example"), &key)?;
    let of_dark = unpublished_key("dark.example", "s1", sender_auth::dkim::SigningKey::generate_ed25519()?)?;
    Letter::new(
        "good.example",
        &[
            "spf=temperror smtp.mailfrom=dark.example",
            "dkim=temperror reason=\"key not available now\" header.d=dark.example",
            "dkim=pass header.d=good.example",
            "dmarc=pass",
        ],
        "taken: good.example vouches for it",
    )
    .from("dark.example")
    .reading(signed(&letter, &of_dark)?)
    .check(&server)?;
    // Forged answers are none: a zone that is signed, but not this record; and one that only its parent calls signed.
    domain(&internet, "forged.example", HERE, "reject");
    internet.names.forge("_dmarc.forged.example");
    internet.names.zone("stripped.example", Signing::Stripped)?;
    internet.names.add("stripped.example", &Record::Text(HERE.to_owned()));
    Letter::new("forged.example", &[], "refused: DNS does not tell whether forged.example sent it")
        .refused("451")
        .check(&server)?;
    Letter::new("stripped.example", &[], "refused: DNS does not tell whether stripped.example sent it")
        .refused("451")
        .check(&server)
}

#[test]
fn the_operator_may_trust_forwarders_and_be_milder() -> Result<()> {
    let internet = Internet::start()?;
    domain(&internet, "bank.example", NOT_HERE, "reject");
    domain(&internet, "relay.lists.example", HERE, "");
    let trusting = server_that_checks(&internet, "trusted_forwarders = [\"lists.example\"]", "")?;
    Letter::new(
        "bank.example",
        &["dmarc=fail"],
        "taken: bank.example did not send it and asks for reject; relay.lists.example may forward anybody's mail",
    )
    .from("relay.lists.example")
    .check(&trusting)?;
    for (choice, mailbox, judged) in [
        ("junk", "Junk", "filed as junk: bank.example did not send it and asks for reject"),
        ("off", "INBOX", "taken: bank.example did not send it and asks for reject"),
    ] {
        let mild = server_that_checks(&internet, &format!("dmarc = \"{choice}\""), "")?;
        let letter = Letter::new("bank.example", &["dmarc=fail", "policy.dmarc=reject"], judged);
        Letter { mailbox, ..letter }.check(&mild)?;
    }
    // Switched off, nothing is said either.
    let silent = server_that_checks(&internet, "check = false", "")?;
    bring_in(&silent, "eve@bank.example", super::BOB, mail("eve@bank.example", "unchecked").as_bytes())?;
    let filed = filed(&silent, "unchecked@strangers.example")?;
    ensure!(!filed.text.contains("Authentication-Results"), "{filed:?}");
    Ok(())
}

#[test]
fn mail_that_names_no_author_is_refused() -> Result<()> {
    let internet = Internet::start()?;
    domain(&internet, "pass.example", HERE, "reject");
    domain(&internet, "lists.test", HERE, "");
    let sender = "eve@pass.example";
    let nameless = |from: &str, id: &str| {
        let named = mail(sender, id);
        named.replace(&format!("From: {sender}\r\n"), from)
    };
    let server = server_that_checks(&internet, "", "")?;
    for (number, from) in
        ["", "From:\r\n", "From: nobody:;\r\n", "From: The Bank\r\n", "Sender: eve@pass.example\r\n"]
            .iter()
            .enumerate()
    {
        let id = format!("nameless-{number}");
        let said = bring(&server, "client.example", sender, super::BOB, nameless(from, &id).as_bytes())?;
        ensure!(
            said.code == "550" && said.text.contains("5.7.1") && said.text.contains("From"),
            "{from:?}: {said:?}"
        );
        ensure_nowhere(&server, &format!("{id}@strangers.example"))?;
        let checks = checks_of(&server, sender)?;
        ensure!(checks.last().is_some_and(|last| last == "refused: it names no author"), "{checks:?}");
        // Who refuses a report loses it.
        bring_in(&server, "", super::BOB, nameless(from, &id).as_bytes())?;
        ensure!(filed(&server, &format!("{id}@strangers.example"))?.mailbox == "Junk", "{from:?}");
    }
    // The operator may be milder, to all or to those who bring others' mail.
    for (setting, from, mailbox) in [
        ("without_author = \"junk\"", sender, "Junk"),
        ("without_author = \"accept\"", sender, "INBOX"),
        ("trusted_forwarders = [\"lists.test\"]", "list@lists.test", "INBOX"),
    ] {
        let server = server_that_checks(&internet, setting, "")?;
        bring_in(&server, from, super::BOB, nameless("", "mild").as_bytes())?;
        let filed = filed(&server, "mild@strangers.example")?;
        ensure!(
            filed.mailbox == mailbox && filed.results()?.contains("dmarc=permerror"),
            "{setting}: {filed:?}"
        );
    }
    // Devices of ours, which are not checked, may be as old as they are; who logs in gets a From field.
    let server = Server::start(testkit::ServerOptions::default())?;
    bring_in(&server, sender, super::BOB, nameless("", "device").as_bytes())?;
    ensure!(filed(&server, "device@strangers.example")?.mailbox == "INBOX");
    server.submission(Server::ANN)?.send(Server::ANN, &[super::BOB], nameless("", "submitted").as_bytes())?;
    let text = filed(&server, "submitted@strangers.example")?.text;
    ensure!(text.contains(&format!("From: <{}>", Server::ANN)), "{text}");
    Ok(())
}
