//! What a server says it can do: the lines of the reply to EHLO and LHLO, written and read (RFC 5321 §4.1.1.1).
//!
//! Nothing stands here that is not complete: a keyword is a promise (SIZE RFC 1870, PIPELINING 2920, CHUNKING and
//! BINARYMIME 3030, 8BITMIME 6152, SMTPUTF8 6531, ENHANCEDSTATUSCODES 2034, STARTTLS 3207, AUTH 4954, LIMITS 9422, DSN
//! 3461, REQUIRETLS 8689, MT-PRIORITY 6710, DELIVERBY 2852, FUTURERELEASE 4865).

use mail_types::{DELIVER_BY_SECONDS_MAX, ReplyCode};

use crate::future_release::{HOLD_SECONDS_MAX, read_date_time, write_date_time};
use crate::reply::Reply;

/// What a server may offer only if a queue stands behind it that carries it on. Each is a switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offers {
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689): offered under TLS alone.
    pub require_tls: bool,
    /// MT-PRIORITY (RFC 6710), under no particular policy.
    pub priority: bool,
    /// DELIVERBY (RFC 2852).
    pub deliver_by: Option<DeliverByOffer>,
    /// FUTURERELEASE (RFC 4865): offered where people submit mail, to those who have logged in.
    pub future_release: Option<FutureReleaseOffer>,
}

impl Offers {
    /// Nothing of it.
    pub const NONE: Self =
        Self { dsn: false, require_tls: false, priority: false, deliver_by: None, future_release: None };
}

/// How soon a server may be asked to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliverByOffer {
    /// Shortest time in which mail may be asked to be there or come back (RFC 2852 §3), where one is named.
    pub seconds_min: Option<u32>,
}

/// How long a server holds mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutureReleaseOffer {
    /// Longest time that mail is held; up to [`HOLD_SECONDS_MAX`].
    pub seconds_max: u32,
}

/// FUTURERELEASE as EHLO tells it (RFC 4865 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutureRelease {
    /// Longest time that mail is held.
    pub seconds_max: u32,
    /// The last moment of it, in seconds since 1970-01-01T00:00:00Z.
    pub until_unix_seconds: i64,
}

/// The offers of one server at one moment of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extensions {
    /// PIPELINING.
    pub pipelining: bool,
    /// SIZE, and the largest message taken where one is named.
    pub size: Option<SizeLimit>,
    /// 8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// ENHANCEDSTATUSCODES.
    pub enhanced_codes: bool,
    /// CHUNKING.
    pub chunking: bool,
    /// BINARYMIME.
    pub binary: bool,
    /// STARTTLS.
    pub starttls: bool,
    /// AUTH with its mechanisms, in the server's order; empty when not offered.
    pub auth: Vec<String>,
    /// LIMITS.
    pub limits: Option<SessionLimits>,
    /// DSN.
    pub dsn: bool,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// MT-PRIORITY.
    pub priority: bool,
    /// DELIVERBY.
    pub deliver_by: Option<DeliverByOffer>,
    /// FUTURERELEASE.
    pub future_release: Option<FutureRelease>,
}

/// The parameter of SIZE (RFC 1870 §4): `SIZE 0` and a bare `SIZE` name no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeLimit {
    /// The server names none.
    Unnamed,
    /// Octets of the largest message.
    Octets(u64),
}

/// The limits of a session that a client may be told (RFC 9422 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionLimits {
    /// RCPTMAX: recipients in one transaction.
    pub recipients_max: Option<u32>,
    /// MAILMAX: transactions in one session.
    pub transactions_max: Option<u32>,
    /// RCPTDOMAINMAX: domains among the recipients of one transaction.
    pub domains_max: Option<u32>,
}

impl Extensions {
    /// The reply to EHLO or LHLO: the host's name, then one keyword a line.
    #[must_use]
    pub fn to_reply(&self, hostname: &str) -> Reply {
        let mut lines = vec![hostname.to_owned()];
        let mut offer = |offered: bool, keyword: &str| {
            if offered {
                lines.push(keyword.to_owned());
            }
        };
        offer(self.pipelining, "PIPELINING");
        match self.size {
            Some(SizeLimit::Octets(octets)) => offer(true, &format!("SIZE {octets}")),
            Some(SizeLimit::Unnamed) => offer(true, "SIZE"),
            None => {}
        }
        offer(self.eight_bit, "8BITMIME");
        offer(self.smtputf8, "SMTPUTF8");
        offer(self.enhanced_codes, "ENHANCEDSTATUSCODES");
        offer(self.chunking, "CHUNKING");
        offer(self.binary, "BINARYMIME");
        offer(self.starttls, "STARTTLS");
        offer(!self.auth.is_empty(), &format!("AUTH {}", self.auth.join(" ")));
        offer(self.dsn, "DSN");
        offer(self.require_tls, "REQUIRETLS");
        offer(self.priority, "MT-PRIORITY");
        match self.deliver_by {
            Some(DeliverByOffer { seconds_min: Some(seconds) }) => {
                offer(true, &format!("DELIVERBY {seconds}"))
            }
            Some(DeliverByOffer { seconds_min: None }) => offer(true, "DELIVERBY"),
            None => {}
        }
        if let Some(FutureRelease { seconds_max, until_unix_seconds }) = self.future_release {
            let until = write_date_time(until_unix_seconds);
            offer(true, &format!("FUTURERELEASE {seconds_max} {until}"));
        }
        if let Some(limits) = self.limits {
            lines.push(limits.to_line());
        }
        Reply::plain(250, "").with_text(lines.join("\n"))
    }

