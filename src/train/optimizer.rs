//! SGD with momentum and Adam, with decay, clipping and averaging (semantics.md 4.8 and 4.9). Updates happen in place.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::TrainError;
use crate::config::{Config, OptType};

const ADAM_BETAS: (f64, f64) = (0.9, 0.999);
const ADAM_EPSILON: f64 = 1e-8;
const NORM_EPSILON: f64 = 1e-6; // PyTorch's clip_grad_norm_
const CHUNK: usize = 1 << 14;

/// Updates the trained tensors of a set and keeps what it needs between updates.
#[derive(Debug)]
pub struct Optimizer {
    kind: OptType,
    momentum: f64,
    weight_decay: f64,
    grad_clip: f64,
    /// State name, such as `momentum.<parameter>` -> tensor of the parameter's shape. It must not remember what it was made of: that
    /// would be every step since the first.
    state: BTreeMap<String, Tensor>,
    /// Updates done: Adam's bias correction.
    updates: usize,
}

/// One update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Learning rate.
    pub rate: f64,
    /// What every gradient is multiplied by first: 1/(loss scale · micro-batches · ranks).
    pub factor: f64,
}

impl Optimizer {
    /// The optimiser of a configuration, at rest.
    pub fn new(config: &Config) -> Self {
        Self {
            kind: config.opt_type,
            momentum: config.momentum,
            weight_decay: config.weight_decay,
            grad_clip: config.grad_clip,
            state: BTreeMap::new(),
            updates: 0,
        }
    }

    /// Its state, to be kept with a checkpoint: names and tensors.
    pub fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.state
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// Updates done; those that were left out for their gradients do not count.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Goes on from a kept state after so many updates.
    pub fn restore(&mut self, state: BTreeMap<String, Tensor>, updates: usize) {
        (self.state, self.updates) = (state, updates);
    }

    /// Updates every tensor of `trained`; `gradients` by name, a missing one is zero. Returns the L2 norm of all
    /// gradients after `factor`, before clipping. Where that is no finite number nothing is updated.
    ///
    /// # Errors
    /// Shapes that do not fit; a failed tensor operation.
    pub fn step<'a>(
        &mut self,
        trained: impl IntoIterator<Item = (&'a str, &'a Var)>,
        gradients: &BTreeMap<String, Tensor>,
        update: Update,
    ) -> std::result::Result<f64, TrainError> {
        let norm = square_sum(gradients.values())?.sqrt() * update.factor;
        if !norm.is_finite() {
            return Ok(norm);
        }
        let mut factor = update.factor;
        if self.grad_clip > 0.0 {
            factor *= (self.grad_clip / (norm + NORM_EPSILON)).min(1.0);
        }
        self.updates += 1;
        for (name, var) in trained {
            let zero;
            let gradient = match gradients.get(name) {
                Some(gradient) => gradient,
                None => {
                    zero = var.zeros_like()?;
                    &zero
                }
            };
            match self.kind {
                OptType::Sgd => self.sgd(name, var, gradient, update.rate, factor)?,
                OptType::Adam => self.adam(name, var, gradient, update.rate, factor)?,
            }
        }
        Ok(norm)
    }

    fn sgd(
        &mut self,
        name: &str,
        var: &Var,
        gradient: &Tensor,
        rate: f64,
        factor: f64,
    ) -> Result<()> {
        let velocity = slot(&mut self.state, "momentum", name, var)?;
        let step = Velocity {
            momentum: self.momentum as f32,
            decay: self.weight_decay as f32,
            factor: factor as f32,
        };
        if var.device().is_cpu() {
            velocity.inplace_op3(var.as_tensor(), &gradient.contiguous()?, &step)?;
            return var.inplace_op2(velocity, &Descend { rate: rate as f32 });
        }
        let (parameter, gradient) = (var.as_detached_tensor(), gradient.detach());
        let gradient = ((gradient * factor)? + (&parameter * self.weight_decay)?)?;
        *velocity = ((&*velocity * self.momentum)? + gradient)?;
        var.set(&(parameter - (&*velocity * rate)?)?)
    }

    fn adam(
        &mut self,
        name: &str,
        var: &Var,
        gradient: &Tensor,
        rate: f64,
        factor: f64,
    ) -> Result<()> {
        let (parameter, gradient) = (var.as_detached_tensor(), gradient.detach());
        let gradient = ((gradient * factor)? + (&parameter * self.weight_decay)?)?;
        let (first, second) = ADAM_BETAS;
        let mean = slot(&mut self.state, "adam_mean", name, var)?;
        *mean = ((&*mean * first)? + (&gradient * (1.0 - first))?)?;
        let mean = mean.clone();
        let square = slot(&mut self.state, "adam_square", name, var)?;
        *square = ((&*square * second)? + (gradient.sqr()? * (1.0 - second))?)?;
        let updates = self.updates as i32;
        let mean = (mean / (1.0 - first.powi(updates)))?;
        let deviation = ((&*square / (1.0 - second.powi(updates)))?.sqrt()? + ADAM_EPSILON)?;
        var.set(&(parameter - ((mean / deviation)? * rate)?)?)
    }
}

