//! A condition made ready to be asked of every instance: constants folded, texts lower-cased, cheap tests first.

use super::condition::{Comparison, Condition, Number, TextTest};
use super::field::{ChoiceField, Field, Fields, NumberField, TextField};

/// Ranges of areas in pixels, both ends inclusive, as pycocotools has them: an area of 32² is small and medium.
const SMALL: [f64; 2] = [0.0, 32.0 * 32.0];
const MEDIUM: [f64; 2] = [32.0 * 32.0, 96.0 * 96.0];
const LARGE: [f64; 2] = [96.0 * 96.0, 1e10];
/// In the order of `ChoiceField::Size`'s values.
const SIZES: [[f64; 2]; 3] = [SMALL, MEDIUM, LARGE];

/// A test with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    test: Test,
    /// The image alone decides it.
    is_of_image: bool,
}

#[derive(Clone, Debug)]
enum Test {
    All(Vec<Program>),
    Any(Vec<Program>),
    Not(Box<Program>),
    /// By far the most common comparison.
    CompareField(NumberField, Comparison, f64),
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
        is_part: bool,
        needles: Vec<Needle>,
        negated: bool,
    },
    Labels {
        labels: Vec<bool>,
        negated: bool,
    },
    Choice {
        field: ChoiceField,
        values: Vec<usize>,
        negated: bool,
    },
    IsCrowd(bool),
    Exists {
        field: Field,
        is_present: bool,
    },
}

impl Program {
    pub fn new(condition: &Condition) -> Self {
        let is_of_image = condition.fields().into_iter().all(Field::is_of_image);
        Self {
            test: Test::new(condition),
            is_of_image,
        }
    }

    fn all_of(conditions: &[Condition]) -> Vec<Self> {
        let mut programs: Vec<Self> = conditions.iter().map(Self::new).collect();
        programs.sort_by_key(|program| program.test.cost());
        programs
    }

    pub fn matches(&self, fields: &impl Fields) -> bool {
        match &self.test {
            Test::All(parts) => parts.iter().all(|part| part.matches(fields)),
            Test::Any(parts) => parts.iter().any(|part| part.matches(fields)),
            Test::Not(inner) => !inner.matches(fields),
            leaf => leaf.holds(fields),
        }
    }

    /// What the image alone decides: `None` where it takes a look at its instances.
    pub fn decide(&self, image: &impl Fields) -> Option<bool> {
        if self.is_of_image {
            return Some(self.matches(image));
        }
        match &self.test {
            Test::All(parts) => decide_all(parts, image, true),
            Test::Any(parts) => decide_all(parts, image, false),
            Test::Not(inner) => inner.decide(image).map(|is| !is),
            _ => None,
        }
    }
}

/// A conjunction (`all`) is decided by one false part or by all true ones; a disjunction the other way round.
fn decide_all(parts: &[Program], image: &impl Fields, all: bool) -> Option<bool> {
    let mut decided = Some(all);
    for part in parts {
        match part.decide(image) {
            Some(is) if is == all => {}
            Some(is) => return Some(is),
            None => decided = None,
        }
    }
    decided
}

impl Test {
    fn new(condition: &Condition) -> Self {
        match condition {
            Condition::And(parts) => Self::All(Program::all_of(parts)),
            Condition::Or(parts) => Self::Any(Program::all_of(parts)),
            Condition::Not(inner) => Self::Not(Box::new(Program::new(inner))),
            Condition::Compare(left, comparison, right) => match (folded(left), folded(right)) {
                (Number::Field(field), Number::Constant(number)) => {
                    Self::CompareField(field, *comparison, number)
                }
                (left, right) => Self::Compare(left, *comparison, right),
            },
            Condition::Between {
                value,
                low,
                high,
                negated,
            } => Self::Between {
                value: folded(value),
                low: folded(low),
                high: folded(high),
                negated: *negated,
            },
            Condition::Among {
                value,
                list,
                negated,
            } => Self::Among {
                value: folded(value),
                list: list.iter().map(folded).collect(),
                negated: *negated,
            },
            Condition::Text {
                field,
                test,
                values,
                negated,
            } => Self::Text {
                field: *field,
                is_part: *test == TextTest::Contains,
                needles: values.iter().map(|value| Needle::new(value)).collect(),
                negated: *negated,
            },
            Condition::Class {
                labels, negated, ..
            } => Self::Labels {
                labels: labels.clone(),
                negated: *negated,
            },
            Condition::Choice {
                field,
                values,
                negated,
                ..
            } => Self::Choice {
                field: *field,
                values: values.clone(),
                negated: *negated,
            },
            Condition::IsCrowd(value) => Self::IsCrowd(*value),
            Condition::Exists { field, is_present } => Self::Exists {
                field: *field,
                is_present: *is_present,
            },
        }
    }

    fn cost(&self) -> u8 {
        match self {
            Self::Labels { .. } | Self::IsCrowd(_) => 0,
            Self::CompareField(..) | Self::Choice { .. } | Self::Exists { .. } => 1,
            Self::Compare(..) | Self::Between { .. } | Self::Among { .. } => 2,
            Self::Text { .. } => 3,
            Self::All(_) | Self::Any(_) | Self::Not(_) => 4,
        }
    }

