//! Arguments of commands and tests: tags and what follows them, held against the row they belong to (RFC 5228 §2.6).

use crate::compiler::Compiler;
use crate::fault::Place;
use crate::node::{Arg, Node};
use crate::parser::Argument;
use crate::spec::{Kind, Positional, Spec, Tag};

impl Compiler<'_> {
    /// Sorts tags from what follows them; whether all of it fits.
    pub(crate) fn arguments(&mut self, node: &mut Node, arguments: Vec<(Place, Argument<'_>)>) -> bool {
        let words = node.spec;
        let mut tags = Vec::new();
        let mut groups: Vec<&'static str> = Vec::new();
        let mut positional = Vec::new();
        let mut rest = arguments.into_iter().peekable();
        while let Some((place, argument)) = rest.next() {
            let Argument::Tag(name) = argument else {
                positional.push((place, argument));
                continue;
            };
            let Some(tag) = self.find_tag(node.spec, name, place) else { return false };
            if !positional.is_empty() {
                self.fault(place, format!("unexpected tagged argument ':{name}' after others of {words}"));
                return false;
            }
            if tags.iter().any(|(known, _)| *known == tag.name) || groups.contains(&tag.group) {
                self.fault(
                    place,
                    format!("unexpected tagged argument ':{name}' of {words}: it has one such already"),
                );
                return false;
            }
            if !tag.group.is_empty() {
                groups.push(tag.group);
            }
            let value = match tag.value {
                None => Arg::None,
                Some(kind) => {
                    let value = rest.next_if(|(_, next)| !matches!(next, Argument::Tag(_)));
                    match value.map(|(place, value)| self.value(kind, value, place)) {
                        Some(Some(value)) => value,
                        _ => {
                            self.fault(
                                place,
                                format!("the tag ':{name}' of {words} requires a {} behind it", kind.words()),
                            );
                            return false;
                        }
                    }
                }
            };
            tags.push((tag.name, value));
        }
        // One way to say one thing, so that printing is canonical.
        tags.sort_by_key(|(name, _)| *name);
        node.tags = tags.into();
        self.positional(node, positional)
    }

    fn find_tag(&mut self, spec: &'static Spec, name: &str, place: Place) -> Option<&'static Tag> {
        let mut lacking = None;
        for tag in
            spec.tags.iter().flat_map(|tags| tags.iter()).filter(|tag| tag.name.eq_ignore_ascii_case(name))
        {
            match tag.need {
                Some(extension) if !self.has(extension) => lacking = Some(extension),
                _ => return Some(tag),
            }
        }
        if !self.unknown.insert(format!("{}:{}", spec.name, name.to_ascii_lowercase())) {
            return None;
        }
        let why = match lacking {
            Some(extension) => format!("needs require \"{}\"", extension.name()),
            None => "is none of its tags".to_owned(),
        };
        self.fault(place, format!("unknown tagged argument ':{name}' for {spec} ({why})"));
        None
    }

    fn positional(&mut self, node: &mut Node, given: Vec<(Place, Argument<'_>)>) -> bool {
        let words = node.spec;
        let wanted = node.spec.arguments;
        let optional = wanted.iter().filter(|argument| argument.is_optional).count();
        let leaves_out = given.len() + 1 == wanted.len() && optional == 1;
        if given.len() != wanted.len() && !leaves_out {
            let place = given.get(wanted.len()).map_or(node.place, |(place, _)| *place);
            let verb = if given.len() == 1 { "is" } else { "are" };
            let noun = if wanted.len() == 1 { "argument" } else { "arguments" };
            self.fault(
                place,
                format!(
                    "{words} requires {} positional {noun}, but {} {verb} specified",
                    wanted.len(),
                    given.len()
                ),
            );
            return false;
        }
        let mut given = given.into_iter();
        let mut args = Vec::with_capacity(wanted.len());
        for (index, Positional { name, kind, is_optional }) in wanted.iter().enumerate() {
            if leaves_out && *is_optional {
                args.push(Arg::None);
                continue;
            }
            let Some((place, argument)) = given.next() else { return false };
            let found = describe(&argument);
            let Some(value) = self.value(*kind, argument, place) else {
                self.fault(
                    place,
                    format!(
                        "{words} expects a {} as argument {} ({name}), but a {found} was found",
                        kind.words(),
                        index + 1
                    ),
                );
                return false;
            };
            args.push(value);
        }
        node.args = args.into();
        true
    }

    fn value(&mut self, kind: Kind, argument: Argument<'_>, place: Place) -> Option<Arg> {
        Some(match (kind, argument) {
            (Kind::Number, Argument::Number(number)) => Arg::Number(number),
            (Kind::String, Argument::String(string)) => Arg::Text(self.text(string, place)),
            (Kind::Strings, Argument::String(string)) => Arg::List(Box::new([self.text(string, place)])),
            (Kind::Strings, Argument::List(strings)) => {
                Arg::List(strings.into_iter().map(|string| self.text(string, place)).collect())
            }
            _ => return None,
        })
    }
}

fn describe(argument: &Argument<'_>) -> &'static str {
    match argument {
        Argument::Tag(_) => "tag",
        Argument::Number(_) => "number",
        Argument::String(_) => "string",
        Argument::List(_) => "string list",
    }
}
