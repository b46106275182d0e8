//! `set` and `string` (RFC 5229), with `:encodeurl` of enotify (RFC 5435 §6) and `:quoteregex` of regex.

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::{Text, is_variable_name};

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "set",
        need: Some(E::Variables),
        tags: &[MODIFIERS],
        arguments: &[Positional::new("name", Kind::String), Positional::new("value", Kind::String)],
        check: check_set,
        action: Does::Command(set),
        ..COMMAND
    },
    Spec {
        name: "string",
        need: Some(E::Variables),
        tags: &[MATCH],
        arguments: &[Positional::new("source", Kind::Strings), Positional::new("key list", Kind::Strings)],
        check: matching::check,
        action: Does::Test(string),
        ..COMMAND
    },
];

/// Modifiers. Of each precedence only one may stand (RFC 5229 §4.1).
pub(super) const MODIFIERS: &[Tag] = &[
    Tag::plain("lower").of("40"),
    Tag::plain("upper").of("40"),
    Tag::plain("lowerfirst").of("30"),
    Tag::plain("upperfirst").of("30"),
    Tag::plain("quotewildcard").of("20"),
    Tag::plain("quoteregex").of("20").needs(E::Regex),
    Tag::plain("encodeurl").of("15").needs(E::Enotify),
    Tag::plain("length").of("10"),
];

/// What each octet costs that may have to be encoded.
const ENCODING_COST: u64 = 12;

fn check_set(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_name(compiler, node, node.arg(0).text());
}

/// The name of a variable that may be given a value.
pub(super) fn check_name(compiler: &mut Compiler<'_>, node: &Node, name: Option<&Text>) {
    match name.and_then(Text::constant_str) {
        Some(name) if is_variable_name(name) => drop(compiler.variable(name, node.place)),
        Some(name) => {
            let words = format!("'{}' is no name of a variable that can be set", name.escape_debug());
            compiler.fault(node.place, words);
        }
        None => compiler.fault(node.place, "the name of a variable must be a constant string"),
    }
}

fn set(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let Some(value) = node.arg(1).text() else { return Ok(Flow::On) };
    let value = modify(run, node, run.expand(value).into_owned())?;
    run.set_named(node.arg(0), value)?;
    Ok(Flow::On)
}

/// What a command's modifiers make of a value (RFC 5229 §4.1).
pub(super) fn modify(run: &Run<'_>, node: &Node, mut value: Vec<u8>) -> Result<Vec<u8>, Stop> {
    let octets_max = run.bounds.variable_octets_max;
    let octet_cost = if node.has("encodeurl") { ENCODING_COST } else { 1 };
    run.charge(value.len() as u64 * octet_cost)?;
    // By precedence, the highest first.
    for (tag, modify) in [
        ("lower", <[u8]>::to_ascii_lowercase as fn(&[u8]) -> Vec<u8>),
        ("upper", <[u8]>::to_ascii_uppercase),
        ("lowerfirst", |value| first(value, |octet| octet.to_ascii_lowercase())),
        ("upperfirst", |value| first(value, |octet| octet.to_ascii_uppercase())),
    ] {
        if node.has(tag) {
            value = modify(&value);
        }
    }
    if node.has("quotewildcard") {
        value = escape(&value, octets_max, |octet| b"*?\\".contains(&octet));
    }
    if node.has("quoteregex") {
        value = escape(&value, octets_max, |octet| b".^$*+?()[]{}|\\".contains(&octet));
    }
    if node.has("encodeurl") {
        value = encode_url(&value, octets_max);
    }
    if node.has("length") {
        value = value.iter().filter(|&&octet| octet & 0xc0 != 0x80).count().to_string().into_bytes();
    }
    Ok(value)
}

impl Run<'_> {
    /// Gives the variable of this constant name its value.
    pub(super) fn set_named(&mut self, name: &Arg, value: Vec<u8>) -> Result<(), Stop> {
        let Some(name) = name.text().and_then(Text::constant_str) else { return Ok(()) };
        match self.variable_number(name) {
            Some(number) => self.set_variable(number, value),
            None => Ok(()),
        }
    }

    /// The number of a variable of the script being run.
    pub(super) fn variable_number(&self, name: &str) -> Option<u16> {
        let variables = &self.frames.last()?.script.variables;
        let number = variables.iter().position(|variable| variable.written.eq_ignore_ascii_case(name))?;
        u16::try_from(number).ok()
    }
}

fn first(value: &[u8], modify: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(first) = value.first_mut() {
        *first = modify(*first);
    }
    value
}

/// Puts a backslash before some characters; what would become too long ends before it.
fn escape(value: &[u8], octets_max: usize, is_special: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for &octet in value {
        let pair: &[u8] = if is_special(octet) { &[b'\\', octet] } else { &[octet] };
        if escaped.len() + pair.len() > octets_max {
            break;
        }
        escaped.extend_from_slice(pair);
    }
    escaped
}

/// RFC 5435 §6: all but the unreserved characters of RFC 3986 become `%` and two digits.
fn encode_url(value: &[u8], octets_max: usize) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(value.len());
    for character in value.utf8_chunks() {
        let characters = character.valid().chars().map(|character| character.to_string().into_bytes());
        for octets in characters.chain(character.invalid().iter().map(|&octet| vec![octet])) {
            let mut code = Vec::with_capacity(octets.len() * 3);
            for octet in octets {
                if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
                    code.push(octet);
                } else {
                    let digit = |half: u8| DIGITS[usize::from(half & 15)];
                    code.extend([b'%', digit(octet >> 4), digit(octet)]);
                }
            }
            if encoded.len() + code.len() > octets_max {
                return encoded;
            }
            encoded.append(&mut code);
        }
    }
    encoded
}

fn string(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let mut is_found = false;
    for text in node.arg(0).texts() {
        let value = run.expand(text);
        // RFC 5229 §5: empty strings are not counted.
        if matching.counts() && value.is_empty() {
            continue;
        }
        if matching.feed(run, Value::new(&value))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}
