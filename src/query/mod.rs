//! The query language of the filter bar and of `--where`: which instances, and so which images.
//!
//! ```text
//! class = person and score > 0.5 and mask_iou < 0.4 and area < 32^2
//! ```
//!
//! - Fields: `FIELDS` holds them with their types. Names and texts are never compared by case.
//! - `=` (also `==`), `!=`, `<`, `<=`, `>`, `>=` on numbers; `=`, `!=`, `~` (contains), `!~` on texts;
//!   `in (a, b)`, `not in`, `between a and b`, `not between`; `has mask_iou`, `missing mask_iou`.
//! - `and`, `or`, `not` (also `&&`, `||`, `!`) and brackets; `not` binds strongest, `or` weakest.
//! - Numbers: `.5`, `1e-3`, `50%`, with `+ - * /` and `^` (from the right: `2^3^2` is 512; `-2^2` is -4).
//! - Texts are bare up to a space, comma or bracket, or stand in quotes.
//! - Text without any operator is looked for in the names of images.
//!
//! **What does not exist.** A comparison with a number that does not exist is false, and so are its `!=`, `not in` and
//! `not between`: `mask_iou != 0.4` selects no instance without a mask IoU. `not (mask_iou > 0.4)` does select it, since
//! `not` turns the false comparison round. `missing mask_iou` asks for it by name. The same holds for texts and names.

mod compare;
mod complete;
mod condition;
mod error;
mod field;
mod lex;
mod parse;
mod program;
mod restriction;

use std::fmt;

pub use complete::{Completion, begins_field, complete};
pub use condition::spelled;
pub use error::QueryError;
pub use field::{
    ChoiceField, FIELDS, Field, FieldInfo, Fields, Kind, NumberField, Scope, Status, Suspicion,
    TextField,
};
pub use restriction::Restriction;

use crate::structures::ClassTable;
use condition::{Condition, TextTest};
use program::Program;

/// What a query is parsed against.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    /// The classes. A query knows them by label from then on: parse it anew when they change. An empty table takes any
    /// name, which then fits no instance.
    pub classes: &'a ClassTable,
}

/// A parsed query, ready to be asked of instances. Equal queries have the same meaning and the same canonical spelling.
#[derive(Clone, Debug, Default)]
pub struct Query {
    text: String,
    condition: Option<Condition>,
    program: Option<Program>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.condition == other.condition
    }
}

impl fmt::Display for Query {
    /// The canonical spelling, which parses to the same query; empty for the query that everything passes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            Some(condition) => condition.fmt(f),
            None => Ok(()),
        }
    }
}

impl Query {
    /// Reads a query; an empty text is the query that everything passes.
    ///
    /// # Errors
    /// What is wrong and at which column.
    pub fn parse(text: &str, schema: &Schema<'_>) -> Result<Self, QueryError> {
        let mut query = Self::of(parse::parse(text, schema)?);
        query.text = text.to_owned();
        Ok(query)
    }

    fn of(condition: Option<Condition>) -> Self {
        let mut query = Self {
            text: String::new(),
            program: condition.as_ref().map(Program::new),
            condition,
        };
        query.text = query.to_string();
        query
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Whether everything passes.
    pub fn is_everything(&self) -> bool {
        self.condition.is_none()
    }

    /// Whether an instance passes.
    pub fn matches(&self, instance: &impl Fields) -> bool {
        self.program
            .as_ref()
            .is_none_or(|program| program.matches(instance))
    }

    /// What the image alone decides: `Some` where the answer is the same for each instance it may have. Only fields of
    /// the image are asked.
    pub fn decide(&self, image: &impl Fields) -> Option<bool> {
        match &self.program {
            Some(program) => program.decide(image),
            None => Some(true),
        }
    }

    /// Every field that it asks for, as often as it does.
    pub fn fields(&self) -> Vec<Field> {
        self.condition
            .as_ref()
            .map_or_else(Vec::new, Condition::fields)
    }

    /// Whether it depends on instances, not on images alone.
    pub fn asks_instances(&self) -> bool {
        self.fields().into_iter().any(|field| !field.is_of_image())
    }

    /// Whether it depends on what an evaluation found.
    pub fn asks_evaluation(&self) -> bool {
        let mut fields = self.fields().into_iter();
        fields.any(|field| field.info().is_evaluated)
    }

    /// Whether it means annotations even where there are predictions: it asks for the side or for what annotations alone
    /// have.
    pub fn asks_annotations(&self) -> bool {
        self.fields().into_iter().any(|field| {
            matches!(
                field,
                Field::IsCrowd
                    | Field::Choice(ChoiceField::Kind | ChoiceField::Status | ChoiceField::Suspect)
            )
        })
    }

    /// The class that every instance must have, where the query says so.
    pub fn class(&self) -> Option<&str> {
        let parts = match &self.condition {
            Some(Condition::And(parts)) => parts.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        parts.iter().find_map(class_of)
    }

    /// The query with this class in place of the one it asks for; `None` asks for any.
    pub fn with_class(&self, class: Option<&str>, schema: &Schema<'_>) -> Self {
        let parts = self
            .condition
            .clone()
            .map_or_else(Vec::new, Condition::into_parts);
        let mut parts: Vec<_> = parts
            .into_iter()
            .filter(|part| class_of(part).is_none())
            .collect();
        if let Some(class) = class {
            let names = &schema.classes.names;
            parts.push(Condition::Class {
                test: TextTest::Equal,
                values: vec![class.to_owned()],
                labels: names
                    .iter()
                    .map(|name| name.eq_ignore_ascii_case(class))
                    .collect(),
                negated: false,
            });
        }
        Self::of(Condition::all(parts))
    }
}

fn class_of(part: &Condition) -> Option<&str> {
    match part {
        Condition::Class {
            test: TextTest::Equal,
            values,
            negated: false,
            ..
        } => values.first().map(String::as_str),
        _ => None,
    }
}
