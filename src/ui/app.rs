//! The application: one frame after another, from what the threads finished to what the user sees.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use egui::{Frame, Margin, Panel, Stroke, Ui};

use super::command::{Command, CommandQueue};
use super::dialogs::Ask;
use super::dispatch::{self, Target, dispatch};
use super::keys::{self, TabKeys};
use super::loader::Loader;
use super::panels;
use super::panels::review::tools::Tool;
use super::persist::{Memory, Store};
use super::review_dispatch;
use super::shell::{Opened, Overlay, Shell};
use super::start;
use super::theme;
use super::train_command;
use super::view::{Selection, ViewState, Workspace};
use crate::document::evaluation::Side;
use crate::document::images::ImageServiceOptions;
use crate::document::settings::Settings;
use crate::document::training::TrainerOptions;
use crate::document::{Document, ModelRequest, NoticeKind, SourceKind};

/// How the window starts.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// Opened at once: folder, image, COCO JSON, predictions JSON.
    pub path: Option<PathBuf>,
    /// Predictions for the set at `path`.
    pub predictions: Option<PathBuf>,
    /// Predictions to compare those with.
    pub compare: Option<PathBuf>,
    /// Weights to run.
    pub checkpoint: Option<PathBuf>,
    /// Configuration file; the checkpoint's own without.
    pub config: Option<PathBuf>,
    /// `a.b=c` settings.
    pub set: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
    pub device: String,
    /// Keeps no thumbnails on disk.
    pub no_cache: bool,
    /// Where settings are kept; `None` keeps none.
    pub settings: Option<PathBuf>,
    /// How training processes are started.
    pub trainer: TrainerOptions,
}

/// The window.
pub struct App {
    document: Document,
    view: ViewState,
    commands: CommandQueue,
    loader: Loader,
    shell: Shell,
    /// What was selected when the window was drawn last.
    drawn: Selection,
}

impl App {
    /// Sets the window up; nothing is read but the settings.
    pub fn new(
        cc: &eframe::CreationContext<'_>,
        options: StartOptions,
        settings: Settings,
        complaint: Option<String>,
    ) -> Self {
        start::tell("window and graphics adapter are open");
        let ctx = &cc.egui_ctx;
        if let Some(render_state) = &cc.wgpu_render_state {
            super::gpu::install(render_state);
        }
        theme::install(ctx);
        let (memory, refused) = Memory::read(&settings);
        ctx.set_theme(egui::ThemePreference::from(memory.theme));
        ctx.set_zoom_factor(memory.scale);
        // Ctrl and + - 0 are commands of our own.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let store = Store::new(options.settings, &settings);
        let mut shell = Shell::new(memory, store, TabKeys::install(ctx));
        if let Some(complaint) = complaint {
            shell.toasts.say(NoticeKind::Warning, complaint, "");
        }
        if !refused.is_empty() {
            let text = "Some settings could not be read and start afresh";
            shell
                .toasts
                .say(NoticeKind::Warning, text, refused.join(", "));
        }
        shell.first = options.path;
        shell.first_predictions = options.predictions;
        shell.first_second = options.compare;
        let request = ModelRequest {
            checkpoint: options.checkpoint.unwrap_or_default(),
            config: options.config,
            set: options.set,
            device: options.device,
        };
        let mut images = ImageServiceOptions::default();
        if options.no_cache {
            images.cache_dir = None;
        }
        let waker = ctx.clone();
        let wake = Arc::new(move || waker.request_repaint());
        let mut document = Document::new(request, settings, wake);
        document.set_trainer(options.trainer);
        Self {
            view: shell.memory.view(),
            document,
            commands: CommandQueue::default(),
            loader: Loader::new(ctx, images),
            shell,
            drawn: Selection::default(),
        }
    }

    /// What is open and what runs; tests look at it.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What is shown; tests look at it.
    pub fn view(&self) -> &ViewState {
        &self.view
    }

    /// Commands, as panels push them; carried out in the next frame.
    pub fn commands(&mut self) -> &mut CommandQueue {
        &mut self.commands
    }

    /// What is shown, to be set up by whoever drives the window.
    pub fn view_mut(&mut self) -> &mut ViewState {
        &mut self.view
    }

    /// Reads predictions as the dialog does once a path was chosen; tests have no dialog.
    pub fn attach(&mut self, predictions: &std::path::Path, side: Side) {
        self.document.attach_predictions(predictions, side);
    }

    /// Exports as the dialog does once a path was chosen; tests have no dialog.
    pub fn export(&mut self, output: &std::path::Path) {
        self.document.export(output);
    }

