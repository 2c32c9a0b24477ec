//! Processor and memory.

use serde_json::json;

use super::{Check, Remedy, State};

/// A full-size network with its activations at 1024×1024, measured as peak resident size, rounded up.
const WANTED_MEMORY: u64 = 2 << 30;

/// Vector instructions of the convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Simd {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Simd {
    /// The same detection as the convolution's own.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx512 {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2 + FMA",
            Self::Portable => "portable",
        }
    }
}

/// `AMD EPYC, 2 threads, AVX-512`.
pub(super) fn summary() -> String {
    format!(
        "{}, {} threads, {}",
        name(),
        rayon::current_num_threads(),
        Simd::detect().name()
    )
}

pub(super) fn check() -> Check {
    let simd = Simd::detect();
    let threads = rayon::current_num_threads();
    let available = std::thread::available_parallelism().map_or(1, |n| n.get());
    let why = match std::env::var("RAYON_NUM_THREADS") {
        Ok(n) if !n.is_empty() => format!("RAYON_NUM_THREADS is {n}"),
        _ => "one per processor that this process may use".into(),
    };
    let fast = simd != Simd::Portable;
    Check {
        id: "cpu",
        state: if fast { State::Ok } else { State::Limited },
        found: format!("{}, {available} processors", name()),
        used: format!("{threads} threads ({why}), convolution with {} instructions", simd.name()),
        remedy: (!fast).then(|| {
            Remedy::advice("This processor has no AVX2: the network runs on the portable path, several times slower.")
        }),
        details: json!({
            "name": name(),
            "processors": available,
            "threads": threads,
            "simd": simd.name(),
        }),
    }
}

pub(super) fn check_memory() -> Check {
    let total = memory("MemTotal:");
    let available = memory("MemAvailable:");
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let usable = [available, limit].into_iter().flatten().min();
    let enough = usable.is_none_or(|bytes| bytes >= WANTED_MEMORY);
    let mut found = match (total, available) {
        (Some(total), Some(available)) => {
            format!("{} in all, {} available", gib(total), gib(available))
        }
        _ => "this system does not tell".into(),
    };
    if let Some(limit) = limit {
        found.push_str(&format!(", this process is limited to {}", gib(limit)));
    }
    Check {
        id: "memory",
        state: if enough { State::Ok } else { State::Limited },
        found,
        used: format!("up to {} for a full-size network at 1024x1024", gib(WANTED_MEMORY)),
        remedy: (!enough).then(|| {
            Remedy::advice(
                "Close other programs, or run smaller images: --set img_width=640 --set img_height=640.",
            )
        }),
        details: json!({
            "total_bytes": total,
            "available_bytes": available,
            "limit_bytes": limit,
        }),
    }
}

fn name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(key.trim(), "model name" | "Model" | "Hardware"))
        .map_or_else(
            || format!("{} processor", std::env::consts::ARCH),
            |(_, name)| name.trim().to_owned(),
        )
}

/// A line of the kernel's table, in bytes.
fn memory(key: &str) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

pub(super) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
