//! What is written as a zone file is one for those who serve zones: BIND's and NSD's own checkers read it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use dns::{Name, RecordData};
use mail_types::{Address, DomainName};
use provision::{Domain, Host, Key, Purpose, Services, Site, zone_file};

fn site() -> Result<Site> {
    let host = Host {
        name: DomainName::parse("mail.example.org")?,
        greeting: DomainName::parse("mail.example.org")?,
        addresses: vec!["192.0.2.7".parse()?, "2001:db8::7".parse()?],
        senders: vec!["192.0.2.9".parse()?],
        services: Services {
            submissions: Some(465),
            imaps: Some(993),
            jmap: Some(443),
            configuration: Some(443),
            ..Services::default()
        },
        certificate_keys: vec![[7; 32], [9; 32]],
        certificate_issuers: vec!["letsencrypt.org".into()],
    };
    let domain = Domain {
        name: DomainName::parse("example.org")?,
        identity: None,
        // As long as a key of 4096 bits: it takes three strings.
        keys: vec![Key {
            selector: "rsa2026".into(),
            record: format!("v=DKIM1; k=rsa; p={}", "Ab+/".repeat(183)),
            purpose: Purpose::SigningKey,
        }],
        encryption_policy: sender_auth::mta_sts::PolicyId::new("20261126"),
        reports_to: Address::parse("postmaster@example.org")?,
    };
    Ok(Site { host, domains: vec![domain] })
}

#[test]
fn checkers_of_name_servers_accept_the_file() -> Result<()> {
    let site = site()?;
    let mut records = site.domain_records(&site.domains[0])?;
    records.extend(site.host_records()?);
    let lines = zone_file(&Name::parse("example.org")?, &records);
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("example.org.zone");
    let head = "$TTL 3600\n@ IN SOA ns.example.org. ops.example.org. 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n";
    std::fs::write(&file, format!("{head}{lines}"))?;
    for checker in ["named-checkzone", "nsd-checkzone"] {
        let output = Command::new(checker).arg("example.org").arg(&file).output();
        let output = output.with_context(|| format!("{checker} is missing: scripts/test installs it"))?;
        ensure!(output.status.success(), "{checker}: {output:?}\n{lines}");
    }
    // BIND reads back what we meant.
    let output = Command::new("named-checkzone")
        .args(["-D", "-s", "full", "-o", "-", "example.org"])
        .arg(&file)
        .output()?;
    let read = String::from_utf8(output.stdout)?;
    let wanted = records.iter().filter(|wanted| wanted.purpose.keeper() == provision::Keeper::Zone);
    for wanted in wanted {
        let name = format!("{}.", wanted.name);
        let count = read.lines().filter(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(&name) && words.any(|word| word == wanted.purpose.kind().as_str())
        });
        let alike = records
            .iter()
            .filter(|other| other.name == wanted.name && other.purpose.kind() == wanted.purpose.kind());
        let expected: usize = alike.map(|other| other.values.len()).sum();
        ensure!(count.count() == expected, "{name} {} in\n{read}", wanted.purpose.kind());
    }
    let key = records.iter().find(|wanted| wanted.purpose == Purpose::SigningKey).context("the key")?;
    let Some(RecordData::Text(text)) = key.values.first() else { anyhow::bail!("a text") };
    let line = read.lines().find(|line| line.starts_with("rsa2026._domainkey")).context("the key's line")?;
    let strings: String = line.split('"').skip(1).step_by(2).collect();
    ensure!(strings.as_bytes() == text, "{line}");
    Ok(())
}
