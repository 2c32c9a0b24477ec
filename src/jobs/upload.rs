//! The way of prepared images to the device that the network runs on.

use candle_core::{Device, Result, Tensor};

use super::batches::is_out_of_memory;
use crate::data::PreparedImage;
#[cfg(feature = "cuda")]
use crate::ops::cuda::Uploader;
use crate::structures::ImageTransform;

/// An image as the network sees it.
#[derive(Debug)]
pub struct Prepared {
    /// (1,3,H,W), normalised and padded.
    pub(super) planes: Tensor,
    pub(super) transform: ImageTransform,
}

/// Takes images to a device: to a card through memory that the driver copies from while the host goes on.
#[derive(Debug)]
pub(super) struct Upload {
    device: Device,
    #[cfg(feature = "cuda")]
    card: Option<Uploader>,
}

impl Upload {
    pub fn new(device: &Device) -> Self {
        Self {
            #[cfg(feature = "cuda")]
            card: match device {
                Device::Cuda(card) => Some(Uploader::new(card)),
                _ => None,
            },
            device: device.clone(),
        }
    }

    /// The image on the device; where that has no memory for it now, on the host until its turn.
    ///
    /// # Errors
    /// A failed upload.
    pub fn prepared(&self, image: PreparedImage) -> Result<Prepared> {
        let PreparedImage { planes, transform } = image;
        let shape = [1, 3, transform.padded.height, transform.padded.width];
        let planes = match self.staged(&planes, &shape) {
            Some(Ok(planes)) => planes,
            Some(Err(error)) if !is_out_of_memory(&error) => return Err(error),
            _ => Tensor::from_vec(planes, &shape, &Device::Cpu)?,
        };
        Ok(Prepared { planes, transform })
    }

    /// None where there is no card.
    #[cfg(feature = "cuda")]
    fn staged(&self, values: &[f32], shape: &[usize]) -> Option<Result<Tensor>> {
        Some(self.card.as_ref()?.upload(values, shape))
    }

    #[cfg(not(feature = "cuda"))]
    fn staged(&self, _: &[f32], _: &[usize]) -> Option<Result<Tensor>> {
        None
    }

    /// (N,3,H,W) on the device: a batch is padded with zeros to its largest image (semantics.md 2.3).
    ///
    /// # Errors
    /// A failed upload.
    pub fn stacked(&self, images: &[Prepared]) -> Result<Tensor> {
        let padded = || images.iter().map(|image| image.transform.padded);
        let height = padded().map(|size| size.height).max().unwrap_or(0);
        let width = padded().map(|size| size.width).max().unwrap_or(0);
        let mut rows = Vec::with_capacity(images.len());
        for image in images {
            let own = image.transform.padded;
            rows.push(
                image
                    .planes
                    .to_device(&self.device)?
                    .pad_with_zeros(2, 0, height - own.height)?
                    .pad_with_zeros(3, 0, width - own.width)?,
            );
        }
        if rows.len() == 1 {
            return Ok(rows.remove(0));
        }
        Tensor::cat(&rows, 0)
    }
}
