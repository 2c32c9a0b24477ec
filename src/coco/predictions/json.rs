//! A forward reader of JSON that keeps its place: typed fields are taken or skipped, and never built as a tree.
//!
//! Two things serde_json cannot do are needed here: Python's bare `NaN` and `Infinity` are numbers, and a value of the
//! wrong type is stepped over, so that one broken entry does not end the file. Nesting costs a byte a level, no stack.

use super::text::{Number, Text, plain_length};

/// Where the file stops being JSON (or being ours), and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Byte offset in the file.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

/// A value that has been read or stepped over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Bool,
    /// A number as written; it may be `NaN`, `Infinity` or `-Infinity`.
    Number(Number<'a>),
    Text(Text<'a>),
    List,
    Object,
}

impl Token<'_> {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

/// Reads forward through a file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from `start`.
    pub fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, at: start }
    }

    /// Offset of the next byte, blanks skipped.
    pub fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The next byte that is not blank; `None` at the end.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Steps over `byte` where it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// An error at the next byte that is not blank.
    pub fn error(&mut self, wanted: &str) -> Syntax {
        let reason = match self.peek() {
            None => format!("the JSON ends where {wanted} is expected"),
            Some(byte) => {
                let found = char::from(byte).escape_default();
                format!("`{found}` stands where {wanted} is expected")
            }
        };
        Syntax {
            at: self.at,
            reason,
        }
    }

    /// Reads an object, handing every key to `field`, which takes its value.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Text<'a>) -> Result<(), Syntax>,
    ) -> Result<(), Syntax> {
        if !self.take(b'{') {
            return Err(self.error("`{`"));
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            field(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `}`"));
            }
        }
    }

    /// Reads a list; `element` takes one value.
    pub fn list(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Syntax>,
    ) -> Result<(), Syntax> {
        if !self.take(b'[') {
            return Err(self.error("`[`"));
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `]`"));
            }
        }
    }

    /// A key and its colon.
    pub fn key(&mut self) -> Result<Text<'a>, Syntax> {
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in quotes"));
        }
        let key = self.string()?;
        if !self.take(b':') {
            return Err(self.error("`:`"));
        }
        Ok(key)
    }

    /// Takes the next value, whatever it is. What lists and objects hold is checked and dropped.
    pub fn value(&mut self) -> Result<Token<'a>, Syntax> {
        match self.peek() {
            Some(b'[') => self.nested().map(|()| Token::List),
            Some(b'{') => self.nested().map(|()| Token::Object),
            _ => self.scalar(),
        }
    }

    /// The bytes of the next value, whatever it is.
    pub fn raw_value(&mut self) -> Result<&'a [u8], Syntax> {
        let start = self.place();
        self.value()?;
        Ok(&self.bytes[start..self.at])
    }

    fn nested(&mut self) -> Result<(), Syntax> {
        let mut closers: Vec<u8> = Vec::new();
        loop {
            let closer = match self.peek() {
                Some(b'{') => Some(b'}'),
                Some(b'[') => Some(b']'),
                _ => {
                    self.scalar()?;
                    None
                }
            };
            if let Some(closer) = closer {
                self.at += 1;
                if !self.take(closer) {
                    closers.push(closer);
                    if closer == b'}' {
                        self.key()?;
                    }
                    continue;
                }
            }
            while closers.last().is_some_and(|&closer| self.take(closer)) {
                closers.pop();
            }
            let Some(&closer) = closers.last() else {
                return Ok(());
            };
            if !self.take(b',') {
                return Err(self.error("`,` or the end of a list or object"));
            }
            if closer == b'}' {
                self.key()?;
            }
        }
    }

    fn scalar(&mut self) -> Result<Token<'a>, Syntax> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::Text),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => self.number().map(Token::Number),
            Some(b'n') => self.word("null").map(|()| Token::Null),
            Some(b't') => self.word("true").map(|()| Token::Bool),
            Some(b'f') => self.word("false").map(|()| Token::Bool),
            _ => Err(self.error("a value")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Syntax> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.error("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// JSON's grammar, and the three words that Python adds to it.
    fn number(&mut self) -> Result<Number<'a>, Syntax> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'N') if self.at == start => self.word("NaN")?,
            Some(b'I') => self.word("Infinity")?,
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self
            .bytes
            .get(self.at - 1)
            .is_some_and(u8::is_ascii_alphabetic)
        {
            return Ok(Number::new(&self.bytes[start..self.at]));
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Number::new(&self.bytes[start..self.at]))
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("a digit"));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Text<'a>, Syntax> {
        let start = self.at + 1; // behind the quote
        let mut at = start;
        let mut has_escapes = false;
        loop {
            at += plain_length(self.bytes.get(at..).unwrap_or_default());
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    at = self.escape(at)?;
                }
                Some(_) => {
                    self.at = at;
                    return Err(self.error("a character that is no control character"));
                }
                None => {
                    self.at = at;
                    return Err(self.error("the end of a string"));
                }
            }
        }
        self.at = at + 1;
        let raw = &self.bytes[start..at];
        Ok(Text::new(raw, has_escapes))
    }

    /// Checks the escape at `at`; returns the offset behind it.
    fn escape(&mut self, at: usize) -> Result<usize, Syntax> {
        let length = match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(at + 2..at + 6).unwrap_or_default();
                let is_whole = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
                if is_whole { 6 } else { 0 }
            }
            _ => 0,
        };
        if length == 0 {
            self.at = at;
            return Err(self.error("an escape that JSON knows"));
        }
        Ok(at + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Result<(), Syntax> {
        let mut cursor = Cursor::new(text, 0);
        cursor.value()?;
        match cursor.peek() {
            None => Ok(()),
            Some(_) => Err(cursor.error("nothing")),
        }
    }

    #[test]
    fn takes_what_serde_json_takes() {
        for text in [
            "0",
            "-0.5e+3",
            "1E5",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "null",
            "nul",
            "nulls",
            "true",
            "false",
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{}",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{1:1}",
            "[[[],{}],{\"b\":[{}]}]",
            "[}",
            "{]",
            "[{]}",
            "\"\\u00e9\"",
            "\"\\u12\"",
            "\"\\x\"",
            "\"a",
            "\"\n\"",
            "\"\\\"",
            "1 1",
            "",
            " ",
            "[",
            "{\"a\"",
            "{\"a\":",
            "\u{b}1",
        ] {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(whole(text.as_bytes()).is_ok(), theirs, "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity", "[NaN, -Infinity]"] {
            assert!(whole(text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["-NaN", "Nan", "Inf", "nan"] {
            assert!(whole(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_those_of_serde_json() {
        for text in [
            r#""a""#,
            r#""\\\"\/\b\f\n\r\t""#,
            r#""tr\u00e4m \ud83d\ude00 é""#,
            r#""\\u0041""#,
        ] {
            let mut cursor = Cursor::new(text.as_bytes(), 0);
            let Ok(Token::Text(ours)) = cursor.value() else {
                panic!("{text}");
            };
            let theirs: String = serde_json::from_str(text).unwrap();
            assert_eq!(ours.text().unwrap(), theirs);
        }
        // Python writes such halves; a text of ours marks them.
        let half = br#""\ud83d\u0041""#;
        let mut cursor = Cursor::new(half, 0);
        let Ok(Token::Text(half)) = cursor.value() else {
            panic!("no text");
        };
        assert_eq!(half.text().unwrap(), "\u{fffd}A");
    }

    #[test]
    fn a_million_levels_need_no_stack() {
        let levels = 1_000_000;
        let text = "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(whole(text.as_bytes()), Ok(()));
        let error = whole(&text.as_bytes()[..levels + 5]).unwrap_err();
        assert_eq!(error.at, levels + 5);
    }
}
