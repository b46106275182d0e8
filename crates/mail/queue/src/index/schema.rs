//! The tables of `queue.db` (docs/internals/queue-states.md). What is due is found by index, never by reading all.

/// From each version of the schema to the next; only ever append.
pub(super) const MIGRATIONS: &[&str] = &["
    CREATE TABLE queue(
        id INTEGER PRIMARY KEY CHECK(id = 1),
        pack INTEGER NOT NULL, offset INTEGER NOT NULL, last_id INTEGER NOT NULL
    );
    CREATE TABLE messages(
        id INTEGER PRIMARY KEY,
        pack INTEGER NOT NULL, offset INTEGER NOT NULL, in_log INTEGER NOT NULL, octets INTEGER NOT NULL,
        first_pack INTEGER NOT NULL, last_pack INTEGER NOT NULL,
        arrived INTEGER NOT NULL,
        hold INTEGER NOT NULL, hold_until INTEGER NOT NULL, changed INTEGER NOT NULL,
        waiting INTEGER NOT NULL,
        envelope BLOB NOT NULL
    );
    CREATE INDEX messages_by_pack ON messages(pack, offset, octets);
    CREATE INDEX messages_held ON messages(id) WHERE hold <> 0;
    CREATE TABLE destinations(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        due INTEGER NOT NULL, not_before INTEGER NOT NULL, attempts INTEGER NOT NULL, tried INTEGER,
        last BLOB
    );
    CREATE INDEX destinations_by_due ON destinations(due);
    CREATE INDEX destinations_unreachable ON destinations(id) WHERE attempts > 0;
    CREATE TABLE parcels(
        destination INTEGER NOT NULL, message INTEGER NOT NULL,
        due INTEGER NOT NULL, attempts INTEGER NOT NULL, rank INTEGER NOT NULL, tried INTEGER,
        report INTEGER NOT NULL, is_strict INTEGER NOT NULL,
        PRIMARY KEY(destination, message)
    ) WITHOUT ROWID;
    CREATE INDEX parcels_by_message ON parcels(message);
    CREATE INDEX parcels_by_due ON parcels(destination, due);
    CREATE INDEX parcels_fresh ON parcels(destination, rank, message) WHERE attempts = 0;
    CREATE INDEX parcels_by_report ON parcels(destination, report);
    CREATE INDEX parcels_strict ON parcels(report) WHERE is_strict = 1;
    CREATE INDEX parcels_deferred ON parcels(destination) WHERE attempts > 0;
    CREATE TABLE recipients(
        message INTEGER NOT NULL, number INTEGER NOT NULL,
        state INTEGER NOT NULL, is_warned INTEGER NOT NULL, last BLOB,
        PRIMARY KEY(message, number)
    ) WITHOUT ROWID;
"];
