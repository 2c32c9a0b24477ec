//! From `--device` to the device that runs the network.

use candle_core::Device;

use super::JobError;

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
        "" | "auto" => Ok(Device::new_cuda(0).unwrap_or(Device::Cpu)),
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
            Device::new_cuda(ordinal).map_err(|error| {
                refuse(format!("{error}; `maskscope doctor` tells what is missing"))
            })
        }
    }
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
    match device {
        Device::Cpu => {
            let threads = format!("CPU, {} threads", rayon::current_num_threads());
            #[cfg(feature = "gpu")]
            if let Some(compute) = crate::ops::compute::in_use() {
                return format!("{threads}; RoIAlign on {}", compute.name());
            }
            threads
        }
        other => format!("{:?}", other.location()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
