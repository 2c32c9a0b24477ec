//! What may come next while a query is typed: fields, operators of the field's type, values, `and` and `or`.

use std::ops::Range;

use super::Schema;
use super::condition::spelled;
use super::field::{ChoiceField, FIELDS, Field, NumberField};
use super::lex::{Chars, LexError, Sign, Token};

/// Longest list that is offered.
const MOST: usize = 200;
/// A class is offered for a bare word of so many letters.
const ENOUGH_OF_A_CLASS: usize = 2;

/// Something that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Put in place of `replace`.
    pub insert: String,
    /// As a list shows it.
    pub label: String,
    /// In a few words, what it is; may be empty.
    pub detail: String,
    /// Indices of characters: the begun word up to the cursor.
    pub replace: Range<usize>,
}

/// What the text before the cursor asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// A field, a number or a bracket: a condition begins.
    Condition,
    /// A field behind `has` or `missing`.
    Field,
    /// An operator: a field stands before.
    Operator(Field),
    /// `in` or `between`: `not` stands before.
    NotOperator(Field),
    /// A value to compare the field with; `is_list` within brackets.
    Value {
        of: Field,
        is_list: bool,
    },
    /// The list of `in`.
    List(Field),
    /// A number of a range that `and` goes on with.
    Low(Field),
    LowDone(Field),
    /// `and` or `or`, or a comma within a list.
    Junction {
        in_list: Option<Field>,
    },
    /// Nothing that could be offered.
    Nothing,
}

/// Whether a whole text is the beginning of a field's name, so that a condition is likely to come of it.
pub fn begins_field(text: &str) -> bool {
    let word = text.trim().to_lowercase();
    let mut names = FIELDS.iter().map(|info| info.name);
    !word.is_empty() && names.any(|name| name.starts_with(&word))
}

/// What may come next at `cursor`, an index of characters; the likeliest first. A word that is complete gets nothing.
pub fn complete(text: &str, cursor: usize, schema: &Schema<'_>) -> Vec<Completion> {
    let before: String = text.chars().take(cursor).collect();
    let (expected, start) = expected(&before);
    let word: String = before.chars().skip(start).collect();
    let follows_space = text.chars().nth(cursor).is_some_and(char::is_whitespace);
    let mut found = Found {
        word: word.trim_start_matches(['"', '\'']).to_lowercase(),
        replace: start..before.chars().count(),
        space: if follows_space { "" } else { " " },
        is_complete: false,
        begun: Vec::new(),
        inside: Vec::new(),
    };
    offer(expected, schema, &mut found);
    found.finish()
}

fn offer(expected: Expected, schema: &Schema<'_>, found: &mut Found) {
    match expected {
        Expected::Condition => {
            fields(found);
            for word in ["not", "has", "missing"] {
                found.add(word, word, keyword_detail(word));
            }
            if found.word.chars().count() >= ENOUGH_OF_A_CLASS {
                let begun = |name: &&String| name.to_lowercase().starts_with(&found.word);
                let names: Vec<_> = schema.classes.names.iter().filter(begun).collect();
                for name in names {
                    let spelled = format!("class = {}", spelled(name));
                    found.add_named(name, &spelled, "class");
                }
            }
        }
        Expected::Field => fields(found),
        Expected::Operator(field) => {
            for (sign, detail) in operators(field) {
                found.add(sign, sign, detail);
            }
        }
        Expected::NotOperator(field) => {
            found.add("in", "in", "none of a list");
            if matches!(field, Field::Number(_)) {
                found.add("between", "between", "outside a range");
            }
        }
        Expected::Value { of, .. } => values(of, schema, found),
        Expected::List(_) => found.add("(", "(", "begins the list"),
        Expected::LowDone(_) => found.add("and", "and", "the upper end"),
        Expected::Junction { in_list: Some(_) } => {
            found.add(",", ",", "another value");
            found.add(")", ")", "ends the list");
        }
        Expected::Junction { in_list: None } => {
            found.add("and", "and", "both must hold");
            found.add("or", "or", "one must hold");
        }
        Expected::Low(field) => values(field, schema, found),
        Expected::Nothing => {}
    }
}

