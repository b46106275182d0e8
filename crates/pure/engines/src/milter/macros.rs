//! Macros: what a filter is told beside the commands, and which of them where.

use super::negotiation::Negotiated;
use super::packet;

/// Longest value that is sent; a longer one is cut.
const VALUE_OCTETS_MAX: usize = 1_024;

/// A macro that the caller knows: its name without braces, and its value.
pub type Known<'a> = (&'a str, &'a str);

/// Where macros are told: their numbers are those of lists that filters ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The client has come.
    Connect,
    /// HELO or EHLO.
    Hello,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The message is whole.
    EndOfMessage,
    /// The header is whole.
    EndOfHeader,
}

/// How many stages there are.
pub(super) const STAGES: usize = 7;

impl Stage {
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// What a filter is told that has asked for nothing: what Sendmail's configuration tells.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &[
                "j",
                "_",
                "daemon_name",
                "daemon_addr",
                "daemon_port",
                "if_name",
                "if_addr",
                "v",
                "client_addr",
                "client_name",
                "client_port",
                "client_ptr",
                "client_resolve",
                "client_connections",
            ],
            Self::Hello => &["tls_version", "cipher", "cipher_bits", "cert_subject", "cert_issuer"],
            Self::Sender => &[
                "i",
                "auth_type",
                "auth_authen",
                "auth_author",
                "auth_ssf",
                "mail_mailer",
                "mail_host",
                "mail_addr",
            ],
            // The single letters are what milters ask their operators to have Sendmail tell: date, protocol, greeting.
            Self::Recipient => &["rcpt_mailer", "rcpt_host", "rcpt_addr", "b", "r", "s"],
            Self::Data | Self::EndOfMessage | Self::EndOfHeader => &["i"],
        }
    }
}

/// Writes the macros of a stage that the filter wants and the caller knows, for `command`.
pub(super) fn write(
    negotiated: &Negotiated,
    stage: Stage,
    command: u8,
    known: &[Known<'_>],
    out: &mut Vec<u8>,
) {
    let wanted: Vec<&str> = match negotiated.symbols(stage) {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => stage.usual().to_vec(),
    };
    let mut data = vec![command];
    for name in wanted {
        let Some((_, value)) = known.iter().find(|(known, _)| *known == name) else { continue };
        let braces = if name.len() == 1 { ["", ""] } else { ["{", "}"] };
        data.extend([braces[0], name, braces[1], "\0"].concat().into_bytes());
        data.extend(value.bytes().filter(|&octet| octet != 0).take(VALUE_OCTETS_MAX));
        data.push(0);
    }
    if data.len() > 1 {
        packet::write(b'D', &[&data], out);
    }
}
