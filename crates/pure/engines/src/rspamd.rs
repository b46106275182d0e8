//! rspamd's answer to `/checkv2`: JSON with a score, an action, and the symbols that fired.

use serde_json::Value;

use crate::Nonsense;

/// Most symbols that are kept, those with the most points.
pub const SYMBOLS_MAX: usize = 200;
/// Most header fields that it may add, and most that it may take away.
pub const FIELDS_MAX: usize = 50;
/// Longest text of any kind that is kept.
const TEXT_OCTETS_MAX: usize = 2_000;

/// What rspamd would have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// Let the sender try again.
    Greylist,
    /// Refuse for now.
    SoftReject,
    /// Mark it as junk.
    AddHeader,
    /// Mark it in its subject.
    RewriteSubject,
    /// Keep it apart.
    Quarantine,
    /// Refuse it.
    Reject,
    /// Throw it away.
    Discard,
}

/// What rspamd found.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Its points.
    pub score: f32,
    /// The points from which on it refuses.
    pub required: f32,
    /// What it would do.
    pub action: Action,
    /// The symbols that fired and their points, the strongest first.
    pub symbols: Vec<(String, f32)>,
    /// What a sender who is refused is to be told.
    pub message: Option<String>,
    /// Header fields to be added: names and values.
    pub add_fields: Vec<(String, String)>,
    /// Header fields to be taken away.
    pub remove_fields: Vec<Removal>,
    /// The subject that it wants instead, where its action is another one.
    pub subject: Option<String>,
}

/// A header field that is to be taken away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removal {
    /// Its name.
    pub name: String,
    /// Which of those of this name: 0 means all, 1 the first, -1 the last.
    pub which: i32,
}

/// Reads an answer.
///
/// # Errors
/// [`Nonsense`].
pub fn read(body: &[u8]) -> Result<Answer, Nonsense> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Nonsense::Malformed)?;
    let number = |name: &str| value.get(name).and_then(Value::as_f64).map(points);
    let action = value.get("action").and_then(Value::as_str).ok_or(Nonsense::Malformed)?;
    Ok(Answer {
        score: number("score").ok_or(Nonsense::Malformed)?,
        required: number("required_score").unwrap_or_default(),
        action: read_action(action)?,
        symbols: read_symbols(&value),
        message: value.pointer("/messages/smtp_message").and_then(Value::as_str).map(line),
        add_fields: value.pointer("/milter/add_headers").map(added).unwrap_or_default(),
        remove_fields: value.pointer("/milter/remove_headers").map(removed).unwrap_or_default(),
        subject: value.get("subject").and_then(Value::as_str).map(line).filter(|subject| !subject.is_empty()),
    })
}

fn read_action(word: &str) -> Result<Action, Nonsense> {
    Ok(match word {
        "no action" => Action::None,
        "greylist" => Action::Greylist,
        "soft reject" => Action::SoftReject,
        "add header" => Action::AddHeader,
        "rewrite subject" => Action::RewriteSubject,
        "quarantine" => Action::Quarantine,
        "reject" => Action::Reject,
        "discard" => Action::Discard,
        _ => return Err(Nonsense::Malformed),
    })
}

fn read_symbols(value: &Value) -> Vec<(String, f32)> {
    let Some(symbols) = value.get("symbols").and_then(Value::as_object) else { return Vec::new() };
    let score = |symbol: &Value| symbol.get("score").and_then(Value::as_f64).map_or(0.0, points);
    let mut found: Vec<_> = symbols.iter().map(|(name, symbol)| (line(name), score(symbol))).collect();
    found.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    found.truncate(SYMBOLS_MAX);
    found
}

/// `"name": "value"`, `"name": {"value": "…"}` or a list of either.
fn added(fields: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, value) in fields.as_object().into_iter().flatten().filter(|(name, _)| is_name(name)) {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value.as_str().or_else(|| value.get("value").and_then(Value::as_str));
            if let Some(text) = text
                && found.len() < FIELDS_MAX
            {
                found.push((name.clone(), line(text)));
            }
        }
    }
    found
}

