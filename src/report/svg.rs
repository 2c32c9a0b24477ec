//! Charts as inline SVG; colours and fonts come from the page's style.

use std::fmt::Write;

use super::text::{escape, number};

/// Size of a chart in its own units; the page scales it.
const WIDTH: f64 = 540.0;
const HEIGHT: f64 = 340.0;
/// Around the plot: room for the numbers of the axes.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// Steps of a 0..1 axis.
const STEPS: u32 = 5;
/// A row of a bar chart.
const ROW: f64 = 26.0;
/// Room for the names beside bars, and for the values behind them.
const NAMES: f64 = 180.0; // "wrong class and poor overlap"
const VALUES: f64 = 130.0;

/// A curve in 0..1 × 0..1.
pub(super) struct Series {
    /// For the legend.
    pub name: String,
    /// Which of the page's series colours, 0..5.
    pub colour: u8,
    /// Corners.
    pub points: Vec<(f64, f64)>,
}

/// A chart of curves over two axes of 0..1.
pub(super) struct Lines<'a> {
    /// What it shows, for those who cannot see it.
    pub title: &'a str,
    /// Below.
    pub x: &'a str,
    /// Beside.
    pub y: &'a str,
    /// Curves.
    pub series: &'a [Series],
    /// Whether x = y is drawn, for calibration.
    pub diagonal: bool,
    /// Share of all (0..1) in each of equal bins over x, drawn as a faint histogram; may be empty.
    pub counts: &'a [f64],
}

fn x_of(x: f64) -> f64 {
    LEFT + x.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y_of(y: f64) -> f64 {
    HEIGHT - BOTTOM - y.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

/// Writing to a string cannot fail; this keeps the calls short.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {{ let _ = write!($text, $($arguments)*); }};
}

impl Lines<'_> {
    /// The chart with its legend.
    pub fn to_html(&self) -> String {
        let mut svg = open(self.title, WIDTH, HEIGHT);
        self.axes(&mut svg);
        self.histogram(&mut svg);
        if self.diagonal {
            let (a, b) = ((x_of(0.0), y_of(0.0)), (x_of(1.0), y_of(1.0)));
            put!(
                svg,
                r#"<line class="diagonal" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
                a.0,
                a.1,
                b.0,
                b.1
            );
        }
        for series in self.series {
            curve(&mut svg, series, self.diagonal);
        }
        svg.push_str("</svg>");
        if self.series.len() > 1 {
            legend(&mut svg, self.series);
        }
        svg
    }

    fn axes(&self, svg: &mut String) {
        for step in 0..=STEPS {
            let at = f64::from(step) / f64::from(STEPS);
            let (x, y) = (x_of(at), y_of(at));
            let (left, right, top, bottom) = (x_of(0.0), x_of(1.0), y_of(1.0), y_of(0.0));
            put!(
                svg,
                r#"<line class="grid" x1="{left:.1}" y1="{y:.1}" x2="{right:.1}" y2="{y:.1}"/>"#
            );
            put!(
                svg,
                r#"<line class="grid" x1="{x:.1}" y1="{top:.1}" x2="{x:.1}" y2="{bottom:.1}"/>"#
            );
            put!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{at:.1}</text>"#,
                left - 6.0,
                y + 4.0
            );
            put!(
                svg,
                r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{at:.1}</text>"#,
                bottom + 15.0
            );
        }
        put!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x_of(0.5),
            HEIGHT - 6.0,
            escape(self.x)
        );
        put!(
            svg,
            r#"<text transform="translate(11 {:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            y_of(0.5),
            escape(self.y)
        );
    }

    fn histogram(&self, svg: &mut String) {
        let largest = self.counts.iter().copied().fold(0.0, f64::max);
        if largest <= 0.0 {
            return;
        }
        const TALLEST: f64 = 0.25; // of the plot, so that curves stay above
        let bins = self.counts.len() as f64;
        for (bin, share) in self.counts.iter().enumerate() {
            let (from, to) = (x_of(bin as f64 / bins), x_of((bin as f64 + 1.0) / bins));
            let top = y_of(share / largest * TALLEST);
            put!(
                svg,
                r#"<rect class="count" x="{:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"/>"#,
                from + 1.0,
                to - from - 2.0,
                y_of(0.0) - top
            );
        }
    }
}

fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title);
    format!(
        r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{title}"><title>{title}</title>"#
    )
}

fn curve(svg: &mut String, series: &Series, dots: bool) {
    let colour = series.colour;
    let points: Vec<String> = series
        .points
        .iter()
        .map(|&(x, y)| format!("{:.1},{:.1}", x_of(x), y_of(y)))
        .collect();
    put!(
        svg,
        r#"<polyline class="curve s{colour}" points="{}"><title>{}</title></polyline>"#,
        points.join(" "),
        escape(&series.name)
    );
    for &(x, y) in series.points.iter().filter(|_| dots) {
        put!(
            svg,
            r#"<circle class="f{colour}" cx="{:.1}" cy="{:.1}" r="3"><title>{}: {} → {}</title></circle>"#,
            x_of(x),
            y_of(y),
            escape(&series.name),
            number(x),
            number(y)
        );
    }
}

fn legend(html: &mut String, series: &[Series]) {
    html.push_str("<ul class=\"legend\">");
    for one in series {
        put!(
            html,
            r#"<li><svg viewBox="0 0 22 10" aria-hidden="true"><line class="curve s{}" x1="0" y1="5" x2="22" y2="5"/></svg>{}</li>"#,
            one.colour,
            escape(&one.name)
        );
    }
    html.push_str("</ul>");
}

/// A bar of a bar chart.
pub(super) struct Bar {
    /// Beside it.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Behind it.
    pub text: String,
    /// An interval around its end.
    pub interval: Option<(f64, f64)>,
    /// Which of the page's series colours.
    pub colour: u8,
}

/// Horizontal bars from 0; the longest fills the width.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let height = ROW * bars.len() as f64 + 4.0;
    let mut svg = open(title, WIDTH, height);
    let ends = bars.iter().map(|bar| {
        bar.interval
            .map_or(bar.value, |(_, high)| high.max(bar.value))
    });
    let longest = ends.fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| NAMES + value.max(0.0) / longest * (WIDTH - NAMES - VALUES);
    for (row, bar) in bars.iter().enumerate() {
        let middle = ROW * (row as f64 + 0.5) + 2.0;
        let end = x(bar.value);
        put!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            NAMES - 8.0,
            middle + 4.0,
            escape(&bar.name)
        );
        put!(
            svg,
            r#"<rect class="f{}" x="{NAMES:.1}" y="{:.1}" width="{:.1}" height="12" rx="2"/>"#,
            bar.colour,
            middle - 6.0,
            (end - NAMES).max(1.0)
        );
        let mut behind = end;
        if let Some((low, high)) = bar.interval {
            whisker(&mut svg, x(low), x(high), middle);
            behind = behind.max(x(high));
        }
        put!(
            svg,
            r#"<text class="value" x="{:.1}" y="{:.1}">{}</text>"#,
            behind + 8.0,
            middle + 4.0,
            escape(&bar.text)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn whisker(svg: &mut String, low: f64, high: f64, middle: f64) {
    put!(
        svg,
        r#"<path class="whisker" fill="none" d="M{low:.1} {:.1}V{:.1}M{low:.1} {middle:.1}H{high:.1}M{high:.1} {:.1}V{:.1}"/>"#,
        middle - 4.0,
        middle + 4.0,
        middle - 4.0,
        middle + 4.0
    );
}
