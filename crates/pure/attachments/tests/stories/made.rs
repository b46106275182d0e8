//! Files made by hand for the stories: messages, archives, documents.

use std::io::Write;
use std::sync::Arc;

use attachments::{Class, HashList, HashListBuilder, Inspector, Report, Rules};
use aws_lc_rs::digest::{SHA256, digest};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

pub(crate) fn inspect(message: &[u8]) -> Report {
    inspect_with(Rules::default(), message)
}

/// Looks at a message in the one way.
pub(crate) fn inspect_once(message: &[u8]) -> Report {
    let mut inspector = Inspector::new(Arc::new(Rules::default()));
    inspector.feed(message);
    inspector.finish()
}

/// Looks at a message whole and in pieces; what is found is the same.
pub(crate) fn inspect_with(rules: Rules, message: &[u8]) -> Report {
    let rules = Arc::new(rules);
    let mut reports =
        [usize::MAX, 1_000, 61, 1].into_iter().filter(|piece| message.len() / piece < 200_000).map(|piece| {
            let mut inspector = Inspector::new(Arc::clone(&rules));
            message.chunks(piece).for_each(|octets| inspector.feed(octets));
            inspector.finish()
        });
    let report = reports.next().unwrap();
    reports.for_each(|other| assert_eq!(other.findings, report.findings));
    report
}

/// What was found, a line each.
pub(crate) fn told(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{}: {finding}", finding.class.word())).collect()
}

/// What is found in a file that is attached.
pub(crate) fn told_of(name: &str, content: &[u8]) -> Vec<String> {
    told(&inspect(&attached(name, content)))
}

/// Rules to which contents are known.
pub(crate) fn knowing(contents: &[&[u8]]) -> Rules {
    let mut builder = HashListBuilder::new();
    for content in contents {
        let hex: String =
            digest(&SHA256, content).as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        builder.take_line(hex.as_bytes()).unwrap();
    }
    Rules { lists: vec![HashList::open(builder.build()).unwrap()], ..Rules::default() }
}

/// How many contents come out as they were.
pub(crate) fn known(contents: &[&[u8]], archive: &[u8]) -> usize {
    let report = inspect_with(knowing(contents), &attached("a.bin", archive));
    report.findings.iter().filter(|finding| finding.class == Class::Listed).count()
}

/// A message with one attachment.
pub(crate) fn attached(name: &str, content: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: for you\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    message.extend_from_slice(&base64(content));
    message.extend_from_slice(b"\r\n--b--\r\n");
    message
}

pub(crate) fn base64(octets: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for line in octets.chunks(57) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
                << (8 * (3 - group.len()));
            for at in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= group.len() { digit } else { b'=' });
            }
        }
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The smallest octets that are a Windows program.
pub(crate) fn program() -> Vec<u8> {
    let mut program = b"MZ\x90\0".to_vec();
    program.resize(60, 0);
    program.extend_from_slice(&64_u32.to_le_bytes());
    program.extend_from_slice(b"PE\0\0\x4c\x01");
    program.resize(600, 0);
    program
}

pub(crate) fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STAND", r"ARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

pub(crate) fn deflated(octets: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) is_stored: bool,
    pub(crate) is_encrypted: bool,
    pub(crate) has_descriptor: bool,
    pub(crate) method: Option<u16>,
}

