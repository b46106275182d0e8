//! An account that may not send is let send again, and what becomes of its mail that is held meanwhile.

use anyhow::Context;
use mail_types::AccountId;
use queue::{Filter, LISTED_MAX, MessageState};

use super::execute::{self, done};
use super::{Answer, HeldMail};
use crate::house::House;

pub(super) async fn unlock(house: &House, text: &str, mail: HeldMail) -> anyhow::Result<Answer> {
    let account = execute::account(house, text)?;
    let was_stopped = house.breaker.unlock(account.id).await?;
    let state = if was_stopped { "may send again" } else { "was not stopped" };
    let what = match mail {
        HeldMail::Release => {
            format!("{} held messages are released", house.queue.release_held_of(account.id).await?)
        }
        HeldMail::Drop => {
            format!("{} held messages are dropped", house.queue.drop_held_of(account.id).await?)
        }
        HeldMail::Keep => still_held(house, account.id, &account.address.to_string()).await?,
    };
    done(format!("{} {state}; {what}", account.address))
}

/// Whoever had the old password can send no more: the account may again. Says so, where it was stopped.
pub(super) async fn after_new_password(house: &House, account: AccountId) -> anyhow::Result<String> {
    let unlocked = house.breaker.unlock(account).await;
    if !unlocked.context("the password is new, but the account may still not send")? {
        return Ok(String::new());
    }
    let address = house.directory.account(account).map(|account| account.address.to_string());
    let held = still_held(house, account, &address.unwrap_or_default()).await?;
    Ok(format!("; it may send again; {held}"))
}

/// How much is held, and what to do with it.
async fn still_held(house: &House, account: AccountId, address: &str) -> anyhow::Result<String> {
    let filter = Filter { submitter: Some(account), state: Some(MessageState::Held), ..Filter::default() };
    let (mut count, mut after) = (0, None);
    loop {
        let page = house.queue.list(filter.clone(), after, LISTED_MAX).await?;
        count += page.messages.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(match count {
        0 => "no mail of its is held".to_owned(),
        count => format!(
            "{count} messages of its are still held: `mailstead account unlock {address} --drop` throws them away, \
             `--release` sends them"
        ),
    })
}
