//! What our own host finds out about a delivery, and the code that tells it (RFC 3463 and the registry of RFC 5248).

use crate::status::EnhancedCode;

/// Something that ends or delays a delivery without another host's reply to say so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Situation {
    /// The domain does not exist.
    NoSuchDomain,
    /// The domain says that it takes no mail (RFC 7505).
    NullMx,
    /// The DNS gave no answer, or one that cannot be trusted.
    DnsFailure,
    /// The domain exists, and none of its names leads to a host.
    NoRoute,
    /// No host answers.
    NoAnswer,
    /// The connection broke off.
    ConnectionLost,
    /// What the host says is not SMTP.
    ProtocolError,
    /// The message has passed here too often.
    Loop,
    /// It was tried for as long as we try.
    Expired,
    /// The time that the sender set has passed (RFC 2852).
    DeadlinePassed,
    /// Larger than the next host takes.
    TooLarge,
    /// The next host cannot take octets beyond ASCII or without lines, and we convert nothing.
    ConversionNeeded,
    /// The next host does not know SMTPUTF8 (RFC 6531).
    NeedsSmtpUtf8,
    /// TLS is demanded, and is not to be had or cannot be trusted (RFC 8461, RFC 7672).
    TlsNeeded,
    /// The sender demands REQUIRETLS, which the next host does not know (RFC 8689).
    RequireTlsUnsupported,
    /// The next host does not let us log in.
    LoginFailed,
    /// The operator took it out of the queue.
    Withdrawn,
    /// Something of our own is broken.
    LocalFailure,
}

impl Situation {
    /// The code, in the class that the situation has by itself: what may pass is 4.x.x.
    #[must_use]
    pub const fn status(self) -> EnhancedCode {
        let (class, subject, detail) = match self {
            Self::NoSuchDomain => (5, 1, 2),
            Self::NullMx => (5, 1, 10),
            Self::DnsFailure => (4, 4, 3),
            Self::NoRoute => (5, 4, 4),
            Self::NoAnswer => (4, 4, 1),
            Self::ConnectionLost => (4, 4, 2),
            Self::ProtocolError => (4, 5, 0),
            Self::Loop => (5, 4, 6),
            Self::Expired => (4, 4, 7),
            Self::DeadlinePassed => (5, 4, 7),
            Self::TooLarge => (5, 3, 4),
            Self::ConversionNeeded => (5, 6, 3),
            Self::NeedsSmtpUtf8 => (5, 6, 7),
            Self::TlsNeeded => (4, 7, 10),
            Self::RequireTlsUnsupported => (5, 7, 30),
            Self::LoginFailed => (4, 7, 8),
            Self::Withdrawn => (5, 3, 0),
            Self::LocalFailure => (4, 3, 0),
        };
        EnhancedCode::new(class, subject, detail)
    }

    /// A sentence for the sender.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoSuchDomain => "There is no such domain.",
            Self::NullMx => "This domain does not receive mail.",
            Self::DnsFailure => "The domain could not be looked up.",
            Self::NoRoute => "This domain has no mail server.",
            Self::NoAnswer => "The mail server of this domain does not answer.",
            Self::ConnectionLost => "The connection to the mail server of this domain broke off.",
            Self::ProtocolError => "The mail server of this domain answers with something that is not mail.",
            Self::Loop => "The message goes round in circles.",
            Self::Expired => "The message could not be delivered in all the time it was tried.",
            Self::DeadlinePassed => "The message could not be delivered by the time that was asked for.",
            Self::TooLarge => "The message is larger than the recipient's mail server takes.",
            Self::ConversionNeeded => "The recipient's mail server cannot take what the message is made of.",
            Self::NeedsSmtpUtf8 => "The recipient's mail server cannot take addresses with such letters.",
            Self::TlsNeeded => "No connection to the recipient's mail server is safe enough.",
            Self::RequireTlsUnsupported => {
                "The recipient's mail server does not promise to keep the message encrypted on its way."
            }
            Self::LoginFailed => "The mail server that passes our mail on does not let us in.",
            Self::Withdrawn => "The operator of this mail server took the message out of its queue.",
            Self::LocalFailure => "Something is wrong with this mail server.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_as_such() {
        for (situation, status) in [
            (Situation::NoAnswer, "4.4.1"),
            (Situation::Expired, "4.4.7"),
            (Situation::DeadlinePassed, "5.4.7"),
            (Situation::NullMx, "5.1.10"),
            (Situation::RequireTlsUnsupported, "5.7.30"),
        ] {
            assert_eq!(situation.status().to_string(), status);
            assert!(situation.sentence().ends_with('.'));
        }
    }
}
