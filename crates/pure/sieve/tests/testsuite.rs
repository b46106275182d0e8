//! Files of tests in vnd.dovecot.testsuite: what its commands do, told by small files of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::HashMap;

use sieve::testsuite::{SuiteHost, SuiteOutcome, SuiteProgram, run_suite};
use sieve::{Finished, Now};

/// Files in memory, and programs that say what they were given.
#[derive(Default)]
struct Shelf {
    files: HashMap<String, String>,
}

impl SuiteHost for Shelf {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).map(|text| text.clone().into_bytes())
    }

    fn run(&self, program: &SuiteProgram<'_>) -> Result<Finished, String> {
        let sender =
            program.environment.iter().find(|(name, _)| *name == "SENDER").map(|(_, value)| value.as_str());
        match program.name {
            "slow" => Err("it took more than its time".to_owned()),
            "echo" => Ok(Finished { is_success: true, output: program.input.to_vec() }),
            "sender" => Ok(Finished { is_success: true, output: sender.unwrap_or_default().into() }),
            _ => Ok(Finished { is_success: false, output: Vec::new() }),
        }
    }

    fn now(&self) -> Now {
        Now { unix_seconds: 1_000_000_000, zone_minutes: 0 }
    }
}

const MESSAGE: &str = "test_set \"message\" text:\nFrom: Ann <ann@example.org>\nTo: bob@example.net\nSubject: Lunch\n\nText\n.\n;\n";

fn judged(requires: &str, rest: &str, files: &[(&str, &str)]) -> SuiteOutcome {
    let files = files.iter().map(|(name, text)| (format!("suite/{name}"), (*text).to_owned())).collect();
    let requires = format!("require [\"vnd.dovecot.testsuite\"{requires}];\n");
    let text = format!("{requires}{MESSAGE}{rest}").replace('\n', "\r\n");
    run_suite("suite/it.svtest", text.as_bytes(), &Shelf { files })
}

#[track_caller]
fn passes(requires: &str, rest: &str, files: &[(&str, &str)]) {
    let outcome = judged(requires, rest, files);
    assert!(outcome.is_success() && !outcome.tests.is_empty(), "{outcome:#?}");
}

#[test]
fn tests_fail_one_by_one_and_say_why() {
    let rest = "
test \"good\" { if not header \"subject\" \"Lunch\" { test_fail \"no lunch\"; } }
test \"bad\" { if true { test_fail \"so it is\"; } keep; }
test \"worse\" { redirect \"a@example.org\"; redirect \"b@example.org\"; redirect \"c@example.org\"; redirect \"d@example.org\"; redirect \"e@example.org\"; }
test \"good again\" { }
";
    let outcome = judged("", rest, &[]);
    let told: Vec<_> = outcome.tests.iter().map(|test| (test.name.as_str(), test.failure.clone())).collect();
    let limit = "line 13: number of redirect actions exceeds policy limit (4)";
    assert_eq!(
        told,
        [
            ("good", None),
            ("bad", Some("so it is (line 12)".to_owned())),
            ("worse", Some(limit.to_owned())),
            ("good again", None),
        ]
    );
    assert!(!outcome.is_success() && outcome.faults.is_empty());
}

#[test]
fn a_file_that_is_no_script_is_a_fault() {
    let outcome = judged("", "test \"x\" { frop; }", &[]);
    assert_eq!(outcome.faults, ["suite/it.svtest: line 10, column 12: unknown command 'frop'"]);
    assert!(!outcome.is_success());
}

