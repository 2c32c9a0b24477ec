//! What a set's JSON holds and where: a short record for every image, annotation and category, with its place in the file.

use std::io::Read;
use std::ops::Range;

use super::fields;
use super::scan::{self, ScanError, Stop};
use super::stream::{Stream, StreamError};
use crate::structures::{BoxXywh, Size};

/// The three lists of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// `images`
    Images,
    /// `annotations`
    Annotations,
    /// `categories`
    Categories,
}

impl List {
    /// The key in the JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Annotations => "annotations",
            Self::Categories => "categories",
        }
    }
}

/// Where a record stands in the file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of its opening bracket.
    pub start: u64,
    /// Up to behind its closing bracket.
    pub length: u32,
}

impl Span {
    /// Just behind the record.
    pub fn end(self) -> u64 {
        self.start + u64::from(self.length)
    }
}

/// An image's record.
#[derive(Clone, Debug)]
pub(in crate::coco) struct ImageRecord {
    pub id: u64,
    pub file_name: String,
    pub declared: Option<Size>,
    pub span: Span,
}

/// An annotation without its mask: what the index keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnnotationHead {
    /// The JSON's id; 0 where it gives none.
    pub id: u64,
    /// The JSON's id of the image.
    pub image_id: u64,
    /// The JSON's id of the class.
    pub category_id: i64,
    /// Box in pixels; `None` where the JSON gives none or no four finite numbers.
    pub bbox: Option<BoxXywh>,
    /// `None` where the JSON gives none or no finite number.
    pub area: Option<f64>,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
    /// Where it stands in the file.
    pub span: Span,
}

/// A category's record.
#[derive(Clone, Debug)]
pub(in crate::coco) struct CategoryRecord {
    pub id: i64,
    pub name: String,
    pub span: Span,
}

