//! Filter and order of the gallery.

use serde::{Deserialize, Serialize};

use super::ImageEntry;
use super::ranking::RankBy;
use crate::structures::Detection;

/// What orders the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    /// As in the folder or file.
    #[default]
    FileOrder,
    /// Number of instances at or above the threshold; number of annotations where no image has predictions.
    Count,
    /// Highest ranking score of an image, whatever the threshold.
    BestScore,
    /// Mean ranking score of the instances at or above the threshold.
    MeanScore,
    /// Lowest predicted mask IoU among the instances at or above the threshold.
    LowestMaskIou,
}

impl SortBy {
    /// Every choice, in the order of the list.
    pub const ALL: [Self; 5] = [
        Self::FileOrder,
        Self::Count,
        Self::BestScore,
        Self::MeanScore,
        Self::LowestMaskIou,
    ];

    /// As the list names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::FileOrder => "file order",
            Self::Count => "count",
            Self::BestScore => "best score",
            Self::MeanScore => "mean score",
            Self::LowestMaskIou => "lowest mask IoU",
        }
    }
}

/// Filter and order of the gallery.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageQuery {
    /// Part of the name, any case.
    pub text: String,
    /// Only images with an instance of this label at or above the threshold.
    pub label: Option<usize>,
    /// Order.
    pub sort: SortBy,
    /// The largest first.
    pub descending: bool,
}

impl ImageQuery {
    /// Whether every image passes.
    pub fn is_everything(&self) -> bool {
        self.text.is_empty() && self.label.is_none()
    }

    /// Indices of the images that pass, in order. Equal images keep the order of the file; those that lack what orders
    /// them come last in either direction.
    ///
    /// Looks at instances only where label or order ask for them: a filter by name costs a look at each name.
    pub fn apply(&self, images: &[ImageEntry], rank_by: RankBy, threshold: f64) -> Vec<usize> {
        let text = Needle::new(&self.text);
        let passes = |image: &ImageEntry| {
            text.is_in(&image.name)
                && self
                    .label
                    .is_none_or(|label| has_label(image, label, rank_by, threshold))
        };
        let found = images
            .iter()
            .enumerate()
            .filter(|(_, image)| passes(image))
            .map(|(index, _)| index);
        if self.sort == SortBy::FileOrder {
            let mut order: Vec<usize> = found.collect();
            if self.descending {
                order.reverse();
            }
            return order;
        }
        let no_predictions = images.iter().all(|image| image.detections().is_none());
        let mut keyed: Vec<(Option<f64>, usize)> = found
            .filter_map(|index| Some((index, images.get(index)?)))
            .map(|(index, image)| {
                let key = match image.detections() {
                    Some(detections) => self.sort.key(detections, rank_by, threshold),
                    None if no_predictions && self.sort == SortBy::Count => {
                        Some(image.annotations as f64)
                    }
                    None => None,
                };
                (key, index)
            })
            .collect();
        keyed.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) if self.descending => b.total_cmp(a),
            (Some(a), Some(b)) => a.total_cmp(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        keyed.into_iter().map(|(_, index)| index).collect()
    }
}

impl SortBy {
    /// What orders an image with these predictions; `None` where it has nothing of the kind.
    fn key(self, detections: &[Detection], rank_by: RankBy, threshold: f64) -> Option<f64> {
        let shown = || {
            detections
                .iter()
                .filter(|detection| rank_by.admits(detection, threshold))
        };
        match self {
            Self::FileOrder => None,
            Self::Count => Some(shown().count() as f64),
            Self::BestScore => best_score(detections, rank_by),
            Self::MeanScore => {
                let (sum, count) = shown()
                    .filter_map(|detection| rank_by.of(detection))
                    .fold((0.0, 0_usize), |(sum, count), score| {
                        (sum + score, count + 1)
                    });
                (count > 0).then(|| sum / count as f64)
            }
            Self::LowestMaskIou => shown()
                .filter_map(|detection| detection.mask_iou)
                .min_by(f64::total_cmp),
        }
    }
}

/// Highest ranking score of an image.
pub fn best_score(detections: &[Detection], rank_by: RankBy) -> Option<f64> {
    detections
        .iter()
        .filter_map(|detection| rank_by.of(detection))
        .max_by(f64::total_cmp)
}

