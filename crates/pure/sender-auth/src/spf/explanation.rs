//! What a domain's owner tells those who fail: `exp=` (RFC 7208 §6.2).

use super::evaluate::Evaluation;
use super::macro_string::{DomainSpec, MacroString};
use crate::lookup::{Needs, QueryName};

/// Longest explanation that is kept: it goes into an SMTP reply, whose line has 512 octets (RFC 5321 §4.5.3.1.5), with
/// words of our own around it.
pub const EXPLANATION_OCTETS_MAX: usize = 400;

impl Evaluation<'_> {
    /// The explanation; `None` where none is to be had, for whatever reason. Nothing here counts against the limits
    /// (RFC 7208 §4.6.4), and nothing here changes the result.
    pub(super) fn explain(&self, spec: &DomainSpec, domain: &QueryName) -> Result<Option<String>, Needs> {
        let Ok(name) = QueryName::parse(&self.expand(spec, domain)?) else { return Ok(None) };
        let Ok([text]) = self.answers().txt(&name)? else { return Ok(None) };
        let Ok(explanation) = MacroString::parse_explanation(text) else { return Ok(None) };
        let expanded = explanation.expand(EXPLANATION_OCTETS_MAX, |letter| self.value_of(letter, domain))?;
        Ok(Some(printable(&expanded)))
    }
}

/// The text itself is printable; what macros brought from the client need not be.
fn printable(text: &str) -> String {
    text.chars().map(|character| if matches!(character, ' '..='~') { character } else { '?' }).collect()
}
