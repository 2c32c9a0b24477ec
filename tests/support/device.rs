//! The device that operations, the network and training steps are tested on.

use std::sync::OnceLock;

use candle_core::Device;
use maskscope::jobs::device;
use maskscope::structures::Precision;

/// The processor, or what `MASKSCOPE_TEST_DEVICE` names (of a build that has it): the same bodies, fixtures and tolerances.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let asked = std::env::var("MASKSCOPE_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
        device::set_precision(Precision::Float32);
        device::choose(&asked).unwrap()
    })
}
