//! The build for CUDA beside this one. It is linked with the driver's library and does not start without, so that this
//! program, which starts everywhere, looks first and then hands over.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::doctor;

/// File name of the other build, without the platform's ending.
pub const NAME: &str = "maskscope-cuda";
/// Set to `off`, this program goes on itself.
pub const VARIABLE: &str = "MASKSCOPE_CUDA";
/// Set by the program that hands over, so that nobody does it twice.
pub const HANDED_OVER: &str = "MASKSCOPE_HANDED_OVER";

/// The other build tells its version within so long; how often it is looked after meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(2);
/// Longest text that the other build is listened to.
const MOST_TEXT: u64 = 64 * 1024;

/// What became of looking for the other build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Companion {
    /// This is it already, or was started by one.
    Itself,
    /// The user does not want it.
    Off,
    /// It is not where it is looked for.
    NotThere(PathBuf),
    /// It is there, but no device answers.
    NoDevice(PathBuf),
    /// It is there and does not start: mostly a library that is not found.
    CannotStart(PathBuf, String),
    /// It is there and of another version.
    OtherVersion(PathBuf, String),
    /// It can take over.
    Ready(PathBuf),
}

impl Companion {
    /// In words, for `doctor`; none where there is nothing to say.
    pub fn describe(&self) -> Option<String> {
        match self {
            Self::Itself => None,
            Self::Off => Some(format!("{VARIABLE}=off: {NAME} is not used")),
            Self::NotThere(place) => Some(format!("no build for CUDA at {}", place.display())),
            Self::NoDevice(place) => Some(format!(
                "{} is there, but no CUDA device answers that it runs on",
                place.display()
            )),
            Self::CannotStart(place, why) => {
                Some(format!("{} does not start: {why}", place.display()))
            }
            Self::OtherVersion(place, version) => Some(format!(
                "{} says {version:?}, this is {}: install both from one build",
                place.display(),
                doctor::VERSION
            )),
            Self::Ready(place) => Some(format!("{} takes over", place.display())),
        }
    }
}

/// Looks for the other build beside this one, asks the driver for a device, and tries whether the build starts.
pub fn look() -> Companion {
    if cfg!(feature = "cuda") || std::env::var_os(HANDED_OVER).is_some() {
        return Companion::Itself;
    }
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "off") {
        return Companion::Off;
    }
    let place = place();
    if !place.is_file() {
        return Companion::NotThere(place);
    }
    if !doctor::has_cuda_device() {
        return Companion::NoDevice(place);
    }
    try_it(place)
}

fn place() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let name = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    own.parent().unwrap_or(Path::new(".")).join(name)
}

/// Starts it for its version: what does not start says why on its way out.
fn try_it(place: PathBuf) -> Companion {
    let child = Command::new(&place)
        .arg("--version")
        .env(HANDED_OVER, "looking")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Companion::CannotStart(place, error.to_string()),
    };
    // A version and an error are short: no pipe is full before the end.
    let status = match wait(&mut child) {
        Ok(Some(status)) => status,
        answer => {
            // It may have ended in this moment.
            let _ = child.kill();
            let _ = child.wait();
            let slow = format!("it says nothing within {} s", PATIENCE.as_secs());
            let why = answer.err().map_or(slow, |error| error.to_string());
            return Companion::CannotStart(place, why);
        }
    };
    let said = read(child.stdout.take());
    let complained = read(child.stderr.take());
    match complained.trim() {
        _ if status.success() => {}
        "" => return Companion::CannotStart(place, status.to_string()),
        why => return Companion::CannotStart(place, why.to_owned()),
    }
    let first = said.lines().next().unwrap_or_default().trim();
    if first == format!("maskscope {}", doctor::VERSION) {
        Companion::Ready(place)
    } else {
        Companion::OtherVersion(place, first.to_owned())
    }
}

/// Its end; none where that takes too long.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(PERIOD);
    }
    Ok(None)
}

fn read(pipe: Option<impl Read>) -> String {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        // What could not be read is missing from a message.
        let _ = pipe.take(MOST_TEXT).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
