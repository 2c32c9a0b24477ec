//! The page: head, navigation, sections; style and script lie inside.

use std::io::{self, Write};

use super::text::{escape, number};
use super::{Report, sections};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A part of the page.
pub(super) struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is in it, as HTML.
    pub body: String,
}

/// Writes the page: one file that refers to nothing outside.
///
/// # Errors
/// The writer's.
pub fn write_page(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let sections = sections::all(report);
    let title = escape(&report.title);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>Evaluation of {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Evaluation of {title}</h1>\n"
    )?;
    head(report, out)?;
    out.write_all(b"<nav aria-label=\"Sections\">")?;
    for section in &sections {
        write!(out, "<a href=\"#{}\">{}</a>", section.id, section.title)?;
    }
    out.write_all(b"</nav>\n")?;
    for section in &sections {
        write!(
            out,
            "<section id=\"{}\">\n<h2>{}</h2>\n{}\n</section>\n",
            section.id, section.title, section.body
        )?;
    }
    write!(
        out,
        "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// The numbers that people ask for first, and where they come from.
fn head(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"<div class=\"headline\">")?;
    for kind in report.kinds() {
        let name = kind.setup.kind.key();
        for (what, value) in [("AP", kind.numbers.ap()), ("AP50", kind.numbers.0[1])] {
            write!(out, "<div><b>{}</b>{name} {what}</div>", number(value))?;
        }
    }
    out.write_all(b"</div>\n<section>\n<dl>")?;
    for (name, value) in &report.facts {
        write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value))?;
    }
    out.write_all(b"</dl>\n</section>\n")
}
