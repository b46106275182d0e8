//! DNS fails while a message is judged: it is put off, and taken once DNS is back.

use anyhow::{Result, bail, ensure};
use testkit::{Humour, Internet, Signing, WAIT_MAX};

use super::{BOB, HERE, bring, bring_in, domain, filed, mail, publish_ours, server_that_checks};

#[test]
fn mail_is_put_off_until_dns_is_back() -> Result<()> {
    let mut internet = Internet::start()?;
    let names = internet.names.zone("dark.example", Signing::Unsigned)?;
    domain(&internet, "dark.example", HERE, "reject");
    internet.names.set_humour(names, Humour::Failing);
    let server = server_that_checks(&internet, "", "")?;
    let letter = mail("eve@dark.example", "dark");
    let come = || bring(&server, "client.example", "eve@dark.example", BOB, letter.as_bytes());
    let said = come()?;
    ensure!(said.code == "451" && said.text.contains("4.7.26"), "{said:?}");
    ensure!(super::find(&server, "dark@strangers.example")?.is_none());
    internet.names.set_humour(names, Humour::Well);
    // The resolver remembers for a moment that it was told nothing (RFC 9520); a host that comes again outlasts that.
    let begun = std::time::Instant::now();
    while come()?.code != "250" {
        if begun.elapsed() > WAIT_MAX {
            bail!("it is put off for ever\n{}", server.log());
        }
        std::thread::yield_now();
    }
    ensure!(filed(&server, "dark@strangers.example")?.results()?.contains("dmarc=pass"));
    Ok(())
}

#[test]
fn the_operator_may_take_what_dns_does_not_tell_of() -> Result<()> {
    let mut internet = Internet::start()?;
    let names = internet.names.zone("dark.example", Signing::Unsigned)?;
    internet.names.set_humour(names, Humour::Failing);
    let server = server_that_checks(&internet, "on_dns_failure = \"accept\"", "")?;
    bring_in(&server, "eve@dark.example", BOB, mail("eve@dark.example", "dark").as_bytes())?;
    let results = filed(&server, "dark@strangers.example")?;
    ensure!(results.mailbox == "INBOX", "{results:?}");
    ensure!(results.results()?.contains("spf=temperror"), "{results:?}");
    ensure!(results.results()?.contains("dmarc=temperror"), "{results:?}");
    Ok(())
}

#[test]
fn a_chain_that_dns_keeps_from_being_read_is_not_sealed_as_broken() -> Result<()> {
    let mut internet = Internet::start()?;
    let names = internet.names.zone("dark.test", Signing::Unsigned)?;
    let (middle, far) = (internet.domain("middle.test")?, internet.domain("far.example")?);
    // One of us whose domain's names will fail seals what passes on its way to the next of us.
    let first = server_that_checks(&internet, "", "")?;
    first.command(&["domain", "add", "dark.test"])?;
    first.command(&["alias", "add", "friend@dark.test", "friend@middle.test"])?;
    publish_ours(&internet, &first)?;
    bring_in(
        &first,
        "eve@strangers.example",
        "friend@dark.test",
        mail("eve@strangers.example", "sealed").as_bytes(),
    )?;
    let sealed = middle.wait_for(1)?.swap_remove(0);
    ensure!(
        sealed.text().contains("ARC-Seal: i=1;") && sealed.text().contains("d=dark.test"),
        "{}",
        sealed.text()
    );
    internet.names.set_humour(names, Humour::Failing);
    let next = server_that_checks(&internet, "on_dns_failure = \"accept\"", "")?;
    next.command(&["alias", "add", "friend@example.test", "pal@far.example"])?;
    publish_ours(&internet, &next)?;
    let pass_on = |count: usize| -> Result<String> {
        bring_in(&next, "eve@strangers.example", "friend@example.test", &sealed.octets)?;
        Ok(far.wait_for(count)?.swap_remove(count - 1).text())
    };
    let passed = pass_on(1)?;
    ensure!(passed.contains("ARC-Seal: i=1;") && !passed.contains("ARC-Seal: i=2;"), "{passed}");
    ensure!(!passed.contains("cv=fail"), "{passed}");
    // Once it can be read, the chain grows.
    internet.names.set_humour(names, Humour::Well);
    let begun = std::time::Instant::now();
    for count in 2.. {
        let passed = pass_on(count)?;
        if passed.contains("ARC-Seal: i=2;") {
            ensure!(passed.contains("cv=pass"), "{passed}");
            break;
        }
        if begun.elapsed() > WAIT_MAX {
            bail!("it is never read\n{}", next.log());
        }
    }
    Ok(())
}
