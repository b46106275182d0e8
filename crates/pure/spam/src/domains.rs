//! Whose a host's name is: the registrable domain, by a small list of suffixes below which people register names. Not the whole
//! Public Suffix List, whose 200 KiB are mostly places that mail never names; what is missing counts as one owner more coarsely.

/// Labels that are registries of their own below any country's domain.
const SECOND_ANYWHERE: [&str; 8] = ["ac", "co", "com", "edu", "gov", "mil", "net", "org"];

/// Registries below single countries' domains, besides those that are the same anywhere.
const SECOND: [(&str, &[&str]); 32] = [
    ("ar", &["gob", "int", "tur"]),
    ("at", &["gv", "or"]),
    ("au", &["asn", "id"]),
    (
        "br",
        &[
            "adm", "adv", "art", "blog", "eco", "eng", "ind", "inf", "jus", "leg", "med", "mus", "psi",
            "tur", "tv",
        ],
    ),
    ("cl", &["gob"]),
    ("cn", &["ah", "bj", "gd", "sh", "zj"]),
    ("cy", &["biz", "info", "ltd"]),
    ("es", &["gob", "nom"]),
    ("fr", &["asso", "gouv", "nom", "tm"]),
    ("hk", &["idv"]),
    ("hu", &["info"]),
    ("id", &["biz", "go", "my", "or", "sch", "web"]),
    ("il", &["k12", "muni"]),
    ("in", &["firm", "gen", "ind", "nic", "res"]),
    ("it", &["edu", "gov"]),
    ("jp", &["ad", "ed", "go", "gr", "lg", "ne", "or"]),
    ("ke", &["go", "me", "ne", "or", "sc"]),
    ("kr", &["go", "ne", "or", "pe", "re"]),
    ("mx", &["gob"]),
    ("my", &["name"]),
    ("nz", &["cri", "geek", "gen", "govt", "iwi", "kiwi", "maori", "school"]),
    ("pe", &["gob", "nom"]),
    ("pl", &["agro", "biz", "gmina", "info", "waw", "warszawa", "wroclaw", "krakow", "edu"]),
    ("pt", &["nome", "publ"]),
    ("ru", &["msk", "spb"]),
    ("th", &["go", "in", "mi", "or"]),
    (
        "tr",
        &["av", "bbs", "bel", "biz", "dr", "gen", "info", "k12", "kep", "name", "pol", "tel", "tv", "web"],
    ),
    ("tw", &["club", "ebiz", "game", "idv"]),
    ("ua", &["dp", "if", "in", "kh", "kiev", "kyiv", "lviv", "od"]),
    ("uk", &["ltd", "me", "nhs", "plc", "police", "sch"]),
    ("ve", &["gob", "info", "web"]),
    ("za", &["law", "nom", "school", "web"]),
];

/// Domains below which anybody has a page for nothing; each page has an owner of its own.
const FREE_HOSTS: [&str; 44] = [
    "000webhostapp.com",
    "appspot.com",
    "azurewebsites.net",
    "backblazeb2.com",
    "blogspot.com",
    "carrd.co",
    "cloudfront.net",
    "dynu.net",
    "duckdns.org",
    "dweb.link",
    "firebaseapp.com",
    "fleek.co",
    "framer.app",
    "framer.website",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "glitch.me",
    "godaddysites.com",
    "herokuapp.com",
    "hstn.me",
    "infinityfreeapp.com",
    "jimdofree.com",
    "jimdosite.com",
    "mystrikingly.com",
    "myshopify.com",
    "netlify.app",
    "ngrok.io",
    "ngrok-free.app",
    "no-ip.org",
    "pages.dev",
    "r2.dev",
    "repl.co",
    "square.site",
    "surge.sh",
    "translate.goog",
    "trycloudflare.com",
    "vercel.app",
    "web.app",
    "webflow.io",
    "weebly.com",
    "wixsite.com",
    "workers.dev",
    "wordpress.com",
];

/// Octets of a host's name that is one.
const HOST_OCTETS_MAX: usize = 253;

/// The domain that somebody has registered for a host's name in lower case: `www.shop.example.co.uk` gives `example.co.uk`. A name
/// that is a suffix itself, or a number, is given back as it is.
pub fn registrable(host: &str) -> &str {
    let host = host.get(..host.floor_char_boundary(HOST_OCTETS_MAX)).unwrap_or_default();
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return host;
    }
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    let tail = |at: Option<usize>| at.map_or(host, |at| host.get(at + 1..).unwrap_or(host));
    let (top, second, third) = (dots.next(), dots.next(), dots.next());
    if is_suffix(tail(second)) && top.is_some() { tail(third) } else { tail(second) }
}

/// Whether a name of two labels is a place to register at.
fn is_suffix(name: &str) -> bool {
    let Some((second, top)) = name.split_once('.') else { return false };
    let is_country = top.len() == 2 && SECOND_ANYWHERE.contains(&second);
    let has_own = || SECOND.iter().any(|(country, seconds)| *country == top && seconds.contains(&second));
    is_country || has_own() || is_free_host(name)
}

/// Whether anybody can have a page below this name.
pub(crate) fn is_free_host(name: &str) -> bool {
    FREE_HOSTS.contains(&name)
}

/// Whether a host's page is one that anybody can make.
pub(crate) fn is_on_free_host(host: &str) -> bool {
    registrable(host).split_once('.').is_some_and(|(_, above)| is_free_host(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_an_owner() {
        for (host, owner) in [
            ("example.org", "example.org"),
            ("www.example.org", "example.org"),
            ("a.b.c.example.org", "example.org"),
            ("shop.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("www.example.or.jp", "example.or.jp"),
            ("x.y.github.io", "y.github.io"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("", ""),
            ("münchen.example.de", "example.de"),
        ] {
            assert_eq!(registrable(host), owner, "{host}");
        }
        assert!(is_on_free_host("login.bank.pages.dev") && !is_on_free_host("pages.dev"));
    }

    #[test]
    fn endless_names_are_cut() {
        let long = "a.".repeat(HOST_OCTETS_MAX);
        assert!(registrable(&long).len() <= HOST_OCTETS_MAX);
    }
}
