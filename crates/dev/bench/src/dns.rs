//! Names: the resolver for programs of the machine beside Debian's unbound, on a signed tree of their own; verdicts first.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::{Server, ServerOptions};

use crate::cgroup::{Ended, Group};
use crate::dns_tree::{AUTHORITY, Tree};
use crate::report::{Better, OURS, Report};

/// Questions that are under way at once.
const WINDOW: usize = 64;
/// How long an answer may take before the question is asked again.
const RETRY: Duration = Duration::from_secs(6);
/// Names that are asked again and again when all is known.
const WARM_NAMES: usize = 2_000;
const WARM_ROUNDS: usize = 20;
/// Where unbound answers.
const UNBOUND: &str = "127.53.2.1";
const UNBOUND_PORT: u16 = 5_353;

/// What a resolver says of a name: code, whether it is proven, and the address.
type Verdict = (u8, bool, Option<[u8; 4]>);

pub(crate) fn run(report: &mut Report, names: u32) -> Result<()> {
    let directory = tempfile::TempDir::new_in(std::env::current_dir()?.join("target"))?;
    let tree = Tree::make(directory.path(), names)?;
    let _authority = Ended(tree.serve()?);
    let ours = measure_mailstead(report, &tree)?;
    let theirs = measure_unbound(report, &tree, directory.path())?;
    let mut differences = 0;
    for (at, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        if one != other {
            differences += 1;
            if differences <= 10 {
                eprintln!("{}: mailstead {one:?}, unbound {other:?}", tree.names[at]);
            }
        }
    }
    let of = |wanted: fn(&Verdict) -> bool| theirs.iter().filter(|verdict| wanted(verdict)).count();
    eprintln!(
        "{} verdicts: {} secure, {} insecure, {} bogus, {} absent; {differences} differ",
        theirs.len(),
        of(|(code, secure, _)| *code == 0 && *secure),
        of(|(code, secure, _)| *code == 0 && !*secure),
        of(|(code, ..)| *code == 2),
        of(|(code, ..)| *code == 3),
    );
    report.add("DNS, verdicts that differ", OURS, f64::from(differences), "names", Better::Less);
    ensure!(differences == 0, "{differences} verdicts differ");
    Ok(())
}

fn measure_mailstead(report: &mut Report, tree: &Tree) -> Result<Vec<Verdict>> {
    let settings = format!(
        "[dns]\nroot_hints = [\"{AUTHORITY}\"]\ntrust_anchors = [\"{}\"]\nfamilies = \"ipv4\"\n\
         allowed_networks = [\"127.0.0.0/8\"]\nlisten = [\"127.0.0.1\"]\n",
        tree.anchor
    );
    let server = Server::start(ServerOptions { settings, ..ServerOptions::default() })?;
    let group = Group::make(OURS)?;
    group.take(server.process_id().context("no process")?)?;
    measure(report, OURS, server.address(53), tree, &group)
}

fn measure_unbound(report: &mut Report, tree: &Tree, directory: &Path) -> Result<Vec<Verdict>> {
    let anchors = directory.join("anchors");
    std::fs::write(&anchors, format!(". IN DNSKEY {}\n", tree.anchor))?;
    let hints = directory.join("hints");
    std::fs::write(&hints, format!(". NS ns.\nns. A {AUTHORITY}\n"))?;
    let file = directory.join("unbound.conf");
    let configuration = format!(
        "server:\n interface: {UNBOUND}\n port: {UNBOUND_PORT}\n access-control: 127.0.0.0/8 allow\n\
         \x20do-not-query-localhost: no\n do-ip6: no\n root-hints: \"{}\"\n trust-anchor-file: \"{}\"\n\
         \x20username: \"\"\n chroot: \"\"\n directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n\
         \x20do-daemonize: no\n local-zone: \"test.\" nodefault\nremote-control:\n control-enable: no\n",
        hints.display(),
        anchors.display(),
        directory.display()
    );
    std::fs::write(&file, configuration)?;
    let log = std::fs::File::create(directory.join("unbound.log"))?;
    let unbound = Command::new("/usr/sbin/unbound")
        .args(["-d", "-c"])
        .arg(&file)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let unbound = Ended(unbound);
    let group = Group::make("unbound")?;
    group.take(unbound.0.id())?;
    measure(report, "unbound", format!("{UNBOUND}:{UNBOUND_PORT}").parse()?, tree, &group)
}

