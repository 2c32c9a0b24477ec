//! From `--device` to the device that runs the network.

use candle_core::{Device, DeviceLocation};

use super::JobError;
use crate::config::{self, Config};
use crate::structures::Precision;

/// Compute capability that the kernels are compiled for: they run on it and on newer cards.
pub const LEAST_CAPABILITY: (i32, i32) = (8, 0);

/// What a user may ask for, for messages and completion.
pub const CHOICES: &str = "auto, cpu, cuda, cuda:N";

/// The device of `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
///
/// `auto` takes the first card that works where this build has CUDA, else the CPU, and says in the log what stood in the way.
///
/// # Errors
/// An unknown name; CUDA asked for by name and not to be had.
pub fn choose(asked: &str) -> Result<Device, JobError> {
    let refuse = |why: String| JobError::Device {
        asked: asked.to_owned(),
        why,
    };
    match asked {
        "cpu" => Ok(Device::Cpu),
        "" | "auto" if !candle_core::utils::cuda_is_available() => Ok(Device::Cpu),
        "" | "auto" => Ok(first_card().unwrap_or_else(|why| {
            log::warn!("computing on the CPU: {why}; `maskscope doctor` tells more");
            Device::Cpu
        })),
        _ => {
            let ordinal = match asked.strip_prefix("cuda") {
                Some("") => Some(0),
                Some(rest) => rest.strip_prefix(':').and_then(|n| n.parse().ok()),
                None => None,
            };
            let ordinal = ordinal.ok_or_else(|| refuse(format!("expected one of {CHOICES}")))?;
            if !candle_core::utils::cuda_is_available() {
                return Err(refuse(
                    "this build has no CUDA support; use --device cpu".into(),
                ));
            }
            cuda(ordinal)
                .map_err(|why| refuse(format!("{why}; `maskscope doctor` tells what is missing")))
        }
    }
}

/// The first card that works; of none, why the first one does not.
fn first_card() -> Result<Device, String> {
    let first = cuda(0);
    let Err(why) = first else { return first };
    (1..cards())
        .find_map(|ordinal| cuda(ordinal).ok())
        .ok_or(why)
}

/// What is asked for where a configuration has a say: `--device`, else its `device_target` and `device_id`. Of several ranks each
/// takes the card of its own number: `device_id` is for one.
pub fn asked(by_flag: &str, config: &Config, ranks: usize) -> String {
    let is_open = matches!(by_flag, "" | "auto");
    let is_named = ranks == 1 && config.device_id > 0;
    match config.device_target.as_str() {
        "CPU" if is_open => "cpu".into(),
        _ if is_open && is_named && candle_core::utils::cuda_is_available() => {
            format!("cuda:{}", config.device_id)
        }
        _ => by_flag.to_owned(),
    }
}

/// As `choose`, for one of `ranks` processes: each has the card of its own number on its machine, unless one is named.
///
/// # Errors
/// As `choose`; more processes than cards, a card that cannot be used.
pub fn choose_for(asked: &str, local_rank: usize, ranks: usize) -> Result<Device, JobError> {
    // A launcher may have given each process its own card to see.
    let sees_one = std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|seen| !seen.contains(','));
    let is_open = matches!(asked, "" | "auto");
    if ranks == 1 || sees_one || cards() == 0 || !(is_open || asked == "cuda") {
        return choose(asked);
    }
    of_rank(local_rank)
}

fn of_rank(local_rank: usize) -> Result<Device, JobError> {
    cuda(local_rank).map_err(|why| JobError::Device {
        asked: format!("cuda:{local_rank}"),
        why: format!(
            "each process takes a card of its own: start no more of them than there are cards ({why})"
        ),
    })
}

/// A card, or why it cannot be used.
///
/// It has one stream for all threads: candle's plain device has a stream for each thread, and work that threads hand on to each
/// other would not be in order.
fn cuda(ordinal: usize) -> Result<Device, String> {
    let device = Device::new_cuda_with_stream(ordinal).map_err(|error| {
        // Its first line: a trace of candle's may follow.
        let error = error.to_string();
        error.lines().next().unwrap_or_default().to_owned()
    })?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = &device {
        let stream = card.cuda_stream();
        let (major, minor) = (stream.context().compute_capability())
            .map_err(|error| format!("it does not tell its compute capability ({error})"))?;
        let (least, _) = LEAST_CAPABILITY;
        if major < least {
            return Err(format!(
                "CUDA {ordinal} has compute capability {major}.{minor}, the kernels need {least}.0"
            ));
        }
        if let Err(error) = crate::ops::cuda::keep_memory(card) {
            log::debug!("CUDA {ordinal} gives memory back at every wait: {error}");
        }
    }
    Ok(device)
}

/// Cards that the driver tells of; 0 in a build without CUDA.
#[cfg(feature = "cuda")]
pub fn cards() -> usize {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    let count = CudaContext::device_count().unwrap_or(0);
    usize::try_from(count).unwrap_or(0)
}

/// Cards that the driver tells of; 0 in a build without CUDA.
#[cfg(not(feature = "cuda"))]
pub fn cards() -> usize {
    0
}

