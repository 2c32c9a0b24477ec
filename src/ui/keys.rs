//! Keys: which command each one is, and when a key belongs to the window rather than to a text field.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use egui::{Event, Key, Modifiers};

use super::command::{Command, CommandQueue};
use super::panels::review::tools::Tool;
use super::review_command::ReviewCommand;
use super::train_command::TrainCommand;
use super::view::Workspace;
use crate::document::Format;
use crate::document::review::Verdict;

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shortcut {
    /// Ctrl (Cmd on macOS) and Shift. Shift is not asked of keys that are typed with it, such as `?`.
    pub modifiers: Modifiers,
    /// The key.
    pub key: Key,
}

const fn plain(key: Key) -> Shortcut {
    Shortcut {
        modifiers: Modifiers::NONE,
        key,
    }
}

const fn ctrl(key: Key) -> Shortcut {
    Shortcut {
        modifiers: Modifiers::COMMAND,
        key,
    }
}

const fn shift(key: Key) -> Shortcut {
    Shortcut {
        modifiers: Modifiers::SHIFT,
        key,
    }
}

const fn ctrl_shift(key: Key) -> Shortcut {
    Shortcut {
        modifiers: Modifiers {
            shift: true,
            ..Modifiers::COMMAND
        },
        key,
    }
}

/// The keys of a command; the first is the one that menus show.
pub fn shortcuts(command: &Command) -> Vec<Shortcut> {
    use Command as C;
    match command {
        C::OpenFolder => vec![ctrl(Key::O)],
        C::OpenCocoSet => vec![ctrl_shift(Key::O)],
        C::OpenPredictions => vec![ctrl_shift(Key::P)],
        C::ComparePredictions => vec![ctrl_shift(Key::B)],
        C::SetWorkspace(Workspace::Browse) => vec![ctrl(Key::Num1)],
        C::SetWorkspace(Workspace::Compare) => vec![ctrl(Key::Num2)],
        C::SetWorkspace(Workspace::Evaluate) => vec![ctrl(Key::Num3)],
        C::SetWorkspace(Workspace::Train) => vec![ctrl(Key::Num4)],
        C::SetWorkspace(Workspace::Review) => vec![ctrl(Key::Num5)],
        C::Train(command) => train_shortcuts(command),
        C::Review(command) => review_shortcuts(command),
        C::OpenCheckpoint => vec![ctrl(Key::M)],
        C::CloseSet => vec![ctrl(Key::W)],
        C::ExportPredictions => vec![ctrl(Key::E)],
        C::RunModel => vec![ctrl(Key::R)],
        C::PreviousImage => vec![plain(Key::ArrowLeft), plain(Key::J)],
        C::NextImage => vec![plain(Key::ArrowRight), plain(Key::K)],
        C::FirstImage => vec![plain(Key::Home)],
        C::LastImage => vec![plain(Key::End)],
        C::NextInstance => vec![plain(Key::Tab)],
        C::PreviousInstance => vec![shift(Key::Tab)],
        C::FocusFilter => vec![ctrl(Key::F)],
        C::ZoomFit => vec![plain(Key::F)],
        C::ZoomOneToOne => vec![plain(Key::Num1)],
        C::ZoomIn => vec![plain(Key::Plus), plain(Key::Equals)],
        C::ZoomOut => vec![plain(Key::Minus)],
        C::ToggleMasks => vec![plain(Key::M)],
        C::ToggleOutlines => vec![plain(Key::O)],
        C::ToggleBoxes => vec![plain(Key::B)],
        C::ToggleLabels => vec![plain(Key::L)],
        C::CycleGroundTruth => vec![plain(Key::G)],
        C::ToggleWipe => vec![plain(Key::W)],
        C::StepOpacity(-1) => vec![plain(Key::OpenBracket)],
        C::StepOpacity(1) => vec![plain(Key::CloseBracket)],
        C::StepThreshold(-1) => vec![plain(Key::Semicolon)],
        C::StepThreshold(1) => vec![plain(Key::Quote)],
        C::ToggleIsolate => vec![plain(Key::I)],
        C::TogglePalette => vec![ctrl(Key::K)],
        C::ToggleKeys => vec![plain(Key::Questionmark)],
        C::ToggleLog => vec![ctrl(Key::L)],
        C::ToggleSettings => vec![ctrl(Key::Comma)],
        C::ScaleInterface(1) => vec![ctrl(Key::Plus), ctrl(Key::Equals)],
        C::ScaleInterface(-1) => vec![ctrl(Key::Minus)],
        C::ScaleInterface(0) => vec![ctrl(Key::Num0)],
        C::Escape => vec![plain(Key::Escape)],
        C::Quit => vec![ctrl(Key::Q)],
        _ => Vec::new(),
    }
}