/// The state of one parameter, zeros at first.
fn slot<'a>(
    state: &'a mut BTreeMap<String, Tensor>,
    kind: &str,
    name: &str,
    var: &Var,
) -> Result<&'a mut Tensor> {
    let key = format!("{kind}.{name}");
    match state.entry(key) {
        std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
        std::collections::btree_map::Entry::Vacant(entry) => {
            Ok(entry.insert(var.as_detached_tensor().zeros_like()?))
        }
    }
}

/// Σ g² over all gradients; of those on a device one number each, fetched together.
fn square_sum<'a>(gradients: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let (mut sum, mut on_device) = (0.0, Vec::new());
    for gradient in gradients {
        match gradient.device() {
            Device::Cpu => sum += square_sum_of(gradient)?,
            _ => on_device.push(gradient.detach().sqr()?.sum_all()?),
        }
    }
    if !on_device.is_empty() {
        let sums = Tensor::stack(&on_device, 0)?.to_vec1::<f32>()?;
        sum += sums.into_iter().map(f64::from).sum::<f64>();
    }
    Ok(sum)
}

/// In f64, in parts whose sums are always the same.
fn square_sum_of(gradient: &Tensor) -> Result<f64> {
    let gradient = gradient.flatten_all()?;
    let values = gradient.to_vec1::<f32>()?;
    let parts: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|part| part.iter().map(|&v| f64::from(v) * f64::from(v)).sum())
        .collect();
    Ok(parts.iter().sum())
}

/// v = momentum·v + (factor·g + decay·p)
struct Velocity {
    momentum: f32,
    decay: f32,
    factor: f32,
}

impl InplaceOp3 for Velocity {
    fn name(&self) -> &'static str {
        "sgd velocity"
    }

    fn cpu_fwd(
        &self,
        velocity: &mut CpuStorage,
        velocity_layout: &Layout,
        parameter: &CpuStorage,
        parameter_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let parameter = slice(parameter, parameter_layout)?;
        let gradient = slice(gradient, gradient_layout)?;
        let velocity = slice_mut(velocity, velocity_layout)?;
        if parameter.len() != velocity.len() || gradient.len() != velocity.len() {
            bail!(
                "sgd: a gradient of {} values for a parameter of {}",
                gradient.len(),
                parameter.len()
            );
        }
        velocity
            .par_chunks_mut(CHUNK)
            .zip(parameter.par_chunks(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|((velocity, parameter), gradient)| {
                for ((v, &p), &g) in velocity.iter_mut().zip(parameter).zip(gradient) {
                    *v = self.momentum * *v + (self.factor * g + self.decay * p);
                }
            });
        Ok(())
    }
}

/// p -= rate·v
struct Descend {
    rate: f32,
}

impl InplaceOp2 for Descend {
    fn name(&self) -> &'static str {
        "sgd step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        velocity: &CpuStorage,
        velocity_layout: &Layout,
    ) -> Result<()> {
        let velocity = slice(velocity, velocity_layout)?;
        let parameter = slice_mut(parameter, parameter_layout)?;
        parameter
            .par_chunks_mut(CHUNK)
            .zip(velocity.par_chunks(CHUNK))
            .for_each(|(parameter, velocity)| {
                for (p, &v) in parameter.iter_mut().zip(velocity) {
                    *p -= self.rate * v;
                }
            });
        Ok(())
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("an update needs contiguous tensors"),
    }
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (Some((start, end)), CpuStorage::F32(values)) = (layout.contiguous_offsets(), storage)
    else {
        bail!("an update needs contiguous f32 tensors");
    };
    Ok(&mut values[start..end])
}
