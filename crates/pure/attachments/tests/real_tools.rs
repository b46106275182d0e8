//! Archives and messages as real programs write them: Python's zipfile, tarfile, gzip, bz2, lzma and email; 7-Zip and others.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::process::Command;
use std::sync::Arc;

use attachments::{Class, HashList, HashListBuilder, Inspector, Rules};

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
    "bzip2.zip": zipped(zipfile.ZIP_BZIP2),
    "lzma.zip": zipped(zipfile.ZIP_LZMA),
    "streamed.zip": streamed(),
    "gnu.tar": tarred(tarfile.GNU_FORMAT, "w"),
    "pax.tar": tarred(tarfile.PAX_FORMAT, "w"),
    "gnu.tgz": tarred(tarfile.GNU_FORMAT, "w:gz"),
    "run.js.gz": gzip.compress(b"WScript.Echo(1)"),
}
message = email.message.EmailMessage()
message["From"] = "ann@example.org"
message["Subject"] = "nine archives"
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
    for archive in [
        "deflated.zip",
        "stored.zip",
        "bzip2.zip",
        "lzma.zip",
        "streamed.zip",
        "gnu.tar",
        "pax.tar",
        "gnu.tgz",
        "run.js.gz",
    ] {
        let is_told = told
            .iter()
            .any(|told| told.contains(archive) && told.ends_with("is named like a script for Windows"));
        assert!(is_told, "{archive}: {told:#?}");
    }
    assert_eq!(told.len(), 9, "{told:#?}");
}

/// Packs `run.js` and a picture that is random, so that nothing repeats, in all ways that there are programs for.
const PACK: &str = r#"
set -eu
cd "$1"
mkdir folder.com
printf 'WScript.Echo(1)' > folder.com/run.js
head -c 600000 /dev/urandom > folder.com/photo.jpg
cat folder.com/run.js folder.com/photo.jpg folder.com/photo.jpg folder.com/photo.jpg > folder.com/photos.bin
tar cf a.tar folder.com
python3 - <<'end'
import bz2, lzma
octets = open("a.tar", "rb").read()
open("a.tar.bz2", "wb").write(bz2.compress(octets))
open("a.tar.xz", "wb").write(lzma.compress(octets))
open("a.tar.lzma", "wb").write(lzma.compress(octets, format=lzma.FORMAT_ALONE))
end
zstd -q -3 --no-progress -c a.tar > a.tar.zst
zstd -q -3 --no-progress -c < folder.com/run.js > run.js.zst
lzip -k a.tar
for way in -mx=1 -mx=9 -mhc=off -m0=copy -m0=bzip2 -ms=off; do 7z a -bd -bso0 -y "a$way.7z" folder.com "$way"; done
for way in lzma:eos=on lzma bzip2 xz; do 7z a -tzip -bd -bso0 -y "z.$way.zip" folder.com "-mm=$way"; done
seq 40000 > folder.com/numbers.txt
gcab -cz a.cab folder.com/run.js folder.com/photo.jpg folder.com/numbers.txt
gcab -c stored.cab folder.com/run.js folder.com/photo.jpg folder.com/numbers.txt
sha256sum folder.com/* > known.sums
arj a -y a.arj folder.com/run.js folder.com/photo.jpg > arj.log
genisoimage -quiet -o iso.iso folder.com
genisoimage -quiet -J -R -o joliet.iso folder.com
genisoimage -quiet -udf -o udf.iso folder.com
rm -r folder.com a.tar arj.log
"#;

/// A list of the digests that sha256sum has printed.
fn knowing(sums: &[u8]) -> HashList {
    let mut builder = HashListBuilder::new();
    sums.split_inclusive(|octet| *octet == b'\n').for_each(|line| builder.take_line(line).unwrap());
    HashList::open(builder.build()).unwrap()
}

#[test]
fn archives_of_others_show_what_is_in_them() {
    let folder = std::env::temp_dir().join(format!("attachments-real-tools-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let output = Command::new("bash").args(["-c", PACK, "pack"]).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums = std::fs::read(folder.join("known.sums")).unwrap();
    std::fs::remove_file(folder.join("known.sums")).unwrap();
    let mut archives: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    archives.sort();
    assert_eq!(archives.len(), 22);
    for archive in archives {
        let name = archive.file_name().unwrap().to_string_lossy().into_owned();
        let header = format!("Content-Type: a/b; name={name}\r\nContent-Transfer-Encoding: binary\r\n\r\n");
        // What is in cabinets comes out octet for octet.
        let is_cabinet = name.ends_with(".cab");
        let lists = if is_cabinet { vec![knowing(&sums)] } else { Vec::new() };
        let mut inspector = Inspector::new(Arc::new(Rules { lists, ..Rules::default() }));
        inspector.feed(header.as_bytes());
        inspector.feed(&std::fs::read(&archive).unwrap());
        let report = inspector.finish();
        let listed = report.findings.iter().filter(|finding| finding.class == Class::Listed).count();
        assert_eq!(listed, if is_cabinet { 3 } else { 0 }, "{name}: {:#?}", report.findings);
        let told: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        let is_told = told.iter().any(|told| {
            told.to_lowercase().contains("run.js") && told.ends_with("like a script for Windows")
        });
        assert!(is_told, "{name}: {told:#?}");
        // All of what is packed was looked at: the same long octets, which are only found far back. bzip2 finds nothing in
        // them, and so does zip store them.
        let is_packed = name.starts_with("a.tar.") || (name.starts_with("z.") && name != "z.bzip2.zip");
        if is_packed {
            assert_eq!((report.expanded_octets > 1_800_000, told.len()), (true, 1), "{name}: {told:#?}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
