//! Tables for spreadsheets: comma separated, numbers in full precision, nothing where a number does not exist.

use std::io::{self, Write};

use super::{KindView, Report};
use crate::eval::{Area, DetectionStatus, NOT_COUNTED, TruthStatus, cell_match};
use crate::structures::csv_field as quoted;

/// Indices of the thresholds whose matches are listed: .50 and .75.
const LISTED: [usize; 2] = [0, 5];

fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn line(out: &mut dyn Write, fields: &[String]) -> io::Result<()> {
    writeln!(out, "{}", fields.join(","))
}

/// One row an image: counts at IoU .50 and AP of the image alone.
///
/// # Errors
/// The writer's.
pub fn images_csv(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "image_id,file,width,height,annotations,detections,tp,fp,fn,ap,mean_measured_iou"
    )?;
    let (Some(primary), Some(diagnosis)) = (report.primary(), &report.diagnosis) else {
        return Ok(());
    };
    let input = primary.input();
    for (image, numbers) in input.images.iter().zip(&diagnosis.per_image.images) {
        line(
            out,
            &[
                image.id.to_string(),
                quoted(&image.name),
                maybe(image.size.map(|size| size.width)),
                maybe(image.size.map(|size| size.height)),
                image.truths.len().to_string(),
                image.detections.len().to_string(),
                numbers.true_positives.to_string(),
                numbers.false_positives.to_string(),
                numbers.false_negatives.to_string(),
                maybe(numbers.ap),
                maybe(numbers.mean_measured_iou),
            ],
        )?;
    }
    Ok(())
}

/// Partners at the listed thresholds.
struct Partners {
    /// By detection.
    truth_of: Vec<[Option<u32>; LISTED.len()]>,
    /// By ground truth; of several on a crowd region the best ranked.
    detection_of: Vec<[Option<u32>; LISTED.len()]>,
}

impl Partners {
    fn new(kind: &KindView<'_>) -> Self {
        let input = kind.input();
        let mut partners = Self {
            truth_of: vec![[None; LISTED.len()]; input.detections.len()],
            detection_of: vec![[None; LISTED.len()]; input.truths.len()],
        };
        for cell in &kind.setup.cells.list {
            let found = cell_match(&kind.setup, kind.order, kind.selection, cell, Area::All);
            for (&detection, matched) in found.detections.iter().zip(&found.matched) {
                for (at, &threshold) in LISTED.iter().enumerate() {
                    let truth = matched.get(threshold).copied().flatten();
                    let truth = truth.and_then(|truth| found.truths.get(usize::from(truth)));
                    if let Some(&truth) = truth {
                        partners.truth_of[detection as usize][at] = Some(truth);
                        partners.detection_of[truth as usize][at].get_or_insert(detection);
                    }
                }
            }
        }
        partners
    }
}

/// One row a detection: its four numbers, and the annotations it matched at IoU .50 and .75.
///
/// # Errors
/// The writer's.
pub fn matches_csv(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "kind,image_id,file,index,category_id,class,score,mask_iou,iou_score,measured_iou,x,y,width,height,mask_area,\
         rank_in_class,status_50,annotation_50,iou_50,annotation_75,iou_75"
    )?;
    let (Some(kind), Some(diagnosis)) = (report.primary(), &report.diagnosis) else {
        return Ok(());
    };
    let partners = Partners::new(kind);
    let input = kind.input();
    for (at, candidate) in input.detections.iter().enumerate() {
        let (image, it) = (&input.images[candidate.image as usize], input.detection(at));
        let label = candidate.label as usize;
        let slot = kind.setup.cells.slot_of[at] as usize;
        let rank = kind.matches.rank_in_cell[slot];
        let mut fields = vec![
            kind.setup.kind.key().to_owned(),
            image.id.to_string(),
            quoted(&image.name),
            candidate.index.to_string(),
            maybe(input.classes.category_id(label)),
            quoted(&input.classes.name(label)),
            it.score.to_string(),
            maybe(it.mask_iou),
            it.iou_score.to_string(),
            maybe(report.measured.get(at).copied().flatten()),
            it.bbox.x.to_string(),
            it.bbox.y.to_string(),
            it.bbox.width.to_string(),
            it.bbox.height.to_string(),
            candidate.mask_area.to_string(),
            maybe((rank != NOT_COUNTED).then_some(rank)),
            status(diagnosis.per_image.detections.get(at)).to_owned(),
        ];
        for truth in partners.truth_of[at] {
            fields.push(maybe(truth.map(|truth| input.truths[truth as usize].id)));
            fields.push(maybe(truth.map(|truth| kind.setup.overlaps.iou(at, truth))));
        }
        line(out, &fields)?;
    }
    Ok(())
}

fn status(status: Option<&DetectionStatus>) -> &'static str {
    match status {
        Some(DetectionStatus::TruePositive) => "tp",
        Some(DetectionStatus::FalsePositive) => "fp",
        Some(DetectionStatus::Ignored) => "ignored",
        Some(DetectionStatus::NotCounted) | None => "not_counted",
    }
}

/// One row an annotation: whether it was found at IoU .50, and by which detection at .50 and .75.
///
/// # Errors
/// The writer's.
pub fn truths_csv(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "kind,annotation_id,image_id,file,category_id,class,iscrowd,area,x,y,width,height,status_50,detection_50,iou_50,\
         detection_75,iou_75"
    )?;
    let (Some(kind), Some(diagnosis)) = (report.primary(), &report.diagnosis) else {
        return Ok(());
    };
    let partners = Partners::new(kind);
    let input = kind.input();
    for (at, truth) in input.truths.iter().enumerate() {
        let image = &input.images[truth.image as usize];
        let label = truth.label as usize;
        let status = match diagnosis.per_image.truths.get(at) {
            Some(TruthStatus::Found) => "found",
            Some(TruthStatus::Missed) => "missed",
            Some(TruthStatus::Ignored) => "ignored",
            Some(TruthStatus::Deselected) | None => "not_counted",
        };
        let mut fields = vec![
            kind.setup.kind.key().to_owned(),
            truth.id.to_string(),
            image.id.to_string(),
            quoted(&image.name),
            maybe(input.classes.category_id(label)),
            quoted(&input.classes.name(label)),
            u8::from(truth.is_crowd).to_string(),
            truth.area.to_string(),
            truth.bbox.x.to_string(),
            truth.bbox.y.to_string(),
            truth.bbox.width.to_string(),
            truth.bbox.height.to_string(),
            status.to_owned(),
        ];
        for detection in partners.detection_of[at] {
            let found = detection.map(|detection| detection as usize);
            fields.push(maybe(found.map(|found| input.detections[found].index)));
            fields.push(maybe(
                found.map(|found| kind.setup.overlaps.iou(found, at as u32)),
            ));
        }
        line(out, &fields)?;
    }
    Ok(())
}

/// One row for each thing that took no part.
///
/// # Errors
/// The writer's.
pub fn left_out_csv(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "file,what,reason")?;
    for row in &report.left_out {
        line(out, &row.clone().map(|text| quoted(&text)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::iou_thresholds;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a b.png"), "a b.png");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
        assert_eq!(maybe(None::<f64>), "");
        assert_eq!(maybe(Some(0.1)), "0.1");
    }

    #[test]
    fn the_listed_thresholds_are_50_and_75() {
        let ious = LISTED.map(|at| iou_thresholds()[at]);
        assert_eq!(ious, [0.5, 0.75]);
    }
}
