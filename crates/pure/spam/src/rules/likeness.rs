//! What looks like what: text made comparable by its looks, and names that strangers like to imitate.

use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizer;

use super::domain_text;
use crate::domains::registrable;

/// Octets of a text that is made comparable.
const SKELETON_OCTETS_MAX: usize = 256;

/// Letters whose names may be one letter away and still be meant: of shorter ones too many honest names are.
const NEAR_LETTERS_MIN: usize = 6;

/// A name that is often imitated.
struct Brand {
    /// As it stands in front of its top-level domain.
    label: &'static str,
    /// Other domains of the same owner, without what follows the last dots.
    others: &'static [&'static str],
}

const fn brand(label: &'static str, others: &'static [&'static str]) -> Brand {
    Brand { label, others }
}

/// Names that are often imitated. Those that many honest owners share, as savings banks do, are left out.
static BRANDS: [Brand; 42] = [
    brand("paypal", &["paypal-communication", "paypal-mktg", "paypal-notify", "paypalcorp"]),
    brand("amazon", &["amazonses", "amazonaws", "amazon-adsystem"]),
    brand("microsoft", &["microsoftonline", "microsoftemail", "microsoftsupport"]),
    brand("google", &["googlemail", "googlegroups", "googleapis"]),
    brand("facebook", &["facebookmail"]),
    brand("instagram", &[]),
    brand("whatsapp", &[]),
    brand("linkedin", &["linkedin-ei"]),
    brand("netflix", &[]),
    brand("dropbox", &["dropboxmail"]),
    brand("docusign", &[]),
    brand("icloud", &[]),
    brand("outlook", &[]),
    brand("office365", &[]),
    brand("spotify", &[]),
    brand("coinbase", &[]),
    brand("binance", &[]),
    brand("metamask", &[]),
    brand("trustwallet", &[]),
    brand("wellsfargo", &[]),
    brand("bankofamerica", &[]),
    brand("citibank", &[]),
    brand("americanexpress", &[]),
    brand("mastercard", &[]),
    brand("capitalone", &[]),
    brand("barclays", &[]),
    brand("natwest", &[]),
    brand("santander", &[]),
    brand("commerzbank", &[]),
    brand("deutsche-bank", &[]),
    brand("postbank", &[]),
    brand("postfinance", &[]),
    brand("credit-agricole", &[]),
    brand("labanquepostale", &[]),
    brand("bnpparibas", &[]),
    brand("intesasanpaolo", &[]),
    brand("unicredit", &[]),
    brand("caixabank", &[]),
    brand("rabobank", &[]),
    brand("swisscom", &[]),
    brand("vodafone", &["vodafonemail"]),
    brand("namecheap", &[]),
];

/// Honest names that are one letter away from one of them.
const NEIGHBOURS: [&str; 5] = ["amazone", "barclay", "cloud", "finance", "paypay"];

/// What each of them looks like.
static BRAND_LOOKS: LazyLock<Vec<(&'static Brand, String)>> =
    LazyLock::new(|| BRANDS.iter().map(|brand| (brand, skeleton(brand.label))).collect());

/// A text by its looks: letters without marks and case, each for all that look like it. What looks alike has the same skeleton.
pub(crate) fn skeleton(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(SKELETON_OCTETS_MAX)).unwrap_or_default();
    let mut skeleton = String::with_capacity(text.len());
    for c in DecomposingNormalizer::new_nfkd().normalize_iter(text.chars()) {
        if matches!(c, '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' | '\u{feff}') {
            continue;
        }
        let c = if c.is_whitespace() { ' ' } else { c };
        if c == ' ' && (skeleton.is_empty() || skeleton.ends_with(' ')) {
            continue;
        }
        for c in c.to_lowercase() {
            let c = look(c);
            match (c, skeleton.as_bytes().last()) {
                ('n', Some(b'r')) => {
                    skeleton.pop();
                    skeleton.push('m');
                }
                ('v', Some(b'v')) => {
                    skeleton.pop();
                    skeleton.push('w');
                }
                _ => skeleton.push(c),
            }
        }
    }
    skeleton.truncate(skeleton.trim_end().len());
    skeleton
}

/// The letter that stands for all that look like this one.
fn look(c: char) -> char {
    match c {
        '0' | 'о' | 'ο' | 'օ' => 'o',
        '1' | '|' | 'i' | 'ı' | 'і' | 'ι' | 'ӏ' | 'ɩ' | 'ł' => 'l',
        '3' | 'е' | 'ε' | 'є' | 'ё' => 'e',
        '5' | 'ѕ' | 'ʂ' => 's',
        'а' | 'α' | 'ɑ' | '@' => 'a',
        'с' | 'ϲ' | 'ⅽ' => 'c',
        'ԁ' | 'ɗ' => 'd',
        'ɡ' | 'ց' => 'g',
        'һ' | 'հ' => 'h',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'п' | 'η' | 'ո' => 'n',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' | 'ɾ' => 'r',
        'т' | 'τ' => 't',
        'υ' | 'ս' | 'ц' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' | 'ш' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ү' => 'y',
        'ᴢ' => 'z',
        'ß' => 's',
        c => c,
    }
}

/// Whether two texts differ in exactly one letter put in, left out, changed, or in two neighbours that changed places.
pub(crate) fn is_one_edit_apart(a: &str, b: &str) -> bool {
    let (short, long) =
        if a.len() <= b.len() { (a.as_bytes(), b.as_bytes()) } else { (b.as_bytes(), a.as_bytes()) };
    if long.len() - short.len() > 1 || short == long {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (short.get(same..).unwrap_or_default(), long.get(same..).unwrap_or_default());
    if short.len() < long.len() {
        return long.get(1..) == Some(short);
    }
    let is_changed = short.get(1..) == long.get(1..);
    let is_swapped = matches!((short, long), ([a, b, x @ ..], [c, d, y @ ..]) if a == d && b == c && x == y);
    is_changed || is_swapped
}

/// The imitated name that a host's registrable domain looks like and is not.
pub(crate) fn imitated(host: &str) -> Option<&'static str> {
    let domain = domain_text(registrable(host));
    let label = domain.split('.').next().unwrap_or_default();
    let looks = skeleton(label);
    if label.is_empty() || NEIGHBOURS.contains(&label) || BRANDS.iter().any(|brand| brand.owns(label)) {
        return None;
    }
    let imitates = |(brand, own): &&(&Brand, String)| brand.is_imitated_by(own, host, label, &looks);
    BRAND_LOOKS.iter().find(imitates).map(|(brand, _)| brand.label)
}

/// The imitated name that a display name says to be, where the domain is not its owner's.
pub(crate) fn claimed(name: &str, domain: &str) -> Option<&'static str> {
    let looks = skeleton(name);
    let first = looks.split(' ').next().unwrap_or_default();
    let domain = registrable(domain);
    let label = domain.split('.').next().unwrap_or_default();
    let claims = |(_, own): &&(&Brand, String)| first == own || looks == *own;
    BRAND_LOOKS.iter().find(claims).filter(|(brand, _)| !brand.owns(label)).map(|(brand, _)| brand.label)
}

