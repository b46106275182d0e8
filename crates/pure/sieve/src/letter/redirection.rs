//! Messages sent on, with the mark by which they are known when they come back (RFC 5228 §4.2 and §10).

use mail_types::{Address, ReversePath};
use message::write_text_field;

use super::{Letter, Office, Silence};
use crate::message::{Edition, Message, Piece};

/// The field that says who sent a message on. One who finds an address of his own in it has had the message before.
pub const REDIRECTED_FIELD: &str = "X-Sieve-Redirected-From";

/// The message as it is now, on its way to somebody else.
///
/// # Errors
/// It has been sent on by the same person before.
pub fn redirect_letter(
    message: &Message,
    office: &Office<'_>,
    from: ReversePath,
    to: &Address,
) -> Result<Letter, Silence> {
    let bare = |path: &str| path.trim_matches(['<', '>', ' ']).to_owned();
    let recipient = office.envelope.to.as_deref().map(bare);
    let own =
        office.own_addresses.first().map(|own| bare(own)).or_else(|| recipient.clone()).unwrap_or_default();
    let known = [Some(own.clone()), recipient];
    let is_known =
        |text: &str| known.iter().flatten().any(|own| !own.is_empty() && own.eq_ignore_ascii_case(text));
    if message.named(REDIRECTED_FIELD).any(|field| is_known(field.text())) {
        return Err(Silence::Loop);
    }
    let mut mark = Vec::new();
    write_text_field(REDIRECTED_FIELD, &own, &mut mark);
    let pieces = message.edition().pieces().iter().cloned();
    let content = Edition::new([Piece::Literal(mark.into())].into_iter().chain(pieces));
    Ok(Letter { from, recipients: vec![to.clone()], content })
}
