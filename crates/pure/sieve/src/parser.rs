//! Tokens to commands, tests and arguments (RFC 5228 §8.2), before any of them is understood.
//!
//! A fault does not end reading: it goes on behind the command that has it.

use crate::fault::{Faults, Place};
use crate::lexer::{Lexer, Token};

/// Deepest blocks in blocks; tests in tests may be as deep. RFC 5228 §2.10.5 asks for 15.
pub(crate) const NESTING_MAX: usize = 32;
/// Most arguments of one command or test; the one with most has 12.
pub(crate) const ARGUMENTS_MAX: usize = 32;

/// A command or a test as it stands in the script.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) place: Place,
    pub(crate) name: &'a str,
    pub(crate) arguments: Vec<(Place, Argument<'a>)>,
    pub(crate) tests: Tests<'a>,
    pub(crate) block: Option<Vec<Item<'a>>>,
}

/// The tests behind a command's or a test's arguments.
#[derive(Debug)]
pub(crate) enum Tests<'a> {
    None,
    One(Box<Item<'a>>),
    /// In parentheses.
    List(Vec<Item<'a>>),
}

/// One argument.
#[derive(Debug)]
pub(crate) enum Argument<'a> {
    Tag(&'a str),
    Number(u64),
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
}

/// What had to be told about an item; the reader goes on behind it.
struct Broken;

/// Reads a whole script; of one with more than `items_max` commands and tests, no more than those.
pub(crate) fn parse<'a>(text: &'a [u8], items_max: usize, faults: &mut Faults) -> Vec<Item<'a>> {
    let mut lexer = Lexer::new(text);
    let (token, place) = lexer.next(faults);
    let mut parser = Parser { lexer, token, place, items_max, items: 0, faults };
    let items = parser.commands(0);
    debug_assert!(parser.token == Token::End || parser.is_over());
    items
}

struct Parser<'a, 'f> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    place: Place,
    items_max: usize,
    /// Commands and tests so far.
    items: usize,
    faults: &'f mut Faults,
}