fn train_shortcuts(command: &TrainCommand) -> Vec<Shortcut> {
    match command {
        TrainCommand::FineTune => vec![ctrl(Key::T)],
        TrainCommand::Next => vec![plain(Key::ArrowDown)],
        TrainCommand::Previous => vec![plain(Key::ArrowUp)],
        TrainCommand::ToggleCompared => vec![plain(Key::C)],
        TrainCommand::Stop => vec![ctrl_shift(Key::S)],
        TrainCommand::Resume => vec![ctrl_shift(Key::R)],
        TrainCommand::OpenBest => vec![ctrl_shift(Key::M)],
        TrainCommand::Delete => vec![plain(Key::Delete)],
        _ => Vec::new(),
    }
}

fn review_shortcuts(command: &ReviewCommand) -> Vec<Shortcut> {
    match command {
        ReviewCommand::Judge(verdict) => {
            let key = match verdict {
                Verdict::Accept => Key::Num1,
                Verdict::Reject => Key::Num2,
                Verdict::WrongClass => Key::Num3,
                Verdict::BadMask => Key::Num4,
                Verdict::MissingObject => Key::Num5,
            };
            vec![plain(key)]
        }
        ReviewCommand::ClearVerdict => vec![plain(Key::Num0)],
        ReviewCommand::PickClass => vec![plain(Key::Q)],
        ReviewCommand::Export(Format::Coco) => vec![ctrl(Key::E)],
        ReviewCommand::FocusNote => vec![plain(Key::N)],
        ReviewCommand::Undo => vec![ctrl(Key::Z)],
        ReviewCommand::Redo => vec![ctrl_shift(Key::Z), ctrl(Key::Y)],
        ReviewCommand::Delete => vec![plain(Key::Delete)],
        ReviewCommand::TakeOver => vec![plain(Key::A)],
        ReviewCommand::NextInQueue => vec![plain(Key::Enter)],
        ReviewCommand::Skip => vec![plain(Key::S)],
        ReviewCommand::Back => vec![plain(Key::Backspace)],
        ReviewCommand::ToggleList => vec![plain(Key::T)],
        ReviewCommand::Tool(tool) => match tool {
            Tool::Select => vec![plain(Key::V)],
            Tool::Brush => vec![plain(Key::B)],
            Tool::Eraser => vec![plain(Key::E)],
            Tool::Polygon => vec![plain(Key::P)],
            Tool::Cut => vec![plain(Key::H)],
            Tool::Corners => vec![plain(Key::C)],
            Tool::Box => vec![plain(Key::D)],
            Tool::Predict => vec![plain(Key::R)],
        },
        ReviewCommand::PredictHere => vec![shift(Key::R)],
        ReviewCommand::Mark => vec![plain(Key::X)],
        ReviewCommand::Merge => vec![plain(Key::U)],
        ReviewCommand::Resize(-1) => vec![plain(Key::Comma)],
        ReviewCommand::Resize(1) => vec![plain(Key::Period)],
        _ => Vec::new(),
    }
}

/// The shortcut as menus and the palette show it; empty where there is none.
pub fn shortcut_text(command: &Command) -> String {
    shortcuts(command).first().map_or_else(String::new, text)
}

/// All shortcuts of a command, as the sheet of keys shows them.
pub fn all_shortcuts_text(command: &Command) -> String {
    let texts: Vec<String> = shortcuts(command)
        .iter()
        .filter(|shortcut| shortcut.key != Key::Equals) // the same key as + without Shift
        .map(text)
        .collect();
    texts.join("  or  ")
}

