//! ENABLE: what changes the protocol only for clients that ask (RFC 5161, RFC 9051 §6.3.1).

use imap::response::{Code, Condition};
use imap::{Dialect, NameEncoding, response};

use super::connection::Connection;
use super::metadata;
use super::person::Person;
use super::replies::Done;

/// ENABLE. What we don't know, or cannot be enabled, is passed over in silence.
pub(crate) fn enable(connection: &mut Connection, person: &mut Person, names: &[String]) -> Done {
    let mut switched_on = Vec::new();
    let had_condstore = person.enabled.condstore;
    for name in names {
        let enabled = &mut person.enabled;
        let known = match name.as_str() {
            "CONDSTORE" => {
                enabled.condstore = true;
                "CONDSTORE"
            }
            // QRESYNC implies CONDSTORE (RFC 7162 §3.2.3).
            "QRESYNC" => {
                enabled.condstore = true;
                enabled.qresync = true;
                "QRESYNC"
            }
            "IMAP4REV2" => {
                enabled.rev2 = true;
                "IMAP4rev2"
            }
            "UTF8=ACCEPT" => {
                enabled.utf8 = true;
                "UTF8=ACCEPT"
            }
            // The first includes the second; a client that knows only that one asks for it (RFC 5464 §1).
            "METADATA" => {
                metadata::begin_to_tell(person);
                "METADATA"
            }
            "METADATA-SERVER" => {
                metadata::begin_to_tell(person);
                "METADATA-SERVER"
            }
            _ => continue,
        };
        if !switched_on.contains(&known) {
            switched_on.push(known);
        }
    }
    response::write_enabled(connection.wire.output(), &switched_on);
    if person.enabled.rev2 || person.enabled.utf8 {
        connection.set_dialect(Dialect { encoding: NameEncoding::Utf8, ..connection.dialect() });
    }
    if person.enabled.condstore && !had_condstore {
        tell_highest_mod_seq(connection.wire.output(), person);
    }
    Done::plain("ENABLE completed")
}

/// A command that implies CONDSTORE (RFC 7162 §3.1): from now on mod-sequences are told.
pub(crate) fn imply_condstore(out: &mut Vec<u8>, person: &mut Person) {
    if !person.enabled.condstore {
        person.enabled.condstore = true;
        tell_highest_mod_seq(out, person);
    }
}

/// The client must know where it stands when mod-sequences begin to be told in a selected mailbox (RFC 7162 §3.1).
fn tell_highest_mod_seq(out: &mut Vec<u8>, person: &Person) {
    if let Some(selected) = &person.selected {
        let code = Code::HighestModSeq(selected.view.highest_modseq());
        response::write_untagged(out, Condition::Ok, Some(&code), "Highest mod-sequence");
    }
}
