//! Polygons to masks, as pycocotools rasterises them (semantics.md section 6).

use crate::structures::{Rle, Size};

/// A polygon of fewer than three vertices has no inside.
pub const MIN_COORDINATES: usize = 6;

/// The union of the parts, each `x0, y0, x1, y1, ..` in pixels. Parts of fewer than three vertices have no inside and
/// add nothing.
///
/// # Errors
/// A sentence that says why: no part with three vertices, or a size beyond 32-bit runs.
pub fn rasterise(parts: &[Vec<f64>], size: Size) -> Result<Rle, String> {
    let side = |side: usize| u32::try_from(side).map_err(|_| format!("{size} is too large"));
    let (width, height) = (side(size.width)?, side(size.height)?);
    let mut mask: Option<Rle> = None;
    for part in parts.iter().filter(|part| part.len() >= MIN_COORDINATES) {
        let runs = hotcoco::mask::fr_poly(part, height, width).map_err(|e| e.to_string())?;
        let part = Rle::new(size, runs.counts).map_err(|e| e.to_string())?;
        mask = Some(match mask {
            None => part,
            Some(mask) => mask.union(&part).map_err(|e| e.to_string())?,
        });
    }
    mask.ok_or_else(|| "none of its polygons has three vertices".into())
}

/// The union of the parts without the union of the holes, each rasterised as `rasterise` does. A hole of fewer than three
/// vertices takes nothing away.
///
/// # Errors
/// As `rasterise`, of the parts.
pub fn rasterise_with_holes(
    parts: &[Vec<f64>],
    holes: &[Vec<f64>],
    size: Size,
) -> Result<Rle, String> {
    let mask = rasterise(parts, size)?;
    match rasterise(holes, size) {
        Ok(holes) => mask.minus(&holes).map_err(|error| error.to_string()),
        Err(_) => Ok(mask), // no hole with three vertices
    }
}
