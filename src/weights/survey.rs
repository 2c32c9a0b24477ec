//! A detector's checkpoint compared with its model: where each tensor goes, what is missing, what is left over.

use std::collections::BTreeMap;

use super::canonical::{self, FC_CLS, IOU_HEAD, Parameter};
use super::error::WeightsError;
use super::mismatch::{Mismatch, Misshapen};
use super::names::{self, Naming, Place};
use super::opened::Opened;
use super::rows::{ClassLayers, Rows};
use super::tensors::{Tensor, Weights, canonical_shape};
use super::widths::Shapes;

/// Where one tensor of a file goes.
#[derive(Debug)]
pub(super) struct Placed {
    /// Its index in the file.
    pub index: usize,
    pub place: Place,
    pub rows: Rows,
    /// Shape in canonical row order.
    pub shape: Vec<usize>,
}

/// All tensors of a file placed, none compared with a model yet.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub opened: &'a Opened,
    pub naming: Naming,
    pub classes: ClassLayers,
    pub placed: Vec<Placed>,
}

impl<'a> Survey<'a> {
    /// Places every tensor by its name; `shift` takes mask-IoU columns one further.
    pub fn new(opened: &'a Opened, shift: bool) -> Self {
        let naming = names::recognise(opened.tensors.iter().map(|(name, _)| name.as_str()));
        Self::with_naming(opened, naming, shift)
    }

    /// As `new`, for a naming that is known.
    pub fn with_naming(opened: &'a Opened, naming: Naming, shift: bool) -> Self {
        let places: Vec<Place> = opened
            .tensors
            .iter()
            .map(|(name, tensor)| match names::place(naming, name) {
                // Counters and flags under any name.
                Place::LeftOver if !tensor.dtype().is_float() => Place::Skip,
                place => place,
            })
            .collect();
        let columns = opened
            .tensors
            .iter()
            .zip(&places)
            .find(|(_, place)| matches!(place, Place::Canonical(name) if name == FC_CLS))
            .and_then(|((_, tensor), _)| tensor.shape().first().copied())
            .unwrap_or(0);
        let classes = ClassLayers::new(naming, columns, shift);
        let placed = opened
            .tensors
            .iter()
            .zip(places)
            .enumerate()
            .map(|(index, ((_, tensor), place))| {
                let rows = match (&place, tensor.shape().first()) {
                    (Place::Canonical(name), Some(&have)) => classes.rows(name, have),
                    _ => Rows::All,
                };
                let shape = canonical_shape(tensor.shape(), &rows);
                Placed {
                    index,
                    place,
                    rows,
                    shape,
                }
            })
            .collect();
        Self {
            opened,
            naming,
            classes,
            placed,
        }
    }

    /// Shapes by canonical name.
    pub fn shapes(&self) -> Shapes {
        self.placed
            .iter()
            .filter_map(|placed| match &placed.place {
                Place::Canonical(name) => Some((name.clone(), placed.shape.clone())),
                _ => None,
            })
            .collect()
    }

    /// Whether there is any tensor of a mask-IoU head.
    pub fn has_iou_head(&self) -> bool {
        self.placed
            .iter()
            .any(|placed| matches!(&placed.place, Place::Canonical(n) if n.starts_with(IOU_HEAD)))
    }

    fn name(&self, placed: &Placed) -> &'a str {
        self.opened
            .tensors
            .get(placed.index)
            .map_or("", |(name, _)| name.as_str())
    }

    /// Compares with the tensors that the model needs.
    pub fn compare(&self, wanted: &[Parameter]) -> Mismatch {
        let wanted_shapes: BTreeMap<&str, &[usize]> = wanted
            .iter()
            .map(|p| (p.name.as_str(), p.shape.as_slice()))
            .collect();
        let mut filled = BTreeMap::<&str, &str>::new();
        let mut mismatch = Mismatch::default();
        for placed in &self.placed {
            let name = self.name(placed);
            let left_over = (name.to_owned(), placed.shape.clone());
            let canonical = match &placed.place {
                Place::Skip => continue,
                Place::LeftOver => {
                    mismatch.left_over.push(left_over);
                    continue;
                }
                Place::Canonical(canonical) => canonical.as_str(),
            };
            let Some(&want) = wanted_shapes.get(canonical) else {
                mismatch.left_over.push(left_over);
                continue;
            };
            if let Some(first) = filled.insert(canonical, name) {
                mismatch
                    .doubled
                    .push((canonical.into(), first.into(), name.into()));
            }
            if placed.shape != want {
                mismatch.misshapen.push(Misshapen {
                    name: name.into(),
                    canonical: canonical.into(),
                    got: placed.shape.clone(),
                    want: want.to_vec(),
                });
            }
        }
        mismatch.missing = wanted
            .iter()
            .filter(|p| !filled.contains_key(p.name.as_str()))
            .map(|p| (p.name.clone(), p.shape.clone()))
            .collect();
        mismatch
    }

    /// The tensors themselves, after `compare` found nothing.
    pub fn weights(&self, wanted: &[Parameter]) -> Weights {
        let by_name: BTreeMap<&str, &Placed> = self
            .placed
            .iter()
            .filter_map(|placed| match &placed.place {
                Place::Canonical(name) => Some((name.as_str(), placed)),
                _ => None,
            })
            .collect();
        let raw = |placed: &Placed| {
            self.opened
                .tensors
                .get(placed.index)
                .map(|(_, tensor)| tensor.clone())
        };
        let tensors = wanted
            .iter()
            .filter_map(|parameter| {
                let placed = by_name.get(parameter.name.as_str())?;
                let variance = self
                    .lacks_epsilon(parameter)
                    .then(|| parameter.name.strip_suffix("weight"))
                    .flatten()
                    .and_then(|layer| by_name.get(format!("{layer}running_var").as_str()))
                    .and_then(|placed| raw(placed));
                let tensor = Tensor::of_file(raw(placed)?, placed.rows.clone(), variance);
                Some((parameter.name.clone(), tensor))
            })
            .collect();
        Weights::of_file(&self.opened.path, tensors)
    }

    /// torchvision's COCO weights were trained with ε = 0 in every BatchNorm (semantics.md 5.6).
    fn lacks_epsilon(&self, parameter: &Parameter) -> bool {
        parameter.kind == canonical::Kind::BnWeight && self.classes.by_category_id()
    }

    /// The error of a file that is no detector; `None` for a detector.
    pub fn refusal(&self) -> Option<WeightsError> {
        let path = self.opened.path.clone();
        let (kind, advice) = match self.naming {
            Naming::Mmdet1 => (
                "a checkpoint of mmdetection 1",
                "its background column and boxes differ; upgrade it with mmdetection's tools/model_converters/upgrade_model_version.py",
            ),
            Naming::TorchBackbone | Naming::MindsporeBackbone => (
                "a backbone alone, not a detector",
                "name it in backbone.pretrained to start a training from it",
            ),
            Naming::Unknown => {
                let names: Vec<&str> = self
                    .opened
                    .tensors
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .take(3)
                    .collect();
                return Some(WeightsError::UnknownNames {
                    count: self.opened.tensors.len(),
                    examples: names.join(", "),
                    path,
                });
            }
            _ => return None,
        };
        Some(WeightsError::Refused { kind, advice, path })
    }
}
