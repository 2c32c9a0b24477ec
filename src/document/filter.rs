//! Filter and order of the gallery.

use serde::{Deserialize, Serialize};

/// What orders the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    /// As in the folder or file.
    #[default]
    FileOrder,
    /// Number of instances at or above the threshold.
    Count,
    /// Highest ranking score of an image.
    BestScore,
    /// Mean ranking score of an image.
    MeanScore,
    /// Lowest predicted mask IoU among the instances at or above the threshold.
    LowestMaskIou,
}

impl SortBy {
    /// Every choice, in the order of the list.
    pub const ALL: [Self; 5] = [
        Self::FileOrder,
        Self::Count,
        Self::BestScore,
        Self::MeanScore,
        Self::LowestMaskIou,
    ];

    /// As the list names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::FileOrder => "file order",
            Self::Count => "count",
            Self::BestScore => "best score",
            Self::MeanScore => "mean score",
            Self::LowestMaskIou => "lowest mask IoU",
        }
    }
}

/// Filter and order of the gallery.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageQuery {
    /// Part of the name, any case.
    pub text: String,
    /// Only images with an instance of this label at or above the threshold.
    pub label: Option<usize>,
    /// Order.
    pub sort: SortBy,
    /// The largest first.
    pub descending: bool,
}
