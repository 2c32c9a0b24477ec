//! Pictures with the masks of their annotations.

use std::path::Path;

use super::{ExportSummary, Job};
use crate::coco::write_whole;
use crate::data::{class_colour, decode, draw_mask, write_png};
use crate::jobs::JobError;

impl Job<'_> {
    /// `<number of the image>_<stem>.png` for every image that can be read; the largest masks lie lowest.
    pub(super) fn write_overlays(
        &self,
        folder: &Path,
        summary: &mut ExportSummary,
        tick: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), JobError> {
        summary.images = 0;
        for (number, image) in self.set.set().images().iter().enumerate() {
            if !tick(number) {
                return Err(self.cancelled().into());
            }
            let mut picture = match decode(&image.path, image.declared) {
                Ok(picture) => picture,
                Err(error) => {
                    summary.notes.push(format!("left out: {error}"));
                    continue;
                }
            };
            let (mut annotations, dropped) = self.set.annotations(number)?;
            summary.notes.extend(dropped);
            annotations.sort_by_key(|annotation| std::cmp::Reverse(annotation.mask.area()));
            for annotation in &annotations {
                draw_mask(
                    &mut picture,
                    &annotation.mask,
                    class_colour(annotation.label),
                );
            }
            summary.images += 1;
            summary.instances += annotations.len();
            let stem = Path::new(&image.file_name).file_stem().unwrap_or_default();
            // The id keeps pictures of one name in different folders apart.
            let name = format!("{}_{}.png", stem.to_string_lossy(), image.id);
            write_whole(&folder.join(name), |out| write_png(&picture, out))?;
        }
        Ok(())
    }
}
