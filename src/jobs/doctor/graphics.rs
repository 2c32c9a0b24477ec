//! Graphics adapters, as the window would choose among them.

use serde_json::json;

use super::{Check, Remedy, State};

pub(super) fn check() -> Check {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let found: Vec<_> = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
        .iter()
        .map(wgpu::Adapter::get_info)
        .collect();
    // The window asks in the same way, but for a surface that the adapter must be able to draw on.
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::from_env()
            .unwrap_or(wgpu::PowerPreference::HighPerformance),
        ..wgpu::RequestAdapterOptions::default()
    };
    let chosen = pollster::block_on(instance.request_adapter(&options)).ok();
    report(&found, chosen.map(|adapter| adapter.get_info()))
}

fn report(found: &[wgpu::AdapterInfo], chosen: Option<wgpu::AdapterInfo>) -> Check {
    let software = |info: &wgpu::AdapterInfo| info.device_type == wgpu::DeviceType::Cpu;
    let chosen = chosen.as_ref().or(found.first());
    let (state, used, remedy) = match chosen {
        None => (
            State::Missing,
            "nothing: the window cannot open; the command line works".to_owned(),
            Some(Remedy::packages(
                "Install a Vulkan or OpenGL driver; Mesa's also draw without a graphics card.",
                &[
                    "mesa-vulkan-drivers",
                    "libvulkan1",
                    "libegl1",
                    "libgl1-mesa-dri",
                ],
                &[
                    "mesa-vulkan-drivers",
                    "vulkan-loader",
                    "mesa-libEGL",
                    "mesa-dri-drivers",
                ],
            )),
        ),
        Some(info) if software(info) => (
            State::Limited,
            format!(
                "{}: no hardware adapter answers, so the processor draws the window",
                describe(info)
            ),
            Some(Remedy::packages(
                "With a graphics card in this machine, install its driver.",
                &[
                    "mesa-vulkan-drivers (AMD and Intel)",
                    "nvidia-driver (NVIDIA)",
                ],
                &[
                    "mesa-vulkan-drivers (AMD and Intel)",
                    "akmod-nvidia (NVIDIA, from RPM Fusion)",
                ],
            )),
        ),
        Some(info) => (
            State::Ok,
            format!(
                "{}: the fastest that draws (WGPU_BACKEND and WGPU_POWER_PREF choose another)",
                describe(info)
            ),
            None,
        ),
    };
    let adapters: Vec<_> = found
        .iter()
        .map(|info| {
            json!({
                "name": info.name,
                "backend": info.backend.to_string(),
                "driver": info.driver,
                "driver_info": info.driver_info,
                "kind": kind(info),
                "software": software(info),
            })
        })
        .collect();
    let names: Vec<_> = found.iter().map(describe).collect();
    Check {
        id: "graphics",
        state,
        found: if names.is_empty() {
            "no adapter".into()
        } else {
            names.join("; ")
        },
        used,
        remedy,
        details: json!({
            "adapters": adapters,
            "chosen": chosen.map(|info| &info.name),
        }),
    }
}

/// `llvmpipe (vulkan, Mesa 22.3, software)`.
fn describe(info: &wgpu::AdapterInfo) -> String {
    let known = info.name.split_whitespace().next().unwrap_or_default();
    // Software drivers repeat their name in both fields.
    let driver = if info.driver == known {
        String::new()
    } else {
        format!("{} ", info.driver)
    };
    let driver = format!("{driver}{}", info.driver_info);
    let parts: Vec<_> = [info.backend.to_str(), driver.trim(), kind(info)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    format!("{} ({})", info.name, parts.join(", "))
}

fn kind(info: &wgpu::AdapterInfo) -> &'static str {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}
