//! What the owner of a stopped account and the postmaster are told.

use mail_types::Address;
use message::OwnLetter;
use platform::clock::Timestamp;

use super::Stopped;

/// The letter.
pub(super) fn write(
    owner: &Address,
    postmaster: &Address,
    (stopped, held): (&Stopped, u64),
    random: [u8; 16],
    now: Timestamp,
) -> Vec<u8> {
    let letter = OwnLetter {
        from: ("Mail server", postmaster),
        reply_to: None,
        to: owner,
        subject: &format!("Sending from {owner} is stopped"),
        cause: "sending-stopped",
        random,
        unix_millis: now.unix_millis(),
    };
    let mut octets = Vec::new();
    letter.write(&words(owner, stopped, held).replace('\n', "\r\n"), &mut octets);
    octets
}

fn words(owner: &Address, Stopped { reason, .. }: &Stopped, held: u64) -> String {
    format!(
        "Mail from {owner} is stopped, since it looks as if somebody else sends it.\n\
         What was seen: {reason}.\n\
         \n\
         Messages that were to go to other servers and are held: {held}. Nothing of it is lost.\n\
         Reading mail goes on as before.\n\
         \n\
         If you have sent this yourself, tell your postmaster, who can let it go.\n\
         If not, somebody knows your password: take another one, from a machine that you trust, and use\n\
         it nowhere else. Look for filters and forwarding that are not yours, and tell your postmaster.\n\
         \n\
         For the postmaster:\n\
         \x20 mailstead account show {owner}\n\
         \x20 mailstead queue list --held --sender {owner}\n\
         \x20 mailstead account password {owner}          (a new password lets the account send again)\n\
         \x20 mailstead account unlock {owner} --drop     (throws the held mail away)\n\
         \x20 mailstead account unlock {owner} --release  (sends it)\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_why_and_what_to_do() {
        let ann = Address::parse("ann@example.org").unwrap();
        let postmaster = Address::parse("postmaster@example.org").unwrap();
        let stopped = Stopped { since: Timestamp::default(), reason: "5 complaints, in a day".into() };
        let letter = write(&ann, &postmaster, (&stopped, 7), [7; 16], Timestamp::default());
        let letter = String::from_utf8(letter).unwrap();
        for part in [
            "To: ann@example.org\r\n",
            "Subject: Sending from ann@example.org is stopped\r\n",
            "What was seen: 5 complaints, in a day.\r\n",
            "held: 7. Nothing",
            "  mailstead account unlock ann@example.org --release  (sends it)\r\n",
        ] {
            assert!(letter.contains(part), "{part:?} is not in {letter}");
        }
        assert!(letter.lines().all(|line| line.len() <= 120));
    }
}
