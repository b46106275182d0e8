//! Expressions over rules (`meta`): truth and arithmetic with what is known. What is not known is a span of what it could be, so that
//! a rule fires only where it would fire whatever the unknown is.

/// Octets of an expression.
pub(super) const EXPRESSION_OCTETS_MAX: usize = 32 * 1024;

/// Parentheses in parentheses.
pub(super) const DEPTH_MAX: usize = 30;

/// An expression over rules named by `R`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression<R> {
    Number(f64),
    Rule(R),
    Not(Box<Expression<R>>),
    Minus(Box<Expression<R>>),
    All(Vec<Expression<R>>),
    Any(Vec<Expression<R>>),
    /// Added up one after another.
    Sum(Vec<Expression<R>>),
    Product(Box<Expression<R>>, Vec<(Scale, Expression<R>)>),
    Compared(Box<Expression<R>>, Comparison, Box<Expression<R>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Times,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

/// What a value is known to be at least and at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Span {
    pub(super) const NO: Span = Span { low: 0.0, high: 0.0 };
    pub(super) const YES: Span = Span { low: 1.0, high: 1.0 };
    pub(super) const UNKNOWN: Span = Span { low: 0.0, high: 1.0 };

    pub(super) fn exactly(number: f64) -> Span {
        Span { low: number, high: number }
    }

    fn between(numbers: [f64; 4]) -> Span {
        let number = numbers.map(|number| if number.is_finite() { number } else { 0.0 });
        Span {
            low: number.iter().copied().fold(f64::MAX, f64::min),
            high: number.iter().copied().fold(f64::MIN, f64::max),
        }
    }

    fn or(self, other: Span) -> Span {
        Span { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn is_zero(self) -> bool {
        self.low == 0.0 && self.high == 0.0
    }

    /// Whether it is surely something else than zero.
    pub(super) fn is_true(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    fn decided(yes: bool, no: bool) -> Span {
        match (yes, no) {
            (true, _) => Span::YES,
            (_, true) => Span::NO,
            _ => Span::UNKNOWN,
        }
    }
}

impl<R> Expression<R> {
    /// Its value; `value` tells those of rules and is asked only where it matters.
    pub(super) fn value(&self, value: &mut impl FnMut(&R) -> Span) -> Span {
        match self {
            Expression::Number(number) => Span::exactly(*number),
            Expression::Rule(rule) => value(rule),
            Expression::Not(inner) => {
                let inner = inner.value(value);
                Span::decided(inner.is_zero(), inner.is_true())
            }
            Expression::Minus(inner) => {
                let inner = inner.value(value);
                Span { low: -inner.high, high: -inner.low }
            }
            Expression::All(terms) => {
                let mut all = Span::YES;
                for term in terms {
                    let this = term.value(value);
                    if this.is_zero() {
                        return Span::NO;
                    }
                    all = if all.is_true() { this } else { this.or(Span::NO) };
                }
                all
            }
            Expression::Any(terms) => {
                let mut any = Span::NO;
                for term in terms {
                    let this = term.value(value);
                    any = match any.is_zero() {
                        true => this,
                        // Whichever of them it is, it is not zero.
                        false if this.is_true() => Span { low: 1.0, high: any.high.max(this.high).max(1.0) },
                        false => any.or(this),
                    };
                    if this.is_true() {
                        return any;
                    }
                }
                any
            }
            Expression::Sum(terms) => terms.iter().fold(Span::NO, |sum, term| {
                let this = term.value(value);
                Span { low: sum.low + this.low, high: sum.high + this.high }
            }),
            Expression::Product(first, others) => {
                let mut product = first.value(value);
                for (scale, other) in others {
                    let other = other.value(value);
                    let two = |a: f64, b: f64| if *scale == Scale::Times { a * b } else { a / b };
                    product = Span::between([
                        two(product.low, other.low),
                        two(product.low, other.high),
                        two(product.high, other.low),
                        two(product.high, other.high),
                    ]);
                }
                product
            }
            Expression::Compared(left, comparison, right) => {
                compare(left.value(value), *comparison, right.value(value))
            }
        }
    }

    /// The same over other names of rules.
    pub(super) fn map<T>(self, to: &mut impl FnMut(R) -> T) -> Expression<T> {
        let mut all = |terms: Vec<Expression<R>>| terms.into_iter().map(|term| term.map(to)).collect();
        match self {
            Expression::Number(number) => Expression::Number(number),
            Expression::All(terms) => Expression::All(all(terms)),
            Expression::Any(terms) => Expression::Any(all(terms)),
            Expression::Sum(terms) => Expression::Sum(all(terms)),
            Expression::Rule(rule) => Expression::Rule(to(rule)),
            Expression::Not(inner) => Expression::Not(Box::new(inner.map(to))),
            Expression::Minus(inner) => Expression::Minus(Box::new(inner.map(to))),
            Expression::Product(first, others) => Expression::Product(
                Box::new(first.map(to)),
                others.into_iter().map(|(scale, other)| (scale, other.map(to))).collect(),
            ),
            Expression::Compared(left, comparison, right) => {
                Expression::Compared(Box::new(left.map(to)), comparison, Box::new(right.map(to)))
            }
        }
    }
}

fn compare(a: Span, comparison: Comparison, b: Span) -> Span {
    match comparison {
        Comparison::Less => Span::decided(a.high < b.low, a.low >= b.high),
        Comparison::LessOrEqual => Span::decided(a.high <= b.low, a.low > b.high),
        Comparison::Greater => compare(b, Comparison::Less, a),
        Comparison::GreaterOrEqual => compare(b, Comparison::LessOrEqual, a),
        Comparison::Equal => {
            Span::decided(a.low == b.high && a.high == b.low, a.high < b.low || b.high < a.low)
        }
        Comparison::Unequal => {
            let equal = compare(a, Comparison::Equal, b);
            Span::decided(equal.is_zero(), equal.is_true())
        }
    }
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression<String>, String> {
    if text.len() > EXPRESSION_OCTETS_MAX {
        return Err("its expression is too long".to_owned());
    }
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let expression = parser.any()?;
    if parser.rest.is_empty() {
        return Ok(expression);
    }
    Err(format!(
        "its expression cannot be read from “{}” on",
        parser.rest.chars().take(20).collect::<String>()
    ))
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression<String>, String> {
        self.chain(&["||", "or "], Self::all, Expression::Any)
    }

    fn all(&mut self) -> Result<Expression<String>, String> {
        self.chain(&["&&", "and "], Self::compared, Expression::All)
    }

    fn chain(
        &mut self,
        marks: &[&str],
        term: fn(&mut Self) -> Result<Expression<String>, String>,
        make: fn(Vec<Expression<String>>) -> Expression<String>,
    ) -> Result<Expression<String>, String> {
        let first = term(self)?;
        let mut terms = vec![first];
        while marks.iter().any(|mark| self.takes(mark)) {
            terms.push(term(self)?);
        }
        match terms.pop() {
            Some(only) if terms.is_empty() => Ok(only),
            last => Ok(make(terms.into_iter().chain(last).collect())),
        }
    }

    fn compared(&mut self) -> Result<Expression<String>, String> {
        let left = self.sum()?;
        let comparisons = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (mark, comparison) in comparisons {
            if self.takes(mark) {
                return Ok(Expression::Compared(Box::new(left), comparison, Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression<String>, String> {
        let first = self.product()?;
        let mut terms = vec![first];
        loop {
            if self.takes("+") {
                terms.push(self.product()?);
            } else if self.takes("-") {
                terms.push(Expression::Minus(Box::new(self.product()?)));
            } else {
                break;
            }
        }
        match terms.pop() {
            Some(only) if terms.is_empty() => Ok(only),
            last => Ok(Expression::Sum(terms.into_iter().chain(last).collect())),
        }
    }

    fn product(&mut self) -> Result<Expression<String>, String> {
        let first = self.value()?;
        let mut others = Vec::new();
        loop {
            if self.takes("*") {
                others.push((Scale::Times, self.value()?));
            } else if self.takes("/") {
                others.push((Scale::Over, self.value()?));
            } else {
                break;
            }
        }
        Ok(if others.is_empty() { first } else { Expression::Product(Box::new(first), others) })
    }

    fn value(&mut self) -> Result<Expression<String>, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("its expression has too many parentheses in parentheses".to_owned());
        }
        let value = self.one();
        self.depth -= 1;
        value
    }

    fn one(&mut self) -> Result<Expression<String>, String> {
        if !self.rest.starts_with("!=") && self.takes("!") {
            return Ok(Expression::Not(Box::new(self.value()?)));
        }
        if self.takes("-") {
            return Ok(Expression::Minus(Box::new(self.value()?)));
        }
        if self.takes("(") {
            let inner = self.any()?;
            return if self.takes(")") {
                Ok(inner)
            } else {
                Err("its expression leaves a parenthesis open".to_owned())
            };
        }
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(end);
        if word.is_empty() {
            return Err("its expression ends where a rule should stand".to_owned());
        }
        self.rest = behind.trim_start();
        if self.rest.starts_with('(') {
            return Err(format!("its expression calls {word}"));
        }
        match word.parse::<f64>() {
            Ok(number) if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                Ok(Expression::Number(number))
            }
            _ => Ok(Expression::Rule(word.to_owned())),
        }
    }

    fn takes(&mut self, mark: &str) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(behind) => {
                self.rest = behind.trim_start();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules named `Y` are true, `N` false, `T` three; others are not known.
    fn value(text: &str) -> Span {
        parse(text).unwrap().value(&mut |name: &String| match name.as_str() {
            "Y" => Span::YES,
            "N" => Span::NO,
            "T" => Span::exactly(3.0),
            _ => Span::UNKNOWN,
        })
    }

    #[test]
    fn what_is_known_decides() {
        for text in [
            "Y",
            "Y && !N",
            "N || Y",
            "(Y + Y + N) > 1",
            "T == 3",
            "T * 2 >= 6",
            "T / 2 > 1",
            "!N && (Y || N)",
            "-T < 0",
            "1 - Y == 0",
            "Y and not_known or Y",
        ] {
            assert!(value(text).is_true(), "{text}");
        }
        for text in ["N", "!Y", "Y && N", "Y + Y > 2", "T != 3", "0", "N && X"] {
            assert_eq!(value(text), Span::NO, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_decides_nothing() {
        for text in ["X", "!X", "Y && X", "Y && !X", "N || X", "Y + X > 1", "X == 1", "X / X"] {
            let value = value(text);
            assert!(!value.is_true() && value != Span::NO, "{text}: {value:?}");
        }
        for text in ["Y || X", "X || Y", "Y + X > 0", "T + X > 2", "!(N && X)"] {
            assert!(value(text).is_true(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "Y &&", "(Y", "Y Y", "Y)", "f(Y)", "Y ? 1 : 2", "Y & N"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn expressions_are_bounded() {
        // The innermost value takes one step of its own.
        for (depth, is_taken) in [(DEPTH_MAX - 2, true), (DEPTH_MAX - 1, true), (DEPTH_MAX, false)] {
            assert_eq!(
                parse(&format!("{}Y{}", "(".repeat(depth), ")".repeat(depth))).is_ok(),
                is_taken,
                "{depth}"
            );
            assert_eq!(parse(&format!("{}Y", "!".repeat(depth))).is_ok(), is_taken, "{depth}");
        }
        for (octets, is_taken) in [
            (EXPRESSION_OCTETS_MAX - 1, true),
            (EXPRESSION_OCTETS_MAX, true),
            (EXPRESSION_OCTETS_MAX + 1, false),
        ] {
            assert_eq!(parse(&"Y".repeat(octets)).is_ok(), is_taken);
        }
        assert!(value(&format!("N{}", " || Y".repeat(4_000))).is_true());
    }
}
