//! SEARCH: return options, charset and keys, nested but bounded (RFC 9051 §6.4.4, RFC 4731, 5032, 5182, 7162, 8474, 8514).

use std::borrow::Cow;

use mail_types::{Keyword, SystemFlag};

use super::Search;
use super::bad::BadKind;
use super::cursor::{Cursor, Parsed};
use crate::charset;
use crate::date::Day;
use crate::fetch::FieldName;
use crate::object_id;
use crate::search::{DateIs, DateOf, EnvelopeField, Needle, SearchKey, SearchReturn};
use crate::sequence::Numbering;

/// Deepest nesting of parentheses, OR and NOT. Chains of OR and NOT don't count, as they are read in a loop.
pub(super) const DEPTH_MAX: usize = 64;
/// Most keys of one SEARCH: each may be held against each message. Clients chain some hundred Message-IDs with OR.
pub(super) const KEYS_MAX: usize = 2_000;

/// `search = "SEARCH" [search-return-opts] SP search-program`
pub(super) fn search(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Search> {
    let returns = if cursor.take_word("RETURN") {
        cursor.space()?;
        let returns = return_options(cursor)?;
        cursor.space()?;
        Some(returns)
    } else {
        None
    };
    let saves = returns.is_some_and(|returns| returns.save);
    let mut charset = Cow::Borrowed("US-ASCII");
    if cursor.take_word("CHARSET") {
        cursor.space()?;
        let name = cursor.astring("Expected a charset")?;
        charset = Cow::Owned(String::from_utf8_lossy(&name).into_owned());
        if !charset::is_known(&charset) {
            return Err(BadKind::Charset { saves });
        }
        cursor.space()?;
    }
    let mut keys = Keys { charset, saves, left: KEYS_MAX };
    let key = keys.all_until_end(cursor)?;
    Ok(Search { numbering, returns, key })
}

/// `"(" [search-return-opt *(SP search-return-opt)] ")"`
fn return_options(cursor: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let mut returns = SearchReturn::default();
    cursor.expect(b'(', "Expected return options in parentheses")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        let start = cursor.clone();
        let option = match cursor.word("Expected a return option")?.as_str() {
            "MIN" => &mut returns.min,
            "MAX" => &mut returns.max,
            "ALL" => &mut returns.all,
            "COUNT" => &mut returns.count,
            "SAVE" => &mut returns.save,
            _ => return Err(start.complain("Unknown return option")),
        };
        *option = true;
        cursor.take_spaces();
    }
    if returns == SearchReturn::default() {
        returns.all = true;
    }
    Ok(returns)
}

/// The keys of one command: what they have in common.
struct Keys {
    charset: Cow<'static, str>,
    saves: bool,
    left: usize,
}

impl Keys {
    /// `search-key *(SP search-key)` up to the end of the command.
    fn all_until_end(&mut self, cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
        let mut keys = vec![self.key(cursor, 0)?];
        while cursor.take_space_before_more() {
            keys.push(self.key(cursor, 0)?);
        }
        Ok(one_or_all(keys))
    }

    fn key(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        if depth == DEPTH_MAX {
            return Err(cursor.complain("Search keys are nested too deep"));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(cursor.complain("Too many search keys"));
        };
        self.left = left;
        match cursor.peek() {
            Some(b'(') => self.list(cursor, depth),
            Some(b'*' | b'$' | b'0'..=b'9') => cursor.sequence_set().map(SearchKey::Sequence),
            _ => self.named(cursor, depth),
        }
    }

    /// `"(" search-key *(SP search-key) ")"`
    fn list(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        cursor.expect(b'(', "Expected search keys in parentheses")?;
        cursor.take_spaces();
        let mut keys = Vec::new();
        loop {
            keys.push(self.key(cursor, depth + 1)?);
            let spaces = cursor.take_spaces();
            if cursor.take(b')') {
                return Ok(one_or_all(keys));
            }
            if !spaces {
                return Err(cursor.complain("Expected a space or the end of the search keys"));
            }
        }
    }

    fn named(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        let start = cursor.clone();
        let name = cursor.word("Expected a search key")?;
        if let Some(key) = flag_key(&name) {
            return Ok(key);
        }
        cursor.space_before_arguments()?;
        match name.as_str() {
            "OR" => self.alternatives(cursor, depth),
            "NOT" => self.negation(cursor, depth),
            "BODY" => self.needle(cursor).map(SearchKey::Body),
            "TEXT" => self.needle(cursor).map(SearchKey::Text),
            "BCC" => self.envelope(cursor, EnvelopeField::Bcc),
            "CC" => self.envelope(cursor, EnvelopeField::Cc),
            "FROM" => self.envelope(cursor, EnvelopeField::From),
            "SUBJECT" => self.envelope(cursor, EnvelopeField::Subject),
            "TO" => self.envelope(cursor, EnvelopeField::To),
            "HEADER" => self.header(cursor),
            _ => plain_argument(cursor, &name, &start),
        }
    }

    /// `OR a b`, where `b` may be another OR: a chain of any length is one list.
    fn alternatives(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        let mut keys = Vec::new();
        loop {
            keys.push(self.key(cursor, depth + 1)?);
            cursor.space()?;
            if !cursor.take_word("OR") {
                break;
            }
            cursor.space()?;
        }
        keys.push(self.key(cursor, depth + 1)?);
        Ok(SearchKey::Or(keys))
    }

    /// `NOT a`, where `a` may be another NOT: a chain of any length is one or none.
    fn negation(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        let mut is_negated = true;
        while cursor.take_word("NOT") {
            cursor.space()?;
            is_negated = !is_negated;
        }
        let key = self.key(cursor, depth + 1)?;
        Ok(if is_negated { not(key) } else { key })
    }

