//! YOLO segmentation labels: a text file an image, one line an instance. hotcoco writes boxes alone, so this is our own.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CocoError, Corrected, CorrectedSet, Shape, write_whole};
use crate::structures::Size;
use crate::structures::outline::{joined, outline};

/// What was written, and what the format cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FormatCounts {
    /// Images.
    pub images: usize,
    /// Annotations.
    pub annotations: usize,
    /// Crowds, which the format does not know.
    pub crowds_left_out: usize,
    /// Annotations without a single pixel, or that cannot be read.
    pub empty_left_out: usize,
    /// Annotations whose holes or parts the format tells otherwise.
    pub altered: usize,
}

/// Writes `labels/<stem>.txt` for every image and `data.yaml`. An instance of several parts or with holes is one line: a
/// way of no width joins its rings. `progress` gets the images done and returns false to stop.
///
/// # Errors
/// Two images of one stem, an image without size, a folder that cannot be written, `CocoError::Cancelled`.
pub fn write_yolo(
    set: &CorrectedSet<'_>,
    folder: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<FormatCounts, CocoError> {
    let refused = |reason: String| CocoError::Format {
        path: folder.to_owned(),
        format: "YOLO",
        reason,
    };
    let labels = folder.join("labels");
    std::fs::create_dir_all(&labels).map_err(|source| CocoError::Write {
        path: labels.clone(),
        source,
        kept: "nothing was written".into(),
    })?;
    let mut counts = FormatCounts::default();
    let mut stems: BTreeMap<String, &str> = BTreeMap::new();
    for (number, image) in set.set().images().iter().enumerate() {
        if !progress(number) {
            let path = set.set().json().to_owned();
            return Err(CocoError::Cancelled { path });
        }
        let stem = Path::new(&image.file_name).file_stem();
        let stem = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        if let Some(other) = stems.insert(stem.clone(), &image.file_name) {
            return Err(refused(format!(
                "{other} and {} would share the file {stem}.txt: rename one of them",
                image.file_name
            )));
        }
        let size = image.declared.filter(|size| size.pixels() > 0);
        let size = size.ok_or_else(|| {
            refused(format!(
                "{} has no width and height in the JSON",
                image.file_name
            ))
        })?;
        let (annotations, dropped) = set.annotations(number)?;
        counts.images += 1;
        counts.empty_left_out += dropped.len();
        let lines: Vec<String> = annotations
            .iter()
            .filter_map(|annotation| line(annotation, size, &mut counts))
            .collect();
        write_whole(&labels.join(format!("{stem}.txt")), |out| {
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        })?;
    }
    let names = set.classes().names.iter().enumerate();
    write_whole(&folder.join("data.yaml"), |out| {
        writeln!(out, "nc: {}\nnames:", set.classes().len())?;
        let mut names = names;
        // A JSON string is a YAML string too.
        names.try_for_each(|(label, name)| {
            writeln!(out, "  {label}: {}", serde_json::Value::from(name.as_str()))
        })
    })?;
    Ok(counts)
}

fn line(annotation: &Corrected, size: Size, counts: &mut FormatCounts) -> Option<String> {
    if annotation.is_crowd {
        counts.crowds_left_out += 1;
        return None;
    }
    let points = ring(annotation, counts);
    if points.is_empty() {
        counts.empty_left_out += 1;
        return None;
    }
    counts.annotations += 1;
    let (width, height) = (size.width as f64, size.height as f64);
    let mut text = annotation.label.to_string();
    for (x, y) in points {
        let share = |value: f64, side: f64| (value / side).clamp(0.0, 1.0);
        text.push_str(&format!(" {:.6} {:.6}", share(x, width), share(y, height)));
    }
    Some(text)
}

/// A polygon of one part as it is; anything else around its pixels.
fn ring(annotation: &Corrected, counts: &mut FormatCounts) -> Vec<(f64, f64)> {
    if let Shape::Polygons(parts) = &annotation.shape
        && let [part] = parts.as_slice()
    {
        return part
            .chunks_exact(2)
            .map(|point| (point[0], point[1]))
            .collect();
    }
    let parts = outline(&annotation.mask);
    if parts.len() > 1 || parts.iter().any(|part| !part.holes.is_empty()) {
        counts.altered += 1;
    }
    let ring = joined(&parts).into_iter();
    ring.map(|(x, y)| (f64::from(x), f64::from(y))).collect()
}