fn has_label(image: &ImageEntry, label: usize, rank_by: RankBy, threshold: f64) -> bool {
    image.detections().is_some_and(|detections| {
        detections
            .iter()
            .any(|detection| detection.label == label && rank_by.admits(detection, threshold))
    })
}

/// What is looked for in names, any case; names of ASCII alone are compared without a copy.
struct Needle {
    lower: String,
}

impl Needle {
    fn new(text: &str) -> Self {
        Self {
            lower: text.trim().to_lowercase(),
        }
    }

    fn is_in(&self, name: &str) -> bool {
        let needle = self.lower.as_bytes();
        if needle.is_empty() {
            return true;
        }
        if name.is_ascii() {
            return name
                .as_bytes()
                .windows(needle.len())
                .any(|part| part.eq_ignore_ascii_case(needle));
        }
        name.to_lowercase().contains(&self.lower)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::ImageState;
    use crate::structures::{BoxXywh, Rle, Size};

    fn detection(label: usize, score: f64, mask_iou: Option<f64>) -> Detection {
        Detection {
            bbox: BoxXywh::default(),
            label,
            score,
            mask_iou,
            iou_score: score * mask_iou.unwrap_or(1.0),
            mask: Rle::empty(Size::new(4, 4)),
            quality: None,
        }
    }

    fn image(name: &str, detections: Option<Vec<Detection>>) -> ImageEntry {
        ImageEntry {
            path: name.into(),
            name: name.into(),
            key: name.into(),
            declared: None,
            size: None,
            state: detections.map_or(ImageState::Idle, |d| ImageState::Done(Arc::new(d))),
            annotations: name.len(),
        }
    }

    fn images() -> Vec<ImageEntry> {
        vec![
            image(
                "Anton.jpg",
                Some(vec![
                    detection(0, 0.9, Some(0.5)),
                    detection(1, 0.2, Some(0.9)),
                ]),
            ),
            image("berta.jpg", None),
            image("Ärger.jpg", Some(vec![detection(1, 0.8, Some(0.8)); 3])),
            image("caesar.png", Some(Vec::new())),
        ]
    }

    #[track_caller]
    fn check(query: ImageQuery, threshold: f64, expected: &[usize]) {
        let found = query.apply(&images(), RankBy::Score, threshold);
        assert_eq!(found, expected, "{query:?}");
    }

    fn sorted(sort: SortBy, descending: bool) -> ImageQuery {
        ImageQuery {
            sort,
            descending,
            ..ImageQuery::default()
        }
    }

    #[test]
    fn names_and_labels_filter() {
        let text = |text: &str| ImageQuery {
            text: text.into(),
            ..ImageQuery::default()
        };
        check(text(""), 0.0, &[0, 1, 2, 3]);
        check(text(" JPG"), 0.0, &[0, 1, 2]);
        check(text("ärg"), 0.0, &[2]);
        check(text("none"), 0.0, &[]);
        let label = |label| ImageQuery {
            label: Some(label),
            ..ImageQuery::default()
        };
        check(label(1), 0.0, &[0, 2]);
        check(label(1), 0.5, &[2]);
        check(label(7), 0.0, &[]);
    }

    #[test]
    fn orders_put_what_has_no_number_last() {
        check(sorted(SortBy::FileOrder, true), 0.0, &[3, 2, 1, 0]);
        check(sorted(SortBy::Count, true), 0.0, &[2, 0, 3, 1]);
        check(sorted(SortBy::Count, false), 0.5, &[3, 0, 2, 1]);
        check(sorted(SortBy::BestScore, true), 0.0, &[0, 2, 1, 3]);
        check(sorted(SortBy::BestScore, false), 0.0, &[2, 0, 1, 3]);
        check(sorted(SortBy::MeanScore, true), 0.0, &[2, 0, 1, 3]);
        check(sorted(SortBy::MeanScore, true), 0.5, &[0, 2, 1, 3]);
        check(sorted(SortBy::LowestMaskIou, false), 0.5, &[0, 2, 1, 3]);
    }

    #[test]
    fn annotations_count_where_there_are_no_predictions_at_all() {
        let images = [image("a", None), image("ccc", None), image("bb", None)];
        let found = sorted(SortBy::Count, true).apply(&images, RankBy::IouScore, 0.3);
        assert_eq!(found, [1, 2, 0]);
    }
}
