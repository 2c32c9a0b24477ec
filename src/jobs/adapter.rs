//! Whether RoIAlign runs on the graphics adapter while the network runs on the processor: measured once, remembered.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::roi_work::RoiWork;
use crate::coco::write_json;
use crate::ops::compute::{self, Compute, ComputeError};
use crate::ops::roi_align::roi_align_on;

/// The adapter must be that much faster: it also has to carry the numbers on a busier day.
const MARGIN: f64 = 1.25;
/// Runs of which the fastest counts.
const RUNS: usize = 3;
/// Seconds of the same RoIAlign.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// On the processor.
    pub processor: f64,
    /// On the adapter, transfers included.
    pub adapter: f64,
}

/// What is used, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Version of the program that chose.
    version: String,
    /// The adapter with its driver; none where there is none.
    pub adapter: Option<String>,
    /// Threads of the processor.
    threads: usize,
    /// None where nothing was measured.
    pub timings: Option<Timings>,
    /// Whether the adapter is used.
    pub use_adapter: bool,
    /// In words.
    pub why: String,
    /// Whether it would come out the same tomorrow: an adapter that failed today is tried again.
    #[serde(default)]
    is_known: bool,
}

/// What is known of an adapter before it is timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Name, driver and version.
    pub identity: String,
    /// Whether the processor pretends to be one.
    pub is_software: bool,
}

impl Choice {
    fn new(
        adapter: Option<String>,
        timings: Option<Timings>,
        use_adapter: bool,
        why: String,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            adapter,
            threads: rayon::current_num_threads(),
            timings,
            use_adapter,
            why,
            is_known: timings.is_some(),
        }
    }

    /// The faster of both; a software adapter is not timed and never taken.
    pub fn of(
        adapter: Result<Adapter, String>,
        time: impl FnOnce() -> Result<Timings, String>,
    ) -> Self {
        let adapter = match adapter {
            Ok(adapter) => adapter,
            Err(why) => return Self::new(None, None, false, why),
        };
        let identity = Some(adapter.identity);
        if adapter.is_software {
            let why = "the processor itself draws for it".into();
            return Self {
                is_known: true,
                ..Self::new(identity, None, false, why)
            };
        }
        match time() {
            Ok(timings) => {
                let is_faster = timings.adapter * MARGIN < timings.processor;
                let why = format!(
                    "{:.1} ms on the adapter, {:.1} ms on the processor",
                    timings.adapter * 1e3,
                    timings.processor * 1e3
                );
                Self::new(identity, Some(timings), is_faster, why)
            }
            Err(why) => Self::new(identity, None, false, why),
        }
    }

    /// Whether this choice still holds on this machine, as far as can be told without opening an adapter.
    fn holds(&self) -> bool {
        let is_ours = self.version == env!("CARGO_PKG_VERSION");
        self.is_known && is_ours && self.threads == rayon::current_num_threads()
    }
}

/// Chooses once a process, from what an earlier one measured if there is such.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let file = place();
        let remembered = file.as_deref().and_then(read).filter(Choice::holds);
        if remembered
            .as_ref()
            .is_some_and(|choice| !choice.use_adapter)
        {
            return;
        }
        let opened = Compute::open().map(Arc::new);
        let known = opened.as_ref().ok().map(|compute| compute.identity());
        let choice = match remembered.filter(|choice| choice.adapter == known) {
            Some(choice) => choice,
            None => measured(&opened, file.as_deref()),
        };
        if let (true, Ok(compute)) = (choice.use_adapter, opened) {
            log::info!("RoIAlign on {}: {}", compute.name(), choice.why);
            compute::set_in_use(Some(compute));
        }
    });
}

/// Measures anew and remembers.
pub fn measure() -> Choice {
    measured(&Compute::open().map(Arc::new), place().as_deref())
}

fn measured(opened: &Result<Arc<Compute>, ComputeError>, file: Option<&Path>) -> Choice {
    let adapter = match opened {
        Ok(compute) => Ok(Adapter {
            identity: compute.identity(),
            is_software: compute.is_software(),
        }),
        Err(error) => Err(error.to_string()),
    };
    let choice = Choice::of(adapter, || match opened {
        Ok(compute) => time(compute).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    });
    if let Some(file) = file.filter(|_| choice.is_known) {
        remember(&choice, file);
    }
    choice
}

fn remember(choice: &Choice, file: &Path) {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    // What cannot be remembered is measured again next time.
    let _ = folder.map(|()| write_json(file, choice));
}

fn place() -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "maskscope")?;
    Some(project.cache_dir().join("roi_align.json"))
}

fn read(file: &Path) -> Option<Choice> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// The same work on both.
fn time(compute: &Arc<Compute>) -> Result<Timings, Box<dyn std::error::Error>> {
    let RoiWork { map, rois, align } = RoiWork::new(&Device::Cpu)?;
    let fastest = |work: &dyn Fn() -> candle_core::Result<Tensor>| -> candle_core::Result<f64> {
        let mut fastest = f64::INFINITY;
        work()?;
        for _ in 0..RUNS {
            let began = Instant::now();
            work()?;
            fastest = fastest.min(began.elapsed().as_secs_f64());
        }
        Ok(fastest)
    };
    let processor = fastest(&|| map.apply_op2(&rois, align))?;
    let adapter = fastest(&|| roi_align_on(compute, &map, &rois, align))?;
    // One that failed in the middle was timed on the processor.
    compute.check()?;
    Ok(Timings { processor, adapter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(is_software: bool) -> Result<Adapter, String> {
        Ok(Adapter {
            identity: "card, driver 1".into(),
            is_software,
        })
    }

    fn timed(processor: f64, adapter: f64) -> impl FnOnce() -> Result<Timings, String> {
        move || Ok(Timings { processor, adapter })
    }

    #[test]
    fn the_adapter_is_taken_where_it_is_clearly_faster() {
        assert!(Choice::of(adapter(false), timed(0.1, 0.02)).use_adapter);
        assert!(!Choice::of(adapter(false), timed(0.1, 0.09)).use_adapter);
        assert!(!Choice::of(adapter(false), timed(0.1, 0.5)).use_adapter);
        let failed = Choice::of(adapter(false), || Err("lost".into()));
        assert!(!failed.use_adapter && failed.why == "lost");
    }

    #[test]
    fn a_software_adapter_is_never_taken_nor_timed() {
        let choice = Choice::of(adapter(true), || panic!("it was timed"));
        assert!(!choice.use_adapter && choice.timings.is_none());
        let none = Choice::of(Err("no driver".into()), || panic!("nothing to time"));
        assert!(!none.use_adapter && none.adapter.is_none() && none.why == "no driver");
    }

    #[test]
    fn a_choice_is_remembered_for_this_program_and_processor() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cache/roi_align.json");
        let refused = Err(ComputeError {
            adapter: "none".into(),
            reason: "no driver".into(),
        });
        // An adapter that cannot be opened today may be there tomorrow.
        assert!(!measured(&refused, Some(&file)).holds() && !file.exists());
        assert!(!Choice::of(adapter(false), || Err("lost".into())).holds());
        assert!(Choice::of(adapter(true), || panic!("it was timed")).holds());
        let choice = Choice::of(adapter(false), timed(0.1, 0.02));
        remember(&choice, &file);
        assert_eq!(read(&file), Some(choice.clone()));
        assert!(choice.holds());
        let of_other = Choice {
            threads: choice.threads + 1,
            ..choice
        };
        assert!(!of_other.holds());
        std::fs::write(&file, "{").unwrap();
        assert_eq!(read(&file), None);
    }
}