fn fields(found: &mut Found) {
    for info in &FIELDS {
        found.add(info.name, info.name, info.detail);
    }
}

fn keyword_detail(word: &str) -> &'static str {
    match word {
        "not" => "turns a condition round",
        "has" => "the number exists",
        _ => "the number does not exist",
    }
}

fn operators(field: Field) -> Vec<(&'static str, &'static str)> {
    let equal = [("=", "is"), ("!=", "is not")];
    let list = [("in", "one of a list"), ("not in", "none of a list")];
    let more: &[(&str, &str)] = match field {
        Field::Number(_) => &[
            (">", "more than"),
            (">=", "at least"),
            ("<", "less than"),
            ("<=", "at most"),
            ("between", "within a range"),
        ],
        Field::Text(_) | Field::Class => &[("~", "contains"), ("!~", "does not contain")],
        Field::Choice(_) | Field::IsCrowd => &[],
    };
    match field {
        Field::Number(_) => more.iter().copied().chain(equal).chain(list).collect(),
        Field::IsCrowd => equal.to_vec(),
        _ => equal
            .into_iter()
            .chain(more.iter().copied())
            .chain(list)
            .collect(),
    }
}

fn values(of: Field, schema: &Schema<'_>, found: &mut Found) {
    match of {
        Field::Class => {
            for name in &schema.classes.names {
                found.add_named(name, &spelled(name), "class");
            }
        }
        Field::Choice(choice) => {
            for name in choice.values() {
                found.add(name, name, value_detail(choice, name));
            }
        }
        Field::IsCrowd => {
            for name in ["true", "false"] {
                found.add(name, name, "");
            }
        }
        Field::Number(NumberField::Area) => {
            found.add("32^2", "32^2", "small ends here");
            found.add("96^2", "96^2", "large begins here");
        }
        Field::Number(_) | Field::Text(_) => {}
    }
}

fn value_detail(choice: ChoiceField, name: &str) -> &'static str {
    match (choice, name) {
        (ChoiceField::Status, "tp") => "matches an annotation",
        (ChoiceField::Status, "fp") => "matches none",
        (ChoiceField::Status, "fn") => "annotation that was not found",
        (ChoiceField::Suspect, "label") => "high mask IoU, low measured IoU",
        (ChoiceField::Suspect, "head") => "low mask IoU, high measured IoU",
        (ChoiceField::Suspect, "missing_label") => "confident, but nothing annotated",
        (ChoiceField::Suspect, "missed_object") => "annotation that was never found",
        (ChoiceField::Suspect, "swapped_class") => "on an annotation of another class",
        (ChoiceField::Size, "small") => "up to 32² px",
        (ChoiceField::Size, "medium") => "32² to 96² px",
        (ChoiceField::Size, "large") => "96² px and more",
        _ => "",
    }
}

/// Collects what fits the begun word.
struct Found {
    /// Lower-case, without its quote.
    word: String,
    replace: Range<usize>,
    space: &'static str,
    /// The word is one of those offered.
    is_complete: bool,
    begun: Vec<Completion>,
    inside: Vec<Completion>,
}

impl Found {
    fn add(&mut self, name: &str, insert: &str, detail: &str) {
        self.add_named(name, insert, detail);
    }

    /// Offers `insert` where `name` fits what was typed.
    fn add_named(&mut self, name: &str, insert: &str, detail: &str) {
        let lower = name.to_lowercase();
        self.is_complete |= lower == self.word && name == insert;
        let list = if lower.starts_with(&self.word) {
            &mut self.begun
        } else if lower.contains(&self.word) {
            &mut self.inside
        } else {
            return;
        };
        list.push(Completion {
            insert: format!("{insert}{}", self.space),
            label: insert.to_owned(),
            detail: detail.to_owned(),
            replace: self.replace.clone(),
        });
    }

    fn finish(self) -> Vec<Completion> {
        if self.is_complete {
            return Vec::new();
        }
        let mut all = self.begun;
        all.extend(self.inside);
        all.truncate(MOST);
        all
    }
}

