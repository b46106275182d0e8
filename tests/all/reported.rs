//! Reports between servers: what came in a domain's name is told to it at the day's end, and what others tell us is shown.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::{HttpsReceiver, Internet, Received, Record, Server, ServerOptions};

/// A server that checks strangers, though they come from loopback, and signs what it reports.
fn server_in(internet: &Internet) -> Result<Server> {
    let settings = format!(
        "{}[senders]\nunchecked_networks = []\n[attachments]\ncheck = false\n[spam]\ncheck = false\n[reports]\norg_name = \"Test House\"\n",
        internet.settings("", "")
    );
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// What reports say, once something is so.
fn told_once(server: &Server, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = std::time::Instant::now();
    loop {
        let told: Value = serde_json::from_str(&server.command(&["--json", "dns", "report"])?)?;
        if is_so(&told) {
            return Ok(told);
        }
        if begun.elapsed() > testkit::WAIT_MAX {
            bail!("it never comes so far: {told}\n{}", server.log());
        }
    }
}

/// The report in a mail, as a stranger reads it: what is in its attachment, unpacked.
fn unpacked(mail: &[u8]) -> Result<String> {
    const READ: &str = r#"
import email, email.policy, gzip, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(m.iter_parts())
assert not m.defects and not any(p.defects for p in parts), [m.defects] + [p.defects for p in parts]
assert [p.get_content_type() for p in parts][0] == "text/plain"
print(m["subject"]); print(m.get_content_type(), parts[1].get_content_type()); print(parts[1].get_filename())
print(gzip.decompress(parts[1].get_content()).decode())
"#;
    python(READ, mail)
}

fn python(program: &str, input: &[u8]) -> Result<String> {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn mail_from(author: &str) -> Vec<u8> {
    format!("From: <{author}>\r\nSubject: hello\r\nMessage-ID: <1@far.example>\r\n\r\nHello\r\n").into_bytes()
}

#[test]
fn a_domain_hears_what_came_in_its_name_and_nobody_else_does() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let third = internet.domain("third.example")?;
    let text = |text: &str| Record::Text(text.into());
    internet.names.add("far.example", &text("v=spf1 ip4:127.0.0.0/8 -all"));
    internet.names.add(
        "_dmarc.far.example",
        &text("v=DMARC1; p=reject; rua=mailto:dmarc@far.example, mailto:tiny@far.example!1k, mailto:flooded@third.example"),
    );
    let server = server_in(&internet)?;
    server.smtp()?.send("eve@far.example", &[Server::ANN], &mail_from("eve@far.example"))?;
    server.smtp()?.send("eve@far.example", &[Server::ANN], &mail_from("eve@far.example"))?;
    let forged = server.smtp()?.send("x@third.example", &[Server::ANN], &mail_from("boss@far.example"));
    ensure!(forged.is_err_and(|refused| refused.to_string().contains("5.7.26")));

    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("1 reports mailed, 0 posted, 0 "), "{said}\n{}", server.log());
    let received: &Received = &host.wait_for(1)?[0];
    ensure!(received.addresses() == ["dmarc@far.example"], "{received:?}");
    let mail = received.text();
    ensure!(
        mail.contains("DKIM-Signature:") && mail.contains("From: Test House <postmaster@example.test>"),
        "{mail}"
    );
    let report = unpacked(mail.as_bytes())?;
    for words in [
        "Report Domain: far.example Submitter: localhost Report-ID: <",
        "multipart/mixed application/gzip",
        "localhost!far.example!",
        "<source_ip>127.0.0.1</source_ip>",
        "<count>2</count>",
        "<disposition>pass</disposition>",
        "<disposition>reject</disposition>",
        "<header_from>far.example</header_from>",
        "<org_name>Test House</org_name>",
    ] {
        ensure!(report.contains(words), "{words} is not in: {report}");
    }
    ensure!(third.received().is_empty(), "nobody there has agreed");
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("0 reports mailed, 0 posted, 0 "), "what was told is not told again: {said}");

    // The same report read by us, once that domain is ours.
    server.command(&["domain", "add", "far.example"])?;
    server.command(&["account", "add", "eve@far.example", "--password", Server::PASSWORD])?;
    server.smtp()?.send("", &["postmaster@far.example"], mail.as_bytes())?;
    let told = told_once(&server, |told| told["messages"] == 3)?;
    ensure!(told["passed"] == 2 && told["sources"][0]["count"] == 2, "{told}");
    ensure!(told["sources"][1]["disposition"] == "reject" && told["sources"][1]["dmarc"] == false, "{told}");
    let said = server.command(&["dns", "report", "far.example"])?;
    ensure!(said.contains("Others saw 3 messages in your names, 1 of them neither by SPF"), "{said}");
    ensure!(server.command(&["dns", "report", "example.test"])?.starts_with("No reports came."));
    // What calls itself a report is not counted: nobody reports on reports.
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("0 reports mailed, 0 posted, 0 "), "{said}");
    Ok(())
}

