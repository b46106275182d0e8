//! DNS fails while a message is judged: it is put off, and taken once DNS is back.

use anyhow::{Result, bail, ensure};
use testkit::{Humour, Internet, Signing, WAIT_MAX};

use super::{BOB, HERE, bring, bring_in, domain, filed, mail, server_that_checks};

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
