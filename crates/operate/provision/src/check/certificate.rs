//! Whether the server's certificate fits what DNS says of it: its names, its key (RFC 7672), who issued it (RFC 8659).

use dns::{Authorization, Name, RecordData, RecordType, Security, TlsaRecord};

use super::records::is_absent;
use super::{Checker, failed, shown, to_add, to_replace};
use crate::finding::Finding;
use crate::record::Wanted;
use crate::world::{Zone, above};

impl Checker<'_> {
    /// Whether mail programs and other servers find the server's name in its certificate.
    pub(super) fn certificate_names(&self) -> Option<Finding> {
        let host = self.site.host.name.as_str();
        let about = format!("certificate for {host}");
        let Some(certificate) = &self.probes.certificate else {
            return Some(Finding::wrong(
                &about,
                "there is no certificate",
                "nobody can log in or send over encryption",
                "name one in tls.certificates",
            ));
        };
        if !certificate.names.iter().any(|name| covers(name, host)) {
            return Some(Finding::wrong(
                &about,
                format!("it is for {} and not for {host}", certificate.names.join(", ")),
                "mail programs warn their people or refuse to connect",
                format!("have one issued for {host} and name it in tls.certificates"),
            ));
        }
        Some(match certificate.is_self_signed {
            true => Finding::advice(
                &about,
                "nobody vouches for it but itself",
                "mail programs warn their people; other servers send all the same",
                format!(
                    "have one issued for {host} (Let's Encrypt does for nothing) and name it in tls.certificates"
                ),
            ),
            false => Finding::right(&about, certificate.names.join(", ")),
        })
    }

    /// Whether what DNS says of the server's key is true.
    pub(super) async fn certificate_key(&self, wanted: &Wanted, apex: &Name) -> Vec<Finding> {
        let title = wanted.title();
        let served = match self.world.served(&wanted.name, RecordType::Tlsa).await {
            Ok(served) => served,
            Err(error) => return vec![failed(&title, &error)],
        };
        let is_secure = matches!(self.world.security(apex).await, Ok(Security::Secure));
        let records = served.records().iter().filter_map(|record| match record {
            RecordData::Tlsa(tlsa) => Some(tlsa),
            _ => None,
        });
        // Others use these alone (RFC 7672 §3.1); a full certificate or an authority's key cannot be compared here.
        let (ours, others): (Vec<_>, Vec<_>) = records.partition(|tlsa| has_kind(tlsa, 3, 1, 1));
        let matches = ours.iter().any(|tlsa| {
            wanted.values.iter().any(|value| matches!(value, RecordData::Tlsa(own) if own.data == tlsa.data))
        });
        match (is_secure, is_absent(&served)) {
            (false, true) => Vec::new(),
            (true, true) => vec![Finding::advice(
                &title,
                "there is none, though the zone is signed",
                "others cannot prove that they talk to this server, and may be led astray",
                to_add(wanted),
            )],
            _ if matches && is_secure => vec![Finding::right(&title, shown(&served))],
            (false, _) if matches => {
                vec![Finding::right(&title, format!("{}; it counts once the zone is signed", shown(&served)))]
            }
            _ if ours.is_empty() && !others.is_empty() => vec![Finding::advice(
                &title,
                format!("{} cannot be compared with the certificate here", shown(&served)),
                "when it does not fit, servers that check DANE do not deliver",
                to_replace(wanted),
            )],
            (true, _) => vec![Finding::wrong(
                &title,
                format!("{} is not the key of the server's certificate", shown(&served)),
                "servers that check DANE do not deliver mail to you",
                to_replace(wanted),
            )],
            (false, _) => vec![Finding::advice(
                &title,
                format!("{} is not the key of the server's certificate", shown(&served)),
                "nobody looks at it yet; once the zone is signed, mail would be lost by it",
                to_replace(wanted),
            )],
        }
    }

    /// Whether those who issue the server's certificates may do so.
    pub(super) async fn certificate_issuer(&self, wanted: &Wanted, zone: &Zone) -> Vec<Finding> {
        let title = wanted.title();
        // The first name upwards that has records decides (RFC 8659 §3).
        let mut at = wanted.name.clone();
        let found = loop {
            match self.world.served(&at, RecordType::Caa).await {
                Ok(served) if !is_absent(&served) => break Some(served),
                Ok(_) => {}
                Err(error) => return vec![failed(&title, &error)],
            }
            match above(&at) {
                Some(up) if at != zone.apex && !up.is_root() => at = up,
                _ => break None,
            }
        };
        let Some(served) = found else {
            return vec![Finding::advice(
                &title,
                "there is none",
                "any authority may issue a certificate for the server, also for somebody who tricked it",
                to_add(wanted),
            )];
        };
        let issuers: Vec<String> = served
            .records()
            .iter()
            .filter_map(|record| match record {
                RecordData::Authorization(Authorization { tag, value, .. }) if tag == "issue" => {
                    let issuer = String::from_utf8_lossy(value);
                    Some(issuer.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
                }
                _ => None,
            })
            .collect();
        let refused: Vec<&String> =
            self.site.host.certificate_issuers.iter().filter(|own| !issuers.contains(own)).collect();
        match refused.first() {
            // Records without any "issue" forbid nobody to issue (RFC 8659 §4.2).
            Some(issuer) if !issuers.is_empty() => vec![Finding::wrong(
                &title,
                format!("{at} lets {} issue certificates and not {issuer}", issuers.join(", ")),
                "the server's certificate cannot be renewed",
                to_add(wanted),
            )],
            _ => vec![Finding::right(&title, shown(&served))],
        }
    }
}

fn has_kind(tlsa: &TlsaRecord, usage: u8, selector: u8, matching: u8) -> bool {
    (tlsa.usage, tlsa.selector, tlsa.matching) == (usage, selector, matching)
}

/// Whether a name in a certificate is good for a host (RFC 9525 §6.3).
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, above)| above.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_cover_their_names_and_one_label_below_a_wildcard() {
        for (name, host, covered) in [
            ("mail.example.org", "mail.example.org", true),
            ("*.example.org", "mail.example.org", true),
            ("*.example.org", "a.mail.example.org", false),
            ("*.example.org", "example.org", false),
            ("example.org", "mail.example.org", false),
        ] {
            assert_eq!(covers(name, host), covered, "{name} {host}");
        }
    }
}
