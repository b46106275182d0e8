//! What octets really are, by what they begin with: the signatures that programs themselves go by.

use crate::policy::Class;

/// Octets of a content's beginning that are kept until its kind is told. The farthest signature near the beginning is a
/// tar's, at 257; a PDF's may stand anywhere in the first 1,024.
pub(crate) const HEAD_OCTETS: usize = 1_024;

/// Where the first volume descriptor of an ISO 9660 or UDF image has its signature (ECMA-119 §6.3, ECMA-167 2/9.1), for
/// plain sectors, and for two kinds of raw ones.
pub(crate) const IMAGE_SIGNATURE_AT: [u64; 3] = [0x8001, 0x9311, 0x9319];

/// What a content really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unknown,
    Text,
    WindowsProgram,
    DosProgram,
    UnixProgram,
    MacProgram,
    JavaProgram,
    AndroidProgram,
    WindowsScript,
    BatchScript,
    ShellScript,
    Shortcut,
    RegistryFile,
    DiskImage,
    CompiledHelp,
    OneNote,
    Flash,
    Ole,
    Zip,
    Gzip,
    Tar,
    Rar4,
    Rar5,
    SevenZip,
    Bzip2,
    Xz,
    Lzma,
    Lzip,
    Zstd,
    /// lz4, compress and the like: what is inside is not looked at.
    Packed,
    Cabinet,
    /// ace, arj and the like.
    RareArchive,
    Tnef,
    Pdf,
    Rtf,
    Html,
    Svg,
    Xml,
    Message,
    Image,
    Media,
}

impl Kind {
    /// The kind of a content that begins so.
    pub(crate) fn of(head: &[u8]) -> Kind {
        binary(head).or_else(|| text(head)).unwrap_or(if looks_like_text(head) {
            Kind::Text
        } else {
            Kind::Unknown
        })
    }

    /// Whether no message begins so.
    pub(crate) fn is_no_message(self) -> bool {
        let is_archive = matches!(
            self,
            Kind::Ole | Kind::Zip | Kind::Gzip | Kind::Tar | Kind::Rar4 | Kind::Rar5 | Kind::Tnef
        ) || self.is_packed()
            || self == Kind::SevenZip;
        let class = self.class().filter(|class| !matches!(class, Class::Script | Class::ShellScript));
        is_archive || (class.is_some() && !matches!(self, Kind::RegistryFile))
    }

    /// Whether it is one content, packed by something else than gzip.
    pub(crate) fn is_packed(self) -> bool {
        matches!(self, Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Lzip | Kind::Zstd)
    }

    /// What it is a finding of by itself.
    pub(crate) fn class(self) -> Option<Class> {
        Some(match self {
            Kind::WindowsProgram | Kind::DosProgram | Kind::UnixProgram | Kind::MacProgram => Class::Program,
            Kind::JavaProgram | Kind::AndroidProgram => Class::Program,
            Kind::WindowsScript | Kind::BatchScript => Class::Script,
            Kind::ShellScript => Class::ShellScript,
            Kind::Shortcut => Class::Shortcut,
            Kind::DiskImage | Kind::Cabinet | Kind::RareArchive => Class::RareContainer,
            Kind::RegistryFile | Kind::CompiledHelp | Kind::OneNote | Kind::Flash => Class::ActiveDocument,
            Kind::Packed => Class::Opaque,
            _ => return None,
        })
    }

    /// Whether programs that unpack archives find none at its beginning.
    pub(crate) fn is_no_archive(self) -> bool {
        matches!(
            self,
            Kind::Unknown
                | Kind::Text
                | Kind::Image
                | Kind::Media
                | Kind::Pdf
                | Kind::Rtf
                | Kind::Html
                | Kind::Svg
                | Kind::Xml
                | Kind::Ole
        )
    }

