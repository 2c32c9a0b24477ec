//! The mean as numpy computes it, so that sums over precisions have pycocotools' last bit.

/// Below this many values numpy adds one after the other; it also is the number of its accumulators.
const LANES: usize = 8;
/// Up to this many values numpy adds in one block.
const BLOCK: usize = 128;

/// Arithmetic mean with numpy's pairwise summation; `None` of nothing.
pub fn pairwise_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| pairwise_sum(values) / values.len() as f64)
}

/// Mean of the values above -1, pycocotools' mark of what does not exist; -1 where nothing exists.
pub(super) fn mean_of_existing(values: impl Iterator<Item = f64>) -> f64 {
    let existing: Vec<f64> = values.filter(|&value| value > -1.0).collect();
    pairwise_mean(&existing).unwrap_or(-1.0)
}

fn pairwise_sum(values: &[f64]) -> f64 {
    let count = values.len();
    if count < LANES {
        return values.iter().sum();
    }
    if count > BLOCK {
        let half = count / 2;
        let (left, right) = values.split_at(half - half % LANES);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let mut lanes = [0.0; LANES];
    let blocks = values.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy 2.4: `x = np.array([1 / (i + 3) for i in range(n)]); x.mean().hex()`.
    #[test]
    fn equals_numpy() {
        let mean = |count: usize| {
            let values: Vec<f64> = (0..count).map(|i| 1.0 / (i as f64 + 3.0)).collect();
            pairwise_mean(&values).map(f64::to_bits)
        };
        for (count, bits) in NUMPY {
            assert_eq!(mean(count), Some(bits), "{count} values");
        }
        assert_eq!(pairwise_mean(&[]), None);
    }

    const NUMPY: [(usize, u64); 6] = [
        (1, 0x3fd5_5555_5555_5555),
        (7, 0x3fc8_4d17_1a96_3bad),
        (8, 0x3fc6_dd0d_d0dd_0dd0),
        (129, 0x3f9f_678a_2cae_bfef),
        (1010, 0x3f78_5275_53b1_aa15),
        (80801, 0x3f20_d547_67a4_295d),
    ];
}
