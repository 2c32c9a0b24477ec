//! Ctrl-C: the work in hand is finished, then the command stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// A flag that Ctrl-C (or a request to terminate) sets. Once per process.
///
/// # Errors
/// The system refuses to watch.
pub fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed))
        .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}
