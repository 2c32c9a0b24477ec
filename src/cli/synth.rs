//! `maskscope synth`: a synthetic COCO set with exact masks.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Shared;
use super::{interrupt, output};
use crate::jobs::JobError;
use crate::jobs::synth::{
    self, AnnotationsRequest, Contents, Shapes, SynthReport, SynthRequest, write, write_annotations,
};
use crate::structures::Size;

/// Write a synthetic COCO set: overlapping textured shapes with exact masks
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope synth synth/train --images 3000
  maskscope synth synth/val --images 200 --seed 2
  maskscope synth large --size 640x480 --stats coco
  maskscope synth other --images 200 --shapes other
  maskscope synth huge --annotations-only --images 118000
  maskscope synth scale --annotations-only --images 5000 --detections 250000 --predictions

Writes OUT_DIR/data/*.png and OUT_DIR/labels.json. The same seed gives the same pictures.
With --annotations-only no picture is made: labels.json with polygons and crowds as in COCO (80 classes), and with
--detections results.segm.json (ranked by iou_score) and results.bbox.json (ranked by score).")]
pub struct Args {
    /// A new or empty folder
    #[arg(value_name = "OUT_DIR")]
    pub out: PathBuf,
    /// Pictures
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub images: u32,
    /// Which pictures
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Width and height of each picture: 256x256 without; with --annotations-only COCO's usual ones
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub size: Option<Size>,
    /// How many shapes, and how large
    #[arg(long, value_enum, default_value_t = Stats::Plain)]
    pub stats: Stats,
    /// Which shapes
    #[arg(long, value_enum, default_value_t = Kinds::Usual, conflicts_with = "annotations_only")]
    pub shapes: Kinds,
    /// No pictures: annotations with COCO's statistics, for measurements at scale
    #[arg(long)]
    pub annotations_only: bool,
    /// Detections of all images together, perturbed annotations, as COCO results
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        requires = "annotations_only"
    )]
    pub detections: u32,
    /// The detections as predictions.json too
    #[arg(long, requires = "detections")]
    pub predictions: bool,
}

/// Of a picture, where none is asked for.
const USUAL: Size = Size {
    width: 256,
    height: 256,
};

/// How many shapes, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stats {
    /// 3 to 8 shapes of similar size
    Plain,
    /// Counts and sizes about as in COCO
    Coco,
}

/// Which shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kinds {
    /// circle, triangle, square, star and ring, which the demo's model knows
    Usual,
    /// cross, hexagon and crescent: something to fine-tune to
    Other,
}

/// Writes the set; false if it was stopped.
///
/// # Errors
/// The folder is not empty or cannot be written.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let stop = interrupt::flag()?;
    let bar = if shared.quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(u64::from(args.images))
    };
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let report = made(args, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        !stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let report = report?;
    if shared.json {
        output::json(&report, out)?;
    } else if report.complete && !shared.quiet {
        writeln!(
            out,
            "{} images, {} instances\n{}",
            report.images,
            report.instances,
            report.out.display()
        )?;
    }
    if !report.complete && args.annotations_only {
        eprintln!("stopped: nothing whole is in {}", report.out.display());
    } else if !report.complete {
        eprintln!(
            "stopped: {} of {} pictures and no labels.json are in {}; remove the folder to begin again",
            report.images,
            args.images,
            report.out.display()
        );
    }
    Ok(report.complete)
}

fn made(
    args: &Args,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<SynthReport, JobError> {
    if args.annotations_only {
        let request = AnnotationsRequest {
            out: args.out.clone(),
            images: args.images as usize,
            seed: args.seed,
            size: args.size,
            detections: args.detections as usize,
            predictions: args.predictions,
        };
        return write_annotations(&request, progress);
    }
    let request = SynthRequest {
        out: args.out.clone(),
        images: args.images as usize,
        seed: args.seed,
        size: args.size.unwrap_or(USUAL),
        contents: Contents {
            stats: match args.stats {
                Stats::Plain => synth::Stats::Plain,
                Stats::Coco => synth::Stats::Coco,
            },
            shapes: match args.shapes {
                Kinds::Usual => Shapes::Usual,
                Kinds::Other => Shapes::Other,
            },
        },
    };
    write(&request, progress)
}

/// `640x480`.
fn size(text: &str) -> Result<Size, String> {
    let sides = text
        .split_once(['x', 'X', '×'])
        .and_then(|(w, h)| Some(Size::new(w.trim().parse().ok()?, h.trim().parse().ok()?)));
    sides.ok_or_else(|| "expected WIDTHxHEIGHT, for example 640x480".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("640x480"), Ok(Size::new(640, 480)));
        for text in ["", "640", "x", "640x", "-1x3", "640x480x3", "axb"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
