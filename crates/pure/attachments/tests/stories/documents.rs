//! Documents that do things: macros, templates from elsewhere, PDF with JavaScript, pages with script.

use std::io::Write;

use attachments::{Action, Class};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::made::*;

fn zlib(octets: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

const VBA: &[&str] = &["Macros", "VBA", "_VBA_PROJECT", "dir"];

#[test]
fn macros_of_old_office() {
    let auto = module("Sub AutoOpen()\r\nCreateObject(\"WScript.Shell\").Run \"cmd /c x\"\r\nEnd Sub");
    let told = told_of("a.doc", &ole(VBA, &[&[0x42; 3_000], &auto]));
    assert_eq!(
        told,
        [
            "auto-macro: “a.doc” holds macros that run by themselves (AutoOpen; WScript.Shell, CreateObject, cmd /c)"
        ]
    );
    let harmless = module("Function Twice(x)\r\nTwice = 2 * x\r\nEnd Function");
    let report = inspect(&attached("a.xls", &ole(VBA, &[&harmless])));
    assert_eq!(crate::made::told(&report), ["macro: “a.xls” holds macros"]);
    assert_eq!(report.action(), Action::Score);
    assert_eq!(told_of("a.doc", &ole(&["WordDocument"], &[b"text"])), Vec::<String>::new());
}

#[test]
fn macros_whose_text_is_hidden_are_not_harmless() {
    // The text was taken away, what it compiled to is there.
    assert_eq!(
        told_of("a.doc", &ole(VBA, &[b"no text"])),
        ["auto-macro: “a.doc” holds macros whose text could not be read"]
    );
    let told = told_of("a.doc", &ole(VBA, &[b"\x01\x02Document_Open\x03\x04", &module("x = 1")]));
    assert_eq!(told, ["auto-macro: “a.doc” holds macros that run by themselves (Document_Open)"]);
    // Something made to look like a module stands before the real one and says that it is longer.
    let mut fake = b"\x01\xff\xbf\0Attribut".to_vec();
    fake.resize(100, b'x');
    let told = told_of("a.doc", &ole(VBA, &[&fake, &module("Sub Document_Open()\r\nShell x\r\nEnd Sub")]));
    assert_eq!(told, ["auto-macro: “a.doc” holds macros that run by themselves (Document_Open; Shell)"]);
    let many = vec![fake; 9].concat();
    assert_eq!(
        told_of("a.doc", &ole(VBA, &[&many])),
        ["auto-macro: “a.doc” holds macros whose text could not be read"]
    );
}

#[test]
fn long_macros_are_read_to_their_end() {
    let text = format!("{}Sub Workbook_Open()\r\nEnd Sub", "' nothing to see here\r\n".repeat(2_000));
    let told = told_of("a.xls", &ole(VBA, &[&module(&text)]));
    assert_eq!(told, ["auto-macro: “a.xls” holds macros that run by themselves (Workbook_Open)"]);
}

#[test]
fn macros_of_new_office() {
    let project = ole(&["VBA", "_VBA_PROJECT"], &[&module("Sub Workbook_Open()\r\nShell \"x\"\r\nEnd Sub")]);
    let types = b"<?xml version=\"1.0\"?><Types/>";
    let document =
        Zip::default().entry("[Content_Types].xml", types).entry("xl/vbaProject.bin", &project).finish();
    let told = told_of("a.xlsx", &document);
    assert_eq!(told, ["auto-macro: “a.xlsx” holds macros that run by themselves (Workbook_Open; Shell)"]);
    let sheet = Zip::default()
        .entry("[Content_Types].xml", types)
        .entry("xl/macrosheets/sheet1.xml", b"<x/>")
        .finish();
    assert_eq!(told_of("a.xlsm", &sheet), ["auto-macro: “a.xlsm” holds Excel 4.0 macros"]);
}

#[test]
fn whole_documents_in_one_xml_file() {
    let flat = b"<?xml version=\"1.0\"?><w:wordDocument w:macrosPresent=\"yes\"><w:binData w:name=\"editdata.mso\">QWN0</w:binData>";
    assert_eq!(told_of("a.xml", flat), ["auto-macro: “a.xml” holds macros whose text could not be read"]);
    let flat = b"<?xml version=\"1.0\"?><w:wordDocument><w:docOleData/></w:wordDocument>";
    assert_eq!(told_of("a.doc", flat), ["embedded-object: “a.doc” holds packed objects"]);
    assert_eq!(
        told_of("a.xml", b"<?xml version=\"1.0\"?><w:wordDocument w:macrosPresent=\"no\"/>"),
        Vec::<String>::new()
    );
}

#[test]
fn macros_of_open_document() {
    let document = Zip::default()
        .entry_as(
            "mimetype",
            b"application/vnd.oasis.opendocument.text",
            How { is_stored: true, ..How::default() },
        )
        .entry("Basic/Standard/Module1.xml", b"<?xml version=\"1.0\"?><script:module/>")
        .entry(
            "content.xml",
            b"<?xml version=\"1.0\"?><a xlink:href=\"vnd.sun.star.script:Standard.Module1.Main\"/>",
        )
        .finish();
    assert_eq!(
        told_of("a.odt", &document),
        ["auto-macro: “a.odt” holds macros that its events start", "macro: “a.odt” holds macros"]
    );
}

#[test]
fn macro_sheets_of_old_excel() {
    let sheet = b"\x85\x00\x0e\x00\x00\x10\x00\x00\x01\x01\x06\x00Macro1";
    assert_eq!(
        told_of("a.xls", &ole(&["Workbook"], &[sheet])),
        ["auto-macro: “a.xls” holds Excel 4.0 macros"]
    );
    let before = b"\x85\x00\x0d\x00\x8e\x1b\x00\x00\x00\x01\x06Macro1";
    assert_eq!(told_of("a.xls", &ole(&["Book"], &[before])), ["auto-macro: “a.xls” holds Excel 4.0 macros"]);
    let plain = b"\x85\x00\x0e\x00\x00\x10\x00\x00\x00\x00\x06\x00Sheet1";
    assert_eq!(told_of("a.xls", &ole(&["Workbook"], &[plain])), Vec::<String>::new());
}

#[test]
fn macros_packed_into_presentations() {
    let project = ole(VBA, &[&module("Sub Auto_Open()\r\nEnd Sub")]);
    let packed = zlib(&project);
    let mut record = b"\x10\x00\x11\x10".to_vec();
    record.extend_from_slice(&(packed.len() as u32 + 4).to_le_bytes());
    record.extend_from_slice(&(project.len() as u32).to_le_bytes());
    record.extend_from_slice(&packed);
    // The directory may stand before or behind; here it says what it is first.
    let head = ole(&["PowerPoint Document"], &[]);
    let told = told_of("a.ppt", &[head, record].concat());
    assert_eq!(told, ["auto-macro: “a.ppt” holds macros that run by themselves (Auto_Open)"]);
}

#[test]
fn documents_that_fetch_or_start_something() {
    let rels = |kind: &str, target: &str| {
        let xml = format!(
            "<?xml version=\"1.0\"?>\n<Relationships><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}\" Target=\"{target}\" TargetMode=\"External\"/></Relationships>"
        );
        told_of("a.docx", &zip_of("word/_rels/settings.xml.rels", xml.as_bytes()))
    };
    assert_eq!(
        rels("attachedTemplate", "http://192.0.2.1/t.dotm"),
        ["remote-content: “a.docx” fetches its template from http://192.0.2.1/t.dotm"]
    );
    assert_eq!(
        rels("oleObject", "mhtml:http://x.example/a!x-usc:http://x.example/a"),
        ["remote-content: “a.docx” fetches an object from mhtml:http://x.example/a!x-usc:http://x.example/a"]
    );
    assert_eq!(rels("attachedTemplate", "Normal.dotm"), Vec::<String>::new());
    assert_eq!(rels("hyperlink", "https://example.org/"), Vec::<String>::new());
    let dde = b"<?xml version=\"1.0\"?><w:document><w:instrText>DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe</w:instrText></w:document>";
    assert_eq!(
        told_of("a.docx", &zip_of("word/document.xml", dde)),
        ["dde: “a.docx” starts a program by dynamic data exchange"]
    );
    assert_eq!(
        told_of("a.csv", b"1,2,=cmd|'/c calc.exe'!A1\r\n"),
        ["dde: “a.csv” starts a program by dynamic data exchange"]
    );
    let table = b"<?xml version=\"1.0\"?><Workbook><Cell ss:Formula=\"=cmd|'/c x'!A1\"/></Workbook>";
    assert_eq!(told_of("a.xml", table), ["dde: “a.xml” starts a program by dynamic data exchange"]);
    let wide: Vec<u8> = String::from_utf8_lossy(dde).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = [b"\xff\xfe".as_slice(), &wide].concat();
    assert_eq!(
        told_of("a.docx", &zip_of("word/document.xml", &wide)),
        ["dde: “a.docx” starts a program by dynamic data exchange"]
    );
}

#[test]
fn documents_that_hold_something() {
    assert_eq!(
        told_of("a.doc", &ole(&["\u{1}Ole10Native"], &[])),
        ["embedded-object: “a.doc” holds a packed file"]
    );
    assert_eq!(told_of("a.doc", &ole(&["EncryptedPackage"], &[])), ["encrypted: “a.doc” is encrypted"]);
    let word = b"\xec\xa5\xc1\0\x11\xc0\x09\x04\0\0\xf0\x13";
    assert_eq!(told_of("a.doc", &ole(&["WordDocument"], &[word])), ["encrypted: “a.doc” is encrypted"]);
    let excel = b"\x09\x08\x10\0\0\x06\x05\0\x67\x32\xcd\x07\xc1\x80\x01\0\x06\x06\0\0\x2f\0\x36\0";
    assert_eq!(told_of("a.xls", &ole(&["Workbook"], &[excel])), ["encrypted: “a.xls” is encrypted"]);
    let user = b"\0\0\xf6\x0f\x24\0\0\0\x14\0\0\0\xdf\xc4\xd1\xf3";
    assert_eq!(told_of("a.ppt", &ole(&["Current User"], &[user])), ["encrypted: “a.ppt” is encrypted"]);
    assert_eq!(told_of("a.msg", &ole(&[], &[&program()])), ["program: “a.msg” holds a Windows program"]);
    assert_eq!(
        told_of(
            "a.doc",
            &ole(&["\u{1}Ole10Native"], &[b"..run.exe..This program cannot be run in DOS mode"])
        ),
        ["program: “a.doc” holds a packed Windows program", "embedded-object: “a.doc” holds a packed file"]
    );
    let shortcut = b"..a.lnk..L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F";
    assert_eq!(
        told_of("a.doc", &ole(&["\u{1}Ole10Native"], &[shortcut])),
        [
            "shortcut: “a.doc” holds a packed shortcut that starts something",
            "embedded-object: “a.doc” holds a packed file",
        ]
    );
    let document = zip_of("word/embeddings/run.exe", &program());
    assert_eq!(
        told_of("a.docx", &document),
        ["program: “word/embeddings/run.exe” inside “a.docx” is named like a program"]
    );
    assert_eq!(told_of("a.rtf", b"{\\rtf1 write \\\\objupdate or \\\\objdata}"), Vec::<String>::new());
    let rtf = b"{\\rtf1{\\object\\objemb\\objupdate{\\*\\objdata 0105}}}";
    assert_eq!(
        told_of("a.doc", rtf),
        [
            "active-document: “a.doc” holds an object that loads by itself",
            "embedded-object: “a.doc” holds packed objects",
        ]
    );
}

#[test]
fn what_outlook_packs_into_winmail_dat() {
    let attribute = |level: u8, number: u32, value: &[u8]| {
        let length = (value.len() as u32).to_le_bytes();
        [&[level], number.to_le_bytes().as_slice(), &length, value, &[0, 0]].concat()
    };
    let begin = [b"\x78\x9f\x3e\x22\x01\x00".as_slice(), &attribute(1, 0x0008_9006, &[0, 0, 1, 0])].concat();
    let file = |title: &str, content: &[u8], properties: &[u8]| {
        [
            attribute(2, 0x0006_9002, &[0; 14]),
            attribute(2, 0x0001_8010, &[title.as_bytes(), b"\0"].concat()),
            attribute(2, 0x0006_800f, content),
            attribute(2, 0x0006_9005, properties),
        ]
        .concat()
    };
    let long: Vec<u8> = "invoice.pdf.js\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let properties =
        [b"\x02\0\0\0\x1f\0\x07\x37\x01\0\0\0".as_slice(), &(long.len() as u32).to_le_bytes(), &long]
            .concat();
    let tnef = [begin.clone(), file("a.jpg", &program(), b""), file("INVOIC~1", b"x", &properties)].concat();
    assert_eq!(
        told_of("winmail.dat", &tnef),
        [
            "program: “a.jpg” inside “winmail.dat” is a Windows program",
            "script: “invoice.pdf.js” inside “winmail.dat” is named like a script for Windows",
            "disguised: “a.jpg” inside “winmail.dat” is a Windows program and is named .jpg",
            "disguised: “invoice.pdf.js” inside “winmail.dat” has a name that shows another extension before the one that counts",
        ]
    );
    let damaged = [begin, vec![7; 20]].concat();
    assert_eq!(
        told_of("winmail.dat", &damaged),
        ["opaque: “winmail.dat” is damaged and was not looked into to its end"]
    );
}

#[test]
fn programs_in_archives_of_their_own() {
    let jar = Zip::default()
        .entry("META-INF/MANIFEST.MF", b"x")
        .entry("A.class", b"\xca\xfe\xba\xbe\0\0\0\x34")
        .finish();
    assert!(told_of("a.zip", &jar).contains(&"program: “a.zip” is a Java program".to_owned()));
    let apk = Zip::default().entry("AndroidManifest.xml", b"x").finish();
    assert_eq!(told_of("a.zip", &apk), ["program: “a.zip” is an Android program"]);
}

#[test]
fn pdf_that_does_things() {
    let pdf = |object: &str| told_of("a.pdf", format!("%PDF-1.7\n1 0 obj\n{object}\nendobj\n").as_bytes());
    assert_eq!(pdf("<< /Type /Catalog >>"), Vec::<String>::new());
    assert_eq!(
        pdf("<< /OpenAction << /S /JavaScript /JS (x) >> >>"),
        ["active-pdf: “a.pdf” holds JavaScript that may run by itself"]
    );
    assert_eq!(pdf("<< /S/J#61vaScript >>"), ["active-pdf: “a.pdf” holds JavaScript"]);
    assert_eq!(pdf("<</S/Launch/F(cmd.exe)>>"), ["active-pdf: “a.pdf” starts a program"]);
    // In packed octets a short name means nothing.
    assert_eq!(pdf("<< /Length 9 >>\nstream\n(/JS )(/AA )\nendstream"), Vec::<String>::new());
    assert_eq!(pdf("<< /Length 9 >>\nstream\nx\nendstream\n/JS "), ["active-pdf: “a.pdf” holds JavaScript"]);
}

#[test]
fn pdf_that_hides_it_in_packed_objects() {
    let stream = |dictionary: &str, packed: &[u8]| {
        [
            b"%PDF-1.7\n1 0 obj\n<< ".as_slice(),
            dictionary.as_bytes(),
            b" >>\nstream\r\n",
            packed,
            b"\r\nendstream\nendobj\n2 0 obj\n<< /S /Launch >>\nendobj\n",
        ]
        .concat()
    };
    let objects = zlib(b"1 0 << /S /JavaScript /JS 5 0 R >> << /OpenAction 1 0 R >>");
    let told = told_of("a.pdf", &stream("/Type /ObjStm /N 1 /Filter /FlateDecode", &objects));
    assert_eq!(told[0], "active-pdf: “a.pdf” starts a program");
    let objects_only =
        [b"%PDF-1.7\n<< /Type/ObjStm/Filter/FlateDecode >>stream\n".as_slice(), &objects].concat();
    assert_eq!(
        told_of("a.pdf", &objects_only),
        ["active-pdf: “a.pdf” holds JavaScript that may run by itself"]
    );
    // Far from the beginning, where it comes octet by octet.
    let far = [
        b"%PDF-1.7\n".as_slice(),
        &[b'x'; 1_100],
        b"<< /Type/ObjStm/Filter/FlateDecode >>stream\n",
        &objects,
    ]
    .concat();
    assert_eq!(told_of("a.pdf", &far), ["active-pdf: “a.pdf” holds JavaScript that may run by itself"]);
    let file = zlib(&program());
    let told = told_of("a.pdf", &stream("/Type /EmbeddedFile /Filter /FlateDecode", &file));
    assert!(
        told.contains(&"program: something without a name inside “a.pdf” is a Windows program".to_owned()),
        "{told:?}"
    );
    let told = told_of("a.pdf", &stream("/Type /ObjStm /Filter [/ASCIIHexDecode /FlateDecode]", b"00"));
    assert!(
        told.contains(&"opaque: “a.pdf” has objects packed in a way that is not looked into".to_owned()),
        "{told:?}"
    );
}

#[test]
fn pages_with_script() {
    let told = told_of("a.html", b"<html><script>alert(1)</script>");
    assert_eq!(told, ["active-markup: “a.html” holds script"]);
    let smuggled = b"<html><script>var b=new Blob([Uint8Array.from(atob('TVqQ'))]);x.href=URL.createObjectURL(b);x.download='a.iso'</script>";
    let told = told_of("a.html", smuggled);
    assert_eq!(told[0], "disguised: “a.html” carries a file that its script unpacks and hands over");
    let wide: Vec<u8> = "<html><script>x</script>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        told_of("a.htm", &[b"\xff\xfe".as_slice(), &wide].concat()),
        ["active-markup: “a.htm” holds script"]
    );
    assert_eq!(told_of("a.svg", b"<svg onload=\"x()\"/>"), ["active-markup: “a.svg” holds script"]);
    assert_eq!(told_of("a.svg", b"<svg/>"), Vec::<String>::new());
    // Something before the page does not hide it.
    assert_eq!(told_of("a.html", b"\x00\x01junk <script>"), ["active-markup: “a.html” holds script"]);
}

#[test]
fn what_it_is_counts_more_than_what_it_is_called() {
    let told = told_of("a.pdf", b"<html><body>");
    assert_eq!(told, ["disguised: “a.pdf” is a web page and is named .pdf"]);
    assert_eq!(
        told_of("a.jpg", &zip_of("x", b"y")),
        ["disguised: “a.jpg” is a zip archive and is named .jpg"]
    );
    let report = inspect(b"Content-Type: image/png\r\n\r\n#!/bin/sh\r\nrm -rf /\r\n");
    assert!(report.findings.iter().any(|finding| finding.class == Class::Disguised));
}
