//! Long work on named threads: events out, pause and cancel in. Adaptors only, no logic.

pub mod images;
pub mod infer;