    /// A test that has no parts.
    fn holds(&self, fields: &impl Fields) -> bool {
        match self {
            Self::CompareField(field, comparison, number) => fields
                .number(*field)
                .is_some_and(|value| comparison.holds(value, *number)),
            Self::Compare(left, comparison, right) => {
                comparison.holds(value_of(left, fields), value_of(right, fields))
            }
            Self::Between {
                value,
                low,
                high,
                negated,
            } => {
                let value = value_of(value, fields);
                let (low, high) = (value_of(low, fields), value_of(high, fields));
                let exist = !(value.is_nan() || low.is_nan() || high.is_nan());
                exist && (low <= value && value <= high) != *negated
            }
            Self::Among {
                value,
                list,
                negated,
            } => {
                let value = value_of(value, fields);
                let is_in = list.iter().any(|item| value_of(item, fields) == value);
                !value.is_nan() && is_in != *negated
            }
            Self::Text {
                field,
                is_part,
                needles,
                negated,
            } => fields.text(*field).is_some_and(|text| {
                let fits = |needle: &Needle| match is_part {
                    true => needle.is_in(text),
                    false => needle.is(text),
                };
                needles.iter().any(fits) != *negated
            }),
            Self::Labels { labels, negated } => fields
                .label()
                .is_some_and(|label| labels.get(label).copied().unwrap_or(false) != *negated),
            Self::Choice {
                field,
                values,
                negated,
            } => is_choice(*field, values, fields).is_some_and(|is| is != *negated),
            Self::IsCrowd(value) => fields.is_crowd() == Some(*value),
            Self::Exists { field, is_present } => exists(*field, fields) == *is_present,
            Self::All(_) | Self::Any(_) | Self::Not(_) => false,
        }
    }
}

/// Whether the field is one of `values`; `None` where it does not exist.
fn is_choice(field: ChoiceField, values: &[usize], fields: &impl Fields) -> Option<bool> {
    match field {
        ChoiceField::Status => fields.status().map(|it| values.contains(&(it as usize))),
        ChoiceField::Suspect => fields.suspicion().map(|it| values.contains(&(it as usize))),
        ChoiceField::Kind => fields.kind().map(|it| values.contains(&(it as usize))),
        ChoiceField::Size => {
            let area = fields.number(NumberField::Area)?;
            let ranges = values.iter().filter_map(|&at| SIZES.get(at));
            Some(
                ranges
                    .into_iter()
                    .any(|[low, high]| *low <= area && area <= *high),
            )
        }
    }
}

fn exists(field: Field, fields: &impl Fields) -> bool {
    match field {
        Field::Number(number) => fields.number(number).is_some_and(|value| !value.is_nan()),
        Field::Text(text) => fields.text(text).is_some(),
        Field::Class => fields.label().is_some(),
        Field::Choice(ChoiceField::Status) => fields.status().is_some(),
        Field::Choice(ChoiceField::Suspect) => fields.suspicion().is_some(),
        Field::Choice(ChoiceField::Kind) => fields.kind().is_some(),
        Field::Choice(ChoiceField::Size) => fields.number(NumberField::Area).is_some(),
        Field::IsCrowd => fields.is_crowd().is_some(),
    }
}

/// The number; NaN where a field of it does not exist.
fn value_of(number: &Number, fields: &impl Fields) -> f64 {
    match number {
        Number::Constant(constant) => *constant,
        Number::Field(field) => fields.number(*field).unwrap_or(f64::NAN),
        Number::Negated(inner) => -value_of(inner, fields),
        Number::Binary(operator, left, right) => {
            let (left, right) = (value_of(left, fields), value_of(right, fields));
            // A power of NaN to 0 would be 1.
            if left.is_nan() || right.is_nan() {
                return f64::NAN;
            }
            operator.apply(left, right)
        }
    }
}

/// The same number with whatever is constant calculated.
fn folded(number: &Number) -> Number {
    match number {
        Number::Constant(_) | Number::Field(_) => number.clone(),
        Number::Negated(inner) => match folded(inner) {
            Number::Constant(constant) => Number::Constant(-constant),
            inner => Number::Negated(Box::new(inner)),
        },
        Number::Binary(operator, left, right) => match (folded(left), folded(right)) {
            (Number::Constant(left), Number::Constant(right)) => {
                Number::Constant(operator.apply(left, right))
            }
            (left, right) => Number::Binary(*operator, Box::new(left), Box::new(right)),
        },
    }
}

/// A text that is looked for, whatever the case; texts of ASCII alone are compared without a copy.
#[derive(Clone, Debug)]
struct Needle {
    lower: String,
}

impl Needle {
    fn new(text: &str) -> Self {
        Self {
            lower: text.to_lowercase(),
        }
    }

    fn is(&self, text: &str) -> bool {
        if text.is_ascii() {
            return text.eq_ignore_ascii_case(&self.lower);
        }
        text.to_lowercase() == self.lower
    }

    fn is_in(&self, text: &str) -> bool {
        let needle = self.lower.as_bytes();
        if needle.is_empty() {
            return true;
        }
        if text.is_ascii() {
            // The first byte rules most places out.
            let begins =
                |part: &[u8]| part.first().map(u8::to_ascii_lowercase) == needle.first().copied();
            let mut parts = text.as_bytes().windows(needle.len());
            return parts.any(|part| begins(part) && part.eq_ignore_ascii_case(needle));
        }
        text.to_lowercase().contains(&self.lower)
    }
}
