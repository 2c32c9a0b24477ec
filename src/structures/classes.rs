//! The classes that labels index.

/// Foreground classes in the order of the model's columns; a label is an index into it, without background.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClassTable {
    /// One name a class.
    pub names: Vec<String>,
    /// The data set's id of each class where it is known; empty when it is not.
    pub category_ids: Vec<i64>,
}

impl ClassTable {
    /// Names without category ids.
    pub fn from_names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            category_ids: Vec::new(),
        }
    }

    /// Number of foreground classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Name of a label; `class N` where the table has none.
    pub fn name(&self, label: usize) -> String {
        self.names
            .get(label)
            .cloned()
            .unwrap_or_else(|| format!("class {label}"))
    }

    /// The data set's id of a label, where it is known.
    pub fn category_id(&self, label: usize) -> Option<i64> {
        self.category_ids.get(label).copied()
    }
}
