//! Messages as they are written to slip by: two programs, two readings.

use attachments::{Action, Class, HashList, HashListBuilder, Policy, Rules};

use crate::made::*;

fn check(message: &str, expected: &[&str]) {
    let message = message.replace('\n', "\r\n");
    assert_eq!(told(&inspect(message.as_bytes())), expected, "{message}");
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(base64(octets)).unwrap().replace("\r\n", "\n")
}

#[test]
fn ordinary_mail_is_nothing() {
    check("Subject: x\n\nHello.\n", &[]);
    check("", &[]);
    check("Subject: x", &[]);
    check(
        "Content-Type: multipart/alternative; boundary=x\n\npre\n--x\n\nHello\n--x\nContent-Type: text/html\n\n<script>x</script>\n--x--\nbye\n",
        &[],
    );
    let report = inspect(&attached("a.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"));
    assert_eq!((report.action(), report.contents), (Action::Accept, 1));
}

#[test]
fn the_name_is_judged_wherever_it_stands() {
    for header in [
        "Content-Type: application/octet-stream; name=a.exe",
        "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.exe",
        "Content-Disposition: attachment;\n filename*0=a.;\n filename*1=exe",
        "Content-Disposition: attachment; filename*=utf-8''a%2Eexe",
        "Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU=?=\"",
        "Content-Type: multipart/mixed; boundary=b\nContent-Disposition: attachment; filename=a.exe",
        "Content-Disposition: attachment; filename=a.txt\nContent-Type: a/b; name=a.exe",
    ] {
        let message = format!("{header}\n\nx\n").replace('\n', "\r\n");
        let report = inspect(message.as_bytes());
        assert!(
            report.findings.iter().any(|finding| finding.class == Class::Program),
            "{header}: {report:?}"
        );
    }
}

#[test]
fn encodings_are_undone() {
    let program = text(&program());
    let expected = ["program: something without a name is a Windows program"];
    let header = "Content-Type: application/octet-stream\nContent-Transfer-Encoding:";
    check(&format!("{header} base64\n\n{program}"), &expected);
    check(&format!("{header} BASE64 (yes)\n\n{program}"), &expected);
    check(&format!("{header} \"base64\"; x=y\n\n{}", program.replace('A', "A!\n")), &expected);
    check(
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: quoted-printable\n\n=4D=5A=00=\n\n",
        &["program: something without a name is a DOS program"],
    );
}

#[test]
fn boundaries_as_lenient_programs_read_them() {
    let part = format!(
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{}",
        text(&program())
    );
    let found = "program: something without a name is a Windows program";
    // Blanks behind it; never closed; a part without a blank line before it; an outer one that ends an inner.
    check(&format!("Content-Type: multipart/mixed; boundary=b\n\n--b \t\n{part}\n"), &[found]);
    check(&format!("Content-Type: multipart/mixed; boundary=b\n\n--b\nA: b\n--b\n{part}--b--\n"), &[found]);
    check(
        &format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--b\n{part}--b--\n"
        ),
        &[found],
    );
    // None given: the first line that may be one is.
    check(
        &format!("Content-Type: multipart/mixed\n\n--guess\n{part}--guess--\n"),
        &[found, "ambiguous: the message has parts without saying how they are told apart"],
    );
    // Two of them.
    check(
        &format!(
            "Content-Type: multipart/mixed; boundary=b\nContent-Type: multipart/mixed; boundary=c\n\n--b\n{part}--b--\n"
        ),
        &[found, "ambiguous: the message says twice what it is, each time something else"],
    );
}

#[test]
fn line_ends_before_boundaries_are_no_content() {
    // The digest is of exactly what was attached.
    let mut builder = HashListBuilder::new();
    builder
        .take_line(b"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824:5:Hello.Known")
        .unwrap();
    let octets = builder.build();
    for end in ["\r\n", "\n"] {
        let rules = Rules { lists: vec![HashList::open(octets.clone()).unwrap()], ..Rules::default() };
        let message =
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b; name=h\n\nhello\n--b--\n";
        let report = inspect_with(rules, message.replace('\n', end).as_bytes());
        assert_eq!(told(&report), ["listed: “h” is on a list of known content as Hello.Known"]);
    }
}