impl<'a> Parser<'a, '_> {
    fn advance(&mut self) -> Token<'a> {
        let (token, place) = self.lexer.next(self.faults);
        self.place = place;
        std::mem::replace(&mut self.token, token)
    }

    fn is_at(&self, mark: u8) -> bool {
        self.token == Token::Mark(mark)
    }

    fn fault(&mut self, words: impl Into<String>) {
        self.faults.add(self.place, words);
    }

    /// Whether there is no use in reading on.
    fn is_over(&self) -> bool {
        self.faults.is_full() || self.items > self.items_max
    }

    /// Counts a command or a test.
    fn count(&mut self, place: Place) -> Result<(), Broken> {
        self.items += 1;
        if self.items <= self.items_max {
            return Ok(());
        }
        if self.items == self.items_max + 1 {
            let words = format!("the script has more than {} commands and tests", self.items_max);
            self.faults.add(place, words);
        }
        Err(Broken)
    }

    /// Commands up to the end of their block, or of the script.
    fn commands(&mut self, depth: usize) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        while self.token != Token::End && !self.is_over() {
            if self.is_at(b'}') {
                if depth > 0 {
                    break;
                }
                self.fault("this '}' closes no block");
                self.advance();
            } else if let Token::Identifier(name) = self.token {
                let place = self.place;
                self.advance();
                match self.command(name, place, depth) {
                    Ok(item) => items.push(item),
                    Err(Broken) => self.recover(),
                }
            } else {
                if self.token == Token::Garbage {
                    self.fault("a command was expected here");
                } else {
                    let words = format!("a command was expected here, but {} found", self.words());
                    self.fault(words);
                }
                self.recover();
            }
        }
        items
    }

    fn command(&mut self, name: &'a str, place: Place, depth: usize) -> Result<Item<'a>, Broken> {
        self.count(place)?;
        let arguments = self.arguments(name)?;
        let tests = self.tests(name, 0)?;
        let mut item = Item { place, name, arguments, tests, block: None };
        if self.is_at(b'{') {
            if depth >= NESTING_MAX {
                self.fault(format!("blocks are nested deeper than {NESTING_MAX}"));
                return Err(Broken);
            }
            let opened = self.place;
            self.advance();
            let block = self.commands(depth + 1);
            if !self.is_at(b'}') {
                if !self.is_over() {
                    self.faults.add(opened, "this block is never closed by '}'");
                }
                return Err(Broken);
            }
            self.advance();
            item.block = Some(block);
        } else if self.is_at(b';') {
            self.advance();
        } else {
            let words = match &self.token {
                Token::Garbage => format!("';' was expected behind the {name} command"),
                Token::End | Token::Mark(b'}') => format!("missing semicolon after the {name} command"),
                _ => format!("';' was expected behind the {name} command, but {} found", self.words()),
            };
            self.fault(words);
            return Err(Broken);
        }
        Ok(item)
    }

    fn arguments(&mut self, name: &str) -> Result<Vec<(Place, Argument<'a>)>, Broken> {
        let mut arguments = Vec::new();
        loop {
            let place = self.place;
            let argument = match &mut self.token {
                Token::Tag(tag) => Argument::Tag(tag),
                Token::Number(number) => Argument::Number(*number),
                Token::String(string) => Argument::String(std::mem::take(string)),
                Token::Mark(b'[') => Argument::List(self.list()?),
                _ => return Ok(arguments),
            };
            if !matches!(argument, Argument::List(_)) {
                self.advance();
            }
            if arguments.len() >= ARGUMENTS_MAX {
                self.faults.add(place, format!("'{name}' has more than {ARGUMENTS_MAX} arguments"));
                return Err(Broken);
            }
            arguments.push((place, argument));
        }
    }

    /// `[ "a", "b" ]`. An empty list is no list (RFC 5228 §8.2).
    fn list(&mut self) -> Result<Vec<Vec<u8>>, Broken> {
        self.advance();
        let mut strings = Vec::new();
        loop {
            let Token::String(string) = &mut self.token else {
                let words = format!("a string was expected in this list, but {} found", self.words());
                self.fault(words);
                return Err(Broken);
            };
            strings.push(std::mem::take(string));
            self.advance();
            if self.is_at(b']') {
                self.advance();
                return Ok(strings);
            }
            if !self.is_at(b',') {
                let words = format!("',' or ']' was expected in this list, but {} found", self.words());
                self.fault(words);
                return Err(Broken);
            }
            self.advance();
        }
    }

    fn tests(&mut self, name: &str, depth: usize) -> Result<Tests<'a>, Broken> {
        match self.token {
            Token::Identifier(_) => Ok(Tests::One(Box::new(self.test(depth)?))),
            Token::Mark(b'(') => {
                self.advance();
                let mut tests = Vec::new();
                loop {
                    tests.push(self.test(depth)?);
                    if self.is_at(b')') {
                        self.advance();
                        return Ok(Tests::List(tests));
                    }
                    if !self.is_at(b',') {
                        let words = format!(
                            "',' or ')' was expected in the tests of {name}, but {} found",
                            self.words()
                        );
                        self.fault(words);
                        return Err(Broken);
                    }
                    self.advance();
                }
            }
            _ => Ok(Tests::None),
        }
    }

    fn test(&mut self, depth: usize) -> Result<Item<'a>, Broken> {
        let place = self.place;
        let Token::Identifier(name) = self.token else {
            let words = format!("a test was expected here, but {} found", self.words());
            self.fault(words);
            return Err(Broken);
        };
        if depth >= NESTING_MAX {
            self.fault(format!("tests are nested deeper than {NESTING_MAX}"));
            return Err(Broken);
        }
        self.count(place)?;
        self.advance();
        let arguments = self.arguments(name)?;
        let tests = self.tests(name, depth + 1)?;
        Ok(Item { place, name, arguments, tests, block: None })
    }

    /// Goes behind what is broken: its semicolon or its block; or to the end of the block around it.
    fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token {
                Token::End => return,
                Token::Mark(b';') if depth == 0 => {
                    self.advance();
                    return;
                }
                Token::Mark(b'{') => depth += 1,
                Token::Mark(b'}') if depth == 0 => return,
                Token::Mark(b'}') => {
                    depth -= 1;
                    if depth == 0 {
                        self.advance();
                        return;
                    }
                }
                _ => {}
            }
            self.advance();
        }
    }

    /// What stands here, for a sentence that goes on with "found".
    fn words(&self) -> String {
        match &self.token {
            Token::Identifier(name) => format!("'{name}' was"),
            Token::Tag(name) => format!("the tag ':{name}' was"),
            Token::Number(_) => "a number was".to_owned(),
            Token::String(_) => "a string was".to_owned(),
            Token::Mark(mark) => format!("'{}' was", char::from(*mark)),
            Token::Garbage => "something else was".to_owned(),
            Token::End => "the end of the script was".to_owned(),
        }
    }
}
