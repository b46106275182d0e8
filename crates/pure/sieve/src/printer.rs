//! A compiled script as text again, in one canonical form: compiling it gives the same program.

use crate::dialect::Extension;
use crate::node::{Arg, Node};
use crate::script::Script;
use crate::text::{self, Part, Text};

impl Script {
    /// The script as text. Lines end with CRLF, as ManageSieve has them.
    #[must_use]
    pub fn print(&self) -> String {
        let mut printer = Printer { script: self, text: String::new() };
        printer.nodes(&self.nodes, 0);
        printer.text
    }
}

struct Printer<'s> {
    script: &'s Script,
    text: String,
}

impl Printer<'_> {
    fn nodes(&mut self, nodes: &[Node], depth: usize) {
        for node in nodes {
            self.indent(depth);
            self.node(node);
            match &node.block {
                None => self.text.push_str(";\r\n"),
                Some(block) => {
                    self.text.push_str(" {\r\n");
                    self.nodes(block, depth + 1);
                    self.indent(depth);
                    self.text.push_str("}\r\n");
                }
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        self.text.extend(std::iter::repeat_n("    ", depth));
    }

    fn node(&mut self, node: &Node) {
        self.text.push_str(node.spec.name);
        for (name, value) in &node.tags {
            self.text.push_str(" :");
            self.text.push_str(name);
            self.argument(value);
        }
        for arg in &node.args {
            self.argument(arg);
        }
        match (node.spec.tests, node.tests.as_ref()) {
            (crate::spec::Tests::List, tests) => {
                self.text.push_str(" (");
                for (index, test) in tests.iter().enumerate() {
                    if index > 0 {
                        self.text.push_str(", ");
                    }
                    self.node(test);
                }
                self.text.push(')');
            }
            (_, tests) => {
                for test in tests {
                    self.text.push(' ');
                    self.node(test);
                }
            }
        }
    }

    fn argument(&mut self, arg: &Arg) {
        match arg {
            Arg::None => {}
            Arg::Number(number) => {
                self.text.push(' ');
                self.text.push_str(&number.to_string());
            }
            Arg::Text(text) => {
                self.text.push(' ');
                self.string(text);
            }
            Arg::List(texts) => {
                self.text.push(' ');
                let [text] = texts.as_ref() else {
                    self.text.push('[');
                    for (index, text) in texts.iter().enumerate() {
                        if index > 0 {
                            self.text.push_str(", ");
                        }
                        self.string(text);
                    }
                    self.text.push(']');
                    return;
                };
                self.string(text);
            }
        }
    }

    fn string(&mut self, text: &Text) {
        let mut octets = Vec::new();
        match text {
            Text::Constant(constant) => octets.extend_from_slice(constant),
            Text::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Literal(literal) => octets.extend_from_slice(literal),
                        Part::Match(number) => octets.extend_from_slice(format!("${{{number}}}").as_bytes()),
                        Part::Variable(number) => {
                            let variable = self.script.variables.get(usize::from(*number));
                            let name = variable.map(|variable| variable.written.as_ref()).unwrap_or_default();
                            octets.extend_from_slice(format!("${{{name}}}").as_bytes());
                        }
                    }
                }
            }
        }
        self.quoted(&octets);
    }

    /// A quoted string; what it cannot hold as it is can only have come from an encoded character.
    fn quoted(&mut self, octets: &[u8]) {
        let encodes = self.script.required.contains(&Extension::EncodedCharacter);
        self.text.push('"');
        let mut before = 0;
        for chunk in octets.utf8_chunks() {
            for character in chunk.valid().chars() {
                let rest = octets.get(before..).unwrap_or_default();
                match character {
                    '"' | '\\' => self.text.extend(['\\', character]),
                    '\0' if encodes => self.text.push_str("${hex:00}"),
                    '\n' if encodes
                        && before.checked_sub(1).and_then(|at| octets.get(at)) != Some(&b'\r') =>
                    {
                        self.text.push_str("${hex:0a}");
                    }
                    '$' if encodes && text::is_encoded_character(rest) => self.text.push_str("${hex:24}"),
                    character => self.text.push(character),
                }
                before += character.len_utf8();
            }
            for octet in chunk.invalid() {
                self.text.push_str(&format!("${{hex:{octet:02x}}}"));
                before += 1;
            }
        }
        self.text.push('"');
    }
}
