//! What the server can do, by what the client may do now (RFC 9051 §6.1.1): only what is whole is named.

use directory::sasl::{Channel, Mechanism};

use crate::settings::Settings;

/// Whether TLS can still be started on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StartTls {
    /// It can.
    Offered,
    /// It is running already, or there are no certificates.
    Absent,
}

/// Before login: versions, how to log in, and what clients use on the way.
///
/// LITERAL+ rather than LITERAL-: literals are bounded by `imap::Limits` either way, and what exceeds them ends the
/// connection before it costs memory (RFC 7888 §4).
pub(crate) fn before_login(channel: &Channel, start_tls: StartTls, mechanisms: &[Mechanism]) -> String {
    let mut names = String::from("IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE");
    if start_tls == StartTls::Offered {
        names.push_str(" STARTTLS");
    }
    if *channel == Channel::Clear {
        names.push_str(" LOGINDISABLED");
    }
    for mechanism in mechanisms {
        names.push_str(" AUTH=");
        names.push_str(mechanism.name());
    }
    names
}

/// After login: everything else; where the scripts are kept that run on what clients do, if any run (RFC 6785 §3.7).
pub(crate) fn after_login(settings: &Settings) -> String {
    let script_url = settings.script_url.as_ref();
    let scripts = script_url.map_or_else(String::new, |url| format!(" IMAPSIEVE={url}"));
    format!("{AFTER_LOGIN}{scripts} APPENDLIMIT={}", settings.message_octets_max)
}

/// One name for each extension that is complete. IMAP4rev2 includes many of them; clients of IMAP4rev1 look for each.
const AFTER_LOGIN: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN SPECIAL-USE \
     CREATE-SPECIAL-USE UNSELECT UIDPLUS MOVE CONDSTORE QRESYNC ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS \
     STATUS=SIZE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE BINARY MULTIAPPEND WITHIN OBJECTID SAVEDATE PREVIEW \
     UTF8=ACCEPT METADATA LIST-METADATA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_asked_for_in_clear_text() {
        let names = before_login(&Channel::Clear, StartTls::Offered, &[]);
        assert!(names.contains(" LOGINDISABLED") && names.contains(" STARTTLS") && !names.contains("AUTH="));
    }

    #[test]
    fn names_stand_once_and_one_space_apart() {
        let settings = Settings { message_octets_max: 10, ..Settings::default() };
        let names = after_login(&settings);
        assert!(!names.contains("IMAPSIEVE"));
        let settings = Settings { script_url: Some("sieve://mail.example.org".to_owned()), ..settings };
        let names_with_scripts = after_login(&settings);
        assert!(names_with_scripts.contains(" IMAPSIEVE=sieve://mail.example.org "));
        let mut words: Vec<_> = names.split(' ').collect();
        assert!(words.iter().all(|word| !word.is_empty()));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.join(" ").len(), names.len());
        assert!(names.ends_with("APPENDLIMIT=10"));
    }
}