    /// What it is, in words that follow `is`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Unknown => "of an unknown kind",
            Kind::Text => "a text",
            Kind::WindowsProgram => "a Windows program",
            Kind::DosProgram => "a DOS program",
            Kind::UnixProgram => "a Linux or Unix program",
            Kind::MacProgram => "a macOS program",
            Kind::JavaProgram => "a Java program",
            Kind::AndroidProgram => "an Android program",
            Kind::WindowsScript => "a script for Windows",
            Kind::BatchScript => "a batch file",
            Kind::ShellScript => "a script",
            Kind::Shortcut => "a shortcut that starts something",
            Kind::RegistryFile => "a file for the Windows registry",
            Kind::DiskImage => "a disk image",
            Kind::CompiledHelp => "a compiled help file",
            Kind::OneNote => "a OneNote notebook",
            Kind::Flash => "a Flash film",
            Kind::Ole => "an office document or another compound file",
            Kind::Zip => "a zip archive",
            Kind::Gzip => "packed by gzip",
            Kind::Tar => "a tar archive",
            Kind::Rar4 | Kind::Rar5 => "a RAR archive",
            Kind::Bzip2 => "packed by bzip2",
            Kind::Xz => "packed by xz",
            Kind::Lzma => "packed by lzma",
            Kind::Lzip => "packed by lzip",
            Kind::Zstd => "packed by zstd",
            Kind::SevenZip => "a 7-Zip archive",
            Kind::Packed => "packed in a way that is not looked into",
            Kind::Cabinet | Kind::RareArchive => "an archive of a kind that hardly anybody sends",
            Kind::Tnef => "a winmail.dat",
            Kind::Pdf => "a PDF",
            Kind::Rtf => "an RTF document",
            Kind::Html => "a web page",
            Kind::Svg => "an SVG picture",
            Kind::Xml => "an XML document",
            Kind::Message => "a message",
            Kind::Image => "a picture",
            Kind::Media => "sound or film",
        }
    }

    /// Whether a name with this lower-case extension pretends something else than this kind: only what matters, and only
    /// where no program that honest people use writes it so.
    pub(crate) fn is_disguised_as(self, extension: &str) -> bool {
        let is_picture =
            matches!(extension, "jpg" | "jpeg" | "png" | "gif" | "bmp" | "tif" | "tiff" | "webp" | "heic");
        let is_media = matches!(extension, "mp3" | "wav" | "ogg" | "m4a" | "mp4" | "avi" | "mov" | "mkv");
        let is_plain = matches!(extension, "txt" | "csv" | "log" | "md" | "json" | "ics" | "vcf");
        let is_office = matches!(
            extension,
            "doc" | "docx" | "xls" | "xlsx" | "ppt" | "pptx" | "odt" | "ods" | "odp" | "rtf"
        );
        let shows_nothing = is_picture || is_media || is_plain || is_office || extension == "pdf";
        match self.class() {
            Some(Class::ShellScript) => is_picture || is_media || is_office || extension == "pdf",
            Some(Class::Opaque) => shows_nothing && !is_plain,
            Some(_) => shows_nothing,
            None => match self {
                Kind::Ole | Kind::Rtf => is_picture || is_media || extension == "pdf",
                Kind::Zip | Kind::Rar4 | Kind::Rar5 => {
                    is_picture || is_media || is_plain || matches!(extension, "pdf" | "rtf")
                }
                kind if kind.is_packed() || kind == Kind::SevenZip => shows_nothing && !is_plain,
                Kind::Html | Kind::Svg => is_picture || is_media || extension == "pdf",
                Kind::Pdf => is_picture || is_media,
                _ => false,
            },
        }
    }
}

/// Signatures at the first octet.
const SIGNATURES: &[(&[u8], Kind)] = &[
    (b"\x7fELF", Kind::UnixProgram),
    (b"\xfe\xed\xfa\xce", Kind::MacProgram),
    (b"\xfe\xed\xfa\xcf", Kind::MacProgram),
    (b"\xce\xfa\xed\xfe", Kind::MacProgram),
    (b"\xcf\xfa\xed\xfe", Kind::MacProgram),
    (b"dex\n03", Kind::AndroidProgram),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", Kind::Shortcut),
    (b"conectix", Kind::DiskImage),
    (b"vhdxfile", Kind::DiskImage),
    (b"KDMV", Kind::DiskImage),
    (b"ITSF\x03\0\0\0", Kind::CompiledHelp),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", Kind::OneNote),
    (b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f", Kind::OneNote),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK00PK\x03\x04", Kind::Zip),
    (b"PK\x07\x08PK\x03\x04", Kind::Zip),
    (b"\x1f\x8b\x08", Kind::Gzip),
    (b"Rar!\x1a\x07\x00", Kind::Rar4),
    (b"Rar!\x1a\x07\x01\x00", Kind::Rar5),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"\x04\x22\x4d\x18", Kind::Packed),
    (b"LZIP\x01", Kind::Lzip),
    (b"\x1f\x9d", Kind::Packed),
    (b"MSCF\0\0\0\0", Kind::Cabinet),
    (b"MSWIM\0\0\0", Kind::RareArchive),
    (b"RE~^", Kind::RareArchive),
    (b"xar!\0", Kind::RareArchive),
    (b"ISc(", Kind::RareArchive),
    (b"StuffIt (c)", Kind::RareArchive),
    (b"\x78\x9f\x3e\x22", Kind::Tnef),
    (b"\x89PNG\r\n\x1a\n", Kind::Image),
    (b"\xff\xd8\xff", Kind::Image),
    (b"GIF87a", Kind::Image),
    (b"GIF89a", Kind::Image),
    (b"II*\0", Kind::Image),
    (b"MM\0*", Kind::Image),
    (b"\0\0\x01\0", Kind::Image),
    (b"ID3", Kind::Media),
    (b"OggS", Kind::Media),
    (b"fLaC", Kind::Media),
    (b"\x1aE\xdf\xa3", Kind::Media),
];