#[test]
fn a_domain_hears_how_connections_to_it_were_protected() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    internet
        .names
        .add("_smtp._tls.far.example", &Record::Text("v=TLSRPTv1; rua=mailto:tls@far.example".into()));
    let mut server = server_in(&internet)?;
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], &mail_from(Server::ANN))?;
    host.wait_for(1)?;
    // What was seen outlives a restart.
    server.stop()?;
    server.up()?;
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("1 reports mailed"), "{said}\n{}", server.log());
    let received = host.wait_for(2)?;
    let mail = received[1].text();
    ensure!(mail.contains("TLS-Report-Domain: far.example") && mail.contains("TLS-Required: No"), "{mail}");
    let report = unpacked(mail.as_bytes())?;
    for words in
        ["multipart/report application/tlsrpt+gzip", "\"policy-domain\": \"far.example\"", "no-policy-found"]
    {
        ensure!(report.contains(words), "{words} is not in: {report}");
    }
    Ok(())
}

/// A domain that wants TLS reports so, with a mail of ours to it: there is something to be told.
fn seen(internet: &mut Internet, domain: &str, rua: &str) -> Result<(testkit::Exchanger, Server)> {
    let host = internet.domain(domain)?;
    let wish = Record::Text(format!("v=TLSRPTv1; rua={rua}"));
    internet.names.add(&format!("_smtp._tls.{domain}"), &wish);
    let server = server_in(internet)?;
    let to = format!("eve@{domain}");
    server.submission(Server::ANN)?.send(Server::ANN, &[&to], &mail_from(Server::ANN))?;
    host.wait_for(1)?;
    Ok((host, server))
}

/// Somebody's web server at `NAME`.
fn web_server(internet: &mut Internet, name: &str, certified: &str) -> Result<HttpsReceiver> {
    let address = internet.address()?;
    internet.names.add(name, &Record::Address(address.ip()));
    HttpsReceiver::start(address, internet.certified(&[certified])?)
}

#[test]
fn tls_reports_are_posted_where_that_is_asked_for() -> Result<()> {
    let mut internet = Internet::start()?;
    let port = internet.port();
    let web = web_server(&mut internet, "reports.far.example", "reports.far.example")?;
    let (_, server) =
        seen(&mut internet, "far.example", &format!("https://reports.far.example:{port}/v1/tls?of=us"))?;
    // Not today: it is tried again, for a day.
    web.answer("503 Later");
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.contains(" 0 posted, ") && said.contains(" 1 wait "), "{said}");
    web.answer("201 Created");
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("0 reports mailed, 1 posted, "), "{said}\n{}", server.log());
    let posted = &web.wait_for(2)?[1];
    ensure!(posted.request == "POST /v1/tls?of=us HTTP/1.1", "{posted:?}");
    ensure!(posted.field("content-type") == "application/tlsrpt+gzip", "{posted:?}");
    ensure!(posted.field("host") == format!("reports.far.example:{port}"), "{posted:?}");
    let report =
        python("import gzip, sys; print(gzip.decompress(sys.stdin.buffer.read()).decode())", &posted.octets)?;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["policies"][0]["policy"]["policy-domain"] == "far.example", "{report}");
    ensure!(report["policies"][0]["summary"]["total-successful-session-count"].is_u64(), "{report}");
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(
        said.starts_with("0 reports mailed, 0 posted, ") && web.posted().len() == 2,
        "told twice: {said}"
    );
    Ok(())
}

#[test]
fn a_report_is_not_posted_to_whoever_answers() -> Result<()> {
    let mut internet = Internet::start()?;
    let port = internet.port();
    // Another's certificate, and a redirection to where we would not go by ourselves.
    let other = web_server(&mut internet, "other.example", "else.example")?;
    let elsewhere = web_server(&mut internet, "elsewhere.example", "elsewhere.example")?;
    elsewhere.answer("307 Temporary Redirect\r\nLocation: https://other.example/");
    // A name that leads into a private network is not even tried.
    internet.names.add("inner.example", &Record::Address([10, 0, 0, 1].into()));
    let rua = format!(
        "https://inner.example:{port}/,https://other.example:{port}/,https://elsewhere.example:{port}/,https://127.0.0.1:{port}/,mailto:tls@far.example"
    );
    let (host, server) = seen(&mut internet, "far.example", &rua)?;
    let said = server.command(&["dns", "report", "--send"])?;
    // Who can be written to hears of it by mail, once.
    ensure!(said.starts_with("1 reports mailed, 0 posted, "), "{said}\n{}", server.log());
    host.wait_for(2)?;
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("0 reports mailed, 0 posted, "), "{said}");
    let log = server.log();
    ensure!(log.contains("https://inner.example") && log.contains("no address on the Internet"), "{log}");
    ensure!(other.posted().is_empty() && elsewhere.posted().len() == 1, "{other:?} {elsewhere:?}");
    Ok(())
}

