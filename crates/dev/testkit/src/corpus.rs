//! Mail to test with: a directory of real mail where `MAILSTEAD_CORPUS` names one, else odd mails of our own making.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A set of messages.
#[derive(Debug)]
pub struct Corpus {
    mails: Vec<Mail>,
    /// Whether it is the directory of real mail.
    pub is_real: bool,
}

/// A message and where it came from.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its file, or what stands for it.
    pub name: String,
    /// Its octets as they are.
    pub octets: Vec<u8>,
}

impl Corpus {
    /// Reads the directory that `MAILSTEAD_CORPUS` names, or makes messages of our own.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open() -> Result<Self> {
        let Some(directory) = std::env::var_os("MAILSTEAD_CORPUS") else {
            return Ok(Self { mails: own(), is_real: false });
        };
        let mut files = Vec::new();
        collect(Path::new(&directory), &mut files)?;
        files.sort();
        let read = |file: &PathBuf| {
            let octets = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            Ok(Mail { name: file.display().to_string(), octets })
        };
        Ok(Self { mails: files.iter().map(read).collect::<Result<_>>()?, is_real: true })
    }

    /// The messages.
    #[must_use]
    pub fn mails(&self) -> &[Mail] {
        &self.mails
    }
}

impl Mail {
    /// The message with every line end a CRLF, as SMTP carries it.
    #[must_use]
    pub fn with_crlf(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.octets.len() + self.octets.len() / 32);
        let mut octets = self.octets.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            match octet {
                b'\r' => {
                    octets.next_if_eq(&b'\n');
                    wire.extend_from_slice(b"\r\n");
                }
                b'\n' => wire.extend_from_slice(b"\r\n"),
                other => wire.push(other),
            }
        }
        if !wire.ends_with(b"\r\n") {
            wire.extend_from_slice(b"\r\n");
        }
        wire
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Messages of our own making: plain, multipart, nested, 8-bit, broken in the ways that real mail is broken.
fn own() -> Vec<Mail> {
    let deep =
        format!("Content-Type: message/rfc822\r\n\r\n{}", "Content-Type: message/rfc822\r\n\r\n".repeat(40));
    let long = format!("Subject: {}\r\n\r\nx\r\n", "long ".repeat(4_000));
    let many = format!(
        "{}\r\n\r\nbody\r\n",
        (0..400).map(|n| format!("X-Field-{n}: {n}\r\n")).collect::<String>().trim_end()
    );
    let texts: [(&str, &[u8]); 14] = [
        ("plain", b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: hello\r\nDate: Mon, 2 Feb 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\nHello Bob.\r\n"),
        ("multipart", b"From: ann@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\nAAECAw==\r\n--b--\r\nepilogue\r\n"),
        ("dots", b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\n"),
        ("no header", b"\r\njust a body\r\n"),
        ("no body", b"Subject: nothing\r\n"),
        ("empty", b""),
        ("eight bit", b"Subject: caf\xe9\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe4\xf6\xfc\r\n"),
        ("nul", b"Subject: nul\r\n\r\na\0b\r\n"),
        ("folded", b"Subject: a\r\n b\r\n\tc\r\nReceived: from x\r\n\tby y;\r\n Mon, 1 Jan 2001 00:00:00 GMT\r\n\r\nbody\r\n"),
        ("no end of boundary", b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>two"),
        ("broken header", b"Subject: ok\r\nthis is no field\r\n: nor this\r\n\r\nbody\r\n"),
        ("deep", deep.as_bytes()),
        ("long field", long.as_bytes()),
        ("many fields", many.as_bytes()),
    ];
    texts.iter().map(|&(name, octets)| Mail { name: name.to_owned(), octets: octets.to_vec() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_repaired() {
        let mail = Mail { name: String::new(), octets: b"a\nb\r\nc\rd".to_vec() };
        assert_eq!(mail.with_crlf(), b"a\r\nb\r\nc\r\nd\r\n");
    }
}