fn binary(head: &[u8]) -> Option<Kind> {
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(*kind);
    }
    let at =
        |offset: usize, signature: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(signature));
    match head {
        [b'M', b'Z', ..] | [b'Z', b'M', ..] => windows_or_dos(head),
        // A Java class and a fat Mach-O share their signature; the latter has few architectures, the former a version above 44.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, count, ..] if *count < 40 => Some(Kind::MacProgram),
        [0xca, 0xfe, 0xba, 0xbe, ..] => Some(Kind::JavaProgram),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some(Kind::Bzip2),
        // A stream without blocks, behind which others may follow.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Some(Kind::Bzip2),
        // A frame that is to be skipped, as pzstd puts one in front (RFC 8878 §3.1.2).
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Kind::Zstd),
        [0x5d, ..] if may_be_lzma(head) => Some(Kind::Lzma),
        [b'F' | b'C' | b'Z', b'W', b'S', version, ..] if *version < 60 && looks_binary(head) => {
            Some(Kind::Flash)
        }
        [0x60, 0xea, low, high, ..] if (20..=2_600).contains(&(u16::from(*high) << 8 | u16::from(*low))) => {
            Some(Kind::RareArchive)
        }
        _ if (at(2, b"-lh") || at(2, b"-lz")) && at(6, b"-") => Some(Kind::RareArchive),
        _ if is_cpio(head) => Some(Kind::RareArchive),
        _ if at(7, b"**ACE**") => Some(Kind::RareArchive),
        _ if at(257, b"ustar") || is_old_tar(head) => Some(Kind::Tar),
        _ if at(4, b"ftyp") => {
            Some(if at(8, b"hei") || at(8, b"mif") || at(8, b"avif") { Kind::Image } else { Kind::Media })
        }
        _ if head.starts_with(b"RIFF") => Some(if at(8, b"WEBP") { Kind::Image } else { Kind::Media }),
        [b'B', b'M', ..] if looks_binary(head) => Some(Kind::Image),
        [0xff, 0xfb | 0xf3 | 0xf2, ..] => Some(Kind::Media),
        [0xeb, _, 0x90, ..] | [0xe9, ..] if at(510, b"\x55\xaa") => Some(Kind::DiskImage),
        [0x33 | 0xfa, ..] if at(510, b"\x55\xaa") => Some(Kind::DiskImage),
        _ => None,
    }
}

/// `MZ`: a program for Windows where its header points to a portable executable (or to OS/2's and Windows 3's), otherwise for
/// DOS if it is no text.
fn windows_or_dos(head: &[u8]) -> Option<Kind> {
    let offset = head.get(60..64).and_then(|octets| octets.try_into().ok()).map(u32::from_le_bytes);
    let offset = offset.and_then(|offset| usize::try_from(offset).ok());
    let new = offset.and_then(|offset| head.get(offset..)?.get(..2));
    match new {
        Some(b"PE" | b"NE" | b"LE" | b"LX") => Some(Kind::WindowsProgram),
        // Its header is farther away, or it was cut off.
        _ if offset.is_some_and(|offset| (HEAD_OCTETS..1 << 24).contains(&offset)) => {
            Some(Kind::WindowsProgram)
        }
        _ if looks_binary(head) => Some(Kind::DosProgram),
        _ => None,
    }
}

/// A tar without signature: its header's sum of octets is right (POSIX.1-1988 wrote it so).
fn is_old_tar(head: &[u8]) -> bool {
    head.first().is_some_and(|first| *first != 0) && crate::tar::has_right_sum(head)
}

