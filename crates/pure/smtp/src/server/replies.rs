//! The sentences of the protocol itself; those of policy belong to the door (`mta/receive/replies.rs`).

use crate::reply::Reply;

pub(super) const RESET: Reply = Reply::fixed(250, (2, 0, 0), "Reset");
pub(super) const NOTHING_DONE: Reply = Reply::fixed(250, (2, 0, 0), "Nothing done");
pub(super) const BYE: Reply = Reply::fixed(221, (2, 0, 0), "Bye");
/// RFC 5321 §3.5.3: the answer of those who tell nobody which names exist.
pub(super) const CANNOT_VERIFY: Reply = Reply::fixed(252, (2, 5, 0), "Cannot tell; send mail and see");
pub(super) const HELP: Reply = Reply::fixed(
    214,
    (2, 0, 0),
    "AUTH BDAT DATA EHLO HELO HELP LHLO MAIL NOOP QUIT RCPT RSET STARTTLS VRFY\nSee RFC 5321",
);

pub(super) const SENDER_OK: Reply = Reply::fixed(250, (2, 1, 0), "Sender ok");
/// RFC 6710 §4.1 has the client told of another priority than it asked for.
pub(super) const PRIORITY_CHANGED: Reply = Reply::fixed(250, (2, 3, 6), "Sender ok, with another priority");
pub(super) const RECIPIENT_OK: Reply = Reply::fixed(250, (2, 1, 5), "Recipient ok");
pub(super) const SEND_DATA: Reply = Reply::plain(354, "End with a dot on a line of its own");
pub(super) const CHUNK_OK: Reply = Reply::fixed(250, (2, 0, 0), "Chunk received");

pub(super) const LINE_TOO_LONG: Reply = Reply::fixed(500, (5, 5, 2), "Line too long");
pub(super) const BARE_NEWLINE: Reply = Reply::fixed(500, (5, 5, 2), "Lines end with CRLF, not with LF alone");
pub(super) const TOO_MANY_ERRORS: Reply = Reply::fixed(421, (4, 7, 0), "Too many errors");
pub(super) const TOO_MANY_COMMANDS: Reply = Reply::fixed(421, (4, 7, 0), "Too many commands without mail");
pub(super) const TOO_MANY_MESSAGES: Reply = Reply::fixed(421, (4, 7, 0), "Too many messages in one session");
pub(super) const TOO_MANY_REFUSED: Reply = Reply::fixed(421, (4, 7, 0), "Too many refused recipients");
pub(super) const TOO_MANY_LOGINS: Reply = Reply::fixed(421, (4, 7, 0), "Too many failed log-ins");

pub(super) const HELLO_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say hello first");
pub(super) const TLS_FIRST: Reply = Reply::fixed(530, (5, 7, 0), "Must issue STARTTLS first");
pub(super) const LOGIN_FIRST: Reply = Reply::fixed(530, (5, 7, 0), "Authentication required");
pub(super) const MAIL_ALREADY: Reply = Reply::fixed(503, (5, 5, 1), "A transaction is already open");
pub(super) const MAIL_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Need MAIL first");
pub(super) const RCPT_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Need RCPT first");
pub(super) const CHUNKS_BEGUN: Reply = Reply::fixed(503, (5, 5, 1), "Go on with BDAT or say RSET");
pub(super) const BINARY_NEEDS_BDAT: Reply = Reply::fixed(503, (5, 5, 1), "BODY=BINARYMIME needs BDAT");
pub(super) const TRANSACTION_FAILED: Reply =
    Reply::fixed(503, (5, 5, 1), "The transaction has failed; say RSET");
pub(super) const NEEDS_SMTPUTF8: Reply = Reply::fixed(553, (5, 6, 7), "Address needs SMTPUTF8");
pub(super) const TOO_LARGE: Reply = Reply::fixed(552, (5, 3, 4), "Message too large");
/// RFC 2852 §4.1: a code of 55z.
pub(super) const DEADLINE_TOO_NEAR: Reply = Reply::fixed(555, (5, 5, 4), "Cannot deliver as soon as that");
pub(super) const HOLD_TOO_LONG: Reply = Reply::fixed(501, (5, 5, 4), "Cannot hold a message for so long");
pub(super) const TOO_MANY_RECIPIENTS: Reply = Reply::fixed(452, (4, 5, 3), "Too many recipients");
/// 5.6.11 is what Exchange made known for it; no registered code fits better.
pub(super) const BARE_NEWLINE_IN_MESSAGE: Reply =
    Reply::fixed(550, (5, 6, 11), "Message has CR or LF alone; lines end with CRLF");

/// Where the door has nothing to say about a message.
pub(super) const NOT_DELIVERED: Reply = Reply::fixed(451, (4, 3, 0), "Try again later");

pub(super) const TLS_READY: Reply = Reply::fixed(220, (2, 0, 0), "Ready to start TLS");
pub(super) const TLS_ALREADY: Reply = Reply::fixed(503, (5, 5, 1), "TLS is already active");
pub(super) const TLS_AFTER_LOGIN: Reply = Reply::fixed(503, (5, 5, 1), "No STARTTLS after AUTH");

pub(super) const LOGIN_OK: Reply = Reply::fixed(235, (2, 7, 0), "Authentication succeeded");
pub(super) const LOGIN_ALREADY: Reply = Reply::fixed(503, (5, 5, 1), "Already authenticated");
pub(super) const LOGIN_WITHIN_MAIL: Reply = Reply::fixed(503, (5, 5, 1), "No AUTH within a transaction");
pub(super) const LOGIN_NEEDS_TLS: Reply =
    Reply::fixed(538, (5, 7, 11), "Encryption required; say STARTTLS first");
pub(super) const MECHANISM_UNKNOWN: Reply = Reply::fixed(504, (5, 5, 4), "Mechanism not offered");
pub(super) const AUTH_LINE_TOO_LONG: Reply = Reply::fixed(500, (5, 5, 6), "Authentication line too long");
