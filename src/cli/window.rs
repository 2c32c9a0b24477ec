//! Before the window opens.

use anyhow::bail;

/// Tells at once where there is no display to open a window on.
///
/// # Errors
/// A sentence: what is missing and what to do.
#[cfg(feature = "gui")]
pub fn check_display() -> anyhow::Result<()> {
    use crate::jobs::doctor::examine_display;

    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let displays = ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"];
    if !cfg!(target_os = "linux") || displays.into_iter().any(set) {
        return Ok(());
    }
    let display = examine_display();
    let advice = display
        .remedy
        .map_or_else(String::new, |remedy| remedy.advice);
    bail!(
        "the window cannot open: {}. {advice} Commands such as `maskscope infer` need no display.",
        display.found
    )
}

/// This build has no window.
///
/// # Errors
/// Always.
#[cfg(not(feature = "gui"))]
pub fn check_display() -> anyhow::Result<()> {
    bail!(
        "this build has no window (cargo feature gui); `maskscope --help` lists what the command line does"
    )
}