fn measure(
    report: &mut Report,
    peer: &str,
    address: SocketAddr,
    tree: &Tree,
    group: &Group,
) -> Result<Vec<Verdict>> {
    wait_until_up(address)?;
    let (at_rest, cpu) = (group.resident_octets()?, group.cpu_time()?);
    let begun = Instant::now();
    let verdicts = ask(address, &tree.names)?;
    let seconds = begun.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(tree.names.len())?);
    report.add("DNS, nothing known", peer, count / seconds, "names/s", Better::More);
    let used = (group.cpu_time()? - cpu).as_secs_f64();
    report.add("DNS, nothing known, CPU", peer, used * 1e6 / count, "µs/name", Better::Less);
    let warm = &tree.names[..WARM_NAMES.min(tree.names.len())];
    ask(address, warm)?;
    let begun = Instant::now();
    for _ in 0..WARM_ROUNDS {
        ask(address, warm)?;
    }
    let asked = f64::from(u32::try_from(warm.len() * WARM_ROUNDS)?);
    report.add("DNS, all known", peer, asked / begun.elapsed().as_secs_f64(), "names/s", Better::More);
    let more = group.resident_octets()?.saturating_sub(at_rest);
    let mib = f64::from(u32::try_from(more / 1024)?) / 1024.0;
    report.add("DNS, memory beyond that at rest", peer, mib, "MiB", Better::Less);
    Ok(verdicts)
}

fn wait_until_up(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    for _ in 0..100 {
        socket.send_to(&question(0, "test")?, address)?;
        if socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
    }
    bail!("{address} does not answer")
}

/// Asks for the addresses of all names, a window of them at once.
fn ask(address: SocketAddr, names: &[String]) -> Result<Vec<Verdict>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut verdicts: Vec<Option<Verdict>> = vec![None; names.len()];
    let mut open: HashMap<u16, (usize, Instant)> = HashMap::new();
    let (mut next, mut done) = (0, 0);
    let mut buffer = [0; 4_096];
    while done < names.len() {
        while open.len() < WINDOW && next < names.len() {
            let id = u16::try_from(next % 65_536)?;
            socket.send(&question(id, &names[next])?)?;
            open.insert(id, (next, Instant::now()));
            next += 1;
        }
        if let Ok(length) = socket.recv(&mut buffer)
            && let Some((id, verdict)) = verdict(&buffer[..length])
            && let Some((at, _)) = open.remove(&id)
        {
            verdicts[at] = Some(verdict);
            done += 1;
        }
        for (id, (at, asked)) in &mut open {
            if asked.elapsed() > RETRY {
                *asked = Instant::now();
                socket.send(&question(*id, &names[*at])?)?;
            }
        }
    }
    verdicts.into_iter().collect::<Option<_>>().context("an answer is missing")
}

/// A question for an address, by one who knows what AD means (RFC 6840 §5.7).
fn question(id: u16, name: &str) -> Result<Vec<u8>> {
    let mut wire = id.to_be_bytes().to_vec();
    wire.extend([1, 0x20, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        wire.push(u8::try_from(label.len())?);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.extend([0, 0, 1, 0, 1]);
    Ok(wire)
}

fn verdict(answer: &[u8]) -> Option<(u16, Verdict)> {
    let header = answer.first_chunk::<12>()?;
    let code = header[3] & 0x0f;
    let has_answer = header[7] > 0;
    // One record and nothing behind it: the address is at the end.
    let address = (has_answer && header[9] == 0 && header[11] == 0)
        .then(|| answer.last_chunk::<4>().copied())
        .flatten();
    Some((u16::from_be_bytes([header[0], header[1]]), (code, header[3] & 0x20 != 0, address)))
}
