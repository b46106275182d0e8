//! Reads a configuration file against the table: every fault with its line and what it should have been.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::kind::{Kind, Value, Written};
use super::table::{self, Row, TABLE};

/// Values by key, as far as somebody set them.
pub(crate) type Values = BTreeMap<&'static str, Value>;

/// One thing that is wrong with a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Where: `FILE:LINE:COLUMN`, or the environment variable.
    pub(crate) place: String,
    /// What is wrong and what would be right.
    pub(crate) what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Reads a file's text; relative paths are taken from the file's directory.
pub(crate) fn read(text: &str, file: &Path) -> Result<Values, Vec<Fault>> {
    let mut reader = Reader { text, file, values: Values::new(), faults: Vec::new() };
    match DeTable::parse(text) {
        Ok(table) => reader.table("", table.get_ref()),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            reader.fault(start, error.message().to_owned());
        }
    }
    if reader.faults.is_empty() { Ok(reader.values) } else { Err(reader.faults) }
}

/// Takes up what the environment overrides.
pub(crate) fn read_environment(
    values: &mut Values,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), Vec<Fault>> {
    let by_name: BTreeMap<String, &'static Row> =
        TABLE.iter().map(|row| (table::environment_name(row.key), row)).collect();
    let mut faults = Vec::new();
    for (name, text) in variables {
        let Some(row) = by_name.get(&name) else { continue };
        match row.kind.read_environment(&text) {
            Ok(value) => {
                values.insert(row.key, value);
            }
            Err(what) => faults.push(Fault { place: format!("environment variable {name}"), what }),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    values: Values,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, offset: usize, what: String) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&octet| octet != b'\n').count() + 1;
        self.faults.push(Fault { place: format!("{}:{line}:{column}", self.file.display()), what });
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            match (table::find(&key), value.get_ref()) {
                (Some(row), _) => self.value(row, value),
                (None, DeValue::Table(inner)) if is_table(&key) => self.table(&key, inner),
                (None, _) => self.fault(name.span().start, unknown(&key)),
            }
        }
    }

    fn value(&mut self, row: &'static Row, value: &Spanned<DeValue<'_>>) {
        let written = written(row.kind, value.get_ref());
        match row.kind.read(&written) {
            Ok(value) => {
                let value = self.at_home(value);
                self.values.insert(row.key, value);
            }
            Err(what) => self.fault(value.span().start, format!("{}: {what}", row.key)),
        }
    }

    /// Relative paths are the file's, not those of whoever starts the server from wherever.
    fn at_home(&self, value: Value) -> Value {
        let home = self.file.parent().unwrap_or(Path::new(""));
        match value {
            Value::Path(path) => Value::Path(home.join(path)),
            Value::Certificates(pairs) => Value::Certificates(
                pairs
                    .into_iter()
                    .map(|(certificate, key)| (home.join(certificate), home.join(key)))
                    .collect(),
            ),
            other => other,
        }
    }
}

fn written<'a>(kind: Kind, value: &'a DeValue<'a>) -> Written<'a> {
    match value {
        DeValue::Boolean(on) => Written::Switch(*on),
        DeValue::Integer(integer) => i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
            .map_or(Written::Other("this number"), Written::Number),
        DeValue::String(text) => Written::Text(text),
        DeValue::Array(items) if matches!(kind, Kind::Certificates) && !items.is_empty() => pairs(items),
        DeValue::Array(items) => match items.iter().map(|item| item.get_ref().as_str()).collect() {
            Some(items) => Written::List(items),
            None => Written::Other("this list"),
        },
        DeValue::Float(number) => Written::Fraction(number.as_str()),
        DeValue::Datetime(_) => Written::Other("a date"),
        DeValue::Table(_) => Written::Other("a table"),
    }
}

fn pairs<'a>(items: &'a DeArray<'a>) -> Written<'a> {
    let pair = |item: &'a Spanned<DeValue<'a>>| {
        let table = item.get_ref().as_table().filter(|table| table.len() == 2)?;
        let file = |name: &str| table.get(name)?.get_ref().as_str();
        Some((file("certificate")?, file("key")?))
    };
    items.iter().map(pair).collect::<Option<_>>().map_or(Written::Other("this list"), Written::Pairs)
}