#[test]
fn a_domain_whose_protection_is_broken_hears_of_it_all_the_same() -> Result<()> {
    let mut internet = Internet::start_signed()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    let tlsa = format!("_{}._tcp.mx.far.example", internet.port());
    internet.names.add(&tlsa, &Record::Tlsa(3, 1, 1, vec![0; 32]));
    internet
        .names
        .add("_smtp._tls.far.example", &Record::Text("v=TLSRPTv1; rua=mailto:tls@far.example".into()));
    let server = server_in(&internet)?;
    server.submission(Server::ANN)?.send(Server::ANN, &["eve@far.example"], &mail_from(Server::ANN))?;
    let begun = std::time::Instant::now();
    while !server.command(&["queue", "list"])?.contains("matches none of the server's TLSA records") {
        ensure!(begun.elapsed() < testkit::WAIT_MAX, "{}", server.log());
    }
    ensure!(host.received().is_empty());
    let said = server.command(&["dns", "report", "--send"])?;
    ensure!(said.starts_with("1 reports mailed"), "{said}\n{}", server.log());
    let received = &host.wait_for(1)?[0];
    ensure!(received.addresses() == ["tls@far.example"], "{received:?}");
    let report = unpacked(received.text().as_bytes())?;
    for words in ["\"policy-type\": \"tlsa\"", "tlsa-invalid", "mx.far.example"] {
        ensure!(report.contains(words), "{words} is not in: {report}");
    }
    // Nobody else's mail goes that way.
    let waiting: Value = serde_json::from_str(&server.command(&["--json", "queue", "list"])?)?;
    ensure!(waiting["messages"].as_array().is_some_and(|all| all.len() == 1), "{waiting}");
    ensure!(host.received().len() == 1);
    Ok(())
}

/// A mail with a packed report, made by python from the text of the report.
fn packed_mail(report: &str) -> Result<Vec<u8>> {
    const PACK: &str = r#"
import base64, gzip, sys
text = sys.stdin.buffer.read()
if text == b"BOMB": text = b"<feedback>" + b"x" * (64 << 20)
body = base64.encodebytes(gzip.compress(text)).decode().replace("\n", "\r\n")
sys.stdout.write("From: <reports@far.example>\r\nSubject: Report domain: example.test\r\n"
  "Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)
"#;
    Ok(python(PACK, report.as_bytes())?.into_bytes())
}

#[test]
fn what_others_report_is_shown_and_a_bomb_hurts_nobody() -> Result<()> {
    let internet = Internet::start()?;
    let server = server_in(&internet)?;
    let mut stranger = server.smtp()?;
    let bomb = stranger.send("reports@far.example", &["postmaster@example.test"], &packed_mail("BOMB")?)?;
    let foreign = r#"{"organization-name":"Far","report-id":"2","policies":[{"policy":{"policy-type":"sts",
        "policy-domain":"bank.example"},"summary":{"total-failure-session-count":9}}]}"#;
    stranger.send("reports@far.example", &["postmaster@example.test"], &packed_mail(foreign)?)?;
    let own = foreign.replace("bank.example", "example.test");
    stranger.send("reports@far.example", &["postmaster@example.test"], &packed_mail(&own)?)?;
    let told = told_once(&server, |told| told["tls_failures"] == 9)?;
    ensure!(told["reports"].as_array().is_some_and(|reports| reports.len() == 1), "{told}");
    ensure!(
        told["reports"][0]["domain"] == "example.test" && told["reports"][0]["reporter"] == "Far",
        "{told}"
    );
    let log = server.log();
    ensure!(log.contains("the attachment is larger than allowed"), "{bomb}: {log}");
    ensure!(log.contains("bank.example, which is no domain of ours"), "{log}");
    let complaint = b"From: <fbl@far.example>\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nThis is spam.\r\n--x\r\nContent-Type: message/feedback-report\r\n\r\n\
        Feedback-Type: abuse\r\nUser-Agent: Far/1\r\nVersion: 1\r\nSource-IP: 192.0.2.7\r\n\r\n--x\r\n\
        Content-Type: message/rfc822\r\n\r\nFrom: <ann@example.test>\r\nSubject: Buy\r\n\r\nNow\r\n--x--\r\n";
    stranger.send("fbl@far.example", &["postmaster@example.test"], complaint)?;
    let told = told_once(&server, |told| told["complaints"][0]["kind"] == "abuse")?;
    ensure!(told["complaints"][0]["source_ip"] == "192.0.2.7", "{told}");
    ensure!(server.command(&["dns", "report"])?.contains("1 complaints about single messages came."));
    Ok(())
}
