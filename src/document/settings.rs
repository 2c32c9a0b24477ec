//! What comes back at the next start, kept as JSON in the user's configuration folder.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::filter::ImageQuery;
use super::ranking::RankBy;

/// Entries of a recent list.
pub const MAX_RECENT: usize = 12;
/// Sets whose checkpoint is remembered.
const MAX_SETS: usize = 200;

/// A filter of the gallery under a name, with what else decides about what shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedView {
    /// As the menu names it.
    pub name: String,
    /// Filter and order.
    pub query: ImageQuery,
    /// Predictions below it are hidden.
    pub threshold: f64,
    /// The score that the threshold is held against.
    pub rank_by: RankBy,
}

/// Everything remembered between starts. `view` belongs to the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Opened folders, sets and prediction files, newest first.
    pub recent: Vec<PathBuf>,
    /// Loaded checkpoints, newest first.
    pub recent_checkpoints: Vec<PathBuf>,
    /// The checkpoint last used with a folder or set.
    pub checkpoint_of: BTreeMap<String, PathBuf>,
    /// Saved views of each folder or set, in the order they were saved.
    pub views_of: BTreeMap<String, Vec<SavedView>>,
    /// Folders whose training runs are shown, the last used one first.
    pub run_folders: Vec<PathBuf>,
    /// Theme, panels, filters, display options: written and read by the window.
    pub view: serde_json::Value,
}

impl Settings {
    /// Where they are kept; `None` where the system names no such folder.
    pub fn default_path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "maskscope")?;
        Some(dirs.config_dir().join("settings.json"))
    }

    /// Reads them. A file that cannot be read gives the defaults and a sentence about it; it is kept beside as
    /// `settings.json.unreadable`.
    pub fn load(path: &Path) -> (Self, Option<String>) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Default::default();
            }
            Err(error) => {
                return (
                    Self::default(),
                    Some(format!("cannot read {}: {error}", path.display())),
                );
            }
        };
        match serde_json::from_str(&text) {
            Ok(settings) => (settings, None),
            Err(error) => {
                let kept = path.with_extension("json.unreadable");
                let kept = std::fs::rename(path, &kept).map_or(String::new(), |()| {
                    format!("; the old ones are in {}", kept.display())
                });
                let said = format!(
                    "settings start afresh: {} is damaged ({error}){kept}",
                    path.display()
                );
                (Self::default(), Some(said))
            }
        }
    }

    /// Writes them through a temporary file, so that a whole file is never replaced by half of one.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.flush()?;
        file.persist(path)?;
        Ok(())
    }

    /// A path was opened: it heads the recent list.
    pub fn opened(&mut self, path: &Path) {
        head(&mut self.recent, path);
    }

    /// A checkpoint was loaded: it heads its list and is remembered for what is open.
    pub fn used_checkpoint(&mut self, checkpoint: &Path, set: Option<&Path>) {
        head(&mut self.recent_checkpoints, checkpoint);
        if let Some(set) = set {
            if self.checkpoint_of.len() >= MAX_SETS {
                self.checkpoint_of.pop_first();
            }
            self.checkpoint_of
                .insert(set.display().to_string(), checkpoint.to_owned());
        }
    }

    /// The saved views of what is at `path`.
    pub fn views(&self, path: &Path) -> &[SavedView] {
        let views = self.views_of.get(&path.display().to_string());
        views.map_or(&[], Vec::as_slice)
    }

    /// Keeps a view of what is at `path`, in place of one of the same name.
    pub fn keep_view(&mut self, path: &Path, view: SavedView) {
        let views = self.views_of.entry(path.display().to_string()).or_default();
        match views.iter_mut().find(|known| known.name == view.name) {
            Some(known) => *known = view,
            None => views.push(view),
        }
    }

    /// Gives a view of what is at `path` another name; another view of that name is replaced.
    pub fn rename_view(&mut self, path: &Path, from: &str, to: &str) {
        let Some(views) = self.views_of.get_mut(&path.display().to_string()) else {
            return;
        };
        if from != to && views.iter().any(|view| view.name == from) {
            views.retain(|view| view.name != to);
        }
        for view in views.iter_mut().filter(|view| view.name == from) {
            to.clone_into(&mut view.name);
        }
    }

    /// Removes a view of what is at `path`.
    pub fn delete_view(&mut self, path: &Path, name: &str) {
        let key = path.display().to_string();
        if let Some(views) = self.views_of.get_mut(&key) {
            views.retain(|view| view.name != name);
            if views.is_empty() {
                self.views_of.remove(&key);
            }
        }
    }

    /// The checkpoint last used with what is at `path`, if it is still there.
    pub fn checkpoint_for(&self, path: &Path) -> Option<PathBuf> {
        self.checkpoint_of
            .get(&path.display().to_string())
            .filter(|file| file.is_file())
            .cloned()
    }
}

fn head(list: &mut Vec<PathBuf>, path: &Path) {
    list.retain(|known| known != path);
    list.insert(0, path.to_owned());
    list.truncate(MAX_RECENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_order() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/settings.json");
        let mut settings = Settings::default();
        for n in 0..20 {
            settings.opened(Path::new(&format!("set{n}")));
        }
        settings.opened(Path::new("set12"));
        settings.used_checkpoint(Path::new("a.pth"), Some(Path::new("set1")));
        assert_eq!(settings.recent.len(), MAX_RECENT);
        assert_eq!(settings.recent[0], Path::new("set12"));
        settings.save(&path).unwrap();
        assert_eq!(Settings::load(&path), (settings, None));
    }

    #[test]
    fn views_are_kept_by_set_and_name() {
        let view = |name: &str, text: &str| SavedView {
            name: name.into(),
            query: ImageQuery {
                text: text.into(),
                ..ImageQuery::default()
            },
            threshold: 0.5,
            rank_by: RankBy::Score,
        };
        let (one, two) = (Path::new("one"), Path::new("two"));
        let mut settings = Settings::default();
        settings.keep_view(one, view("cats", "class = cat"));
        settings.keep_view(one, view("small", "size = small"));
        settings.keep_view(two, view("cats", "class = dog"));
        settings.keep_view(one, view("cats", "class ~ cat"));
        assert_eq!(settings.views(one)[0], view("cats", "class ~ cat"));
        settings.rename_view(one, "cats", "small");
        assert_eq!(settings.views(one), [view("small", "class ~ cat")]);
        settings.rename_view(one, "none", "small");
        settings.rename_view(one, "small", "small");
        assert_eq!(settings.views(one), [view("small", "class ~ cat")]);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        settings.delete_view(one, "small");
        settings.delete_view(one, "small");
        assert!(settings.views(one).is_empty());
        assert_eq!(settings.views(two), [view("cats", "class = dog")]);
    }

    #[test]
    fn a_damaged_file_gives_defaults_and_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings.json");
        std::fs::write(&path, "{\"recent\": [").unwrap();
        let (settings, said) = Settings::load(&path);
        assert_eq!(settings, Settings::default());
        assert!(said.unwrap().contains("damaged"));
        assert!(home.path().join("settings.json.unreadable").exists());
        assert_eq!(Settings::load(&path), (Settings::default(), None));
    }
}
