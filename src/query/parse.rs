//! Tokens to a typed tree, by recursive descent: or, and, not, comparison, sum, product, sign, power, from weak to strong.

use super::Schema;
use super::condition::{Arithmetic, Comparison, Condition, Number, TextTest, is_keyword};
use super::error::{QueryError, nearest};
use super::field::{FIELDS, Field, TextField};
use super::lex::{Chars, LexError, Sign, Spanned, Token};

/// Brackets, signs and `not` within each other.
const MAX_DEPTH: usize = 64;
/// Operators on numbers in one query.
const MAX_ARITHMETIC: usize = 256;
/// Characters of a query.
const MAX_LENGTH: usize = 10_000;

/// What a part of a query turned out to be.
pub(super) enum Part {
    Number(Number),
    Condition(Condition),
    /// A field that is no number.
    Field(Field),
    Quoted(String),
    /// A word that names no field.
    Unknown(String),
}

/// A part and its characters.
pub(super) struct Operand {
    pub part: Part,
    pub start: usize,
    pub end: usize,
}

pub(super) type Parsed<T> = Result<T, QueryError>;

pub(super) struct Parser<'a> {
    text: &'a str,
    pub(super) schema: &'a Schema<'a>,
    chars: Chars,
    /// Index of the next character.
    at: usize,
    depth: usize,
    arithmetic: usize,
}

