//! How a zone is served: whether its servers answer, and whether the world can prove what they say (DNSSEC).

use dns::{LookupError, Name, RecordType, Security};

use super::{Checker, Validation, failed};
use crate::finding::Finding;
use crate::world::{World, Zone};

/// Whose zone it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A domain's: its MX records lie in it.
    Domain,
    /// The host's: its addresses and TLSA records lie in it.
    Host,
}

/// Nobody can say which zone a name lies in.
pub(super) fn not_found(name: &Name, error: &LookupError) -> Finding {
    match error {
        LookupError::Bogus(_) => failed(name.as_str(), error),
        _ => Finding::unknown_until(
            name.as_str(),
            format!("its name servers are not found: {error}"),
            "if the world sees the same, no mail comes and none that leaves is believed",
            "look whether this host reaches the Internet (mailstead dns resolve example.org), then at the delegation at your registrar",
        ),
    }
}

impl Checker<'_> {
    pub(super) async fn zone(&self, zone: &Zone, role: Role) -> Vec<Finding> {
        let mut findings = self.servers(zone).await;
        if self.probes.validation == Validation::On {
            findings.push(self.signing(zone, role).await);
        }
        findings
    }

    async fn servers(&self, zone: &Zone) -> Vec<Finding> {
        let about = format!("name servers of {}", zone.apex);
        let mut findings: Vec<Finding> = zone
            .nowhere
            .iter()
            .map(|server| {
                Finding::wrong(
                    &about,
                    format!("{server} has no address"),
                    "looking up the domain takes long or fails by chance",
                    format!("give {server} an address, or have it removed from the delegation"),
                )
            })
            .collect();
        let failed = self.world.failed_servers(zone).await;
        // A network may let nobody ask but its own resolver; then it is this host that is shut out.
        if !failed.is_empty() && failed.len() == server_names(zone) {
            findings.push(Finding::advice(
                &about,
                "none of them answers this host; what its resolver says was taken instead",
                "a record that was changed lately may be seen as it was",
                "let this host ask name servers outside (UDP and TCP port 53), or check from elsewhere",
            ));
            return findings;
        }
        findings.extend(failed.into_iter().map(|(server, error)| {
            Finding::wrong(
                &about,
                format!("{server}: {error}"),
                "looking up the domain takes long or fails by chance",
                format!("let {server} serve the zone, or have it removed from the delegation"),
            )
        }));
        if findings.is_empty() && server_names(zone) == 1 {
            findings.push(Finding::advice(
                &about,
                "there is only one",
                "when it is down nobody finds the domain, and mail waits",
                "have a second one, in another network (RFC 2182 §5)",
            ));
        }
        findings
    }

    async fn signing(&self, zone: &Zone, role: Role) -> Finding {
        let apex = &zone.apex;
        let about = format!("{apex} DNSSEC");
        match self.world.security(apex).await {
            Ok(Security::Secure) => Finding::right(&about, "the zone is signed, and the world can prove it"),
            Ok(Security::Insecure) => {
                let purpose = match role {
                    Role::Host => {
                        "TLSA records do not count: others cannot prove that they talk to this server"
                    }
                    Role::Domain => {
                        "somebody on the way can tell others a wrong mail host, and DANE does not protect the domain's mail"
                    }
                };
                match has_keys(self.world, apex).await {
                    true => Finding::advice(
                        &about,
                        "the zone is signed, but the zone above does not say with which key",
                        purpose,
                        format!("give the DS record of {apex} to your registrar"),
                    ),
                    false => Finding::advice(
                        &about,
                        "the zone is not signed",
                        purpose,
                        "have your name servers sign the zone, then give its DS record to your registrar; many providers do both by one switch",
                    ),
                }
            }
            Err(error) => failed(&about, &error),
        }
    }
}

async fn has_keys(world: &World, apex: &Name) -> bool {
    world.served(apex, RecordType::Dnskey).await.is_ok_and(|served| !served.records().is_empty())
}

fn server_names(zone: &Zone) -> usize {
    let mut names: Vec<&Name> = zone.servers.iter().map(|server| &server.name).collect();
    names.sort();
    names.dedup();
    names.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn a_failure_to_look_is_not_taken_for_a_fault() {
        let name = Name::parse("example.org").unwrap();
        assert_eq!(not_found(&name, &LookupError::Timeout).status, Status::Unknown);
        let bogus = not_found(&name, &LookupError::Bogus("expired".into()));
        assert!(bogus.status == Status::Wrong && bogus.what.contains("expired"));
    }
}