/// Whether it may be plain LZMA: properties, a window of a power of two, or half as much again, or of any length, and a length
/// that is unknown or below a terabyte. Without a name that says so only the usual properties are believed.
pub(crate) fn may_be_lzma(head: &[u8]) -> bool {
    const PROPERTIES: u8 = 9 * 5 * 5;
    let Some(([properties, window @ ..], rest)) = head.split_first_chunk::<5>() else {
        return false;
    };
    let window = u32::from_le_bytes(*window);
    let is_window = window == u32::MAX
        || window >= 4_096
            && (window.is_power_of_two() || (window / 3 * 2).is_power_of_two() && window % 3 == 0);
    let length = rest.first_chunk().map(|length| u64::from_le_bytes(*length));
    *properties < PROPERTIES
        && is_window
        && length.is_some_and(|length| length == u64::MAX || (1..1 << 40).contains(&length))
        && rest.get(8) == Some(&0)
}

/// A cpio archive with its header in digits, the first six telling so: 110 of them, or 76 in the form of POSIX; or in the form
/// that GNU cpio writes unasked, in words of sixteen bits, with a zero behind the name.
fn is_cpio(head: &[u8]) -> bool {
    const NAME_AT: usize = 26;
    let digits = |octets: usize| head.get(..octets).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit));
    let word = |at: usize| {
        let octets = head.get(at..).and_then(|rest| rest.first_chunk());
        octets.map_or(0, |octets| usize::from(u16::from_le_bytes(*octets)))
    };
    match head {
        [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => digits(110),
        [b'0', b'7', b'0', b'7', b'0', b'7', ..] => digits(76),
        [0xc7, 0x71, ..] => {
            let name = head.get(NAME_AT..NAME_AT + word(20)).and_then(<[u8]>::split_last);
            name.is_some_and(|(last, name)| *last == 0 && !name.is_empty() && !name.contains(&0))
        }
        _ => false,
    }
}

/// Text formats, also in UTF-16.
fn text(head: &[u8]) -> Option<Kind> {
    let narrow: Vec<u8> = head.iter().copied().filter(|octet| *octet != 0).collect();
    let is_wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let head = if is_wide { narrow.get(2..).unwrap_or_default() } else { head };
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = head.trim_ascii_start();
    let begins =
        |word: &[u8]| start.get(..word.len()).is_some_and(|octets| octets.eq_ignore_ascii_case(word));
    let lower = head.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
    if head.starts_with(b"#!") {
        return Some(Kind::ShellScript);
    }
    if memchr::memmem::find(head, b"%PDF-").is_some() {
        return Some(Kind::Pdf);
    }
    if begins(b"{\\rt") {
        return Some(Kind::Rtf);
    }
    let may_be_jobs = begins(b"<job>") || begins(b"<job ") || begins(b"<package>");
    let is_jobs = may_be_jobs && has(b"<script");
    if begins(b"#@~^") || has(b"<hta:application") || is_jobs || begins(b"<scriptlet>") {
        return Some(Kind::WindowsScript);
    }
    if begins(b"@echo off") || begins(b"@echo on") || begins(b"@if ") || begins(b"@setlocal") {
        return Some(Kind::BatchScript);
    }
    if begins(b"[InternetShortcut") || begins(b"[Desktop Entry]") || begins(b"[Shell]") {
        return Some(Kind::Shortcut);
    }
    if begins(b"REGEDIT4") || begins(b"Windows Registry Editor") {
        return Some(Kind::RegistryFile);
    }
    if start.starts_with(b"<") {
        return markup(&lower);
    }
    is_message(head).then_some(Kind::Message)
}

fn markup(lower: &[u8]) -> Option<Kind> {
    let has = |word: &[u8]| memchr::memmem::find(lower, word).is_some();
    let html = [
        b"<!doctype html".as_slice(),
        b"<html",
        b"<head",
        b"<body",
        b"<script>",
        b"<script ",
        b"<iframe",
        b"<table",
        b"<div",
    ];
    if has(b"<svg") && !has(b"<html") {
        return Some(Kind::Svg);
    }
    if html.into_iter().any(has) {
        return Some(Kind::Html);
    }
    Some(Kind::Xml)
}

/// Whether it begins with header fields that only messages have.
fn is_message(head: &[u8]) -> bool {
    let mut fields = message::fields(head);
    fields.next().is_some_and(|first| {
        [
            "Received",
            "Return-Path",
            "Delivered-To",
            "X-Original-To",
            "MIME-Version",
            "Message-ID",
            "From",
            "Date",
            "DKIM-Signature",
        ]
        .iter()
        .any(|name| first.is_named(name))
            && fields.take(40).any(|field| {
                ["From", "To", "Subject", "Date", "Message-ID"].iter().any(|name| field.is_named(name))
            })
    })
}

fn looks_binary(head: &[u8]) -> bool {
    head.iter().any(|octet| matches!(octet, 0..=8 | 14..=26 | 28..=31))
}

