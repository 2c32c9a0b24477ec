//! Carrying commands out. Panels and keys only push them; this is the one place that changes the document.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::ThemePreference;

use super::command::{Command, Group};
use super::dialogs::Ask;
use super::loader::Loader;
use super::navigate;
use super::panels::review::tools::Tool;
use super::persist::SCALES;
use super::picked::{Picked, PickedKind};
use super::review_dispatch;
use super::saved_views;
use super::shell::{Overlay, Shell};
use super::shown::Shown;
use super::train_command;
use super::view::{Layers, ViewState, Workspace};
use crate::document::evaluation::Side;
use crate::document::settings::Settings;
use crate::document::{Document, Notice, NoticeKind, PathKind};

/// A press of + or - zooms by a quarter.
const ZOOM_STEP: f32 = 1.25;
/// A press of [ or ] changes the opacity so much.
const OPACITY_STEP: f32 = 0.05;
/// A press of ; or ' changes the threshold so much.
const THRESHOLD_STEP: f64 = 0.05;
/// A step of the interface's size.
const SCALE_STEP: f32 = 0.1;

/// Everything that a command may change.
pub struct Target<'a> {
    /// What is open.
    pub document: &'a mut Document,
    /// What is shown of it.
    pub view: &'a mut ViewState,
    /// Images and thumbnails.
    pub loader: &'a mut Loader,
    /// The frame around the panels.
    pub shell: &'a mut Shell,
    /// The window.
    pub ctx: &'a egui::Context,
}

/// Carries out a command that is enabled now; another one is left undone.
pub fn dispatch(command: &Command, target: &mut Target<'_>) {
    if !command.enabled(target.document, target.view) {
        return;
    }
    // What is being typed belongs to what is open and selected now; the command may change both.
    review_dispatch::keep_typed(command, target.document, target.view);
    match command.group() {
        Group::File => file(command, target),
        Group::Model => model(command, target),
        Group::Train => {
            if let Command::Train(command) = command {
                train_command::carry_out(command, target);
            }
        }
        Group::Review => {
            if let Command::Review(command) = command {
                review_dispatch::carry_out(command, target);
            }
        }
        Group::Go => go(command, target),
        Group::View => view(command, target),
        Group::Window => window(command, target),
    }
}

fn file(command: &Command, target: &mut Target<'_>) {
    match command {
        Command::OpenDemo => target.document.open_demo(),
        Command::OpenPath(path) => open_path(target.document, path),
        Command::CloseComparison => target.document.close_second(),
        Command::CheckSet => {
            target.document.check_set();
            target.shell.overlay = Some(Overlay::Health);
        }
        Command::CloseSet => target.document.close(),
        Command::RevealImage => reveal(target),
        Command::CopyMask => copy_mask(target),
        Command::ClearCache => {
            target.loader.clear_cache();
            let text = "The thumbnails kept on disk are being removed";
            target.shell.toasts.say(NoticeKind::Info, text, "");
        }
        Command::ForgetRecent => {
            let settings = target.document.settings_mut();
            *settings = Settings {
                view: std::mem::take(&mut settings.view),
                views_of: std::mem::take(&mut settings.views_of),
                run_folders: std::mem::take(&mut settings.run_folders),
                ..Settings::default()
            };
            target.shell.memory.last_source = None;
        }
        _ => ask(command, target),
    }
}

/// Opens a path; predictions are attached to the set with annotations that is open.
pub fn open_path(document: &mut Document, path: &Path) {
    let is_predictions = || PathKind::of(path) == PathKind::Predictions;
    let has_set = document.has_truth() || document.awaits_annotations();
    if has_set && is_predictions() {
        document.attach_predictions(path, Side::A);
    } else {
        document.open(path);
    }
}

fn model(command: &Command, target: &mut Target<'_>) {
    match command {
        Command::RunModel => target.document.run(false),
        Command::RunAgain => target.document.run(true),
        Command::TogglePause => {
            let is_paused = target.document.progress().is_some_and(|p| p.is_paused);
            target.document.set_paused(!is_paused);
        }
        Command::CancelJob => target.document.cancel(),
        Command::MeasureBoundary => target.document.measure_boundary(),
        _ => ask(command, target),
    }
}

/// Asks for a path where the command needs one.
fn ask(command: &Command, target: &mut Target<'_>) {
    if let Some(ask) = Ask::of(command) {
        target.shell.overlay = None;
        target.shell.dialogs.ask(target.ctx, ask, target.document);
    }
}

