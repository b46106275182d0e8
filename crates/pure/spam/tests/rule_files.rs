//! Rule files of SpamAssassin: people bring theirs along, and they go on working; what does not work is told with its place.

use std::net::IpAddr;

use spam::{
    Catalogue, FILE_RULES_MAX, Facts, Hit, INCLUDE_DEPTH_MAX, Judgement, RULE_LINE_OCTETS_MAX, RuleFiles,
    RuleReader, weigh,
};

const LETTER: &str = "Received: from x\r\nFrom: \"Ann Example\" <ann@example.org>\r\nTo: bob@example.net\r\nCc: carol@example.net\r\n\
    Subject: =?utf-8?Q?Buy_gr=C3=BCn?= now\r\nMessage-ID: <1@example.org>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\n\
    X-Folded: one\r\n\ttwo\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Dear  friend,=\r\n\r\n\r\nbuy buy buy at www.shop.example/now =3D cheap\r\n\
    --b\r\nContent-Type: text/html; name=\"x.html\"\r\n\r\n<p>Click <a href=\"http://evil.example/%61\">here</a></p>\r\n--b--\r\n";

fn files(text: &str) -> RuleFiles {
    let mut reader = RuleReader::default();
    reader.read("local.cf", text.as_bytes(), &mut |_| None);
    reader.finish()
}

/// The rules of these files that fire, with their points.
fn hits_with(text: &str, facts: &Facts<'_>) -> Vec<(String, f32)> {
    let mut catalogue = Catalogue::default();
    let files = files(text);
    assert_eq!(files.skipped(), []);
    catalogue.take_files(files);
    let verdict = weigh(LETTER.as_bytes(), None, facts, &catalogue);
    let mut hits: Vec<_> = verdict.hits().iter().map(|hit| (hit.name().to_owned(), hit.points())).collect();
    hits.retain(|(name, _)| name.starts_with("MY_"));
    hits.sort_by(|a, b| a.0.cmp(&b.0));
    hits
}

fn hits(text: &str) -> Vec<(String, f32)> {
    hits_with(text, &Facts::default())
}

fn fires(rule: &str) -> bool {
    !hits(rule).is_empty()
}

#[test]
fn each_kind_of_rule_looks_at_its_place() {
    for (rule, does_fire) in [
        ("header MY_A Subject =~ /^Buy gr\\xc3\\xbcn now$/", true),
        ("header MY_A Subject:raw =~ /=\\?utf-8/", true),
        ("header MY_A Subject =~ /=\\?utf-8/", false),
        ("header MY_A From:addr =~ /^ann\\@example\\.org$/", true),
        ("header MY_A From:name =~ /^Ann Example$/", true),
        ("header MY_A ToCc =~ /carol/", true),
        ("header MY_A To =~ /carol/", false),
        ("header MY_A X-Folded =~ /^one two$/", true),
        ("header MY_A X-Folded:raw =~ /one\\r?\\n\\ttwo/", true),
        ("header MY_A MESSAGEID =~ /<1\\@/", true),
        ("header MY_A ALL =~ /^mime-version: 1\\.0$/im", true),
        ("header MY_A exists:X-Folded", true),
        ("header MY_A exists:X-Other", false),
        ("header MY_A X-Other !~ /x/", true),
        ("header MY_A X-Other =~ /^none$/ [if-unset: none]", true),
        ("body MY_A /Dear friend,/", true),
        ("body MY_A /Buy gr.{2}n/", true),
        ("body MY_A /friend,.*buy/s", false),
        ("body MY_A /^buy buy/", true),
        ("body MY_A /<p>/", false),
        ("body MY_A /Click here/", true),
        ("rawbody MY_A /<p>Click/", true),
        ("rawbody MY_A /now = cheap/", true),
        ("full MY_A /now =3D cheap/", true),
        ("uri MY_A m{^http://evil\\.example/}", true),
        ("uri MY_A m{^http://www\\.shop\\.example/now$}", true),
        ("mimeheader MY_A Content-Type =~ /name=\"x\\.html\"/", true),
        ("mimeheader MY_A Content-Type =~ /name=\"y/", false),
    ] {
        assert_eq!(fires(rule), does_fire, "{rule}");
    }
}

#[test]
fn rules_build_on_rules() {
    let base = "body __BUY /buy/\ntflags __BUY multiple maxhits=5\nbody __NEVER /never there/\n";
    for (meta, does_fire) in [
        ("__BUY && !__NEVER", true),
        ("__BUY > 2", true),
        ("__BUY > 3", false),
        ("(__BUY / 3) + __NEVER == 1", true),
        ("__UNKNOWN || __BUY", true),
        ("__UNKNOWN && __BUY", false),
        ("!__UNKNOWN && __BUY", false),
        ("MY_B || __BUY", true),
        ("SPF_FAIL && __BUY", true),
        ("SPF_PASS || __NEVER", false),
    ] {
        let raised = [Catalogue::default().raise("SPF_FAIL", "")];
        let facts = Facts { raised: &raised, ..Facts::default() };
        let mut text = format!("{base}meta MY_A {meta}\n");
        if meta.contains("MY_B") {
            // Round in a circle: nobody knows, and the other side decides.
            text.push_str("meta MY_B MY_A && __NEVER\n");
        }
        assert_eq!(!hits_with(&text, &facts).is_empty(), does_fire, "{meta}");
    }
}

