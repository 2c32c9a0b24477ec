//! splitmix64: the same numbers on every machine, in every version, on every number of threads.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of the mixer, also a good hash of small integers.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The stream that begins at `state`.
    pub fn new(state: u64) -> Self {
        Self(state)
    }

    /// The stream of one thing: each key, such as seed, epoch and image, leads to another.
    pub fn of(keys: &[u64]) -> Self {
        let join = |state: u64, &key: &u64| {
            mix(state.wrapping_add(GOLDEN) ^ mix(key.wrapping_add(GOLDEN)))
        };
        Self(keys.iter().fold(0, join))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Any order is equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }

    /// `count` of `values` without replacement, in their own order; all of them where there are no more.
    pub fn choose<T: Copy>(&mut self, values: &[T], count: usize) -> Vec<T> {
        if values.len() <= count {
            return values.to_vec();
        }
        let mut chosen: Vec<usize> = (0..values.len()).collect();
        for at in 0..count {
            let other = at + self.below(values.len() - at);
            chosen.swap(at, other);
        }
        chosen.truncate(count);
        chosen.sort_unstable();
        chosen.into_iter().map(|index| values[index]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_keys_differ_and_repeat() {
        let first = |keys: &[u64]| Random::of(keys).bits();
        assert_eq!(first(&[1, 2, 3]), first(&[1, 2, 3]));
        let all = [[1u64, 2, 3], [1, 3, 2], [2, 1, 3], [1, 2, 4], [0, 2, 3]];
        let mut seen: Vec<u64> = all.iter().map(|keys| first(keys)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all.len());
    }

    #[test]
    fn choices_are_even_and_in_order() {
        let mut random = Random::of(&[7]);
        let values: Vec<usize> = (0..10).collect();
        let mut counts = [0; 10];
        for _ in 0..3000 {
            let chosen = random.choose(&values, 4);
            assert!(chosen.len() == 4 && chosen.is_sorted());
            for value in chosen {
                counts[value] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (1100..1300).contains(count)),
            "{counts:?}"
        );
        assert_eq!(random.choose(&values, 20), values);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::of(&[3]);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let square = values.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
    }
}
