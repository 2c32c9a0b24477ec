//! The buckets of one step as gradients fill them, on whichever device those are: when a bucket is summed, and what of.
#![cfg_attr(
    not(feature = "nccl"),
    allow(dead_code, reason = "its user is `cards`")
)]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::Sums;
use super::buckets::Buckets;

/// Begins to sum tensors over the ranks: the sums, one behind the other.
pub(super) type Sum<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The buckets of one step, as they fill.
pub(super) struct Filling {
    buckets: Buckets,
    /// By bucket and part.
    arrived: Vec<Vec<Option<Tensor>>>,
    /// Parts of each bucket that have not come.
    missing: Vec<usize>,
    /// What earlier micro-batches gave.
    gathered: BTreeMap<String, Tensor>,
    /// One for each bucket that is under way: all ranks sum them in this order.
    sums: Vec<Tensor>,
    device: Device,
}

impl Filling {
    pub fn new(buckets: Buckets, gathered: BTreeMap<String, Tensor>, device: &Device) -> Self {
        let parts = || buckets.all.iter().map(|bucket| bucket.parts.len());
        Self {
            arrived: parts().map(|parts| vec![None; parts]).collect(),
            missing: parts().collect(),
            buckets,
            gathered,
            sums: Vec::new(),
            device: device.clone(),
        }
    }

    /// Takes a gradient in, and begins to sum all buckets that are full by that.
    pub fn take(&mut self, name: &str, gradient: &Tensor, sum: Sum<'_>) -> Result<()> {
        let Some((bucket, part)) = self.buckets.place(name) else {
            return Ok(());
        };
        let gradient = match self.gathered.remove(name) {
            Some(before) => (before + gradient)?,
            None => gradient.clone(),
        };
        self.arrived[bucket][part] = Some(gradient);
        self.missing[bucket] -= 1;
        while self.missing.get(self.sums.len()) == Some(&0) {
            self.sum_next(sum)?;
        }
        Ok(())
    }

    /// Begins to sum the other buckets. What never came is what was gathered before, or zero.
    pub fn rest(&mut self, sum: Sum<'_>) -> Result<()> {
        while self.sums.len() < self.buckets.all.len() {
            self.sum_next(sum)?;
        }
        Ok(())
    }

    fn sum_next(&mut self, sum: Sum<'_>) -> Result<()> {
        let at = self.sums.len();
        let arrived = std::mem::take(&mut self.arrived[at]);
        let mut parts = Vec::with_capacity(arrived.len());
        for ((name, _, len), arrived) in self.buckets.all[at].parts.iter().zip(arrived) {
            parts.push(match arrived.or_else(|| self.gathered.remove(name)) {
                Some(gradient) => gradient,
                None => Tensor::zeros(*len, DType::F32, &self.device)?,
            });
        }
        self.sums.push(sum(&parts)?);
        Ok(())
    }

    /// The sums by name, flat.
    pub fn by_name(&self) -> Result<Sums> {
        let mut sums = Sums::new();
        for (bucket, sum) in self.buckets.all.iter().zip(&self.sums) {
            for (name, start, len) in &bucket.parts {
                sums.insert(name.clone(), sum.narrow(0, *start, *len)?);
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(from: f32, len: usize) -> Tensor {
        let values: Vec<f32> = (0..len).map(|at| from + at as f32).collect();
        Tensor::from_vec(values, (len, 1), &Device::Cpu).unwrap()
    }

    /// What two ranks with the same gradients would sum.
    fn twice(parts: &[Tensor]) -> Result<Tensor> {
        let flat: Result<Vec<Tensor>> = parts.iter().map(Tensor::flatten_all).collect();
        Tensor::cat(&flat?, 0)? * 2.0
    }

    #[test]
    fn buckets_are_summed_in_their_order_and_nothing_is_lost() {
        let large = 1 << 20;
        let sizes = [("a", 3), ("b", 2), ("c", large), ("d", 4), ("e", 1)];
        let buckets = Buckets::new(sizes.map(|(name, len)| (name.to_owned(), len)).to_vec());
        assert_eq!(buckets.all.len(), 3, "e and d, c, b and a");
        let gathered = [("a", values(100.0, 3)), ("d", values(10.0, 4))];
        let gathered = gathered.map(|(name, tensor)| (name.to_owned(), tensor));
        let mut filling = Filling::new(buckets, gathered.into(), &Device::Cpu);
        let asked = std::cell::RefCell::new(Vec::new());
        let sum = |parts: &[Tensor]| {
            let len = parts.iter().map(Tensor::elem_count).sum::<usize>();
            asked.borrow_mut().push(len);
            twice(parts)
        };
        // The second bucket is full first: it waits, for every rank sums in the same order.
        filling.take("c", &values(0.0, large), &sum).unwrap();
        filling.take("unknown", &values(0.0, 1), &sum).unwrap();
        filling.take("e", &values(7.0, 1), &sum).unwrap();
        assert!(asked.borrow().is_empty());
        filling.take("d", &values(1.0, 4), &sum).unwrap();
        assert_eq!(*asked.borrow(), [5, large]);
        // b and a never come: zero, and what was gathered before.
        filling.rest(&sum).unwrap();
        assert_eq!(*asked.borrow(), [5, large, 5]);
        let sums = filling.by_name().unwrap();
        let of = |name: &str| sums[name].to_vec1::<f32>().unwrap();
        assert_eq!(of("e"), [14.0]);
        assert_eq!(of("d"), [22.0, 26.0, 30.0, 34.0]);
        assert_eq!(of("c")[..3], [0.0, 2.0, 4.0]);
        assert_eq!(of("b"), [0.0, 0.0]);
        assert_eq!(of("a"), [200.0, 202.0, 204.0]);
        assert_eq!(sums.len(), 5);
    }
}
