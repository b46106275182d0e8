//! What can be wrong with a host.

use anyhow::Result;
use dns::{Authorization, Name, RecordData, RecordType, TlsaRecord};
use provision::{Certificate, Finding, Status};
use testkit::Signing;

use crate::place::{HOST, Place, ensure_found, faults};

const REVERSE: &str = "7.2.0.192.in-addr.arpa";

fn pointer(name: &str) -> Result<RecordData> {
    Ok(RecordData::Name(RecordType::Ptr, Name::parse(name)?))
}

#[tokio::test]
async fn a_host_with_everything_is_right() -> Result<()> {
    let place = Place::good(Signing::Signed)?;
    let findings = place.check_host().await?;
    assert_eq!(faults(&findings), Vec::<&Finding>::new());
    assert!(findings.len() >= 10, "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_host_that_nobody_knows_is_told_what_to_type() -> Result<()> {
    let findings = Place::bare(Signing::Unsigned)?.check_host().await?;
    ensure_found(&findings, "mail.good.test A", Status::Wrong, "192.0.2.7 is missing")?;
    ensure_found(&findings, "mail.good.test AAAA", Status::Wrong, "2001:db8::7 is missing")?;
    ensure_found(&findings, "192.0.2.7 reverse name", Status::Wrong, "no name")?;
    ensure_found(&findings, "2001:db8::7 reverse name", Status::Wrong, "no name")?;
    ensure_found(&findings, "mail.good.test TXT (SPF)", Status::Advice, "none")?;
    ensure_found(&findings, "mail.good.test CAA", Status::Advice, "none")?;
    let ptr = "7.2.0.192.in-addr.arpa. IN PTR mail.good.test.";
    assert!(findings.iter().any(|finding| finding.remedy.contains(ptr)), "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn an_address_has_to_call_itself_what_the_server_does() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    place.names.clear(REVERSE);
    place.add(REVERSE, &pointer("static-7.provider.test")?);
    let findings = place.check_host().await?;
    ensure_found(
        &findings,
        "192.0.2.7 reverse name",
        Status::Wrong,
        "static-7.provider.test, but the server",
    )?;
    place.add(REVERSE, &pointer(HOST)?);
    let findings = place.check_host().await?;
    ensure_found(&findings, "192.0.2.7 reverse name", Status::Advice, "2 names")?;
    // Its name does not lead back to it.
    place.names.clear(HOST);
    let findings = place.check_host().await?;
    ensure_found(&findings, "192.0.2.7 reverse name", Status::Wrong, "does not lead back")?;
    ensure_found(&findings, "mail.good.test A", Status::Wrong, "192.0.2.7 is missing")
}

#[tokio::test]
async fn strangers_addresses_and_missing_families_are_told() -> Result<()> {
    let mut place = Place::good(Signing::Unsigned)?;
    place.add(HOST, &RecordData::address([192, 0, 2, 99]));
    ensure_found(&place.check_host().await?, "mail.good.test A", Status::Wrong, "192.0.2.99")?;
    place.site.host.addresses.truncate(1);
    ensure_found(&place.check_host().await?, "IPv6", Status::Advice, "no IPv6 address")?;

    // Behind an address translation: what the world says is taken, and its reverse names are looked at.
    let mut place = Place::good(Signing::Unsigned)?;
    place.site.host.addresses.clear();
    assert_eq!(faults(&place.check_host().await?), Vec::<&Finding>::new());
    place.names.clear(REVERSE);
    ensure_found(&place.check_host().await?, "192.0.2.7 reverse name", Status::Wrong, "no name")
}

#[tokio::test]
async fn a_certificate_is_for_the_host() -> Result<()> {
    let mut place = Place::good(Signing::Unsigned)?;
    let certificate =
        |name: &str, is_self_signed| Some(Certificate { names: vec![name.into()], is_self_signed });
    for (certificate, status, what) in [
        (certificate("www.good.test", false), Status::Wrong, "for www.good.test and not"),
        (certificate(HOST, true), Status::Advice, "nobody vouches"),
        (None, Status::Wrong, "no certificate"),
    ] {
        place.probes.certificate = certificate;
        ensure_found(&place.check_host().await?, "certificate", status, what)?;
    }
    place.probes.certificate = certificate("*.good.test", false);
    assert_eq!(faults(&place.check_host().await?), Vec::<&Finding>::new());
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_loses_mail_where_it_can_be_proven() -> Result<()> {
    let other = RecordData::Tlsa(TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![9; 32] });
    let owner = "_25._tcp.mail.good.test";
    for (signing, status) in [(Signing::Signed, Status::Wrong), (Signing::Unsigned, Status::Advice)] {
        let place = Place::good(signing)?;
        place.names.clear(owner);
        place.add(owner, &other);
        ensure_found(&place.check_host().await?, "TLSA", status, "not the key")?;
    }
    // Beside the right one it is the next certificate's.
    let place = Place::good(Signing::Signed)?;
    place.add(owner, &other);
    assert_eq!(faults(&place.check_host().await?), Vec::<&Finding>::new());
    place.names.clear(owner);
    ensure_found(&place.check_host().await?, "TLSA", Status::Advice, "though the zone is signed")
}

#[tokio::test]
async fn those_who_issue_certificates_have_to_be_allowed() -> Result<()> {
    let issue = |value: &str| {
        RecordData::Authorization(Authorization {
            is_critical: false,
            tag: "issue".into(),
            value: value.as_bytes().to_vec(),
        })
    };
    let place = Place::good(Signing::Unsigned)?;
    place.add(HOST, &issue("other.example; accounturi=x"));
    assert_eq!(faults(&place.check_host().await?), Vec::<&Finding>::new());
    let place = Place::bare(Signing::Unsigned)?;
    // A record of the domain above counts for the host.
    place.add("good.test", &issue("other.example"));
    let findings = place.check_host().await?;
    ensure_found(
        &findings,
        "CAA",
        Status::Wrong,
        "good.test lets other.example issue certificates and not letsencrypt.org",
    )
}

#[tokio::test]
async fn an_address_on_a_list_is_told_and_a_dead_list_is_not_believed() -> Result<()> {
    let place = Place::good(Signing::Unsigned)?;
    let entry = "7.2.0.192.list.test";
    place.add(entry, &RecordData::address([127, 0, 0, 4]));
    place.text(entry, "seen sending spam on Monday");
    let findings = place.check_host().await?;
    ensure_found(&findings, "192.0.2.7 on list.test", Status::Wrong, "seen sending spam on Monday")?;

    // A list that lists everybody, one that lists nobody, and one that wants none of us.
    place.add("1.0.0.127.list.test", &RecordData::address([127, 0, 0, 2]));
    ensure_found(&place.check_host().await?, "list list.test", Status::Advice, "lists every address")?;
    place.names.clear("2.0.0.127.list.test");
    ensure_found(&place.check_host().await?, "list list.test", Status::Advice, "does not know")?;
    place.add("2.0.0.127.list.test", &RecordData::address([127, 255, 255, 254]));
    ensure_found(&place.check_host().await?, "list list.test", Status::Advice, "resolver of one's own")
}

#[tokio::test]
async fn a_network_that_lets_no_mail_out_is_told() -> Result<()> {
    let mut place = Place::good(Signing::Unsigned)?;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    place.probes.mail_host = Some((Name::parse("mx.test")?, closed));
    ensure_found(&place.check_host().await?, "outward", Status::Wrong, "cannot be reached")?;
    place.probes.mail_host = None;
    assert_eq!(faults(&place.check_host().await?), Vec::<&Finding>::new());
    Ok(())
}
