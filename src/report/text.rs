//! Numbers and names as a page shows them.

use std::borrow::Cow;

/// Stands where a number does not exist.
pub(super) const ABSENT: &str = "–";

/// A text that is safe inside an element and inside quotes.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            // Neither HTML nor XML can hold the others.
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Three digits; -1, COCO's mark of what does not exist, is an en dash.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() || value <= -1.0 {
        return ABSENT.into();
    }
    format!("{value:.3}")
}

/// As `number`; an en dash where there is none.
pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.into(), number)
}

/// A cell of a table that sorts by its full value.
pub(super) fn cell(value: Option<f64>, absent: &str) -> String {
    match value.filter(|value| !value.is_nan() && *value > -1.0) {
        Some(value) => format!("<td class=\"n\" data-value=\"{value}\">{value:.3}</td>"),
        None => format!(
            "<td class=\"n\" data-value=\"-1\" title=\"{}\">{ABSENT}</td>",
            escape(absent)
        ),
    }
}

/// As `cell`, with a bar of 0..1 beside the number.
pub(super) fn bar_cell(value: Option<f64>, absent: &str) -> String {
    match value.filter(|value| !value.is_nan() && *value > -1.0) {
        Some(value) => {
            let percent = value.clamp(0.0, 1.0) * 100.0;
            format!(
                "<td class=\"n\" data-value=\"{value}\">{value:.3}<span class=\"bar\"><i style=\"width:{percent:.1}%\"></i></span></td>"
            )
        }
        None => cell(None, absent),
    }
}

/// A cell with a count.
pub(super) fn count_cell(count: usize) -> String {
    format!("<td class=\"n\" data-value=\"{count}\">{count}</td>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_becomes_markup() {
        let name = "a<b>&\"c\"'d\u{0}\u{1b}é.png";
        let safe = escape(name);
        assert_eq!(
            safe,
            "a&lt;b&gt;&amp;&quot;c&quot;&#39;d\u{fffd}\u{fffd}é.png"
        );
        assert!(matches!(escape("plain.png"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_does_not_exist_is_a_dash() {
        assert_eq!(number(-1.0), ABSENT);
        assert_eq!(number(f64::NAN), ABSENT);
        assert_eq!(number(0.47446), "0.474");
        assert_eq!(number(0.47456), "0.475");
        assert_eq!(optional(None), ABSENT);
        assert!(cell(Some(0.25), "").contains("data-value=\"0.25\""));
        assert!(bar_cell(Some(1.5), "").contains("width:100.0%"));
    }
}
