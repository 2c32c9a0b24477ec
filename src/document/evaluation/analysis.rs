//! What is learnt from an evaluation beside its numbers, on a thread: errors, suspects, calibration, headroom, and the
//! differences of two prediction files. It follows each evaluation by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Evaluation;
use crate::document::Wake;
use crate::document::filter::EvaluationFields;
use crate::eval::knows::bootstrap::{RankedSet, counted_truths, resampled_aps};
use crate::eval::knows::resample::{Interval, RESAMPLES, Weights};
use crate::eval::{
    self, DetectionStatus, Diagnosis, DiagnosisRules, Difference, DifferenceRules, DifferenceSide,
    Kind, SuspectKind, TruthStatus, knows,
};
use crate::query::{Status, Suspicion};
use crate::structures::is_same;

/// A slider asks for many evaluations in a row: analysis begins when none came for so long.
const QUIET: Duration = Duration::from_millis(150);

/// Everything that is learnt from one evaluation. Parts that are not here yet are on their way.
#[derive(Clone)]
pub struct Analysis {
    /// What was analysed.
    pub evaluation: Arc<Evaluation>,
    /// Errors, images, suspects.
    pub diagnosis: Arc<Diagnosis>,
    /// What filter and order of the gallery ask for.
    pub fields: Arc<EvaluationFields>,
    /// Whether the model knows which masks are good.
    pub knowledge: Option<Arc<knows::Analysis>>,
    /// The differences to the second prediction file.
    pub comparison: Option<Arc<Comparison>>,
}

/// Two prediction files on one set.
#[derive(Debug)]
pub struct Comparison {
    /// The other side.
    pub second: Arc<Evaluation>,
    /// Won, lost, changed.
    pub difference: Difference,
    /// AP of masks of both, by area and class.
    pub segm: eval::ApDeltas,
    /// AP of boxes of both, by area and class.
    pub bbox: eval::ApDeltas,
    /// 95 % interval over images of the AP of B less that of A: masks, all classes.
    pub segm_interval: Option<Interval>,
    /// The same of boxes.
    pub bbox_interval: Option<Interval>,
    /// 95 % intervals of masks by class.
    pub class_intervals: Vec<Option<Interval>>,
}

struct Request {
    number: u64,
    evaluation: Arc<Evaluation>,
    second: Option<Arc<Evaluation>>,
}

/// Share done in thousandths, and the number of the latest request.
#[derive(Default)]
struct Shared {
    number: AtomicU64,
    share: AtomicU32,
}

/// Analyses on a thread of its own, the latest evaluation only.
pub(in crate::document) struct Analyst {
    requests: Sender<Request>,
    answers: Receiver<(u64, Analysis, bool)>,
    shared: Arc<Shared>,
    latest: Option<Analysis>,
    finished: u64,
    asked: Option<(Arc<Evaluation>, Option<Arc<Evaluation>>)>,
}

impl Analyst {
    /// A thread that ends with the analyst.
    pub fn new(wake: Wake) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (requests, work) = channel();
        let (sender, answers) = channel();
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("analysis".into())
            .spawn(move || run(&work, &sender, &of_thread, &wake))?;
        Ok(Self {
            requests,
            answers,
            shared,
            latest: None,
            finished: 0,
            asked: None,
        })
    }

    /// Asks for the analysis of an evaluation, and of its differences to a second one, unless it was the last asked.
    pub fn ask(&mut self, evaluation: &Arc<Evaluation>, second: Option<&Arc<Evaluation>>) {
        let is_asked = self.asked.as_ref().is_some_and(|(a, b)| {
            let same_second = is_same(b.as_ref(), second);
            Arc::ptr_eq(a, evaluation) && same_second
        });
        if is_asked {
            return;
        }
        self.asked = Some((Arc::clone(evaluation), second.cloned()));
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        // A thread that is gone leaves the answer pending; the log has its reason.
        let _ = self.requests.send(Request {
            number,
            evaluation: Arc::clone(evaluation),
            second: second.cloned(),
        });
    }

    /// Takes in what the thread found; whether there was anything.
    pub fn poll(&mut self) -> bool {
        let mut found = false;
        for (number, analysis, is_whole) in self.answers.try_iter() {
            found = true;
            if is_whole {
                self.finished = number;
            }
            self.latest = Some(analysis);
        }
        found
    }

    pub fn latest(&self) -> Option<&Analysis> {
        self.latest.as_ref()
    }

    /// Share that is done, 0..1; `None` where nothing is under way.
    pub fn progress(&self) -> Option<f32> {
        const THOUSAND: f32 = 1000.0;
        let is_idle = self.finished == self.shared.number.load(Ordering::Relaxed);
        (!is_idle).then(|| self.shared.share.load(Ordering::Relaxed) as f32 / THOUSAND)
    }
}

