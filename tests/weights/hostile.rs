//! Files made to run code, to corrupt memory, to fill it, or simply broken: each is refused by a named error, quickly
//! and without a large allocation.

use crate::support::hang::Stopwatch;
use std::path::Path;
use std::time::Duration;

use maskscope::weights::{FileTensor, WeightsError, tensors_of_bytes};

use crate::support::memory;

#[path = "hostile_files.rs"]
mod files;
#[path = "hostile_pickles.rs"]
mod pickles;

/// More than any refusal needs besides the file itself, far less than any bomb claims.
const MEMORY: usize = 8 << 20;

fn read(bytes: &[u8]) -> Result<Vec<FileTensor>, WeightsError> {
    tensors_of_bytes(Path::new("hostile.bin"), bytes.to_vec())
}

/// The file is refused with an error that contains `part` and the file's name.
fn refused(what: &str, bytes: &[u8], part: &str) {
    let start = Stopwatch::start();
    let (result, peak) = memory::peak(|| read(bytes));
    let message = match result {
        Ok(tensors) => panic!("{what}: read as {} tensors", tensors.len()),
        // As main prints it: nothing may be said twice.
        Err(error) => format!("{:#}", anyhow::Error::from(error)),
    };
    assert!(message.contains(part), "{what}: {message}");
    assert!(message.ends_with("(in hostile.bin)"), "{what}: {message}");
    assert!(message.len() < 1_000, "{what}: a long message");
    assert!(start.elapsed() < Duration::from_secs(1), "{what}: hangs");
    let room = MEMORY + 20 * bytes.len();
    assert!(peak < room, "{what}: {peak} bytes for {}", bytes.len());
}
