//! Colours and spacing of the window, their only home. Two themes, both quiet: one accent, a 4 px grid, radius 4.

use std::collections::BTreeMap;

use egui::style::{HandleShape, ScrollStyle, Selection, WidgetVisuals, Widgets};
use egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme,
    Visuals, vec2,
};

use super::fonts;

/// The grid, in points.
pub const GRID: f32 = 4.0;
/// Radius of corners.
pub const RADIUS: u8 = 4;
/// Between a panel's edge and what it holds.
pub const PADDING: i8 = 12;
/// Height of a row that can be clicked.
pub const ROW: f32 = 24.0;
/// Height of the top bar.
pub const TOP_BAR: f32 = 40.0;
/// Height of the status bar.
pub const STATUS_BAR: f32 = 28.0;
/// Width of the gallery at the first start.
pub const GALLERY: f32 = 280.0;
/// Width of the inspector at the first start.
pub const INSPECTOR: f32 = 320.0;
/// Size of running text.
pub const BODY: f32 = 13.0;
/// Size of captions, badges and the status bar.
pub const SMALL: f32 = 11.5;
/// Size of the start screen's title.
pub const TITLE: f32 = 24.0;
/// Size of dialog titles and of the image's name.
pub const HEADING: f32 = 14.0;

/// The colours of a theme. Every text colour stands at 4.5:1 or better on every surface it is used on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colours {
    /// Behind the picture.
    pub canvas: Color32,
    /// Panels and bars.
    pub panel: Color32,
    /// Fields, buttons, chips: one step above the panel.
    pub field: Color32,
    /// The same under the pointer.
    pub field_hovered: Color32,
    /// The same while pressed.
    pub field_pressed: Color32,
    /// Popups, dialogs, toasts, the palette.
    pub popup: Color32,
    /// Lines between panels.
    pub line: Color32,
    /// Outlines of fields and popups.
    pub border: Color32,
    /// Text.
    pub text: Color32,
    /// Names of things whose value stands beside them, hints, shortcuts.
    pub weak: Color32,
    /// Links, focus, selection, the filled part of sliders and bars.
    pub accent: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// Behind a selected row.
    pub selection: Color32,
    /// The empty part of bars and sliders.
    pub track: Color32,
    /// Something to look at.
    pub warning: Color32,
    /// Something failed.
    pub error: Color32,
    /// Something went well.
    pub success: Color32,
    /// Handle of sliders.
    pub handle: Color32,
    /// Behind modal dialogs and the drop hint.
    pub backdrop: Color32,
    /// Shadow of popups.
    pub shadow: Color32,
    /// What is brushed in a plot: the frame of the brush and the points inside.
    pub brush: Color32,
    /// Density of points, from a single one to the densest.
    pub density: [Color32; 3],
    /// The same of brushed points.
    pub brushed_density: [Color32; 3],
    /// Series of a plot of lines, in their order. Each stands at 3:1 or better on panels.
    pub series: [Color32; 6],
}

/// On dark.
pub const DARK: Colours = Colours {
    canvas: Color32::from_rgb(13, 14, 18),
    panel: Color32::from_rgb(26, 29, 34),
    field: Color32::from_rgb(34, 38, 45),
    field_hovered: Color32::from_rgb(42, 47, 55),
    field_pressed: Color32::from_rgb(50, 56, 65),
    popup: Color32::from_rgb(32, 36, 42),
    line: Color32::from_rgb(40, 44, 51),
    border: Color32::from_rgb(50, 55, 64),
    text: Color32::from_rgb(230, 231, 233),
    weak: Color32::from_rgb(154, 162, 171),
    accent: Color32::from_rgb(95, 166, 247),
    on_accent: Color32::from_rgb(10, 20, 33),
    selection: Color32::from_rgb(36, 56, 78),
    track: Color32::from_rgb(50, 56, 65),
    warning: Color32::from_rgb(240, 179, 77),
    error: Color32::from_rgb(250, 130, 122),
    success: Color32::from_rgb(106, 200, 150),
    handle: Color32::from_rgb(230, 231, 233),
    backdrop: Color32::from_black_alpha(140),
    shadow: Color32::from_black_alpha(110),
    brush: Color32::from_rgb(246, 174, 84),
    density: [
        Color32::from_rgb(44, 78, 122),
        Color32::from_rgb(95, 166, 247),
        Color32::from_rgb(232, 243, 255),
    ],
    brushed_density: [
        Color32::from_rgb(132, 88, 34),
        Color32::from_rgb(246, 174, 84),
        Color32::from_rgb(255, 242, 220),
    ],
    series: [
        Color32::from_rgb(95, 166, 247),
        Color32::from_rgb(246, 174, 84),
        Color32::from_rgb(94, 205, 176),
        Color32::from_rgb(228, 120, 214),
        Color32::from_rgb(214, 208, 98),
        Color32::from_rgb(164, 171, 180),
    ],
};