/// Why a record was left out or read otherwise than it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::coco) enum Reason {
    /// Left out: no object.
    NotAnObject,
    /// Left out: brackets or commas are wrong; what was expected.
    Syntax(&'static str),
    /// Left out: an id is missing or none.
    BadId(&'static str),
    /// Kept: the key stands there twice, the last one counts.
    RepeatedKey(&'static str),
    /// Kept: a field that is no such thing counts as missing.
    BadField(&'static str),
    /// Kept: bytes of a name that are no UTF-8 are replaced.
    NotUtf8,
}

impl Reason {
    /// Whether the record is not used.
    pub fn is_left_out(self) -> bool {
        matches!(self, Self::NotAnObject | Self::Syntax(_) | Self::BadId(_))
    }

    /// The reason in words.
    pub fn words(self) -> String {
        match self {
            Self::NotAnObject => "it is no object".into(),
            Self::Syntax(expected) => format!("expected {expected}"),
            Self::BadId(key) => format!("its `{key}` is missing or no whole number from 0 up"),
            Self::RepeatedKey(key) => format!("`{key}` stands there twice; the last one counts"),
            Self::BadField(key) => {
                format!("its `{key}` is not what it should be and counts as missing")
            }
            Self::NotUtf8 => "its name is not UTF-8; the bytes that are not are replaced".into(),
        }
    }
}

/// A record that could not be taken as it stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::coco) struct Problem {
    pub list: List,
    /// Place in its list, from 0.
    pub number: usize,
    /// Position in the file.
    pub at: u64,
    /// The record's id where it has one.
    pub id: Option<u64>,
    pub reason: Reason,
}

/// Where one of the lists stands, brackets included.
#[derive(Clone, Debug)]
pub(in crate::coco) struct ListSpan {
    pub list: List,
    pub span: Range<u64>,
    /// `null` stands for a list.
    pub is_null: bool,
}

/// The whole.
#[derive(Default)]
pub(in crate::coco) struct Index {
    pub images: Vec<ImageRecord>,
    pub annotations: Vec<AnnotationHead>,
    pub categories: Vec<CategoryRecord>,
    pub problems: Vec<Problem>,
    /// Of equal keys the last one counts.
    pub lists: Vec<ListSpan>,
    /// Positions of lists whose key stands there twice.
    pub repeated: Vec<(List, u64)>,
    /// Position of the closing bracket of the whole, and whether anything stands before it.
    pub closing: u64,
    pub is_empty: bool,
    /// Where the value of `info` stands; of equal keys the last one.
    pub info: Option<Range<u64>>,
}

/// Reads a set. `images_known` is called as soon as the images are, each time a list of them ends.
pub(super) fn read<R: Read>(
    reader: R,
    tick: &mut dyn FnMut(u64) -> bool,
    images_known: &mut dyn FnMut(&[ImageRecord]) -> bool,
) -> Result<Index, StreamError> {
    let mut stream = Stream::new(reader, tick);
    let mut index = Index::default();
    stream.skip_byte_order_mark()?;
    stream.take(b'{', "an object")?;
    let mut is_first = true;
    index.is_empty = stream.peek()? == b'}';
    while stream.peek()? != b'}' {
        if !std::mem::take(&mut is_first) {
            stream.take(b',', "a comma or the end of the object")?;
        }
        if stream.peek()? != b'"' {
            return Err(StreamError::Syntax(stream.position(), "a key in quotes"));
        }
        let key = stream.scan(|bytes, at, _| {
            let end = scan::string_end(bytes, at)?;
            Ok((fields::key(&bytes[at + 1..end - 1]).into_owned(), end))
        })?;
        stream.take(b':', "a colon")?;
        match key.as_slice() {
            b"images" => {
                index.read_list(List::Images, &mut stream)?;
                if !images_known(&index.images) {
                    return Err(StreamError::Cancelled);
                }
            }
            b"annotations" => index.read_list(List::Annotations, &mut stream)?,
            b"categories" => index.read_list(List::Categories, &mut stream)?,
            b"info" => index.info = Some(stream.skip()?),
            _ => {
                stream.skip()?;
            }
        }
    }
    index.closing = stream.position();
    stream.take(b'}', "the end of the object")?;
    if !stream.is_at_end()? {
        return Err(StreamError::Syntax(
            stream.position(),
            "the end of the file",
        ));
    }
    index.annotations.shrink_to_fit();
    Ok(index)
}

impl Index {
    fn read_list<R: Read>(
        &mut self,
        list: List,
        stream: &mut Stream<'_, R>,
    ) -> Result<(), StreamError> {
        let first = stream.peek()?;
        let start = stream.position();
        self.begin(list, start);
        if first == b'n' {
            let span = stream.skip()?; // null: an empty list
            let is_null = true;
            self.lists.push(ListSpan {
                list,
                span,
                is_null,
            });
            return Ok(());
        }
        stream.take(b'[', expected_list(list))?;
        let mut number = 0;
        while stream.peek()? != b']' {
            if number > 0 {
                stream.take(b',', "a comma or the end of the list")?;
            }
            // Where the record itself is wrong but its brackets are right, it alone is lost.
            let found =
                stream.scan(
                    |bytes, at, base| match self.record(list, number, bytes, at, base) {
                        Ok(end) => Ok(((), end)),
                        Err(ScanError {
                            stop: Stop::End,
                            at,
                        }) => Err(ScanError {
                            stop: Stop::End,
                            at,
                        }),
                        Err(ScanError {
                            stop: Stop::Syntax(expected),
                            at: wrong,
                        }) => {
                            let end = scan::value_end(bytes, at)?;
                            let reason = if bytes.get(at) == Some(&b'{') {
                                Reason::Syntax(expected)
                            } else {
                                Reason::NotAnObject
                            };
                            self.problem(list, number, base + wrong as u64, None, reason);
                            Ok(((), end))
                        }
                    },
                );
            found?;
            number += 1;
        }
        stream.take(b']', "the end of the list")?;
        self.lists.push(ListSpan {
            list,
            span: start..stream.position(),
            is_null: false,
        });
        Ok(())
    }

    /// Forgets an earlier list of the same key, as every reader of JSON does.
    fn begin(&mut self, list: List, at: u64) {
        if !self.lists.iter().any(|known| known.list == list) {
            return;
        }
        self.repeated.push((list, at));
        self.lists.retain(|known| known.list != list);
        self.problems.retain(|problem| problem.list != list);
        match list {
            List::Images => self.images.clear(),
            List::Annotations => self.annotations.clear(),
            List::Categories => self.categories.clear(),
        }
    }

    fn problem(&mut self, list: List, number: usize, at: u64, id: Option<u64>, reason: Reason) {
        self.problems.push(Problem {
            list,
            number,
            at,
            id,
            reason,
        });
    }

    fn record(
        &mut self,
        list: List,
        number: usize,
        bytes: &[u8],
        at: usize,
        base: u64,
    ) -> Result<usize, ScanError> {
        let mut raw = Raw::default();
        let end = scan::members(bytes, at, |key, span| raw.add(list, key, &bytes[span]))?;
        let start = base + at as u64;
        let id = raw.id.and_then(fields::uint);
        for &reason in raw.repeated.iter().flatten() {
            self.problem(list, number, start, id, reason);
        }
        let span = Span {
            start,
            length: (end - at) as u32,
        };
        let reasons: [Option<Reason>; 3] = match list {
            List::Images => self.add_image(&raw, id, span),
            List::Annotations => self.add_annotation(&raw, id, span),
            List::Categories => self.add_category(&raw, span),
        };
        for reason in reasons.into_iter().flatten() {
            self.problem(list, number, start, id, reason);
        }
        Ok(end)
    }

    fn add_image(&mut self, raw: &Raw<'_>, id: Option<u64>, span: Span) -> [Option<Reason>; 3] {
        let Some(id) = id else {
            return [Some(Reason::BadId("id")), None, None];
        };
        let (file_name, about_name) = name(raw.name, "file_name");
        let side = |text: Option<&[u8]>| text.and_then(fields::uint).unwrap_or(0) as usize;
        let size = Size::new(side(raw.width), side(raw.height));
        let is_size = size.width > 0 && size.height > 0;
        let given = raw.width.is_some() || raw.height.is_some();
        self.images.push(ImageRecord {
            id,
            file_name,
            declared: is_size.then_some(size),
            span,
        });
        let about_size = (given && !is_size).then_some(Reason::BadField("width and height"));
        [about_name, about_size, None]
    }

    fn add_annotation(
        &mut self,
        raw: &Raw<'_>,
        id: Option<u64>,
        span: Span,
    ) -> [Option<Reason>; 3] {
        let left_out = |key| [Some(Reason::BadId(key)), None, None];
        let Some(image_id) = raw.image_id.and_then(fields::uint) else {
            return left_out("image_id");
        };
        let Some(category_id) = raw.category_id.and_then(category_id) else {
            return left_out("category_id");
        };
        let Some(id) = (if raw.id.is_none() { Some(0) } else { id }) else {
            return left_out("id");
        };
        let bbox = raw.bbox.and_then(fields::four_numbers);
        let area = raw
            .area
            .and_then(fields::number)
            .filter(|area| area.is_finite());
        let is_crowd = raw.is_crowd.map_or(Some(false), fields::flag);
        let missing = |given: Option<&[u8]>, is_read: bool, key| {
            (given.is_some() && !is_read).then_some(Reason::BadField(key))
        };
        let reasons = [
            missing(raw.bbox, bbox.is_some(), "bbox"),
            missing(raw.area, area.is_some(), "area"),
            missing(raw.is_crowd, is_crowd.is_some(), "iscrowd"),
        ];
        self.annotations.push(AnnotationHead {
            id,
            image_id,
            category_id,
            bbox: bbox.map(|[x, y, w, h]| BoxXywh::new(x, y, w, h)),
            area,
            is_crowd: is_crowd.unwrap_or(false),
            span,
        });
        reasons
    }

    fn add_category(&mut self, raw: &Raw<'_>, span: Span) -> [Option<Reason>; 3] {
        let Some(id) = raw.id.and_then(category_id) else {
            return [Some(Reason::BadId("id")), None, None];
        };
        let (name, about_name) = name(raw.name, "name");
        self.categories.push(CategoryRecord { id, name, span });
        [about_name, None, None]
    }
}

fn category_id(text: &[u8]) -> Option<i64> {
    i64::try_from(fields::uint(text)?).ok()
}

/// A name, empty where there is none, and what is wrong with it.
fn name(text: Option<&[u8]>, key: &'static str) -> (String, Option<Reason>) {
    match text.map(fields::string) {
        None => (String::new(), None),
        Some(None) => (String::new(), Some(Reason::BadField(key))),
        Some(Some((text, true))) => (text.into_owned(), None),
        Some(Some((text, false))) => (text.into_owned(), Some(Reason::NotUtf8)),
    }
}

fn expected_list(list: List) -> &'static str {
    match list {
        List::Images => "`images` as a list of records",
        List::Annotations => "`annotations` as a list of records",
        List::Categories => "`categories` as a list of records",
    }
}

/// The texts of the fields that count.
#[derive(Default)]
struct Raw<'a> {
    id: Option<&'a [u8]>,
    image_id: Option<&'a [u8]>,
    category_id: Option<&'a [u8]>,
    bbox: Option<&'a [u8]>,
    area: Option<&'a [u8]>,
    is_crowd: Option<&'a [u8]>,
    segmentation: Option<&'a [u8]>,
    width: Option<&'a [u8]>,
    height: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    repeated: [Option<Reason>; 2],
}

