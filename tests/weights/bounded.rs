//! Memory that hostile and mutated files take, measured in a process of its own that runs one test at a time.

use std::process::Command;

use crate::support::memory::MEASURE;

/// Address space beside the program itself: a size that a file claims is refused before it is allocated.
const ROOM: u64 = 1 << 30;

#[test]
#[cfg(target_os = "linux")]
fn hostile_files_take_little_memory() {
    let exe = std::env::current_exe().unwrap();
    let limit = (std::fs::metadata(&exe).unwrap().len() + ROOM) / 1024;
    let output = Command::new("sh")
        .args(["-c", "ulimit -v \"$0\" && exec \"$@\""])
        .arg(limit.to_string())
        .arg(&exe)
        .args(["weights::hostile", "weights::mutations", "--test-threads=1"])
        .env(MEASURE, "1")
        // Resetting the peak takes longer than reading a file.
        .env("MASKSCOPE_MUTATIONS", "300")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let passed = text
        .split("test result: ok. ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    assert!(passed.is_some_and(|passed| passed >= 10), "{text}");
}