impl Brand {
    fn owns(&self, label: &str) -> bool {
        label == self.label || self.others.contains(&label)
    }

    fn is_imitated_by(&self, own: &str, host: &str, label: &str, looks: &str) -> bool {
        looks == own
            || (self.label.len() >= NEAR_LETTERS_MIN && is_one_edit_apart(looks, own))
            || label.split('-').any(|piece| piece == self.label)
            || has_label(host, self.label)
    }
}

/// Whether a label stands in a host's name as if it were a domain: `paypal.com.elsewhere.example`.
fn has_label(host: &str, label: &str) -> bool {
    let mut labels = host.split('.');
    labels.any(|one| one == label) && labels.next() == Some("com") && labels.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_has_one_skeleton() {
        for (a, b) in [
            ("paypal", "p\u{430}yp\u{430}l"),
            ("paypal", "PAYPA1"),
            ("microsoft", "rnicrosoft"),
            ("Jörg Müller", "Jorg  Mu\u{308}ller"),
            ("free", "𝓯𝓻𝓮𝓮"),
            ("google", "g00gIe"),
        ] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        assert_ne!(skeleton("paypal"), skeleton("paypol"));
    }

    #[test]
    fn skeletons_are_bounded() {
        for (octets, kept) in [
            (SKELETON_OCTETS_MAX - 1, SKELETON_OCTETS_MAX - 1),
            (SKELETON_OCTETS_MAX, SKELETON_OCTETS_MAX),
            (SKELETON_OCTETS_MAX + 1, SKELETON_OCTETS_MAX),
        ] {
            assert_eq!(skeleton(&"a".repeat(octets)).len(), kept);
        }
    }

    #[test]
    fn one_edit_is_one_edit() {
        for (a, b, is_near) in [
            ("paypal", "paypall", true),
            ("paypal", "paypl", true),
            ("paypal", "pyapal", true),
            ("paypal", "paypol", true),
            ("paypal", "paypal", false),
            ("paypal", "payapll", false),
            ("", "", false),
            ("", "a", true),
        ] {
            assert_eq!(is_one_edit_apart(a, b), is_near, "{a} {b}");
        }
    }

    #[test]
    fn imitations_are_told_from_their_models() {
        for host in [
            "paypa1.com",
            "www.paypall.com",
            "xn--pypal-4ve.com",
            "secure-paypal.example",
            "paypal.com.evil.example",
            "arnazon.de",
        ] {
            assert!(imitated(host).is_some(), "{host}");
        }
        for host in [
            "paypal.com",
            "www.paypal.de",
            "bounces.amazonses.com",
            "example.org",
            "payday.example",
            "mail.google.com",
            "finance.example",
            "my.cloud.example",
            "sparkasse-stadt.example",
            "www.amazon.com.mx",
        ] {
            assert_eq!(imitated(host), None, "{host}");
        }
        assert_eq!(claimed("PayPal Service", "evil.example"), Some("paypal"));
        assert_eq!(claimed("PayPal", "mail.paypal.com"), None);
        assert_eq!(claimed("Paul Payne", "evil.example"), None);
    }
}
