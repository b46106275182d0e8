//! A mailing list changes what it passes on, which breaks signatures: its seal helps where we trust it, and only there.

use anyhow::{Context, Result, ensure};
use sender_auth::dkim::SigningKey;
use testkit::{Internet, Server};

use super::{
    HERE, NOT_HERE, bring, bring_in, checks_of, domain, filed, key, mail, peer, peers, publish, publish_ours,
    server_that_checks, signed, unpublished_key,
};

/// Posts to the list come back in this name.
const BOUNCES: &str = "list-bounces@lists.test";

/// A post as the list sends it: written at bank.example, passed on and sealed by us, tagged, given a footer and sealed
/// once more by lists.test, whose results say this of DMARC.
struct Post {
    internet: Internet,
    server: Server,
    message: Vec<u8>,
    records: Vec<(String, String)>,
}

impl Post {
    fn sent(dmarc: &str) -> Result<Self> {
        let mut internet = Internet::start()?;
        let list = internet.domain("lists.test")?;
        let server = server_that_checks(&internet, "", "")?;
        let mut records = publish_ours(&internet, &server)?;
        domain(&internet, "bank.example", NOT_HERE, "reject");
        domain(&internet, "lists.test", HERE, "none");
        let of_bank = key(&internet, "bank.example", "s1")?;
        records.push((of_bank.record_name().to_string(), of_bank.key().public_record()?));
        server.command(&["alias", "add", "friends@example.test", "list@lists.test"])?;
        let written = signed(&mail("ann@bank.example", "post"), &of_bank)?;
        bring_in(&server, "ann@bank.example", "friends@example.test", written.as_bytes())?;
        let received = list.wait_for(1)?.swap_remove(0);

        let of_list = unpublished_key("lists.test", "l1", SigningKey::generate_rsa()?)?;
        publish(&internet, &of_list)?;
        records.push((of_list.record_name().to_string(), of_list.key().public_record()?));
        let changed = received.text().replace("Subject: a letter", "Subject: [friends] a letter");
        let changed = format!(
            "Authentication-Results: lists.test; arc=pass; dkim=pass header.d=bank.example; dmarc={dmarc} \
             header.from=bank.example\r\n{changed}-- \r\nfriends mailing list\r\n"
        );
        let pem = tempfile::NamedTempFile::new()?;
        std::fs::write(pem.path(), of_list.key().to_pem()?.reveal())?;
        let path = pem.path().to_str().context("a path")?;
        let sealing = ["lists.test", "l1", path, "lists.test"];
        let message = peer("seal", &records, &sealing, changed.as_bytes())?;
        Ok(Self { internet, server, message, records })
    }
}

#[test]
fn a_list_that_we_trust_may_change_mail() -> Result<()> {
    let post = Post::sent("pass")?;
    let said = peers("verify", &post.records, &[], &post.message)?;
    ensure!(said["arc"] == "pass" && said["sets"] == 2, "{said}");
    ensure!(said["dkim"][0]["passes"] == false, "{said}");
    let trusting = server_that_checks(&post.internet, "trusted_sealers = [\"lists.test\"]", "")?;
    bring_in(&trusting, BOUNCES, super::BOB, &post.message)?;
    let filed = filed(&trusting, "post@strangers.example")?;
    ensure!(filed.mailbox == "INBOX" && filed.header().contains("Subject: [friends] a letter"), "{filed:?}");
    let results = filed.results()?;
    for words in [
        "dkim=fail reason=\"body was changed\" header.d=bank.example",
        "dmarc=fail header.from=bank.example policy.dmarc=reject",
        "arc=pass header.oldest-pass=2",
    ] {
        ensure!(results.contains(words), "{words} is not in {results}");
    }
    let checks = checks_of(&trusting, BOUNCES)?;
    let why = "lists.test is trusted and found that it passed";
    ensure!(checks.last().is_some_and(|last| last.ends_with(why)), "{checks:?}");
    Ok(())
}

#[test]
fn a_list_that_we_do_not_trust_may_not() -> Result<()> {
    let post = Post::sent("pass")?;
    let refused = |server: &Server, message: &[u8], what: &str| {
        let said = bring(server, "lists.test", BOUNCES, super::BOB, message)?;
        ensure!(said.code == "550" && said.text.contains("bank.example"), "{what}: {said:?}");
        anyhow::Ok(())
    };
    refused(&post.server, &post.message, "nobody is trusted")?;
    // We are not trusted just because the first seal is ours; nor is a domain whose name only ends alike.
    let names = "trusted_sealers = [\"example.test\", \"ists.test\", \"sub.lists.test\"]";
    let others = server_that_checks(&post.internet, names, "")?;
    refused(&others, &post.message, "others are trusted")?;
    let trusting = server_that_checks(&post.internet, "trusted_sealers = [\"lists.test\"]", "")?;
    let text = String::from_utf8(post.message.clone())?;
    refused(
        &trusting,
        text.replace("friends mailing", "send me money,").as_bytes(),
        "changed behind the seal",
    )?;
    let renamed = text.replace("dmarc=fail", "dmarc=pass").replace("i=2; lists.test", "i=2; other.test");
    refused(&trusting, renamed.as_bytes(), "results changed behind the seal")?;
    let first_alone: String = text.replacen("ARC-Seal: i=2", "X-Seal: i=2", 1);
    refused(&trusting, first_alone.as_bytes(), "a set without its seal")
}

#[test]
fn a_list_that_saw_it_fail_does_not_help() -> Result<()> {
    let post = Post::sent("fail")?;
    let trusting = server_that_checks(&post.internet, "trusted_sealers = [\"lists.test\"]", "")?;
    let said = bring(&trusting, "lists.test", BOUNCES, super::BOB, &post.message)?;
    ensure!(said.code == "550", "{said:?}");
    Ok(())
}
