//! YAML text to a small tree that keeps the line of every key and value. Depth, size and aliases are limited.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::error::ConfigError;

/// The largest text that is read; the shipped files have 5 kB.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The schema nests five deep.
const MAX_DEPTH: usize = 32;
/// Scalars, lists and maps of one document.
const MAX_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub line: usize,
    pub content: Content,
}

/// The three kinds of YAML value.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// Line of the key.
    pub line: usize,
    pub value: Node,
}

impl Node {
    /// A text that stands for itself, whatever it looks like.
    pub fn text(text: &str) -> Self {
        Self {
            line: 1,
            content: Content::Scalar {
                text: text.into(),
                plain: false,
            },
        }
    }

    /// Whether nothing, `~` or `null` was written.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value in the words of an error message.
    pub fn describe(&self) -> String {
        const SHOWN: usize = 60;
        match &self.content {
            _ if self.is_null() => "empty".into(),
            Content::Scalar { text, plain } => {
                let mut shown: String = text.chars().take(SHOWN).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                if *plain {
                    format!("`{shown}`")
                } else {
                    format!("the text {shown:?}")
                }
            }
            Content::List(items) => format!("a list of {}", items.len()),
            Content::Map(entries) => format!("a map of {}", entries.len()),
        }
    }
}

/// The first document of `text`; `None` where it is empty. Later documents are not looked at.
///
/// # Errors
/// `TooLarge` and `Syntax`.
pub(super) fn parse(text: &str, origin: &str) -> Result<Option<Node>, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge {
            limit: MAX_BYTES,
            origin: origin.into(),
        });
    }
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut builder = Builder::new(origin);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            syntax(origin, marker.line(), marker.col(), error.info().to_owned())
        })?;
        if builder.take(event, span)? {
            break;
        }
    }
    Ok(builder.root)
}

fn syntax(origin: &str, line: usize, column: usize, what: String) -> ConfigError {
    ConfigError::Syntax {
        line,
        column: column + 1,
        what,
        origin: origin.into(),
    }
}

/// A list or map whose end was not yet seen.
struct Open {
    line: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// A key that waits for its value.
        key: Option<(String, usize)>,
    },
}

struct Builder<'a> {
    origin: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn new(origin: &'a str) -> Self {
        Self {
            origin,
            open: Vec::new(),
            root: None,
            nodes: 0,
        }
    }

    /// Takes an event; true at the end of the first document.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<bool, ConfigError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                let content = Content::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.close(Node { line, content }, span)?;
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                self.start(line, OpenKind::List(Vec::new()), span)?;
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                let (entries, key) = (Vec::new(), None);
                self.start(line, OpenKind::Map { entries, key }, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { line, kind }) = self.open.pop() {
                    let content = match kind {
                        OpenKind::List(items) => Content::List(items),
                        OpenKind::Map { entries, .. } => Content::Map(entries),
                    };
                    self.close(Node { line, content }, span)?;
                }
            }
            Event::Alias(_) => {
                return Err(self.fail(span, "aliases (`*name`) are not read: write the value out"));
            }
            Event::DocumentEnd => return Ok(true),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        Ok(false)
    }

    fn start(&mut self, line: usize, kind: OpenKind, span: Span) -> Result<(), ConfigError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fail(span, &format!("values nest deeper than {MAX_DEPTH}")));
        }
        self.open.push(Open { line, kind });
        Ok(())
    }

    /// Hands a whole value to the list or map that it stands in.
    fn close(&mut self, node: Node, span: Span) -> Result<(), ConfigError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.fail(span, &format!("there are more than {MAX_NODES} values")));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => match (key.take(), node) {
                (Some((key, line)), value) => entries.push(Entry { key, line, value }),
                (
                    None,
                    Node {
                        line,
                        content: Content::Scalar { text, .. },
                    },
                ) => *key = Some((text, line)),
                (None, _) => return Err(self.fail(span, "a key must be a plain name")),
            },
        }
        Ok(())
    }

    fn refuse_tag(&self, tagged: bool, span: Span) -> Result<(), ConfigError> {
        if tagged {
            return Err(self.fail(span, "tags (`!name`) are not read: remove the tag"));
        }
        Ok(())
    }

    fn fail(&self, span: Span, what: &str) -> ConfigError {
        syntax(
            self.origin,
            span.start.line(),
            span.start.col(),
            what.into(),
        )
    }
}
