//! What an evaluation found as files for people and spreadsheets: one HTML page without network, and CSV tables.
//!
//! Everything here turns plain results of `eval` into text; who writes the files decides where.

mod csv;
mod page;
mod sections;
mod svg;
mod text;

use crate::eval::knows::Analysis;
use crate::eval::{CocoNumbers, Curves, Diagnosis, EvalInput, Matches, Order, Selection, Setup};

pub use csv::{images_csv, left_out_csv, matches_csv, truths_csv};
pub use page::write_page;

/// What a report tells.
pub struct Report<'a> {
    /// The set's name.
    pub title: String,
    /// Where the numbers come from, by name.
    pub facts: Vec<(&'static str, String)>,
    /// Boxes.
    pub bbox: Option<KindView<'a>>,
    /// Masks.
    pub segm: Option<KindView<'a>>,
    /// Measured IoU of each detection of `primary`.
    pub measured: Vec<Option<f64>>,
    /// What went wrong, of `primary`.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the model knows which masks are good; of masks.
    pub analysis: Option<Analysis>,
    /// What the reader should know.
    pub notes: Vec<String>,
    /// What took no part: file, what and where, why.
    pub left_out: Vec<[String; 3]>,
    /// All that took no part.
    pub left_out_count: usize,
}

/// Results of one kind.
#[derive(Clone, Copy)]
pub struct KindView<'a> {
    /// What was evaluated.
    pub setup: Setup<'a>,
    /// The score that ranked.
    pub rank_by: &'static str,
    /// What took part.
    pub selection: &'a Selection,
    /// The ranking.
    pub order: &'a Order,
    /// Who matched whom.
    pub matches: &'a Matches,
    /// Precision and recall.
    pub curves: &'a Curves,
    /// The twelve numbers.
    pub numbers: CocoNumbers,
}

impl<'a> KindView<'a> {
    fn input(&self) -> &'a EvalInput {
        self.setup.input
    }
}

impl<'a> Report<'a> {
    /// What the tables of images and matches are of: masks, or boxes where there are no masks.
    pub fn primary(&self) -> Option<&KindView<'a>> {
        self.segm.as_ref().or(self.bbox.as_ref())
    }

    fn kinds(&self) -> impl Iterator<Item = &KindView<'a>> {
        self.segm.iter().chain(&self.bbox)
    }
}