fn looks_like_text(head: &[u8]) -> bool {
    !looks_binary(head) || head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: Kind) {
        assert_eq!(Kind::of(head), expected, "{}", head.escape_ascii());
    }

    #[test]
    fn programs() {
        let mut program = b"MZ".to_vec();
        program.resize(60, 0);
        program.extend_from_slice(&128_u32.to_le_bytes());
        program.resize(128, 0);
        check(&program, Kind::DosProgram);
        program.extend_from_slice(b"PE\0\0");
        check(&program, Kind::WindowsProgram);
        check(b"MZ", Kind::Text);
        check(b"MZ is how the initials of Mark Zbikowski are written, and this is a text about it, of some length.", Kind::Text);
        check(b"\x7fELF\x02", Kind::UnixProgram);
        check(b"\xcf\xfa\xed\xfe\x07", Kind::MacProgram);
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", Kind::MacProgram);
        check(b"\xca\xfe\xba\xbe\0\0\0\x34", Kind::JavaProgram);
        check(b"#!/bin/sh\necho", Kind::ShellScript);
        check(b"#@~^AAAA==", Kind::WindowsScript);
        check(b"<job id=\"x\"><script language=\"JScript\">", Kind::WindowsScript);
        check(b"\xff\xfe#\0@\0~\0^\0", Kind::WindowsScript);
        check(b"<jobs><job/></jobs>", Kind::Xml);
        check(b"<package><name>x</name></package>", Kind::Xml);
        check(b"@echo off\r\n", Kind::BatchScript);
        check(b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F\0", Kind::Shortcut);
        check(b"[InternetShortcut]\r\nURL=file://x", Kind::Shortcut);
    }

    #[test]
    fn documents_and_archives() {
        check(b"", Kind::Text);
        check(b"hello", Kind::Text);
        check(b"\0\x01hello", Kind::Unknown);
        check(b"junk\n%PDF-1.7", Kind::Pdf);
        check(b"{\\rt\n", Kind::Rtf);
        check(b"\xef\xbb\xbf<!DOCTYPE html><p>", Kind::Html);
        check(b"<?xml version='1.0'?><svg>", Kind::Svg);
        check(b"<?xml version='1.0'?><a>", Kind::Xml);
        check(b"Received: from x\r\nFrom: a@b\r\n", Kind::Message);
        check(b"From here on: everything\r\n", Kind::Text);
        check(b"PK\x03\x04\x14", Kind::Zip);
        check(b"\xfd7zXZ\0", Kind::Xz);
        check(b"BZh91AY&SY", Kind::Bzip2);
        check(b"LZIP\x01", Kind::Lzip);
        check(b"\x28\xb5\x2f\xfd", Kind::Zstd);
        check(b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", Kind::Lzma);
        check(b"\x5d\0\0\x80\0\x05\0\0\0\0\0\0\0\0", Kind::Lzma);
        check(b"\x5d\0\0\x81\0\x05\0\0\0\0\0\0\0\0", Kind::Unknown);
        check(b"\x04\x22\x4d\x18", Kind::Packed);
        check(b"x\0-lh5-", Kind::RareArchive);
        check(b"ab-lh and so on", Kind::Text);
        check(&[b"070701".as_slice(), &[b'0'; 104]].concat(), Kind::RareArchive);
        check(b"0707012345 is my number", Kind::Text);
        check(b"\x89PNG\r\n\x1a\n", Kind::Image);
        check(b"\0\0\0\x18ftypheic", Kind::Image);
        check(b"\0\0\0\x18ftypmp42", Kind::Media);
        check(b"RIFF\0\0\0\0WEBP", Kind::Image);
        let mut sector = vec![0; 512];
        sector[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        check(&sector, Kind::Unknown);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        check(&sector, Kind::DiskImage);
    }

    #[test]
    fn pretences() {
        for (kind, extension, expected) in [
            (Kind::WindowsProgram, "pdf", true),
            (Kind::WindowsProgram, "exe", false),
            (Kind::Zip, "docx", false),
            (Kind::Zip, "pdf", true),
            (Kind::Rtf, "doc", false),
            (Kind::Html, "xls", false),
            (Kind::Html, "pdf", true),
            (Kind::ShellScript, "txt", false),
            (Kind::Image, "jpg", false),
            (Kind::Ole, "jpg", true),
            (Kind::Text, "pdf", false),
        ] {
            assert_eq!(kind.is_disguised_as(extension), expected, "{kind:?} {extension}");
        }
    }
}