impl<'a> Raw<'a> {
    /// A field that is `null` is not there.
    fn add(&mut self, list: List, key: &'a [u8], value: &'a [u8]) {
        if value == b"null" {
            return;
        }
        let key = fields::key(key);
        let (slot, name) = match (list, &*key) {
            (_, b"id") => (&mut self.id, "id"),
            (List::Images, b"file_name") => (&mut self.name, "file_name"),
            (List::Images, b"width") => (&mut self.width, "width"),
            (List::Images, b"height") => (&mut self.height, "height"),
            (List::Annotations, b"image_id") => (&mut self.image_id, "image_id"),
            (List::Annotations, b"category_id") => (&mut self.category_id, "category_id"),
            (List::Annotations, b"bbox") => (&mut self.bbox, "bbox"),
            (List::Annotations, b"area") => (&mut self.area, "area"),
            (List::Annotations, b"iscrowd") => (&mut self.is_crowd, "iscrowd"),
            (List::Annotations, b"segmentation") => (&mut self.segmentation, "segmentation"),
            (List::Categories, b"name") => (&mut self.name, "name"),
            _ => return,
        };
        if slot.replace(value).is_some() {
            let free = self.repeated.iter_mut().find(|slot| slot.is_none());
            if let Some(free) = free {
                *free = Some(Reason::RepeatedKey(name));
            }
        }
    }
}
