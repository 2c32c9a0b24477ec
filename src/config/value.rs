//! How each type of setting is read from YAML and written back.

use std::fmt::Write as _;

use super::error::{Line, Problem};
use super::yaml::{Content, Node};
use super::{Depth, DialectChoice, LrType, OptType, Precision, Style};

/// Problems of one file are listed up to here; nobody repairs more at a time.
const MAX_PROBLEMS: usize = 50;
/// Lists are wrapped at this column.
const WRAP: usize = 100;

/// What reading has to say.
pub(super) struct Report {
    pub problems: Vec<Problem>,
    pub notes: Vec<String>,
    /// Settings from the command line have no lines.
    pub with_lines: bool,
}

impl Report {
    pub fn new(with_lines: bool) -> Self {
        Self {
            problems: Vec::new(),
            notes: Vec::new(),
            with_lines,
        }
    }

    pub fn line(&self, line: usize) -> Line {
        Line(self.with_lines.then_some(line))
    }

    /// Whether so much is wrong that reading on is of no use.
    pub fn is_full(&self) -> bool {
        self.problems.len() > MAX_PROBLEMS
    }

    pub fn push(&mut self, problem: Problem) {
        match self.problems.len() {
            n if n < MAX_PROBLEMS => self.problems.push(problem),
            MAX_PROBLEMS => self.problems.push(Problem::More),
            _ => {}
        }
    }

    fn wrong_type(&mut self, node: &Node, key: &str, expected: impl Into<String>) {
        let problem = Problem::WrongType {
            line: self.line(node.line),
            key: key.into(),
            got: node.describe(),
            expected: expected.into(),
        };
        self.push(problem);
    }
}

/// A setting, or a group of them.
pub(super) trait Value {
    /// Takes the value from `node`; `key` is the dotted path for messages. Unchanged where it does not fit.
    fn read(&mut self, node: &Node, key: &str, report: &mut Report);

    /// Appends the value: a scalar or list after one space on the key's line, a group on lines of its own.
    fn write(&self, out: &mut String, indent: usize);

    /// The keys of a group with their values, in the order of the file; none for a setting.
    fn children(&self) -> Vec<(&'static str, &dyn Value)> {
        Vec::new()
    }

    /// As `children`.
    fn children_mut(&mut self) -> Vec<(&'static str, &mut dyn Value)> {
        Vec::new()
    }
}

/// A setting that fits into one scalar.
pub(super) trait Scalar: Sized {
    /// What the messages call it.
    fn expected() -> String;
    /// The value of a scalar; `plain` where it was not quoted.
    fn parse(text: &str, plain: bool) -> Option<Self>;
    /// As YAML.
    fn to_text(&self) -> String;
}

fn read_scalar<T: Scalar>(node: &Node) -> Option<T> {
    match &node.content {
        Content::Scalar { text, plain } if !node.is_null() => T::parse(text, *plain),
        _ => None,
    }
}

macro_rules! scalar_values {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(&mut self, node: &Node, key: &str, report: &mut Report) {
                match read_scalar(node) {
                    Some(value) => *self = value,
                    None => report.wrong_type(node, key, <$type as Scalar>::expected()),
                }
            }

            fn write(&self, out: &mut String, _indent: usize) {
                out.push(' ');
                out.push_str(&self.to_text());
                out.push('\n');
            }
        }
    )*};
}

scalar_values!(
    bool,
    usize,
    u64,
    i64,
    f64,
    String,
    Depth,
    Style,
    OptType,
    LrType,
    Precision,
    DialectChoice
);

