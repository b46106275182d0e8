//! Whether a list answers as lists do: what every list has is on it, and what none has is not (RFC 5782 §5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dns::{Name, Resolver};

use super::ListKind;
use super::ask::{Said, entry_of, say};

/// How often lists are tested.
pub(super) const TEST_EVERY: Duration = Duration::from_secs(3_600);
/// How often in that time those are tested that are ill: a network that came up late must not cost an hour of hits.
pub(super) const TURNS: u32 = 6;

/// An address that every list has, and one that none has.
const LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NOT_LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// The first as an IPv6 address.
const LISTED_SIX: IpAddr = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, 2));
/// Names one of which every list of domains has: the RFC's, and those of large lists that have others.
const LISTED_NAMES: [&str; 4] =
    ["test", "dbltest.com", "surbl-org-permanent-test-point.com", "test.uribl.com"];
const NOT_LISTED_NAME: &str = "invalid";

/// What is known of a list that is well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Health {
    pub(super) has_ipv6: bool,
}

/// Why a list is not found healthy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unwell {
    /// For this reason.
    Ill(String),
    /// It was not asked, and is as it was.
    Unasked,
}

/// Tests a list; what is wrong with it, if anything is.
pub(super) async fn test(resolver: &Resolver, kind: ListKind, zone: &Name) -> Result<Health, Unwell> {
    if let Some(why) = lists_everybody(resolver, kind, zone).await {
        return Err(Unwell::Ill(why));
    }
    let too_long = || Unwell::Ill("its name is too long".to_owned());
    match kind {
        ListKind::Addresses => {
            let entry = entry_of(LISTED, zone).ok_or_else(too_long)?;
            has(say(resolver, &entry).await)?;
            let six = entry_of(LISTED_SIX, zone).ok_or_else(too_long)?;
            Ok(Health { has_ipv6: matches!(say(resolver, &six).await, Said::Listed(_)) })
        }
        ListKind::Domains => {
            let mut unwell = None;
            for name in LISTED_NAMES {
                let Ok(entry) = Name::parse(&format!("{name}.{zone}")) else { continue };
                let said = say(resolver, &entry).await;
                let is_answer = matches!(said, Said::Clean);
                match has(said) {
                    Ok(()) => return Ok(Health { has_ipv6: false }),
                    // One that did not answer may be the one that it has.
                    Err(why) if unwell.is_none() || !is_answer => unwell = Some(why),
                    Err(_) => {}
                }
            }
            Err(unwell.unwrap_or_else(too_long))
        }
    }
}

fn has(said: Said) -> Result<(), Unwell> {
    match said {
        Said::Listed(_) => Ok(()),
        Said::Clean => {
            let why = "it lacks what every list has for tests: it has been shut down, or is no list";
            Err(Unwell::Ill(why.to_owned()))
        }
        Said::Silent(why) | Said::Nonsense(why) => Err(Unwell::Ill(why)),
        Said::Unasked => Err(Unwell::Unasked),
    }
}

/// Whether a list has what none has; why that is so.
pub(super) async fn lists_everybody(resolver: &Resolver, kind: ListKind, zone: &Name) -> Option<String> {
    let entry = match kind {
        ListKind::Addresses => entry_of(NOT_LISTED, zone)?,
        ListKind::Domains => Name::parse(&format!("{NOT_LISTED_NAME}.{zone}")).ok()?,
    };
    match say(resolver, &entry).await {
        Said::Listed(_) => Some("it lists everybody: it has been shut down".to_owned()),
        Said::Nonsense(why) => Some(why),
        Said::Clean | Said::Silent(_) | Said::Unasked => None,
    }
}
