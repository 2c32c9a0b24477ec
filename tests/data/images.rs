//! Decoding: every row of the table in semantics.md 2.1, and files that are not what they claim.

use crate::support::hang::Stopwatch;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat};
use maskscope::config::{Config, Dialect};
use maskscope::data::{
    ImageError, RgbImage, decode, decode_bytes, decode_thumbnail, decode_thumbnail_bytes,
    list_images, prepare, probe,
};
use maskscope::structures::Size;

use super::build::{FlatJpeg, animated_webp, apng, exif, png, png_claiming};

fn bytes_of(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn try_decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    decode_bytes(Path::new("picture"), bytes, None)
}

fn pixels(bytes: &[u8]) -> Vec<[u8; 3]> {
    let image = try_decode(bytes).unwrap();
    assert_eq!(image.rgb.len(), image.size.pixels() * 3);
    image
        .rgb
        .chunks_exact(3)
        .map(|p| [p[0], p[1], p[2]])
        .collect()
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.bin");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// 3×2, every pixel another colour.
fn sample() -> image::RgbImage {
    image::RgbImage::from_fn(3, 2, |x, y| {
        image::Rgb([10 + 40 * x as u8, 200 - 90 * y as u8, 7])
    })
}

#[test]
fn colour_forms_become_rgb() {
    let grey = image::GrayImage::from_raw(2, 1, vec![3, 250]).unwrap();
    let grey_alpha = image::GrayAlphaImage::from_raw(2, 1, vec![3, 0, 250, 128]).unwrap();
    let rgba = image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 4, 5, 6, 77]).unwrap();
    // 511 >> 8 is 1; a division by 257 would give 2.
    let grey16 = image::ImageBuffer::from_raw(2, 1, vec![511u16, 65_535]).unwrap();
    let rgb16 = image::ImageBuffer::from_raw(1, 1, vec![256u16 * 9 + 255, 256 * 8, 255]).unwrap();
    let rgba16 = image::ImageBuffer::from_raw(1, 1, vec![256u16, 512, 768, 0]).unwrap();
    for (image, want) in [
        (DynamicImage::ImageLuma8(grey), vec![[3; 3], [250; 3]]),
        (
            DynamicImage::ImageLumaA8(grey_alpha),
            vec![[3; 3], [250; 3]],
        ),
        (DynamicImage::ImageRgba8(rgba), vec![[1, 2, 3], [4, 5, 6]]),
        (DynamicImage::ImageLuma16(grey16), vec![[1; 3], [255; 3]]),
        (DynamicImage::ImageRgb16(rgb16), vec![[9, 8, 0]]),
        (DynamicImage::ImageRgba16(rgba16), vec![[1, 2, 3]]),
    ] {
        let kind = image.color();
        assert_eq!(
            pixels(&bytes_of(image.clone(), ImageFormat::Png)),
            want,
            "PNG {kind:?}"
        );
        if !kind.has_alpha() || kind.has_color() {
            assert_eq!(
                pixels(&bytes_of(image, ImageFormat::Tiff)),
                want,
                "TIFF {kind:?}"
            );
        }
    }
}

#[test]
fn formats_without_loss_agree() {
    let want: Vec<[u8; 3]> = sample().pixels().map(|pixel| pixel.0).collect();
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ] {
        let bytes = bytes_of(sample(), format);
        assert_eq!(pixels(&bytes), want, "{format:?}");
        let (_folder, path) = file(&bytes);
        assert_eq!(probe(&path).unwrap(), Size::new(3, 2), "{format:?}");
        assert_eq!(decode(&path, None).unwrap().size, Size::new(3, 2));
    }
}

