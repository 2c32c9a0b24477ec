//! What a reviewer does, as values: by id, so that they mean the same in the window, in a file and after a restart.

use serde::{Deserialize, Serialize};

use crate::coco::{Origin, Record, Shape};
use crate::structures::Rle;

/// What somebody thinks of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is right.
    Accept,
    /// It should not be there.
    Reject,
    /// The object is there, its class is another.
    WrongClass,
    /// Object and class are right, the mask is not.
    BadMask,
    /// An object without an annotation.
    MissingObject,
}

impl Verdict {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 5] = [
        Self::Accept,
        Self::Reject,
        Self::WrongClass,
        Self::BadMask,
        Self::MissingObject,
    ];

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::WrongClass => "wrong class",
            Self::BadMask => "bad mask",
            Self::MissingObject => "missing object",
        }
    }
}

/// A prediction, known again in every file that holds it: the same mask on the same image from the same source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PredictionKey {
    /// The set's id of the image.
    pub image_id: u64,
    /// Hash of the checkpoint or of the prediction file.
    pub source: String,
    /// `Rle::fingerprint` of the mask, in hexadecimal.
    pub mask: String,
}

impl PredictionKey {
    /// The key of a prediction.
    pub fn new(image_id: u64, source: &str, mask: &Rle) -> Self {
        Self {
            image_id,
            source: source.to_owned(),
            mask: format!("{:016x}", mask.fingerprint()),
        }
    }
}

/// What a verdict, tags or a note are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// An annotation by id.
    Annotation(u64),
    /// A prediction.
    Prediction(PredictionKey),
    /// A whole image by id: an object is missing that nothing found.
    Image(u64),
}

/// Verdict, tags and note together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Tags, sorted, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Opinion {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is to be done. One edit is one entry of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Gives an annotation another mask.
    SetMask {
        /// The annotation.
        id: u64,
        /// The new mask; polygons stay polygons.
        segmentation: Shape,
    },
    /// Gives an annotation another class.
    SetClass {
        /// The annotation.
        id: u64,
        /// The new class.
        category_id: i64,
    },
    /// Says whether an annotation stands for many objects.
    SetCrowd {
        /// The annotation.
        id: u64,
        /// The new flag.
        iscrowd: bool,
    },
    /// Takes annotations out.
    Delete {
        /// The annotations.
        ids: Vec<u64>,
    },
    /// Puts a new annotation in; with `origin` a prediction that was promoted.
    Add {
        /// The image.
        image_id: u64,
        /// The class.
        category_id: i64,
        /// The mask.
        segmentation: Shape,
        /// Whether it stands for many objects.
        #[serde(default)]
        iscrowd: bool,
        /// The prediction that it is made of.
        #[serde(default)]
        origin: Option<Origin>,
    },
    /// Makes several annotations of one: the first keeps the id.
    Split {
        /// The annotation.
        id: u64,
        /// The parts; without, those that touch nowhere, the largest first.
        #[serde(default)]
        parts: Vec<Shape>,
    },
    /// Makes one annotation of several of an image: the first keeps its id and class.
    Merge {
        /// The annotations.
        ids: Vec<u64>,
    },
    /// Makes a category.
    AddCategory {
        /// A name that no other category has.
        name: String,
        /// An id that no other category has; the largest and one without.
        #[serde(default)]
        id: Option<i64>,
    },
    /// Gives a verdict, or takes it back.
    Verdict {
        /// What it is about.
        target: Target,
        /// The verdict.
        verdict: Option<Verdict>,
    },
    /// Replaces the tags.
    Tags {
        /// What they are about.
        target: Target,
        /// All its tags.
        tags: Vec<String>,
    },
    /// Replaces the note.
    Note {
        /// What it is about.
        target: Target,
        /// The text; empty takes it away.
        note: String,
    },
    /// Several edits that are undone together.
    Together {
        /// For the history; those of the first edit where empty.
        #[serde(default)]
        words: String,
        /// In order; a later one sees what an earlier one did.
        edits: Vec<Edit>,
    },
}

/// The smallest step: a value before and after. Its inverse is the same with both exchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An annotation; `None` is not there.
    Annotation {
        /// Its id.
        id: u64,
        /// Before.
        before: Option<Record>,
        /// After.
        after: Option<Record>,
    },
    /// A new category; `None` is not there.
    Category {
        /// Its id.
        id: i64,
        /// Before.
        before: Option<String>,
        /// After.
        after: Option<String>,
    },
    /// The file's record that edits of an annotation belong to: a decision between both moves it.
    Base {
        /// The annotation.
        id: u64,
        /// Before.
        before: Option<String>,
        /// After.
        after: Option<String>,
    },
    /// Verdict, tags and note.
    Opinion {
        /// What they are about.
        target: Target,
        /// Before.
        before: Opinion,
        /// After.
        after: Opinion,
    },
}

impl Change {
    /// What takes it back.
    pub fn inverse(self) -> Self {
        match self {
            Self::Annotation { id, before, after } => Self::Annotation {
                id,
                before: after,
                after: before,
            },
            Self::Base { id, before, after } => Self::Base {
                id,
                before: after,
                after: before,
            },
            Self::Category { id, before, after } => Self::Category {
                id,
                before: after,
                after: before,
            },
            Self::Opinion {
                target,
                before,
                after,
            } => Self::Opinion {
                target,
                before: after,
                after: before,
            },
        }
    }
}
