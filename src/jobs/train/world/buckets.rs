//! Gradients in buckets: summed over the processes in the same order everywhere, each as soon as it is full.
//!
//! The last layers come first, as the backward pass reaches them first.
#![cfg_attr(not(feature = "mpi"), allow(dead_code, reason = "its user is `ranks`"))]

use std::collections::BTreeMap;

/// Values of a bucket: 4 MiB.
const BUCKET: usize = 1 << 20;

/// Where each gradient lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    /// Names, starts and lengths of each bucket, and its length.
    pub all: Vec<Bucket>,
    /// Name -> bucket and position in it.
    places: BTreeMap<String, (usize, usize)>,
}

/// Some gradients that are summed together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bucket {
    /// Name, start and length of each.
    pub parts: Vec<(String, usize, usize)>,
    /// Of all.
    pub len: usize,
}

impl Buckets {
    /// `sizes` in the order of the network.
    pub fn new(sizes: Vec<(String, usize)>) -> Self {
        let mut buckets = Self {
            all: Vec::new(),
            places: BTreeMap::new(),
        };
        for (name, len) in sizes.into_iter().rev() {
            let is_full = buckets
                .all
                .last()
                .is_none_or(|bucket| bucket.len > 0 && bucket.len + len > BUCKET);
            if is_full {
                buckets.all.push(Bucket::default());
            }
            let at = buckets.all.len() - 1;
            let bucket = &mut buckets.all[at];
            buckets
                .places
                .insert(name.clone(), (at, bucket.parts.len()));
            bucket.parts.push((name, bucket.len, len));
            bucket.len += len;
        }
        buckets
    }

    /// Bucket and part of a gradient.
    pub fn place(&self, name: &str) -> Option<(usize, usize)> {
        self.places.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layers_come_first_and_all_are_there() {
        let sizes = [("a", 10), ("b", BUCKET), ("c", 5), ("d", 7)];
        let sizes = sizes.map(|(name, len)| (name.to_owned(), len)).to_vec();
        let buckets = Buckets::new(sizes);
        let names: Vec<Vec<&str>> = buckets
            .all
            .iter()
            .map(|bucket| {
                bucket
                    .parts
                    .iter()
                    .map(|(name, ..)| name.as_str())
                    .collect()
            })
            .collect();
        assert_eq!(names, [vec!["d", "c"], vec!["b"], vec!["a"]]);
        assert_eq!(buckets.place("c"), Some((0, 1)));
        assert_eq!(buckets.all[0].parts[1], ("c".to_owned(), 7, 5));
        assert_eq!(
            buckets.all.iter().map(|bucket| bucket.len).sum::<usize>(),
            BUCKET + 22
        );
    }
}
