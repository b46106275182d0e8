//! What strings and variables hold while scripts run, and how much of it there may be (RFC 5229 §2, §3).

use std::borrow::Cow;
use std::sync::Arc;

use crate::node::{Arg, Node};
use crate::run::{Run, Stop};
use crate::script::Scope;
use crate::text::{Part, Text};

/// What each string costs that is looked at, beside its octets.
const STRING_COST: u64 = 5;
/// Octets that all variables of a run may hold together.
pub const VALUES_OCTETS_MAX: usize = 8 << 20;
/// Values this small are not counted: there cannot be so many.
const SMALL_VALUE_OCTETS: usize = 1_024;
/// What counting all values costs.
const HELD_COST: u64 = 1_000;

impl Run<'_> {
    /// What a string means now.
    pub(crate) fn expand<'t>(&self, text: &'t Text) -> Cow<'t, [u8]> {
        let parts = match text {
            Text::Constant(octets) => {
                self.owe(STRING_COST + octets.len() as u64 / 4);
                return Cow::Borrowed(octets);
            }
            Text::Parts(parts) => parts,
        };
        // Variables may bring as much as one of them may hold; what the script says itself is bounded with it.
        let literal_octets: usize = parts.iter().map(Part::literal_octets).sum();
        let octets_max = self.bounds.variable_octets_max + literal_octets;
        let mut expanded = Vec::new();
        for part in parts {
            match part {
                Part::Literal(octets) => expanded.extend_from_slice(octets),
                Part::Match(number) => {
                    let matches =
                        self.frames.last().and_then(|frame| frame.matches.get(usize::from(*number)));
                    expanded.extend_from_slice(matches.map(AsRef::as_ref).unwrap_or_default());
                }
                Part::Variable(number) => self.append_variable(*number, &mut expanded),
            }
            if expanded.len() > octets_max {
                break;
            }
        }
        cut(&mut expanded, octets_max);
        self.owe(STRING_COST + expanded.len() as u64 / 4);
        Cow::Owned(expanded)
    }

    fn append_variable(&self, number: u16, expanded: &mut Vec<u8>) {
        let Some(frame) = self.frames.last() else { return };
        let Some(variable) = frame.script.variables.get(usize::from(number)) else { return };
        match variable.scope {
            Scope::Local => {
                let value = frame.locals.get(usize::from(number)).and_then(Option::as_deref);
                expanded.extend_from_slice(value.unwrap_or_default());
            }
            Scope::Global => {
                expanded.extend_from_slice(
                    self.globals.get(&variable.name).map(AsRef::as_ref).unwrap_or_default(),
                );
            }
            Scope::Suite => {
                let value = self.suite.and_then(|suite| suite.variable(&variable.name));
                expanded.extend_from_slice(value.unwrap_or_default().as_bytes());
            }
            Scope::Environment => {
                let value = crate::extension::environment_item(self, &variable.name);
                expanded.extend_from_slice(value.unwrap_or_default().as_bytes());
            }
        }
    }

    /// What a string means now, as text.
    pub(crate) fn string(&self, text: &Text) -> String {
        String::from_utf8_lossy(&self.expand(text)).into_owned()
    }

    /// The strings of an argument, as text. Variables may make all of them together longer than the script by as much as
    /// one of them may hold, no more: a list of references to one that is long would fill the memory.
    pub(crate) fn strings(&self, arg: &Arg) -> Result<Vec<String>, Stop> {
        let mut room = self.list_octets_max();
        let mut strings = Vec::with_capacity(arg.texts().len());
        for text in arg.texts() {
            let string = self.string(text);
            room = room.checked_sub(string.len()).ok_or_else(list_too_long)?;
            strings.push(string);
        }
        self.charge(0)?;
        Ok(strings)
    }

    /// Octets of all strings of a list.
    pub(crate) fn list_octets_max(&self) -> usize {
        self.bounds.script_octets_max.saturating_add(self.bounds.variable_octets_max)
    }

    /// The one string of an argument, as text; empty if there is none.
    pub(crate) fn arg_string(&self, arg: &Arg) -> String {
        arg.text().map(|text| self.string(text)).unwrap_or_default()
    }

    /// The string behind a tag.
    pub(crate) fn tag_string(&self, node: &Node, tag: &str) -> Option<String> {
        node.tag(tag).and_then(Arg::text).map(|text| self.string(text))
    }

    /// Gives a variable its value, cut at a character if it is too long (RFC 5229 §2).
    pub(crate) fn set_variable(&mut self, number: u16, mut value: Vec<u8>) -> Result<(), Stop> {
        self.charge(value.len() as u64 / 4)?;
        cut(&mut value, self.bounds.variable_octets_max);
        if value.len() > SMALL_VALUE_OCTETS {
            self.charge(HELD_COST)?;
            if self.held_octets() + value.len() > VALUES_OCTETS_MAX {
                return Err(Stop::fault(format!(
                    "variables hold more than {VALUES_OCTETS_MAX} octets together"
                )));
            }
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let script = Arc::clone(&frame.script);
        let Some(variable) = script.variables.get(usize::from(number)) else { return Ok(()) };
        match variable.scope {
            Scope::Local => {
                if let Some(local) = frame.locals.get_mut(usize::from(number)) {
                    *local = Some(value.into());
                }
            }
            Scope::Global => {
                let is_new = !self.globals.contains_key(&variable.name);
                if is_new && self.globals.len() >= self.bounds.variables_max {
                    return Err(Stop::fault("too many global variables"));
                }
                self.globals.insert(variable.name.clone(), value.into());
            }
            Scope::Environment | Scope::Suite => {}
        }
        Ok(())
    }

    /// Octets that all variables hold, of scripts that wait for what they include too.
    fn held_octets(&self) -> usize {
        let locals = self.frames.iter().flat_map(|frame| frame.locals.iter().flatten());
        locals.chain(self.globals.values()).map(|value| value.len()).sum()
    }

    /// The value of a variable.
    pub(crate) fn variable(&self, number: u16) -> Vec<u8> {
        let mut value = Vec::new();
        self.append_variable(number, &mut value);
        value
    }

    /// Sets the match variables (RFC 5229 §3.2), each cut as any variable would be.
    pub(crate) fn set_matches(&mut self, matches: Vec<Box<[u8]>>) {
        let octets_max = self.bounds.variable_octets_max;
        let bounded = |value: Box<[u8]>| match value.len() <= octets_max {
            true => value,
            false => {
                let mut value = value.into_vec();
                cut(&mut value, octets_max);
                value.into()
            }
        };
        let matches = matches.into_iter().map(bounded).collect();
        if let Some(frame) = self.frames.last_mut() {
            frame.matches = matches;
        }
    }
}

/// What is told of a list that variables make too long.
pub(crate) fn list_too_long() -> Stop {
    Stop::fault("the strings of one list are too long together")
}

/// Cuts a value that is too long at the last character that fits.
fn cut(value: &mut Vec<u8>, octets_max: usize) {
    if value.len() <= octets_max {
        return;
    }
    let mut end = octets_max;
    while end > 0 && value.get(end).is_some_and(|octet| octet & 0xc0 == 0x80) {
        end -= 1;
    }
    value.truncate(end);
}
