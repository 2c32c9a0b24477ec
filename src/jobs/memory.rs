//! Memory of this process and of the machine, where Linux tells.

/// Largest resident size so far in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    kib_of("/proc/self/status", "VmHWM:")
}

/// Resident size now in bytes.
pub fn resident_memory() -> Option<u64> {
    kib_of("/proc/self/status", "VmRSS:")
}

/// What the machine could still give, in bytes.
pub fn available_memory() -> Option<u64> {
    kib_of("/proc/meminfo", "MemAvailable:")
}

fn kib_of(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
