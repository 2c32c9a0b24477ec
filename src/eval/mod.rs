//! COCO evaluation and what is learnt from it (semantics.md section 6). No tensors, no files.
//!
//! Axes: D detections, G ground truths, T IoU thresholds, R recall points, K classes, A area ranges.
//!
//! `EvalInput` (ground truth and predictions side by side) -> `Cells` (grouped by class and image) -> `Overlaps` (IoUs,
//! computed once) -> `Order` (a ranking) -> `Matches` (who matched whom) -> `Curves` (precision and recall) ->
//! `CocoNumbers`. The first three are made once for a set; another ranking begins at `Order`, another threshold or
//! filter at `Matches`. hotcoco's primitives match and trace the curves; nothing here repeats them.

mod accumulate;
mod boundary;
mod cells;
mod confusion;
mod diagnose;
mod difference;
mod input;
pub mod knows;
mod ledger;
mod matches;
mod matching;
mod mean;
mod measured;
mod numbers;
mod order;
mod overlaps;
mod pairing;
mod per_image;
mod suspects;
mod tide;
mod words;

pub use crate::coco::correspond::ImageRef;
pub use accumulate::{Curves, RECALL_POINTS, accumulate, recall_points};
pub use boundary::{BAND_SHARE, band_width, boundary_iou, boundary_overlaps};
pub use cells::{Cell, Cells};
pub use confusion::{Confusion, ConfusionInstance, ConfusionRule, confusion};
pub use diagnose::{Diagnosis, DiagnosisRules, DiagnosisStage, diagnose};
pub use difference::{
    ApDeltas, ApPair, Difference, DifferenceError, DifferenceRules, DifferenceSide, Finder,
    FoundByBoth, FoundByOne, ap_deltas, difference, image_ap_pairs,
};
pub use input::{
    Candidate, EvalImage, EvalInput, ImageParts, LeftOut, PredictedImages, Subject, Truth, build,
};
pub use ledger::{
    DetectionEntry, DetectionOutcome, Ignored, Ledger, Missed, TruthEntry, TruthOutcome, Unmatched,
    ledger,
};
pub use matches::{Flags, Matches, matches, matches_of_fewer};
pub use matching::{
    AREAS, Area, CellMatch, IdPolicy, MAX_DETECTIONS, NOT_COUNTED, Selection, Setup, THRESHOLDS,
    cell_match, iou_thresholds,
};
pub use mean::pairwise_mean;
pub use measured::{CROWD_SHARE, best_overlap, measured_ious};
pub use numbers::CocoNumbers;
pub use order::{Order, rank_scores};
pub use overlaps::{Kind, Overlap, Overlaps, Scope};
pub use pairing::{Pairing, pair_up};
pub use per_image::{DetectionStatus, ImageNumbers, PerImage, TruthStatus, per_image};
pub use suspects::{Suspect, SuspectKind, SuspectRules, Suspects, suspects};
pub use tide::{BACKGROUND_IOU, ErrorKind, Tide, TideBar, tide};
