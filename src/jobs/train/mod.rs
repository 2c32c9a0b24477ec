//! Training runs: their folder, and what is written into it for people, the window and a resumed run.

pub mod launch;
pub mod metrics_file;
pub mod records;
pub mod runs;