/// The condition that a text spells; `None` of an empty one.
pub(super) fn parse(text: &str, schema: &Schema<'_>) -> Parsed<Option<Condition>> {
    let mut parser = Parser {
        text,
        schema,
        chars: Chars::new(text),
        at: 0,
        depth: 0,
        arithmetic: 0,
    };
    if parser.chars.len() > MAX_LENGTH {
        let message = format!("the query is longer than {MAX_LENGTH} characters");
        let end = parser.chars.len();
        return Err(parser.error(MAX_LENGTH, end, message, ""));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    if is_plain(trimmed) {
        return Ok(Some(name_contains(trimmed.to_owned())));
    }
    let whole = parser.or()?;
    let condition = parser.condition(whole)?;
    let rest = parser.peek()?;
    if rest.token != Token::End {
        return Err(parser.left_over(&rest));
    }
    Ok(Some(condition))
}

/// Text without any operator is looked for in the names of images.
fn is_plain(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let begins_with_field = words
        .next()
        .is_some_and(|first| Field::of_name(first).is_some());
    !begins_with_field
        && !text.chars().any(|c| "=<>~!&|()^\"'≤≥≠".contains(c))
        && !text.split_whitespace().any(is_keyword)
}

pub(super) fn name_contains(text: String) -> Condition {
    Condition::Text {
        field: TextField::File,
        test: TextTest::Contains,
        values: vec![text],
        negated: false,
    }
}

fn flat(parts: Vec<Condition>, is_and: bool) -> Condition {
    let flattened = parts.into_iter().flat_map(|part| match part {
        Condition::And(inner) if is_and => inner,
        Condition::Or(inner) if !is_and => inner,
        other => vec![other],
    });
    match is_and {
        true => Condition::And(flattened.collect()),
        false => Condition::Or(flattened.collect()),
    }
}

impl Parser<'_> {
    pub(super) fn error(
        &self,
        start: usize,
        end: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> QueryError {
        QueryError {
            query: self.text.to_owned(),
            column: start,
            length: end.saturating_sub(start).max(1),
            message: message.into(),
            hint: hint.into(),
        }
    }

    fn lexed(&self, result: Result<Spanned, (LexError, usize, usize)>) -> Parsed<Spanned> {
        result.map_err(|(error, start, end)| match error {
            LexError::OpenQuote => self.error(
                start,
                end,
                "the quote is not closed",
                "add a quote at the end",
            ),
            LexError::BadNumber => self.error(
                start,
                end,
                "this is no number",
                "a text that begins with a digit goes in quotes",
            ),
            LexError::BadCharacter(c) => self.error(
                start,
                end,
                format!("`{c}` means nothing here"),
                "a text with such characters goes in quotes",
            ),
        })
    }

    /// Index of the character behind what was taken.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Parsed<Spanned> {
        self.lexed(self.chars.token(self.at))
    }

    /// The next token as a text value.
    pub(super) fn value(&mut self) -> Parsed<Spanned> {
        let value = self.lexed(self.chars.value(self.at))?;
        self.at = value.end;
        Ok(value)
    }

    pub(super) fn next(&mut self) -> Parsed<Spanned> {
        let token = self.peek()?;
        self.at = token.end;
        Ok(token)
    }

    /// Takes the next token if it is this sign.
    pub(super) fn takes(&mut self, sign: Sign) -> Parsed<bool> {
        let token = self.peek()?;
        let is = token.token == Token::Sign(sign);
        if is {
            self.at = token.end;
        }
        Ok(is)
    }

    /// Takes the next token if it is this word, any case.
    pub(super) fn takes_word(&mut self, word: &str) -> Parsed<bool> {
        let token = self.peek()?;
        let is = matches!(&token.token, Token::Word(it) if it.eq_ignore_ascii_case(word));
        if is {
            self.at = token.end;
        }
        Ok(is)
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} deep");
            let at = self.at.saturating_sub(1);
            return Err(self.error(at, self.at, message, "leave out brackets"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Parsed<Operand> {
        let first = self.and()?;
        self.chain(first, "or", Sign::Or, Self::and)
    }

    fn and(&mut self) -> Parsed<Operand> {
        let first = self.not()?;
        self.chain(first, "and", Sign::And, Self::not)
    }

    fn chain(
        &mut self,
        first: Operand,
        word: &str,
        sign: Sign,
        next: fn(&mut Self) -> Parsed<Operand>,
    ) -> Parsed<Operand> {
        if !(self.takes_word(word)? || self.takes(sign)?) {
            return Ok(first);
        }
        let start = first.start;
        let mut parts = vec![self.condition(first)?];
        loop {
            let operand = next(self)?;
            parts.push(self.condition(operand)?);
            if !(self.takes_word(word)? || self.takes(sign)?) {
                break;
            }
        }
        Ok(Operand {
            part: Part::Condition(flat(parts, sign == Sign::And)),
            start,
            end: self.at,
        })
    }

    fn not(&mut self) -> Parsed<Operand> {
        let start = self.peek()?.start;
        if !(self.takes_word("not")? || self.takes(Sign::Not)?) {
            return self.comparison();
        }
        let operand = self.deeper(Self::not)?;
        let end = operand.end;
        let inner = self.condition(operand)?;
        let part = Part::Condition(Condition::Not(Box::new(inner)));
        Ok(Operand { part, start, end })
    }

    /// A part as a condition.
    fn condition(&self, operand: Operand) -> Parsed<Condition> {
        let (start, end) = (operand.start, operand.end);
        match operand.part {
            Part::Condition(condition) => Ok(condition),
            Part::Field(Field::IsCrowd) => Ok(Condition::IsCrowd(true)),
            Part::Quoted(text) => Ok(name_contains(text)),
            Part::Field(field) => {
                let name = field.name();
                let message = format!("`{name}` is not compared with anything");
                let hint = format!("write {name} = …, {name} != … or {name} in (…)");
                Err(self.error(start, end, message, hint))
            }
            Part::Number(Number::Field(field)) => {
                let name = Field::Number(field).name();
                let message = format!("`{name}` is not compared with anything");
                let hint = format!("write {name} > … or {name} between … and …");
                Err(self.error(start, end, message, hint))
            }
            Part::Number(_) => {
                let hint = "compare it: =, !=, <, <=, >, >=";
                Err(self.error(start, end, "a number alone is no condition", hint))
            }
            Part::Unknown(word) => Err(self.no_such_field(&word, start, end)),
        }
    }

    pub(super) fn no_such_field(&self, word: &str, start: usize, end: usize) -> QueryError {
        let names = FIELDS.iter().map(|info| info.name);
        let hint = match nearest(word, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "to find a text in names of images, put it in quotes".to_owned(),
        };
        self.error(start, end, format!("no field is named `{word}`"), hint)
    }

    fn left_over(&self, rest: &Spanned) -> QueryError {
        let (message, hint) = match &rest.token {
            Token::Sign(Sign::Close) => ("this bracket closes nothing", "leave it out"),
            Token::Sign(
                Sign::Equal
                | Sign::NotEqual
                | Sign::Less
                | Sign::LessEqual
                | Sign::Greater
                | Sign::GreaterEqual,
            ) => (
                "a comparison has two sides",
                "for a range write: score between 0.3 and 0.5",
            ),
            _ => (
                "an `and` or `or` is missing before this",
                "a text of several words goes in quotes",
            ),
        };
        self.error(rest.start, rest.end, message, hint)
    }

    pub(super) fn sum(&mut self) -> Parsed<Operand> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek()?.token {
                Token::Sign(Sign::Plus) => Arithmetic::Add,
                Token::Sign(Sign::Minus) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Parsed<Operand> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek()?.token {
                Token::Sign(Sign::Times) => Arithmetic::Multiply,
                Token::Sign(Sign::Divide) => Arithmetic::Divide,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::signed)?;
        }
    }

    /// The operator, which was seen and not taken, with what follows it.
    fn binary(
        &mut self,
        operator: Arithmetic,
        left: Operand,
        next: fn(&mut Self) -> Parsed<Operand>,
    ) -> Parsed<Operand> {
        let sign = self.next()?;
        self.arithmetic += 1;
        if self.arithmetic > MAX_ARITHMETIC {
            let message = format!("the query calculates more than {MAX_ARITHMETIC} times");
            return Err(self.error(
                sign.start,
                sign.end,
                message,
                "write the results as numbers",
            ));
        }
        let right = next(self)?;
        let (start, end) = (left.start, right.end);
        let (left, right) = (self.number(left, None)?, self.number(right, None)?);
        let part = Part::Number(Number::Binary(operator, Box::new(left), Box::new(right)));
        Ok(Operand { part, start, end })
    }

    fn signed(&mut self) -> Parsed<Operand> {
        let start = self.peek()?.start;
        if self.takes(Sign::Plus)? {
            let inner = self.deeper(Self::signed)?;
            let end = inner.end;
            let part = Part::Number(self.number(inner, None)?);
            return Ok(Operand { part, start, end });
        }
        if !self.takes(Sign::Minus)? {
            return self.power();
        }
        let inner = self.deeper(Self::signed)?;
        let end = inner.end;
        let part = Part::Number(Number::Negated(Box::new(self.number(inner, None)?)));
        Ok(Operand { part, start, end })
    }

    fn power(&mut self) -> Parsed<Operand> {
        let base = self.primary()?;
        if self.peek()?.token != Token::Sign(Sign::Power) {
            return Ok(base);
        }
        self.binary(Arithmetic::Power, base, |parser| {
            parser.deeper(Self::signed)
        })
    }

    fn primary(&mut self) -> Parsed<Operand> {
        let token = self.next()?;
        let (start, end) = (token.start, token.end);
        let part = match token.token {
            Token::Number(number) => Part::Number(Number::Constant(number)),
            Token::Quoted(text) => Part::Quoted(text),
            Token::Word(word) => return self.word(word, start, end),
            Token::Sign(Sign::Open) => {
                let inner = self.deeper(Self::or)?;
                let close = self.next()?;
                if close.token != Token::Sign(Sign::Close) {
                    let message = "the bracket that opens here is not closed";
                    return Err(self.error(start, end, message, "add a `)`"));
                }
                return Ok(Operand {
                    part: inner.part,
                    start,
                    end: close.end,
                });
            }
            Token::Sign(_) => {
                let message = "a field or a number is missing before this";
                return Err(self.error(start, end, message, "such as score > 0.5"));
            }
            Token::End => {
                let message = "the query ends too early";
                return Err(self.error(start, end, message, "such as score > 0.5"));
            }
        };
        Ok(Operand { part, start, end })
    }

    fn word(&mut self, word: String, start: usize, end: usize) -> Parsed<Operand> {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if is("has") || is("missing") {
            let name = self.next()?;
            let field = match &name.token {
                Token::Word(name) => Field::of_name(name),
                _ => None,
            };
            let Some(field) = field else {
                let message = format!("`{word}` needs the name of a field");
                return Err(self.error(name.start, name.end, message, "such as has mask_iou"));
            };
            let is_present = is("has");
            return Ok(Operand {
                part: Part::Condition(Condition::Exists { field, is_present }),
                start,
                end: name.end,
            });
        }
        if is_keyword(&word) {
            let message = format!("a condition is missing before `{word}`");
            return Err(self.error(start, end, message, "such as score > 0.5"));
        }
        let part = match Field::of_name(&word) {
            Some(Field::Number(field)) => Part::Number(Number::Field(field)),
            Some(field) => Part::Field(field),
            None => Part::Unknown(word),
        };
        Ok(Operand { part, start, end })
    }

    /// A part as a number; `against` is what it is compared with.
    pub(super) fn number(&self, operand: Operand, against: Option<&str>) -> Parsed<Number> {
        let (start, end) = (operand.start, operand.end);
        let what = match operand.part {
            Part::Number(number) => return Ok(number),
            Part::Unknown(word) if against.is_none() => {
                return Err(self.no_such_field(&word, start, end));
            }
            Part::Unknown(word) => format!("`{word}` is text"),
            Part::Quoted(text) => format!("`{text}` is text"),
            Part::Field(Field::IsCrowd) => "`iscrowd` is true or false".to_owned(),
            Part::Field(field) => format!("`{}` is text", field.name()),
            Part::Condition(_) => "this is a condition".to_owned(),
        };
        let message = match against {
            Some(left) => format!("{left} is a number, {what}"),
            None => format!("{what}, a number is needed"),
        };
        Err(self.error(
            start,
            end,
            message,
            "compare it with a number, such as 0.5 or 32^2",
        ))
    }

    pub(super) fn comparison_sign(&self) -> Parsed<Option<Comparison>> {
        Ok(match self.peek()?.token {
            Token::Sign(Sign::Equal) => Some(Comparison::Equal),
            Token::Sign(Sign::NotEqual) => Some(Comparison::NotEqual),
            Token::Sign(Sign::Less) => Some(Comparison::Less),
            Token::Sign(Sign::LessEqual) => Some(Comparison::LessEqual),
            Token::Sign(Sign::Greater) => Some(Comparison::Greater),
            Token::Sign(Sign::GreaterEqual) => Some(Comparison::GreaterEqual),
            _ => None,
        })
    }
}
