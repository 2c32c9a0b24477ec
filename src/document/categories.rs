//! The category ids of the open set and its review, each with its label. Labels are positions in `Document::classes`, where classes
//! that a model or prediction file alone knows stand between: those have no id.

use std::sync::Arc;

use super::Document;
use super::open::merge_classes;
use crate::structures::ClassTable;

/// Ids and labels, the file's categories first, then new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories(Vec<(i64, usize)>);

impl Categories {
    pub(super) fn of_file(classes: &ClassTable) -> Self {
        let ids = classes.category_ids.iter().copied();
        Self(ids.enumerate().map(|(label, id)| (id, label)).collect())
    }

    /// The ids in order.
    pub fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().map(|&(id, _)| id)
    }

    /// The label of a category.
    pub fn label(&self, id: i64) -> Option<usize> {
        let found = self.0.iter().find(|&&(known, _)| known == id);
        found.map(|&(_, label)| label)
    }

    /// The category of a label; none of a class that the set does not have.
    pub fn id(&self, label: usize) -> Option<i64> {
        let found = self.0.iter().find(|&&(_, known)| known == label);
        found.map(|&(id, _)| id)
    }
}

impl Document {
    /// Categories of the set and its review.
    pub fn categories(&self) -> &Arc<Categories> {
        &self.categories
    }

    /// Name of a category.
    pub fn category_name(&self, id: i64) -> String {
        let label = self.categories.label(id);
        label.map_or_else(
            || format!("category {id}"),
            |label| self.classes.name(label),
        )
    }

    /// Takes the classes of a model or prediction file in; returns the label here of each of its labels.
    pub(super) fn merge_classes(&mut self, other: &ClassTable) -> Vec<usize> {
        self.review_classes
            .retain(|name| !other.names.contains(name));
        merge_classes(&mut self.classes, other)
    }

    /// Brings the categories into step with the review. A new one gets the label of a class of that name, which predictions may have
    /// already, else the next; labels never move.
    pub(super) fn renew_categories(&mut self) {
        let Some(review) = self.review() else { return };
        let mut categories = Categories::of_file(review.set().classes());
        let new = review.corrections().categories.clone();
        // One that was taken back goes, where nothing stands behind it.
        while let Some(last) = self.classes.names.last()
            && self.review_classes.contains(last)
            && !new.values().any(|name| name == last)
        {
            self.review_classes.retain(|name| name != last);
            self.classes.names.pop();
        }
        for (id, name) in new {
            // Another program may have written the same category since.
            if categories.label(id).is_some() {
                continue;
            }
            let known = self.classes.names.iter().position(|known| *known == name);
            let label = known.unwrap_or_else(|| {
                self.review_classes.push(name.clone());
                self.classes.names.push(name);
                self.classes.names.len() - 1
            });
            categories.0.push((id, label));
        }
        if categories != *self.categories {
            self.categories = Arc::new(categories);
            self.categories_changed();
        }
    }
}
