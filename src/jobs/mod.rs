//! Long work on named threads: events out, pause and cancel in. Adaptors only, no logic.

pub mod checkpoint;
pub mod infer;
