//! DNS as the operator sees it: what the server's resolver finds in a world of names, and how far it is proven.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
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

#[test]
fn dns_resolve_shows_the_way_and_from_where_the_world_sees_us() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    let server_of_zone = world.zone("way.test", Signing::Signed)?;
    world.add("way.test", &Record::MailExchanger(10, "mx.way.test".into()));
    world.zone("com", Signing::Unsigned)?;
    world.zone("google.com", Signing::Unsigned)?;
    world.mirror("o-o.myaddr.l.google.com");
    let settings = format!("{}bind_v4 = \"127.0.0.77\"\n", world.settings());
    let server = Server::make(ServerOptions { settings, ..ServerOptions::default() })?;
    let found = server.command(&["dns", "resolve", "way.test", "MX"])?;
    let root = format!("  {} udp test. NS: servers of test.", world.root());
    let last = format!("  {server_of_zone}:{} udp way.test. MX: 1 record", world.port());
    ensure!(found.contains(&root) && found.contains(&last), "{found}");
    let told = server.command(&["--json", "dns", "resolve", "way.test", "MX"])?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    ensure!(told["way"].as_array().is_some_and(|way| way.len() > 3), "{told}");
    ensure!(told["way"][0]["server"] == world.root().to_string(), "{told}");

    let seen = server.command(&["dns", "resolve", "--egress"])?;
    ensure!(seen.starts_with("IPv4: the world sees 127.0.0.77, as the settings say"), "{seen}");
    let other = format!("{}bind_v4 = \"127.0.0.78\"\n", world.settings());
    let server = Server::make(ServerOptions { settings: other, ..ServerOptions::default() })?;
    world.set_humour(world.responsible("google.com").context("no server")?, testkit::Humour::Silent);
    let unseen = server.try_command(&["dns", "resolve", "--egress"])?;
    ensure!(unseen.status.code() == Some(1), "{unseen:?}");
    Ok(())
}

