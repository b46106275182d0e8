//! DNS as the operator sees it: what the server's resolver finds in a world of names, and how far it is proven.

use anyhow::{Result, ensure};
use testkit::{NameWorld, Record, Server, ServerOptions, Signing};

#[test]
fn dns_resolve_tells_what_is_there_and_how_far_it_is_proven() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    for (zone, signing) in [("signed.test", Signing::Signed), ("plain.test", Signing::Unsigned)] {
        world.zone(zone, signing)?;
        world.add(zone, &Record::MailExchanger(10, format!("mx.{zone}")));
    }
    world.add("forged.signed.test", &Record::Text("no".into()));
    world.forge("forged.signed.test");
    let server = Server::make(ServerOptions { settings: world.settings(), ..ServerOptions::default() })?;

    let found = server.command(&["dns", "resolve", "signed.test", "MX"])?;
    ensure!(found.starts_with("signed.test MX: secure") && found.contains("10 mx.signed.test."), "{found}");
    let found = server.command(&["dns", "resolve", "plain.test.", "mx"])?;
    ensure!(found.starts_with("plain.test MX: insecure"), "{found}");
    for (name, status) in
        [("absent.signed.test", "no such name"), ("signed.test", "no data"), ("forged.signed.test", "bogus")]
    {
        let told = server.try_command(&["--json", "dns", "resolve", name, "TXT"])?;
        ensure!(told.status.code() == Some(1), "{told:?}");
        let told: serde_json::Value = serde_json::from_slice(&told.stdout)?;
        ensure!(told["status"] == status, "{told}");
    }
    ensure!(server.try_command(&["dns", "resolve", "a..b"])?.status.code() == Some(1));
    ensure!(server.try_command(&["dns", "resolve", "signed.test", "NOTYPE"])?.status.code() == Some(2));
    Ok(())
}
