//! What senders are told of their mail.