fn text(shortcut: &Shortcut) -> String {
    let mut text = String::new();
    if shortcut.modifiers.command {
        text.push_str(if cfg!(target_os = "macos") {
            "⌘"
        } else {
            "Ctrl+"
        });
    }
    if shortcut.modifiers.shift {
        text.push_str("Shift+");
    }
    text.push_str(match shortcut.key {
        Key::ArrowLeft => "←",
        Key::ArrowRight => "→",
        Key::ArrowUp => "↑",
        Key::ArrowDown => "↓",
        Key::OpenBracket => "[",
        Key::CloseBracket => "]",
        Key::Semicolon => ";",
        Key::Quote => "'",
        Key::Questionmark => "?",
        Key::Plus => "+",
        Key::Minus => "-",
        Key::Comma => ",",
        Key::Escape => "Esc",
        other => other.name(),
    });
    text
}

/// Keys that many layouts type with Shift.
const TYPED_WITH_SHIFT: [Key; 6] = [
    Key::Questionmark,
    Key::Plus,
    Key::Semicolon,
    Key::Quote,
    Key::OpenBracket,
    Key::CloseBracket,
];

/// Which command a pressed key is. In the Review workspace its own keys go before all others, elsewhere they are none.
fn command_of(key: Key, modifiers: Modifiers, workspace: Workspace) -> Option<Command> {
    if modifiers.alt {
        return None;
    }
    let (own, others): (Vec<_>, Vec<_>) = Command::listed()
        .into_iter()
        .partition(|command| matches!(command, Command::Review(_)));
    let own = own.into_iter().filter(|_| workspace == Workspace::Review);
    own.chain(others).find(|command| {
        shortcuts(command).iter().any(|shortcut| {
            shortcut.key == key
                && shortcut.modifiers.command == modifiers.command
                && (shortcut.modifiers.shift == modifiers.shift || TYPED_WITH_SHIFT.contains(&key))
        })
    })
}

/// Keys that a focused button, slider or list needs for itself.
const NAVIGATION: [Key; 9] = [
    Key::Enter,
    Key::Tab,
    Key::ArrowLeft,
    Key::ArrowRight,
    Key::ArrowUp,
    Key::ArrowDown,
    Key::Home,
    Key::End,
    Key::Space,
];

/// Turns the keys of this frame into commands. While a text field has the focus only keys with Ctrl are taken, and Esc;
/// while another widget has it, that widget keeps the keys that move within it.
pub fn collect(
    ctx: &egui::Context,
    overlay_open: bool,
    workspace: Workspace,
    out: &mut CommandQueue,
) {
    let in_text = ctx.text_edit_focused();
    let in_widget = ctx.memory(|memory| memory.focused().is_some());
    let mut pressed: Vec<Pressed> = ctx.input(|input| {
        let events = input.events.iter().enumerate();
        let keys = events.filter_map(|(place, event)| Pressed::of(event, place));
        keys.collect()
    });
    let stolen = ctx
        .with_plugin(|tab: &mut TabKeys| std::mem::take(&mut tab.pressed))
        .unwrap_or_default();
    // In the order in which they were pressed: each acts on what the one before has led to.
    for key in stolen.into_iter().rev() {
        let at = pressed.partition_point(|other| other.place < key.place);
        pressed.insert(at, key);
    }
    for Pressed {
        key,
        modifiers,
        is_repeat,
        ..
    } in pressed
    {
        let is_escape = key == Key::Escape;
        let reserved = if in_text {
            // Its own steps are what a field takes back.
            let is_undo = matches!(key, Key::Z | Key::Y);
            !(modifiers.command || is_escape) || is_undo
        } else {
            in_widget && NAVIGATION.contains(&key)
        };
        let command = command_of(key, modifiers, workspace).filter(|_| !reserved);
        // A key that is held down says nothing of the instances that come up under it.
        let command = command.filter(|command| !(is_repeat && is_once(command)));
        // Behind a dialog nothing moves: only what concerns the window itself is taken.
        let command = command.filter(|command| {
            !overlay_open || is_escape || matches!(command, Command::TogglePalette | Command::Quit)
        });
        if let Some(command) = command {
            out.push(command);
        }
    }
}

