//! From what a prediction file names to a set's images and classes (product.md, definitions).

use std::collections::HashMap;

use super::DatasetImage;
use crate::structures::ClassTable;

/// How a prediction file names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// Position in the set's list.
    Position(usize),
    /// The set's id.
    Id(u64),
    /// A path: found by its relative path, then by a base name that is unique.
    Path(String),
}

/// Looks images of a set up by what files call them.
pub struct ImageNames<'a> {
    count: usize,
    ids: HashMap<u64, usize>,
    paths: HashMap<String, usize>,
    /// `None` where several images share the base name.
    bases: HashMap<&'a str, Option<usize>>,
}

impl<'a> ImageNames<'a> {
    /// Of equal ids and paths the first image counts.
    pub fn new(images: &'a [DatasetImage]) -> Self {
        let mut names = Self {
            count: images.len(),
            ids: HashMap::new(),
            paths: HashMap::new(),
            bases: HashMap::new(),
        };
        for (position, image) in images.iter().enumerate() {
            names.ids.entry(image.id).or_insert(position);
            let path = slashes(&image.path.to_string_lossy());
            names.paths.entry(path).or_insert(position);
            let path = slashes(&image.file_name);
            names.paths.entry(path).or_insert(position);
            names
                .bases
                .entry(base(&image.file_name))
                .and_modify(|known| *known = None)
                .or_insert(Some(position));
        }
        names
    }

    /// Position of an image in the set's list.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, image: &ImageRef) -> Result<usize, &'static str> {
        const ABSENT: &str = "the ground truth has no such image";
        match image {
            ImageRef::Position(position) if *position < self.count => Ok(*position),
            ImageRef::Position(_) => Err(ABSENT),
            ImageRef::Id(id) => self.ids.get(id).copied().ok_or(ABSENT),
            ImageRef::Path(path) => match self.paths.get(&slashes(path)) {
                Some(&position) => Ok(position),
                None => match self.bases.get(base(path)) {
                    Some(Some(position)) => Ok(*position),
                    Some(None) => Err("several images of the ground truth have this name"),
                    None => Err(ABSENT),
                },
            },
        }
    }
}

fn slashes(path: &str) -> String {
    path.replace('\\', "/")
}

fn base(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The set's label of each label of a prediction file: by category id where the file carries the set's ids, else by
/// name, and where no name fits but the counts agree, by order. `None` where nothing fits.
pub fn corresponding_labels(
    set: &ClassTable,
    file: &ClassTable,
    by_category_id: bool,
) -> Vec<Option<usize>> {
    if by_category_id {
        let of_id = |label: usize| {
            let id = file.category_id(label)?;
            set.category_ids.iter().position(|&known| known == id)
        };
        return (0..file.len()).map(of_id).collect();
    }
    let of_name = |name: &String| set.names.iter().position(|known| known == name);
    let named: Vec<_> = file.names.iter().map(of_name).collect();
    if named.iter().all(Option::is_none) && file.len() == set.len() {
        return (0..file.len()).map(Some).collect();
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: u64, file_name: &str) -> DatasetImage {
        DatasetImage {
            id,
            file_name: file_name.into(),
            path: format!("/set/{file_name}").into(),
            declared: None,
            exists: true,
        }
    }

    #[test]
    fn images_are_found_by_path_then_by_a_unique_name() {
        let images = [
            image(7, "a/1.jpg"),
            image(9, "b/1.jpg"),
            image(4, "b/2.jpg"),
        ];
        let names = ImageNames::new(&images);
        let path = |path: &str| names.find(&ImageRef::Path(path.into()));
        assert_eq!(path("b/1.jpg"), Ok(1));
        assert_eq!(path("b\\1.jpg"), Ok(1));
        assert_eq!(path("/set/a/1.jpg"), Ok(0));
        assert_eq!(path("elsewhere/2.jpg"), Ok(2));
        assert!(path("elsewhere/1.jpg").is_err_and(|reason| reason.contains("several")));
        assert!(path("3.jpg").is_err());
        assert_eq!(names.find(&ImageRef::Id(4)), Ok(2));
        assert!(names.find(&ImageRef::Id(5)).is_err());
        assert!(names.find(&ImageRef::Position(3)).is_err());
    }

    #[test]
    fn classes_by_id_by_name_by_order() {
        let table = |names: &[&str], ids: &[i64]| ClassTable {
            names: names.iter().map(ToString::to_string).collect(),
            category_ids: ids.to_vec(),
        };
        let set = table(&["cat", "dog"], &[3, 8]);
        let check = |file: ClassTable, by_id, expected: &[Option<usize>]| {
            assert_eq!(corresponding_labels(&set, &file, by_id), expected);
        };
        check(table(&["x", "y"], &[8, 4]), true, &[Some(1), None]);
        check(table(&["dog", "cow"], &[]), false, &[Some(1), None]);
        check(table(&["x", "y"], &[]), false, &[Some(0), Some(1)]);
        check(table(&["x"], &[]), false, &[None]);
    }
}