    /// Reads the reply to EHLO; keywords it does not know are passed over. `None` when the server refused.
    #[must_use]
    pub fn from_reply(reply: &Reply) -> Option<Self> {
        if reply.code != ReplyCode::new(250) {
            return None;
        }
        let mut extensions = Self::default();
        for line in reply.text.split('\n').skip(1) {
            extensions.read_line(line.trim());
        }
        Some(extensions)
    }

    fn read_line(&mut self, line: &str) {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = Some(read_size(rest)),
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_codes = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => self.auth = rest.split_ascii_whitespace().map(str::to_ascii_uppercase).collect(),
            "LIMITS" => self.limits = Some(SessionLimits::from_line(rest)),
            "DSN" => self.dsn = true,
            "REQUIRETLS" => self.require_tls = true,
            "MT-PRIORITY" => self.priority = true,
            "DELIVERBY" => self.deliver_by = Some(DeliverByOffer { seconds_min: read_deliver_by(rest) }),
            "FUTURERELEASE" => self.future_release = read_future_release(rest),
            _ => {}
        }
    }
}

fn read_size(text: &str) -> SizeLimit {
    text.trim().parse().ok().filter(|&octets| octets > 0).map_or(SizeLimit::Unnamed, SizeLimit::Octets)
}

/// RFC 2852 §3: up to nine digits; zero says as little as nothing.
fn read_deliver_by(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|seconds| (1..=DELIVER_BY_SECONDS_MAX.unsigned_abs()).contains(seconds))
}

/// Both parameters are required (RFC 4865 §3).
fn read_future_release(text: &str) -> Option<FutureRelease> {
    let (seconds, until) = text.trim().split_once(' ')?;
    let seconds_max = seconds.parse().ok().filter(|seconds| (1..=HOLD_SECONDS_MAX).contains(seconds))?;
    Some(FutureRelease { seconds_max, until_unix_seconds: read_date_time(until.trim())? })
}

impl SessionLimits {
    fn to_line(self) -> String {
        let mut line = "LIMITS".to_owned();
        let limits = [
            ("RCPTMAX", self.recipients_max),
            ("MAILMAX", self.transactions_max),
            ("RCPTDOMAINMAX", self.domains_max),
        ];
        for (name, value) in limits {
            if let Some(value) = value {
                line.push_str(&format!(" {name}={value}"));
            }
        }
        line
    }

    fn from_line(parameters: &str) -> Self {
        let mut limits = Self::default();
        for parameter in parameters.split_ascii_whitespace() {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            // RFC 9422 §3: a value is a number of at most six digits and never zero.
            let value = value.parse().ok().filter(|value| (1..=999_999).contains(value));
            match name.to_ascii_uppercase().as_str() {
                "RCPTMAX" => limits.recipients_max = value,
                "MAILMAX" => limits.transactions_max = value,
                "RCPTDOMAINMAX" => limits.domains_max = value,
                _ => {}
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let all = Extensions {
            pipelining: true,
            size: Some(SizeLimit::Octets(52_428_800)),
            eight_bit: true,
            smtputf8: true,
            enhanced_codes: true,
            chunking: true,
            binary: true,
            starttls: true,
            auth: vec!["SCRAM-SHA-256".to_owned(), "PLAIN".to_owned()],
            limits: Some(SessionLimits {
                recipients_max: Some(1_000),
                transactions_max: Some(500),
                domains_max: Some(10),
            }),
            dsn: true,
            require_tls: true,
            priority: true,
            deliver_by: Some(DeliverByOffer { seconds_min: Some(60) }),
            future_release: Some(FutureRelease { seconds_max: 86_400, until_unix_seconds: 1_795_640_400 }),
        };
        assert_eq!(Extensions::from_reply(&all.to_reply("mail.example.org")), Some(all));
        let none = Extensions::default();
        assert_eq!(none.to_reply("mail.example.org").text, "mail.example.org");
        assert_eq!(Extensions::from_reply(&none.to_reply("x")), Some(none));
    }

    #[test]
    fn odd_offers_are_read_leniently() {
        let reply = Reply::plain(
            250,
            "host\nsize\nAUTH login Plain\nAUTH=LOGIN\nLIMITS RCPTMAX=0 MAILMAX=1000000 X\nX-WHAT\ndeliverby x\n\
             FUTURERELEASE 5\nMT-PRIORITY MIXER",
        );
        let read = Extensions::from_reply(&reply).unwrap();
        assert_eq!(read.size, Some(SizeLimit::Unnamed));
        assert_eq!(read.auth, ["LOGIN", "PLAIN"]);
        assert_eq!(read.deliver_by, Some(DeliverByOffer { seconds_min: None }));
        assert_eq!((read.future_release, read.priority), (None, true));
        assert_eq!(read.limits, Some(SessionLimits::default()));
        assert_eq!(Extensions::from_reply(&Reply::plain(502, "no")), None);
    }
}
