//! Records, ids and names of the set as a whole.

use std::collections::{HashMap, HashSet};

use super::{Findings, Kind};
use crate::coco::dataset::{Dataset, List, Problem, Reason};

pub(super) fn check(set: &Dataset, found: &mut Findings) {
    let index = set.index();
    for &(list, at) in &index.repeated {
        let text = format!(
            "`{}` stands in the file twice; the last one counts",
            list.key()
        );
        found.add(Kind::RepeatedKey, Some(at), text);
    }
    for problem in &index.problems {
        record(problem, found);
    }
    images(set, found);
    categories(set, found);
    annotations(set, found);
}

fn record(problem: &Problem, found: &mut Findings) {
    let kind = match problem.reason {
        Reason::NotAnObject | Reason::Syntax(_) | Reason::BadId(_) => Kind::UnreadableRecord,
        Reason::RepeatedKey(_) => Kind::RepeatedKey,
        Reason::BadField(_) => Kind::AlteredField,
        Reason::NotUtf8 => Kind::NotUtf8,
    };
    let text = format!(
        "number {} of {}: {}",
        problem.number,
        problem.list.key(),
        problem.reason.words()
    );
    if let Some(finding) = found.add(kind, Some(problem.at), text)
        && problem.list == List::Annotations
    {
        finding.annotation_id = problem.id;
    }
}

fn images(set: &Dataset, found: &mut Findings) {
    let mut names: HashMap<&str, u64> = HashMap::new();
    let mut ids: HashMap<u64, &str> = HashMap::new();
    for (image, record) in set.images().iter().zip(&set.index().images) {
        let start = record.span.start;
        if let Some(first) = ids.get(&image.id) {
            let text = format!("its id {} is that of {first}", image.id);
            found.add_of_image(Kind::RepeatedImageId, start, image, &text);
        } else {
            ids.insert(image.id, &image.file_name);
        }
        if image.file_name.is_empty() {
            continue; // told as a missing file
        }
        if let Some(first) = names.get(image.file_name.as_str()) {
            let text = format!("image {} has the file of image {first}", image.id);
            found.add_of_image(Kind::RepeatedFileName, start, image, &text);
        } else {
            names.insert(&image.file_name, image.id);
        }
    }
}

fn categories(set: &Dataset, found: &mut Findings) {
    let (mut ids, mut names) = (HashSet::new(), HashMap::new());
    for category in &set.index().categories {
        let (id, name, at) = (category.id, &category.name, Some(category.span.start));
        if !ids.insert(id) {
            let text = format!("category `{name}`: its id {id} is that of an earlier one");
            found.add(Kind::RepeatedCategoryId, at, text);
        } else if name.is_empty() {
            let text = format!("category {id} has no name; it is shown as cat_{id}");
            found.add(Kind::UnnamedCategory, at, text);
        } else if let Some(first) = names.get(name) {
            let text = format!("category {id} is named `{name}` as category {first} is");
            found.add(Kind::RepeatedCategoryName, at, text);
        } else {
            names.insert(name, id);
        }
    }
}

fn annotations(set: &Dataset, found: &mut Findings) {
    let images: HashSet<u64> = set.images().iter().map(|image| image.id).collect();
    let heads = set.heads();
    for head in heads {
        if !images.contains(&head.image_id) {
            found.left_out += 1;
            let text = format!("image {} is not in the set", head.image_id);
            found.add_of_annotation(Kind::UnknownImage, head, None, &text);
        }
        if head.id == 0 {
            let text = "pycocotools takes a match with the id 0 for none";
            found.add_of_annotation(Kind::AnnotationIdZero, head, None, text);
        }
    }
    if heads.is_sorted_by(|a, b| a.id < b.id) {
        return;
    }
    let mut seen = HashSet::with_capacity(heads.len());
    for head in heads.iter().filter(|head| !seen.insert(head.id)) {
        let text = "an earlier annotation has the same id";
        found.add_of_annotation(Kind::RepeatedAnnotationId, head, None, text);
    }
}
