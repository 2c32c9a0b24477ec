//! Times reading prediction files against hotcoco's `load_res` of the same results.
//!
//! `cargo bench --bench predictions -- [--images 5000] [--detections 250000] [--repeat 5]`
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::expect_used, reason = "a benchmark may stop")]

use std::path::Path;
use std::time::Instant;

use maskscope::coco::predictions::{self, PairImage};
use maskscope::coco::{PredictedImage, PredictionFile};
use maskscope::structures::{BoxXywh, ClassTable, Detection, Rle, Size};
use rayon::prelude::*;

const IMAGE: Size = Size {
    width: 640,
    height: 480,
};
const CLASSES: usize = 80;
/// Columns of a mask: about as many characters of RLE as masks of COCO's models have (200 to 300).
const COLUMNS: u64 = 64;
/// An unlike number a call, so that no two masks are alike.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

struct Options {
    images: usize,
    detections: usize,
    repeat: usize,
}

fn main() {
    let options = options();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (images, classes) = generate(&options);
    let ours = folder.path().join("ours.json");
    predictions::write(&ours, &images, &classes).expect("our file is written");
    let prefix = folder.path().join("results");
    let pair = images.iter().zip(1..).map(|(image, image_id)| PairImage {
        image_id,
        detections: &image.detections,
    });
    predictions::write_pair(&prefix, pair, &classes).expect("the pair is written");
    let [_, segm] = predictions::pair_paths(&prefix);
    let compact = folder.path().join("compact.json");
    compress(&segm, &compact, &[]);
    let masks = folder.path().join("masks.json");
    compress(&segm, &masks, &["bbox"]);
    let truth = ground_truth(&options);

    println!(
        "{} images, {} detections, {} threads",
        options.images,
        options.detections,
        rayon::current_num_threads()
    );
    for path in [&compact, &segm, &masks] {
        compare(path, &truth, &options);
    }
    let costs = (0..options.repeat).map(|_| once(|| read(&ours, &options)));
    let cost = costs.fold(Cost::MOST, Cost::least);
    println!("our JSON, {:.1} MiB", mebibytes(&ours));
    println!("  own              {cost}");
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1))
            .map_or(default, |text| text.parse().expect("a number"))
    };
    Options {
        images: number("--images", 5_000),
        detections: number("--detections", 250_000),
        repeat: number("--repeat", 5),
    }
}

/// Reads the same results with both, in turns: whatever slows the machine down slows both.
///
/// hotcoco leaves masks as text where an entry has a box, and decodes them in the evaluation; the last column adds that.
fn compare(path: &Path, truth: &hotcoco::COCO, options: &Options) {
    let [mut own, mut theirs, mut decoded] = [Cost::MOST; 3];
    for _ in 0..options.repeat {
        own = own.least(once(|| read(path, options)));
        theirs = theirs.least(once(|| load(path, truth, options)));
        decoded = decoded.least(once(|| {
            let results = load(path, truth, options);
            let annotations = results.dataset.annotations.par_iter();
            let masks: Vec<_> = annotations.filter_map(|a| results.ann_to_rle(a)).collect();
            assert_eq!(masks.len(), options.detections);
            (results, masks)
        }));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    println!("{name}, {:.1} MiB", mebibytes(path));
    println!("  own              {own}");
    for (name, cost) in [("hotcoco", theirs), ("hotcoco, decoded", decoded)] {
        println!("  {name:16} {cost}, ratio {:.2}", own.wall / cost.wall);
    }
}

fn load(path: &Path, truth: &hotcoco::COCO, options: &Options) -> hotcoco::COCO {
    let results = truth.load_res(path).expect("hotcoco reads it");
    assert_eq!(results.dataset.annotations.len(), options.detections);
    results
}

fn read(path: &Path, options: &Options) -> PredictionFile {
    let file = predictions::read(path).expect("the file is read");
    let count: usize = file.images.iter().map(|image| image.detections.len()).sum();
    assert_eq!((count, file.left_out_count), (options.detections, 0));
    file
}

/// What a reading takes.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    /// Of all threads: on a machine that does other things too, the steadier number.
    processor: f64,
    /// MiB at the peak above what was resident before.
    memory: f64,
}

impl Cost {
    const MOST: Self = Self {
        wall: f64::MAX,
        processor: f64::MAX,
        memory: f64::MAX,
    };

