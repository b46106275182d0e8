//! Gives each lease of the queue a task, and lets senders be told of what is late.
use std::sync::Arc;

use platform::tasks::Tasks;

use super::Gate;

/// Begins.
pub(crate) fn start(_gate: &Arc<Gate>, _tasks: &Tasks) {}
