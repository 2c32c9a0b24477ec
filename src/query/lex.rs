//! Characters to tokens, one at a time: what a run of characters is depends on what the parser expects.

/// A piece of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A field, a keyword or a bare value.
    Word(String),
    /// Text in quotes, without them.
    Quoted(String),
    /// A number; `50%` is 0.5.
    Number(f64),
    /// An operator or a bracket.
    Sign(Sign),
    /// Nothing is left.
    End,
}

/// Operators and brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
    NotContains,
    And,
    Or,
    Not,
    Plus,
    Minus,
    Times,
    Divide,
    Power,
    Open,
    Close,
    Comma,
}

/// Longer signs first, so that `<=` is not `<`.
const SIGNS: [(&str, Sign); 23] = [
    ("==", Sign::Equal),
    ("!=", Sign::NotEqual),
    ("<>", Sign::NotEqual),
    ("<=", Sign::LessEqual),
    (">=", Sign::GreaterEqual),
    ("!~", Sign::NotContains),
    ("&&", Sign::And),
    ("||", Sign::Or),
    ("**", Sign::Power),
    ("≤", Sign::LessEqual),
    ("≥", Sign::GreaterEqual),
    ("≠", Sign::NotEqual),
    ("=", Sign::Equal),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("~", Sign::Contains),
    ("!", Sign::Not),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("*", Sign::Times),
    ("/", Sign::Divide),
    ("^", Sign::Power),
    ("(", Sign::Open),
];
const CLOSING: [(&str, Sign); 2] = [(")", Sign::Close), (",", Sign::Comma)];

/// A token and its characters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    /// Indices of characters.
    pub start: usize,
    pub end: usize,
}

/// Why there is no token at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LexError {
    OpenQuote,
    BadNumber,
    BadCharacter(char),
}

/// The characters of a query.
pub(super) struct Chars {
    chars: Vec<char>,
}

/// Whether a word may begin with it.
fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Whether a word may hold it.
pub(super) fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// Whether a bare value, such as a file's name, ends before it.
pub(super) fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '(' | ')' | '"' | '&' | '|')
}

impl Chars {
    pub fn new(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.chars.len()
    }

    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).copied()
    }

    fn while_true(&self, from: usize, is: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|&&c| is(c)).count()
    }

    fn text(&self, start: usize, end: usize) -> String {
        self.chars
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .collect()
    }

    /// The first place at or behind `from` that is no space.
    pub fn skip_space(&self, from: usize) -> usize {
        self.while_true(from, char::is_whitespace)
    }

    /// The token at `from`; spaces before it are skipped.
    pub fn token(&self, from: usize) -> Result<Spanned, (LexError, usize, usize)> {
        let start = self.skip_space(from);
        let Some(first) = self.at(start) else {
            return Ok(spanned(Token::End, start, start));
        };
        if begins_word(first) {
            let end = self.while_true(start, in_word);
            return Ok(spanned(Token::Word(self.text(start, end)), start, end));
        }
        let next_is_digit = self.at(start + 1).is_some_and(|c| c.is_ascii_digit());
        if first.is_ascii_digit() || (first == '.' && next_is_digit) {
            return self.number(start);
        }
        if first == '"' || first == '\'' {
            return self.quoted(start, first);
        }
        let signs = SIGNS.iter().chain(&CLOSING);
        for (text, sign) in signs {
            let end = start + text.chars().count();
            if text.chars().eq(self
                .chars
                .get(start..end)
                .unwrap_or_default()
                .iter()
                .copied())
            {
                return Ok(spanned(Token::Sign(*sign), start, end));
            }
        }
        Err((LexError::BadCharacter(first), start, start + 1))
    }

    /// A text value at `from`: in quotes, or everything up to a space, a bracket or a comma.
    pub fn value(&self, from: usize) -> Result<Spanned, (LexError, usize, usize)> {
        let start = self.skip_space(from);
        match self.at(start) {
            Some('"' | '\'') => self.token(start),
            Some(c) if !ends_value(c) => {
                let end = self.while_true(start, |c| !ends_value(c));
                Ok(spanned(Token::Word(self.text(start, end)), start, end))
            }
            _ => self.token(start),
        }
    }

    fn number(&self, start: usize) -> Result<Spanned, (LexError, usize, usize)> {
        let digits = |from| self.while_true(from, |c| c.is_ascii_digit());
        let mut end = digits(start);
        if self.at(end) == Some('.') {
            end = digits(end + 1);
        }
        if matches!(self.at(end), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.at(end + 1), Some('+' | '-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        // `0785a` is neither a number nor a word.
        let whole = self.while_true(end, in_word);
        let parsed = self.text(start, end).parse::<f64>().ok();
        let number = parsed.filter(|number| number.is_finite() && whole == end);
        let Some(number) = number else {
            return Err((LexError::BadNumber, start, whole));
        };
        if self.at(end) == Some('%') {
            return Ok(spanned(Token::Number(number / 100.0), start, end + 1));
        }
        Ok(spanned(Token::Number(number), start, end))
    }

    fn quoted(&self, start: usize, quote: char) -> Result<Spanned, (LexError, usize, usize)> {
        let mut text = String::new();
        let mut at = start + 1;
        while let Some(c) = self.at(at) {
            let next = self.at(at + 1);
            if c == quote {
                return Ok(spanned(Token::Quoted(text), start, at + 1));
            }
            let escaped = next.filter(|&n| c == '\\' && (n == quote || n == '\\'));
            text.push(escaped.unwrap_or(c));
            at += if escaped.is_some() { 2 } else { 1 };
        }
        Err((LexError::OpenQuote, start, self.chars.len()))
    }
}

fn spanned(token: Token, start: usize, end: usize) -> Spanned {
    Spanned { token, start, end }
}