    fn least(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            processor: self.processor.min(other.processor),
            memory: self.memory.min(other.memory),
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            wall,
            processor,
            memory,
        } = self;
        write!(
            f,
            "{wall:.3} s, {processor:.2} s processor, {memory:.0} MiB"
        )
    }
}

/// What comes of the work is dropped after the clock has stopped.
fn once<T>(work: impl FnOnce() -> T) -> Cost {
    // Linux then counts the peak from here on; elsewhere there is no number.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let resident = status_mebibytes("VmRSS:");
    let (start, before) = (Instant::now(), processor_seconds());
    let result = work();
    let cost = Cost {
        wall: start.elapsed().as_secs_f64(),
        processor: processor_seconds() - before,
        memory: status_mebibytes("VmHWM:") - resident,
    };
    drop(result);
    cost
}

fn status_mebibytes(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.unwrap_or_default() / 1024.0
}

/// Of this process so far, in hundredths; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: state, then user and system ticks as the 12th and 13th.
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn mebibytes(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |metadata| metadata.len() as f64 / f64::from(1 << 20))
}

/// The list without blanks, as most tools write it, and without some keys: hotcoco decodes masks only where no box is
/// given.
fn compress(from: &Path, to: &Path, without: &[&str]) {
    let bytes = std::fs::read(from).expect("the list is there");
    let mut value: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(&bytes).expect("it is JSON");
    for row in &mut value {
        row.retain(|key, _| !without.contains(&key.as_str()));
    }
    let file = std::fs::File::create(to).expect("a file");
    serde_json::to_writer(std::io::BufWriter::new(file), &value).expect("room for it");
}

fn ground_truth(options: &Options) -> hotcoco::COCO {
    let images: Vec<_> = (1..=options.images)
        .map(|id| serde_json::json!({"id": id, "width": IMAGE.width, "height": IMAGE.height}))
        .collect();
    let categories: Vec<_> = (1..=CLASSES)
        .map(|id| serde_json::json!({"id": id, "name": format!("c{id}")}))
        .collect();
    let set = serde_json::json!({"images": images, "categories": categories, "annotations": []});
    hotcoco::COCO::from_dataset(serde_json::from_value(set).expect("a set"))
}

fn generate(options: &Options) -> (Vec<PredictedImage>, ClassTable) {
    let mut random = Random(1);
    let per_image = options.detections / options.images;
    let extra = options.detections % options.images;
    let images = (0..options.images).map(|index| {
        let count = per_image + usize::from(index < extra);
        let detections = (0..count).map(|_| detection(&mut random)).collect();
        PredictedImage::new(format!("images/{index:012}.jpg"), IMAGE, detections)
    });
    let classes = ClassTable {
        names: (1..=CLASSES).map(|id| format!("c{id}")).collect(),
        category_ids: (1..=CLASSES as i64).collect(),
    };
    (images.collect(), classes)
}

fn detection(random: &mut Random) -> Detection {
    let mask = mask(random);
    let (score, mask_iou) = (f64::from(random.unit()), f64::from(random.unit()));
    let bbox = mask.bbox();
    Detection {
        bbox: BoxXywh::new(
            bbox.x + f64::from(random.unit()),
            bbox.y + f64::from(random.unit()),
            bbox.width + f64::from(random.unit()),
            bbox.height + f64::from(random.unit()),
        ),
        label: random.below(CLASSES as u64) as usize,
        score,
        mask_iou: Some(mask_iou),
        iou_score: score * mask_iou,
        mask,
        quality: None,
    }
}

/// A blob: a run in each of some columns, its ends wandering.
fn mask(random: &mut Random) -> Rle {
    let height = IMAGE.height as u64;
    let columns = 8 + random.below(2 * COLUMNS - 16);
    let first = random.below(IMAGE.width as u64 - columns);
    let (mut top, mut length) = (random.below(height / 2), 20 + random.below(height / 4));
    let (mut runs, mut at) = (Vec::new(), 0u64);
    for column in first..first + columns {
        let start = column * height + top;
        runs.extend([(start - at) as u32, length as u32]);
        at = start + length;
        top = (top + random.below(5)).saturating_sub(2);
        length = (length + random.below(7))
            .saturating_sub(3)
            .clamp(1, height / 2 - 4);
        top = top.min(height - length - 1);
    }
    runs.push((height * IMAGE.width as u64 - at) as u32);
    Rle::new(IMAGE, runs).expect("runs that fill the mask")
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}