/// What is expected at the end of `before`, and where the begun word starts.
fn expected(before: &str) -> (Expected, usize) {
    let chars = Chars::new(before);
    let mut expected = Expected::Condition;
    let mut at = 0;
    loop {
        let is_text = matches!(
            expected,
            Expected::Value {
                of: Field::Class | Field::Text(_) | Field::Choice(_) | Field::IsCrowd,
                ..
            }
        );
        let token = if is_text {
            chars.value(at)
        } else {
            chars.token(at)
        };
        let token = match token {
            Ok(token) => token,
            // An open quote is a value that is being typed.
            Err((LexError::OpenQuote, start, _)) => return (expected, start),
            Err((_, _, end)) => return (Expected::Nothing, end),
        };
        if token.token == Token::End {
            return (expected, token.start);
        }
        if token.end == chars.len() {
            match token.token {
                // It may go on with the next letter.
                Token::Word(_) | Token::Number(_) => return (expected, token.start),
                // A word right behind it would be hard to read: after a space.
                Token::Quoted(_) | Token::Sign(Sign::Close) => {
                    return (Expected::Nothing, token.end);
                }
                _ => {}
            }
        }
        expected = after(expected, &token.token);
        at = token.end;
    }
}

/// What is expected behind a token.
fn after(expected: Expected, token: &Token) -> Expected {
    let word = match token {
        Token::Word(word) => word.to_lowercase(),
        _ => String::new(),
    };
    match (expected, token) {
        (_, Token::Sign(Sign::And | Sign::Or | Sign::Not)) => Expected::Condition,
        (Expected::Low(of), Token::Number(_)) => Expected::LowDone(of),
        (Expected::LowDone(of), _) if word == "and" => Expected::Value { of, is_list: false },
        (Expected::Junction { in_list: None } | Expected::Nothing, _)
            if word == "and" || word == "or" =>
        {
            Expected::Condition
        }
        (Expected::Junction { in_list: Some(of) }, Token::Sign(Sign::Comma)) => {
            Expected::Value { of, is_list: true }
        }
        (Expected::Junction { .. }, Token::Sign(Sign::Close)) => {
            Expected::Junction { in_list: None }
        }
        (Expected::Condition, Token::Sign(Sign::Open)) => Expected::Condition,
        (Expected::Condition, Token::Word(_)) if word == "not" => Expected::Condition,
        (Expected::Condition, Token::Word(_)) if word == "has" || word == "missing" => {
            Expected::Field
        }
        (Expected::Condition, Token::Word(_)) => {
            Field::of_name(&word).map_or(Expected::Nothing, Expected::Operator)
        }
        (Expected::Condition, Token::Quoted(_)) => Expected::Junction { in_list: None },
        (Expected::Field, Token::Word(_)) => Expected::Junction { in_list: None },
        (Expected::Operator(of) | Expected::NotOperator(of), _) => after_operator(of, token, &word),
        (Expected::List(of), Token::Sign(Sign::Open)) => Expected::Value { of, is_list: true },
        (Expected::Value { of, is_list }, Token::Word(_) | Token::Quoted(_) | Token::Number(_)) => {
            Expected::Junction {
                in_list: is_list.then_some(of),
            }
        }
        // Arithmetic goes on with numbers that nobody can guess.
        _ => Expected::Nothing,
    }
}

fn after_operator(of: Field, token: &Token, word: &str) -> Expected {
    match token {
        Token::Sign(
            Sign::Equal
            | Sign::NotEqual
            | Sign::Less
            | Sign::LessEqual
            | Sign::Greater
            | Sign::GreaterEqual
            | Sign::Contains
            | Sign::NotContains,
        ) => Expected::Value { of, is_list: false },
        Token::Word(_) => match word {
            "in" => Expected::List(of),
            "between" => Expected::Low(of),
            "not" => Expected::NotOperator(of),
            // A flag alone is a condition.
            "and" | "or" if of == Field::IsCrowd => Expected::Condition,
            _ => Expected::Nothing,
        },
        Token::Sign(Sign::Close) => Expected::Junction { in_list: None },
        _ => Expected::Nothing,
    }
}
