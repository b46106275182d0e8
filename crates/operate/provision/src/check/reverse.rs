//! Whether addresses call themselves what the server does: the reverse name of each is the name it greets with, and that name
//! leads back to it (RFC 1912 §2.1, RFC 8601 §2.7.3).

use std::net::IpAddr;

use dns::Name;

use super::Checker;
use crate::finding::Finding;

impl Checker<'_> {
    pub(super) async fn reverse_names(&self, addresses: &[IpAddr], greeting: &Name) -> Vec<Finding> {
        let mut findings = Vec::new();
        for address in addresses {
            findings.push(self.reverse_name(*address, greeting).await);
        }
        findings
    }

    async fn reverse_name(&self, address: IpAddr, greeting: &Name) -> Finding {
        let title = format!("{address} reverse name");
        let remedy = format!(
            "ask whoever gave you the address (your provider's panel has it as reverse DNS or PTR) to set: {}. IN PTR {greeting}.",
            Name::reverse(address)
        );
        let names = match self.world.resolver().ptr(address).await {
            Ok(answer) => answer.records,
            Err(error) if error.is_absence() => {
                return Finding::wrong(
                    &title,
                    "the address has no name",
                    "Gmail, Outlook and many others refuse mail from it",
                    remedy,
                );
            }
            Err(error) => return Finding::unknown(&title, error.to_string()),
        };
        let all: Vec<&str> = names.iter().map(Name::as_str).collect();
        let all = all.join(", ");
        if !names.contains(greeting) {
            return Finding::wrong(
                &title,
                format!("the address calls itself {all}, but the server greets as {greeting}"),
                "others take such a server for a stolen or rented machine, and its mail for spam",
                remedy,
            );
        }
        let forward = self.world.resolver().addresses(greeting, dns::Families::Both).await;
        match forward {
            Ok(answer) if answer.records.contains(&address) && names.len() == 1 => {
                Finding::right(&title, format!("{all}, which leads back to it"))
            }
            Ok(answer) if answer.records.contains(&address) => Finding::advice(
                &title,
                format!("the address has {} names: {all}", names.len()),
                "others look at one of them, whichever they like, and it may not be the server's",
                remedy,
            ),
            Err(error) if !error.is_absence() => Finding::unknown(&title, error.to_string()),
            _ => {
                let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                Finding::wrong(
                    &title,
                    format!("the address calls itself {all}, but {greeting} does not lead back to it"),
                    "others do not believe the name, and take mail from the address for spam",
                    format!("add to the zone: {greeting}. IN {kind} {address}"),
                )
            }
        }
    }
}