fn is_table(key: &str) -> bool {
    TABLE.iter().any(|row| row.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(key: &str) -> String {
    let nearest = TABLE.iter().map(|row| (distance(key, row.key), row.key)).min();
    match nearest {
        // Beyond half the letters wrong, a guess would only mislead.
        Some((wrong, near)) if wrong * 2 <= key.len() => {
            format!("there is no setting {key}; did you mean {near}?")
        }
        _ => format!("there is no setting {key}; `mailstead config show --defaults` lists them all"),
    }
}

/// How many letters to insert, delete or change to get from one name to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut costs: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.bytes().enumerate() {
        let mut diagonal = row;
        costs[0] = row + 1;
        for (column, b) in to.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = costs[column + 1];
            costs[column + 1] = change.min(diagonal + 1).min(costs[column] + 1);
        }
    }
    costs[to.len()]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(text: &str) -> Result<Values, String> {
        read(text, Path::new("/etc/m/mailstead.toml"))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn values_are_read_by_their_kind() {
        let values = check(
            "hostname = \"Mail.Example.org\"\ndata = \"store\"\n[smtp]\nmessage_octets_max = \"20M\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nlmtp.enabled = true\n\
             [tls]\ncertificates = [{ certificate = \"c.pem\", key = \"/k.pem\" }]",
        )
        .unwrap();
        assert_eq!(values["hostname"], Value::Text("mail.example.org".into()));
        assert_eq!(values["data"], Value::Path("/etc/m/store".into()));
        assert_eq!(values["smtp.message_octets_max"], Value::Octets(20 << 20));
        assert_eq!(values["listen.lmtp.enabled"], Value::Switch(true));
        let pair = (PathBuf::from("/etc/m/c.pem"), PathBuf::from("/k.pem"));
        assert_eq!(values["tls.certificates"], Value::Certificates(vec![pair]));
    }

    #[test]
    fn a_misspelt_name_is_refused_with_line_and_nearest() {
        let fault = check("hostname = \"a.example\"\n\n[smtp]\nrecipient_max = 3\n").unwrap_err();
        assert_eq!(
            fault,
            "/etc/m/mailstead.toml:4:1: there is no setting smtp.recipient_max; did you mean smtp.recipients_max?"
        );
        assert!(check("zzz = 1").unwrap_err().contains("config show --defaults"));
    }

    #[test]
    fn a_bad_value_is_refused_with_line_and_bounds() {
        let fault = check("[smtp]\nrecipients_max = 5").unwrap_err();
        assert_eq!(
            fault,
            "/etc/m/mailstead.toml:2:18: smtp.recipients_max: 5 is not a number from 100 to 100000"
        );
        for text in [
            "hostname = 5",
            "smtp = 1",
            "[log]\nlevel = \"loud\"",
            "listen.addresses = [1]",
            "tls.certificates = [{ certificate = \"c\" }]",
            "hostname = \"a\"\nhostname = \"b\"",
            "x =",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        assert_eq!(check("a = 1\nb = 2\n[smtp]\nc = 3").unwrap_err().lines().count(), 3);
    }

    #[test]
    fn the_environment_overrides() {
        let mut values = check("hostname = \"a.example\"").unwrap();
        let set = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let variables = [
            set("MAILSTEAD_HOSTNAME", "b.example"),
            set("MAILSTEAD_LISTEN_ADDRESSES", "127.0.0.1, ::1"),
            set("MAILSTEAD_TLS_CERTIFICATES", "/c.pem:/k.pem"),
            set("MAILSTEAD_CORPUS", "/tmp"),
        ];
        read_environment(&mut values, variables.into_iter()).unwrap();
        assert_eq!(values["hostname"], Value::Text("b.example".into()));
        assert_eq!(values["listen.addresses"], Value::List(vec!["127.0.0.1".into(), "::1".into()]));
        let bad = [set("MAILSTEAD_SMTP_RECIPIENTS_MAX", "many")];
        let faults = read_environment(&mut values, bad.into_iter()).unwrap_err();
        assert!(faults[0].place.contains("MAILSTEAD_SMTP_RECIPIENTS_MAX"));
    }
}
