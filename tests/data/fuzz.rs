//! Mutated image files with fixed seeds: an error or a picture, never a panic, a long wait or much memory.

use crate::support::hang::Stopwatch;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::{DynamicImage, ImageFormat};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress_progressive};
use maskscope::data::{decode_bytes, decode_thumbnail_bytes};

use super::build::{FlatJpeg, apng, exif, png};

const MUTATIONS: u64 = 10_000;

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }
}

fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed);
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len());
        match rng.below(5) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.below(256) as u8,
            2 => bytes[at] = 0xff,
            3 => bytes.truncate(at.max(1)),
            _ => {
                let from = rng.below(bytes.len());
                let piece = bytes[from..bytes.len().min(from + 1 + rng.below(16))].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let picture = DynamicImage::ImageRgb8(image::RgbImage::from_fn(17, 13, |x, y| {
        image::Rgb([(x * 15) as u8, (y * 19) as u8, (x * y) as u8])
    }));
    let encoded = |format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let progressive = compress_progressive(
        &picture.to_rgb8(),
        17,
        13,
        PixelFormat::Rgb,
        80,
        Subsampling::S420,
    );
    let cmyk = FlatJpeg {
        width: 16,
        height: 8,
        blocks: &[vec![1, 2, 3, 4], vec![200, 100, 50, 25]],
        adobe: Some(2),
        orientation: Some(6),
    };
    vec![
        ("png", encoded(ImageFormat::Png)),
        (
            "png palette",
            png(
                2,
                8,
                3,
                &[(b"PLTE", &[1, 2, 3, 4, 5, 6]), (b"eXIf", &exif(8)[6..])],
                &[&[0, 1]],
            ),
        ),
        ("apng", apng([1, 2, 3], [4, 5, 6])),
        ("jpeg", encoded(ImageFormat::Jpeg)),
        ("jpeg progressive", progressive.unwrap()),
        ("jpeg cmyk", cmyk.bytes()),
        ("webp", encoded(ImageFormat::WebP)),
        ("bmp", encoded(ImageFormat::Bmp)),
        ("tiff", encoded(ImageFormat::Tiff)),
        ("gif", encoded(ImageFormat::Gif)),
    ]
}

/// Set in the process that does the work: its peak memory is then nobody else's.
const CHILD: &str = "MASKSCOPE_TEST_CHILD";

#[test]
fn mutated_images_are_errors_or_pictures() {
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "data::fuzz::mutated_images_are_errors_or_pictures",
            ])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    for (name, bytes) in seeds() {
        let mut pictures = 0;
        for seed in 0..MUTATIONS {
            let bytes = mutated(&bytes, seed);
            let start = Stopwatch::start();
            if let Ok(image) = decode_bytes(Path::new(name), &bytes, None) {
                assert_eq!(
                    image.rgb.len(),
                    image.size.pixels() * 3,
                    "{name} seed {seed}"
                );
                pictures += 1;
            }
            // At an eighth, at a half, and whole by the other decoder.
            let side = [2, 8, 30][seed as usize % 3];
            if let Ok(small) = decode_thumbnail_bytes(Path::new(name), &bytes, side, None) {
                assert_eq!(
                    small.rgb.len(),
                    small.size.pixels() * 3,
                    "{name} seed {seed}"
                );
            }
            let took = start.elapsed();
            assert!(
                took < Duration::from_secs(3),
                "{name} seed {seed} took {took:?}"
            );
            // Blocks that wait for the next picture are not part of this one.
            maskscope::alloc::release();
        }
        assert!(
            pictures > 0,
            "{name}: not one mutation decodes, so the mutator is too rough"
        );
    }
    // One picture of 400 million pixels, which a header of few bytes may truly mean, is 1.2 GB.
    assert!(
        peak_memory() < 1_500_000_000,
        "peak memory {}",
        peak_memory()
    );
}

/// Peak resident bytes of the test process; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
