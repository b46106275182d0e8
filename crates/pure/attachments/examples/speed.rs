//! How fast messages are looked through: `cargo run --release -p attachments --example speed`; with files named behind it, how
//! fast these are as attachments.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use attachments::{HashList, HashListBuilder, Inspector, Rules};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Rounds of each measurement; the fastest is told.
const ROUNDS: usize = 7;

/// Octets of each attachment.
const OCTETS: usize = 24 << 20;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if !files.is_empty() {
        let rules = Arc::new(Rules::default());
        for file in files {
            let name = file.rsplit('/').next().unwrap_or_default();
            measure(name, &rules, &encoded(name, &std::fs::read(&file).unwrap()));
        }
        return;
    }
    let noise = noise(OCTETS);
    let words: Vec<u8> =
        b"The quick brown fox jumps over the lazy dog; /JS stream PK\x03 -- and so on.\n".repeat(OCTETS / 76);
    let mut compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    compound.extend_from_slice(&noise);
    let mut pdf = b"%PDF-1.7\n".to_vec();
    pdf.extend_from_slice(&noise);
    let mut page = b"<html>".to_vec();
    page.extend_from_slice(&words);
    let tables = [("no list", Rules::default()), ("SHA-256", listed(64)), ("MD5", listed(32))];
    for (lists, rules) in tables {
        println!("{lists}:");
        let rules = Arc::new(rules);
        measure("  base64, unknown octets", &rules, &encoded("a.bin", &noise));
        measure("  base64, a text", &rules, &encoded("a.txt", &words));
        measure("  base64, a compound file", &rules, &encoded("a.doc", &compound));
        measure("  base64, a PDF", &rules, &encoded("a.pdf", &pdf));
        measure("  base64, a web page", &rules, &encoded("a.html", &page));
        measure("  base64, gzip of noise", &rules, &encoded("a.gz", &gzip(&noise)));
        measure("  base64, zip of words", &rules, &encoded("a.zip", &zip(&words)));
        measure("  text", &rules, &[b"Subject: x\r\n\r\n".as_slice(), &words].concat());
    }
}

fn measure(name: &str, rules: &Arc<Rules>, message: &[u8]) {
    let mut best = f64::MAX;
    let mut expanded = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut inspector = Inspector::new(Arc::clone(rules));
        message.chunks(64 * 1024).for_each(|octets| inspector.feed(octets));
        expanded = inspector.finish().expanded_octets;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = |octets: usize| octets as f64 / best / 1e6;
    println!(
        "{name:28} {:6.0} MB/s of message, {:6.0} MB/s expanded",
        rate(message.len()),
        rate(expanded as usize)
    );
}

fn listed(digits: usize) -> Rules {
    let mut builder = HashListBuilder::new();
    builder.take_line("ab".repeat(digits / 2).as_bytes()).unwrap();
    Rules { lists: vec![HashList::open(builder.build()).unwrap()], ..Rules::default() }
}

fn noise(octets: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut noise = Vec::with_capacity(octets);
    while noise.len() < octets {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn zip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    let packed = encoder.finish().unwrap();
    let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
    zip.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    zip.extend_from_slice(&(octets.len() as u32).to_le_bytes());
    zip.extend_from_slice(b"\x05\0\0\0a.txt");
    zip.extend_from_slice(&packed);
    zip
}

fn encoded(name: &str, octets: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b; name={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    for line in octets.chunks(57) {
        for group in line.chunks_exact(3) {
            let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
            message.extend((0..4).map(|at| ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"--b--\r\n");
    message
}
