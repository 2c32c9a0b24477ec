//! What is kept from frame to frame: which points are bright, the counts of what is in view, the picture of density.

use egui::{TextureHandle, TextureOptions, Ui};

use super::{Scatter, count};
use crate::ui::plot::axes::Plane;
use crate::ui::plot::density::{Bins, CellAxis, Counts, Ramp, picture};
use crate::ui::plot::region::Region;
use crate::ui::theme;

/// At most so many points in view are drawn one by one.
pub(super) const MOST_DOTS: usize = 4000;
/// Side of a cell in pixels of the screen.
const CELL: f64 = 2.0;
/// How much of its colour is left of density beside what is bright.
const DIMMED: f32 = 0.45;

/// What the bright points depend on.
#[derive(Clone, PartialEq)]
struct BrightKey {
    points: u64,
    brush: Option<Region>,
    /// Of the caller's flags.
    flags: Option<u64>,
}

/// What the counts depend on.
#[derive(Clone, Copy, PartialEq)]
struct CountKey {
    points: u64,
    bins: Bins,
    /// Counts up with every change of what is bright.
    bright: u64,
}

/// Everything that is kept.
#[derive(Default)]
pub(super) struct Cache {
    bright_key: Option<BrightKey>,
    /// Bits by position; `None` where nothing stands out.
    bright: Option<Vec<u64>>,
    bright_changes: u64,
    brushed: usize,
    count_key: Option<CountKey>,
    pub all: Counts,
    /// Of the bright points alone.
    pub lit: Option<Counts>,
    drawn: Option<(CountKey, bool)>,
    texture: Option<TextureHandle>,
}

impl Cache {
    /// Brings everything up to date for this frame.
    pub fn update(
        &mut self,
        ui: &Ui,
        scatter: &Scatter<'_>,
        brush: Option<&Region>,
        plane: &Plane,
    ) {
        self.update_bright(scatter, brush);
        let key = CountKey {
            points: scatter.points.generation(),
            bins: bins(plane, f64::from(ui.pixels_per_point())),
            bright: self.bright_changes,
        };
        if self.count_key != Some(key) {
            let before = self.count_key.replace(key);
            let moved =
                before.is_none_or(|before| before.points != key.points || before.bins != key.bins);
            if moved {
                key.bins.count(scatter.points, None, &mut self.all);
            }
            self.lit = match &self.bright {
                Some(bits) => {
                    let mut lit = self.lit.take().unwrap_or_default();
                    key.bins.count(scatter.points, Some(bits), &mut lit);
                    Some(lit)
                }
                None => None,
            };
        }
        if self.is_dense() {
            self.draw(ui, key);
        }
    }

    fn update_bright(&mut self, scatter: &Scatter<'_>, brush: Option<&Region>) {
        let key = BrightKey {
            points: scatter.points.generation(),
            brush: brush.cloned(),
            flags: scatter.bright.map(digest),
        };
        if self.bright_key.as_ref() == Some(&key) {
            return;
        }
        self.bright_changes += 1;
        self.bright_key = Some(key);
        let inside = brush.map(|region| scatter.points.select(region));
        self.brushed = inside.as_deref().map_or(0, count);
        let flagged = scatter
            .bright
            .map(|flags| scatter.points.by_position(flags));
        self.bright = match (inside, flagged) {
            (Some(mut inside), Some(flagged)) => {
                for (word, more) in inside.iter_mut().zip(flagged) {
                    *word |= more;
                }
                Some(inside)
            }
            (inside, flagged) => inside.or(flagged),
        };
    }

    /// The picture of density, when it has changed. A texture of the same size is written over, not made anew.
    fn draw(&mut self, ui: &Ui, key: CountKey) {
        let dark = ui.visuals().dark_mode;
        if self.drawn == Some((key, dark)) && self.texture.is_some() {
            return;
        }
        self.drawn = Some((key, dark));
        let c = theme::colours(ui);
        let rest = Ramp::new(c.density, self.all.high);
        let over = Ramp::new(
            c.brushed_density,
            self.lit.as_ref().map_or(0, |lit| lit.high),
        );
        let dimmed = if self.lit.is_some() { DIMMED } else { 1.0 };
        let image = picture(
            &key.bins,
            &self.all,
            self.lit.as_ref(),
            [&rest, &over],
            dimmed,
        );
        match &mut self.texture {
            Some(texture) if texture.size() == image.size => {
                texture.set_partial([0, 0], image, TextureOptions::NEAREST);
            }
            Some(texture) => texture.set(image, TextureOptions::NEAREST),
            none => {
                *none = Some(
                    ui.ctx()
                        .load_texture("density", image, TextureOptions::NEAREST),
                )
            }
        }
    }

    /// Number of points inside the brush.
    pub fn brushed(&self) -> usize {
        self.brushed
    }

    /// Bits by position of what stands out.
    pub fn bright(&self) -> Option<&[u64]> {
        self.bright.as_deref()
    }

    /// Whether there are too many points in view to draw one by one.
    pub fn is_dense(&self) -> bool {
        self.all.total > MOST_DOTS
    }

    /// The picture, where density is drawn.
    pub fn texture(&self) -> Option<&TextureHandle> {
        self.texture.as_ref().filter(|_| self.is_dense())
    }

    /// The cells and bars that were counted.
    pub fn bins(&self) -> Option<&Bins> {
        self.count_key.as_ref().map(|key| &key.bins)
    }
}

/// Cells and bars of what a plane shows.
fn bins(plane: &Plane, pixels_per_point: f64) -> Bins {
    let [x, y] = plane.visible();
    let [sx, sy] = plane.transform.scale();
    let per_unit = |scale: f64| scale * pixels_per_point / CELL;
    Bins {
        x: CellAxis::covering(x, per_unit(sx)),
        y: CellAxis::covering(y, per_unit(sy)),
    }
}

/// Tells flags apart: FNV-1a by words.
fn digest(words: &[u64]) -> u64 {
    words.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
        (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}
