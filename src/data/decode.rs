//! Files to upright 8-bit RGB, as OpenCV's colour read gives it (semantics.md 2.1).

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::error::{ImageError, MAX_PIXELS};
use super::orient::{orient, upright_size};
use super::{RgbImage, jpeg};
use crate::structures::Size;

/// Enough of a file to tell its format and a Git LFS pointer.
const HEAD_BYTES: usize = 64;
const LFS_HEAD: &[u8] = b"version https://git-lfs";
/// Memory of one decoder: 16-bit RGBA of the largest image, and as much again for its own buffers.
const MAX_ALLOC: u64 = MAX_PIXELS as u64 * 8 * 2;

/// Decodes an image file. `declared` is the size that a COCO JSON gives, which decides about EXIF rotation:
/// with it, the picture is turned only if that alone makes the sizes equal; without it, always.
///
/// # Errors
/// Missing, empty, truncated, too large, of no readable format: each names the file.
pub fn decode(path: &Path, declared: Option<Size>) -> Result<RgbImage, ImageError> {
    let (raw, orientation) = decode_from(path, file(path)?)?;
    Ok(upright(raw, orientation, declared))
}

/// As `decode`, from bytes in memory; `name` stands for the file in errors.
///
/// # Errors
/// As `decode`.
pub fn decode_bytes(
    name: &Path,
    bytes: &[u8],
    declared: Option<Size>,
) -> Result<RgbImage, ImageError> {
    let (raw, orientation) = decode_from(name, Cursor::new(bytes))?;
    Ok(upright(raw, orientation, declared))
}

/// Upright size of an image, from its header alone.
///
/// # Errors
/// As `decode`, but damage behind the header is not seen.
pub fn probe(path: &Path) -> Result<Size, ImageError> {
    let header = header(path)?;
    Ok(upright_size(header.size, header.orientation))
}

/// Size that `decode` gives with the same `declared`, from the header alone.
///
/// # Errors
/// As `probe`.
pub fn probe_as_declared(path: &Path, declared: Option<Size>) -> Result<Size, ImageError> {
    let header = header(path)?;
    Ok(if applies(header.orientation, header.size, declared) {
        upright_size(header.size, header.orientation)
    } else {
        header.size
    })
}

fn header(path: &Path) -> Result<Header, ImageError> {
    Ok(match open(path, file(path)?)? {
        Source::Jpeg(reader) => jpeg::read_header(path, reader)?,
        Source::Other(reader) => {
            let mut decoder = decoder(path, reader)?;
            Header {
                size: size_of(path, &decoder)?,
                orientation: orientation_of(&mut decoder),
            }
        }
    })
}

/// What stands before the pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Size as stored, before any rotation.
    pub size: Size,
    pub orientation: Orientation,
}

/// Pixels as stored, fewer of them where the format gives that for less: the longer side keeps `side` or more. With the
/// header of the whole image.
pub(super) fn decode_reduced(path: &Path, side: usize) -> Result<(RgbImage, Header), ImageError> {
    reduced_from(path, file(path)?, side)
}

pub(super) fn reduced_from<R: BufRead + Seek>(
    path: &Path,
    reader: R,
    side: usize,
) -> Result<(RgbImage, Header), ImageError> {
    match open(path, reader)? {
        Source::Jpeg(reader) => jpeg::decode_reduced(path, reader, side),
        other => {
            let (image, orientation) = decode_source(path, other)?;
            let size = image.size;
            Ok((image, Header { size, orientation }))
        }
    }
}

fn file(path: &Path) -> Result<BufReader<File>, ImageError> {
    let file = File::open(path).map_err(|source| ImageError::io(path, source))?;
    Ok(BufReader::new(file))
}

fn decode_from<R: BufRead + Seek>(
    path: &Path,
    reader: R,
) -> Result<(RgbImage, Orientation), ImageError> {
    let source = open(path, reader)?;
    decode_source(path, source)
}

fn decode_source<R: BufRead + Seek>(
    path: &Path,
    source: Source<R>,
) -> Result<(RgbImage, Orientation), ImageError> {
    match source {
        Source::Jpeg(reader) => jpeg::decode(path, reader),
        Source::Other(reader) => {
            let mut decoder = decoder(path, reader)?;
            let size = size_of(path, &decoder)?;
            let orientation = orientation_of(&mut decoder);
            let rgb = read_rgb(path, decoder)?;
            Ok((RgbImage { size, rgb }, orientation))
        }
    }
}

fn upright(raw: RgbImage, orientation: Orientation, declared: Option<Size>) -> RgbImage {
    if applies(orientation, raw.size, declared) {
        orient(raw, orientation)
    } else {
        raw
    }
}

/// Whether the orientation is to be applied.
pub(super) fn applies(orientation: Orientation, raw: Size, declared: Option<Size>) -> bool {
    declared.is_none_or(|declared| declared != raw && declared == upright_size(raw, orientation))
}

