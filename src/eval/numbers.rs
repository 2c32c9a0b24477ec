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

    /// AP over all thresholds.
    pub fn ap(&self) -> f64 {
        self.0[0]
    }

    /// Names with their numbers.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        Self::KEYS.into_iter().zip(self.0)
    }
}
