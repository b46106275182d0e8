//! What senders are told of their mail.

pub(crate) mod advice;
pub(crate) mod author;
pub(crate) mod dsn;
pub(crate) mod filed;
pub(crate) mod told;
