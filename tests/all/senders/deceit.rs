//! Threats of class 24: however a message is bent, it never ends as mail that a domain vouches for which neither sent nor
//! signed it, and nobody else's words become our judgement.

use anyhow::{Context, Result, ensure};
use sender_auth::dkim::{KeyFor, SigningKey};
use sender_auth::results::AuthenticationResults;
use serde_json::json;
use testkit::{Internet, Server};

use super::{
    BOB, Filed, HERE, NOT_HERE, bring, domain, filed, find, key, mail, peer, peers, publish,
    server_that_checks, signed, unfolded, unpublished_key,
};

const EVE: &str = "eve@evil.example";

/// Eve owns evil.example and may send from here; bank.example wants everything refused that is not its own.
struct Attack {
    internet: Internet,
    server: Server,
    /// Eve's key.
    evil: KeyFor,
    /// The bank's.
    bank: KeyFor,
}

impl Attack {
    fn begin() -> Result<Self> {
        let internet = Internet::start()?;
        let server = server_that_checks(&internet, "", "")?;
        domain(&internet, "evil.example", HERE, "reject");
        domain(&internet, "bank.example", NOT_HERE, "reject");
        let evil = key(&internet, "evil.example", "e1")?;
        let bank = unpublished_key("bank.example", "b1", SigningKey::generate_rsa()?)?;
        publish(&internet, &bank)?;
        Ok(Self { internet, server, evil, bank })
    }

    /// Brings it as Eve would, and looks at what became of it.
    fn try_with(&self, what: &str, hello: &str, sender: &str, message: &str) -> Result<Option<Filed>> {
        let said = bring(&self.server, hello, sender, BOB, message.as_bytes())?;
        if said.code != "250" {
            ensure!(said.code.starts_with('5'), "{what}: {said:?}");
            return Ok(None);
        }
        let id = message.split("Message-ID: <").nth(1).and_then(|rest| rest.split('>').next());
        let filed = filed(&self.server, id.context("no Message-ID")?).with_context(|| what.to_owned())?;
        ensure_no_deceit(&filed).with_context(|| what.to_owned())?;
        Ok(Some(filed))
    }
}

/// Demands that nobody who reads our field, well or badly, finds that the bank sent it.
fn ensure_no_deceit(filed: &Filed) -> Result<()> {
    let results = filed.results()?;
    for passed in results.split("dmarc=pass").skip(1) {
        ensure!(passed.starts_with(" header.from=evil.example"), "{filed:?}");
    }
    ensure!(!results.contains("dkim=pass header.d=bank.example"), "{filed:?}");
    let read = AuthenticationResults::parse(format!("localhost;{results}").as_bytes())?;
    for result in &read.results {
        let names_bank = result.properties.iter().any(|property| property.value.contains("bank.example"));
        ensure!(result.result != "pass" || !names_bank, "{filed:?}");
    }
    // A stranger's parser reads the same results.
    let others = peers("read", &[], &[], filed.text.as_bytes())?;
    let ours = read.results.iter().map(|result| json!([result.method, result.result])).collect::<Vec<_>>();
    ensure!(others["fields"][0] == json!(["localhost", ours]), "{others}\n{filed:?}");
    Ok(())
}

/// From fields, and whether Eve may be found to have sent them herself: only where no reader can take the bank for the
/// author.
const AUTHORS: [(&str, bool); 24] = [
    ("From: eve@evil.example\r\nFrom: service@bank.example\r\n", false),
    ("From: service@bank.example\r\nFrom: eve@evil.example\r\n", false),
    ("From: eve@evil.example\r\nfrom : service@bank.example\r\n", false),
    ("FROM:\r\n service@bank.example\r\nFrom: eve@evil.example\r\n", false),
    ("From: eve@evil.example, service@bank.example\r\n", false),
    ("From: service@bank.example, eve@evil.example\r\n", false),
    ("From: us: eve@evil.example, service@bank.example;\r\n", false),
    ("From: us: service@bank.example;, eve@evil.example\r\n", false),
    ("From: nobody:;, service@bank.example\r\n", false),
    ("From: nobody:;\r\nSender: service@bank.example\r\n", false),
    ("From: service@bank.example (eve@evil.example)\r\n", false),
    ("From: eve@evil.example (service@bank.example)\r\n", true),
    ("From: (service@bank.example) eve@evil.example\r\n", true),
    ("From: \"service@bank.example\" <eve@evil.example>\r\n", true),
    ("From: =?utf-8?q?service=40bank=2Eexample?= <eve@evil.example>\r\n", true),
    ("From: =?utf-8?b?c2VydmljZUBiYW5rLmV4YW1wbGU=?=\r\n", false),
    ("From: =?utf-8?q?eve=40evil=2Eexample=2C?= <service@bank.example>\r\n", false),
    ("From: <eve@evil.example>, <service@bank.example\r\n", false),
    ("From: <@evil.example:service@bank.example>\r\n", false),
    ("From: service@bank.example@evil.example\r\n", false),
    ("From: <service@bank.example><eve@evil.example>\r\n", false),
    ("From: service@bank.example\r\nSender: eve@evil.example\r\nReply-To: eve@evil.example\r\n", false),
    ("Sender: service@bank.example\r\n", false),
    ("From: service@[127.0.0.1]\r\nSender: service@bank.example\r\n", false),
];