    /// What is open, for whoever drives the window.
    pub fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Takes in what the threads finished.
    fn take_in(&mut self, ctx: &egui::Context) {
        self.loader.poll(ctx);
        for notice in self.document.poll() {
            self.shell.toasts.add(notice);
        }
        if let Some(path) = self.shell.first.take() {
            self.document.open(&path);
        }
        let opened = self.shell.opened(&self.document);
        if opened != Opened::Unchanged {
            self.loader.clear();
        }
        if opened == Opened::Another {
            self.view.image = None;
            self.view.instance = None;
            self.view.hovered = None;
            self.view.gallery.clear();
            self.view.passing.clear();
            self.view.gallery_of = None;
            self.view.picked = None;
            self.view.review.close();
            self.view.filter.restart();
            self.view.naming = None;
            self.view.scroll_to_selected = true;
            let source = self.document.source();
            // The demo has a button of its own at the next start.
            if let Some(source) = source.filter(|source| source.kind != SourceKind::Demo) {
                self.shell.memory.last_source = Some(source.path.clone());
            }
        }
        if opened == Opened::Another
            && self.document.source().is_some()
            && self.view.workspace == Workspace::Train
        {
            // Who opens a set wants to see it.
            self.view.workspace = Workspace::Browse;
        }
        self.view.train.renew(&mut self.document);
        if self.document.take_corrected_to_train() {
            self.commands
                .push(Command::Train(train_command::TrainCommand::FineTune));
        }
        if let Some(id) = self.document.take_new_of_box()
            && self.view.review.drawing.tool != Tool::Predict
        {
            // With the tool in hand the next box is another object.
            review_dispatch::keep_all_typed(&mut self.document, &mut self.view);
            self.view.review.wanted = Some(crate::document::review::Target::Annotation(id));
        }
        if self.document.take_shown_comparison() {
            self.view.workspace = Workspace::Compare;
            self.view.compare.tab = panels::compare::CompareTab::Sides;
        }
        self.attach_first();
        self.document.evaluate(&self.view.eval_settings());
    }

    /// Predictions of the command line, as soon as their set is open.
    fn attach_first(&mut self) {
        if self.document.source().is_none() || self.document.opening().is_some() {
            return;
        }
        if let Some(path) = self.shell.first_predictions.take() {
            self.document.attach_predictions(&path, Side::A);
        }
        if let Some(path) = self.shell.first_second.take() {
            self.document.attach_predictions(&path, Side::B);
        }
    }

    /// The first image of a set that was just opened is shown.
    fn show_first(&mut self, ctx: &egui::Context) {
        if self.view.image.is_none()
            && let Some(&first) = self.view.gallery.first()
        {
            dispatch::select_image(&mut self.target(ctx), first);
            ctx.request_repaint();
        }
    }

    fn target<'a>(&'a mut self, ctx: &'a egui::Context) -> Target<'a> {
        Target {
            document: &mut self.document,
            view: &mut self.view,
            loader: &mut self.loader,
            shell: &mut self.shell,
            ctx,
        }
    }

    fn carry_out(&mut self, ctx: &egui::Context) {
        let mut commands = self.commands.take().into_iter();
        while let Some(command) = commands.next() {
            ctx.request_repaint();
            // What is selected is known when it was drawn: what is said of it waits for that.
            let is_of_review = matches!(command, Command::Review(_));
            if is_of_review && self.view.selection() != self.drawn {
                self.commands.push(command);
                self.commands.extend(commands);
                break;
            }
            dispatch(&command, &mut self.target(ctx));
        }
        self.document.commit_edits();
    }

    fn frame_ui(&mut self, ui: &mut Ui) {
        let c = theme::colours(ui);
        let bar = |vertical| {
            Frame::new()
                .fill(c.panel)
                .inner_margin(Margin::symmetric(theme::PADDING, vertical))
        };
        Panel::top("top bar")
            .exact_size(theme::TOP_BAR)
            .resizable(false)
            .frame(bar(0))
            .show(ui, |ui| {
                panels::top_bar::top_bar_ui(ui, &self.document, &self.view, &mut self.commands);
            });
        Panel::bottom("status bar")
            .exact_size(theme::STATUS_BAR)
            .resizable(false)
            .frame(bar(0))
            .show(ui, |ui| {
                panels::status_bar::status_bar_ui(
                    ui,
                    &self.document,
                    &self.view,
                    &mut self.commands,
                );
            });
        if self.shell.memory.log_open {
            Panel::bottom("log")
                .default_size(panels::log_panel::HEIGHT)
                .min_size(80.0)
                .resizable(true)
                .frame(bar(4))
                .show(ui, |ui| self.shell.log.show(ui, &mut self.commands));
        }
        if self.view.workspace == Workspace::Train {
            self.train_ui(ui);
        } else if self.document.source().is_some() {
            self.panels_ui(ui);
        } else {
            self.start_ui(ui);
        }
    }

