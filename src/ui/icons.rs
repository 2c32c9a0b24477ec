//! The icons, by the names that Phosphor gives them. The font is `assets/icons/Phosphor.ttf`.

/// `gear-six`.
pub const GEAR_SIX: &str = "\u{e272}";
/// `folder-open`.
pub const FOLDER_OPEN: &str = "\u{e256}";
/// `image`.
pub const IMAGE: &str = "\u{e2ca}";
/// `images`.
pub const IMAGES: &str = "\u{e836}";
/// `database`.
pub const DATABASE: &str = "\u{e1de}";
/// `sparkle`.
pub const SPARKLE: &str = "\u{e6a2}";
/// `cube`.
pub const CUBE: &str = "\u{e1da}";
/// `magnifying-glass`.
pub const MAGNIFYING_GLASS: &str = "\u{e30c}";
/// `caret-down`.
pub const CARET_DOWN: &str = "\u{e136}";
/// `caret-up`.
pub const CARET_UP: &str = "\u{e13c}";
/// `caret-right`.
pub const CARET_RIGHT: &str = "\u{e13a}";
/// `caret-left`.
pub const CARET_LEFT: &str = "\u{e138}";
/// `x`.
pub const X: &str = "\u{e4f6}";
/// `check`.
pub const CHECK: &str = "\u{e182}";
/// `warning`.
pub const WARNING: &str = "\u{e4e0}";
/// `warning-circle`.
pub const WARNING_CIRCLE: &str = "\u{e4e2}";
/// `info`.
pub const INFO: &str = "\u{e2ce}";
/// `pause`.
pub const PAUSE: &str = "\u{e39e}";
/// `play`.
pub const PLAY: &str = "\u{e3d0}";
/// `stop`.
pub const STOP: &str = "\u{e46c}";
/// `copy`.
pub const COPY: &str = "\u{e1ca}";
/// `trash`.
pub const TRASH: &str = "\u{e4a6}";
/// `keyboard`.
pub const KEYBOARD: &str = "\u{e2d8}";
/// `terminal-window`.
pub const TERMINAL_WINDOW: &str = "\u{eae8}";
/// `sun`.
pub const SUN: &str = "\u{e472}";
/// `moon`.
pub const MOON: &str = "\u{e330}";
/// `monitor`.
pub const MONITOR: &str = "\u{e32e}";
/// `frame-corners`.
pub const FRAME_CORNERS: &str = "\u{e626}";
/// `eye`.
pub const EYE: &str = "\u{e220}";
/// `eye-slash`.
pub const EYE_SLASH: &str = "\u{e224}";
/// `export`.
pub const EXPORT: &str = "\u{eaf0}";
/// `clock-counter-clockwise`.
pub const CLOCK_COUNTER_CLOCKWISE: &str = "\u{e1a0}";
/// `shapes`.
pub const SHAPES: &str = "\u{ec5e}";
/// `circle-half`.
pub const CIRCLE_HALF: &str = "\u{e18c}";
/// `file`.
pub const FILE: &str = "\u{e230}";
/// `funnel-simple`.
pub const FUNNEL_SIMPLE: &str = "\u{e268}";
/// `sort-ascending`.
pub const SORT_ASCENDING: &str = "\u{e444}";
/// `sort-descending`.
pub const SORT_DESCENDING: &str = "\u{e446}";
/// `selection`.
pub const SELECTION: &str = "\u{e69a}";
/// `polygon`.
pub const POLYGON: &str = "\u{e6d0}";
/// `bounding-box`.
pub const BOUNDING_BOX: &str = "\u{e6ce}";
/// `tag`.
pub const TAG: &str = "\u{e478}";
/// `arrow-clockwise`.
pub const ARROW_CLOCKWISE: &str = "\u{e036}";
/// `arrow-up`.
pub const ARROW_UP: &str = "\u{e08e}";
/// `arrow-down`.
pub const ARROW_DOWN: &str = "\u{e03e}";
/// `dots-three`.
pub const DOTS_THREE: &str = "\u{e1fe}";
/// `plus`.
pub const PLUS: &str = "\u{e3d4}";
/// `minus`.
pub const MINUS: &str = "\u{e32a}";
/// `image-broken`.
pub const IMAGE_BROKEN: &str = "\u{e7a8}";
/// `scan`.
pub const SCAN: &str = "\u{ebb6}";
/// `cpu`.
pub const CPU: &str = "\u{e610}";
/// `palette`.
pub const PALETTE: &str = "\u{e6c8}";
/// `sliders-horizontal`.
pub const SLIDERS_HORIZONTAL: &str = "\u{e434}";
/// `prohibit`.
pub const PROHIBIT: &str = "\u{e3de}";
/// `question`.
pub const QUESTION: &str = "\u{e3e8}";
/// `download-simple`.
pub const DOWNLOAD_SIMPLE: &str = "\u{e20c}";
/// `sign-out`.
pub const SIGN_OUT: &str = "\u{e42a}";
/// `target`.
pub const TARGET: &str = "\u{e47c}";
/// `grid-four`.
pub const GRID_FOUR: &str = "\u{e296}";
/// `list`.
pub const LIST: &str = "\u{e2f0}";
