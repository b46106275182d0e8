//! Telling systemd that we are ready, reloading or stopping (sd_notify(3)).