/// The precision that a configuration asks for on a device, and what a person should know of it.
pub fn precision(asked: config::Precision, device: &Device) -> (Precision, Option<String>) {
    use config::Precision as Asked;
    if device.is_cpu() {
        let note = match asked {
            Asked::Auto | Asked::F32 => None,
            Asked::Tf32 | Asked::F16 | Asked::Bf16 => {
                Some("precision: the processor computes in float32 alone".to_owned())
            }
        };
        return (Precision::Float32, note);
    }
    let precision = match asked {
        Asked::F32 => Precision::Float32,
        // Every card that the kernels run on has it.
        Asked::Auto | Asked::Tf32 => Precision::TensorFloat32,
        Asked::F16 => Precision::Float16,
        Asked::Bf16 => Precision::Bfloat16,
    };
    (precision, None)
}

/// Lets products of candle's own operations be of the precision too.
pub fn set_precision(precision: Precision) {
    #[cfg(feature = "cuda")]
    candle_core::cuda_backend::set_gemm_reduced_precision_f32(precision != Precision::Float32);
    #[cfg(not(feature = "cuda"))]
    let _ = precision;
}

/// Chooses what helps the device: on the processor, whether a graphics adapter takes RoIAlign. Takes a second where nothing
/// is remembered.
pub fn prepare(device: &Device) {
    #[cfg(feature = "gpu")]
    if device.is_cpu() {
        super::adapter::prepare();
    }
    #[cfg(not(feature = "gpu"))]
    let _ = device;
}

/// Gives memory that a card keeps for later work back to the system, where other programs find it.
pub fn release(device: &Device) {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device
        && let Err(error) = crate::ops::cuda::give_memory_back(card)
    {
        log::debug!("memory of the card is kept: {error}");
    }
    let _ = device;
}

/// Memory that a device could still give, in bytes; `None` where it does not tell.
pub fn free_memory(device: &Device) -> Option<u64> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        let free = card.cuda_stream().context().mem_get_info().ok()?.0;
        return Some(free as u64);
    }
    device.is_cpu().then(super::available_memory).flatten()
}

/// How much memory of a card is in use at most, from the making of this on. cuBLAS's own is not in it.
#[derive(Debug)]
pub struct MemoryUse<'a>(&'a Device);

impl<'a> MemoryUse<'a> {
    /// Begins to look; `None` where the device does not tell.
    pub fn of(device: &'a Device) -> Option<Self> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = device {
            crate::ops::cuda::forget_most_memory(card).ok()?;
            return Some(Self(device));
        }
        let _ = device;
        None
    }

    /// In MiB.
    pub fn most_mib(&self) -> Option<f64> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = self.0 {
            let bytes = crate::ops::cuda::most_memory(card).ok()?;
            return Some(bytes as f64 / f64::from(1 << 20));
        }
        let _ = self.0;
        None
    }
}

/// What runs the network, for people: `CPU, 2 threads` or `CUDA 0`.
pub fn describe(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => {
            let threads = format!("CPU, {} threads", rayon::current_num_threads());
            #[cfg(feature = "gpu")]
            if let Some(compute) = crate::ops::compute::in_use() {
                return format!("{threads}; RoIAlign on {}", compute.name());
            }
            threads
        }
        DeviceLocation::Cuda { gpu_id } => format!("CUDA {gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("Metal {gpu_id}"),
    }
}

/// What to ask for to get the device of a description.
pub fn described(description: &str) -> Option<String> {
    if description.starts_with("CPU") {
        return Some("cpu".into());
    }
    let number: usize = description.strip_prefix("CUDA ")?.parse().ok()?;
    Some(format!("cuda:{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_says_that_it_has_one_precision() {
        use config::Precision as Asked;
        for (asked, is_told) in [
            (Asked::Auto, false),
            (Asked::F32, false),
            (Asked::F16, true),
        ] {
            let (precision, note) = precision(asked, &Device::Cpu);
            assert_eq!((precision, note.is_some()), (Precision::Float32, is_told));
        }
    }

    #[test]
    fn a_description_leads_back_to_its_device() {
        let of = |text: &str| described(text);
        assert_eq!(of(&describe(&Device::Cpu)).as_deref(), Some("cpu"));
        assert_eq!(of("CUDA 1").as_deref(), Some("cuda:1"));
        assert_eq!(of("elsewhere"), None);
    }

    #[test]
    fn the_configuration_chooses_where_no_flag_does() {
        let of = |target: &str| Config {
            device_target: target.into(),
            ..Config::default()
        };
        assert_eq!(asked("", &of("CPU"), 1), "cpu");
        assert_eq!(asked("auto", &of("CPU"), 2), "cpu");
        assert_eq!(asked("cuda:1", &of("CPU"), 1), "cuda:1");
        assert_eq!(asked("", &of("GPU"), 1), "");
        let second = Config {
            device_id: 1,
            ..of("GPU")
        };
        assert_eq!(asked("", &second, 2), "");
        let alone = asked("", &second, 1);
        assert_eq!(alone == "cuda:1", candle_core::utils::cuda_is_available());
    }

    #[test]
    fn names() {
        for name in ["", "auto", "cpu"] {
            assert!(choose(name).is_ok(), "{name}");
        }
        for name in ["gpu", "cuda:x", "cuda0", "CPU"] {
            let text = choose(name)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(
                text.contains(name) && text.contains("cuda:N"),
                "{name}: {text}"
            );
        }
    }
}