#[test]
fn scores_words_and_flags_are_heard() {
    assert_eq!(hits("body MY_A /buy/"), [("MY_A".to_owned(), 1.0)]);
    assert_eq!(hits("body MY_A /buy/\nscore MY_A 0.5 1 2 2.5 # four"), [("MY_A".to_owned(), 2.5)]);
    assert_eq!(hits("body MY_A /buy/\nscore MY_A 2\nscore MY_A (0.5)"), [("MY_A".to_owned(), 2.5)]);
    assert_eq!(hits("body MY_A /buy/\ntflags MY_A nice"), [("MY_A".to_owned(), -1.0)]);
    assert_eq!(hits("body MY_A /buy/\nscore MY_A 0"), []);
    assert_eq!(hits("body MY_A /never/\nbody MY_A /buy/"), [("MY_A".to_owned(), 1.0)]);
    let mut catalogue = Catalogue::default();
    catalogue.take_files(files(
        "body MY_A /buy/\ndescribe MY_A Somebody wants to sell\nscore SPF_FAIL 0.7\nscore MISSING_MID 0",
    ));
    let verdict = weigh(LETTER.as_bytes(), None, &Facts::default(), &catalogue);
    assert_eq!(verdict.hits().first().map(Hit::words), Some("Somebody wants to sell"));
    assert_eq!((catalogue.points("SPF_FAIL"), catalogue.points("MISSING_MID")), (Some(0.7), Some(0.0)));
    catalogue.set_points("MY_A", 0.0);
    assert!(
        weigh(LETTER.as_bytes(), None, &Facts::default(), &catalogue)
            .hits()
            .iter()
            .all(|hit| hit.name() != "MY_A")
    );
}

/// A rule of a file takes the place of the built-in one of its name.
#[test]
fn files_go_before_what_is_built_in() {
    let message = b"From: a@b.example\nSubject: x\n\nx\n";
    let names = |text: &str| {
        let mut catalogue = Catalogue::default();
        catalogue.take_files(files(text));
        let verdict = weigh(message, None, &Facts::default(), &catalogue);
        verdict.hits().iter().map(|hit| hit.name().to_owned()).collect::<Vec<_>>()
    };
    assert!(names("").contains(&"MISSING_DATE".to_owned()));
    assert!(!names("header MISSING_DATE X-Nothing =~ /x/").contains(&"MISSING_DATE".to_owned()));
    assert!(names("meta MY_A MISSING_DATE").contains(&"MY_A".to_owned()));
}

#[test]
fn conditions_and_includes_are_followed() {
    let text = "if (version >= 3.0)\nbody MY_A /buy/\nelse\nbody MY_B /buy/\nendif\n\
        ifplugin Mail::SpamAssassin::Plugin::DKIM\n if !plugin(X)\n  body MY_C /buy/\n else\n  body MY_D /buy/\n endif\nendif\n\
        if false\n if true\n  body MY_E /buy/\n else\n  body MY_F /buy/\n endif\nendif\n";
    let names: Vec<_> = hits(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["MY_A", "MY_D"]);
    let mut reader = RuleReader::default();
    reader.read("a.cf", b"score MY_A 3\ninclude b.cf\ninclude c.cf\n", &mut |name| {
        (name == "b.cf").then(|| b"body MY_A /buy/\nscore MY_A 4\n".to_vec())
    });
    let files = reader.finish();
    assert_eq!(files.count(), 1);
    let told: Vec<_> =
        files.skipped().iter().map(|one| (one.file.as_str(), one.line, one.reason.as_str())).collect();
    assert_eq!(told, [("a.cf", 3, "the file that it includes is not to be had")]);
}

#[test]
fn tags_stand_for_patterns() {
    let text = "replace_tag B [b8]\nreplace_tag U [u\\xfc]\nreplace_inter W \\W?\nreplace_rules MY_A\nbody MY_A /<inter W><B><U>y/\n";
    assert!(fires(text));
    assert!(!fires(&text.replace("replace_rules MY_A", "replace_rules MY_B")));
}

