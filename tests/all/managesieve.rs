//! Clients with which people write their Sieve scripts, and the operator's own commands for it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Server, ServerOptions};

use crate::crash::PowerCuts;

/// With what clients may get wrong on the way: letters beyond ASCII, quotes, a dot alone, an empty line.
const SCRIPT: &str = "require [\"fileinto\"];\r\n# caf\u{e9} \"{5+}\" \\\r\n\r\nif header :contains \"subject\" \"f\u{fc}r\" {\r\n  \
                      fileinto \"Archive\";\r\n  stop;\r\n}\r\n/*\r\n.\r\n*/\r\nkeep;\r\n";
/// The second command does not exist.
const FAULTY: &str = "keep;\r\n  frobnicate;\r\n";

/// A server that takes no password in clear.
fn server() -> Result<Server> {
    let settings = "[auth]\nplaintext_on_loopback = false".to_owned();
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

/// Runs a program that reads from us; whether it ended well, and what it said.
fn run_with(command: &mut Command, input: &[u8]) -> Result<(bool, String)> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("starting {command:?}; scripts/test installs it"))?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), said))
}

/// What a script says, by the operator's command.
fn kept(server: &Server, name: &str) -> Result<String> {
    server.command(&["sieve", "get", Server::ANN, name])
}

fn listed(server: &Server) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(&server.command(&["--json", "sieve", "list", Server::ANN])?)?)
}

#[test]
fn sieve_connect_uploads_checks_and_activates_under_tls() -> Result<()> {
    let server = server()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = server.directory().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (good, bad) = (file("good.sieve", SCRIPT)?, file("bad.sieve", FAULTY)?);
    let back = server.directory().join("back.sieve").display().to_string();
    let connect = |mechanism: &str, arguments: &[&str]| {
        let mut command = Command::new("sieve-connect");
        command.args(["--server", "localhost", "--4", "--nosrv", "--noclearchan", "--passwordfd", "0"]);
        command.args(["--port", &server.address(4190).port().to_string(), "--user", Server::ANN]);
        command.args(["--authmech", mechanism, "--tlscafile"]).arg(server.certificate()).args(arguments);
        run_with(&mut command, format!("{}\n", Server::PASSWORD).as_bytes())
    };
    let well = |arguments: &[&str]| -> Result<String> {
        let (is_done, said) = connect("PLAIN", arguments)?;
        ensure!(is_done, "{arguments:?}: {said}\n{}", server.log());
        Ok(said)
    };
    well(&["--checkscript", "--localsieve", &good])?;
    let (is_done, said) = connect("PLAIN", &["--checkscript", "--localsieve", &bad])?;
    ensure!(!is_done && said.contains("line 2, column 3"), "{said}");
    well(&["--upload", "--localsieve", &good, "--remotesieve", "rules"])?;
    ensure!(!connect("PLAIN", &["--upload", "--localsieve", &bad, "--remotesieve", "rules"])?.0);
    well(&["--activate", "--remotesieve", "rules"])?;
    ensure!(well(&["--list"])?.contains("rules"));
    well(&["--download", "--remotesieve", "rules", "--localsieve", &back])?;
    ensure!(std::fs::read_to_string(&back)? == SCRIPT, "{:?}", std::fs::read_to_string(&back));
    ensure!(kept(&server, "rules")? == SCRIPT);
    ensure!(!connect("PLAIN", &["--delete", "--remotesieve", "rules"])?.0, "an active script stays");
    well(&["--deactivate"])?;
    ensure!(connect("LOGIN", &["--delete", "--remotesieve", "rules"])?.0);
    ensure!(listed(&server)? == serde_json::json!([]));
    Ok(())
}

/// Runs Python with the clients that scripts/peers has installed beside us, trusting the server's certificate.
fn python(server: &Server, program: &str) -> Result<String> {
    let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join("python");
    ensure!(clients.is_dir(), "{} is not there: scripts/peers installs it", clients.display());
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", clients).env("SSL_CERT_FILE", server.certificate());
    command.args(["-W", "ignore", "-c", program]).args([
        &server.address(4190).port().to_string(),
        Server::ANN,
        Server::PASSWORD,
        SCRIPT,
        FAULTY,
    ]);
    let (is_done, said) = run_with(&mut command, b"")?;
    ensure!(is_done, "{said}\n{}", server.log());
    Ok(said)
}

#[test]
fn pythons_managesieve_keeps_scripts_octet_for_octet() -> Result<()> {
    const PROGRAM: &str = r#"
import sys, managesieve
port, user, password, script, faulty = int(sys.argv[1]), *sys.argv[2:]
def client():
    return managesieve.MANAGESIEVE("localhost", port, use_tls=True)
c = client()
assert c.login("", user, "wrong") == "NO", c.response_text
assert c.login("", user, password) == "OK", c.response_text
assert "fileinto" in c.capabilities and c.implementation == "mailstead"
assert c.havespace("a b", 100) == "OK"
assert c.havespace("a b", 10**9) == "NO" and c.response_code == "QUOTA/MAXSIZE", c.response_code
assert c.putscript("a b", script) == "OK", c.response_text
assert c.putscript("b", "keep;") == "OK"
assert c.putscript("b", faulty) == "NO" and "line 2, column 3" in c.response_text, c.response_text
assert c.setactive("a b") == "OK"
assert c.listscripts() == ("OK", [("a b", True), ("b", False)]), c.listscripts()
assert c.getscript("a b") == ("OK", script), c.getscript("a b")
assert c.getscript("none")[0] == "NO" and c.response_code == "NONEXISTENT"
assert c.deletescript("a b") == "NO" and c.response_code == "ACTIVE"
assert c.unauthenticate() == "OK"
assert c.login("", user, password) == "OK"
assert c.setactive("") == "OK"
assert c.deletescript("b") == "OK"
assert c.logout() == "OK"
"#;
    let server = server()?;
    python(&server, PROGRAM)?;
    ensure!(kept(&server, "a b")? == SCRIPT);
    Ok(())
}