    fn panels_ui(&mut self, ui: &mut Ui) {
        let c = theme::colours(ui);
        let side = Frame::new()
            .fill(c.panel)
            .inner_margin(Margin::symmetric(theme::PADDING - 2, theme::PADDING - 2));
        let (doc, view) = (&mut self.document, &mut self.view);
        let (loader, out) = (&mut self.loader, &mut self.commands);
        let memory = &mut self.shell.memory;
        // Half of a small window stays for the picture.
        let most = (ui.available_width() * 0.4).max(200.0);
        let gallery = Panel::left("gallery")
            .default_size(memory.gallery)
            .size_range(160.0..=most)
            .resizable(true)
            .frame(side)
            .show(ui, |ui| panels::gallery_ui(ui, doc, view, loader, out));
        memory.gallery = gallery.response.rect.width();
        let workspace = view.workspace;
        let inspector = Panel::right("inspector")
            .default_size(memory.inspector)
            .size_range(240.0..=most.max(240.0))
            .resizable(true)
            .frame(side)
            .show(ui, |ui| {
                // What has little to say must not make the panel narrower.
                ui.set_min_width(ui.available_width());
                match workspace {
                    Workspace::Browse | Workspace::Train => {
                        panels::inspector_ui(ui, doc, view, out);
                    }
                    Workspace::Review => panels::review::review_right_ui(ui, doc, view, out),
                    Workspace::Compare => panels::compare::compare_right_ui(ui, doc, view, out),
                    Workspace::Evaluate => panels::evaluate::evaluate_right_ui(ui, doc, view, out),
                }
            });
        memory.inspector = inspector.response.rect.width();
        egui::CentralPanel::default()
            .frame(Frame::new().fill(c.canvas))
            .show(ui, |ui| match workspace {
                Workspace::Browse | Workspace::Train => {
                    panels::canvas_area_ui(ui, doc, view, loader, out);
                }
                Workspace::Review => {
                    panels::review::review_centre_ui(ui, doc, view, loader, out);
                }
                Workspace::Compare => {
                    panels::compare::compare_centre_ui(ui, doc, view, loader, out);
                }
                Workspace::Evaluate => {
                    panels::evaluate::evaluate_centre_ui(ui, doc, view, loader, out);
                }
            });
    }

    /// The Train workspace needs no set: runs stand in place of the gallery.
    fn train_ui(&mut self, ui: &mut Ui) {
        let c = theme::colours(ui);
        let side = Frame::new()
            .fill(c.panel)
            .inner_margin(Margin::symmetric(theme::PADDING - 2, theme::PADDING - 2));
        let (doc, view, out) = (&self.document, &mut self.view, &mut self.commands);
        let memory = &self.shell.memory;
        // Curves keep the most of a small window.
        let most = (ui.available_width() * 0.32).max(240.0);
        Panel::left("runs")
            .default_size(memory.gallery)
            .size_range(200.0..=most)
            .resizable(true)
            .frame(side)
            .show(ui, |ui| panels::train::runs_ui(ui, doc, view, out));
        Panel::right("run")
            .default_size(memory.inspector)
            .size_range(240.0..=most)
            .resizable(true)
            .frame(side)
            .show(ui, |ui| {
                ui.set_min_width(ui.available_width());
                panels::train::train_right_ui(ui, doc, view, out);
            });
        egui::CentralPanel::default()
            .frame(Frame::new().fill(c.panel))
            .show(ui, |ui| panels::train::train_centre_ui(ui, doc, view, out));
    }

