//! Aggregate reports written, read, and tried to break.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A report as a large provider writes it, after RFC 7489.
const OLD: &str = r#"<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata>
    <org_name>google.com</org_name>
    <email>noreply-dmarc-support@google.com</email>
    <extra_contact_info>https://support.google.com/a/answer/2466580</extra_contact_info>
    <report_id>1234567890</report_id>
    <date_range><begin>1732665600</begin><end>1732751999.0</end></date_range>
    <error>first</error><error>second &amp; &#x41;</error>
  </report_metadata>
  <policy_published>
    <domain>example.org</domain><adkim>r</adkim><aspf>s</aspf><p>Reject</p><sp>none</sp><pct>100</pct>
  </policy_published>
  <record>
    <row>
      <source_ip>192.0.2.1</source_ip><count>3</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>
        <reason><type>sampled_out</type><comment/></reason>
      </policy_evaluated>
    </row>
    <identifiers><header_from>example.org</header_from></identifiers>
    <auth_results>
      <dkim><domain>example.org</domain><result>pass</result><selector>s1</selector></dkim>
      <spf><domain>bounce.example.net</domain><result>hardfail</result></spf>
      <arc><domain>x</domain></arc>
    </auth_results>
  </record>
  <record><row><source_ip>nonsense</source_ip></row></record>
  <record><row><source_ip>2001:db8::1</source_ip><count>x</count></row></record>
</feedback>"#;

#[test]
fn an_old_report_is_read() {
    let report = AggregateReport::read(OLD.as_bytes()).unwrap();
    assert_eq!(report.metadata.org_name, "google.com");
    assert_eq!((report.metadata.begin, report.metadata.end), (1_732_665_600, 1_732_751_999));
    assert_eq!(report.metadata.errors, ["first", "second & A"]);
    let policy = &report.policy_published;
    assert_eq!((policy.p, policy.sp, policy.np), (Policy::Reject, Some(Policy::None), None));
    assert_eq!(policy.aspf, Some(AlignmentMode::Strict));
    assert_eq!((report.records.len(), report.skipped_records), (2, 1));
    let record = &report.records[0];
    assert!(record.dkim_aligned && !record.spf_aligned);
    assert_eq!((record.count, record.header_from.as_str()), (3, "example.org"));
    assert_eq!(record.reasons, [Reason { kind: ReasonKind::SampledOut, comment: None }]);
    assert_eq!(record.dkim[0].selector, "s1");
    assert_eq!(record.spf[0].result, CheckResult::Fail);
    assert_eq!(report.records[1].source_ip.to_string(), "2001:db8::1");
}

