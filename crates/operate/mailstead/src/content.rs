//! From `[spam]` to what the content filter does.

use mta::{ContentSettings, OnBusy, Senders, SpamAction, Taste};

use crate::settings::{Settings, way};

/// What the operator chose about the content of mail.
pub(crate) fn content_settings(settings: &Settings) -> ContentSettings {
    let action = |key: &str| SpamAction::parse(&settings.text(key)).unwrap_or(SpamAction::Junk);
    let senders = |key: &str| settings.list(key).iter().filter_map(|text| Senders::parse(text)).collect();
    let mut catalogue = spam::Catalogue::default();
    for (name, points) in settings.list("spam.points").iter().filter_map(|text| way::rule_points(text)) {
        if !catalogue.set_points(&name, points) {
            tracing::warn!(name, "too many rules have points of their own");
        }
    }
    ContentSettings {
        everybody: Taste {
            is_on: settings.switch("spam.check"),
            tag: settings.points("spam.tag"),
            tag2: settings.points("spam.tag2"),
            at_tag2: action("spam.at_tag2"),
            kill: settings.points("spam.kill"),
            at_kill: action("spam.at_kill"),
            subject_prefix: settings.text("spam.subject_prefix").into(),
            allow: senders("spam.allow"),
            deny: senders("spam.deny"),
        },
        domains: settings.list("spam.domains").iter().filter_map(|text| way::spam_changes(text)).collect(),
        checks_fronts: settings.switch("spam.check_fronts"),
        catalogue,
        on_busy: match settings.text("spam.on_busy").as_str() {
            "defer" => OnBusy::Defer,
            _ => OnBusy::Pass,
        },
        time_max: settings.time("spam.time_max"),
        learns: settings.switch("spam.learn"),
    }
}
