//! What always holds: nothing that comes makes it stop, and it does not matter how it comes.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::sync::Arc;

use attachments::{Inspector, Report, Rules};
use proptest::prelude::*;

fn inspect(message: &[u8], piece: usize) -> Report {
    let mut inspector = Inspector::new(Arc::new(Rules::default()));
    message.chunks(piece.max(1)).for_each(|octets| inspector.feed(octets));
    inspector.finish()
}

/// Octets that readers act on, in any order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        Just(b"Content-Type: application/octet-stream; name=a.zip\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\n".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"--b\r\n".to_vec()),
        Just(b"--b--".to_vec()),
        Just(b"--".to_vec()),
        Just(b"begin 644 a.exe\n#0V%T\nend\n".to_vec()),
        Just(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a".to_vec()),
        Just(b"PK\x03\x04\x14\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a".to_vec()),
        Just(b"PK\x01\x02\x14\0\x14\0\0\0\x08\0".to_vec()),
        Just(b"PK\x05\x06".to_vec()),
        Just(b"PKPK\x03".to_vec()),
        Just(b"\x03\x00\x4b\x4c\x4a\x06\x00".to_vec()),
        Just(b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        Just(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec()),
        Just(b"\x01\x10\xb0\0Attribut\0e VB_".to_vec()),
        Just(b"\x10\x00\x11\x10".to_vec()),
        Just(b"%PDF-1.7\n<< /Type /ObjStm /Filter /FlateDecode >>stream\n".to_vec()),
        Just(b"x\x9c\x03\0\0\0\0\x01".to_vec()),
        Just(b"endstream endobj /JS /JavaScr".to_vec()),
        Just(b"Rar!\x1a\x07\x01\x00".to_vec()),
        Just(b"Rar!\x1a\x07\x00".to_vec()),
        Just(b"<html><script>".to_vec()),
        Just(b"\x78\x9f\x3e\x22\x01\0\x02\x0f\x80\x06\0\x05\0\0\0hello\0\0".to_vec()),
        Just(b"\x02\x10\x80\x01\0\x06\0\0\0a.exe\0\0\0".to_vec()),
        Just(vec![0; 600]),
        Just(vec![b'x'; 1_100]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn it_does_not_matter_how_it_comes(message in fragments(), piece in 1_usize..200) {
        let whole = inspect(&message, usize::MAX);
        // How much of a damaged entry comes out before it is seen to be does depend on it.
        prop_assert_eq!(inspect(&message, piece).findings, whole.findings.clone());
        prop_assert_eq!(inspect(&message, 1).findings, whole.findings);
    }

    #[test]
    fn as_an_attachment_neither(content in fragments(), piece in 1_usize..200) {
        let message = [b"Content-Type: a/b; name=x\r\nContent-Transfer-Encoding: binary\r\n\r\n".as_slice(), &content].concat();
        prop_assert_eq!(inspect(&message, piece).findings, inspect(&message, usize::MAX).findings);
    }
}

/// What programs have packed.
const FILES: [&[u8]; 18] = [
    include_bytes!("files/a.arj"),
    include_bytes!("files/a.cab"),
    include_bytes!("files/a.tar.bz2"),
    include_bytes!("files/a.tar.lz"),
    include_bytes!("files/a.tar.lzma"),
    include_bytes!("files/a.tar.xz"),
    include_bytes!("files/a.tar.zst"),
    include_bytes!("files/encrypted.7z"),
    include_bytes!("files/filters4.rar"),
    include_bytes!("files/filters5.rar"),
    include_bytes!("files/hidden.7z"),
    include_bytes!("files/lzx.cab"),
    include_bytes!("files/mszip.cab"),
    include_bytes!("files/packed.7z"),
    include_bytes!("files/plain.7z"),
    include_bytes!("files/ppmd4.rar"),
    include_bytes!("files/solid4.rar"),
    include_bytes!("files/solid5.rar"),
];

proptest! {
    #[test]
    fn nor_where_it_is_torn_or_changed(
        file in prop::sample::select(FILES.as_slice()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        piece in 1_usize..200,
    ) {
        let mut content = file.to_vec();
        for (at, octet) in &changes {
            *at.get_mut(&mut content) = *octet;
        }
        if changes.len() % 2 == 1 {
            content.truncate(end.index(file.len()));
        }
        let message = [b"Content-Type: a/b; name=x\r\nContent-Transfer-Encoding: binary\r\n\r\n".as_slice(), &content].concat();
        let whole = inspect(&message, usize::MAX);
        prop_assert_eq!(inspect(&message, piece).findings, whole.findings.clone());
        prop_assert_eq!(inspect(&message, 1).findings, whole.findings);
    }
}

/// Real mail, where there is some: `MAILSTEAD_CORPUS` names a directory of it.
#[test]
fn real_mail_passes() {
    let Some(directory) = std::env::var_os("MAILSTEAD_CORPUS") else { return };
    let mut directories = vec![std::path::PathBuf::from(directory)];
    let (mut messages, mut severe) = (0, 0);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let message = std::fs::read(&path).unwrap();
            let report = inspect(&message, 4_096);
            messages += 1;
            severe += usize::from(report.action() > attachments::Action::Score);
            for finding in &report.findings {
                println!("{} {}: {finding}", path.display(), finding.class.word());
            }
        }
    }
    println!("{messages} messages, {severe} with findings that ask for more than a score");
}