#[test]
fn the_bank_did_not_write_it_however_from_is_bent() -> Result<()> {
    let attack = Attack::begin()?;
    for (number, (from, may_pass)) in AUTHORS.iter().enumerate() {
        let rest = mail("x@x.example", &format!("bent-{number}"));
        let (_, rest) = rest.split_once("\r\n").context("no second line")?;
        let plain = format!("{from}{rest}");
        // Brought by Eve's host, and signed with her key too; her signature may lie around all fields or around one.
        let around = signed(&plain, &attack.evil)?;
        let later = match from.split_once("\r\n") {
            Some((first, second)) if second.to_ascii_lowercase().starts_with("from") => {
                format!("{first}\r\n{}", signed(&format!("{second}{rest}"), &attack.evil)?)
            }
            _ => around.clone(),
        };
        for (way, message) in [("plain", &plain), ("signed", &around), ("signed below", &later)] {
            let message =
                message.replace(&format!("bent-{number}@"), &format!("bent-{number}-{}@", way.len()));
            let what = format!("{way}: {from:?}");
            let Some(filed) = attack.try_with(&what, "client.example", EVE, &message)? else { continue };
            let passes = filed.results()?.contains("dmarc=pass");
            ensure!(*may_pass || !passes, "{what}: {filed:?}");
        }
    }
    Ok(())
}

#[test]
fn greetings_senders_and_signatures_are_no_results() -> Result<()> {
    let attack = Attack::begin()?;
    let claim = "dmarc=pass header.from=bank.example";
    for (number, hello) in [
        format!("x;{claim}"),
        format!("(x);\t{claim}"),
        format!("\"x; {claim}\""),
        "x);dkim=pass(header.d=bank.example".to_owned(),
        "[127.0.0.1];dmarc=pass".to_owned(),
        "bank.example".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let letter = mail("service@bank.example", &format!("hello-{number}"));
        for sender in ["", EVE] {
            let filed = attack.try_with(hello, hello, sender, &letter)?;
            ensure!(filed.is_none(), "{hello}: {filed:?}");
        }
        // With Eve's own name in From it is taken, and her greeting told.
        let honest = mail("eve@silent.example", &format!("honest-{number}"));
        attack.try_with(hello, hello, "", &honest)?;
    }
    for (number, sender) in [
        format!("\"x; {claim}\"@silent.example"),
        format!("\"x) {claim} (\"@silent.example"),
        "\"x\\\" dmarc=pass\"@silent.example".to_owned(),
        "x@bank.example(.silent.example".to_owned(),
        "x@silent.example;dmarc=pass".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let letter = mail("eve@silent.example", &format!("sender-{number}"));
        attack.try_with(sender, "client.example", sender, &letter)?;
    }
    let letter = signed(&mail("eve@silent.example", "tags"), &attack.evil)?;
    for (number, (tag, bent)) in [
        ("d=evil.example;", "d=bank.example(.evil.example;"),
        ("d=evil.example;", "d=\"bank.example\" dmarc=pass;"),
        ("d=evil.example;", "d=bank.example;"),
        ("d=evil.example;", "d=evil.example; d=bank.example;"),
        ("d=evil.example;", "d=bank.example\0.evil.example;"),
        ("s=e1;", "s=e1\" dmarc=pass header.from=bank.example;"),
        ("s=e1;", "s=e1) dmarc=pass (;"),
        ("s=e1;", "s=e1; i=\"x dmarc=pass\"@evil.example;"),
        ("s=e1;", "s=e1; i=@bank.example;"),
        ("s=e1;", "s=e1._domainkey.evil.example.;"),
        ("a=ed25519-sha256;", "a=ed25519-sha256 dmarc=pass header.from=bank.example;"),
        ("b=", "b=dmarc=pass"),
    ]
    .iter()
    .enumerate()
    {
        ensure!(letter.contains(tag), "{tag} is not in {letter}");
        let message = letter.replacen(tag, bent, 1).replace("<tags@", &format!("<tags-{number}@"));
        let filed = attack.try_with(bent, "client.example", EVE, &message)?;
        let passes =
            filed.as_ref().map(Filed::results).transpose()?.is_some_and(|said| said.contains("dkim=pass"));
        ensure!(!passes, "{bent}: {filed:?}");
    }
    Ok(())
}