/// Checks a declared size before anything of it is allocated.
pub(super) fn check_size(path: &Path, width: usize, height: usize) -> Result<Size, ImageError> {
    let size = Size::new(width, height);
    if size.pixels() > MAX_PIXELS {
        let path = path.to_owned();
        return Err(ImageError::TooLarge {
            path,
            width,
            height,
        });
    }
    if size.pixels() == 0 {
        return Err(ImageError::broken(path, format!("its header says {size}")));
    }
    Ok(size)
}

enum Source<R: BufRead + Seek> {
    Jpeg(R),
    Other(ImageReader<R>),
}

/// Looks at the first bytes, never at the suffix.
fn open<R: BufRead + Seek>(path: &Path, mut reader: R) -> Result<Source<R>, ImageError> {
    let io = |source| ImageError::io(path, source);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    Read::by_ref(&mut reader)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    reader.rewind().map_err(io)?;
    let path = path.to_owned();
    if head.is_empty() {
        return Err(ImageError::Empty { path });
    }
    if head.starts_with(LFS_HEAD) {
        return Err(ImageError::LfsPointer { path });
    }
    match image::guess_format(&head) {
        Ok(ImageFormat::Jpeg) => Ok(Source::Jpeg(reader)),
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff
            | ImageFormat::Gif),
        ) => {
            let mut reader = ImageReader::with_format(reader, format);
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MAX_ALLOC);
            reader.limits(limits);
            Ok(Source::Other(reader))
        }
        Ok(ImageFormat::Hdr | ImageFormat::OpenExr) => Err(ImageError::Samples {
            path,
            samples: "floating-point samples (HDR)".into(),
        }),
        _ => Err(ImageError::UnknownFormat { path }),
    }
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    path: &Path,
    reader: ImageReader<R>,
) -> Result<impl ImageDecoder + 'a, ImageError> {
    reader
        .into_decoder()
        .map_err(|error| from_image(path, error))
}

fn size_of(path: &Path, decoder: &impl ImageDecoder) -> Result<Size, ImageError> {
    let (width, height) = decoder.dimensions();
    check_size(path, width as usize, height as usize)
}

/// A damaged EXIF block costs the orientation, not the picture.
fn orientation_of(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn read_rgb(path: &Path, decoder: impl ImageDecoder) -> Result<Vec<u8>, ImageError> {
    let convert: fn(Vec<u8>) -> Vec<u8> = match decoder.color_type() {
        ColorType::L8 => |bytes| from_samples::<1, 1, false>(&bytes),
        ColorType::La8 => |bytes| from_samples::<2, 1, false>(&bytes),
        ColorType::Rgb8 => |bytes| bytes,
        ColorType::Rgba8 => |bytes| from_samples::<4, 1, true>(&bytes),
        ColorType::L16 => |bytes| from_samples::<1, 2, false>(&bytes),
        ColorType::La16 => |bytes| from_samples::<2, 2, false>(&bytes),
        ColorType::Rgb16 => |bytes| from_samples::<3, 2, true>(&bytes),
        ColorType::Rgba16 => |bytes| from_samples::<4, 2, true>(&bytes),
        other => {
            return Err(ImageError::Samples {
                path: path.to_owned(),
                samples: format!("samples of type {other:?}"),
            });
        }
    };
    let bytes = usize::try_from(decoder.total_bytes())
        .map_err(|_| ImageError::broken(path, "its header declares too many bytes"))?;
    let mut buffer = vec![0u8; bytes];
    decoder
        .read_image(&mut buffer)
        .map_err(|error| from_image(path, error))?;
    Ok(convert(buffer))
}

/// Pixels of `CHANNELS` samples of `BYTES` native-endian bytes to RGB: alpha dropped, grey repeated, 16 bits `>> 8`.
fn from_samples<const CHANNELS: usize, const BYTES: usize, const COLOUR: bool>(
    bytes: &[u8],
) -> Vec<u8> {
    // The high byte of a native-endian u16 is `v >> 8`.
    let high = if BYTES == 2 && cfg!(target_endian = "little") {
        1
    } else {
        0
    };
    let mut rgb = Vec::with_capacity(bytes.len() / (CHANNELS * BYTES) * 3);
    for pixel in bytes.chunks_exact(CHANNELS * BYTES) {
        rgb.extend(if COLOUR {
            [pixel[high], pixel[BYTES + high], pixel[2 * BYTES + high]]
        } else {
            [pixel[high]; 3]
        });
    }
    rgb
}

fn from_image(path: &Path, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::IoError(source) => ImageError::io(path, source),
        image::ImageError::Unsupported(what) => ImageError::Unsupported {
            path: path.to_owned(),
            what: format!("an image of a rare kind ({what})"),
        },
        other => ImageError::broken(path, other),
    }
}
