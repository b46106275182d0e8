//! Archives and messages as real programs write them: Python's zipfile, tarfile, gzip and email.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::process::Command;
use std::sync::Arc;

use attachments::{Inspector, Rules};

/// Makes a message that holds the file made of `run.js` in many ways.
const SCRIPT: &str = r#"
import email.message, gzip, io, sys, tarfile, zipfile

class Unseekable(io.RawIOBase):
    def __init__(self): self.octets = b""
    def writable(self): return True
    def write(self, octets): self.octets += bytes(octets); return len(octets)

def in_zip(stream, method):
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("readme.txt", "nothing " * 500)
        archive.writestr("run.js", "WScript.Echo(1)")

def zipped(method):
    stream = io.BytesIO(); in_zip(stream, method); return stream.getvalue()

def streamed():
    stream = Unseekable(); in_zip(stream, zipfile.ZIP_DEFLATED); return stream.octets

def tarred(form, mode):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:
        member = tarfile.TarInfo("folder/" * 30 + "run.js"); member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return stream.getvalue()

files = {
    "deflated.zip": zipped(zipfile.ZIP_DEFLATED),
    "stored.zip": zipped(zipfile.ZIP_STORED),
    "streamed.zip": streamed(),
    "gnu.tar": tarred(tarfile.GNU_FORMAT, "w"),
    "pax.tar": tarred(tarfile.PAX_FORMAT, "w"),
    "gnu.tgz": tarred(tarfile.GNU_FORMAT, "w:gz"),
    "run.js.gz": gzip.compress(b"WScript.Echo(1)"),
}
message = email.message.EmailMessage()
message["From"] = "ann@example.org"
message["Subject"] = "seven archives"
message.set_content("Here they are.")
for name, octets in files.items():
    message.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
outer = email.message.EmailMessage()
outer["From"] = "bob@example.org"
outer.set_content("See what Ann sent.")
outer.add_attachment(message)
sys.stdout.buffer.write(outer.as_bytes(policy=email.policy.SMTP) if hasattr(email, "policy") else outer.as_bytes())
"#;

#[test]
fn archives_of_python_show_what_is_in_them() {
    let output = Command::new("python3").args(["-c", SCRIPT]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut inspector = Inspector::new(Arc::new(Rules::default()));
    output.stdout.chunks(1_000).for_each(|octets| inspector.feed(octets));
    let report = inspector.finish();
    let told: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    for archive in
        ["deflated.zip", "stored.zip", "streamed.zip", "gnu.tar", "pax.tar", "gnu.tgz", "run.js.gz"]
    {
        let is_told = told
            .iter()
            .any(|told| told.contains(archive) && told.ends_with("is named like a script for Windows"));
        assert!(is_told, "{archive}: {told:#?}");
    }
    assert_eq!(told.len(), 7, "{told:#?}");
}
