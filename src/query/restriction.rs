//! What a query means for an evaluation: which images, which instances of both sides, which predictions.

use super::Query;
use super::condition::Condition;
use super::error::QueryError;
use super::field::{Field, Scope};
use super::lex::{Chars, Token};

/// A query taken apart for an evaluation. Each part is itself a query; none means no restriction.
#[derive(Clone, Debug, Default)]
pub struct Restriction {
    /// Images that take part at all.
    pub images: Option<Query>,
    /// Predictions and annotations that take part.
    pub both: Option<Query>,
    /// Predictions that take part; annotations are not asked.
    pub predictions: Option<Query>,
    /// Annotations that take part; predictions are not asked.
    pub annotations: Option<Query>,
}

impl Query {
    /// The query taken apart for an evaluation: a condition on fields of the image restricts the images, one on class,
    /// area or box both sides, one on scores the predictions.
    ///
    /// # Errors
    /// A condition on the evaluation's own outcome (`status`, `tp`, `image.ap`, …) or on `kind`, and an `or` whose sides
    /// restrict different things: it has no meaning that both sides share.
    pub fn restriction(&self) -> Result<Restriction, QueryError> {
        let mut sorted: [Vec<Condition>; 4] = Default::default();
        let whole = self
            .condition()
            .cloned()
            .map(|whole| pushed_in(whole, false));
        for part in whole.into_iter().flat_map(Condition::into_parts) {
            let place = match self.scope(&part)? {
                Scope::Image => 0,
                Scope::Both => 1,
                Scope::Prediction => 2,
                Scope::Annotation | Scope::Outcome => 3,
            };
            sorted[place].push(part);
        }
        let [images, both, predictions, annotations] =
            sorted.map(|parts| Condition::all(parts).map(|all| Query::of(Some(all))));
        Ok(Restriction {
            images,
            both,
            predictions,
            annotations,
        })
    }

    /// What a part of the conjunction restricts.
    fn scope(&self, part: &Condition) -> Result<Scope, QueryError> {
        let fields = part.fields();
        let scope_of = |field: &Field| field.info().scope;
        if let Some(&field) = fields
            .iter()
            .find(|field| scope_of(field) == Scope::Outcome)
        {
            let name = field.name();
            let message = match field.info().is_evaluated {
                true => format!("`{name}` is an outcome of the evaluation and cannot restrict it"),
                false => format!("`{name}` cannot restrict an evaluation, which needs both sides"),
            };
            let hint = "restrict by score, class, area or fields of the image";
            return Err(self.error_at(field, message, hint));
        }
        let of = |scope| {
            fields
                .iter()
                .copied()
                .find(|field| scope_of(field) == scope)
        };
        let (prediction, annotation) = (of(Scope::Prediction), of(Scope::Annotation));
        let Some(sided) = prediction.or(annotation) else {
            let is_both = of(Scope::Both).is_some();
            return Ok(if is_both { Scope::Both } else { Scope::Image });
        };
        let scope = scope_of(&sided);
        let is_mixed = fields.iter().any(|field| scope_of(field) != scope);
        let is_leaf = !matches!(
            part,
            Condition::And(_) | Condition::Or(_) | Condition::Not(_)
        );
        let other_side = prediction.is_some() && annotation.is_some();
        // A single comparison such as `score > area / 1000` is one about predictions.
        if is_mixed && (!is_leaf || other_side) {
            let whom = if prediction.is_some() {
                "predictions"
            } else {
                "annotations"
            };
            let message = format!(
                "`{}` is known of {whom} alone, and the `or` here joins it with what restricts both sides",
                sided.name()
            );
            let hint = "join such conditions with `and`";
            return Err(self.error_at(sided, message, hint));
        }
        Ok(scope)
    }

    /// An error that points at the first mention of a field.
    fn error_at(&self, field: Field, message: String, hint: &str) -> QueryError {
        let text = self.text().to_owned();
        let chars = Chars::new(&text);
        let mut at = 0;
        let mut found = (0, chars.len());
        while let Ok(token) = chars.token(at) {
            match token.token {
                Token::End => break,
                Token::Word(word) if Field::of_name(&word) == Some(field) => {
                    found = (token.start, token.end);
                    break;
                }
                _ => at = token.end,
            }
        }
        QueryError {
            query: text,
            column: found.0,
            length: (found.1 - found.0).max(1),
            message,
            hint: hint.to_owned(),
        }
    }
}

/// The same condition with every `not` moved inwards to the comparisons, so that `not (a or b)` is a conjunction.
fn pushed_in(condition: Condition, negated: bool) -> Condition {
    match condition {
        Condition::Not(inner) => pushed_in(*inner, !negated),
        Condition::And(parts) => joined(parts, negated, !negated),
        Condition::Or(parts) => joined(parts, negated, negated),
        leaf if negated => Condition::Not(Box::new(leaf)),
        leaf => leaf,
    }
}

fn joined(parts: Vec<Condition>, negated: bool, is_and: bool) -> Condition {
    let parts = parts.into_iter().map(|part| pushed_in(part, negated));
    let parts = parts.flat_map(|part| match part {
        Condition::And(inner) if is_and => inner,
        Condition::Or(inner) if !is_and => inner,
        other => vec![other],
    });
    match is_and {
        true => Condition::And(parts.collect()),
        false => Condition::Or(parts.collect()),
    }
}
