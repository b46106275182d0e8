//! What can be wrong with a domain.

use anyhow::{Context, Result, ensure};
use dns::{MailExchanger, Name, RecordData, RecordType};
use provision::{Finding, Status};
use testkit::{Humour, Signing};

use crate::place::{DOMAIN, Place, ensure_found, faults};

fn remedy<'a>(findings: &'a [Finding], about: &str) -> Result<&'a str> {
    let found = findings.iter().find(|finding| finding.about.contains(about));
    Ok(&found.with_context(|| about.to_owned())?.remedy)
}

fn ensure_right(findings: &[Finding], about: &str) -> Result<()> {
    let found =
        findings.iter().find(|finding| finding.about.contains(about)).with_context(|| about.to_owned())?;
    ensure!(found.status == Status::Right, "{found:#?}");
    Ok(())
}

fn mx(preference: u16, exchange: &str) -> Result<RecordData> {
    Ok(RecordData::Mx(MailExchanger { preference, exchange: Name::parse(exchange)? }))
}

#[tokio::test]
async fn a_domain_with_everything_is_right() -> Result<()> {
    let place = Place::good(Signing::Signed)?;
    let findings = place.check_domain().await?;
    assert_eq!(faults(&findings), Vec::<&Finding>::new());
    assert!(findings.len() >= 10, "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_domain_with_nothing_is_told_what_to_type() -> Result<()> {
    let place = Place::bare(Signing::Unsigned)?;
    let findings = place.check_domain().await?;
    for (about, status, line) in [
        ("MX", Status::Wrong, "good.test. IN MX 10 mail.good.test."),
        ("SPF", Status::Wrong, "good.test. IN TXT \"v=spf1 mx -all\""),
        ("DKIM", Status::Wrong, "s1._domainkey.good.test. IN TXT \"v=DKIM1; k=ed25519; p="),
        ("DMARC", Status::Wrong, "_dmarc.good.test. IN TXT \"v=DMARC1; p=none; rua="),
        ("TLS-RPT", Status::Advice, "_smtp._tls.good.test. IN TXT \"v=TLSRPTv1; rua="),
        ("_imaps._tcp", Status::Advice, "_imaps._tcp.good.test. IN SRV 0 1 993 mail.good.test."),
    ] {
        ensure_found(&findings, about, status, "")?;
        assert!(remedy(&findings, about)?.contains(line), "{about}: {findings:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_domain_that_nobody_registered_is_said_to_be_so() -> Result<()> {
    let mut place = Place::good(Signing::Unsigned)?;
    place.site.domains[0].name = "nobody.test".parse()?;
    let findings = place.check_domain().await?;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    ensure_found(&findings, "nobody.test", Status::Wrong, "knows no such domain")
}

#[tokio::test]
async fn mail_that_goes_elsewhere_is_told() -> Result<()> {
    for (records, status, what) in [
        (vec![mx(10, "mx.other.test")?], Status::Wrong, "not this server"),
        (vec![mx(0, ".")?], Status::Wrong, "takes no mail"),
        (vec![mx(5, "mx.other.test")?, mx(10, "mail.good.test")?], Status::Advice, "mx.other.test"),
        (vec![mx(10, "mail.good.test")?, mx(20, "mx.other.test")?], Status::Right, ""),
    ] {
        let place = Place::good(Signing::Unsigned)?;
        place.names.clear(DOMAIN);
        place.text(DOMAIN, "v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all");
        place.names.delegate(DOMAIN, "ns.good.test", place.servers[0])?;
        records.iter().for_each(|record| place.add(DOMAIN, record));
        let findings = place.check_domain().await?;
        let found = findings.iter().find(|finding| finding.about == "good.test MX").context("MX")?;
        assert!(found.status == status && found.what.contains(what), "{found:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_of_ones_own_is_right_if_it_lets_us_send() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    place.text("_spf.other.test", "v=spf1 ip4:198.51.100.0/24 -all");
    let set = |text: &str| -> Result<()> {
        place.names.clear(DOMAIN);
        place.names.delegate(DOMAIN, "ns.good.test", place.servers[0])?;
        place.add(DOMAIN, &mx(10, "mail.good.test")?);
        place.text(DOMAIN, "site-verification=1234");
        place.text(DOMAIN, text);
        Ok(())
    };
    set("v=spf1 include:_spf.other.test a:mail.good.test ~all")?;
    ensure_right(&place.check_domain().await?, "SPF")?;

    set("v=spf1 include:_spf.other.test -all")?;
    let findings = place.check_domain().await?;
    ensure_found(&findings, "SPF", Status::Wrong, "fail by -all for 192.0.2.7")?;
    // What others may do is kept.
    assert!(
        remedy(&findings, "SPF")?.contains("\"v=spf1 mx include:_spf.other.test -all\""),
        "{findings:#?}"
    );

    set("v=spf1 mx ?all")?;
    ensure_found(&place.check_domain().await?, "SPF", Status::Advice, "lets anybody send")?;
    set("v=spf1 mx ipv4:192.0.2.1 -all")?;
    ensure_found(&place.check_domain().await?, "SPF", Status::Wrong, "cannot be read")?;
    set("v=spf1 mx -all")?;
    place.text(DOMAIN, "v=spf1 include:_spf.other.test -all");
    ensure_found(&place.check_domain().await?, "SPF", Status::Wrong, "2 SPF records")
}

#[tokio::test]
async fn wrong_keys_and_policies_are_told() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    place.only_text("s1._domainkey.good.test", "v=DKIM1; k=ed25519; p=AAAA");
    place.only_text("_dmarc.good.test", "v=DMARC1; p=none");
    place.only_text("_smtp._tls.good.test", "v=TLSRPTv1; rua=");
    let findings = place.check_domain().await?;
    ensure_found(&findings, "DKIM", Status::Wrong, "another key")?;
    ensure_found(&findings, "DMARC", Status::Advice, "others only report")?;
    ensure_found(&findings, "DMARC", Status::Advice, "nobody hears the reports")?;
    ensure_found(&findings, "TLS-RPT", Status::Wrong, "cannot be read")
}

#[tokio::test]
async fn names_that_nobody_made_are_told() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    // The name server of these tests knows no wildcards: this is the name that the check takes.
    let unlikely = "no-name-like-this-was-ever-given.good.test";
    place.add(unlikely, &RecordData::address([192, 0, 2, 99]));
    let findings = place.check_domain().await?;
    ensure_found(&findings, "*.good.test", Status::Advice, "has A 192.0.2.99")?;
    place.names.clear(unlikely);
    place.add(unlikely, &RecordData::Name(RecordType::Cname, Name::parse("www.good.test")?));
    ensure_found(&place.check_domain().await?, "*.good.test", Status::Advice, "alias of www.good.test")
}

#[tokio::test]
async fn name_servers_that_do_not_serve_are_told() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    for (humour, what) in
        [(Humour::Refusing, "ns2.good.test: "), (Humour::Silent, "ns2.good.test: no answer")]
    {
        place.names.set_humour(place.servers[1], humour);
        let findings = place.check_domain().await?;
        ensure_found(&findings, "name servers of good.test", Status::Wrong, what)?;
        // The other one is enough for all the rest.
        assert_eq!(faults(&findings).len(), 1, "{findings:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn signatures_that_prove_nothing_or_the_contrary_are_told() -> Result<()> {
    let mut place = Place::good(Signing::Signed)?;
    place.names.zone("plain.test", Signing::Unsigned)?;
    place.site.domains[0].name = "plain.test".parse()?;
    let findings = place.check_domain().await?;
    ensure_found(&findings, "plain.test DNSSEC", Status::Advice, "not signed")?;
    ensure_found(&findings, "name servers of plain.test", Status::Advice, "only one")?;
    // Keys, and nobody above who says that they are the zone's.
    place.names.add_raw("plain.test", 48, vec![1, 1, 3, 13, 7, 7, 7, 7]);
    let findings = place.check_domain().await?;
    ensure_found(&findings, "plain.test DNSSEC", Status::Advice, "does not say with which key")?;

    place.names.zone("stripped.test", Signing::Stripped)?;
    place.site.domains[0].name = "stripped.test".parse()?;
    ensure_found(&place.check_domain().await?, "stripped.test", Status::Wrong, "proves it forged")
}

#[tokio::test]
async fn servers_without_number_are_asked_in_part() -> Result<()> {
    for (servers, asked) in [(12, 12), (13, 13), (14, 13)] {
        let mut place = Place::bare(Signing::Unsigned)?;
        let address = place.names.zone("many.test", Signing::Unsigned)?;
        for number in 1..servers {
            place.names.delegate("many.test", &format!("n{number}.many.test"), address)?;
        }
        let zone = place.world()?.zone_of(&Name::parse("a.many.test")?).await?;
        ensure!(zone.apex.as_str() == "many.test" && zone.servers.len() == asked, "{servers}: {zone:?}");
    }
    for (addresses, asked) in [(3, 3), (4, 4), (5, 4)] {
        let mut place = Place::bare(Signing::Unsigned)?;
        place.names.zone("many.test", Signing::Unsigned)?;
        for number in 1..addresses {
            place.add("ns.many.test", &RecordData::address([127, 53, 9, number]));
        }
        let zone = place.world()?.zone_of(&Name::parse("many.test")?).await?;
        ensure!(zone.servers.len() == asked, "{addresses}: {zone:?}");
    }
    Ok(())
}
