//! Tags of rule files (`replace_tag` and its kin): short names in patterns that stand for longer patterns.

use std::collections::BTreeMap;

use super::pattern::PATTERN_OCTETS_MAX;

/// Tags of all files together.
const TAGS_MAX: usize = 1_000;

/// How often what tags stand for may hold tags.
const PASSES_MAX: usize = 5;

/// What tags stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    tags: BTreeMap<String, Vec<u8>>,
    /// What stands in front of, between and behind tags, by the kind's word.
    around: BTreeMap<(&'static str, String), Vec<u8>>,
}

impl Tags {
    /// Takes a line that defines a tag; `false` for other lines.
    pub(super) fn take(&mut self, word: &str, name: &str, value: &[u8]) -> bool {
        let around = match word {
            "replace_tag" => None,
            "replace_pre" => Some("pre"),
            "replace_inter" => Some("inter"),
            "replace_post" => Some("post"),
            _ => return false,
        };
        if self.tags.len() + self.around.len() < TAGS_MAX {
            match around {
                None => self.tags.insert(name.to_owned(), value.to_vec()),
                Some(kind) => self.around.insert((kind, name.to_owned()), value.to_vec()),
            };
        }
        true
    }

    /// A pattern with its tags replaced; nothing if it would be too long.
    pub(super) fn replace(&self, pattern: &[u8]) -> Option<Vec<u8>> {
        let mut pattern = pattern.to_vec();
        for _ in 0..PASSES_MAX {
            let (next, has_replaced) = self.pass(&pattern);
            if next.len() > PATTERN_OCTETS_MAX {
                return None;
            }
            pattern = next;
            if !has_replaced {
                break;
            }
        }
        Some(pattern)
    }

    fn pass(&self, pattern: &[u8]) -> (Vec<u8>, bool) {
        let mut pattern = pattern.to_vec();
        let mut around = |kind: &'static str| {
            let start = format!("<{kind} ");
            let at = find(&pattern, start.as_bytes())?;
            let end = at + find(pattern.get(at..)?, b">")?;
            let name = String::from_utf8_lossy(pattern.get(at + start.len()..end)?).into_owned();
            pattern.drain(at..=end);
            self.around.get(&(kind, name))
        };
        let (pre, inter, post) = (around("pre"), around("inter"), around("post"));
        let mut next = Vec::with_capacity(pattern.len());
        let mut rest = pattern.as_slice();
        let (mut has_replaced, mut is_after_tag) = (false, false);
        while let Some((&octet, behind)) = rest.split_first() {
            let end = if octet == b'<' { rest.iter().position(|octet| *octet == b'>') } else { None };
            let name =
                end.and_then(|end| rest.get(1..end)).map(|name| String::from_utf8_lossy(name).into_owned());
            match (name.and_then(|name| self.tags.get(&name)), end) {
                (Some(tag), Some(end)) => {
                    if let Some(inter) = inter.filter(|_| is_after_tag) {
                        next.extend_from_slice(inter);
                    }
                    for piece in [pre, Some(tag), post].into_iter().flatten() {
                        next.extend_from_slice(piece);
                    }
                    (has_replaced, is_after_tag) = (true, true);
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
                _ => {
                    next.push(octet);
                    is_after_tag = false;
                    rest = behind;
                }
            }
            if next.len() > PATTERN_OCTETS_MAX {
                break;
            }
        }
        (next, has_replaced)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_replaced_with_what_stands_around_them() {
        let mut tags = Tags::default();
        for (word, name, value) in [
            ("replace_tag", "A", "[a4]"),
            ("replace_tag", "B", "b"),
            ("replace_tag", "AB", "<A><B>"),
            ("replace_inter", "SP", " ?"),
            ("replace_post", "P2", "{1,2}"),
        ] {
            assert!(tags.take(word, name, value.as_bytes()));
        }
        assert!(!tags.take("score", "A", b"1"));
        for (pattern, replaced) in [
            ("x<A>y", "x[a4]y"),
            ("<AB>", "[a4]b"),
            ("<inter SP><post P2><A><B>x<A>", "[a4]{1,2} ?b{1,2}x[a4]{1,2}"),
            ("(?<name>x)<C>", "(?<name>x)<C>"),
        ] {
            assert_eq!(tags.replace(pattern.as_bytes()).as_deref(), Some(replaced.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn what_tags_become_is_bounded() {
        let mut tags = Tags::default();
        tags.take("replace_tag", "A", &b"a".repeat(PATTERN_OCTETS_MAX - 1));
        assert!(tags.replace(b"<A>").is_some() && tags.replace(b"<A>x").is_some());
        assert_eq!(tags.replace(b"<A>xy"), None);
        tags.take("replace_tag", "B", b"<B><B>");
        assert!(tags.replace(b"<B>").is_some_and(|pattern| pattern.len() <= PATTERN_OCTETS_MAX));
        for index in 0..TAGS_MAX {
            tags.take("replace_tag", &format!("T{index}"), b"x");
        }
        assert_eq!(tags.tags.len(), TAGS_MAX);
    }
}
