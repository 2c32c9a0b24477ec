//! Instances that a chart was asked for: a bar, a cell, a brush. The gallery, the list and the canvas show them.

/// One instance of the open set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PickedInstance {
    /// Position in `Document::images`.
    pub image: usize,
    /// What of the image.
    pub what: PickedKind,
}

/// A prediction or an annotation of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PickedKind {
    /// Position among the image's predictions.
    Prediction(usize),
    /// Position among the image's annotations that could be read.
    Annotation(usize),
    /// The image itself: what is meant is not shown here, such as a prediction of a second file.
    Image,
}

/// Instances with the words that say what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// As the filter bar shows it: "true person, predicted dog".
    pub label: String,
    /// By image; each once.
    instances: Vec<PickedInstance>,
}

impl Picked {
    /// Sorts the instances; doubles go.
    pub fn new(label: impl Into<String>, mut instances: Vec<PickedInstance>) -> Self {
        instances.sort_unstable();
        instances.dedup();
        Self {
            label: label.into(),
            instances,
        }
    }

    /// All of them, by image.
    pub fn instances(&self) -> &[PickedInstance] {
        &self.instances
    }

    /// Those of an image.
    pub fn of_image(&self, image: usize) -> &[PickedInstance] {
        let start = self.instances.partition_point(|i| i.image < image);
        let end = self.instances.partition_point(|i| i.image <= image);
        self.instances.get(start..end).unwrap_or(&[])
    }

    /// Whether an image has one of them.
    pub fn has_image(&self, image: usize) -> bool {
        !self.of_image(image).is_empty()
    }

    /// Whether a prediction of an image is one of them.
    pub fn has_prediction(&self, image: usize, index: usize) -> bool {
        let what = PickedKind::Prediction(index);
        let instance = PickedInstance { image, what };
        self.instances.binary_search(&instance).is_ok()
    }

    /// Number of images that have one of them.
    pub fn image_count(&self) -> usize {
        let mut images: Vec<usize> = self.instances.iter().map(|i| i.image).collect();
        images.dedup();
        images.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_found_by_image() {
        let at = |image, index| PickedInstance {
            image,
            what: PickedKind::Prediction(index),
        };
        let picked = Picked::new("a", vec![at(4, 1), at(2, 0), at(4, 0), at(4, 1)]);
        assert_eq!(picked.instances(), [at(2, 0), at(4, 0), at(4, 1)]);
        assert_eq!(picked.of_image(4), [at(4, 0), at(4, 1)]);
        assert_eq!(picked.image_count(), 2);
        assert!(picked.has_image(2) && !picked.has_image(3));
        assert!(picked.has_prediction(4, 1) && !picked.has_prediction(2, 1));
    }
}
