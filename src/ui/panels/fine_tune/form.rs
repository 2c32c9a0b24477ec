//! The draft: sets, beginning, numbers, place.

use std::path::Path;

use egui::Ui;

use super::fields::{self, Entry, NUMBER, row};
use crate::document::training::{
    Beginning, Configured, Field, FineTune, PRESETS, Validation, scaled_lr,
};
use crate::document::{Document, SourceKind};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::parts::drop_down;
use crate::ui::train_command::{DraftPath, TrainCommand};
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

/// Recent paths in a list.
const RECENT: usize = 6;

/// What choosing an entry means.
#[derive(Clone)]
enum Choice {
    Value(String),
    Browse(DraftPath),
}

/// Draws all fields.
pub fn form_ui(ui: &mut Ui, doc: &mut Document, view: &mut ViewState, out: &mut CommandQueue) {
    let lists = Lists::of(doc);
    let configured = doc.training().checks().configured().cloned();
    let draft = doc.draft_mut();
    let problems: Vec<Field> = draft.problems().into_iter().map(|(it, _)| it).collect();
    let is_refused = |field: Field| problems.contains(&field);
    widgets::section(ui, "Data");
    data(
        ui,
        draft,
        &lists,
        view.train.dialog_opened,
        &is_refused,
        out,
    );
    ui.add_space(theme::GRID);
    widgets::section(ui, "Beginning");
    beginning(ui, draft, &lists, out);
    ui.add_space(theme::GRID);
    widgets::section(ui, "Training");
    numbers(ui, draft, configured.as_ref(), &is_refused);
    settings(ui, draft, &mut view.train.dialog.setting);
    ui.add_space(theme::GRID);
    widgets::section(ui, "Place");
    place(ui, draft, &lists, out);
}

/// What the lists beside the fields offer.
struct Lists {
    sets: Vec<String>,
    checkpoints: Vec<String>,
    outputs: Vec<String>,
}

impl Lists {
    fn of(doc: &Document) -> Self {
        let text = |path: &std::path::PathBuf| path.display().to_string();
        let settings = doc.settings();
        let open = doc.source().filter(|source| {
            doc.has_truth() && matches!(source.kind, SourceKind::CocoSet | SourceKind::Demo)
        });
        let open = open.map(|source| source.path.display().to_string());
        let recent = settings.recent.iter().map(text);
        let mut sets: Vec<String> = open.clone().into_iter().collect();
        sets.extend(
            recent
                .filter(|path| Some(path) != open.as_ref())
                .take(RECENT),
        );
        Self {
            sets,
            checkpoints: settings.recent_checkpoints.iter().map(text).collect(),
            outputs: settings.run_folders.iter().map(text).collect(),
        }
    }
}

fn entries(values: &[String], browse: &[(&str, DraftPath)]) -> Vec<Entry<Choice>> {
    let values = values.iter().map(|value| Entry {
        label: value.clone(),
        value: Choice::Value(value.clone()),
    });
    let browse = browse.iter().map(|(label, path)| Entry {
        label: (*label).to_owned(),
        value: Choice::Browse(*path),
    });
    values.chain(browse).collect()
}

/// A path with its list; what is browsed for is asked by a command.
fn path_row(
    ui: &mut Ui,
    name: &str,
    value: &mut String,
    hint: &str,
    entries: &[Entry<Choice>],
    out: &mut CommandQueue,
) -> Option<egui::Response> {
    let mut response = None;
    row(ui, name, |ui| {
        let (field, chosen) = fields::path(ui, name, value, hint, entries);
        match chosen {
            Some(Choice::Value(chosen)) => *value = chosen,
            Some(Choice::Browse(path)) => {
                out.push(Command::Train(TrainCommand::Browse(path)));
            }
            None => {}
        }
        response = Some(field);
    });
    response
}