#[test]
fn palettes_lose_their_transparency() {
    let palette = [10, 20, 30, 40, 50, 60, 70, 80, 90];
    let want = vec![[10, 20, 30], [70, 80, 90], [40, 50, 60]];
    for extra in [
        vec![(b"PLTE", &palette[..])],
        vec![(b"PLTE", &palette[..]), (b"tRNS", &[0u8, 128][..])],
    ] {
        assert_eq!(pixels(&png(3, 8, 3, &extra, &[&[0, 2, 1]])), want);
    }
    // One colour declared transparent, and two bits a pixel.
    let rgb = png(1, 8, 2, &[(b"tRNS", &[0, 1, 0, 2, 0, 3])], &[&[1, 2, 3]]);
    assert_eq!(pixels(&rgb), [[1, 2, 3]]);
    assert_eq!(
        pixels(&png(4, 2, 0, &[], &[&[0b00_01_10_11]])),
        [[0; 3], [85; 3], [170; 3], [255; 3]]
    );
}

#[test]
fn of_an_animation_the_first_frame() {
    assert_eq!(pixels(&apng([1, 2, 3], [9, 9, 9])), [[1, 2, 3]]);
    let colour = |rgb: [u8; 3]| image::RgbImage::from_pixel(2, 2, image::Rgb(rgb));
    let stills = [[200, 10, 0], [0, 0, 255]].map(|rgb| bytes_of(colour(rgb), ImageFormat::WebP));
    let webp = animated_webp(2, 2, [&stills[0], &stills[1]]);
    assert_eq!(pixels(&webp), [[200, 10, 0]; 4]);
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    for rgb in [[255, 0, 0], [0, 0, 255]] {
        let frame = DynamicImage::ImageRgb8(colour(rgb)).into_rgba8();
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    assert_eq!(pixels(&gif), [[255, 0, 0]; 4]);
}

/// With Adobe's marker (0: CMYK, 2: YCCK) `cv2.imread` of OpenCV 4.11 and 5.0 gives the same for such files.
/// Without it OpenCV takes plain inks for inverted ones; ours are inverted first (semantics.md 2.1).
#[test]
fn cmyk_follows_opencv() {
    let rule = |c: i32, k: i32| (k - (((255 - c) * k) >> 8)) as u8;
    for (samples, adobe) in [
        ([255u8, 255, 255, 255], Some(0)),
        ([0, 128, 255, 200], Some(0)),
        ([12, 34, 56, 78], Some(0)),
        ([12, 34, 56, 78], None),
    ] {
        let bytes = flat(&samples, adobe);
        let [c, m, y, k] = samples.map(|sample| match adobe {
            Some(_) => i32::from(sample),
            None => 255 - i32::from(sample),
        });
        assert_eq!(
            pixels(&bytes),
            [[rule(c, k), rule(m, k), rule(y, k)]; 64],
            "{samples:?} {adobe:?}"
        );
    }
    // YCCK: grey chroma makes C = M = Y = 255 - luma.
    let want = rule(255 - 100, 210);
    assert_eq!(
        pixels(&flat(&[100, 128, 128, 210], Some(2))),
        [[want; 3]; 64]
    );
}

fn flat(samples: &[u8], adobe: Option<u8>) -> Vec<u8> {
    FlatJpeg {
        width: 8,
        height: 8,
        blocks: &[samples.to_vec()],
        adobe,
        orientation: None,
    }
    .bytes()
}

#[test]
fn jpeg_blocks_come_out_as_they_went_in() {
    assert_eq!(pixels(&flat(&[77], None)), [[77; 3]; 64]);
    assert_eq!(pixels(&flat(&[77, 128, 128], None)), [[77; 3]; 64]);
    // Transform 0 with three components is RGB.
    assert_eq!(pixels(&flat(&[1, 130, 255], Some(0))), [[1, 130, 255]; 64]);
}

/// 16×8 pixels, left block dark, right block light.
fn oriented(orientation: u8) -> Vec<u8> {
    FlatJpeg {
        width: 16,
        height: 8,
        blocks: &[vec![20], vec![220]],
        adobe: None,
        orientation: Some(orientation),
    }
    .bytes()
}

#[test]
fn every_orientation_is_turned_as_by_image() {
    for number in 1..=8 {
        let orientation = Orientation::from_exif(number).unwrap();
        let mut want = DynamicImage::ImageRgb8(sample());
        let upright = {
            want.apply_orientation(orientation);
            want.into_rgb8()
        };
        // PNG and TIFF keep pixels, so that every one can be told apart; JPEG has the marker that cameras write.
        let chunk = &exif(number)[6..];
        let rows: Vec<&[u8]> = sample()
            .into_raw()
            .chunks(9)
            .map(|row| &*row.to_vec().leak())
            .collect();
        let bytes = png(3, 8, 2, &[(b"eXIf", chunk)], &rows);
        let got = try_decode(&bytes).unwrap();
        assert_eq!(
            got.rgb,
            upright.as_raw().as_slice(),
            "PNG orientation {number}"
        );
        let (_folder, path) = file(&oriented(number));
        let turned = number >= 5;
        let size = if turned {
            Size::new(8, 16)
        } else {
            Size::new(16, 8)
        };
        assert_eq!(probe(&path).unwrap(), size, "JPEG orientation {number}");
        let image = decode(&path, None).unwrap();
        assert_eq!(image.size, size);
        let dark_first = matches!(number, 1 | 4 | 5 | 6);
        assert_eq!(
            image.rgb[0],
            if dark_first { 20 } else { 220 },
            "JPEG orientation {number}"
        );
        let small = decode_thumbnail(&path, 8, None).unwrap();
        assert_eq!(
            small.size,
            if turned {
                Size::new(4, 8)
            } else {
                Size::new(8, 4)
            }
        );
        assert_eq!(small.rgb[0], image.rgb[0]);
    }
}

#[test]
fn a_declared_size_decides_about_the_orientation() {
    let (_folder, path) = file(&oriented(6));
    let size = |declared| decode(&path, declared).unwrap().size;
    let (stored, upright) = (Size::new(16, 8), Size::new(8, 16));
    assert_eq!(size(None), upright);
    assert_eq!(size(Some(upright)), upright);
    assert_eq!(size(Some(stored)), stored);
    assert_eq!(
        size(Some(Size::new(5, 5))),
        stored,
        "a mismatch is left for the report"
    );
    // Sizes cannot tell a half turn: the JSON's size is that of the stored picture, so it stays.
    let (_folder, path) = file(&oriented(3));
    assert_eq!(decode(&path, Some(stored)).unwrap().rgb[0], 20);
}

#[test]
fn floats_are_refused() {
    let float = image::ImageBuffer::from_raw(1, 1, vec![0.5f32, 0.25, 1.0]).unwrap();
    let tiff = bytes_of(DynamicImage::ImageRgb32F(float), ImageFormat::Tiff);
    for bytes in [
        &tiff[..],
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n1234",
    ] {
        let error = try_decode(bytes).unwrap_err();
        assert!(matches!(error, ImageError::Samples { .. }), "{error}");
        assert!(
            error.to_string().contains("convert it to 8 bits"),
            "{error}"
        );
    }
}

#[test]
fn rare_kinds_are_named_as_such() {
    let mut arithmetic = flat(&[1, 2, 3], None);
    let frame = arithmetic
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    arithmetic[frame + 1] = 0xc9; // sequential, arithmetic coding
    let two = flat(&[1, 2], None);
    for bytes in [arithmetic, two] {
        let error = try_decode(&bytes).unwrap_err();
        assert!(matches!(error, ImageError::Unsupported { .. }), "{error}");
        assert!(
            error.to_string().contains("ordinary PNG or JPEG"),
            "{error}"
        );
    }
}

#[test]
fn stray_bytes_are_skipped_as_other_decoders_do() {
    let bytes = flat(&[77], None);
    let table = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc4])
        .unwrap();
    for count in 1..8 {
        let mut strayed = bytes.clone();
        strayed.splice(table..table, vec![0; count]);
        assert_eq!(
            pixels(&strayed),
            [[77; 3]; 64],
            "{count} bytes between segments"
        );
        let mut followed = bytes.clone();
        followed.extend(vec![0; count]);
        assert_eq!(pixels(&followed), [[77; 3]; 64], "{count} bytes at the end");
    }
}

