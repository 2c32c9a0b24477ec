//! Curves as long as nothing about them changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document::training::{CurveOptions, Quantity, Run};

/// (x, y) in order.
pub type Points = Arc<Vec<[f64; 2]>>;

struct Made {
    revision: u64,
    options: CurveOptions,
    points: Points,
}

/// Curves by run, quantity and number of points.
#[derive(Default)]
pub struct Curves {
    made: HashMap<(PathBuf, Quantity, usize), Made>,
}

impl Curves {
    /// A curve of a run.
    pub fn get(&mut self, run: &Run, quantity: Quantity, options: CurveOptions) -> Points {
        let key = (run.folder.clone(), quantity, options.most);
        let known = self.made.get(&key);
        let known = known.filter(|it| it.revision == run.revision && it.options == options);
        if let Some(known) = known {
            return Arc::clone(&known.points);
        }
        let points = Arc::new(run.series.curve(quantity, &options));
        let made = Made {
            revision: run.revision,
            options,
            points: Arc::clone(&points),
        };
        self.made.insert(key, made);
        points
    }

    /// Forgets the curves of other runs.
    pub fn keep(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.made.retain(|(folder, _, _), _| is_there(folder));
    }
}
