//! Which fields we sign (RFC 6376 §5.4.1).

use crate::dkim::header_hash::FieldIndex;

/// Signed once more than they are there: what people see, what decides how a body is shown, and what an answer goes to.
/// Nobody can add one of these without breaking the signature (RFC 6376 §8.15).
const OVERSIGNED: [&str; 10] = [
    "From",
    "Reply-To",
    "Subject",
    "Date",
    "To",
    "Cc",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Signed as often as they are there: lists may rightly add them. List-Unsubscribe-Post has to be signed (RFC 8058 §4).
const SIGNED: [&str; 24] = [
    "Sender",
    "In-Reply-To",
    "References",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Content-Language",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-ID",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Autocrypt",
    "Openpgp",
    "Feedback-ID",
];

/// Fields of one name that are signed; an honest header has one of each, and some dozen of a few.
pub(crate) const REPEATS_MAX: usize = 16;

/// The names to sign in a header, each as often as it is to be signed, and the fields with these names. `also` are more
/// names to sign where they are there.
pub(crate) fn chosen_names<'a>(
    header: &'a [u8],
    also: &[&'static str],
) -> (Vec<&'static str>, FieldIndex<'a>) {
    let all = OVERSIGNED.iter().chain(&SIGNED).chain(also);
    let lower: Vec<String> = all.clone().map(|name| name.to_ascii_lowercase()).collect();
    let index = FieldIndex::new(header, lower.iter().map(String::as_str));
    let mut names = Vec::new();
    for (name, lower) in all.zip(&lower) {
        let over = usize::from(OVERSIGNED.contains(name));
        let count = index.count(lower).min(REPEATS_MAX) + over;
        names.extend(std::iter::repeat_n(*name, count));
    }
    (names, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_signed_once_more() {
        let header = b"from: a\r\nSubject: b\r\nList-Id: c\r\nX-Other: d\r\nDKIM-Signature: e\r\n\r\n";
        let (names, _) = chosen_names(header, &["DKIM-Signature"]);
        assert_eq!(
            names.join(":"),
            "From:From:Reply-To:Subject:Subject:Date:To:Cc:Message-ID:MIME-Version:Content-Type:\
             Content-Transfer-Encoding:List-ID:DKIM-Signature"
        );
    }

    #[test]
    fn repeated_fields_are_bounded() {
        for count in [REPEATS_MAX - 1, REPEATS_MAX, REPEATS_MAX + 1] {
            let header = "Resent-To: a\r\n".repeat(count);
            let (names, _) = chosen_names(header.as_bytes(), &[]);
            let signed = names.iter().filter(|name| **name == "Resent-To").count();
            assert_eq!(signed, count.min(REPEATS_MAX));
        }
    }
}
