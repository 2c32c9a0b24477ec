//! A query as a typed tree, and its canonical spelling.

use std::fmt;

use super::field::{ChoiceField, Field, NumberField, TextField};

/// Binary operators on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Arithmetic {
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Power => a.powf(b),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => " / ",
            Self::Power => "^",
        }
    }

    fn strength(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide => 2,
            Self::Power => 4,
        }
    }
}

/// The sign of a number binds between products and powers.
const NEGATED: u8 = 3;
const PRIMARY: u8 = 5;

/// A number that depends on the instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    Constant(f64),
    Field(NumberField),
    Negated(Box<Number>),
    Binary(Arithmetic, Box<Number>, Box<Number>),
}

/// Orders of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    /// NaN stands for a number that does not exist: no comparison with it holds, `!=` neither.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b && !a.is_nan() && !b.is_nan(),
            Self::Less => a < b,
            Self::LessEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterEqual => a >= b,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }
}

/// How texts are compared; never by case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    Equal,
    Contains,
    Among,
}

/// What an instance may fulfil.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Number, Comparison, Number),
    Between {
        value: Number,
        low: Number,
        high: Number,
        negated: bool,
    },
    Among {
        value: Number,
        list: Vec<Number>,
        negated: bool,
    },
    Text {
        field: TextField,
        test: TextTest,
        values: Vec<String>,
        negated: bool,
    },
    /// `labels[label]` tells whether the class fits the values.
    Class {
        test: TextTest,
        values: Vec<String>,
        labels: Vec<bool>,
        negated: bool,
    },
    /// `values` index the names of the field.
    Choice {
        field: ChoiceField,
        values: Vec<usize>,
        is_list: bool,
        negated: bool,
    },
    IsCrowd(bool),
    Exists {
        field: Field,
        is_present: bool,
    },
}

impl Condition {
    /// Every field that it asks for.
    pub fn fields(&self) -> Vec<Field> {
        let mut found = Vec::new();
        self.visit_fields(&mut |field| found.push(field));
        found
    }

    fn visit_fields(&self, visit: &mut impl FnMut(Field)) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.visit_fields(visit);
                }
            }
            Self::Not(inner) => inner.visit_fields(visit),
            Self::Compare(left, _, right) => {
                left.visit_fields(visit);
                right.visit_fields(visit);
            }
            Self::Between {
                value, low, high, ..
            } => {
                for number in [value, low, high] {
                    number.visit_fields(visit);
                }
            }
            Self::Among { value, list, .. } => {
                value.visit_fields(visit);
                for number in list {
                    number.visit_fields(visit);
                }
            }
            Self::Text { field, .. } => visit(Field::Text(*field)),
            Self::Class { .. } => visit(Field::Class),
            Self::Choice { field, .. } => visit(Field::Choice(*field)),
            Self::IsCrowd(_) => visit(Field::IsCrowd),
            Self::Exists { field, .. } => visit(*field),
        }
    }

    /// The parts of a conjunction; any other condition is the one part of itself.
    pub fn into_parts(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts,
            other => vec![other],
        }
    }

    /// Their conjunction; `None` of no parts.
    pub fn all(mut parts: Vec<Self>) -> Option<Self> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Self::And(parts)),
        }
    }
}

impl Number {
    fn visit_fields(&self, visit: &mut impl FnMut(Field)) {
        match self {
            Self::Constant(_) => {}
            Self::Field(field) => visit(Field::Number(*field)),
            Self::Negated(inner) => inner.visit_fields(visit),
            Self::Binary(_, left, right) => {
                left.visit_fields(visit);
                right.visit_fields(visit);
            }
        }
    }

    fn strength(&self) -> u8 {
        match self {
            Self::Constant(_) | Self::Field(_) => PRIMARY,
            Self::Negated(_) => NEGATED,
            Self::Binary(operator, ..) => operator.strength(),
        }
    }

    fn write_above(&self, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.strength() < least {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(number) => write!(f, "{number}"),
            Self::Field(field) => f.write_str(Field::Number(*field).name()),
            Self::Negated(inner) => {
                f.write_str("-")?;
                inner.write_above(NEGATED, f)
            }
            Self::Binary(operator, left, right) => {
                let strength = operator.strength();
                // Powers group from the right, everything else from the left.
                let (of_left, of_right) = match operator {
                    Arithmetic::Power => (PRIMARY, NEGATED),
                    _ => (strength, strength + 1),
                };
                left.write_above(of_left, f)?;
                f.write_str(operator.sign())?;
                right.write_above(of_right, f)
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => {
                let grouped = |part: &Self| matches!(part, Self::Or(_) | Self::And(_));
                joined(f, parts, " and ", grouped)
            }
            Self::Or(parts) => joined(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::Not(inner) if matches!(**inner, Self::And(_) | Self::Or(_)) => {
                write!(f, "not ({inner})")
            }
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Compare(left, comparison, right) => {
                write!(f, "{left} {} {right}", comparison.sign())
            }
            Self::Between {
                value,
                low,
                high,
                negated,
            } => write!(f, "{value} {}between {low} and {high}", not(*negated)),
            Self::Among {
                value,
                list,
                negated,
            } => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "{value} {}in ({})", not(*negated), list.join(", "))
            }
            Self::Text {
                field,
                test,
                values,
                negated,
            } => write_text(f, Field::Text(*field), *test, values, *negated),
            Self::Class {
                test,
                values,
                negated,
                ..
            } => write_text(f, Field::Class, *test, values, *negated),
            Self::Choice {
                field,
                values,
                is_list,
                negated,
            } => {
                let names = values.iter().filter_map(|&at| field.values().get(at));
                let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
                let test = if *is_list {
                    TextTest::Among
                } else {
                    TextTest::Equal
                };
                write_text(f, Field::Choice(*field), test, &names, *negated)
            }
            Self::IsCrowd(value) => write!(f, "{} = {value}", Field::IsCrowd.name()),
            Self::Exists { field, is_present } => {
                let word = if *is_present { "has" } else { "missing" };
                write!(f, "{word} {}", field.name())
            }
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Condition],
    word: &str,
    is_grouped: impl Fn(&Condition) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        if is_grouped(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn write_text(
    f: &mut fmt::Formatter<'_>,
    field: Field,
    test: TextTest,
    values: &[String],
    negated: bool,
) -> fmt::Result {
    let values: Vec<String> = values.iter().map(|value| spelled(value)).collect();
    let (name, values) = (field.name(), values.join(", "));
    match (test, negated) {
        (TextTest::Equal, false) => write!(f, "{name} = {values}"),
        (TextTest::Equal, true) => write!(f, "{name} != {values}"),
        (TextTest::Contains, false) => write!(f, "{name} ~ {values}"),
        (TextTest::Contains, true) => write!(f, "{name} !~ {values}"),
        (TextTest::Among, _) => write!(f, "{name} {}in ({values})", not(negated)),
    }
}

/// Words that are no values unless they stand in quotes.
pub(super) const KEYWORDS: [&str; 7] = ["and", "or", "not", "in", "between", "has", "missing"];

/// Whether a word is a keyword, any case.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// A value as a query spells it: in quotes where it would end early or be read as something else.
pub fn spelled(value: &str) -> String {
    let is_bare = !value.is_empty()
        && !is_keyword(value)
        && value
            .chars()
            .all(|c| !super::lex::ends_value(c) && c != '\'' && c != '\\');
    if is_bare {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
