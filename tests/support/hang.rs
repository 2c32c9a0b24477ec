//! When a reader counts as hanging.

use std::time::Duration;

/// Far above what a busy machine needs for one small file; a test of speed is a bench.
pub const HANG: Duration = Duration::from_secs(60);
