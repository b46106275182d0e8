//! What an operator asks of the guard: who is banned, and that somebody is or is no more.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use platform::guard::{Ban, SetBy};
use platform::network::Network;

use super::execute::done;
use super::{Answer, BanLine, time};
use crate::house::House;

pub(super) fn list(house: &House) -> Answer {
    Answer::Bans { bans: house.guard.bans().iter().map(line).collect() }
}

pub(super) async fn add(
    house: &House,
    text: &str,
    for_seconds: Option<u64>,
    reason: &str,
) -> anyhow::Result<Answer> {
    let network = network(text)?;
    ensure!(for_seconds != Some(0), "a ban for no time bans nobody; `mailstead ban remove {text}` lifts one");
    let until = for_seconds.map(|seconds| house.clock.now().saturating_add(Duration::from_secs(seconds)));
    house.guard.ban(network, until, reason)?;
    house.bans.keep().await.context("the ban is in force, but not kept over a restart")?;
    done(match until {
        Some(until) => format!("{network} is banned until {}", time(until)),
        None => format!("{network} is banned until `mailstead ban remove {text}`"),
    })
}

pub(super) async fn remove(house: &House, text: &str) -> anyhow::Result<Answer> {
    let network = network(text)?;
    let was_banned = house.guard.lift(network);
    house.bans.keep().await.context("the ban is lifted, but comes back with a restart")?;
    if was_banned {
        return done(format!("{network} is banned no more"));
    }
    let covering = house.guard.bans().into_iter().find(|ban| ban.network.covers(&network));
    match covering {
        Some(ban) => bail!("{network} itself is not banned, but {} around it is", ban.network),
        None => bail!("{network} is not banned; `mailstead ban list` shows who is"),
    }
}

fn network(text: &str) -> anyhow::Result<Network> {
    text.parse().with_context(|| format!("{text:?} is no address or network"))
}

fn line(ban: &Ban) -> BanLine {
    BanLine {
        network: ban.network.to_string(),
        since: time(ban.since),
        until: ban.until.map(time),
        set_by: match ban.set_by {
            SetBy::Counting => "counting",
            SetBy::Operator => "operator",
        }
        .to_owned(),
        reason: ban.reason.to_string(),
        times: ban.times,
    }
}