fn go(command: &Command, target: &mut Target<'_>) {
    let (gallery, here) = (&target.view.gallery, target.view.image);
    let image = match command {
        Command::NextImage => navigate::image_at(gallery, here, 1),
        Command::PreviousImage => navigate::image_at(gallery, here, -1),
        Command::FirstImage => gallery.first().copied(),
        Command::LastImage => gallery.last().copied(),
        Command::SelectImage(index) => Some(*index),
        _ => None,
    };
    if let Some(image) = image {
        select_image(target, image);
        return;
    }
    match command {
        Command::NextInstance => step_instance(target, 1),
        Command::PreviousInstance => step_instance(target, -1),
        Command::SelectInstance(instance) => {
            target.view.instance = *instance;
            target.view.annotation = None;
        }
        Command::ShowAnnotation(image, index) => show_annotation(*image, *index, target),
        Command::FocusFilter => target.view.focus_filter = true,
        Command::SetWorkspace(workspace) => target.view.workspace = *workspace,
        Command::Pick(picked) => pick(picked, target),
        Command::ClearPick => target.view.picked = None,
        _ => saved_views::carry_out(command, target),
    }
}

/// Shows what a chart picked: its images in the gallery, the first of them on the canvas unless one is there.
fn pick(picked: &Arc<Picked>, target: &mut Target<'_>) {
    target.view.picked = Some(Arc::clone(picked));
    let is_shown = target
        .view
        .image
        .is_some_and(|image| picked.has_image(image));
    let first = picked.instances().first().filter(|_| !is_shown);
    if let Some(first) = first.copied() {
        match first.what {
            PickedKind::Prediction(index) => {
                select_image(target, first.image);
                target.view.instance = Some(index);
            }
            PickedKind::Annotation(index) => show_annotation(first.image, index, target),
            PickedKind::Image => select_image(target, first.image),
        }
    }
}

/// Shows an annotation, with the layer that it is on.
fn show_annotation(image: usize, index: usize, target: &mut Target<'_>) {
    select_image(target, image);
    let view = &mut *target.view;
    (view.instance, view.annotation) = (None, Some((image, index)));
    if view.layers == Layers::Predictions {
        view.layers = Layers::Both;
    }
}

/// Shows an image; the model takes it first.
pub fn select_image(target: &mut Target<'_>, index: usize) {
    let view = &mut *target.view;
    if view.image != Some(index) {
        view.image = Some(index);
        view.instance = None;
        view.annotation = None;
        view.hovered = None;
        view.pointer = None;
    }
    view.scroll_to_selected = true;
    target.document.focus(index);
}

/// The next instance in the order of the list, from the last to the first.
pub fn step_instance(target: &mut Target<'_>, step: isize) {
    if let Some(shown) = Shown::of(target.ctx, target.document, target.view) {
        target.view.instance = navigate::instance_at(&shown.order, target.view.instance, step);
        target.view.annotation = None;
    }
}

fn view(command: &Command, target: &mut Target<'_>) {
    let view = &mut *target.view;
    let style = &mut view.style;
    match command {
        Command::ZoomFit => view.canvas.fit(),
        Command::ZoomOneToOne => view.canvas.one_to_one(),
        Command::ZoomIn => view.canvas.zoom_by(ZOOM_STEP),
        Command::ZoomOut => view.canvas.zoom_by(1.0 / ZOOM_STEP),
        Command::ToggleMasks => style.masks = !style.masks,
        Command::ToggleOutlines => style.outlines = !style.outlines,
        Command::ToggleBoxes => style.boxes = !style.boxes,
        Command::ToggleLabels => style.labels = !style.labels,
        Command::ToggleIsolate => style.isolate = !style.isolate,
        Command::StepOpacity(step) => {
            style.opacity = (style.opacity + f32::from(*step) * OPACITY_STEP).clamp(0.0, 1.0);
        }
        Command::SetOpacity(opacity) => style.opacity = opacity.clamp(0.0, 1.0),
        Command::SetColourBy(by) => style.colour_by = *by,
        Command::CycleGroundTruth => {
            view.layers = match view.layers {
                Layers::Predictions => Layers::GroundTruth,
                Layers::GroundTruth => Layers::Both,
                Layers::Both => Layers::Predictions,
            };
        }
        Command::StepThreshold(step) => {
            let steps = (view.threshold / THRESHOLD_STEP).round() + f64::from(*step);
            view.threshold = (steps * THRESHOLD_STEP).clamp(0.0, 1.0);
        }
        Command::SetThreshold(threshold) => view.threshold = threshold.clamp(0.0, 1.0),
        Command::ToggleWipe => view.wipe = view.wipe.map_or(Some(0.5), |_| None),
        Command::SetRankBy(by) => view.rank_by = *by,
        Command::ToggleEvaluateAboveThreshold => {
            view.evaluate_above_threshold = !view.evaluate_above_threshold;
        }
        Command::ToggleEvaluateFiltered => view.evaluate_filtered = !view.evaluate_filtered,
        _ => {}
    }
}