    fn envelope(&mut self, cursor: &mut Cursor<'_>, field: EnvelopeField) -> Parsed<SearchKey> {
        self.needle(cursor).map(|needle| SearchKey::Envelope(field, needle))
    }

    /// `"HEADER" SP header-fld-name SP astring`
    fn header(&mut self, cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
        let start = cursor.clone();
        let name = cursor.astring("Expected a field name")?;
        // Some clients give the colon along.
        let name = name.strip_suffix(b":").unwrap_or(&name);
        let name = std::str::from_utf8(name).ok().and_then(FieldName::parse);
        let name = name.ok_or_else(|| start.complain("No header field can be called so"))?;
        cursor.space()?;
        self.needle(cursor).map(|needle| SearchKey::Header(name, needle))
    }

    /// Text to find, in UTF-8 whatever it came in.
    fn needle(&mut self, cursor: &mut Cursor<'_>) -> Parsed<Needle> {
        let octets = cursor.astring("Expected a text to find")?;
        let text = charset::to_utf8(&self.charset, &octets);
        text.map(Needle).ok_or(BadKind::Charset { saves: self.saves })
    }
}

fn one_or_all(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(key) if keys.is_empty() => key,
        Some(key) => {
            keys.push(key);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

/// Keys that are a word alone.
fn flag_key(name: &str) -> Option<SearchKey> {
    use SystemFlag::{Answered, Deleted, Draft, Flagged, Seen};
    Some(match name {
        "ALL" => SearchKey::All,
        "ANSWERED" => SearchKey::Flag(Answered),
        "DELETED" => SearchKey::Flag(Deleted),
        "DRAFT" => SearchKey::Flag(Draft),
        "FLAGGED" => SearchKey::Flag(Flagged),
        "SEEN" => SearchKey::Flag(Seen),
        "UNANSWERED" => not(SearchKey::Flag(Answered)),
        "UNDELETED" => not(SearchKey::Flag(Deleted)),
        "UNDRAFT" => not(SearchKey::Flag(Draft)),
        "UNFLAGGED" => not(SearchKey::Flag(Flagged)),
        "UNSEEN" => not(SearchKey::Flag(Seen)),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Flag(Seen))]),
        "OLD" => not(SearchKey::Recent),
        "RECENT" => SearchKey::Recent,
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => return None,
    })
}

/// Keys whose argument is neither text nor another key. `start` is where the name stands.
fn plain_argument(cursor: &mut Cursor<'_>, name: &str, start: &Cursor<'_>) -> Parsed<SearchKey> {
    Ok(match name {
        "KEYWORD" => SearchKey::Keyword(keyword(cursor)?),
        "UNKEYWORD" => not(SearchKey::Keyword(keyword(cursor)?)),
        "LARGER" => SearchKey::Larger(cursor.number("Expected how many octets")?),
        "SMALLER" => SearchKey::Smaller(cursor.number("Expected how many octets")?),
        "OLDER" => SearchKey::Older(cursor.number_not_zero("Expected how many seconds")?),
        "YOUNGER" => SearchKey::Younger(cursor.number_not_zero("Expected how many seconds")?),
        "UID" => SearchKey::Uid(cursor.sequence_set()?),
        "MODSEQ" => mod_seq(cursor)?,
        "EMAILID" => SearchKey::EmailId(object_id::parse_email_id(cursor.atom("Expected an identifier")?)),
        "THREADID" => SearchKey::ThreadId(object_id::parse_thread_id(cursor.atom("Expected an identifier")?)),
        "BEFORE" => date(cursor, DateOf::Internal, DateIs::Before)?,
        "ON" => date(cursor, DateOf::Internal, DateIs::On)?,
        "SINCE" => date(cursor, DateOf::Internal, DateIs::Since)?,
        "SENTBEFORE" => date(cursor, DateOf::Sent, DateIs::Before)?,
        "SENTON" => date(cursor, DateOf::Sent, DateIs::On)?,
        "SENTSINCE" => date(cursor, DateOf::Sent, DateIs::Since)?,
        "SAVEDBEFORE" => date(cursor, DateOf::Saved, DateIs::Before)?,
        "SAVEDON" => date(cursor, DateOf::Saved, DateIs::On)?,
        "SAVEDSINCE" => date(cursor, DateOf::Saved, DateIs::Since)?,
        _ => return Err(start.complain("Unknown search key")),
    })
}

fn keyword(cursor: &mut Cursor<'_>) -> Parsed<Keyword> {
    let start = cursor.clone();
    Keyword::parse(cursor.atom("Expected a keyword")?).map_err(|_| start.complain("A keyword is too long"))
}

/// `date = date-text / DQUOTE date-text DQUOTE`
fn date(cursor: &mut Cursor<'_>, of: DateOf, is: DateIs) -> Parsed<SearchKey> {
    let start = cursor.clone();
    let text = cursor.astring("Expected a date")?;
    let day = Day::parse(&text).ok_or_else(|| start.complain("Expected a date like 1-Feb-1994"))?;
    Ok(SearchKey::Date { of, is, day })
}

/// `"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer` (RFC 7162 §7)
fn mod_seq(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    if cursor.peek() == Some(b'"') {
        cursor.string("Expected an entry name")?;
        cursor.space()?;
        let start = cursor.clone();
        if !matches!(cursor.word("Expected an entry type")?.as_str(), "PRIV" | "SHARED" | "ALL") {
            return Err(start.complain("Expected priv, shared or all"));
        }
        cursor.space()?;
    }
    cursor.mod_seq().map(SearchKey::ModSeq)
}
