//! `redirect` (RFC 5228 §4.2) and its `:copy` (RFC 3894).

use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::message::AddressForm;
use crate::node::{Arg, Node};
use crate::outcome::{Action, Redirect, RedirectTo};
use crate::path::{self, Recipient};
use crate::run::{Flow, Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[Spec {
    name: "redirect",
    tags: &[&[Tag::plain("copy").needs(E::Copy)]],
    arguments: &[Positional::new("address", Kind::String)],
    check,
    action: Does::Command(redirect),
    ..COMMAND
}];

fn check(compiler: &mut Compiler<'_>, node: &mut Node) {
    check_address(compiler, node, node.arg(0));
}

/// A constant that is no address is a fault of the script.
pub(super) fn check_address(compiler: &mut Compiler<'_>, node: &Node, arg: &Arg) {
    let Some(text) = arg.text().and_then(Text::constant) else { return };
    if read(text, compiler.dialect.address_form).is_none() {
        let text = String::from_utf8_lossy(text).into_owned();
        let words = format!(
            "the {} {} has an invalid address '{}'",
            node.spec.name,
            node.spec.kind(),
            text.escape_debug()
        );
        compiler.fault(node.place, words);
    }
}

fn read(text: &[u8], form: AddressForm) -> Option<Recipient> {
    path::recipient(std::str::from_utf8(text).ok()?, form)
}

/// An address of a script, as it is now.
pub(super) fn address(run: &Run<'_>, text: &Text) -> Result<Recipient, Stop> {
    let text = run.expand(text);
    read(&text, run.address_form).ok_or_else(|| {
        Stop::fault(format!("invalid address '{}'", String::from_utf8_lossy(&text).escape_debug()))
    })
}

fn redirect(run: &mut Run<'_>, node: &Node) -> Result<Flow, Stop> {
    let Some(text) = node.arg(0).text() else { return Ok(Flow::On) };
    let to = RedirectTo::Address(address(run, text)?.address);
    let copy = node.has("copy");
    run.decide(node, Action::Redirect(Redirect { to, copy, notify: None, ret: None, deliver_by: None }))?;
    if !copy {
        run.cancel_implicit_keep();
    }
    Ok(Flow::On)
}
