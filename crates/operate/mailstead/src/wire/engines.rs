//! Others' engines as settings name them: `[engines]`.

use mta::{
    AtFinding, ClamdSettings, EngineListeners, EnginePlace, EngineSettings, MilterSettings, OnEngineFailure,
    RspamdSettings, ScannerSettings, SpamdSettings,
};

use crate::settings::Settings;

/// Messages that a scanner gets at a time; the others wait for their turn. clamd has 10 threads as it is shipped, spamd
/// 5 children.
const SCANNER_CONNECTIONS_MAX: usize = 10;

pub(super) fn engines(settings: &Settings) -> EngineSettings {
    EngineSettings {
        clamd: clamd(settings),
        spamd: spamd(settings),
        rspamd: rspamd(settings),
        milters: milters(settings),
    }
}

fn clamd(settings: &Settings) -> Option<ClamdSettings> {
    let scanner = ScannerSettings {
        place: settings.text("engines.clamd.address").parse().ok()?,
        listeners: listeners(&settings.list("engines.clamd.listeners")),
        on_failure: on_failure(&settings.text("engines.clamd.on_failure")),
        timeout: settings.time("engines.clamd.timeout"),
        octets_max: settings.number("engines.clamd.octets_max"),
        connections_max: SCANNER_CONNECTIONS_MAX,
    };
    Some(ClamdSettings { scanner, at_virus: at_finding(&settings.text("engines.clamd.at_virus")) })
}

fn spamd(settings: &Settings) -> Option<SpamdSettings> {
    let scanner = ScannerSettings {
        place: settings.text("engines.spamd.address").parse().ok()?,
        listeners: listeners(&settings.list("engines.spamd.listeners")),
        on_failure: on_failure(&settings.text("engines.spamd.on_failure")),
        timeout: settings.time("engines.spamd.timeout"),
        octets_max: settings.number("engines.spamd.octets_max"),
        connections_max: SCANNER_CONNECTIONS_MAX,
    };
    Some(SpamdSettings {
        scanner,
        factor: factor(settings.number("engines.spamd.points_percent")),
        user: Some(settings.text("engines.spamd.user")).filter(|user| !user.is_empty()),
        at_spam: at_finding(&settings.text("engines.spamd.at_spam")),
    })
}

fn rspamd(settings: &Settings) -> Option<RspamdSettings> {
    let scanner = ScannerSettings {
        place: settings.text("engines.rspamd.address").parse().ok()?,
        listeners: listeners(&settings.list("engines.rspamd.listeners")),
        on_failure: on_failure(&settings.text("engines.rspamd.on_failure")),
        timeout: settings.time("engines.rspamd.timeout"),
        octets_max: settings.number("engines.rspamd.octets_max"),
        connections_max: SCANNER_CONNECTIONS_MAX,
    };
    Some(RspamdSettings {
        scanner,
        factor: factor(settings.number("engines.rspamd.points_percent")),
        follows_actions: settings.text("engines.rspamd.actions") == "follow",
    })
}

fn milters(settings: &Settings) -> MilterSettings {
    let places = settings.list("engines.milters.addresses");
    MilterSettings {
        places: places.iter().filter_map(|place| place.parse::<EnginePlace>().ok()).collect(),
        listeners: listeners(&settings.list("engines.milters.listeners")),
        on_failure: on_failure(&settings.text("engines.milters.on_failure")),
        connect_timeout: settings.time("engines.milters.connect_timeout"),
        command_timeout: settings.time("engines.milters.command_timeout"),
        message_timeout: settings.time("engines.milters.message_timeout"),
        connections_max: settings.count("engines.milters.connections_max"),
    }
}

fn listeners(names: &[String]) -> EngineListeners {
    let has = |name: &str| names.iter().any(|listed| listed == name);
    EngineListeners { smtp: has("smtp"), submission: has("submission"), lmtp: has("lmtp") }
}

fn on_failure(word: &str) -> OnEngineFailure {
    if word == "pass" { OnEngineFailure::Pass } else { OnEngineFailure::Defer }
}

fn at_finding(word: &str) -> AtFinding {
    match word {
        "reject" => AtFinding::Reject,
        "junk" => AtFinding::Junk,
        "quarantine" => AtFinding::Quarantine,
        _ => AtFinding::Points,
    }
}

fn factor(percent: u64) -> f32 {
    percent as f32 / 100.0
}
