//! What can be wrong with a set.

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is left out.
    Error,
    /// Something is read otherwise than it stands there, or is suspicious.
    Warning,
    /// Worth knowing.
    Info,
}

macro_rules! kinds {
    ($($kind:ident, $severity:ident, $name:literal, $title:literal;)*) => {
        /// What a finding is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $title] $kind,)*
        }

        impl Kind {
            /// All of them, the gravest first.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }

            /// A name for machines.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What it is and what becomes of it, for a heading.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    UnreadableRecord, Error, "unreadable-record", "Records that cannot be read: left out";
    UnknownImage, Error, "unknown-image", "Annotations of images that the set does not have: left out";
    UnknownCategory, Error, "unknown-category", "Annotations of categories that the set does not have: left out";
    ImageWithoutSize, Error, "image-without-size", "Images without a usable width and height: their annotations are left out";
    BadPolygon, Error, "bad-polygon", "Polygons that are none: left out";
    BadRle, Error, "bad-rle", "Run lengths that do not fit: left out";
    NoMask, Error, "no-mask", "Annotations with neither a mask nor a box: left out";
    MissingFile, Error, "missing-file", "Image files that are not there";
    CorruptFile, Error, "corrupt-file", "Image files that cannot be read";
    RepeatedImageId, Warning, "repeated-image-id", "Images with the id of an earlier one: their annotations belong to the first";
    RepeatedAnnotationId, Warning, "repeated-annotation-id", "Annotations with the id of an earlier one";
    AnnotationIdZero, Warning, "annotation-id-zero", "Annotation id 0: pycocotools would miscount";
    RepeatedCategoryId, Warning, "repeated-category-id", "Categories with the id of an earlier one: the first counts";
    RepeatedCategoryName, Warning, "repeated-category-name", "Categories with the name of another: shown with their id";
    UnnamedCategory, Warning, "unnamed-category", "Categories without a name";
    RepeatedKey, Warning, "repeated-key", "Keys that stand in one object twice: the last one counts";
    AlteredField, Warning, "altered-field", "Fields that are not what they should be: they count as missing";
    NotUtf8, Warning, "not-utf8", "Names that are not UTF-8: the bytes that are not are replaced";
    ShortPolygon, Warning, "short-polygon", "Parts of fewer than three vertices: left out";
    OddCoordinates, Warning, "odd-coordinates", "Parts with an odd number of coordinates: the last one is not used";
    ShortRle, Warning, "short-rle", "Run lengths that leave pixels out: those are background";
    EmptyMask, Warning, "empty-mask", "Masks without a pixel";
    BoxSize, Warning, "box-size", "Boxes whose width or height is not above zero";
    BoxAgainstMask, Warning, "box-against-mask", "Boxes that are not around their mask";
    AreaAgainstMask, Warning, "area-against-mask", "Areas that are not their mask's";
    OutsideImage, Warning, "outside-image", "Boxes or polygons that reach outside the image";
    CrowdWithoutRle, Warning, "crowd-without-rle", "Crowds that are not run lengths";
    BoxAsMask, Warning, "box-as-mask", "Annotations without a mask: the box's rectangle stands for it";
    SizeMismatch, Warning, "size-mismatch", "Image files of another size than the set says";
    RepeatedFileName, Warning, "repeated-file-name", "Images with the file of an earlier one";
    MissingBox, Info, "missing-box", "Annotations without a box: the mask's is used";
    MissingArea, Info, "missing-area", "Annotations without an area: the mask's is used";
    NoAnnotations, Info, "no-annotations", "Images without annotations";
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