/// Nothing gets lost in silence.
#[test]
fn what_cannot_be_used_is_told_with_its_place() {
    let files = files(
        "body GOOD /x/\nbody LOOKS /a+(?!b)c/\nbody BACK /(a)\\1/\nbody CALLS eval:check_for_x('y')\nbody OPEN /(a/\n\
         meta WRONG A &&\nmeta BUILDS GOOD && CALLS\nheader FORM From:weird =~ /x/\nscore GOOD much\n\
         required_score 5\nrequired_score 6\nif false\nbody OUT /x/\nendif\n",
    );
    let told: Vec<_> =
        files.skipped().iter().map(|one| (one.line, one.rule.as_str(), one.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "LOOKS", "its pattern looks around in its middle"),
            (3, "BACK", "its pattern refers back"),
            (4, "CALLS", "it calls a function of SpamAssassin's program, check_for_x"),
            (5, "OPEN", "its pattern leaves a group open"),
            (6, "WRONG", "its expression ends where a rule should stand"),
            (8, "FORM", "it looks at a form of a field that is not known, weird"),
            (9, "GOOD", "its score is no number"),
        ]
    );
    let uncertain: Vec<_> =
        files.uncertain().iter().map(|one| (one.rule.as_str(), one.reason.as_str())).collect();
    assert_eq!(uncertain, [("BUILDS", "it builds on what is not there: CALLS")]);
    assert_eq!(
        files.settings(),
        [("required_score".to_owned(), 2), ("rules behind a condition that does not hold".to_owned(), 1)]
    );
    assert_eq!(files.count(), 2);
}

#[test]
fn what_a_server_knows_is_looked_at() {
    let rule = "header MY_A X-Spam-Relays-External =~ /^\\[ ip=192\\.0\\.2\\.1 rdns=host\\.example helo=me /\n\
                header MY_B EnvelopeFrom =~ /^a\\@b\\.example$/\nheader MY_C X-Spam-Relays-External !~ /x/";
    // Of what is not known, nothing is concluded.
    assert_eq!(hits(rule), []);
    let facts = Facts {
        client: Some(IpAddr::from([192, 0, 2, 1])),
        helo: Some("me"),
        reverse_name: Some("host.example"),
        reverse_path: Some("a@b.example"),
        ..Facts::default()
    };
    let names: Vec<_> = hits_with(rule, &facts).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["MY_A", "MY_B"]);
}

#[test]
fn the_models_answer_for_bayes() {
    let mut catalogue = Catalogue::default();
    catalogue.take_files(files("meta MY_A BAYES_99\nmeta MY_B BAYES_00\n"));
    let names = |content| {
        let verdict = weigh(LETTER.as_bytes(), content, &Facts::default(), &catalogue);
        verdict
            .hits()
            .iter()
            .filter(|hit| hit.name().starts_with("MY_"))
            .map(|hit| hit.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(Some((Judgement { log_odds: 6.0 }, &[][..]))), ["MY_A"]);
    assert_eq!(names(Some((Judgement { log_odds: -6.0 }, &[][..]))), ["MY_B"]);
    assert_eq!(names(None), [""; 0]);
}

/// A matcher that tries again would not come to an end with these.
#[test]
fn patterns_take_time_in_proportion_to_the_text() {
    let rules = "body MY_A /(?:a|a)*b$/\nbody MY_B /(?:a*)*c/\nrawbody MY_C /(?:(?:a+)+)+d/\nbody MY_D /(?!aaaz)(?:a|aa)+e/\n\
                 full MY_E /(?:a?){60}a{60}f/\ntflags MY_E multiple\n";
    let files = files(rules);
    assert_eq!((files.count(), files.skipped().len()), (5, 0));
    let mut catalogue = Catalogue::default();
    catalogue.take_files(files);
    let message = format!("Subject: x\n\n{}\n", "a".repeat(90_000));
    let verdict = weigh(message.as_bytes(), None, &Facts::default(), &catalogue);
    assert!(verdict.hits().iter().all(|hit| !hit.name().starts_with("MY_")));
}

#[test]
fn files_are_bounded() {
    for (octets, is_read) in
        [(RULE_LINE_OCTETS_MAX - 1, true), (RULE_LINE_OCTETS_MAX, true), (RULE_LINE_OCTETS_MAX + 1, false)]
    {
        let start = "describe MY_A ";
        let files = files(&format!("{start}{}", "x".repeat(octets - start.len())));
        assert_eq!(files.skipped().is_empty(), is_read, "{octets}");
    }
    let many = |count: usize| (0..count).map(|index| format!("meta M{index} 1\n")).collect::<String>();
    for (given, skipped) in [(FILE_RULES_MAX - 1, 0), (FILE_RULES_MAX, 0), (FILE_RULES_MAX + 1, 1)] {
        assert_eq!(files(&many(given)).skipped().len(), skipped, "{given}");
    }
    let mut reader = RuleReader::default();
    let mut opened = 0;
    reader.read("a.cf", b"include a.cf\n", &mut |_| {
        opened += 1;
        Some(b"include a.cf\n".to_vec())
    });
    assert_eq!(opened, INCLUDE_DEPTH_MAX);
    assert_eq!(reader.finish().skipped().len(), 1);
}
