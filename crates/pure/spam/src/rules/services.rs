//! Services that unwanted mail likes to hide behind: mailboxes for nothing, addresses made short, programs for mass mail.

use crate::domains::registrable;

/// Mailboxes for nothing, without what follows the last dots: most have one domain in each country.
const FREE_MAILERS: [&str; 30] = [
    "126",
    "163",
    "aim",
    "aol",
    "bk",
    "freenet",
    "gmail",
    "gmx",
    "googlemail",
    "hotmail",
    "icloud",
    "inbox",
    "laposte",
    "libero",
    "list",
    "live",
    "mail",
    "msn",
    "outlook",
    "proton",
    "protonmail",
    "qq",
    "rambler",
    "rediffmail",
    "tutanota",
    "web",
    "yahoo",
    "yandex",
    "ymail",
    "zoho",
];

/// Of those, names that are others' elsewhere: only these domains count.
const FREE_MAILER_DOMAINS: [(&str, &[&str]); 7] = [
    ("bk", &["ru"]),
    ("inbox", &["ru", "lv", "com"]),
    ("list", &["ru"]),
    ("live", &["com", "co.uk", "de", "fr", "it", "nl", "ca"]),
    ("mail", &["com", "ru", "ua", "ee"]),
    ("proton", &["me"]),
    ("web", &["de"]),
];

/// Services that make links short and hide where they lead.
const SHORTENERS: [&str; 44] = [
    "adf.ly",
    "bit.do",
    "bit.ly",
    "bitly.com",
    "bl.ink",
    "buff.ly",
    "chilp.it",
    "clck.ru",
    "cli.re",
    "cutt.ly",
    "da.gd",
    "dub.sh",
    "goo.gl",
    "goo.su",
    "is.gd",
    "j.mp",
    "kutt.it",
    "linkbun.ch",
    "lnkd.in",
    "n9.cl",
    "ouo.io",
    "ow.ly",
    "po.st",
    "qrco.de",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "shorturl.at",
    "shrtco.de",
    "snip.ly",
    "soo.gd",
    "surl.li",
    "t.co",
    "t.ly",
    "t2m.io",
    "tiny.cc",
    "tiny.one",
    "tinyurl.com",
    "tny.im",
    "tr.im",
    "u.to",
    "urlz.fr",
    "v.gd",
    "x.gd",
];

/// Programs whose makers sell them for mass mail, in lower case.
const SPAMWARE: [&str; 22] = [
    "advanced mass sender",
    "advanced direct remailer",
    "aristotle mail",
    "atomic mail sender",
    "bulk mail",
    "dark mailer",
    "dm mailer",
    "e-mail magnet",
    "emailsiphon",
    "express mail",
    "floodgate",
    "group mail",
    "jpfree group mail",
    "leaf phpmailer",
    "mass mailer",
    "massmail",
    "mailking",
    "powermass",
    "send-safe",
    "super mail-list",
    "turbo mailer",
    "worldmerge",
];

/// Whether anybody can have a mailbox of a domain for nothing.
pub(super) fn is_free_mailer(domain: &str) -> bool {
    let Some((label, rest)) = registrable(domain).split_once('.') else { return false };
    let only = FREE_MAILER_DOMAINS.iter().find(|(name, _)| *name == label);
    FREE_MAILERS.contains(&label) && only.is_none_or(|(_, endings)| endings.contains(&rest))
}

/// Whether a host makes links short.
pub(super) fn is_shortener(host: &str) -> bool {
    SHORTENERS.contains(&registrable(host))
}

/// The program for mass mail that a mail program's name shows.
pub(super) fn spamware(program: &str) -> Option<&'static str> {
    let program = program.to_lowercase();
    SPAMWARE.iter().find(|known| program.contains(**known)).copied()
}