fn data(
    ui: &mut Ui,
    draft: &mut FineTune,
    lists: &Lists,
    is_first_frame: bool,
    is_refused: &dyn Fn(Field) -> bool,
    out: &mut CommandQueue,
) {
    const HINT: &str = "A folder with its COCO JSON, or the JSON";
    let browse = [
        ("Browse for a folder…", DraftPath::TrainFolder),
        ("Browse for a COCO JSON…", DraftPath::TrainJson),
    ];
    let list = entries(&lists.sets, &browse);
    let field = path_row(ui, "Training set", &mut draft.train_data, HINT, &list, out);
    if let Some(field) = field.filter(|_| is_first_frame) {
        field.request_focus();
    }
    row(ui, "Validation", |ui| {
        let width = match draft.validation {
            Validation::Fraction => ui.available_width() - NUMBER - 2.0 * theme::GRID,
            _ => ui.available_width(),
        };
        let label = Validation::label;
        let all = &Validation::ALL;
        if let Some(chosen) = drop_down(ui, "Validation", width, draft.validation, all, label) {
            draft.validation = chosen;
        }
        if draft.validation == Validation::Fraction {
            let refused = is_refused(Field::ValFraction);
            let value = &mut draft.val_fraction;
            fields::text(ui, "Share for validation", value, NUMBER, "0.2", refused)
                .on_hover_text("The part of the images that is kept out of training, 0 to 1");
        }
    });
    if draft.validation == Validation::Set {
        let browse = [
            ("Browse for a folder…", DraftPath::ValFolder),
            ("Browse for a COCO JSON…", DraftPath::ValJson),
        ];
        let list = entries(&lists.sets, &browse);
        path_row(ui, "Validation set", &mut draft.val_data, HINT, &list, out);
    }
}

fn beginning(ui: &mut Ui, draft: &mut FineTune, lists: &Lists, out: &mut CommandQueue) {
    row(ui, "Start from", |ui| {
        let (width, all) = (ui.available_width(), &Beginning::ALL);
        let label = Beginning::label;
        if let Some(chosen) = drop_down(ui, "Start from", width, draft.beginning, all, label) {
            draft.beginning = chosen;
        }
    });
    let from_checkpoint = draft.beginning == Beginning::Checkpoint;
    if from_checkpoint {
        let browse = [("Browse…", DraftPath::Checkpoint)];
        let list = entries(&lists.checkpoints, &browse);
        let hint = "Weights: safetensors, pth, ckpt";
        path_row(ui, "Checkpoint", &mut draft.checkpoint, hint, &list, out);
    }
    let presets: Vec<String> = PRESETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let list = entries(&presets, &[("Browse…", DraftPath::Config)]);
    let hint = match from_checkpoint {
        true => "The checkpoint's own",
        false => "A YAML, or a shipped one",
    };
    path_row(ui, "Configuration", &mut draft.config, hint, &list, out);
    if from_checkpoint {
        row(ui, "", |ui| {
            let text = "Heads that know the classes start anew";
            ui.checkbox(&mut draft.fresh_heads, text).on_hover_text(
                "Needed for other classes. Without it the heads go on from what they know, which wants the same classes",
            );
        });
    }
    row(ui, "", |ui| {
        let can_take = draft.can_take_own_classes();
        let text = "Only the classes of the training set";
        let tick = egui::Checkbox::new(&mut draft.own_classes, text);
        ui.add_enabled(can_take, tick)
            .on_hover_text("Without it the model keeps the classes of checkpoint or configuration")
            .on_disabled_hover_text("Heads that go on from what they know keep their classes");
    });
}

