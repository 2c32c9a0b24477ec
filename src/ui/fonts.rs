//! The two families of the window: Inter with tabular figures, and the icons beside it in every family.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily, FontTweak};

/// The heavier cut: headings, the best number of a row.
pub const SEMIBOLD: &str = "Inter SemiBold";

const REGULAR: &str = "Inter";
const ICONS: &str = "Phosphor";
/// Icons are drawn on a full square; Inter's capitals are lower.
const ICON_SCALE: f32 = 1.2;
/// Moves the larger icons down to the middle of the line, in parts of their size.
const ICON_DROP: f32 = 0.02;

/// Makes the fonts known; call it once, before the first frame.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(definitions());
}

/// The heavier family.
pub fn semibold() -> FontFamily {
    FontFamily::Name(SEMIBOLD.into())
}

fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let mut add = |name: &str, bytes: &'static [u8], tweak: FontTweak| {
        let data = FontData::from_static(bytes).tweak(tweak);
        fonts.font_data.insert(name.into(), Arc::new(data));
    };
    add(
        REGULAR,
        include_bytes!("../../assets/fonts/Inter-Regular.otf"),
        FontTweak::default(),
    );
    add(
        SEMIBOLD,
        include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
        FontTweak::default(),
    );
    add(
        ICONS,
        include_bytes!("../../assets/icons/Phosphor.ttf"),
        FontTweak {
            scale: ICON_SCALE,
            y_offset_factor: ICON_DROP,
            ..FontTweak::default()
        },
    );
    let regular = vec![REGULAR.to_owned(), ICONS.to_owned()];
    // Figures are tabular everywhere: no second face is needed for what stands in columns.
    for family in [FontFamily::Proportional, FontFamily::Monospace] {
        fonts.families.insert(family, regular.clone());
    }
    fonts
        .families
        .insert(semibold(), vec![SEMIBOLD.to_owned(), ICONS.to_owned()]);
    fonts
}
