//! `screen …` on an open house: how lists of senders are, what is remembered, and traps.

use anyhow::{Context, bail};
use mail_types::Address;
use mta::screen::{ListKind, ListState, TRAPS_MAX};
use serde::{Deserialize, Serialize};

use super::execute::done;
use super::{Answer, queue};
use crate::house::House;

/// Strangers before their mail is seen.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct ScreenStatus {
    pub(crate) lists: Vec<ListLine>,
    /// How many of each are remembered.
    pub(crate) remembered: Vec<(String, u64)>,
}

/// A list of senders that is asked.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct ListLine {
    pub(crate) list: String,
    /// `addresses` or `domains`.
    pub(crate) kind: String,
    /// `untested`, `healthy` or `off`.
    pub(crate) state: String,
    /// Why it is off.
    pub(crate) why: Option<String>,
    /// RFC 3339, UTC.
    pub(crate) since: String,
    /// Whether it has IPv6 addresses.
    pub(crate) has_ipv6: bool,
    pub(crate) asked: u64,
    pub(crate) hits: u64,
}

/// A trap.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct TrapLine {
    pub(crate) address: String,
    /// `settings` or `command`.
    pub(crate) set_by: String,
}

pub(super) async fn status(house: &House) -> anyhow::Result<Answer> {
    let lists = house.screen.lists().status().into_iter().map(|list| {
        let (state, why) = match list.state {
            ListState::Untested => ("untested", None),
            ListState::Healthy => ("healthy", None),
            ListState::Off(why) => ("off", Some(why)),
        };
        let kind = match list.kind {
            ListKind::Addresses => "addresses",
            ListKind::Domains => "domains",
        };
        ListLine {
            list: list.list.to_string(),
            kind: kind.to_owned(),
            state: state.to_owned(),
            why,
            since: queue::time(list.since),
            has_ipv6: list.has_ipv6,
            asked: list.asked,
            hits: list.hits,
        }
    });
    let lists = lists.collect();
    let remembered = house.screen.senders().counts().await;
    let remembered = remembered.into_iter().map(|(what, rows)| (what.to_owned(), rows)).collect();
    Ok(Answer::Screen { status: ScreenStatus { lists, remembered } })
}

pub(super) async fn traps(house: &House) -> anyhow::Result<Answer> {
    let line = |address: String, by: &str| TrapLine { address, set_by: by.to_owned() };
    let in_settings = house.screen.traps_of_settings();
    let in_settings = in_settings.iter().map(|address| line(address.to_string(), "settings"));
    let set = house.screen.senders().traps().await.context("reading traps")?;
    let set = set.iter().map(|address| line(address.to_string(), "command"));
    Ok(Answer::Traps { traps: in_settings.chain(set).collect() })
}

pub(super) async fn add_trap(house: &House, text: &str) -> anyhow::Result<Answer> {
    let address = trap(text)?;
    let is_ours = address.domain_name().is_some_and(|domain| house.directory.is_local_domain(domain));
    if !is_ours {
        bail!("{address} is of no domain of ours: nobody would write to it here");
    }
    if house.directory.is_taken(&address) {
        bail!("{address} is somebody's address; mail to a trap is thrown away");
    }
    if !house.screen.senders().add_trap(&address).await.context("keeping the trap")? {
        bail!("there are {TRAPS_MAX} traps already; `mailstead screen trap remove` takes one away");
    }
    done(format!("{address} is a trap now"))
}

pub(super) async fn remove_trap(house: &House, text: &str) -> anyhow::Result<Answer> {
    let address = trap(text)?;
    if !house.screen.senders().remove_trap(&address).await.context("removing the trap")? {
        bail!("{address} is no trap that a command has set; `mailstead screen trap list` shows them all");
    }
    done(format!("{address} is no trap any more"))
}

fn trap(text: &str) -> anyhow::Result<Address> {
    Address::parse(text).with_context(|| format!("{text:?} is no address"))
}