impl Drop for Analyst {
    fn drop(&mut self) {
        // What runs notices the number and stops.
        self.shared.number.fetch_add(1, Ordering::Relaxed);
    }
}

type Answers = Sender<(u64, Analysis, bool)>;

fn run(work: &Receiver<Request>, answers: &Answers, shared: &Shared, wake: &Wake) {
    while let Ok(mut request) = work.recv() {
        loop {
            match work.recv_timeout(QUIET) {
                Ok(later) => request = later,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let mut send = |analysis: &Analysis, is_whole: bool| {
            let sent = answers.send((request.number, analysis.clone(), is_whole));
            wake();
            sent.is_ok()
        };
        // Another request came meanwhile, or the window is gone: the next `recv` tells.
        let _ = analyse(&request, shared, wake, &mut send);
    }
}

fn analyse(
    request: &Request,
    shared: &Shared,
    wake: &Wake,
    send: &mut dyn FnMut(&Analysis, bool) -> bool,
) -> Option<()> {
    /// Shares of the time.
    const DIAGNOSED: f32 = 0.4;
    const KNOWN: f32 = 0.85;
    let is_current = || shared.number.load(Ordering::Relaxed) == request.number;
    let share = |share: f32| {
        shared
            .share
            .store((share * 1000.0) as u32, Ordering::Relaxed);
        wake();
        is_current()
    };
    share(0.0).then_some(())?;
    let of = &*request.evaluation;
    let setup = of.base.setup(Kind::Segm);
    let stages = eval::DiagnosisStage::ALL.len() as f32;
    let diagnosis = eval::diagnose(
        &setup,
        &of.segm.order,
        &of.selection,
        &of.segm.matches,
        &of.base.measured,
        &DiagnosisRules::default(),
        &|stage| share(DIAGNOSED * stage as usize as f32 / stages),
    )?;
    let mut analysis = Analysis {
        evaluation: Arc::clone(&request.evaluation),
        fields: Arc::new(fields(of, &diagnosis)),
        diagnosis: Arc::new(diagnosis),
        knowledge: None,
        comparison: None,
    };
    send(&analysis, false).then_some(())?;
    let subject = knows::Subject {
        masks: setup,
        boxes: Some(of.base.setup(Kind::Bbox)),
        selection: &of.selection,
    };
    let knowledge = knows::analyse(&subject, knows::Options::default(), &|done| {
        share(DIAGNOSED + (KNOWN - DIAGNOSED) * done)
    })?;
    analysis.knowledge = Some(Arc::new(knowledge));
    if let Some(second) = &request.second {
        send(&analysis, false).then_some(())?;
        analysis.comparison = compare(of, second, &is_current).map(Arc::new);
        is_current().then_some(())?;
    }
    share(1.0);
    send(&analysis, true).then_some(())
}

/// `None` where another request came, or where the two are not of one set.
fn compare(
    a: &Evaluation,
    b: &Arc<Evaluation>,
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Option<Comparison> {
    let setups = [a.base.setup(Kind::Segm), b.base.setup(Kind::Segm)];
    let [of_a, of_b] = [(a, &setups[0]), (b, &setups[1])].map(|(side, setup)| DifferenceSide {
        setup,
        order: &side.segm.order,
        selection: &side.selection,
        found: &side.segm.matches,
    });
    let difference = eval::difference(of_a, of_b, &DifferenceRules::default())
        .inspect_err(|error| log::warn!("the two prediction files cannot be compared: {error}"))
        .ok()?;
    let segm = resampled(a, b, Kind::Segm, keep_going)?;
    let bbox = resampled(a, b, Kind::Bbox, keep_going)?;
    let of_classes = segm[1].of_class.iter().zip(&segm[0].of_class);
    Some(Comparison {
        difference,
        segm: eval::ap_deltas(&a.segm.curves, &b.segm.curves),
        bbox: eval::ap_deltas(&a.bbox.curves, &b.bbox.curves),
        segm_interval: Interval::of_difference(&segm[1].all, &segm[0].all),
        bbox_interval: Interval::of_difference(&bbox[1].all, &bbox[0].all),
        class_intervals: of_classes
            .map(|(b, a)| Interval::of_difference(b, a))
            .collect(),
        second: Arc::clone(b),
    })
}

/// AP of both sides in the same resamples of images.
fn resampled(
    a: &Evaluation,
    b: &Evaluation,
    kind: Kind,
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<knows::bootstrap::ApSamples>> {
    let counted = counted_truths(&a.base.input, &a.selection);
    let sets = [a, b].map(|side| {
        let result = side.of(kind);
        RankedSet::new(&side.base.cells, &result.order, &result.matches, &counted)
    });
    let images: Vec<bool> = (0..a.base.input.images.len())
        .map(|image| {
            let chosen = a.selection.images.as_ref();
            chosen.is_none_or(|list| list.get(image).copied().unwrap_or(false))
        })
        .collect();
    let weights = Weights::draw(&images, RESAMPLES, knows::Options::default().seed);
    resampled_aps(&[&sets[0], &sets[1]], &weights, keep_going)
}

/// By image of the set.
fn fields(of: &Evaluation, diagnosis: &Diagnosis) -> EvaluationFields {
    let base = &of.base;
    let per_image = &diagnosis.per_image;
    let count = base.image_of.len();
    let mut fields = EvaluationFields {
        tp: vec![None; count],
        fp: vec![None; count],
        misses: vec![None; count],
        ap: vec![None; count],
        statuses: vec![Vec::new(); count],
        measured_iou: vec![Vec::new(); count],
        annotation_statuses: vec![Vec::new(); count],
        suspicions: vec![Vec::new(); count],
        annotation_suspicions: vec![Vec::new(); count],
    };
    for (image, numbers) in base.input.images.iter().zip(&per_image.images) {
        let at = image.position;
        fields.tp[at] = Some(numbers.true_positives);
        fields.fp[at] = Some(numbers.false_positives);
        fields.misses[at] = Some(numbers.false_negatives);
        fields.ap[at] = numbers.ap;
        // Predictions that take no part leave their places empty.
        let predictions = of
            .base
            .input
            .predictions(base.image_of[at].unwrap_or(0) as usize)
            .len();
        let (mut statuses, mut measured) = (vec![None; predictions], vec![None; predictions]);
        for detection in image.detections.clone() {
            let index = base.input.detections[detection].index as usize;
            measured[index] = base.measured[detection];
            statuses[index] = match per_image.detections[detection] {
                DetectionStatus::TruePositive => Some(Status::TruePositive),
                DetectionStatus::FalsePositive => Some(Status::FalsePositive),
                DetectionStatus::Ignored => Some(Status::Ignored),
                DetectionStatus::NotCounted => None,
            };
        }
        fields.statuses[at] = statuses;
        fields.measured_iou[at] = measured;
        fields.annotation_statuses[at] = image
            .truths
            .clone()
            .map(|truth| match per_image.truths[truth] {
                TruthStatus::Missed => Some(Status::FalseNegative),
                TruthStatus::Ignored if base.input.truths[truth].is_crowd => Some(Status::Crowd),
                TruthStatus::Ignored => Some(Status::Ignored),
                TruthStatus::Found | TruthStatus::Deselected => None,
            })
            .collect();
        fields.suspicions[at] = vec![None; predictions];
        fields.annotation_suspicions[at] = vec![None; image.truths.len()];
    }
    suspicions(of, diagnosis, &mut fields);
    fields
}

/// Where an instance has several, the most severe.
fn suspicions(of: &Evaluation, diagnosis: &Diagnosis, fields: &mut EvaluationFields) {
    let input = &of.base.input;
    for suspect in &diagnosis.suspects.list {
        let Some(image) = input.images.get(suspect.image as usize) else {
            continue;
        };
        let place = match (suspect.detection, suspect.truth) {
            (Some(detection), _) => {
                let candidate = input.detections.get(detection as usize);
                candidate
                    .and_then(|it| fields.suspicions[image.position].get_mut(it.index as usize))
            }
            (None, Some(truth)) => {
                let at = (truth as usize).checked_sub(image.truths.start);
                at.and_then(|at| fields.annotation_suspicions[image.position].get_mut(at))
            }
            (None, None) => None,
        };
        if let Some(place) = place {
            place.get_or_insert(match suspect.kind {
                SuspectKind::Label => Suspicion::Label,
                SuspectKind::Head => Suspicion::Head,
                SuspectKind::MissingLabel => Suspicion::MissingLabel,
                SuspectKind::MissedObject => Suspicion::MissedObject,
                SuspectKind::SwappedClass => Suspicion::SwappedClass,
            });
        }
    }
}
