//! What an evaluation prints: the block that people grep, and the numbers as JSON.

use std::fmt::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Evaluated, EvaluatedKind, LeftOutEntry};
use crate::eval::{Area, CocoNumbers, Kind};

impl Evaluated {
    /// The block (semantics.md section 6) of both kinds, with the wall time so far.
    pub fn block(&self) -> String {
        let mut text = String::new();
        for kind in self.bbox.iter().chain(&self.segm) {
            kind_block(kind, &mut text);
        }
        let seconds = self.seconds.round();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nEvaluation done!\n\nDone!\nTime taken: {seconds} seconds\n"
        );
        text
    }

    /// The numbers as `--json` prints them.
    pub fn to_numbers(&self) -> Numbers<'_> {
        Numbers {
            bbox: self.bbox.as_ref().map(|kind| Twelve(kind.numbers)),
            segm: self.segm.as_ref().map(|kind| Twelve(kind.numbers)),
            per_class: PerClass(self),
            images: self.images,
            detections: self.detections,
            rank_by: self.rank_by.key(),
            left_out_count: self.left_out_count,
            left_out: &self.left_out,
            notes: &self.notes,
        }
    }
}

fn kind_block(kind: &EvaluatedKind, text: &mut String) {
    let seconds = kind.seconds;
    let name = kind.kind.key();
    let title = match kind.kind {
        Kind::Bbox => "Bbox",
        Kind::Segm => "Segmentation",
    };
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line("Loading and preparing results...".into());
    line(format!("DONE (t={:.2}s)", seconds.load));
    line("creating index...".into());
    line("index created!".into());
    line("Running per image evaluation...".into());
    line(format!("Evaluate annotation type *{name}*"));
    line(format!("DONE (t={:.2}s).", seconds.evaluate));
    line("Accumulating evaluation results...".into());
    line(format!("DONE (t={:.2}s).", seconds.accumulate));
    kind.numbers.summary().into_iter().for_each(&mut line);
    line(format!("{title} eval result: {:?}", kind.numbers.ap()));
}

/// An evaluation as `--json` prints it; what a file does not have is null.
#[derive(Serialize)]
pub struct Numbers<'a> {
    bbox: Option<Twelve>,
    segm: Option<Twelve>,
    per_class: PerClass<'a>,
    images: usize,
    detections: usize,
    rank_by: &'static str,
    left_out_count: usize,
    left_out: &'a [LeftOutEntry],
    notes: &'a [String],
}

struct Twelve(CocoNumbers);

impl Serialize for Twelve {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.named())
    }
}

struct PerClass<'a>(&'a Evaluated);

#[derive(Serialize)]
struct ClassNumbers {
    #[serde(rename = "bbox_AP")]
    bbox: Option<f64>,
    #[serde(rename = "segm_AP")]
    segm: Option<f64>,
}

impl Serialize for PerClass<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = &self.0.classes.names;
        let ap = |kind: &Option<EvaluatedKind>, label| {
            kind.as_ref()
                .map(|kind| kind.curves.class_ap(label, Area::All))
        };
        let mut map = serializer.serialize_map(Some(names.len()))?;
        for (label, name) in names.iter().enumerate() {
            let of_class = ClassNumbers {
                bbox: ap(&self.0.bbox, label),
                segm: ap(&self.0.segm, label),
            };
            map.serialize_entry(name, &of_class)?;
        }
        map.end()
    }
}