#[test]
fn results_that_came_along_are_not_ours() -> Result<()> {
    let attack = Attack::begin()?;
    let names = [
        "localhost",
        "LOCALHOST",
        "LocalHost.",
        "\"localhost\"",
        "(ours) localhost",
        "(a(b)c)\r\n\tlocalhost (d)",
        "\r\n localhost",
        "localhost/1",
        "localhost 1",
        "localhost (x) 1 (y)",
        "other.example (x) localhost",
        "\"local\\host\"",
        "(unclosed localhost",
        "",
        ";",
    ];
    for (number, name) in names.iter().enumerate() {
        for field in ["Authentication-Results", "AUTHENTICATION-RESULTS", "authentication-results "] {
            let id = format!("forged-{number}-{}", field.len() + usize::from(field.starts_with('A')));
            let id = format!("{id}-{}", field.chars().filter(|one| one.is_ascii_uppercase()).count());
            let forged = format!("{field}: {name}; dmarc=pass header.from=bank.example\r\n");
            let letter = mail("eve@silent.example", &id);
            let what = format!("{field}: {name}");
            let found = attack.try_with(&what, "client.example", EVE, &format!("{forged}{letter}"))?;
            let filed = found.with_context(|| format!("{what} was refused"))?;
            ensure!(!filed.text.contains("bank.example"), "{what}: {filed:?}");
        }
    }
    // What another server says stays: it is that server's word.
    let other = "Authentication-Results: mx.other.example; dmarc=pass header.from=bank.example\r\n";
    let letter = mail("eve@silent.example", "other");
    let said = bring(&attack.server, "client.example", EVE, BOB, format!("{other}{letter}").as_bytes())?;
    ensure!(said.code == "250", "{said:?}");
    let filed = filed(&attack.server, "other@strangers.example")?;
    ensure!(
        filed.text.contains("mx.other.example") && !filed.results()?.contains("bank.example"),
        "{filed:?}"
    );
    Ok(())
}

#[test]
fn what_the_bank_signed_is_not_stretched() -> Result<()> {
    let attack = Attack::begin()?;
    let pem = tempfile::NamedTempFile::new()?;
    std::fs::write(pem.path(), attack.bank.key().to_pem()?.reveal())?;
    let path = pem.path().to_str().context("a path")?;
    let letter = mail("service@bank.example", "signed");
    // As a careless bank signs: l= as far as the body goes now, and From only once.
    let by_length = peer("sign", &[], &["bank.example", "b1", path], letter.as_bytes())?;
    let by_length = String::from_utf8(by_length)?;
    ensure!(unfolded(&by_length).contains("l="), "{by_length}");
    let ours = signed(&letter, &attack.bank)?;
    for (what, message) in [
        ("text below l=", format!("{by_length}Pay at evil.example.\r\n")),
        ("From on top", format!("From: eve@evil.example\r\n{by_length}")),
        ("From below", by_length.replace("To: ", "From: eve@evil.example\r\nTo: ")),
        ("From on top of ours", format!("From: eve@evil.example\r\n{ours}")),
        ("From below in ours", ours.replace("To: ", "From: eve@evil.example\r\nTo: ")),
        ("another Subject", ours.replace("a letter", "an invoice")),
        ("two Subjects", ours.replace("Subject:", "Subject: an invoice\r\nSubject:")),
        ("another body", ours.replace("This is", "That was")),
        ("the signature of another letter", {
            let (field, _) = ours.split_once("\r\nFrom: ").context("no From")?;
            format!("{field}\r\n{}", mail("service@bank.example", "pay"))
        }),
    ] {
        attack.try_with(what, "client.example", EVE, &message)?;
    }
    // The bank's own letter may come by whatever way, to whomever: it is the bank's.
    let said = bring(&attack.server, "evil.example", EVE, Server::ANN, ours.as_bytes())?;
    ensure!(said.code == "250", "{said:?}");
    let said = bring(&attack.server, "evil.example", EVE, BOB, ours.as_bytes())?;
    ensure!(said.code == "250", "{said:?}");
    let replayed = filed(&attack.server, "signed@strangers.example")?;
    ensure!(replayed.results()?.contains("dmarc=pass header.from=bank.example"), "{replayed:?}");
    ensure!(find(&attack.server, "pay@strangers.example")?.is_none());
    ensure!(
        attack.internet.names.asked_anywhere().iter().any(|asked| asked.name == "b1._domainkey.bank.example")
    );
    Ok(())
}
