//! Names that nobody made and that are there all the same (RFC 4592): they answer for records that are missing.

use dns::{Name, RecordData, RecordType, Told};

use super::Checker;
use crate::finding::Finding;

/// A label that nobody gives a host.
const UNLIKELY_LABEL: &str = "no-name-like-this-was-ever-given";

impl Checker<'_> {
    pub(super) async fn wildcards(&self, domain: &Name) -> Vec<Finding> {
        let Ok(unlikely) = Name::parse(&format!("{UNLIKELY_LABEL}.{domain}")) else { return Vec::new() };
        let about = format!("*.{domain}");
        let mut findings = Vec::new();
        for kind in [RecordType::Txt, RecordType::Mx, RecordType::A] {
            let Ok(served) = self.world.served(&unlikely, kind).await else { continue };
            if let Some(target) = &served.alias {
                findings.push(Finding::advice(
                    &about,
                    format!("every name below the domain is an alias of {target}"),
                    "records below the domain that are missing seem to be there, and are another's: policies, keys, services",
                    "replace the wildcard by the names that you need",
                ));
                break;
            }
            let Told::Records { records, .. } = &served.told else { continue };
            findings.push(found(&about, kind, records));
        }
        findings
    }
}

fn found(about: &str, kind: RecordType, records: &[RecordData]) -> Finding {
    let what = format!(
        "every name below the domain has {kind} {}",
        records.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    let causes = match kind {
        RecordType::Txt => "others read it in place of a key or a policy that is missing below the domain",
        RecordType::Mx => "mail to every host and subdomain is sent there, and refused if nobody knows it",
        _ => {
            "mail programs that look for autoconfig or autodiscover, and servers that look for mta-sts, ask whatever is there"
        }
    };
    Finding::advice(about, what, causes, "replace the wildcard by the names that you need")
}
