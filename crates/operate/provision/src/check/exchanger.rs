//! Whether mail for a domain comes here (RFC 5321 §5.1, RFC 7505).

use dns::{MailExchanger, RecordData};

use super::{Checker, shown, to_add, to_replace};
use crate::finding::Finding;
use crate::record::Wanted;
use crate::world::Served;

impl Checker<'_> {
    pub(super) async fn exchanger(&self, wanted: &Wanted, served: &Served) -> Vec<Finding> {
        let title = wanted.title();
        let Some(RecordData::Mx(own)) = wanted.values.first() else { return Vec::new() };
        let found: Vec<&MailExchanger> = served
            .records()
            .iter()
            .filter_map(|record| match record {
                RecordData::Mx(exchanger) => Some(exchanger),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return vec![self.no_exchanger(wanted).await];
        }
        if found.iter().any(|exchanger| exchanger.exchange.is_root()) {
            return vec![Finding::wrong(
                &title,
                "it says that the domain takes no mail (RFC 7505)",
                "nobody even tries to deliver",
                to_replace(wanted),
            )];
        }
        let Some(ours) = found.iter().find(|exchanger| exchanger.exchange == own.exchange) else {
            return vec![Finding::wrong(
                &title,
                format!("it names {} and not this server", shown(served)),
                "mail for the domain goes to another server",
                to_replace(wanted),
            )];
        };
        let before: Vec<&str> = found
            .iter()
            .filter(|other| other.exchange != own.exchange && other.preference <= ours.preference)
            .map(|other| other.exchange.as_str())
            .collect();
        if before.is_empty() {
            return vec![Finding::right(&title, shown(served))];
        }
        vec![Finding::advice(
            &title,
            format!("{} comes before this server or beside it", before.join(", ")),
            "mail goes there as well; that is right if that host passes it on to this server",
            to_replace(wanted),
        )]
    }

    async fn no_exchanger(&self, wanted: &Wanted) -> Finding {
        let causes = match self.world.resolver().addresses(&wanted.name, dns::Families::Both).await {
            Ok(answer) => {
                let addresses: Vec<String> = answer.records.iter().map(ToString::to_string).collect();
                format!(
                    "mail for the domain goes to its own address, {}, whatever is there",
                    addresses.join(", ")
                )
            }
            Err(_) => "mail for the domain goes nowhere".to_owned(),
        };
        Finding::wrong(&wanted.title(), "there is none", causes, to_add(wanted))
    }
}
