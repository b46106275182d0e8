//! Attacks on the filter itself: attachments that burst, lies that are to turn it, spam from everywhere at once. It stays
//! within its bounds, and nobody else's mail feels any of it.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::Dialogue;

use super::{ANN, BOB, EVE, House, letter};
use crate::delivery::peak_resident_octets;

/// A zip of a hundred zips of fifty million zeros each, and one of ten layers, by Python's zipfile.
const BOMBS: &str = r#"
import io, sys, zipfile
def packed(name, octets):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, octets)
    return out.getvalue()
inner = packed("zeros", bytes(50_000_000))
wide = io.BytesIO()
with zipfile.ZipFile(wide, "w", zipfile.ZIP_DEFLATED) as z:
    for number in range(100):
        z.writestr(f"{number}.zip", inner)
deep = inner
for number in range(30):
    deep = packed(f"{number}.zip", deep)
open(sys.argv[1] + "/wide", "wb").write(wide.getvalue())
open(sys.argv[1] + "/deep", "wb").write(deep)
"#;

fn attached(subject: &str, name: &str, octets: &[u8]) -> String {
    let mut lines = String::new();
    for line in STANDARD.encode(octets).as_bytes().chunks(76) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push_str("\r\n");
    }
    let body = format!(
        "--b\r\n\r\nSee the attachment.\r\n--b\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename={name}\r\n\r\n{lines}--b--"
    );
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nTo: ";
    letter(EVE, ANN, subject, &body).replacen("To: ", head, 1)
}

#[test]
fn attachments_that_burst_are_refused_and_cost_little() -> Result<()> {
    let house = House::new("")?;
    let place = tempfile::TempDir::new()?;
    let made = Command::new("python3").args(["-c", BOMBS]).arg(place.path()).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for name in ["wide", "deep"] {
        let bomb = attached(name, "holiday.zip", &std::fs::read(place.path().join(name))?);
        let (code, text) = house.bring(EVE, &[ANN], &bomb)?;
        ensure!(code == "550" && text.contains("attached"), "{name}: {code} {text} {}", house.record(EVE)?);
        house.take(EVE, &[ANN], &letter(EVE, ANN, &format!("after {name}"), "Shall we meet at noon?"))?;
    }
    ensure!(house.subjects(ANN, "INBOX")? == ["after wide", "after deep"]);
    let most = peak_resident_octets(house.server.process_id().context("it runs")?)?;
    ensure!(most < 120 << 20, "the server needed {most} octets of memory");
    Ok(())
}

#[test]
fn lies_of_one_account_do_not_turn_the_filter_for_others() -> Result<()> {
    let house = House::new("")?;
    let news = |number: usize| {
        letter(
            EVE,
            ANN,
            &format!("minutes {number}"),
            "Minutes of the choir's meeting, with the dates of rehearsals.",
        )
    };
    house.take(EVE, &[ANN, BOB], &news(0))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["minutes 0"], "{}", house.record(EVE)?);
    // Bob calls the choir's letters junk, a hundred of them.
    let mut imap = house.server.imap(BOB)?;
    for number in 1..=100 {
        let lie = news(number).replace(ANN, BOB);
        imap.append("Junk", "", lie.as_bytes())?;
    }
    house.wait_for("the lies are heard", || Ok(house.lessons() >= 100))?;
    house.take(EVE, &[ANN, BOB], &news(101))?;
    ensure!(house.subjects(ANN, "INBOX")?.contains(&"minutes 101".to_owned()), "{}", house.record(EVE)?);
    // He has it as he wants it.
    ensure!(house.subjects(BOB, "Junk")?.contains(&"minutes 101".to_owned()), "{}", house.record(EVE)?);
    Ok(())
}

#[test]
fn spam_from_everywhere_is_known_once_a_trap_has_seen_it() -> Result<()> {
    let house = House::build("", "[screen]\ntraps = [\"trap@example.test\"]")?;
    let spam = |number: u8, to: &str| {
        let from = format!("offer{number}@shoes{number}.example");
        let text = format!(
            "Order our miracle slimming tea today, batch {number}, and lose ten pounds in a week! Limited stock of miracle tea, \
             order now at http://tea{number}.shoes{number}.example/miracle"
        );
        letter(&from, to, &format!("Miracle tea {number}"), &text)
    };
    // Each comes from another network, under another name.
    let bring = |number: u8, to: &str| -> Result<()> {
        let source = Ipv4Addr::new(127, number, 7, 9);
        let mut smtp = Dialogue::connect_from(source, house.server.address(25))?;
        smtp.expect("220 ")?;
        let path = format!("MAIL FROM:<offer{number}@shoes{number}.example>");
        let steps = [
            ("HELO mx.shoes.example", "250 "),
            (&path, "250 "),
            (&format!("RCPT TO:<{to}>"), "250 "),
            ("DATA", "354 "),
        ];
        for (line, expected) in steps {
            smtp.send(line)?;
            smtp.expect(expected)?;
        }
        smtp.send(&format!("{}.", spam(number, to)))?;
        smtp.expect("250 ")?;
        Ok(())
    };
    for number in 1..=40 {
        bring(number, "trap@example.test")?;
    }
    house.wait_for("what came to the trap is learned", || Ok(house.lessons() >= 40))?;
    for number in 101..=120 {
        bring(number, ANN)?;
    }
    let junk = house.subjects(ANN, "Junk")?.len();
    ensure!(junk >= 18, "{junk} of 20: {}", house.record("offer120@shoes120.example")?);
    // A letter of somebody decent, from a network that nobody has seen either.
    house.take(EVE, &[ANN], &letter(EVE, ANN, "choir", "The rehearsal is on Tuesday, bring the tea."))?;
    ensure!(house.subjects(ANN, "INBOX")?.contains(&"choir".to_owned()), "{}", house.record(EVE)?);
    Ok(())
}
