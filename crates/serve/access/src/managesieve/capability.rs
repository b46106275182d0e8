//! What the server can do, by what the client may do now (RFC 5804 §1.7): only what is whole is named.

use directory::sasl::Mechanism;
use managesieve::response::write_capability;
use sieve::{Dialect, Extension};

/// What decides on capabilities.
pub(crate) struct Situation<'a> {
    pub(crate) mechanisms: &'a [Mechanism],
    /// Whether TLS can be started on the connection.
    pub(crate) may_start_tls: bool,
    /// Who has logged in.
    pub(crate) owner: Option<String>,
    pub(crate) dialect: &'a Dialect,
}

/// Writes all capabilities.
pub(crate) fn write(out: &mut Vec<u8>, situation: &Situation<'_>) {
    let Situation { mechanisms, may_start_tls, owner, dialect } = situation;
    write_capability(out, "IMPLEMENTATION", Some("mailstead"));
    let names: Vec<&str> = mechanisms.iter().map(|mechanism| mechanism.name()).collect();
    write_capability(out, "SASL", Some(&names.join(" ")));
    let names: Vec<&str> = dialect.extensions().map(Extension::name).collect();
    write_capability(out, "SIEVE", Some(&names.join(" ")));
    if dialect.allows(Extension::Enotify) {
        write_capability(out, "NOTIFY", Some("mailto"));
    }
    write_capability(out, "MAXREDIRECTS", Some(&dialect.bounds.redirects_max.to_string()));
    if *may_start_tls {
        write_capability(out, "STARTTLS", None);
    }
    write_capability(out, "LANGUAGE", Some("en"));
    if let Some(owner) = owner {
        write_capability(out, "OWNER", Some(owner));
    }
    write_capability(out, "UNAUTHENTICATE", None);
    write_capability(out, "VERSION", Some("1.0"));
}