macro_rules! integers {
    ($($type:ty => $expected:literal),*) => {$(
        impl Scalar for $type {
            fn expected() -> String {
                $expected.into()
            }

            fn parse(text: &str, plain: bool) -> Option<Self> {
                text.parse().ok().filter(|_| plain)
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integers!(
    usize => "a whole number of at least 0",
    u64 => "a whole number of at least 0",
    i64 => "a whole number"
);

impl Scalar for bool {
    fn expected() -> String {
        "True, False, 1 or 0".into()
    }

    fn parse(text: &str, plain: bool) -> Option<Self> {
        match text {
            _ if !plain => None,
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        if *self { "True" } else { "False" }.into()
    }
}

impl Scalar for f64 {
    fn expected() -> String {
        "a number".into()
    }

    fn parse(text: &str, plain: bool) -> Option<Self> {
        text.parse::<f64>()
            .ok()
            .filter(|value| plain && value.is_finite())
    }

    fn to_text(&self) -> String {
        // Without exponent: a reader of YAML 1.1 takes `1e-7` for a text.
        self.to_string()
    }
}

impl Scalar for String {
    fn expected() -> String {
        "a text ('' for none)".into()
    }

    fn parse(text: &str, _plain: bool) -> Option<Self> {
        Some(text.into())
    }

    fn to_text(&self) -> String {
        let special = |c: char| {
            c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        if !self.chars().any(special) {
            return format!("'{}'", self.replace('\'', "''"));
        }
        let mut quoted = String::from("\"");
        for c in self.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                // Every special character lies below U+10000.
                _ if special(c) => {
                    let _ = write!(quoted, "\\u{:04x}", u32::from(c));
                }
                _ => quoted.push(c),
            }
        }
        quoted.push('"');
        quoted
    }
}

macro_rules! choices {
    ($($type:ident { $($variant:ident = $name:literal),* })*) => {$(
        impl Scalar for $type {
            fn expected() -> String {
                [$($name),*].join(", ")
            }

            fn parse(text: &str, _plain: bool) -> Option<Self> {
                match text {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn to_text(&self) -> String {
                self.name().into()
            }
        }

        impl $type {
            /// As in the configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    )*};
}

choices! {
    Depth { R50 = "50", R101 = "101", R152 = "152", Tiny = "tiny" }
    Style { Caffe = "caffe", Pytorch = "pytorch" }
    OptType { Sgd = "sgd", Adam = "adam" }
    LrType { Multistep = "multistep", Dynamic = "dynamic" }
    Precision { Auto = "auto", F32 = "f32", Tf32 = "tf32", F16 = "f16", Bf16 = "bf16" }
    DialectChoice { Auto = "auto", Mindspore = "mindspore", Mmdet = "mmdet" }
}

fn read_list<T: Scalar>(node: &Node, key: &str, report: &mut Report) -> Option<Vec<T>> {
    let Content::List(items) = &node.content else {
        report.wrong_type(node, key, format!("a list, each {}", T::expected()));
        return None;
    };
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match read_scalar(item) {
            Some(value) => values.push(value),
            None => {
                report.wrong_type(item, &format!("{key}[{index}]"), T::expected());
                return None;
            }
        }
    }
    Some(values)
}

fn write_list<T: Scalar>(values: &[T], out: &mut String, indent: usize) {
    let mut column = WRAP / 2; // the key before it is short
    out.push_str(" [");
    for (index, value) in values.iter().enumerate() {
        let text = value.to_text();
        if index > 0 {
            out.push(',');
            if column + text.len() > WRAP {
                let _ = write!(out, "\n{:1$}", "", indent + 4);
                column = indent + 4;
            } else {
                out.push(' ');
            }
        }
        column += text.len() + 2;
        out.push_str(&text);
    }
    out.push_str("]\n");
}

impl<T: Scalar> Value for Vec<T> {
    fn read(&mut self, node: &Node, key: &str, report: &mut Report) {
        if let Some(values) = read_list(node, key, report) {
            *self = values;
        }
    }

    fn write(&self, out: &mut String, indent: usize) {
        write_list(self, out, indent);
    }
}

impl<const N: usize> Value for [f64; N] {
    fn read(&mut self, node: &Node, key: &str, report: &mut Report) {
        let Some(values) = read_list(node, key, report) else {
            return;
        };
        match values.try_into() {
            Ok(values) => *self = values,
            Err(_) => report.wrong_type(node, key, format!("a list of {N} numbers")),
        }
    }

    fn write(&self, out: &mut String, indent: usize) {
        write_list(self, out, indent);
    }
}