/// Whether a command is carried out once however long its key is held.
fn is_once(command: &Command) -> bool {
    use ReviewCommand as R;
    let repeats = |command: &R| {
        matches!(
            command,
            R::Undo | R::Redo | R::Resize(_) | R::NextInQueue | R::Skip | R::Back
        )
    };
    matches!(command, Command::Review(command) if !repeats(command))
}

/// A key that was pressed.
struct Pressed {
    key: Key,
    modifiers: Modifiers,
    is_repeat: bool,
    /// Its place among the events of the frame.
    place: usize,
}

impl Pressed {
    fn of(event: &Event, place: usize) -> Option<Self> {
        match event {
            Event::Key {
                key,
                pressed: true,
                repeat,
                modifiers,
                ..
            } => Some(Self {
                key: *key,
                modifiers: *modifiers,
                is_repeat: *repeat,
                place,
            }),
            _ => None,
        }
    }
}

/// Tab walks through instances while an image is open and no widget has the focus; egui would move the focus with it.
/// A click into a field gives the focus to a widget, Esc takes it away.
pub struct TabKeys {
    /// Whether Tab belongs to the instances now.
    is_ours: Arc<AtomicBool>,
    pressed: Vec<Pressed>,
}

impl TabKeys {
    /// Registers with egui; the window sets the returned flag every frame.
    pub fn install(ctx: &egui::Context) -> Arc<AtomicBool> {
        let is_ours = Arc::new(AtomicBool::new(false));
        ctx.add_plugin(Self {
            is_ours: Arc::clone(&is_ours),
            pressed: Vec::new(),
        });
        is_ours
    }
}

impl egui::Plugin for TabKeys {
    fn debug_name(&self) -> &'static str {
        "tab keys"
    }

    fn input_hook(&mut self, _ctx: &egui::Context, input: &mut egui::RawInput) {
        if !self.is_ours.load(Ordering::Relaxed) {
            return;
        }
        let (pressed, mut kept) = (&mut self.pressed, 0);
        input.events.retain(|event| {
            let is_ours = matches!(
                event,
                Event::Key { key: Key::Tab, modifiers, .. } if !modifiers.alt && !modifiers.command
            );
            if is_ours {
                pressed.extend(Pressed::of(event, kept));
            }
            kept += usize::from(!is_ours);
            !is_ours
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_is_two_commands() {
        let mut seen: HashMap<Shortcut, Command> = HashMap::new();
        let mut of_review: HashMap<Shortcut, Command> = HashMap::new();
        for command in Command::listed() {
            for shortcut in shortcuts(&command) {
                // Keys of the Review workspace hold there alone, before all others.
                let seen = match command {
                    Command::Review(_) => &mut of_review,
                    _ => &mut seen,
                };
                if let Some(other) = seen.insert(shortcut, command.clone()) {
                    panic!("{shortcut:?} is {other:?} and {command:?}");
                }
            }
        }
        assert!(seen.len() > 30);
    }

    #[test]
    fn keys_are_found_whatever_the_layout() {
        let check = |key, modifiers, expected: Option<Command>| {
            assert_eq!(
                command_of(key, modifiers, Workspace::Browse),
                expected,
                "{key:?} {modifiers:?}"
            );
        };
        check(Key::J, Modifiers::NONE, Some(Command::PreviousImage));
        check(
            Key::Questionmark,
            Modifiers::SHIFT,
            Some(Command::ToggleKeys),
        );
        check(Key::Plus, Modifiers::SHIFT, Some(Command::ZoomIn));
        check(Key::O, Modifiers::NONE, Some(Command::ToggleOutlines));
        check(Key::O, Modifiers::COMMAND, Some(Command::OpenFolder));
        check(Key::Tab, Modifiers::SHIFT, Some(Command::PreviousInstance));
        let in_review = |key| command_of(key, Modifiers::NONE, Workspace::Review);
        let accept = Command::Review(ReviewCommand::Judge(Verdict::Accept));
        assert_eq!(in_review(Key::Num1), Some(accept));
        check(Key::Num1, Modifiers::NONE, Some(Command::ZoomOneToOne));
        check(Key::J, Modifiers::SHIFT, None);
        check(Key::F, Modifiers::ALT, None);
    }
}
