//! JPEG by zune-jpeg: straight to RGB, or to the raw four components where OpenCV's CMYK rule is wanted.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use image::metadata::Orientation;
use zune_core::bytestream::{ZByteReaderTrait, ZCursor};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::RgbImage;
use super::decode::{Header, check_size};
use super::error::ImageError;

/// Sides are 16-bit numbers in a JPEG.
const MAX_SIDE: usize = u16::MAX as usize;
/// A file this long is no single JPEG of `MAX_PIXELS`.
const MAX_FILE: u64 = 2 << 30;

/// Size and orientation, reading no further than the header.
pub(super) fn read_header(path: &Path, file: File) -> Result<Header, ImageError> {
    let mut decoder = JpegDecoder::new_with_options(BufReader::new(file), options(false));
    header(path, &mut decoder)
}

/// Decodes a whole JPEG: pixels as stored and their orientation.
pub(super) fn decode(path: &Path, mut file: File) -> Result<(RgbImage, Orientation), ImageError> {
    let length = file
        .seek(std::io::SeekFrom::End(0))
        .and_then(|length| file.rewind().map(|()| length))
        .map_err(|source| ImageError::io(path, source))?;
    if length > MAX_FILE {
        return Err(ImageError::broken(path, "no JPEG is that long"));
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|source| ImageError::io(path, source))?;
    // A strict decoder reports a scan that is cut off instead of filling it with grey; but it also refuses stray
    // bytes between header segments, which every other decoder skips.
    match decode_bytes(path, &bytes, true) {
        Err(ImageError::Broken { reason, .. })
            if reason.contains("Extra bytes between headers") =>
        {
            decode_bytes(path, &bytes, false)
        }
        result => result,
    }
}

fn decode_bytes(
    path: &Path,
    bytes: &[u8],
    strict: bool,
) -> Result<(RgbImage, Orientation), ImageError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(strict));
    let Header { size, orientation } = header(path, &mut decoder)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::RGB);
    let wanted = match stored {
        ColorSpace::CMYK | ColorSpace::YCCK => stored,
        ColorSpace::MultiBand(_) => {
            return Err(ImageError::Samples {
                path: path.to_owned(),
                samples: "a JPEG of two components".into(),
            });
        }
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options(strict).jpeg_set_out_colorspace(wanted));
    let mut rgb = vec![0u8; size.pixels() * wanted.num_components()];
    decoder
        .decode_into(&mut rgb)
        .map_err(|error| broken(path, &error))?;
    if wanted != ColorSpace::RGB {
        rgb = from_four(rgb, stored, has_adobe_marker(bytes));
    }
    Ok((RgbImage { size, rgb }, orientation))
}

fn options(strict: bool) -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB)
}

fn header<T: ZByteReaderTrait>(
    path: &Path,
    decoder: &mut JpegDecoder<T>,
) -> Result<Header, ImageError> {
    decoder
        .decode_headers()
        .map_err(|error| broken(path, &error))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let orientation = decoder
        .exif()
        .and_then(|chunk| Orientation::from_exif_chunk(chunk))
        .unwrap_or(Orientation::NoTransforms);
    Ok(Header {
        size: check_size(path, width, height)?,
        orientation,
    })
}

fn broken(path: &Path, error: &DecodeErrors) -> ImageError {
    ImageError::broken(path, format!("JPEG: {error}"))
}

/// Four components to RGB by OpenCV's rule. Adobe writes the inks inverted; a file without its marker is inverted first.
fn from_four(mut samples: Vec<u8>, stored: ColorSpace, adobe: bool) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(samples.len() / 4 * 3);
    for pixel in samples.chunks_exact_mut(4) {
        if stored == ColorSpace::YCCK {
            cmy_from_ycc(pixel);
        }
        if !adobe {
            pixel.iter_mut().for_each(|sample| *sample = 255 - *sample);
        }
        let k = i32::from(pixel[3]);
        let channel = |ink: u8| (k - (((255 - i32::from(ink)) * k) >> 8)) as u8;
        rgb.extend([channel(pixel[0]), channel(pixel[1]), channel(pixel[2])]);
    }
    rgb
}

/// Y, Cb, Cr of a YCCK pixel to C, M, Y: 255 minus the RGB that they would be, in libjpeg's 16-bit fixed point.
fn cmy_from_ycc(pixel: &mut [u8]) {
    let (y, cb, cr) = (
        i32::from(pixel[0]),
        i32::from(pixel[1]) - 128,
        i32::from(pixel[2]) - 128,
    );
    let red = y + ((91_881 * cr + 32_768) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let blue = y + ((116_130 * cb + 32_768) >> 16);
    for (sample, value) in pixel.iter_mut().zip([red, green, blue]) {
        *sample = (255 - value).clamp(0, 255) as u8;
    }
}

/// Whether an APP14 segment of Adobe stands before the first scan.
fn has_adobe_marker(bytes: &[u8]) -> bool {
    const APP14: u8 = 0xee;
    const SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xff {
            at += 1; // a fill byte
            continue;
        }
        if marker == SCAN {
            return false;
        }
        let body = bytes.get(at + 4..).unwrap_or_default();
        if marker == APP14 && body.starts_with(b"Adobe") {
            return true;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
    }
    false
}