/// On light.
pub const LIGHT: Colours = Colours {
    canvas: Color32::from_rgb(230, 232, 235),
    panel: Color32::from_rgb(254, 254, 254),
    field: Color32::from_rgb(240, 241, 243),
    field_hovered: Color32::from_rgb(231, 233, 236),
    field_pressed: Color32::from_rgb(221, 224, 228),
    popup: Color32::from_rgb(254, 254, 254),
    line: Color32::from_rgb(224, 227, 231),
    border: Color32::from_rgb(208, 212, 218),
    text: Color32::from_rgb(27, 31, 36),
    weak: Color32::from_rgb(86, 94, 103),
    accent: Color32::from_rgb(9, 91, 188),
    on_accent: Color32::from_rgb(255, 255, 255),
    selection: Color32::from_rgb(219, 234, 252),
    track: Color32::from_rgb(221, 224, 228),
    warning: Color32::from_rgb(128, 80, 0),
    error: Color32::from_rgb(180, 35, 24),
    success: Color32::from_rgb(18, 104, 66),
    handle: Color32::from_rgb(27, 31, 36),
    backdrop: Color32::from_black_alpha(90),
    shadow: Color32::from_black_alpha(40),
    brush: Color32::from_rgb(196, 92, 8),
    density: [
        Color32::from_rgb(168, 200, 238),
        Color32::from_rgb(28, 104, 196),
        Color32::from_rgb(4, 28, 70),
    ],
    brushed_density: [
        Color32::from_rgb(240, 186, 130),
        Color32::from_rgb(196, 92, 8),
        Color32::from_rgb(86, 34, 0),
    ],
    series: [
        Color32::from_rgb(9, 91, 188),
        Color32::from_rgb(190, 88, 0),
        Color32::from_rgb(0, 122, 98),
        Color32::from_rgb(160, 40, 150),
        Color32::from_rgb(122, 110, 0),
        Color32::from_rgb(86, 94, 103),
    ],
};

impl Colours {
    /// Every text with what it may stand on, by name: the pairs whose contrast is tested.
    pub fn text_pairs(&self) -> Vec<(&'static str, Color32, Color32)> {
        let surfaces = [
            ("canvas", self.canvas),
            ("panel", self.panel),
            ("field", self.field),
            ("field_hovered", self.field_hovered),
            ("popup", self.popup),
            ("selection", self.selection),
        ];
        let mut pairs = Vec::new();
        for (name, surface) in surfaces {
            for text in [self.text, self.weak, self.accent, self.error, self.warning] {
                pairs.push((name, text, surface));
            }
            pairs.push((name, self.success, surface));
        }
        pairs.push(("accent", self.on_accent, self.accent));
        pairs.push(("field_pressed", self.text, self.field_pressed));
        pairs
    }
}

/// The colours of the theme that `ui` has.
pub fn colours(ui: &egui::Ui) -> &'static Colours {
    of(ui.visuals().dark_mode)
}

/// The colours of a theme.
pub fn of(dark: bool) -> &'static Colours {
    if dark { &DARK } else { &LIGHT }
}

/// Sets both themes and the fonts up; call it once, before the first frame.
pub fn install(ctx: &egui::Context) {
    fonts::install(ctx);
    for theme in [Theme::Dark, Theme::Light] {
        ctx.set_style_of(theme, style(theme));
    }
}

