//! What happened and what to do, in words for people: by the code, since servers' own words are for postmasters.

use mail_types::EnhancedCode;

/// A sentence of what happened and one of what the sender can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Words {
    pub(crate) reason: &'static str,
    pub(crate) advice: &'static str,
}

const ASK_OTHERWISE: &str = "Ask the recipient, by telephone or another way, what is wrong.";
const TRY_LATER: &str = "Try again later, or reach the recipient another way.";
const CHECK_ADDRESS: &str = "Check the address for mistakes, or ask the recipient for it.";

/// Words for a refusal by another server, from its code (RFC 3463 and the registry of RFC 5248).
pub(crate) fn of_refusal(status: EnhancedCode) -> Words {
    let (reason, advice) = match (status.subject, status.detail) {
        (1, 0 | 1 | 3 | 6) => ("There is no such mailbox.", CHECK_ADDRESS),
        (1, 2) => ("There is no such domain.", CHECK_ADDRESS),
        (1, 7 | 8) => ("The recipient's mail server does not accept your address.", ASK_OTHERWISE),
        (1, 10) => ("This domain does not receive mail.", CHECK_ADDRESS),
        (2, 1) => ("The mailbox is switched off.", ASK_OTHERWISE),
        (2, 2) => ("The mailbox is full.", TRY_LATER),
        (2, 3) | (3, 4) => (
            "The message is larger than the recipient's mail server takes.",
            "Send less, or send a link to it instead.",
        ),
        (3, 1 | 2) | (4, _) => ("The recipient's mail server cannot take mail at this time.", TRY_LATER),
        (6, _) => (
            "The recipient's mail server cannot take what the message is made of.",
            "Send it in another form, as plain text for example.",
        ),
        (7, _) => (
            "The recipient's mail server refuses the message as against its rules.",
            "Its words below may say which. If you do not see why, show this report to your postmaster.",
        ),
        _ => ("The recipient's mail server refuses the message.", ASK_OTHERWISE),
    };
    Words { reason, advice }
}

/// What the sender can do about something that we found out ourselves.
pub(crate) fn about_our_own(status: EnhancedCode) -> &'static str {
    match (status.subject, status.detail) {
        (1, _) => CHECK_ADDRESS,
        (3, 4) => "Send less, or send a link to it instead.",
        (4, 6) | (3, _) | (7, 8) => "Show this report to your postmaster.",
        (6, 3) => "Send it in another form, as plain text for example.",
        (6, 7) => "Ask the recipient for an address in plain Latin letters.",
        (7, 10 | 30) => "Send it without demanding encryption, if it may be read on the way.",
        _ => TRY_LATER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_told_something_to_do() {
        for subject in 0..=8 {
            for detail in 0..=35 {
                let words = of_refusal(EnhancedCode::new(5, subject, detail));
                assert!(words.reason.ends_with('.') && words.advice.ends_with('.'));
                assert!(about_our_own(EnhancedCode::new(5, subject, detail)).ends_with('.'));
            }
        }
        assert_eq!(of_refusal(EnhancedCode::new(5, 1, 1)).advice, CHECK_ADDRESS);
        assert_eq!(of_refusal(EnhancedCode::new(4, 2, 2)).reason, "The mailbox is full.");
        assert_eq!(about_our_own(EnhancedCode::new(5, 1, 10)), CHECK_ADDRESS);
    }
}
