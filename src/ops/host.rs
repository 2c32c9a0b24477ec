//! Access to tensors in host memory for the CPU paths.

use candle_core::{CpuStorage, Layout, Result, bail};

/// The values of a contiguous f32 tensor, row-major. `op` is named in the error.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout, op: &str) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout
        .contiguous_offsets()
        .and_then(|(start, end)| all.get(start..end))
    {
        Some(values) => Ok(values),
        None => bail!(
            "{op} needs a contiguous tensor, got strides {:?}",
            layout.stride()
        ),
    }
}
