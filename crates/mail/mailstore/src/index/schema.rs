//! The tables of an account's index (docs/internals/account-index.md). Rows are small and lie in the order in which
//! mail comes; there is no index on mod-sequences, because the views in memory answer CHANGEDSINCE.

/// From each version of the schema to the next; only ever append.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE account(
        id INTEGER PRIMARY KEY CHECK(id = 1),
        pack INTEGER NOT NULL, offset INTEGER NOT NULL,
        modseq_last INTEGER NOT NULL, mailbox_last INTEGER NOT NULL, uid_validity_last INTEGER NOT NULL,
        is_removed INTEGER NOT NULL
    );
    CREATE TABLE mailboxes(
        id INTEGER PRIMARY KEY,
        state_modseq INTEGER NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL,
        special_use INTEGER NOT NULL, keywords TEXT NOT NULL,
        uid_next INTEGER NOT NULL, highest_modseq INTEGER NOT NULL,
        messages INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, octets INTEGER NOT NULL,
        tombstones INTEGER NOT NULL, vanished_known_from INTEGER NOT NULL,
        deleted_at INTEGER
    );
    CREATE TABLE messages(
        mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,
        modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
        keywords INTEGER NOT NULL, keywords_high INTEGER NOT NULL,
        internal_date INTEGER NOT NULL, save_date INTEGER NOT NULL,
        octets INTEGER NOT NULL, email INTEGER NOT NULL,
        PRIMARY KEY(mailbox, uid)
    ) WITHOUT ROWID;
    CREATE TABLE expunged_messages(
        mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,
        modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
        keywords INTEGER NOT NULL, keywords_high INTEGER NOT NULL,
        internal_date INTEGER NOT NULL, save_date INTEGER NOT NULL,
        octets INTEGER NOT NULL, email INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY(mailbox, uid)
    ) WITHOUT ROWID;
    CREATE TABLE tombstones(
        mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        PRIMARY KEY(mailbox, modseq, first)
    ) WITHOUT ROWID;
    CREATE TABLE emails(
        id INTEGER PRIMARY KEY,
        pack INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT NULL,
        octets INTEGER NOT NULL, thread INTEGER NOT NULL, summary BLOB NOT NULL
    );
    CREATE INDEX emails_by_pack ON emails(pack, offset);
    CREATE TABLE headers(email INTEGER PRIMARY KEY, folded BLOB NOT NULL);
    CREATE TABLE threads(link INTEGER PRIMARY KEY, thread INTEGER NOT NULL);
    CREATE TABLE links_to_thread(
        email INTEGER NOT NULL, number INTEGER NOT NULL, link INTEGER NOT NULL, PRIMARY KEY(email, number)
    ) WITHOUT ROWID;
    CREATE TABLE subscriptions(
        name TEXT PRIMARY KEY, modseq INTEGER NOT NULL, is_subscribed INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE scripts(name TEXT PRIMARY KEY, modseq INTEGER NOT NULL, text BLOB);
    CREATE TABLE active_script(id INTEGER PRIMARY KEY CHECK(id = 1), modseq INTEGER NOT NULL, name TEXT);
",
    "
    CREATE TABLE annotations(
        mailbox INTEGER NOT NULL, name TEXT NOT NULL, modseq INTEGER NOT NULL, value BLOB,
        PRIMARY KEY(mailbox, name)
    );
",
];
