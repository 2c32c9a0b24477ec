//! Which rows of a class layer go where: the programs differ in where the background lies and in what indexes a row.

use super::names::Naming;

/// Rows of a tensor, along its first axis, in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// As they are.
    All,
    /// These, in this order.
    Take(Vec<usize>),
    /// These, then their mean.
    TakeAndMean(Vec<usize>),
}

impl Rows {
    /// Number of rows that come out of `have`.
    pub fn count(&self, have: usize) -> usize {
        match self {
            Self::All => have,
            Self::Take(rows) => rows.len(),
            Self::TakeAndMean(rows) => rows.len() + 1,
        }
    }

    /// Row-major values with these rows, of `have` rows.
    pub fn apply(&self, values: Vec<f32>, have: usize) -> Vec<f32> {
        let (rows, with_mean) = match self {
            Self::All => return values,
            Self::Take(rows) => (rows, false),
            Self::TakeAndMean(rows) => (rows, true),
        };
        let width = values.len() / have.max(1);
        let row = |index: usize| {
            values
                .get(index * width..(index + 1) * width)
                .unwrap_or_default()
        };
        let mut taken: Vec<f32> = rows.iter().flat_map(|&index| row(index)).copied().collect();
        if with_mean {
            let mean = |column: usize| {
                let sum: f64 = rows
                    .iter()
                    .filter_map(|&index| row(index).get(column))
                    .map(|&value| f64::from(value))
                    .sum();
                (sum / rows.len().max(1) as f64) as f32
            };
            taken.extend((0..width).map(mean));
        }
        taken
    }
}

/// Rows of torchvision's class layers: COCO category ids with their gaps, 0 for the background.
const TORCHVISION_ROWS: usize = 91;
/// Ids that COCO never gave to a class.
const COCO_GAPS: [usize; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

/// What is known of a checkpoint's class layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClassLayers {
    naming: Naming,
    /// Rows of the classifier in the file, background included.
    columns: usize,
    /// Whether mask-IoU columns are taken one further (semantics.md 5.6).
    shift: bool,
}

impl ClassLayers {
    /// From the classifier's rows, which count the background.
    pub fn new(naming: Naming, columns: usize, shift: bool) -> Self {
        Self {
            naming,
            columns,
            shift,
        }
    }

    /// Whether rows are COCO category ids.
    pub fn by_category_id(self) -> bool {
        self.naming == Naming::Torchvision && self.columns == TORCHVISION_ROWS
    }

    /// Foreground classes.
    pub fn classes(self) -> usize {
        if self.by_category_id() {
            TORCHVISION_ROWS - 1 - COCO_GAPS.len()
        } else {
            self.columns.saturating_sub(1)
        }
    }

    /// The file's row of each class, in canonical order.
    fn foreground(self) -> Vec<usize> {
        (1..self.columns)
            .filter(|id| !self.by_category_id() || !COCO_GAPS.contains(id))
            .collect()
    }

    /// Rows of the tensor that becomes `canonical` and has `have` rows in the file.
    pub fn rows(self, canonical: &str, have: usize) -> Rows {
        let background_first = matches!(
            self.naming,
            Naming::Mindspore | Naming::Torchvision | Naming::Benchmark
        );
        let Some((layer, _leaf)) = canonical.rsplit_once('.') else {
            return Rows::All;
        };
        if !background_first {
            return Rows::All;
        }
        match layer {
            "roi_head.bbox_head.fc_cls" if have == self.columns => {
                let mut rows = self.foreground();
                rows.push(0);
                Rows::Take(rows)
            }
            "roi_head.bbox_head.fc_reg" if have == 4 * self.columns => Rows::Take(
                self.foreground()
                    .into_iter()
                    .flat_map(|row| 4 * row..4 * row + 4)
                    .collect(),
            ),
            "roi_head.mask_head.conv_logits" | "roi_head.mask_iou_head.fc_mask_iou"
                if have == self.columns =>
            {
                Rows::Take(self.foreground())
            }
            "roi_head.mask_iou_head.fc_mask_iou"
                if self.shift && have > 1 && have + 1 == self.columns =>
            {
                Rows::TakeAndMean((1..have).collect())
            }
            _ => Rows::All,
        }
    }
}
