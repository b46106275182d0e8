//! Which commands run, and tests made of tests (RFC 5228 §3, §5.2, §5.3, §5.6, §5.8, §5.10).

use crate::node::Node;
use crate::run::{Flow, Run, Stop};
use crate::spec::{Block, COMMAND, Does, Spec, Tests};

pub(super) static SPECS: &[Spec] = &[
    Spec { name: "if", tests: Tests::One, block: Block::Needed, action: Does::If, ..COMMAND },
    Spec { name: "elsif", tests: Tests::One, block: Block::Needed, action: Does::Elsif, ..COMMAND },
    Spec { name: "else", block: Block::Needed, action: Does::Else, ..COMMAND },
    Spec { name: "stop", action: Does::Command(|_, _| Ok(Flow::Stop)), ..COMMAND },
    Spec { name: "true", action: Does::Test(|_, _| Ok(true)), ..COMMAND },
    Spec { name: "false", action: Does::Test(|_, _| Ok(false)), ..COMMAND },
    Spec { name: "not", tests: Tests::One, action: Does::Test(not), ..COMMAND },
    Spec { name: "anyof", tests: Tests::List, action: Does::Test(any_of), ..COMMAND },
    Spec { name: "allof", tests: Tests::List, action: Does::Test(all_of), ..COMMAND },
];

fn not(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    match node.tests.first() {
        Some(test) => Ok(!run.test(test)?),
        None => Ok(false),
    }
}

fn any_of(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    for test in &node.tests {
        if run.test(test)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all_of(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    for test in &node.tests {
        if !run.test(test)? {
            return Ok(false);
        }
    }
    Ok(true)
}
