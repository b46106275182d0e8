//! Whether our own addresses stand on lists of senders of spam (RFC 5782). A list that does not answer as lists do is told
//! of and not believed.

use std::net::{IpAddr, Ipv4Addr};

use dns::{LookupError, Name};

use super::{Checker, quoted};
use crate::finding::Finding;

/// An address that every list has, and one that none has (RFC 5782 §5).
const LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NOT_LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

/// What a list says of an address.
enum Said {
    /// It stands on the list.
    Listed,
    /// It does not.
    Clean,
    /// The list refuses to answer, or answers what means nothing.
    Nothing(String),
}

impl Checker<'_> {
    pub(super) async fn block_lists(&self, addresses: &[IpAddr]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for list in &self.probes.block_lists {
            if addresses.is_empty() {
                break;
            }
            if let Some(ill) = self.illness(list).await {
                findings.push(Finding::advice(
                    &format!("list {list}"),
                    ill,
                    "whether the server stands on it is not known",
                    "look at the list's web page, or take it out of dns.check_block_lists",
                ));
                continue;
            }
            for address in addresses {
                findings.extend(self.on_list(list, *address).await);
            }
        }
        findings
    }

    /// What is wrong with a list; none if it works.
    async fn illness(&self, list: &Name) -> Option<String> {
        match self.say(list, LISTED).await {
            Said::Listed => {}
            Said::Clean => return Some("it does not know the address that every list knows".to_owned()),
            Said::Nothing(why) => return Some(why),
        }
        match self.say(list, NOT_LISTED).await {
            Said::Listed => Some("it lists every address: it has been shut down".to_owned()),
            Said::Clean => None,
            Said::Nothing(why) => Some(why),
        }
    }

    async fn on_list(&self, list: &Name, address: IpAddr) -> Option<Finding> {
        let about = format!("{address} on {list}");
        Some(match self.say(list, address).await {
            Said::Clean => Finding::right(&about, "not listed"),
            Said::Listed => {
                let why = match entry(list, address) {
                    Some(entry) => self.world.resolver().txt(&entry).await.ok(),
                    None => None,
                };
                let why = why.and_then(|answer| answer.records.into_iter().next());
                Finding::wrong(
                    &about,
                    match why {
                        Some(why) => format!("the address is listed: {}", quoted(&why)),
                        None => "the address is listed".to_owned(),
                    },
                    "whoever asks the list refuses your mail",
                    "find out what was sent (a stolen password? the former owner of the address?), end it, then ask the list to remove the address",
                )
            }
            Said::Nothing(why) => Finding::unknown(&about, why),
        })
    }

    async fn say(&self, list: &Name, address: IpAddr) -> Said {
        let Some(entry) = entry(list, address) else {
            return Said::Nothing("its name is too long".to_owned());
        };
        match self.world.resolver().addresses(&entry, dns::Families::Ipv4).await {
            Ok(answer) => meaning(&answer.records),
            Err(error) if error.is_absence() => Said::Clean,
            Err(LookupError::Timeout) => Said::Nothing("it does not answer".to_owned()),
            Err(error) => Said::Nothing(error.to_string()),
        }
    }
}

/// Where a list has an address (RFC 5782 §2.1, §2.4).
fn entry(list: &Name, address: IpAddr) -> Option<Name> {
    let reverse = Name::reverse(address);
    let labels =
        reverse.as_str().strip_suffix("in-addr.arpa").or(reverse.as_str().strip_suffix("ip6.arpa"))?;
    Name::parse(&format!("{labels}{list}")).ok()
}

/// Lists answer from 127.0.0.0/8; 127.255.255.0/24 says that the asker is not welcome, anything else that it is no list.
fn meaning(answers: &[IpAddr]) -> Said {
    let all = answers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let refuses =
        |address: &IpAddr| matches!(address, IpAddr::V4(four) if matches!(four.octets(), [127, 255, 255, _]));
    if answers.iter().any(refuses) {
        return Said::Nothing(format!(
            "it does not answer this host ({all}): it wants to be asked by a resolver of one's own"
        ));
    }
    match answers.iter().all(IpAddr::is_loopback) {
        true => Said::Listed,
        false => Said::Nothing(format!("it answers {all}, as no list does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_reverse_before_the_list() {
        let list = Name::parse("bl.example").unwrap();
        assert_eq!(entry(&list, [192, 0, 2, 7].into()).unwrap().as_str(), "7.2.0.192.bl.example");
        let six = entry(&list, "2001:db8::1".parse().unwrap()).unwrap();
        assert!(
            six.as_str().starts_with("1.0.0.0.") && six.as_str().ends_with(".8.b.d.0.1.0.0.2.bl.example")
        );
    }

    #[test]
    fn only_answers_of_lists_count() {
        let said = |texts: &[&str]| {
            let answers: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            match meaning(&answers) {
                Said::Listed => "listed",
                Said::Clean => "clean",
                Said::Nothing(_) => "nothing",
            }
        };
        assert_eq!(said(&["127.0.0.2"]), "listed");
        assert_eq!(said(&["127.0.0.10", "127.0.0.2"]), "listed");
        assert_eq!(said(&["127.255.255.254"]), "nothing");
        assert_eq!(said(&["192.0.2.1"]), "nothing");
    }
}
