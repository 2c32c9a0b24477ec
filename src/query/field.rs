//! What a query can ask about: one table of fields with their types, and the trait that answers for one instance.

/// A number of an instance or of its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberField {
    /// Class score, 0..1.
    Score,
    /// Predicted mask IoU, as it comes.
    MaskIou,
    /// `score * mask_iou`.
    IouScore,
    /// Largest mask IoU with an annotation of the class.
    MeasuredIou,
    /// Pixels of the mask; the annotation's own `area`.
    Area,
    /// Width of the box in pixels.
    Width,
    /// Height of the box in pixels.
    Height,
    /// Left edge of the box in pixels.
    X,
    /// Upper edge of the box in pixels.
    Y,
    /// Width over height of the box.
    Aspect,
    /// The data set's id of the class.
    CategoryId,
    /// Width of the image in pixels.
    ImageWidth,
    /// Height of the image in pixels.
    ImageHeight,
    /// The data set's id of the image.
    ImageId,
    /// Average precision of the image alone, 0..1.
    ImageAp,
    /// Predictions of the image, whatever the threshold.
    Instances,
    /// Annotations of the image.
    Annotations,
    /// True positives of the image.
    Tp,
    /// False positives of the image.
    Fp,
    /// Annotations of the image that no prediction found.
    Fn,
}

/// A text of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextField {
    /// The image as lists name it.
    File,
    /// Where the image lies.
    Path,
}

/// A field with a few named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChoiceField {
    /// What the evaluation made of the instance.
    Status,
    /// Prediction or annotation.
    Kind,
    /// COCO's range of the area.
    Size,
    /// Why somebody should look at the instance.
    Suspect,
}

impl ChoiceField {
    /// The names of its values; a value is an index into them.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Self::Status => &["tp", "fp", "fn", "ignored", "crowd"],
            Self::Kind => &["prediction", "annotation"],
            Self::Size => &["small", "medium", "large"],
            Self::Suspect => &[
                "label",
                "head",
                "missing_label",
                "missed_object",
                "swapped_class",
            ],
        }
    }
}

/// What the evaluation made of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A prediction that matches an annotation.
    TruePositive,
    /// A prediction that matches none.
    FalsePositive,
    /// An annotation that no prediction found.
    FalseNegative,
    /// Counts neither for nor against.
    Ignored,
    /// A group of objects, or a prediction matched to one.
    Crowd,
}

/// Why somebody should look at an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Surely predicted, and yet far from its annotation: the label?
    Label,
    /// Close to its annotation, and yet predicted as poor: the mask-IoU head?
    Head,
    /// Confident where nothing is annotated.
    MissingLabel,
    /// An annotation that was never found.
    MissedObject,
    /// On an annotation of another class.
    SwappedClass,
}

/// Which side an instance is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of the model or a prediction file.
    Prediction,
    /// Of the ground truth.
    Annotation,
}

/// Any field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A number.
    Number(NumberField),
    /// A text.
    Text(TextField),
    /// The name of the class.
    Class,
    /// One of a few names.
    Choice(ChoiceField),
    /// Whether the annotation is a crowd.
    IsCrowd,
}

/// Whom a field describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The image.
    Image,
    /// Predictions and annotations alike.
    Both,
    /// Predictions alone.
    Prediction,
    /// Annotations alone.
    Annotation,
    /// The outcome of an evaluation, or which side it is: an evaluation cannot be restricted by it.
    Outcome,
}

/// A line of the table of fields.
#[derive(Debug)]
pub struct FieldInfo {
    /// As a query names it.
    pub name: &'static str,
    /// What it is.
    pub field: Field,
    /// Whom it describes.
    pub scope: Scope,
    /// In a few words, for the completion.
    pub detail: &'static str,
    /// Whether it exists only where predictions were evaluated against ground truth.
    pub is_evaluated: bool,
}

const fn line(
    name: &'static str,
    field: Field,
    scope: Scope,
    detail: &'static str,
    is_evaluated: bool,
) -> FieldInfo {
    FieldInfo {
        name,
        field,
        scope,
        detail,
        is_evaluated,
    }
}

use Field::Number as N;
use NumberField as F;