/// Writes zip archives, wrong ones too.
#[derive(Debug, Default)]
pub(crate) struct Zip {
    pub(crate) octets: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Zip {
    pub(crate) fn entry(self, name: &str, content: &[u8]) -> Zip {
        self.entry_as(name, content, How::default())
    }

    pub(crate) fn entry_as(mut self, name: &str, content: &[u8], how: How) -> Zip {
        let packed = if how.is_stored { content.to_vec() } else { deflated(content) };
        let method = how.method.unwrap_or(if how.is_stored { 0 } else { 8 });
        let offset = self.octets.len() as u32;
        self.local(name, method, how, packed.len() as u32, content.len() as u32);
        self.octets.extend_from_slice(&packed);
        if how.has_descriptor {
            self.octets.extend_from_slice(b"PK\x07\x08\0\0\0\0");
            self.octets.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            self.octets.extend_from_slice(&(content.len() as u32).to_le_bytes());
        }
        self.listed(name, method, packed.len() as u32, content.len() as u32, offset)
    }

    fn local(&mut self, name: &str, method: u16, how: How, packed: u32, unpacked: u32) {
        let flags = u16::from(how.is_encrypted) | if how.has_descriptor { 8 } else { 0 };
        let (packed, unpacked) = if how.has_descriptor { (0, 0) } else { (packed, unpacked) };
        self.octets.extend_from_slice(b"PK\x03\x04\x14\0");
        self.octets.extend_from_slice(&flags.to_le_bytes());
        self.octets.extend_from_slice(&method.to_le_bytes());
        self.octets.extend_from_slice(&[0; 8]);
        self.octets.extend_from_slice(&packed.to_le_bytes());
        self.octets.extend_from_slice(&unpacked.to_le_bytes());
        self.octets.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.octets.extend_from_slice(&[0; 2]);
        self.octets.extend_from_slice(name.as_bytes());
    }

    /// An entry of the directory, whether it is there or not.
    pub(crate) fn listed(mut self, name: &str, method: u16, packed: u32, unpacked: u32, offset: u32) -> Zip {
        self.directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0");
        self.directory.extend_from_slice(&method.to_le_bytes());
        self.directory.extend_from_slice(&[0; 8]);
        self.directory.extend_from_slice(&packed.to_le_bytes());
        self.directory.extend_from_slice(&unpacked.to_le_bytes());
        self.directory.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.directory.extend_from_slice(&[0; 12]);
        self.directory.extend_from_slice(&offset.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.entries += 1;
        self
    }

    /// Takes the directory's last entry away and writes another.
    pub(crate) fn relisted(mut self, before: &str, name: &str, method: u16, packed: u32, offset: u32) -> Zip {
        self.directory.truncate(self.directory.len() - 46 - before.len());
        self.entries -= 1;
        self.listed(name, method, packed, packed, offset)
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let offset = self.octets.len() as u32;
        self.octets.extend_from_slice(&self.directory);
        self.octets.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        self.octets.extend_from_slice(&self.entries.to_le_bytes());
        self.octets.extend_from_slice(&self.entries.to_le_bytes());
        self.octets.extend_from_slice(&(self.directory.len() as u32).to_le_bytes());
        self.octets.extend_from_slice(&offset.to_le_bytes());
        self.octets.extend_from_slice(&[0; 2]);
        self.octets
    }
}

pub(crate) fn zip_of(name: &str, content: &[u8]) -> Vec<u8> {
    Zip::default().entry(name, content).finish()
}

pub(crate) fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (name, content) in entries {
        if name.len() > 100 {
            octets.extend_from_slice(&tar_header("././@LongLink", name.len(), b'L'));
            octets.extend_from_slice(name.as_bytes());
            octets.resize(octets.len().next_multiple_of(512), 0);
        }
        octets.extend_from_slice(&tar_header(name, content.len(), b'0'));
        octets.extend_from_slice(content);
        octets.resize(octets.len().next_multiple_of(512), 0);
    }
    octets.resize(octets.len() + 1_024, 0);
    octets
}

fn tar_header(name: &str, octets: usize, kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    let name = name.as_bytes().get(..100).unwrap_or(name.as_bytes());
    header[..name.len()].copy_from_slice(name);
    header[124..135].copy_from_slice(format!("{octets:011o}").as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// A compound file: a header, then streams, then a directory that names them. Nothing links them, as nothing we read needs it.
pub(crate) fn ole(names: &[&str], streams: &[&[u8]]) -> Vec<u8> {
    let mut octets = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    octets.resize(512, 0);
    for stream in streams {
        octets.extend_from_slice(stream);
        octets.resize(octets.len().next_multiple_of(512), 0);
    }
    for name in ["Root Entry"].iter().chain(names) {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut entry = units.clone();
        entry.resize(64, 0);
        entry.extend_from_slice(&(units.len() as u16 + 2).to_le_bytes());
        entry.extend_from_slice(&[if *name == "Root Entry" { 5 } else { 1 }, 1]);
        entry.resize(128, 0);
        octets.extend_from_slice(&entry);
    }
    octets.resize(octets.len().next_multiple_of(512), 0);
    octets
}

/// A macro module's stream: what it compiled to, then its text, packed into literals.
pub(crate) fn module(text: &str) -> Vec<u8> {
    let text = format!("Attribute VB_Name = \"ThisDocument\"\r\n{text}\r\n");
    let mut octets = vec![0x16, 0x03, 0, 1];
    octets.push(1);
    for piece in text.as_bytes().chunks(3_600) {
        let tokens: Vec<u8> = piece.chunks(8).flat_map(|eight| [&[0], eight].concat()).collect();
        octets.extend_from_slice(&(0xb000 | (tokens.len() as u16 - 1)).to_le_bytes());
        octets.extend_from_slice(&tokens);
    }
    octets
}