/// `"name": which`, or a list of numbers.
fn removed(fields: &Value) -> Vec<Removal> {
    let mut found = Vec::new();
    for (name, value) in fields.as_object().into_iter().flatten().filter(|(name, _)| is_name(name)) {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for which in values.iter().filter_map(Value::as_i64).filter_map(|which| i32::try_from(which).ok()) {
            if found.len() < FIELDS_MAX {
                found.push(Removal { name: name.clone(), which });
            }
        }
    }
    found
}

/// RFC 5322 §2.2.
fn is_name(name: &str) -> bool {
    (1..=70).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':')
}

/// A text on one line, with no octet that ends it.
fn line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(char::is_control).map(str::trim).filter(|word| !word.is_empty()).collect();
    let text = words.join(" ");
    let end = (0..=text.len().min(TEXT_OCTETS_MAX)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}

/// Points beyond what any sum means are no points.
fn points(number: f64) -> f32 {
    (number as f32).clamp(-10_000.0, 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = read(
            br#"{"is_skipped":false,"score":15.5,"required_score":15.0,"action":"reject",
            "symbols":{"A":{"name":"A","score":0.5,"options":["x"]},"GTUBE":{"score":-20}},
            "messages":{"smtp_message":"Gtube\r\npattern"},
            "subject":"*** Spam\r\n *** hello",
            "milter":{"add_headers":{"X-Spam":{"value":"yes\r\nBcc: x","order":1},"X-L":["a",{"value":"b"}],"X Y":"no"},
            "remove_headers":{"X-Spam-Level":0,"X-Mark":[1,-1],"X Y":0,"X-Odd":"1","X-Far":9999999999}},"future":[1]}"#,
        )
        .unwrap();
        assert_eq!((answer.score, answer.required, answer.action), (15.5, 15.0, Action::Reject));
        assert_eq!(answer.symbols, [("GTUBE".to_owned(), -20.0), ("A".to_owned(), 0.5)]);
        assert_eq!(answer.message.as_deref(), Some("Gtube pattern"));
        let fields: Vec<_> =
            answer.add_fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(fields, ["X-L: a", "X-L: b", "X-Spam: yes Bcc: x"]);
        let removals: Vec<_> =
            answer.remove_fields.iter().map(|one| format!("{} {}", one.name, one.which)).collect();
        assert_eq!(removals, ["X-Mark 1", "X-Mark -1", "X-Spam-Level 0"]);
        assert_eq!(answer.subject.as_deref(), Some("*** Spam *** hello"));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for nonsense in [
            "",
            "[]",
            "{\"error\":\"x\"}",
            "{\"score\":1}",
            "{\"score\":1,\"action\":\"dance\"}",
            "{\"score\":\"1\",\"action\":\"reject\"}",
        ] {
            assert_eq!(read(nonsense.as_bytes()), Err(Nonsense::Malformed), "{nonsense}");
        }
        let deep = format!("{{\"score\":1,\"action\":\"reject\",\"x\":{}", "[".repeat(10_000));
        assert_eq!(read(deep.as_bytes()), Err(Nonsense::Malformed));
    }

    #[test]
    fn lists_have_bounds() {
        let list =
            |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(",");
        for by in [-1, 0, 1] {
            let (symbols, fields) =
                (SYMBOLS_MAX.saturating_add_signed(by), FIELDS_MAX.saturating_add_signed(by));
            let text = format!(
                "{{\"score\":1e300,\"action\":\"no action\",\"symbols\":{{{}}},\"milter\":{{\"add_headers\":{{{}}},\"remove_headers\":{{{}}}}}}}",
                list(symbols, &|n| format!("\"S{n}\":{{\"score\":{n}}}")),
                list(fields, &|n| format!("\"X-{n}\":\"v\"")),
                list(fields, &|n| format!("\"X-{n}\":0")),
            );
            let answer = read(text.as_bytes()).unwrap();
            assert_eq!(answer.symbols.len(), symbols.min(SYMBOLS_MAX));
            assert_eq!(answer.add_fields.len(), fields.min(FIELDS_MAX));
            assert_eq!(answer.remove_fields.len(), fields.min(FIELDS_MAX));
            assert_eq!(answer.score, 10_000.0);
        }
    }
}