#[test]
fn messages_in_messages_and_text_around_parts() {
    let inner = String::from_utf8(attached("a.exe", b"MZ")).unwrap().replace("\r\n", "\n");
    let expected = ["program: “a.exe” inside something without a name is named like a program"];
    check(&format!("Content-Type: message/rfc822\n\n{inner}"), &expected);
    check(
        &format!(
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
            text(inner.as_bytes())
        ),
        &expected,
    );
    check(&format!("Content-Type: multipart/digest; boundary=d\n\n--d\n\n{inner}\n--d--\n"), &expected);
    check(
        "Content-Type: message/partial; id=x; number=1\n\nx\n",
        &["opaque: the message is a piece of something whose other pieces are elsewhere"],
    );
    let uuencoded = "begin 644 a.exe\n#0V%T\n`\nend\n";
    let expected = ["program: “a.exe” is named like a program"];
    check(&format!("Subject: x\n\nHello,\n\n{uuencoded}bye\n"), &expected);
    check(&format!("Content-Type: multipart/mixed; boundary=b\n\n{uuencoded}--b\n\nx\n--b--\n"), &expected);
    check(&format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n{uuencoded}"), &expected);
    check(&format!("Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\n{uuencoded}"), &expected);
}

#[test]
fn the_test_virus_wherever_it_is() {
    let eicar = eicar();
    let plain = String::from_utf8(eicar.clone()).unwrap();
    check(&format!("Subject: x\n\n{plain}\n"), &["test-virus: “the text” is the EICAR test file"]);
    check(&format!("Subject: x\n\nsee:\n{plain}\n"), &[]);
    assert_eq!(told_of("a.txt", &eicar), ["test-virus: “a.txt” is the EICAR test file"]);
    let zip = zip_of("eicar.txt", &eicar);
    assert_eq!(told_of("a.zip", &zip), ["test-virus: “eicar.txt” inside “a.zip” is the EICAR test file"]);
    let report = inspect(&attached("b.zip", &zip_of("a.zip", &zip)));
    assert_eq!(report.action(), Action::Reject);
    let long = [eicar, vec![b' '; 61]].concat();
    assert_eq!(told_of("a.txt", &long), Vec::<String>::new());
}

#[test]
fn lists_of_known_content_in_all_their_forms() {
    // Of 600 octets made by `program`, in an archive.
    let list = |line: &str| {
        let mut builder = HashListBuilder::new();
        builder.take_line(line.as_bytes()).unwrap();
        HashList::open(builder.build()).unwrap()
    };
    for line in [
        "5d41402abc4b2a76b9719d911017c592:5:Md5",
        "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d:*:Sha1",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    ] {
        let rules =
            Rules { lists: vec![list("00000000000000000000000000000000"), list(line)], ..Rules::default() };
        let report = inspect_with(rules, &attached("a.zip", &zip_of("b.txt", b"hello")));
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].place, ["a.zip", "b.txt"]);
        assert_eq!((report.findings[0].class, report.action()), (Class::Listed, Action::Reject));
    }
}

#[test]
fn who_runs_the_server_says_what_follows() {
    let mut policy = Policy::default();
    policy.set(Class::Program, Action::Quarantine);
    assert!(policy.refuse("mp4") && policy.refuse("application/x-refused") && policy.allow("js"));
    let rules = || Rules { policy: policy.clone(), ..Rules::default() };
    let report = inspect_with(rules(), &attached("a.exe", &program()));
    assert_eq!(report.action(), Action::Quarantine);
    let report = inspect_with(rules(), &attached("a.mp4", b"x"));
    assert_eq!(told(&report), ["refused: “a.mp4” has a name that ends in .mp4, which is refused here"]);
    let report = inspect_with(rules(), b"Content-Type: application/x-refused\r\n\r\nx");
    assert_eq!(
        told(&report),
        ["refused: something without a name is of type application/x-refused, which is refused here"]
    );
    let report = inspect_with(rules(), &attached("a.js", b"var x;"));
    assert_eq!(report.action(), Action::Accept);
    // Allowed is a script, not a program that is called one.
    let report = inspect_with(rules(), &attached("a.js", &program()));
    assert_eq!(told(&report), ["program: “a.js” is a Windows program"]);
}

#[test]
fn macros_are_allowed_where_the_name_says_that_there_are_some() {
    let mut policy = Policy::default();
    assert!(policy.allow("xlsm"));
    let macros = zip_of("xl/macrosheets/sheet1.xml", b"<x/>");
    let allowed = |name: &str| {
        let rules = Rules { policy: policy.clone(), ..Rules::default() };
        inspect_with(rules, &attached(name, &macros)).findings.is_empty()
    };
    assert!(allowed("a.xlsm") && !allowed("a.xlsx") && !allowed("a.xlsm.xlsx"));
}

#[test]
fn names_of_many_kinds() {
    for (name, class) in [
        ("photo\u{202e}gpj.exe", Class::Disguised),
        ("a.pdf                  .exe", Class::Disguised),
        ("a.exe.", Class::Program),
        ("a.lnk", Class::Shortcut),
        ("a.iso", Class::RareContainer),
        ("a.vbs", Class::Script),
        ("a.hta", Class::Script),
        ("a.chm", Class::ActiveDocument),
        ("a.sh", Class::ShellScript),
    ] {
        let report = inspect(&attached(name, b"x"));
        assert!(report.findings.iter().any(|finding| finding.class == class), "{name}: {:?}", told(&report));
    }
}

#[test]
fn disk_images_are_known_by_what_is_far_inside() {
    for at in [0x8001, 0x9311] {
        let mut image = vec![0; at + 2_000];
        image[at..at + 5].copy_from_slice(b"CD001");
        assert_eq!(told_of("a.dat", &image), ["rare-container: “a.dat” is a disk image"]);
        image[at] = b'X';
        assert_eq!(told_of("a.dat", &image), Vec::<String>::new());
    }
}
