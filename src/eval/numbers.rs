//! The twelve numbers.

use super::{Area, Curves};

/// COCO's twelve numbers of one kind; -1 where nothing exists to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CocoNumbers(pub [f64; 12]);

impl CocoNumbers {
    /// Names as `--json` writes them, in pycocotools' order.
    pub const KEYS: [&'static str; 12] = [
        "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
    ];

    /// Summarises curves.
    pub fn of(curves: &Curves) -> Self {
        const AP75: usize = 5; // .5 + 5 * .05
        Self([
            curves.ap(Area::All),
            curves.ap_at(0),
            curves.ap_at(AP75),
            curves.ap(Area::Small),
            curves.ap(Area::Medium),
            curves.ap(Area::Large),
            curves.ar_at_most(0),
            curves.ar_at_most(1),
            curves.ar(Area::All),
            curves.ar(Area::Small),
            curves.ar(Area::Medium),
            curves.ar(Area::Large),
        ])
    }

    /// The lines that pycocotools prints of them.
    pub fn summary(&self) -> [String; 12] {
        const ALL_IOUS: &str = "0.50:0.95";
        let rows = [
            ("Average Precision", "(AP)", ALL_IOUS, Area::All, 100),
            ("Average Precision", "(AP)", "0.50", Area::All, 100),
            ("Average Precision", "(AP)", "0.75", Area::All, 100),
            ("Average Precision", "(AP)", ALL_IOUS, Area::Small, 100),
            ("Average Precision", "(AP)", ALL_IOUS, Area::Medium, 100),
            ("Average Precision", "(AP)", ALL_IOUS, Area::Large, 100),
            ("Average Recall", "(AR)", ALL_IOUS, Area::All, 1),
            ("Average Recall", "(AR)", ALL_IOUS, Area::All, 10),
            ("Average Recall", "(AR)", ALL_IOUS, Area::All, 100),
            ("Average Recall", "(AR)", ALL_IOUS, Area::Small, 100),
            ("Average Recall", "(AR)", ALL_IOUS, Area::Medium, 100),
            ("Average Recall", "(AR)", ALL_IOUS, Area::Large, 100),
        ];
        std::array::from_fn(|at| {
            let (title, short, ious, area, most) = rows[at];
            let (area, value) = (area.key(), self.0[at]);
            format!(
                " {title:<18} {short} @[ IoU={ious:<9} | area={area:>6} | maxDets={most:>3} ] = {value:0.3}"
            )
        })
    }

    /// AP over all thresholds.
    pub fn ap(&self) -> f64 {
        self.0[0]
    }

    /// Names with their numbers.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        Self::KEYS.into_iter().zip(self.0)
    }
}
