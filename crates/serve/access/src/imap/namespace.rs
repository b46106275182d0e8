//! NAMESPACE: one personal namespace without a prefix (RFC 2342, RFC 9051 §6.3.10).

use imap::{Dialect, response};

use super::replies::Done;

/// NAMESPACE.
pub(crate) fn namespace(out: &mut Vec<u8>, dialect: Dialect) -> Done {
    response::write_namespace(out, dialect);
    Done::plain("NAMESPACE completed")
}