fn style(theme: Theme) -> Style {
    let mut style = Style {
        visuals: visuals(theme),
        text_styles: text_styles(),
        animation_time: 0.08,
        ..Style::default()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(2.0 * GRID, GRID);
    spacing.button_padding = vec2(2.0 * GRID, GRID);
    spacing.interact_size = vec2(ROW, ROW);
    spacing.menu_margin = Margin::same(4);
    spacing.window_margin = Margin::same(16);
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 8.0;
    spacing.slider_width = 150.0;
    spacing.slider_rail_height = 4.0;
    spacing.combo_width = 120.0;
    spacing.scroll = ScrollStyle {
        bar_width: 8.0,
        floating_width: 4.0,
        ..ScrollStyle::floating()
    };
    style.interaction.tooltip_delay = 0.4;
    // Labels are not selectable: a drag over a list must not mark text.
    style.interaction.selectable_labels = false;
    style
}

fn text_styles() -> BTreeMap<TextStyle, FontId> {
    let regular = |size| FontId::new(size, FontFamily::Proportional);
    BTreeMap::from([
        (TextStyle::Small, regular(SMALL)),
        (TextStyle::Body, regular(BODY)),
        (TextStyle::Button, regular(BODY)),
        (TextStyle::Monospace, regular(BODY)),
        (TextStyle::Heading, FontId::new(HEADING, fonts::semibold())),
    ])
}

fn visuals(theme: Theme) -> Visuals {
    let dark = theme == Theme::Dark;
    let c = of(dark);
    let shadow = Shadow {
        offset: [0, 8],
        blur: 24,
        spread: 0,
        color: c.shadow,
    };
    let base = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    Visuals {
        override_text_color: None,
        weak_text_color: Some(c.weak),
        widgets: widgets(c),
        selection: Selection {
            bg_fill: c.selection,
            stroke: Stroke::new(1.0, c.text),
        },
        hyperlink_color: c.accent,
        faint_bg_color: c.field,
        extreme_bg_color: c.track,
        text_edit_bg_color: Some(c.field),
        code_bg_color: c.field,
        warn_fg_color: c.warning,
        error_fg_color: c.error,
        window_corner_radius: CornerRadius::same(2 * RADIUS),
        window_shadow: shadow,
        window_fill: c.popup,
        window_stroke: Stroke::new(1.0, c.border),
        menu_corner_radius: CornerRadius::same(RADIUS + 2),
        panel_fill: c.panel,
        popup_shadow: shadow,
        slider_trailing_fill: true,
        handle_shape: HandleShape::Circle,
        interact_cursor: None,
        image_loading_spinners: false,
        ..base
    }
}

fn widgets(c: &Colours) -> Widgets {
    let look = |fill: Color32, border: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, border),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    Widgets {
        noninteractive: WidgetVisuals {
            bg_stroke: Stroke::new(1.0, c.line),
            ..look(c.panel, c.line, c.text)
        },
        inactive: look(c.field, c.border, c.text),
        hovered: look(c.field_hovered, c.border, c.text),
        active: look(c.field_pressed, c.accent, c.text),
        open: look(c.field_hovered, c.border, c.text),
    }
}

/// Contrast of two opaque colours as WCAG 2 defines it: 1 for equal ones, 21 for black on white.
pub fn contrast(a: Color32, b: Color32) -> f32 {
    let luminance = |colour: Color32| {
        let [r, g, b, _] = egui::Rgba::from(colour).to_array();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_readable_on_every_surface() {
        for (theme, colours) in [("dark", DARK), ("light", LIGHT)] {
            for (surface, text, background) in colours.text_pairs() {
                let found = contrast(text, background);
                assert!(
                    found >= 4.5,
                    "{theme}: {text:?} on {surface} has {found:.2}:1"
                );
            }
        }
    }

    #[test]
    fn marks_of_plots_stand_out_from_panels() {
        for (theme, c) in [("dark", DARK), ("light", LIGHT)] {
            let middle = [c.density[1], c.brushed_density[1], c.brush];
            for mark in c.series.into_iter().chain(middle) {
                let found = contrast(mark, c.panel);
                assert!(found >= 3.0, "{theme}: {mark:?} has {found:.2}:1");
            }
        }
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 0.01);
        // #767676 on white is the well-known limit of 4.5.
        let grey = contrast(Color32::from_gray(0x76), Color32::WHITE);
        assert!((grey - 4.54).abs() < 0.01, "{grey}");
    }
}
