//! Prediction files: our JSON (semantics.md 7.1), COCO result lists and pairs of them (7.2) in and out.

mod batches;
mod classes;
mod entry;
mod extras;
mod fields;
mod json;
mod left_out;
mod ours;
mod pair;
mod places;
mod quality;
mod read;
mod results;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use extras::Extras;
pub use left_out::{EntryKind, LeftOut, Place, note as left_out_note};
pub use pair::{Joined, Pair, PairImage, file_of, pair_paths, read_any, read_pair, write_pair};
pub use places::Places;
pub use read::{read, read_bytes};
pub use writer::{Resumed, Writer, write};
