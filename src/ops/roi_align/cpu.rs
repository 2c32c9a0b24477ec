//! RoIAlign on the processor: the specification of the other devices.

use super::taps::Taps;

/// One RoI, all channels: `features` (C,H,W) of its image -> `out` (C,h,w), which holds zeros.
pub(super) fn pool(features: &[f32], width: usize, rows: &Taps, columns: &Taps, out: &mut [f32]) {
    let (left, right) = columns.extent();
    let (cells, channels) = (rows.bins.len() * columns.bins.len(), out.len());
    let plane_len = features.len() / (channels / cells);
    let mut blended = vec![0.0; right - left]; // one output row before the columns are averaged
    for (plane, out) in features
        .chunks_exact(plane_len)
        .zip(out.chunks_exact_mut(cells))
    {
        for ((top, weights), out_row) in rows.runs().zip(out.chunks_exact_mut(columns.bins.len())) {
            blended.fill(0.0);
            for (row, &weight) in (top..).zip(weights) {
                let source = &plane[row * width + left..row * width + right];
                for (sum, &value) in blended.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
            for ((first, weights), value) in columns.runs().zip(out_row) {
                if !weights.is_empty() {
                    let run = &blended[first - left..][..weights.len()];
                    *value = run.iter().zip(weights).map(|(a, b)| a * b).sum();
                }
            }
        }
    }
}

/// The transpose of `pool` for one channel: `gradient` (h,w) -> added to `plane` (H,W).
pub(super) fn spread(
    gradient: &[f32],
    rows: &Taps,
    columns: &Taps,
    width: usize,
    plane: &mut [f32],
) {
    let (left, right) = columns.extent();
    let mut blended = vec![0.0; right - left]; // one output row over the columns of the map
    for ((top, weights), gradient) in rows.runs().zip(gradient.chunks_exact(columns.bins.len())) {
        if weights.is_empty() {
            continue;
        }
        blended.fill(0.0);
        for ((first, weights), &value) in columns.runs().zip(gradient) {
            let run = blended.iter_mut().skip(first.saturating_sub(left));
            for (sum, &weight) in run.zip(weights) {
                *sum += weight * value;
            }
        }
        for (row, &weight) in (top..).zip(weights) {
            let target = &mut plane[row * width + left..row * width + right];
            for (sum, &value) in target.iter_mut().zip(&blended) {
                *sum += weight * value;
            }
        }
    }
}
