//! What is wrong with a query, and where.

use std::fmt;

/// Names farther away than this share of their length are no likely slip.
const FARTHEST: f64 = 0.5;
/// What is longer than this is no misspelt name.
const LONGEST: usize = 64;

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The query as it was given.
    pub query: String,
    /// Index of the first character that is wrong, from 0.
    pub column: usize,
    /// Number of characters that are wrong, at least 1.
    pub length: usize,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl QueryError {
    /// The message with its place as people count, `column 12: …`.
    pub fn at_column(&self) -> String {
        format!("column {}: {}", self.column + 1, self.message)
    }
}

impl fmt::Display for QueryError {
    /// Several lines for a terminal: the place, the query, a caret below it, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.at_column())?;
        let one_line: String = self.query.chars().map(printable).collect();
        writeln!(f, "  {one_line}")?;
        write!(
            f,
            "  {:column$}{}",
            "",
            "^".repeat(self.length),
            column = self.column
        )?;
        if !self.hint.is_empty() {
            write!(f, "\n  {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}

/// Characters that would move the caret away from what it points at.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// The name that was likely meant.
pub(super) fn nearest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if wrong.chars().count() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let length = name.chars().count().max(wrong.chars().count()).max(1);
        // What was begun is nearer than what is spelled alike.
        let begun = wrong.chars().count() >= 2 && name.starts_with(&wrong);
        let edits = strsim::damerau_levenshtein(&name, &wrong) as f64 / length as f64;
        if begun { edits.min(0.1) } else { edits }
    };
    names
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance < FARTHEST)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