    fn start_ui(&mut self, ui: &mut Ui) {
        let c = theme::colours(ui);
        let frame = Frame::new().fill(c.canvas).stroke(Stroke::NONE);
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            panels::start::start_ui(
                ui,
                &self.document,
                self.shell.memory.last_source.as_deref(),
                &mut self.commands,
            );
        });
    }

    /// What lies over the panels.
    fn overlays(&mut self, ctx: &egui::Context) {
        let shell = &mut self.shell;
        let out = &mut self.commands;
        let is_done = if shell.overlay == Some(Overlay::FineTune) {
            let (doc, view) = (&mut self.document, &mut self.view);
            panels::fine_tune::fine_tune_ui(ctx, doc, view, out)
        } else {
            false
        };
        let (doc, view) = (&self.document, &self.view);
        let is_done = match &shell.overlay {
            None => false,
            Some(Overlay::FineTune) => is_done,
            Some(Overlay::DeleteRun(run)) => panels::train::delete_ui(ctx, doc, view, run, out),
            Some(Overlay::Unsaved(what)) => {
                let answer = panels::unsaved::unsaved_ui(ctx, doc, what);
                shell.closes_anyway |= answer == panels::unsaved::Answer::Close;
                answer != panels::unsaved::Answer::Open
            }
            Some(Overlay::Palette) => shell.palette.show(ctx, doc, view, out),
            Some(Overlay::Keys) => panels::keys_sheet::keys_sheet_ui(ctx),
            Some(Overlay::Settings) => {
                panels::settings::settings_ui(ctx, &shell.memory, doc, view, out)
            }
            Some(Overlay::Health) => panels::health::health_ui(ctx, doc, out),
        };
        if is_done {
            if shell.overlay == Some(Overlay::Health) {
                self.document.cancel_check();
            }
            shell.overlay = None;
            ctx.request_repaint();
        }
        if let Some((ask, path)) = shell.dialogs.show(ctx) {
            review_dispatch::keep_all_typed(&mut self.document, &mut self.view);
            match ask {
                Ask::Export => self.document.export(&path),
                Ask::Checkpoint => self.document.choose_checkpoint(&path),
                Ask::Second => self.document.attach_predictions(&path, Side::B),
                Ask::Corrected(format) => self.document.export_review(format, &path),
                Ask::Audit => self.document.export_audit(&path),
                Ask::CorrectedToTrain => self.document.export_to_train(&path),
                Ask::Runs => self.document.add_run_folder(&path),
                Ask::Draft(field) => train_command::take_path(field, &path, &mut self.document),
                _ => dispatch::open_path(&mut self.document, &path),
            }
            ctx.request_repaint();
        }
        // The queue's buttons stay free.
        let strip = match self.view.workspace {
            Workspace::Review => panels::review::STRIP,
            _ => 0.0,
        };
        shell.toasts.show(ctx, strip);
        shell.drop.show(ctx, &mut self.commands);
    }

    /// The window does not close over edits that no disk has, unless that was said.
    fn ask_before_closing(&mut self, ctx: &egui::Context) {
        let is_closing = ctx.input(|input| input.viewport().close_requested());
        if !is_closing || self.shell.closes_anyway {
            return;
        }
        review_dispatch::keep_all_typed(&mut self.document, &mut self.view);
        if let Some(refused) = self.document.unsaved() {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.shell.overlay = Some(Overlay::Unsaved(refused));
        }
    }

    /// Notices what is to come back at the next start.
    fn remember(&mut self, ctx: &egui::Context) {
        let memory = &mut self.shell.memory;
        memory.take_view(&self.view);
        let size = ctx.content_rect().size() * ctx.zoom_factor();
        let is_whole = ctx.input(|input| {
            let window = input.viewport();
            window.maximized == Some(true) || window.fullscreen == Some(true)
        });
        if !is_whole {
            memory.window = [size.x.round(), size.y.round()];
        }
        let settings = self.document.settings_mut();
        self.shell.store.keep(ctx, settings, memory);
        self.shell.had_focus = ctx.memory(|memory| memory.focused().is_some());
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        let is_first = ctx.cumulative_frame_nr() == 0;
        if is_first {
            start::tell("the first frame begins");
        }
        self.take_in(&ctx);
        self.ask_before_closing(&ctx);
        let workspace = self.view.workspace;
        keys::collect(&ctx, self.shell.covers(), workspace, &mut self.commands);
        self.carry_out(&ctx);
        self.frame_ui(ui);
        self.drawn = self.view.selection();
        self.overlays(&ctx);
        self.show_first(&ctx);
        self.carry_out(&ctx);
        let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
        let has_instances = self.view.image.is_some() && self.view.workspace != Workspace::Train;
        let tab_is_ours = nothing_focused && !self.shell.covers() && has_instances;
        self.shell.tab_is_ours.store(tab_is_ours, Ordering::Relaxed);
        self.remember(&ctx);
        if is_first {
            start::tell("the first frame is laid out");
        }
    }

    fn on_exit(&mut self) {
        review_dispatch::keep_all_typed(&mut self.document, &mut self.view);
        let settings = self.document.settings();
        self.shell.store.finish(settings);
        self.document.finish_training();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}
