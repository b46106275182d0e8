//! Mail in somebody else's name: whoever is named as its sender hears nothing of it from us.

use anyhow::{Result, ensure};
use testkit::{Internet, Record, Server, ServerOptions};

use super::{bring, json, wait_until};

#[test]
fn who_is_only_named_as_the_sender_hears_nothing() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let (victim, honest) = (internet.domain("victim.example")?, internet.domain("honest.example")?);
    internet.names.add("victim.example", &Record::Text("v=spf1 ip4:192.0.2.1 ?all".into()));
    internet.names.add("honest.example", &Record::Text("v=spf1 ip4:127.0.0.0/8 -all".into()));
    far.refuse("gone@far.example", "550 5.1.1 Nobody of that name");
    let settings = format!("{}[senders]\nunchecked_networks = []\n", internet.settings("", ""));
    let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
    server.command(&["alias", "add", "old@example.test", "gone@far.example"])?;

    // What can be refused is refused while its sender is there.
    let refused = bring(&server, "ann@victim.example", "nobody@example.test", "unknown@victim.example");
    ensure!(
        format!("{:#}", refused.err().map_or_else(String::new, |error| error.to_string())).contains("550")
    );
    // What an alias passes on and another host refuses would be reported on: not to who proves nothing.
    bring(&server, "ann@victim.example", "old@example.test", "forged@victim.example")?;
    wait_until("it is given up", &server, || {
        let steps = json(&server, &["trace", "forged@victim.example"])?;
        Ok(steps.to_string().contains("failed"))
    })?;
    let is_empty =
        || Ok(json(&server, &["queue", "list"])?["messages"].as_array().is_some_and(Vec::is_empty));
    wait_until("the queue gets empty", &server, is_empty)?;
    // The same from somebody whom SPF proves.
    bring(&server, "eve@honest.example", "old@example.test", "proven@honest.example")?;
    let report = honest.wait_for(1)?.swap_remove(0);
    ensure!(report.sender.starts_with("<>") && report.text().contains("550"), "{}", report.text());
    wait_until("the queue gets empty", &server, is_empty)?;
    ensure!(victim.received().is_empty(), "{}", victim.received()[0].text());
    Ok(())
}
