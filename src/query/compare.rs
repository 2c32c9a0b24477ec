//! Comparisons: what may stand on either side depends on the type of the field on the left.

use super::condition::{Comparison, Condition, Number, TextTest, spelled};
use super::error::nearest;
use super::field::{ChoiceField, Field, TextField};
use super::lex::{Sign, Token};
use super::parse::{Operand, Parsed, Parser, Part};

/// A value as it was written.
struct Value {
    text: String,
    start: usize,
    end: usize,
}

/// How a text is compared, and with what.
struct TextComparison {
    test: TextTest,
    negated: bool,
    values: Vec<Value>,
}

impl Parser<'_> {
    pub(super) fn comparison(&mut self) -> Parsed<Operand> {
        let left = self.sum()?;
        let start = left.start;
        let condition = match left.part {
            Part::Field(field) => self.of_text(field)?,
            Part::Number(_) => return self.of_number(left),
            Part::Unknown(word) => {
                // With a sign behind it the word was meant as a field.
                let compared = self.comparison_sign()?.is_some()
                    || matches!(
                        self.peek()?.token,
                        Token::Sign(Sign::Contains | Sign::NotContains)
                    );
                if compared {
                    return Err(self.no_such_field(&word, left.start, left.end));
                }
                let part = Part::Unknown(word);
                return Ok(Operand { part, ..left });
            }
            part => return Ok(Operand { part, ..left }),
        };
        Ok(match condition {
            Ok(condition) => Operand {
                part: Part::Condition(condition),
                start,
                end: self.end(),
            },
            Err(field) => Operand {
                part: Part::Field(field),
                start,
                end: left.end,
            },
        })
    }

    fn of_number(&mut self, left: Operand) -> Parsed<Operand> {
        let start = left.start;
        let name = match &left.part {
            Part::Number(Number::Field(field)) => format!("`{}`", Field::Number(*field).name()),
            _ => "the left side".to_owned(),
        };
        if let Some(comparison) = self.comparison_sign()? {
            let value = self.number(left, None)?;
            self.next()?;
            let right = self.sum()?;
            let right = self.number(right, Some(&name))?;
            let condition = Condition::Compare(value, comparison, right);
            return Ok(self.done(condition, start));
        }
        let sign = self.peek()?;
        if matches!(sign.token, Token::Sign(Sign::Contains | Sign::NotContains)) {
            let message = format!("{name} is a number, `~` looks into texts");
            let hint = "compare it with =, !=, <, <=, >, >=, in or between";
            return Err(self.error(sign.start, sign.end, message, hint));
        }
        let negated = self.takes_not()?;
        if self.takes_word("between")? {
            let value = self.number(left, None)?;
            let low = self.sum()?;
            let low = self.number(low, Some(&name))?;
            if !(self.takes_word("and")? || self.takes(Sign::And)?) {
                let at = self.peek()?;
                let message = "`between` needs an `and` here";
                let hint = "such as score between 0.3 and 0.5";
                return Err(self.error(at.start, at.end, message, hint));
            }
            let high = self.sum()?;
            let high = self.number(high, Some(&name))?;
            let condition = Condition::Between {
                value,
                low,
                high,
                negated,
            };
            return Ok(self.done(condition, start));
        }
        if self.takes_word("in")? {
            let value = self.number(left, None)?;
            let list = self.list(|parser| {
                let item = parser.sum()?;
                parser.number(item, Some(&name))
            })?;
            let condition = Condition::Among {
                value,
                list,
                negated,
            };
            return Ok(self.done(condition, start));
        }
        Ok(left)
    }

    fn done(&self, condition: Condition, start: usize) -> Operand {
        Operand {
            part: Part::Condition(condition),
            start,
            end: self.end(),
        }
    }

    /// Takes `not` where `in` or `between` must follow.
    fn takes_not(&mut self) -> Parsed<bool> {
        if !self.takes_word("not")? {
            return Ok(false);
        }
        let next = self.peek()?;
        let follows =
            |word: &str| matches!(&next.token, Token::Word(it) if it.eq_ignore_ascii_case(word));
        if follows("in") || follows("between") {
            return Ok(true);
        }
        let message = "`not` after a field needs `in` or `between`";
        let hint = "such as class not in (cat, dog)";
        Err(self.error(next.start, next.end, message, hint))
    }

    /// `(a, b, c)`.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let open = self.peek()?;
        if !self.takes(Sign::Open)? {
            let hint = "such as class in (cat, dog)";
            return Err(self.error(open.start, open.end, "`in` needs a list in brackets", hint));
        }
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            if self.takes(Sign::Close)? {
                return Ok(items);
            }
            let next = self.peek()?;
            if !self.takes(Sign::Comma)? {
                let message = "a comma or a closing bracket is missing here";
                let hint = "a text with spaces goes in quotes";
                return Err(self.error(next.start, next.end, message, hint));
            }
        }
    }

    /// A comparison of a field that is no number; the field itself where nothing is compared.
    fn of_text(&mut self, field: Field) -> Parsed<Result<Condition, Field>> {
        let Some(comparison) = self.text_comparison(field)? else {
            return Ok(Err(field));
        };
        let condition = match field {
            Field::Class => self.class(comparison)?,
            Field::Text(field) => text(field, comparison),
            Field::Choice(field) => self.choice(field, comparison)?,
            Field::IsCrowd | Field::Number(_) => self.is_crowd(comparison)?,
        };
        Ok(Ok(condition))
    }

    fn text_comparison(&mut self, field: Field) -> Parsed<Option<TextComparison>> {
        let sign = self.peek()?;
        let (test, negated) = match self.comparison_sign()? {
            Some(Comparison::Equal) => (TextTest::Equal, false),
            Some(Comparison::NotEqual) => (TextTest::Equal, true),
            Some(other) => {
                let message = format!(
                    "`{}` is no number: `{}` orders numbers",
                    field.name(),
                    other.sign()
                );
                return Err(self.error(sign.start, sign.end, message, operators_of(field)));
            }
            None => match sign.token {
                Token::Sign(sign @ (Sign::Contains | Sign::NotContains)) => {
                    (TextTest::Contains, sign == Sign::NotContains)
                }
                _ => return self.among_texts(field),
            },
        };
        let is_named = matches!(field, Field::Choice(_) | Field::IsCrowd);
        if test == TextTest::Contains && is_named {
            let message = format!(
                "`{}` has few values: `~` looks into longer texts",
                field.name()
            );
            return Err(self.error(sign.start, sign.end, message, operators_of(field)));
        }
        self.next()?;
        let value = self.text_value(field)?;
        Ok(Some(TextComparison {
            test,
            negated,
            values: vec![value],
        }))
    }

    fn among_texts(&mut self, field: Field) -> Parsed<Option<TextComparison>> {
        let negated = self.takes_not()?;
        let at = self.peek()?;
        if self.takes_word("in")? {
            let values = self.list(|parser| parser.text_value(field))?;
            return Ok(Some(TextComparison {
                test: TextTest::Among,
                negated,
                values,
            }));
        }
        if self.takes_word("between")? {
            let message = format!("`{}` is no number: `between` orders numbers", field.name());
            return Err(self.error(at.start, at.end, message, operators_of(field)));
        }
        Ok(None)
    }

    fn text_value(&mut self, field: Field) -> Parsed<Value> {
        let value = self.value()?;
        let (start, end) = (value.start, value.end);
        match value.token {
            Token::Quoted(text) | Token::Word(text) => Ok(Value { text, start, end }),
            _ => {
                let message = format!("`{}` is compared with nothing", field.name());
                Err(self.error(start, end, message, "a name or a text in quotes comes here"))
            }
        }
    }

    fn class(&self, comparison: TextComparison) -> Parsed<Condition> {
        let TextComparison {
            test,
            negated,
            values,
        } = comparison;
        let names = &self.schema.classes.names;
        let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let mut labels = vec![false; names.len()];
        for value in &values {
            let wanted = value.text.to_lowercase();
            let fits = |name: &String| match test {
                TextTest::Contains => name.contains(&wanted),
                TextTest::Equal | TextTest::Among => *name == wanted,
            };
            let mut is_known = false;
            for (label, name) in labels.iter_mut().zip(&lower) {
                let fits = fits(name);
                *label |= fits;
                is_known |= fits;
            }
            // Without a table every name may come to be one.
            if !is_known && !names.is_empty() {
                let (what, hint) = match test {
                    TextTest::Contains => ("class has a name with", String::new()),
                    _ => ("class is named", self.nearest_class(&value.text)),
                };
                let message = format!("no {what} `{}`", value.text);
                return Err(self.error(value.start, value.end, message, hint));
            }
        }
        Ok(Condition::Class {
            test,
            values: values.into_iter().map(|value| value.text).collect(),
            labels,
            negated,
        })
    }

    fn nearest_class(&self, wrong: &str) -> String {
        let names = self.schema.classes.names.iter().map(String::as_str);
        nearest(wrong, names).map_or_else(
            || "the class menu lists them".to_owned(),
            |name| format!("did you mean {}?", spelled(name)),
        )
    }

    fn choice(&self, field: ChoiceField, comparison: TextComparison) -> Parsed<Condition> {
        let names = field.values();
        let mut values = Vec::with_capacity(comparison.values.len());
        for value in &comparison.values {
            let at = names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(&value.text));
            let Some(at) = at else {
                let name = Field::Choice(field).name();
                let message = format!("`{name}` is never `{}`", value.text);
                let hint = match nearest(&value.text, names.iter().copied()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("it is one of {}", names.join(", ")),
                };
                return Err(self.error(value.start, value.end, message, hint));
            };
            values.push(at);
        }
        Ok(Condition::Choice {
            field,
            values,
            is_list: comparison.test == TextTest::Among,
            negated: comparison.negated,
        })
    }

    fn is_crowd(&self, comparison: TextComparison) -> Parsed<Condition> {
        let [value] = comparison.values.as_slice() else {
            let (start, end) = (self.end().saturating_sub(1), self.end());
            let message = "`iscrowd` is compared with one value";
            return Err(self.error(start, end, message, "write iscrowd = true"));
        };
        let is = match value.text.to_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => {
                let message = format!("`iscrowd` is true or false, not `{other}`");
                let hint = "write iscrowd = true or iscrowd = false";
                return Err(self.error(value.start, value.end, message, hint));
            }
        };
        Ok(Condition::IsCrowd(is != comparison.negated))
    }
}

fn text(field: TextField, comparison: TextComparison) -> Condition {
    Condition::Text {
        field,
        test: comparison.test,
        values: comparison
            .values
            .into_iter()
            .map(|value| value.text)
            .collect(),
        negated: comparison.negated,
    }
}

fn operators_of(field: Field) -> &'static str {
    match field {
        Field::IsCrowd => "it takes = true or = false",
        Field::Choice(_) => "it takes =, !=, in and not in",
        _ => "it takes =, !=, ~, !~, in and not in",
    }
}
