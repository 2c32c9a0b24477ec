//! The whole network against reference tensors, stage by stage, for every model folder of the fixtures.
//!
//! Each stage of a head starts from the stored input of that stage, so that its own deviation shows; `pipeline` runs from
//! the input tensor and from the picture to the end.

pub(crate) mod case;
mod edges;
mod formats;
mod full;
mod heads;
mod matching;
mod network;
mod pipeline;
