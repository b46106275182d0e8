//! Scripts that include scripts, looked at as a whole before they are run (RFC 6609 §3.2).

use std::sync::Arc;

use crate::dialect::Bounds;
use crate::extension::include::included;
use crate::fault::{FAULTS_MAX, Fault, Place, cut_words};
use crate::node::Node;
use crate::script::Script;
use crate::world::{ScriptPlace, World};

/// What is wrong with the scripts that a script includes, and those that they include: not there, faulty, too many, too
/// deep, or in a circle. Each fault stands at the include command of `script` that leads to it.
#[must_use]
pub fn check_includes(script: &Script, world: &dyn World, bounds: &Bounds) -> Vec<Fault> {
    let mut check = Check {
        world,
        bounds,
        path: Vec::new(),
        seen: Vec::new(),
        count: 0,
        origin: None,
        faults: Vec::new(),
    };
    check.nodes(&script.nodes);
    check.faults
}

struct Check<'c> {
    world: &'c dyn World,
    bounds: &'c Bounds,
    /// The scripts that lead to the one being looked at.
    path: Vec<(ScriptPlace, String)>,
    /// All scripts looked at.
    seen: Vec<(ScriptPlace, String)>,
    count: usize,
    /// Where the include command stands that led here.
    origin: Option<Place>,
    faults: Vec<Fault>,
}

impl Check<'_> {
    /// Whether there was nothing wrong.
    fn nodes(&mut self, nodes: &[Node]) -> bool {
        let before = self.faults.len();
        for node in nodes {
            if self.faults.len() >= FAULTS_MAX {
                break;
            }
            if let Some((place, name)) = included(node) {
                let is_first = self.origin.is_none();
                let origin = *self.origin.get_or_insert(node.place);
                if let Err(words) = self.include(node, place, name) {
                    self.faults.push(Fault { place: origin, words: cut_words(words) });
                }
                if is_first {
                    self.origin = None;
                }
            }
            self.nodes(node.block.as_deref().unwrap_or_default());
        }
        self.faults.len() == before
    }

    fn include(&mut self, node: &Node, place: ScriptPlace, name: &str) -> Result<(), String> {
        let key = (place, name.to_owned());
        let shown = name.escape_debug();
        if self.path.contains(&key) {
            // RFC 6609 §3.2: with :once a script that is under way is not included again.
            return if node.has("once") {
                Ok(())
            } else {
                Err(format!("the script '{shown}' includes itself"))
            };
        }
        if self.path.len() >= self.bounds.include_nesting_max {
            return Err(format!("scripts are included deeper than {}", self.bounds.include_nesting_max));
        }
        if self.seen.contains(&key) {
            // What is wrong with it has been told.
            return Ok(());
        }
        self.count += 1;
        if self.count > self.bounds.includes_max {
            return Err(format!("more than {} scripts are included", self.bounds.includes_max));
        }
        self.seen.push(key.clone());
        let script: Arc<Script> = match self.world.script(place, name) {
            Ok(Some(script)) => script,
            Ok(None) if node.has("optional") => return Ok(()),
            Ok(None) => return Err(format!("there is no script '{shown}' to include")),
            Err(words) => return Err(format!("the included script '{shown}' is faulty: {words}")),
        };
        self.path.push(key);
        let is_good = self.nodes(&script.nodes);
        self.path.pop();
        if is_good { Ok(()) } else { Err(format!("the included script '{shown}' is faulty")) }
    }
}