#[test]
fn scripts_beside_the_tests_are_compiled_and_run() {
    let files = [
        ("good.sieve", "require \"fileinto\"; if header \"subject\" \"Lunch\" { fileinto \"Food\"; keep; }"),
        ("bad.sieve", "keep 1; frop;"),
    ];
    let rest = "
test_mailbox_create \"Food\";
test \"compile and run\" {
    if not test_script_compile \"good.sieve\" { test_fail \"compile\"; }
    test_binary_save \"good\";
    test_binary_load \"good\";
    if not test_script_run { test_fail \"run\"; }
    if not test_result_action :index 1 \"store\" { test_fail \"no store\"; }
    if not test_result_action :count \"eq\" \"2\" { test_fail \"not two actions\"; }
    if not test_result_execute { test_fail \"execute\"; }
    if not test_message :folder \"Food\" 0 { test_fail \"not there\"; }
    if test_message :folder \"Food\" 1 { test_fail \"twice\"; }
    if not test_message :folder \"INBOX\" 0 { test_fail \"not kept\"; }
}
test \"errors\" {
    if test_script_compile \"bad.sieve\" { test_fail \"compiled\"; }
    if not test_error :count \"eq\" \"3\" { test_fail \"not two faults and the last word\"; }
    if not test_error :index 2 :matches \"unknown command 'frop'\" { test_fail \"wrong fault\"; }
    if test_script_compile \"none.sieve\" { test_fail \"there is none\"; }
}
";
    passes(", \"relational\"", rest, &files);
}

