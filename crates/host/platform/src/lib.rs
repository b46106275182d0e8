//! The machine under us: time, tasks, sockets, durable files, telemetry. The one door to the operating system.
//!
//! Knows nothing of mail. A message's path begins here: [`listener`] accepts, [`guard`] says whether the
//! peer may speak, [`lines`] gives its octets to a door; [`durable`] and [`clock`] serve the store.

pub mod clock;
pub mod durable;
pub mod egress;
pub mod firewall;
pub mod guard;
pub mod lines;
pub mod listener;
pub mod mapping;
pub mod memory;
pub mod metrics;
pub mod network;
pub mod privileges;
pub mod program;
pub mod proxy_protocol;
pub mod stream;
pub mod systemd;
pub mod tasks;
pub mod telemetry;
pub mod workers;
