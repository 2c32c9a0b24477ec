//! JPEG by zune-jpeg: straight to RGB, or to the raw four components where OpenCV's CMYK rule is wanted.

use std::io::{BufRead, Read, Seek};
use std::path::Path;

use image::metadata::Orientation;
use zune_core::bytestream::{ZByteReaderTrait, ZCursor};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decode::{Header, check_size};
use super::error::ImageError;
use super::{RgbImage, reduced};
use crate::structures::Size;

/// Sides are 16-bit numbers in a JPEG.
const MAX_SIDE: usize = u16::MAX as usize;
/// An 8×8 block takes at least one bit. A file that is shorter than its size needs would otherwise be decoded from
/// zeros, at leisure.
const PIXELS_PER_BYTE: usize = 8 * 64;
/// A file this long is no single JPEG of `MAX_PIXELS`.
const MAX_FILE: u64 = 2 << 30;

/// Size and orientation, reading no further than the header.
pub(super) fn read_header(path: &Path, reader: impl BufRead + Seek) -> Result<Header, ImageError> {
    let mut decoder = JpegDecoder::new_with_options(reader, options(false));
    header(path, &mut decoder)
}

/// Decodes a whole JPEG: pixels as stored and their orientation.
pub(super) fn decode(
    path: &Path,
    reader: impl Read,
) -> Result<(RgbImage, Orientation), ImageError> {
    decode_whole(path, &read(path, reader)?)
}

/// As `decode`, at a reduced scale where the longer side keeps `side` pixels or more; with the header of the whole image.
pub(super) fn decode_reduced(
    path: &Path,
    reader: impl Read,
    side: usize,
) -> Result<(RgbImage, Header), ImageError> {
    let bytes = read(path, reader)?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options(false));
    let header = header(path, &mut decoder)?;
    let usual = matches!(decoder.info().map(|info| info.components), Some(1 | 3));
    let reduced = (usual && is_long_enough(&bytes, header.size))
        .then(|| reduced::decode(&bytes, header.size, side))
        .flatten();
    let image = match reduced {
        Some(reduced) => reduced,
        // Too small, of a rare kind, or damaged: then this one tells how.
        None => decode_whole(path, &bytes)?.0,
    };
    Ok((image, header))
}

fn read(path: &Path, reader: impl Read) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ImageError::io(path, source))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ImageError::broken(path, "no JPEG is that long"));
    }
    if let Some(what) = rare_frame(&bytes) {
        return Err(ImageError::Unsupported {
            path: path.to_owned(),
            what: what.into(),
        });
    }
    Ok(bytes)
}

fn is_long_enough(bytes: &[u8], size: Size) -> bool {
    bytes.len() >= size.pixels() / PIXELS_PER_BYTE
}

fn decode_whole(path: &Path, bytes: &[u8]) -> Result<(RgbImage, Orientation), ImageError> {
    // A strict decoder reports a scan that is cut off instead of filling it with grey; but it also refuses stray
    // bytes between header segments, which every other decoder skips.
    match decode_bytes(path, bytes, true) {
        Err(ImageError::Broken { reason, .. })
            if reason.contains("Extra bytes between headers") =>
        {
            decode_bytes(path, bytes, false)
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
    if !is_long_enough(bytes, size) {
        let reason = format!("{} bytes cannot hold {size} pixels", bytes.len());
        return Err(ImageError::broken(path, reason));
    }
    // Of three components an Adobe marker makes the decoder say CMYK until the scan, so their number decides.
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::RGB);
    let wanted = match decoder.info().map(|info| info.components) {
        Some(4) if matches!(stored, ColorSpace::CMYK | ColorSpace::YCCK) => stored,
        Some(1 | 3) => ColorSpace::RGB,
        components => {
            return Err(ImageError::Unsupported {
                path: path.to_owned(),
                what: format!("a JPEG of {} components", components.unwrap_or_default()),
            });
        }
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
    segments(bytes).any(|(marker, body)| marker == APP14 && body.starts_with(b"Adobe"))
}

/// What a frame is that zune-jpeg does not know; it would skip it and miss the size.
fn rare_frame(bytes: &[u8]) -> Option<&'static str> {
    segments(bytes).find_map(|(marker, _)| match marker {
        0xc3 => Some("a lossless JPEG"),
        0xc5..=0xc7 => Some("a hierarchical JPEG"),
        0xc9..=0xcb | 0xcd..=0xcf => Some("a JPEG with arithmetic coding"),
        _ => None,
    })
}

/// Marker and what follows it, of each segment before the first scan.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const SCAN: u8 = 0xda;
    let mut at = 2; // behind the start of the image
    std::iter::from_fn(move || {
        while bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1; // fill bytes
        }
        let &[0xff, marker, high, low] = bytes.get(at..at + 4)? else {
            return None;
        };
        if marker == SCAN {
            return None;
        }
        let body = bytes.get(at + 4..)?;
        at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
        Some((marker, body))
    })
}
