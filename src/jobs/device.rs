//! From `--device` to the device that runs the network.

use candle_core::{Device, DeviceLocation};

use super::JobError;
use crate::config::{self, Config};
use crate::structures::Precision;

/// What a user may ask for, for messages and completion.
pub const CHOICES: &str = "auto, cpu, cuda, cuda:N";

/// The device of `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
///
/// `auto` takes CUDA where this build has it and a device answers, else the CPU.
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
        "" | "auto" => Ok(cuda(0).unwrap_or(Device::Cpu)),
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
            cuda(ordinal).map_err(|error| {
                // Its first line: a trace of candle's may follow.
                let error = error.to_string();
                let error = error.lines().next().unwrap_or_default();
                refuse(format!("{error}; `maskscope doctor` tells what is missing"))
            })
        }
    }
}

/// What is asked for where a configuration has a say: `--device`, else its `device_target` and `device_id`.
pub fn asked(by_flag: &str, config: &Config) -> String {
    let is_open = matches!(by_flag, "" | "auto");
    match config.device_target.as_str() {
        "CPU" if is_open => "cpu".into(),
        _ if is_open && config.device_id > 0 && candle_core::utils::cuda_is_available() => {
            format!("cuda:{}", config.device_id)
        }
        _ => by_flag.to_owned(),
    }
}

/// As `choose`, for one of several processes on a machine: each has the card of its own number, unless one is named.
///
/// # Errors
/// As `choose`; more processes than cards.
pub fn choose_for(asked: &str, local_rank: usize) -> Result<Device, JobError> {
    // A launcher may have given each process its own card to see.
    let sees_one = std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|seen| !seen.contains(','));
    if local_rank == 0 || sees_one || !candle_core::utils::cuda_is_available() {
        return choose(asked);
    }
    match asked {
        "" | "auto" => of_rank(local_rank).or_else(|refused| match cuda(0) {
            Err(_) => Ok(Device::Cpu), // no card at all: every process computes on the processor
            Ok(_) => Err(refused),
        }),
        "cuda" => of_rank(local_rank),
        named => choose(named),
    }
}

fn of_rank(local_rank: usize) -> Result<Device, JobError> {
    cuda(local_rank).map_err(|error| {
        let error = error.to_string();
        let first = error.lines().next().unwrap_or_default();
        JobError::Device {
            asked: format!("cuda:{local_rank}"),
            why: format!(
                "each process takes a card of its own: start no more of them than there are cards ({first})"
            ),
        }
    })
}

/// A device with one stream for all threads: candle's plain one has a stream for each thread, and work that threads hand on
/// to each other would not be in order.
fn cuda(ordinal: usize) -> candle_core::Result<Device> {
    Device::new_cuda_with_stream(ordinal)
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
        Asked::Auto if has_tensor_cores(device) => Precision::TensorFloat32,
        Asked::Auto | Asked::F32 => Precision::Float32,
        Asked::Tf32 => Precision::TensorFloat32,
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

/// TensorFloat-32 came with compute capability 8.0.
#[cfg(feature = "cuda")]
fn has_tensor_cores(device: &Device) -> bool {
    let Device::Cuda(device) = device else {
        return false;
    };
    let stream = device.cuda_stream();
    let capability = stream.context().compute_capability();
    capability.is_ok_and(|(major, _)| major >= 8)
}

#[cfg(not(feature = "cuda"))]
fn has_tensor_cores(_: &Device) -> bool {
    false
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
        assert_eq!(asked("", &of("CPU")), "cpu");
        assert_eq!(asked("auto", &of("CPU")), "cpu");
        assert_eq!(asked("cuda:1", &of("CPU")), "cuda:1");
        assert_eq!(asked("", &of("GPU")), "");
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
