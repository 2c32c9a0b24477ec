//! How much memory a piece of code touches at most, where a test asks for it in a process of its own.

/// Set in a process that runs one test at a time: only there can a peak be told from other tests' memory.
pub const MEASURE: &str = "MASKSCOPE_MEASURE";

/// Result of `work`, and by how many bytes the resident memory grew at most meanwhile; 0 where it is not measured.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    if std::env::var_os(MEASURE).is_none() {
        return (work(), 0);
    }
    // Linux: forgets the peak so far.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let before = status("VmRSS:");
    let result = work();
    (result, status("VmHWM:").saturating_sub(before))
}

/// A size of `/proc/self/status` in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a size").parse::<usize>().expect("a number") * 1024
}