#[test]
fn what_is_no_image_is_named() {
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    for (bytes, words) in [
        (&b""[..], "empty (0 bytes)"),
        (lfs, "git lfs pull"),
        (b"<html>not found</html>", "no image of a known format"),
        (b"\xff\xd8\xff", "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
    ] {
        let (_folder, path) = file(bytes);
        for error in [decode(&path, None).unwrap_err(), probe(&path).unwrap_err()] {
            let text = error.to_string();
            assert!(
                text.contains(words) && text.contains("picture.bin"),
                "{text}"
            );
        }
    }
    let missing = decode(Path::new("/none/of/these.png"), None).unwrap_err();
    assert!(matches!(missing, ImageError::Io { .. }), "{missing}");
    assert!(decode(&std::env::temp_dir(), None).is_err(), "a folder");
}

#[test]
fn huge_claims_are_refused_before_memory_is_taken() {
    let mut bmp = bytes_of(sample(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    let mut jpeg = flat(&[1, 2, 3], None);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    for bytes in [png_claiming(30_000, 30_000), bmp, jpeg] {
        let error = try_decode(&bytes).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    }
    // Within the limit, but nothing behind it: refused without decoding zeros for seconds.
    let mut jpeg = flat(&[1, 2, 3], None);
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    let start = Stopwatch::start();
    for bytes in [jpeg, png_claiming(16_000, 16_000)] {
        let error = try_decode(&bytes).unwrap_err();
        assert!(matches!(error, ImageError::Broken { .. }), "{error}");
    }
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
    assert!(try_decode(&png_claiming(0, 5)).is_err());
}

#[test]
fn files_cut_off_are_errors() {
    let noise = image::RgbImage::from_fn(64, 48, |x, y| {
        let v = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503);
        image::Rgb([v as u8, (v >> 8) as u8, (v >> 16) as u8])
    });
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Gif,
    ] {
        let bytes = bytes_of(noise.clone(), format);
        assert!(try_decode(&bytes).is_ok(), "{format:?}");
        for share in 0..20 {
            let cut = bytes.len() * share / 20;
            let error = try_decode(&bytes[..cut]);
            assert!(
                error.is_err(),
                "{format:?} cut to {cut} of {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn extreme_sizes_are_prepared() {
    let config = Config::default();
    for (width, height) in [(1, 1), (12_000, 100), (100, 12_000), (1, 5_000)] {
        let bytes = bytes_of(image::RgbImage::new(width, height), ImageFormat::Png);
        let image = try_decode(&bytes).unwrap();
        for dialect in [Dialect::Mindspore, Dialect::Mmdet] {
            let prepared = prepare(&image, &config, dialect);
            let padded = prepared.transform.padded;
            assert_eq!(prepared.planes.len(), 3 * padded.pixels());
            assert!(padded.width.is_multiple_of(64) && padded.height.is_multiple_of(64));
            assert!(prepared.planes.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn a_thumbnail_is_the_mean_of_what_it_covers() {
    let checks =
        image::RgbImage::from_fn(400, 200, |x, y| image::Rgb([((x + y) % 2) as u8 * 100; 3]));
    let (_folder, path) = file(&bytes_of(checks, ImageFormat::Png));
    let small = decode_thumbnail(&path, 100, None).unwrap();
    assert_eq!(small.size, Size::new(100, 50));
    assert!(small.rgb.iter().all(|&value| value == 50));
    let whole = decode_thumbnail(&path, 4000, None).unwrap();
    assert_eq!(whole.size, Size::new(400, 200), "never enlarged");
}

/// A photo of waves, larger than its thumbnails.
fn waves() -> image::RgbImage {
    image::RgbImage::from_fn(1000, 700, |x, y| {
        let wave = |at: u32, period: f32| (127.0 + 100.0 * (at as f32 / period).sin()) as u8;
        image::Rgb([wave(x, 90.0), wave(y, 70.0), wave(x + y, 110.0)])
    })
}

#[test]
fn a_reduced_jpeg_is_the_whole_one_made_smaller() {
    let bytes = bytes_of(waves(), ImageFormat::Jpeg);
    let name = Path::new("waves.jpg");
    let whole = image::RgbImage::from_raw(1000, 700, try_decode(&bytes).unwrap().rgb).unwrap();
    // An eighth, a quarter, a half, and the last one whole.
    for side in [125, 101, 250, 240, 500, 300, 999] {
        let small = decode_thumbnail_bytes(name, &bytes, side, None).unwrap();
        let Size { width, height } = small.size;
        assert!(width == side && height.abs_diff(side * 7 / 10) <= 1);
        let (width, height) = (width as u32, height as u32);
        let want = image::imageops::thumbnail(&whole, width, height);
        let off = small.rgb.iter().zip(want.iter());
        let mean = off.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / want.len() as f64;
        assert!(mean < 2.0, "side {side}: {mean} of 255 on average");
    }
}

#[test]
fn a_jpeg_cut_off_has_no_thumbnail_either() {
    let bytes = bytes_of(waves(), ImageFormat::Jpeg);
    for share in 1..10 {
        let cut = &bytes[..bytes.len() * share / 10];
        let error = decode_thumbnail_bytes(Path::new("waves.jpg"), cut, 100, None).unwrap_err();
        assert_eq!(error.to_string(), {
            let whole = decode_bytes(Path::new("waves.jpg"), cut, None);
            whole.unwrap_err().to_string()
        });
    }
}

#[test]
fn a_reduced_jpeg_is_turned_by_the_size_of_the_whole() {
    let large = FlatJpeg {
        width: 160,
        height: 80,
        blocks: &vec![vec![20]; 200],
        adobe: None,
        orientation: Some(6),
    };
    let size = |declared| {
        let small = decode_thumbnail_bytes(Path::new("x"), &large.bytes(), 20, declared);
        small.unwrap().size
    };
    assert_eq!(size(None), Size::new(10, 20));
    assert_eq!(size(Some(Size::new(80, 160))), Size::new(10, 20));
    assert_eq!(size(Some(Size::new(160, 80))), Size::new(20, 10));
}

#[test]
fn folders_list_their_images_in_name_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("sub/deep.png")).unwrap();
    for name in [
        "b.JPG",
        "a.png",
        "c.TiFf",
        "d.txt",
        ".hidden.png",
        "png",
        "sub/x.webp",
        "sub/deep.png/y.bmp",
    ] {
        std::fs::write(root.join(name), "").unwrap();
    }
    let names = |recursive| -> Vec<String> {
        let found = list_images(root, recursive).unwrap();
        let short = |path: &PathBuf| {
            path.strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        found.iter().map(short).collect()
    };
    assert_eq!(names(false), ["a.png", "b.JPG", "c.TiFf"]);
    assert_eq!(
        names(true),
        [
            "a.png",
            "b.JPG",
            "c.TiFf",
            "sub/deep.png/y.bmp",
            "sub/x.webp"
        ]
    );
    assert_eq!(
        list_images(&root.join("d.txt"), false).unwrap(),
        [root.join("d.txt")]
    );
    assert!(list_images(&root.join("none"), false).is_err());
}

#[test]
fn real_photos_decode_at_their_declared_size() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for set in ["coco_tiny/val2017", "balloon/val2017", "brain_tumor/valid"] {
        let folder = root.join(set);
        if !folder.is_dir() {
            eprintln!("skipped: {} is not there", folder.display());
            continue;
        }
        let images = list_images(&folder, false).unwrap();
        assert!(!images.is_empty());
        for path in images {
            let image = decode(&path, None).unwrap();
            assert_eq!(image.size, probe(&path).unwrap(), "{}", path.display());
        }
    }
}
