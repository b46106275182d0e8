//! IMAP's ENVELOPE of a message: the few header fields every mail list shows (RFC 9051 §7.5.2, RFC 5322 §3.6).

/// The envelope structure. Texts are raw: unfolded, encoded-words untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Date as written.
    pub date: Option<Vec<u8>>,
    /// Subject as written.
    pub subject: Option<Vec<u8>>,
    /// From.
    pub from: Vec<Addressee>,
    /// Sender; From if there is none.
    pub sender: Vec<Addressee>,
    /// Reply-To; From if there is none.
    pub reply_to: Vec<Addressee>,
    /// To.
    pub to: Vec<Addressee>,
    /// Cc.
    pub cc: Vec<Addressee>,
    /// Bcc.
    pub bcc: Vec<Addressee>,
    /// In-Reply-To as written.
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID as written, angle brackets included.
    pub message_id: Option<Vec<u8>>,
}

/// One element of an address list in IMAP's order: groups are opened and closed by elements of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A mailbox: `(name route local-part domain)`.
    Mailbox {
        /// Display name, quotes removed, encoded-words untouched.
        name: Option<Vec<u8>>,
        /// Obsolete source route, `@a,@b`.
        route: Option<Vec<u8>>,
        /// Left of the `@`, quotes removed.
        local_part: Vec<u8>,
        /// Right of the `@`; empty if the address has no domain.
        domain: Vec<u8>,
    },
    /// `name:` opens a group.
    GroupStart {
        /// The group's display name.
        name: Vec<u8>,
    },
    /// `;` closes it.
    GroupEnd,
}
