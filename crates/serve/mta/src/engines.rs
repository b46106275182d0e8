//! Step 6b of a message's way: what other people's programs say of it. Milters have a say in the whole session and may
//! change the message; clamd, spamd and rspamd judge one that has come whole. How far each is trusted stands in
//! `docs/internals/engines.md`.

pub(crate) mod clamd;
pub(crate) mod counts;
pub(crate) mod engine;
pub(crate) mod filter;
pub(crate) mod health;
pub(crate) mod newlines;
pub(crate) mod rewrite;
pub(crate) mod scan;
pub(crate) mod settings;
pub(crate) mod verdicts;

use std::sync::Arc;

use crate::Listener;
use clamd::Clamd;
use engine::Engine;
use filter::Filter;
use platform::metrics::Metrics;
use settings::{EngineSettings, MilterSettings, RspamdSettings, SpamdSettings};

/// The engines that are asked, and what is remembered of them.
#[derive(Debug, Default)]
pub(crate) struct Engines {
    pub(crate) clamd: Option<Clamd>,
    pub(crate) spamd: Option<(Engine, SpamdSettings)>,
    pub(crate) rspamd: Option<(Engine, RspamdSettings)>,
    pub(crate) filters: Vec<Arc<Filter>>,
    pub(crate) milters: MilterSettings,
}

impl Engines {
    pub(crate) fn new(settings: &EngineSettings, metrics: &Metrics) -> Self {
        let milters = settings.milters.clone();
        Self {
            clamd: settings.clamd.clone().map(|own| Clamd::new(own, metrics)),
            spamd: settings.spamd.clone().map(|own| (Engine::scanner("spamd", &own.scanner, metrics), own)),
            rspamd: settings
                .rspamd
                .clone()
                .map(|own| (Engine::scanner("rspamd", &own.scanner, metrics), own)),
            filters: milters
                .places
                .iter()
                .map(|place| Arc::new(Filter::new(place, &milters, metrics)))
                .collect(),
            milters,
        }
    }

    /// Whether milters have a say in this listener's sessions.
    pub(crate) fn has_filters_for(&self, listener: Listener) -> bool {
        !self.filters.is_empty() && self.milters.listeners.covers(listener)
    }
}
