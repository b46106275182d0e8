//! Reports from strangers: any octets under any media type are read within bounds or refused, and what was read is
//! written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sender_auth::reports::{
    AggregateReport, Report, ReportPart, TlsReport, TlsReportRecord, UnpackLimits, pack, read, unpack,
};

fuzz_target!(|octets: &[u8]| {
    let limits = UnpackLimits { octets_max: 1 << 20, ratio_max: 100 };
    if let Ok(unpacked) = unpack(octets, limits) {
        assert!(unpacked.len() <= limits.octets_max);
    }
    if let Some(record) = TlsReportRecord::parse(octets) {
        assert_eq!(TlsReportRecord::parse(record.write().as_bytes()), Some(record));
    }
    let packed = pack(octets);
    for (media_type, octets) in [
        ("application/zip", octets),
        ("application/gzip", packed.as_slice()),
        ("message/feedback-report", octets),
        ("text/plain", octets),
    ] {
        let part = ReportPart { media_type, file_name: None, octets };
        let original = ReportPart { media_type: "message/rfc822", file_name: None, octets };
        match read(&[part, original], limits) {
            Some(Ok(Report::Aggregate(report))) => {
                let again = AggregateReport::read(report.write().as_bytes()).expect("our own report");
                assert_eq!(again.records, report.records);
                assert_eq!(again.policy_published, report.policy_published);
            }
            Some(Ok(Report::Tls(report))) => {
                assert_eq!(TlsReport::read(report.write().as_bytes()), Ok(*report));
            }
            Some(Ok(Report::Feedback(_)) | Err(_)) | None => {}
        }
    }
});