fn window(command: &Command, target: &mut Target<'_>) {
    let shell = &mut *target.shell;
    match command {
        Command::TogglePalette => shell.toggle(Overlay::Palette),
        Command::ToggleKeys => shell.toggle(Overlay::Keys),
        Command::ToggleSettings => shell.toggle(Overlay::Settings),
        Command::ToggleLog => shell.memory.log_open = !shell.memory.log_open,
        Command::CopyLog => {
            shell.log.read();
            target.ctx.copy_text(shell.log.text());
        }
        Command::Escape => escape(target),
        Command::CycleTheme => {
            let next = match ThemePreference::from(shell.memory.theme) {
                ThemePreference::System => ThemePreference::Dark,
                ThemePreference::Dark => ThemePreference::Light,
                ThemePreference::Light => ThemePreference::System,
            };
            set_theme(target, next);
        }
        Command::SetTheme(theme) => set_theme(target, *theme),
        Command::ScaleInterface(step) => {
            let scale = match step {
                0 => 1.0,
                step => shell.memory.scale + f32::from(*step) * SCALE_STEP,
            };
            let scale = (scale * 10.0).round() / 10.0;
            shell.memory.scale = scale.clamp(*SCALES.start(), *SCALES.end());
            target.ctx.set_zoom_factor(shell.memory.scale);
        }
        Command::Quit => target.ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        _ => {}
    }
}

fn set_theme(target: &mut Target<'_>, theme: ThemePreference) {
    target.shell.memory.theme = theme.into();
    target.ctx.set_theme(theme);
}

/// Leaves what is innermost.
fn escape(target: &mut Target<'_>) {
    let focused = target.ctx.memory(|memory| memory.focused());
    if target.shell.dialogs.is_open() {
        target.shell.dialogs.close();
    } else if target.shell.overlay.is_some() {
        target.shell.overlay = None;
    } else if target.view.completion_open {
        // The field of the filter closes its own list.
    } else if target.view.naming.take().is_some() {
    } else if let Some(focused) = focused {
        target
            .ctx
            .memory_mut(|memory| memory.surrender_focus(focused));
    } else if target.shell.had_focus {
        // egui has taken the focus away already.
    } else if target.view.workspace == Workspace::Review && target.view.review.drawing.is_active() {
        target.view.review.drawing.take(Tool::Select);
    } else if target.view.picked.take().is_some() {
    } else if target.view.style.isolate {
        target.view.style.isolate = false;
    } else {
        target.view.instance = None;
        target.view.annotation = None;
    }
}

/// The selected mask as COCO writes it, onto the clipboard.
fn copy_mask(target: &mut Target<'_>) {
    let Some(shown) = Shown::of(target.ctx, target.document, target.view) else {
        return;
    };
    let shape = match (target.view.annotation, target.view.instance) {
        (Some((image, index)), _) if image == shown.image => shown
            .annotations()
            .and_then(|truth| truth.shapes.get(index)),
        (_, Some(index)) => shown.listed().get(index),
        (_, None) => None,
    };
    if let Some(shape) = shape {
        target.ctx.copy_text(crate::document::coco_rle(&shape.mask));
        let text = "The mask is on the clipboard as COCO RLE";
        target.shell.toasts.say(NoticeKind::Info, text, "");
    }
}

/// Has the desktop show the image; on a thread, since its program may take long.
fn reveal(target: &mut Target<'_>) {
    let image = target.view.image;
    let Some(image) = image.and_then(|index| target.document.images().get(index)) else {
        return;
    };
    reveal_path(image.path.clone(), target);
}

/// The same for any file.
pub fn reveal_path(path: PathBuf, target: &mut Target<'_>) {
    let (sender, ctx) = (target.shell.toasts.sender(), target.ctx.clone());
    let work = move || {
        if let Err(details) = show_in_file_manager(&path) {
            // The window may be gone.
            let _ = sender.send(Notice {
                kind: NoticeKind::Error,
                text: format!("No file manager shows {}", path.display()),
                details,
            });
            ctx.request_repaint();
        }
    };
    let thread = std::thread::Builder::new().name("reveal".into());
    if let Err(error) = thread.spawn(work) {
        let text = "No thread to start the file manager";
        let error = error.to_string();
        target.shell.toasts.say(NoticeKind::Error, text, error);
    }
}

fn show_in_file_manager(path: &Path) -> Result<(), String> {
    let mut program = if cfg!(target_os = "macos") {
        let mut program = std::process::Command::new("open");
        program.arg("-R").arg(path);
        program
    } else if cfg!(windows) {
        let mut argument = std::ffi::OsString::from("/select,");
        argument.push(path);
        let mut program = std::process::Command::new("explorer");
        program.arg(argument);
        program
    } else {
        let mut program = std::process::Command::new("xdg-open");
        program.arg(path.parent().unwrap_or(path));
        program
    };
    match program.status() {
        Ok(status) if status.success() || cfg!(windows) => Ok(()), // explorer returns 1 always
        Ok(status) => Err(format!("{:?} ended with {status}", program.get_program())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
            "{:?} is not installed; Debian and Fedora have it in xdg-utils",
            program.get_program()
        )),
        Err(error) => Err(error.to_string()),
    }
}