/// Every field, in the order that completion offers them.
pub const FIELDS: [FieldInfo; 28] = [
    line(
        "class",
        Field::Class,
        Scope::Both,
        "name of the class",
        false,
    ),
    line(
        "score",
        N(F::Score),
        Scope::Prediction,
        "class score, 0 to 1",
        false,
    ),
    line(
        "mask_iou",
        N(F::MaskIou),
        Scope::Prediction,
        "predicted mask IoU, 0 to 1",
        false,
    ),
    line(
        "iou_score",
        N(F::IouScore),
        Scope::Prediction,
        "score × mask IoU",
        false,
    ),
    line(
        "measured_iou",
        N(F::MeasuredIou),
        Scope::Prediction,
        "IoU with the ground truth",
        true,
    ),
    line("area", N(F::Area), Scope::Both, "pixels of the mask", false),
    line(
        "size",
        Field::Choice(ChoiceField::Size),
        Scope::Both,
        "small, medium or large",
        false,
    ),
    line(
        "status",
        Field::Choice(ChoiceField::Status),
        Scope::Outcome,
        "tp, fp, fn, ignored, crowd",
        true,
    ),
    line(
        "suspect",
        Field::Choice(ChoiceField::Suspect),
        Scope::Outcome,
        "why somebody should look at it",
        true,
    ),
    line(
        "kind",
        Field::Choice(ChoiceField::Kind),
        Scope::Outcome,
        "prediction or annotation",
        false,
    ),
    line(
        "iscrowd",
        Field::IsCrowd,
        Scope::Annotation,
        "the annotation is a crowd",
        false,
    ),
    line("width", N(F::Width), Scope::Both, "width of the box", false),
    line(
        "height",
        N(F::Height),
        Scope::Both,
        "height of the box",
        false,
    ),
    line("x", N(F::X), Scope::Both, "left edge of the box", false),
    line("y", N(F::Y), Scope::Both, "upper edge of the box", false),
    line(
        "aspect",
        N(F::Aspect),
        Scope::Both,
        "width over height of the box",
        false,
    ),
    line(
        "category_id",
        N(F::CategoryId),
        Scope::Both,
        "the set's id of the class",
        false,
    ),
    line(
        "file",
        Field::Text(TextField::File),
        Scope::Image,
        "name of the image",
        false,
    ),
    line(
        "path",
        Field::Text(TextField::Path),
        Scope::Image,
        "where the image lies",
        false,
    ),
    line(
        "instances",
        N(F::Instances),
        Scope::Image,
        "predictions of the image",
        false,
    ),
    line(
        "annotations",
        N(F::Annotations),
        Scope::Image,
        "annotations of the image",
        false,
    ),
    line(
        "tp",
        N(F::Tp),
        Scope::Outcome,
        "true positives of the image",
        true,
    ),
    line(
        "fp",
        N(F::Fp),
        Scope::Outcome,
        "false positives of the image",
        true,
    ),
    line("fn", N(F::Fn), Scope::Outcome, "misses of the image", true),
    line(
        "image.ap",
        N(F::ImageAp),
        Scope::Outcome,
        "AP of the image alone",
        true,
    ),
    line(
        "image.width",
        N(F::ImageWidth),
        Scope::Image,
        "width of the image",
        false,
    ),
    line(
        "image.height",
        N(F::ImageHeight),
        Scope::Image,
        "height of the image",
        false,
    ),
    line(
        "image.id",
        N(F::ImageId),
        Scope::Image,
        "the set's id of the image",
        false,
    ),
];

impl Field {
    /// The field of a name, any case.
    pub fn of_name(name: &str) -> Option<Self> {
        let same = |info: &&FieldInfo| info.name.eq_ignore_ascii_case(name);
        FIELDS.iter().find(same).map(|info| info.field)
    }

    /// Its line in the table.
    pub fn info(self) -> &'static FieldInfo {
        let at = FIELDS.iter().position(|info| info.field == self);
        // Every field is in the table: a test goes through them.
        &FIELDS[at.unwrap_or(0)]
    }

    /// As a query names it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether an image answers it without a look at an instance.
    pub fn is_of_image(self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Number(number) => number.is_of_image(),
            Self::Class | Self::Choice(_) | Self::IsCrowd => false,
        }
    }
}

impl NumberField {
    /// Whether an image answers it without a look at an instance.
    pub fn is_of_image(self) -> bool {
        matches!(
            self,
            Self::ImageWidth
                | Self::ImageHeight
                | Self::ImageId
                | Self::ImageAp
                | Self::Instances
                | Self::Annotations
                | Self::Tp
                | Self::Fp
                | Self::Fn
        )
    }
}

/// What one instance and its image answer. `None` where the image or the instance has nothing of the kind; a field of an
/// instance is `None` where the image itself is asked.
pub trait Fields {
    /// A number.
    fn number(&self, field: NumberField) -> Option<f64>;
    /// A text.
    fn text(&self, field: TextField) -> Option<&str>;
    /// Index of the class in the table that the query was parsed with.
    fn label(&self) -> Option<usize>;
    /// What the evaluation made of it.
    fn status(&self) -> Option<Status>;
    /// Why somebody should look at it; what knows no evaluation has no answer.
    fn suspicion(&self) -> Option<Suspicion> {
        None
    }
    /// Its side.
    fn kind(&self) -> Option<Kind>;
    /// Whether it is a crowd; annotations alone have an answer.
    fn is_crowd(&self) -> Option<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fields_are_unique() {
        for (at, info) in FIELDS.iter().enumerate() {
            assert_eq!(Field::of_name(&info.name.to_uppercase()), Some(info.field));
            assert_eq!(info.field.name(), info.name);
            let later = &FIELDS[at + 1..];
            assert!(later.iter().all(|other| other.name != info.name));
            let of_image = matches!(info.scope, Scope::Image) || info.field.is_of_image();
            assert_eq!(of_image, info.field.is_of_image(), "{}", info.name);
        }
    }
}
