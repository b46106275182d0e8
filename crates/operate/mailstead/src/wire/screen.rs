//! From `[screen]` to what becomes of strangers before their mail is seen.

use mail_types::Address;
use mta::screen::{Consequence, Greylist, ListEntry, ListSettings, OnTrap, RateLimits, ScreenSettings};

use crate::settings::Settings;

/// What becomes of strangers.
pub(crate) fn screen_settings(settings: &Settings) -> ScreenSettings {
    let lists = |key: &str| {
        settings.list(key).iter().filter_map(|text| ListEntry::parse(text).ok()).collect::<Vec<_>>()
    };
    let consequence = |key: &str| match settings.text(key).as_str() {
        "off" => Consequence::Off,
        "refuse" => Consequence::Refuse,
        _ => Consequence::Points,
    };
    let bound = |key: &str| {
        let number = u32::try_from(settings.number(key)).unwrap_or(u32::MAX);
        (number > 0).then_some(number)
    };
    ScreenSettings {
        is_on: settings.switch("screen.enabled"),
        lists: ListSettings {
            addresses: lists("screen.lists"),
            domains: lists("screen.domain_lists"),
            time_max: settings.time("screen.lists_time_max"),
        },
        // The table bounds it far below what a float cannot hold exactly.
        refuse_points: bound("screen.refuse_points").map(|points| points as f32),
        greet_pause: settings.time("screen.greet_pause"),
        early_talkers: consequence("screen.early_talkers"),
        hello: consequence("screen.hello"),
        own_domain: consequence("screen.own_domain"),
        greylist: match settings.text("screen.greylist").as_str() {
            "off" => Greylist::Off,
            "all" => Greylist::All,
            _ => Greylist::Suspicious,
        },
        greylist_delay: settings.time("screen.greylist_delay"),
        greylist_window: settings.time("screen.greylist_window"),
        traps: settings.list("screen.traps").iter().filter_map(|text| Address::parse(text).ok()).collect(),
        on_trap: match settings.text("screen.on_trap").as_str() {
            "refuse" => OnTrap::Refuse,
            _ => OnTrap::Discard,
        },
        rates: RateLimits {
            connections_per_network: bound("screen.connections_per_network_max"),
            messages_a_minute: bound("screen.messages_a_minute_max"),
            recipients_a_minute: bound("screen.recipients_a_minute_max"),
        },
    }
}
