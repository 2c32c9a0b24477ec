//! An identity that tells when the gradient of a tensor is whole: all its uses have been added up by then.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::host;

/// Hears the name and the gradient of a tapped tensor during the backward pass.
pub type GradientTap = Arc<dyn Fn(&str, &Tensor) -> Result<()> + Send + Sync>;

/// A copy of `x` whose gradient is told to `tap` on its way to `x`.
///
/// # Errors
/// A tensor that is not contiguous, or on the CPU not f32.
pub fn tapped(x: &Tensor, name: &str, tap: &GradientTap) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Tap {
        name: name.into(),
        tap: Arc::clone(tap),
    })
}

struct Tap {
    name: String,
    tap: GradientTap,
}

impl CustomOp1 for Tap {
    fn name(&self) -> &'static str {
        "tap"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = host::values(x, layout, self.name())?;
        Ok((CpuStorage::F32(values.to_vec()), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        // candle copies the storage from its first value on.
        if layout.start_offset() != 0 {
            candle_core::bail!("{}: a view into a larger tensor", self.name());
        }
        Ok((x.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        (self.tap)(&self.name, gradient)?;
        Ok(Some(gradient.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use std::sync::Mutex;

    #[test]
    fn a_tap_hears_the_sum_over_all_uses_once() -> Result<()> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let tap: GradientTap = Arc::new(move |name, gradient| {
            let value = gradient.to_vec1::<f32>()?[0];
            if let Ok(mut told) = told.lock() {
                told.push((name.to_owned(), value));
            }
            Ok(())
        });
        let x = Var::ones(1, DType::F32, &Device::Cpu)?;
        let y = tapped(x.as_tensor(), "x", &tap)?;
        let loss = ((&y * 2.0)? + (&y * 3.0)?)?.sum_all()?;
        let gradients = loss.backward()?;
        let own = gradients.get(x.as_tensor()).map(Tensor::to_vec1::<f32>);
        assert_eq!(own.transpose()?, Some(vec![5.0]));
        assert_eq!(
            heard.lock().map(|all| all.clone()).ok(),
            Some(vec![("x".to_owned(), 5.0)])
        );
        Ok(())
    }
}