fn numbers(
    ui: &mut Ui,
    draft: &mut FineTune,
    configured: Option<&Configured>,
    is_refused: &dyn Fn(Field) -> bool,
) {
    let hint = |number: fn(&Configured) -> String| match configured {
        Some(configured) => number(configured),
        None => "as configured".into(),
    };
    row(ui, "Epochs", |ui| {
        let hint = hint(|it| it.epochs.to_string());
        let refused = is_refused(Field::Epochs);
        fields::text(ui, "Epochs", &mut draft.epochs, NUMBER, &hint, refused);
    });
    row(ui, "Batch", |ui| {
        let of_batch = hint(|it| it.batch.to_string());
        let refused = is_refused(Field::Batch);
        fields::text(ui, "Batch", &mut draft.batch, NUMBER, &of_batch, refused)
            .on_hover_text("Images of a step");
        ui.weak("accumulate");
        let hint = hint(|it| it.accumulate.to_string());
        let refused = is_refused(Field::Accumulate);
        let value = &mut draft.accumulate;
        fields::text(ui, "Accumulate", value, NUMBER, &hint, refused).on_hover_text(
            "Steps whose gradients make one update: larger batches in the same memory",
        );
    });
    row(ui, "Learning rate", |ui| {
        let hint = hint(|it| it.lr.to_string());
        let refused = is_refused(Field::LearningRate);
        fields::text(ui, "Learning rate", &mut draft.lr, NUMBER, &hint, refused);
        rate_proposal(ui, draft, configured);
    });
    row(ui, "Image size", |ui| {
        let width = hint(|it| it.width.to_string());
        let refused = is_refused(Field::Width);
        fields::text(ui, "Image width", &mut draft.width, NUMBER, &width, refused);
        ui.weak("×");
        let height = hint(|it| it.height.to_string());
        let refused = is_refused(Field::Height);
        fields::text(
            ui,
            "Image height",
            &mut draft.height,
            NUMBER,
            &height,
            refused,
        );
    });
    row(ui, "Device", |ui| {
        fields::text(ui, "Device", &mut draft.device, NUMBER, "auto", false);
        for device in ["auto", "cpu", "cuda"] {
            if ui
                .selectable_label(draft.device == device, device)
                .clicked()
            {
                device.clone_into(&mut draft.device);
            }
        }
    });
}

/// `0.02 × 2 / 16 = 0.0025`, to be taken over.
fn rate_proposal(ui: &mut Ui, draft: &mut FineTune, configured: Option<&Configured>) {
    let c = theme::colours(ui);
    let Some(images) = draft.update(configured) else {
        return;
    };
    let rate = scaled_lr(images).to_string();
    ui.colored_label(c.weak, format!("0.02 × {images} / 16 = {rate}"))
        .on_hover_text(
            "The linear scaling rule: 0.02 suits updates of 16 images, and the rate follows the number of images",
        );
    if !draft.has("lr", &rate) && widgets::quiet_button(ui, "Use", c.accent).clicked() {
        draft.apply("lr", &rate);
    }
}

/// Further settings, each with a way to take it back.
fn settings(ui: &mut Ui, draft: &mut FineTune, typed: &mut String) {
    row(ui, "Further settings", |ui| {
        let width = ui.available_width() - 52.0;
        let field = fields::text(ui, "Further settings", typed, width, "key=value", false);
        let by_key = field.lost_focus() && ui.input(|it| it.key_pressed(egui::Key::Enter));
        let is_setting = typed.contains('=');
        let added = ui
            .add_enabled(is_setting, egui::Button::new("Add"))
            .clicked();
        if is_setting && (added || by_key) {
            draft.settings.push(std::mem::take(typed).trim().to_owned());
        }
    });
    let mut removed = None;
    for (at, setting) in draft.settings.iter().enumerate() {
        row(ui, "", |ui| {
            let name = format!("Remove {setting}");
            if widgets::icon_button(ui, crate::ui::icons::X, &name).clicked() {
                removed = Some(at);
            }
            ui.add(egui::Label::new(setting).truncate());
        });
    }
    if let Some(at) = removed {
        draft.settings.remove(at);
    }
}

fn place(ui: &mut Ui, draft: &mut FineTune, lists: &Lists, out: &mut CommandQueue) {
    let list = entries(&lists.outputs, &[("Browse…", DraftPath::Output)]);
    let hint = "Where the run folder is made";
    path_row(ui, "Runs folder", &mut draft.output, hint, &list, out);
    row(ui, "Name", |ui| {
        let width = ui.available_width();
        let hint = match Path::new(draft.config.trim()).file_stem() {
            Some(stem) => stem.to_string_lossy().into_owned(),
            None => "A word for the name of the run".into(),
        };
        fields::text(ui, "Name", &mut draft.brief, width, &hint, false);
    });
}