#[test]
fn programs_of_the_machine_ask_the_same_resolver() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    for (zone, signing) in [("signed.test", Signing::Signed), ("plain.test", Signing::Unsigned)] {
        world.zone(zone, signing)?;
        world.add(zone, &Record::MailExchanger(10, format!("mx.{zone}")));
        world.add(zone, &Record::Text("forged".into()));
    }
    world.add("forged.signed.test", &Record::Text("no".into()));
    world.forge("forged.signed.test");
    let settings = format!("{}listen = [\"127.0.0.1\"]\n", world.settings());
    let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
    let port = server.address(53).port().to_string();
    let dig = |words: &[&str]| -> Result<String> {
        let output = Command::new("dig").args(["@127.0.0.1", "-p", &port]).args(words).output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let secure = dig(&["+dnssec", "signed.test", "MX"])?;
    ensure!(secure.contains("flags: qr rd ra ad;") && secure.contains("10 mx.signed.test."), "{secure}");
    ensure!(secure.contains("RRSIG\tMX 13 2"), "{secure}");
    let insecure = dig(&["+tcp", "+adflag", "plain.test", "MX"])?;
    ensure!(insecure.contains("flags: qr rd ra;") && insecure.contains("10 mx.plain.test."), "{insecure}");
    let bogus = dig(&["forged.signed.test", "TXT"])?;
    ensure!(bogus.contains("status: SERVFAIL") && bogus.contains("EDE: 6"), "{bogus}");
    let unchecked = dig(&["+cd", "+short", "forged.signed.test", "TXT"])?;
    ensure!(unchecked == "\"no\"\n", "{unchecked}");
    ensure!(dig(&["signed.test", "ANY"])?.contains("status: NOTIMP"));

    // A validator behind us gets from us all it needs.
    let key = world.trust_anchor().context("signed")?;
    let words: Vec<&str> = key.split_whitespace().collect();
    let anchors = server.directory().join("anchors");
    std::fs::write(
        &anchors,
        format!(
            "trust-anchors {{ . static-key {} {} {} \"{}\"; }};\n",
            words[0], words[1], words[2], words[3]
        ),
    )?;
    let delv = |name: &str, kind: &str| -> Result<String> {
        let output = Command::new("delv")
            .args(["@127.0.0.1", "-p", &port, "+root=.", "-a"])
            .arg(&anchors)
            .args([name, kind])
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    for (name, kind, told) in [
        ("signed.test", "MX", "; fully validated"),
        ("plain.test", "MX", "; unsigned answer"),
        ("absent.signed.test", "A", "; negative response, fully validated"),
        ("signed.test", "A", "; negative response, fully validated"),
        ("forged.signed.test", "TXT", "resolution failed"),
    ] {
        let found = delv(name, kind)?;
        ensure!(found.contains(told), "{name} {kind}: {found}");
    }
    Ok(())
}

/// Another validator beside ours, on the same world: unbound, told where each zone is, since it asks no ports but 53.
struct Unbound(Child);

impl Drop for Unbound {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn unbound(world: &NameWorld, zones: &[&str], directory: &Path, port: u16) -> Result<Unbound> {
    let anchors = directory.join("anchors");
    std::fs::write(&anchors, format!(". IN DNSKEY {}\n", world.trust_anchor().context("signed")?))?;
    let mut text = format!(
        "server:\n interface: 127.0.0.1\n port: {port}\n do-not-query-localhost: no\n do-ip6: no\n\
         \x20trust-anchor-file: \"{}\"\n username: \"\"\n chroot: \"\"\n directory: \"{}\"\n pidfile: \"\"\n\
         \x20use-syslog: no\n do-daemonize: no\n local-zone: \"test.\" nodefault\nremote-control:\n control-enable: no\n",
        anchors.display(),
        directory.display()
    );
    for zone in zones {
        let server = world.responsible(zone).with_context(|| format!("no server for {zone:?}"))?;
        text += &format!("stub-zone:\n name: \"{zone}.\"\n stub-addr: {server}@{}\n", world.port());
    }
    let file = directory.join("unbound.conf");
    std::fs::write(&file, text)?;
    let child = Command::new("/usr/sbin/unbound")
        .args(["-d", "-c"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Unbound(child))
}

#[test]
fn unbound_comes_to_the_same_verdicts() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    let zones = [
        ("test", Signing::Signed),
        ("signed.test", Signing::Signed),
        ("hashed.test", Signing::Signed),
        ("plain.test", Signing::Unsigned),
        ("stripped.test", Signing::Stripped),
    ];
    for (zone, signing) in zones {
        world.zone(zone, signing)?;
        world.add(&format!("mx.{zone}"), &Record::Text("here".into()));
        world.add(&format!("*.wild.{zone}"), &Record::Text("anything".into()));
        world.add(&format!("alias.{zone}"), &Record::Alias("mx.signed.test".into()));
    }
    world.hash_names("hashed.test", 3);
    world.add("forged.signed.test", &Record::Text("no".into()));
    world.forge("forged.signed.test");
    let settings = format!("{}listen = [\"127.0.0.1\"]\n", world.settings());
    let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
    let ours = server.address(53).port();
    let theirs = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let named: Vec<&str> = [""].into_iter().chain(zones.map(|(zone, _)| zone)).collect();
    let _unbound = unbound(&world, &named, server.directory(), theirs)?;
    let verdict = |port: u16, name: &str, kind: &str| -> Result<String> {
        // dig asks again by itself until unbound is up.
        let port = port.to_string();
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port, "+adflag", "+tries=5", "+timeout=5", name, kind])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
        let flags = text.split("flags: ").nth(1).and_then(|rest| rest.split(';').next());
        let proven = flags.is_some_and(|flags| flags.split(' ').any(|flag| flag == "ad"));
        Ok(format!("{} {proven}", status.with_context(|| text.clone())?))
    };
    let began = std::time::Instant::now();
    while verdict(theirs, "mx.signed.test", "TXT").is_err() {
        ensure!(began.elapsed() < std::time::Duration::from_secs(20), "unbound does not come up");
    }
    let mut told = Vec::new();
    for (zone, _) in zones {
        for (name, kind) in [
            (format!("mx.{zone}"), "TXT"),
            (format!("mx.{zone}"), "A"),
            (format!("nowhere.{zone}"), "TXT"),
            (format!("a.wild.{zone}"), "TXT"),
            (format!("a.b.wild.{zone}"), "TXT"),
            (format!("alias.{zone}"), "TXT"),
        ] {
            let (one, other) = (verdict(ours, &name, kind)?, verdict(theirs, &name, kind)?);
            ensure!(one == other, "{name} {kind}: {one}, but unbound says {other}");
            told.push(one);
        }
    }
    let (one, other) =
        (verdict(ours, "forged.signed.test", "TXT")?, verdict(theirs, "forged.signed.test", "TXT")?);
    ensure!(one == "SERVFAIL false" && other == one, "{one}, {other}");
    for verdict in ["NOERROR true", "NOERROR false", "NXDOMAIN true", "NXDOMAIN false", "SERVFAIL false"] {
        ensure!(told.iter().any(|told| told == verdict), "no {verdict} among {told:?}");
    }
    Ok(())
}