#[test]
fn what_is_sent_can_be_looked_at() {
    let rest = "
test_set \"envelope.from\" \"<ann@example.org>\";
test_set \"envelope.to\" \"<bob@example.net>\";
test \"redirect\" {
    addheader \"X-Seen\" \"yes\";
    redirect \"carl@example.com\";
    deleteheader \"X-Seen\";
    if not test_result_execute { test_fail \"execute\"; }
    if not test_message :smtp 0 { test_fail \"nothing sent\"; }
    if not envelope \"to\" \"carl@example.com\" { test_fail \"to somebody else\"; }
    if not envelope \"from\" \"ann@example.org\" { test_fail \"from somebody else\"; }
    if not header \"x-seen\" \"yes\" { test_fail \"not as it was then\"; }
    if test_message :smtp 1 { test_fail \"more than one\"; }
}
test_result_reset;
test_config_set \"sieve_redirect_envelope_from\" \"<bounces@example.net>\";
test_config_reload;
test_set \"envelope.to\" \"bob@example.net\";
test \"a loop is not sent\" {
    redirect \"carl@example.com\";
    if not test_result_execute { test_fail \"execute\"; }
    if test_message :smtp 0 { test_fail \"sent again\"; }
}
";
    passes(", \"envelope\", \"editheader\"", rest, &[]);
}

#[test]
fn settings_hold_from_when_they_are_set() {
    let rest = "
test_config_set \"sieve_max_redirects\" \"1\";
test_config_reload;
test \"one\" {
    redirect \"a@example.org\";
    if test_script_compile \"two.sieve\" { if test_script_run { test_fail \"ran\"; } }
    if not test_error :contains \"exceeds policy limit (1)\" { test_fail \"no such error\"; }
}
test_config_unset \"sieve_max_redirects\";
test \"two\" { redirect \"a@example.org\"; redirect \"b@example.org\"; }
test_config_set \"sieve_editheader_protected\" \"x-kept\";
test \"protected\" {
    addheader \"X-Kept\" \"no\";
    if exists \"x-kept\" { test_fail \"added\"; }
}
";
    passes(
        ", \"editheader\"",
        rest,
        &[("two.sieve", "redirect \"a@example.org\"; redirect \"b@example.org\";")],
    );
}

#[test]
fn a_result_that_fails_keeps_the_message_as_it_came() {
    let rest = "
test \"no such mailbox\" {
    addheader \"X-Edit\" \"yes\";
    fileinto \"Nowhere\";
    if test_result_execute { test_fail \"executed\"; }
    if not test_error :contains \"failed to store into mailbox 'Nowhere'\" { test_fail \"no such error\"; }
    if not test_message :folder \"INBOX\" 0 { test_fail \"lost\"; }
    if exists \"x-edit\" { test_fail \"edited\"; }
}
";
    passes(", \"editheader\", \"fileinto\"", rest, &[]);
}

#[test]
fn scripts_run_one_after_the_other() {
    let files = [
        ("one.sieve", "require [\"fileinto\", \"copy\"]; fileinto :copy \"INBOX.One\";"),
        ("two.sieve", "require \"vacation\"; vacation \"away\";"),
    ];
    let rest = "
test_mailbox_create \"Inbox.One\";
test \"appended\" {
    if not allof (test_script_compile \"one.sieve\", test_script_run) { test_fail \"one\"; }
    if not test_result_execute { test_fail \"execute one\"; }
    if not allof (test_script_compile \"two.sieve\", test_script_run :append_result) { test_fail \"two\"; }
    if not test_result_execute { test_fail \"execute two\"; }
    if not test_result_action :index 1 \"store\" { test_fail \"no store\"; }
    if not test_result_action :index 2 \"vacation\" { test_fail \"no vacation\"; }
    if not test_message :smtp 0 { test_fail \"no answer\"; }
}
test_result_reset;
test_set \"message\" text:
From: ann@example.org
To: bob@example.net

Text
.
;
test \"together\" {
    if not test_multiscript [\"one.sieve\", \"two.sieve\"] { test_fail \"failed\"; }
    if not test_message :smtp 0 { test_fail \"no answer\"; }
}
";
    passes("", rest, &files);
}

#[test]
fn annotations_lists_and_included_scripts_are_there() {
    let files = [
        ("included/inner.sieve", "require [\"variables\", \"include\"]; set \"global.seen\" \"personal\";"),
        (
            "included-global/inner.sieve",
            "require [\"variables\", \"include\"]; set \"global.seen\" \"global\";",
        ),
        ("book.dict", "priv/sieve/extlists/ann@example.org\n1\n"),
    ];
    let rest = "
test_imap_metadata_set :mailbox \"INBOX\" \"/private/colour\" \"blue\";
test \"metadata\" {
    if not metadata :is \"INBOX\" \"/private/colour\" \"blue\" { test_fail \"not blue\"; }
    if metadataexists \"INBOX\" \"/private/size\" { test_fail \"a size\"; }
}
test_config_set \"sieve_extlists_list\" \":addrbook:default :addrbook:empty\";
test_config_set \"sieve_extlists_list/:addrbook:default/dict/file/path\" \"${tst.path}/book.dict\";
test \"lists\" {
    if not address :list \"from\" \"urn:ietf:params:sieve:addrbook:default\" { test_fail \"not listed\"; }
    if address :list \"to\" \":addrbook:default\" { test_fail \"listed\"; }
    if address :list \"from\" \":addrbook:empty\" { test_fail \"listed in nothing\"; }
    if not valid_ext_list \":addrbook:empty\" { test_fail \"no such list\"; }
    if valid_ext_list \":addrbook:other\" { test_fail \"such a list\"; }
}
test \"includes\" {
    include :global \"inner\";
    if not string \"${global.seen}\" \"global\" { test_fail \"not global\"; }
    include \"inner\";
    if not string \"${global.seen}\" \"personal\" { test_fail \"not personal\"; }
}
";
    passes(", \"mboxmetadata\", \"extlists\", \"variables\", \"include\"", rest, &files);
}

#[test]
fn programs_are_the_hosts() {
    let rest = "
test \"not without a directory\" {
    if execute \"echo\" { test_fail \"ran\"; }
}
test_config_set \"sieve_execute_bin_dir\" \"${tst.path}/bin\";
test_config_set \"sieve_pipe_bin_dir\" \"${tst.path}/bin\";
test_config_set \"sieve_execute_input_eol\" \"lf\";
test \"execute\" {
    execute :pipe :output \"out\" \"echo\";
    if not string :contains \"${out}\" \"Subject: Lunch\" { test_fail \"no message\"; }
    execute :output \"out\" \"sender\";
    if not string \"${out}\" \"ann@example.org\" { test_fail \"no sender\"; }
    if execute \"nothing\" { test_fail \"ran\"; }
}
test \"pipe\" {
    pipe :copy \"echo\";
    if not test_result_execute { test_fail \"echo failed\"; }
    pipe \"slow\";
    if test_result_execute { test_fail \"slow did not fail\"; }
    if not test_error :index 2 :contains \"failed to pipe\" { test_fail \"no such error\"; }
}
";
    passes(", \"vnd.dovecot.execute\", \"vnd.dovecot.pipe\", \"variables\", \"copy\"", rest, &[]);
}

#[test]
fn scripts_do_not_speak_it_elsewhere() {
    let faults =
        sieve::compile(b"require \"vnd.dovecot.testsuite\";", &sieve::Dialect::default()).unwrap_err();
    assert_eq!(faults.len(), 1);
}
