//! What a caller knows besides the message: when and from where it came, whose mail this is, what others have found.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use mail_types::DomainName;

use crate::hit::Hit;
use crate::rules::{Language, skeleton};

/// Own domains that are compared with an author's; of more the first count.
pub const OWN_DOMAINS_MAX: usize = 10_000;

/// Names of own people that are compared with an author's; of more the first count.
pub const OWN_NAMES_MAX: usize = 20_000;

/// What a caller knows besides the message. What is not known stays as it is by default, and no rule fires for want of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// When it came in, in seconds since 1970-01-01T00:00:00Z.
    pub arrived_unix_seconds: Option<i64>,
    /// Whose connection brought it.
    pub client: Option<IpAddr>,
    /// What that client called itself.
    pub helo: Option<&'a str>,
    /// The name that the client's address leads to and back from.
    pub reverse_name: Option<&'a str>,
    /// The envelope's reverse-path without angle brackets; empty for the null one.
    pub reverse_path: Option<&'a str>,
    /// Our own domains and people.
    pub ours: Option<&'a Ours>,
    /// Languages that people here read; none given means any.
    pub wanted_languages: &'a [Language],
    /// What others have found: results, lists, attachments, reputation.
    pub raised: &'a [Hit],
}

/// Our own domains and the names of our people, made ready to be compared with what strangers write.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    domains: HashSet<String>,
    /// What each own domain looks like, and which it is.
    looks: HashMap<String, String>,
    names: HashSet<String>,
}

impl Ours {
    /// Takes our domains and our people's names as they are shown: `Ann Example`. Names of one word are not compared: too many
    /// people share them.
    pub fn new<'n>(
        domains: impl IntoIterator<Item = &'n DomainName>,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Ours {
        let mut ours = Ours::default();
        for domain in domains.into_iter().take(OWN_DOMAINS_MAX) {
            let domain = domain.as_str().to_ascii_lowercase();
            ours.looks.insert(skeleton(&domain), domain.clone());
            ours.domains.insert(domain);
        }
        let names = names.into_iter().take(OWN_NAMES_MAX).map(skeleton);
        ours.names = names.filter(|name| name.trim().contains(' ')).collect();
        ours
    }

    /// Whether a domain is ours or below one of ours; in lower case.
    pub(crate) fn has_domain(&self, domain: &str) -> bool {
        let mut rest = Some(domain);
        while let Some(name) = rest {
            if self.domains.contains(name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        false
    }

    /// The own domain that looks like this one.
    pub(crate) fn domain_like(&self, skeleton: &str) -> Option<&str> {
        self.looks.get(skeleton).map(String::as_str)
    }

    /// Own domains, in no order.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }

    /// Whether somebody of ours has this name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        !self.names.is_empty() && self.names.contains(&skeleton(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_domains_and_names_are_bounded() {
        for (max, place) in [(OWN_DOMAINS_MAX, "domain"), (OWN_NAMES_MAX, "name")] {
            for (given, has_last) in [(max - 1, true), (max, true), (max + 1, false)] {
                let last = given - 1;
                let has = match place {
                    "domain" => {
                        let domains: Vec<_> = (0..given)
                            .map(|at| DomainName::parse(&format!("d{at}.example")).unwrap())
                            .collect();
                        Ours::new(&domains, []).has_domain(&format!("d{last}.example"))
                    }
                    _ => {
                        let names: Vec<_> = (0..given).map(|at| format!("Ann {at}")).collect();
                        Ours::new([], names.iter().map(String::as_str)).has_name(&format!("Ann {last}"))
                    }
                };
                assert_eq!(has, has_last, "{given} {place}s");
            }
        }
    }

    #[test]
    fn what_is_below_our_domain_is_ours() {
        let ours = Ours::new(&[DomainName::parse("Home.Example").unwrap()], ["Ann", "Bob  B\u{fc}ilder"]);
        let has = |domain: &str| ours.has_domain(domain);
        assert!(has("home.example") && has("mail.home.example") && !has("example") && !has("athome.example"));
        assert!(ours.has_name("bob builder") && !ours.has_name("Ann"));
    }
}