#[test]
fn a_report_as_the_rfc_has_it() {
    let published = crate::dmarc::Published {
        domain: mail_types::DomainName::parse("example.org").unwrap(),
        standing: crate::dmarc::Standing::Own,
        record: crate::dmarc::Record::parse(b"v=DMARC1; p=reject; np=reject; t=y").unwrap(),
    };
    let report = AggregateReport {
        metadata: Metadata {
            org_name: "Ann & Sons <1>".into(),
            email: "postmaster@mx.example.net".into(),
            report_id: "r1@mx.example.net".into(),
            begin: 1_732_665_600,
            end: 1_732_751_999,
            generator: Some("mailstead".into()),
            ..Metadata::default()
        },
        policy_published: PublishedPolicy::from(&published),
        records: vec![Record {
            source_ip: "2001:db8::25".parse().unwrap(),
            count: 2,
            disposition: Disposition::Pass,
            dkim_aligned: true,
            spf_aligned: false,
            reasons: vec![Reason { kind: ReasonKind::PolicyTestMode, comment: None }],
            header_from: "example.org".into(),
            envelope_from: Some(String::new()),
            envelope_to: None,
            dkim: vec![DkimResult {
                domain: "example.org".into(),
                selector: "s".into(),
                result: CheckResult::Pass,
                human_result: None,
            }],
            spf: vec![SpfResult {
                domain: "example.net".into(),
                scope: Some(SpfScope::MFrom),
                result: CheckResult::SoftFail,
                human_result: Some("not \u{7}allowed".into()),
            }],
        }],
        skipped_records: 0,
    };
    let xml = report.write();
    assert!(xml.contains("<org_name>Ann &amp; Sons &lt;1&gt;</org_name>"), "{xml}");
    for piece in [
        "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">",
        "<discovery_method>treewalk</discovery_method>",
        "<testing>y</testing>",
        "<type>policy_test_mode</type>",
        "<envelope_from></envelope_from>",
        "<human_result>not  allowed</human_result>",
    ] {
        assert!(xml.contains(piece), "{piece}: {xml}");
    }
    let order = [
        "<version>",
        "<report_metadata>",
        "<policy_published>",
        "<record>",
        "<row>",
        "<identifiers>",
        "<auth_results>",
    ];
    let places: Vec<usize> = order.iter().map(|element| xml.find(element).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let receiver = mail_types::DomainName::parse("mx.example.net").unwrap();
    assert_eq!(report.file_name(&receiver), "mx.example.net!example.org!1732665600!1732751999.xml.gz");
    let subject = "Report Domain: example.org Submitter: mx.example.net Report-ID: <r1@mx.example.net>";
    assert_eq!(report.subject(&receiver), subject);
}

#[test]
fn what_is_no_report() {
    for xml in ["", "{}", "<a/>", "<html><body>hi</body></html>", "<feedback>", "<feedback></a>", "feedback"]
    {
        assert_eq!(AggregateReport::read(xml.as_bytes()), Err(ReportError::Malformed), "{xml}");
    }
    assert!(AggregateReport::read(b"\xef\xbb\xbf\n <feedback/>").is_ok());
    assert!(
        AggregateReport::read(b"<feedback xmlns='x' xmlns:d='y'><d:report_metadata/>\xff</feedback>").is_ok()
    );
}

#[test]
fn tags_that_do_not_match_are_survived() {
    let xml =
        OLD.replace("noreply-dmarc-support@google.com", "<noreply@google.com>").replace("<comment/>", "</x>");
    let report = AggregateReport::read(xml.as_bytes()).unwrap();
    let expected = AggregateReport::read(OLD.as_bytes()).unwrap();
    assert_eq!(report.metadata.email, "");
    assert_eq!((report.metadata.report_id, report.records), (expected.metadata.report_id, expected.records));
}

#[test]
fn texts_are_one_line() {
    let xml = "<feedback><policy_published><domain>\u{1} a\r\nb\u{fffe}\u{7} </domain></policy_published></feedback>";
    let report = AggregateReport::read(xml.as_bytes()).unwrap();
    assert_eq!(report.policy_published.domain, "a b");
    assert_eq!(AggregateReport::read(report.write().as_bytes()), Ok(report));
}

#[test]
fn entities_are_never_expanded() {
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE feedback [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]>\
                  <feedback><report_metadata><org_name>&b;</org_name></report_metadata></feedback>";
    assert_eq!(AggregateReport::read(laughs.as_bytes()), Err(ReportError::Forbidden));
    let file = "<!DOCTYPE feedback SYSTEM \"file:///etc/passwd\"><feedback/>";
    assert_eq!(AggregateReport::read(file.as_bytes()), Err(ReportError::Forbidden));
    let unknown = "<feedback><report_metadata><org_name>a&b;c & d</org_name></report_metadata></feedback>";
    let report = AggregateReport::read(unknown.as_bytes()).unwrap();
    assert_eq!(report.metadata.org_name, "a\u{fffd}c & d");
}

#[test]
fn the_bounds_hold() {
    for depth in [DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1] {
        let inner = depth - 1;
        let xml = format!("<feedback>{}{}</feedback>", "<x>".repeat(inner), "</x>".repeat(inner));
        assert_eq!(AggregateReport::read(xml.as_bytes()).is_ok(), depth <= DEPTH_MAX, "{depth}");
    }
    for octets in [TEXT_OCTETS_MAX - 1, TEXT_OCTETS_MAX, TEXT_OCTETS_MAX + 1] {
        let name = "a".repeat(octets);
        let xml =
            format!("<feedback><report_metadata><org_name>{name}</org_name></report_metadata></feedback>");
        let report = AggregateReport::read(xml.as_bytes()).unwrap();
        assert_eq!(report.metadata.org_name.len(), octets.min(TEXT_OCTETS_MAX));
    }
    let record = "<record><row><source_ip>192.0.2.1</source_ip></row></record>";
    for count in [RECORDS_MAX - 1, RECORDS_MAX, RECORDS_MAX + 1] {
        let xml = format!("<feedback>{}</feedback>", record.repeat(count));
        match AggregateReport::read(xml.as_bytes()) {
            Ok(report) => assert_eq!(report.records.len(), count),
            Err(error) => assert_eq!((error, count), (ReportError::TooLarge, RECORDS_MAX + 1)),
        }
    }
    let signature = "<dkim><domain>a</domain></dkim>";
    let lists = |count: usize| {
        let (dkim, spf) = (signature.repeat(count), "<spf/>".repeat(count));
        let reasons = "<reason/>".repeat(count);
        format!(
            "<feedback><report_metadata>{}</report_metadata><record><row><source_ip>::1</source_ip>\
             <policy_evaluated>{reasons}</policy_evaluated></row><auth_results>{dkim}{spf}</auth_results></record></feedback>",
            "<error>e</error>".repeat(count),
        )
    };
    for count in
        [LIST_MAX - 1, LIST_MAX, LIST_MAX + 1, SIGNATURES_MAX - 1, SIGNATURES_MAX, SIGNATURES_MAX + 1]
    {
        let report = AggregateReport::read(lists(count).as_bytes()).unwrap();
        let record = &report.records[0];
        assert_eq!(record.dkim.len(), count.min(SIGNATURES_MAX));
        for list in [record.spf.len(), record.reasons.len(), report.metadata.errors.len()] {
            assert_eq!(list, count.min(LIST_MAX));
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-z<>&\"';äß](|[ -~é]{0,20}[a-z&<])"
}

fn policies() -> impl Strategy<Value = Policy> {
    select(vec![Policy::None, Policy::Quarantine, Policy::Reject])
}

fn results() -> impl Strategy<Value = CheckResult> {
    select(CheckResult::WORDS.map(|(_, result)| result).to_vec())
}

prop_compose! {
    fn records()(
        source_ip in any::<IpAddr>(),
        count in 0..1_u64 << 40,
        disposition in select(Disposition::WORDS.map(|(_, word)| word).to_vec()),
        aligned in any::<(bool, bool)>(),
        reasons in vec((select(ReasonKind::WORDS.map(|(_, word)| word).to_vec()), option::of(text())), 0..3),
        names in (text(), option::of(text()), option::of(text())),
        dkim in vec((text(), text(), results(), option::of(text())), 0..3),
        spf in vec((text(), option::of(select(vec![SpfScope::MFrom, SpfScope::Helo])), results()), 0..3),
    ) -> Record {
        Record {
            source_ip,
            count,
            disposition,
            dkim_aligned: aligned.0,
            spf_aligned: aligned.1,
            reasons: reasons.into_iter().map(|(kind, comment)| Reason { kind, comment }).collect(),
            header_from: names.0,
            envelope_from: names.1,
            envelope_to: names.2,
            dkim: dkim
                .into_iter()
                .map(|(domain, selector, result, human_result)| DkimResult { domain, selector, result, human_result })
                .collect(),
            spf: spf
                .into_iter()
                .map(|(domain, scope, result)| SpfResult { domain, scope, result, human_result: None })
                .collect(),
        }
    }
}

prop_compose! {
    fn reports()(
        texts in (text(), text(), text(), text()),
        times in any::<(i64, i64)>(),
        optional in (option::of(text()), option::of(text()), option::of(text())),
        errors in vec(text(), 0..2),
        policy in (policies(), option::of(policies()), option::of(policies()), option::of(any::<bool>())),
        records in vec(records(), 0..5),
    ) -> AggregateReport {
        AggregateReport {
            metadata: Metadata {
                org_name: texts.0,
                email: texts.1,
                extra_contact_info: optional.0,
                report_id: texts.2,
                begin: times.0,
                end: times.1,
                errors,
                generator: optional.1,
            },
            policy_published: PublishedPolicy {
                domain: texts.3,
                discovery_method: Some(DiscoveryMethod::Psl),
                p: policy.0,
                sp: policy.1,
                np: policy.2,
                fo: optional.2,
                adkim: Some(AlignmentMode::Strict),
                aspf: None,
                testing: policy.3,
            },
            records,
            skipped_records: 0,
        }
    }
}

proptest! {
    #[test]
    fn a_report_reads_back_as_written(report in reports()) {
        prop_assert_eq!(AggregateReport::read(report.write().as_bytes()), Ok(report));
    }

    #[test]
    fn any_octets_are_survived(pieces in vec(select(vec![
        "<feedback>", "</feedback>", "<record>", "</record>", "<row>", "</row>", "<source_ip>", "</source_ip>", "::1",
        "<auth_results>", "<dkim>", "</dkim>", "<policy_evaluated>", "<reason>", "<![CDATA[", "]]>", "&", "&amp;", "&#0;",
        "&#x110000;", "<!--", "-->", "<?xml ", "?>", "<!DOCTYPE", "<", ">", "/", "\u{fffd}", "é", "<x a='", "'>",
    ]), 0..40)) {
        let xml = pieces.concat();
        if let Ok(report) = AggregateReport::read(xml.as_bytes()) {
            prop_assert_eq!(AggregateReport::read(report.write().as_bytes()).map(|again| again.records), Ok(report.records));
        }
    }
}
