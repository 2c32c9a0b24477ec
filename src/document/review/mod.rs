//! Reviewing and correcting a set: edits by id, one history for all of them, a database that has every edit before the next
//! frame is drawn. The set's JSON is never changed; `coco::Corrections` is what an export makes of both.

mod audit;
mod conflict;
mod database;
mod edit;
mod error;
mod history;
mod place;
mod queue;
mod resolve;
mod session;
mod state;
mod writer;

pub use audit::Audit;

pub use crate::coco::content_hash;
pub use crate::coco::polygon::rasterise_with_holes;
pub use crate::coco::{Corrected, CorrectedSet, Corrections, Counts, Origin, Record, Shape};
pub use crate::jobs::export;
pub use conflict::{Conflict, ConflictKind, Keep};
pub use database::StoredStep;
pub use edit::{Change, Edit, Opinion, PredictionKey, Target, Verdict};
pub use error::ReviewError;
pub use history::HistoryLine;
pub use place::beside;
pub use queue::{Queue, QueuePlace, QueueProgress, Standing};
pub use session::{Access, Applied, ReviewSession};
pub use state::State;
pub use writer::SaveState;