#[test]
fn sievelib_checks_renames_and_deletes() -> Result<()> {
    const PROGRAM: &str = r#"
import sys
from sievelib.managesieve import Client
port, user, password, script, faulty = int(sys.argv[1]), *sys.argv[2:]
for mechanism in ["PLAIN", "LOGIN", None]:
    c = Client("localhost", port)
    assert c.connect(user, password, starttls=True, authmech=mechanism), c.errmsg
    assert c.get_implementation() == "mailstead"
    assert "fileinto" in c.get_sieve_capabilities()
    assert c.havespace("main", 100)
    assert c.checkscript(script), c.errmsg
    assert not c.checkscript(faulty) and b"line 2, column 3" in c.errmsg, c.errmsg
    assert c.putscript("main", script), c.errmsg
    assert not c.putscript("bad", faulty)
    assert c.setactive("main")
    assert c.renamescript("main", "other"), c.errmsg
    assert c.listscripts() == ("other", []), c.listscripts()
    assert c.getscript("other").splitlines() == script.splitlines(), c.getscript("other")
    assert not c.deletescript("other")
    assert c.setactive("")
    assert c.deletescript("other")
    assert c.listscripts() == (None, []), c.listscripts()
    c.logout()
"#;
    python(&server()?, PROGRAM).map(drop)
}

#[test]
fn the_operator_keeps_scripts_too() -> Result<()> {
    let story = |server: &Server| -> Result<()> {
        let good = server.directory().join("good.sieve");
        let bad = server.directory().join("bad.sieve");
        // A comment may have any octets.
        let script = [b"# \xe9\n".as_slice(), b"keep;\n"].concat();
        std::fs::write(&good, &script)?;
        std::fs::write(&bad, FAULTY)?;
        let (good, bad) = (good.display().to_string(), bad.display().to_string());
        let fails = |arguments: &[&str], why: &str| -> Result<()> {
            let output = server.try_command(arguments)?;
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            ensure!(output.status.code() == Some(1) && said.contains(why), "{arguments:?}: {said}");
            Ok(())
        };
        ensure!(server.command(&["sieve", "check", &good])?.contains("all right"));
        fails(&["sieve", "check", &good, &bad], "bad.sieve:2:3: ")?;
        fails(&["sieve", "put", Server::ANN, "main", &bad], "line 2, column 3: ")?;
        fails(&["--json", "sieve", "put", Server::ANN, "main", &bad], "\"column\": 3")?;
        server.command(&["sieve", "put", Server::ANN, "main", &good, "--activate"])?;
        server.command(&["sieve", "put", Server::ANN, "spare", &good])?;
        ensure!(server.try_command(&["sieve", "get", Server::ANN, "main"])?.stdout == script);
        fails(&["sieve", "get", Server::ANN, "none"], "there is no script none")?;
        fails(&["sieve", "delete", Server::ANN, "main"], "main is active")?;
        fails(&["sieve", "rename", Server::ANN, "main", "spare"], "there is a script spare already")?;
        fails(&["sieve", "list", "nobody@example.test"], "there is no account")?;
        server.command(&["sieve", "rename", Server::ANN, "main", "first"])?;
        let line =
            |name: &str, active: bool| serde_json::json!({ "name": name, "active": active, "octets": 10 });
        ensure!(listed(server)? == serde_json::json!([line("first", true), line("spare", false)]));
        server.command(&["sieve", "activate", Server::ANN, "spare"])?;
        server.command(&["sieve", "deactivate", Server::ANN])?;
        server.command(&["sieve", "delete", Server::ANN, "first"])?;
        ensure!(listed(server)? == serde_json::json!([line("spare", false)]));
        server.command(&["sieve", "delete", Server::ANN, "spare"]).map(drop)
    };
    let mut server = server()?;
    story(&server)?;
    server.stop()?;
    story(&server)
}

/// Puts scripts and ends the server by force, again and again: what was acknowledged is there.
fn survive(options: ServerOptions, cut: impl Fn(u64) -> Result<()>) -> Result<()> {
    let mut server = Server::start(options)?;
    let file = server.directory().join("rules.sieve");
    let rules = file.display().to_string();
    for round in 0..6 {
        let (script, name) =
            (format!("# {round}\n{}keep;\n", "#\n".repeat(10_000)), format!("s{}", round % 4));
        std::fs::write(&file, &script)?;
        server.command(&["sieve", "put", Server::ANN, &name, &rules, "--activate"])?;
        server.kill()?;
        cut(round)?;
        server.up()?;
        ensure!(kept(&server, &name)? == script, "round {round}");
        let list = listed(&server)?;
        let active = list.as_array().into_iter().flatten().filter(|script| script["active"] == true);
        let names: Vec<_> = active.filter_map(|script| script["name"].as_str()).collect();
        ensure!(names == [name], "{list}");
    }
    let verified = server.command(&["verify"])?;
    ensure!(verified.contains(": 0 faults"), "{verified}");
    Ok(())
}

#[test]
fn scripts_survive_kills() -> Result<()> {
    survive(ServerOptions::default(), |_| Ok(()))
}

#[test]
fn scripts_survive_power_cuts() -> Result<()> {
    let cuts = PowerCuts::prepare()?;
    survive(cuts.options("")?, |round| cuts.cut(round + 1))?;
    cuts.have_taken_something()
}
