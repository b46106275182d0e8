//! Requests about reports on mail.

use std::time::Duration;

use super::Answer;
use super::execute::{domain_name, done};
use crate::house::House;
use crate::{reports, wire};

pub(super) async fn list(house: &House, domain: Option<&str>, since_seconds: u64) -> anyhow::Result<Answer> {
    let domain = domain.map(domain_name).transpose()?.map(|domain| domain.to_string());
    let since = house.clock.now().saturating_sub(Duration::from_secs(since_seconds));
    Ok(Answer::Reports { told: Box::new(reports::tell(&house.reports, domain, since).await?) })
}

pub(super) async fn send(house: &House) -> anyhow::Result<Answer> {
    let sent = wire::send_reports(house).await?;
    done(format!(
        "{} reports mailed, {} posted, {} on domains of ours kept here, {} wanted by nobody, {} wait and are tried again",
        sent.mails, sent.posts, sent.kept, sent.unwanted, sent.waiting
    ))
}
