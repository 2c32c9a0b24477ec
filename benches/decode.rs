//! Decoding photos: `cargo bench --bench decode -- FOLDER [--peer PYTHON]`. Full size and as thumbnails, on one thread; the peer
//! is libjpeg-turbo through Pillow, which must be in that Python. Prints the fastest of three rounds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use maskscope::data::{decode, decode_thumbnail, list_images};

const ROUNDS: usize = 3;
/// As the gallery has them.
const THUMBNAIL: usize = 256;
const MOST: usize = 150;

/// The same files from memory: whole, and at the scale that the decoder offers above the thumbnail's size.
const PEER: &str = r#"
import io, sys, time
from PIL import Image
files = [open(path, "rb").read() for path in sys.argv[2:]]
side = int(sys.argv[1])
def whole(data):
    Image.open(io.BytesIO(data)).convert("RGB").load()
def reduced(data):
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (side, side))
    image.load()
    image.thumbnail((side, side))
for name, run in (("whole", whole), ("thumbnails", reduced)):
    fastest = 1e9
    for _ in range(3):
        began = time.perf_counter()
        for data in files:
            run(data)
        fastest = min(fastest, time.perf_counter() - began)
    print(f"libjpeg-turbo, {name}: {fastest:.3f} s")
"#;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let Some(folder) = arguments.first() else {
        println!("usage: cargo bench --bench decode -- FOLDER [--peer PYTHON]");
        return;
    };
    let mut paths = list_images(Path::new(folder), true).unwrap();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("jpg"))
    });
    paths.truncate(MOST);
    // The files are in the system's cache before anyone is timed.
    let pixels: usize = paths
        .iter()
        .map(|path| decode(path, None).unwrap().size.pixels())
        .sum();
    println!("{} photos, {:.1} Mpx", paths.len(), pixels as f64 / 1e6);
    measure("own, whole", &paths, |path| {
        drop(decode(path, None).unwrap())
    });
    measure("own, thumbnails", &paths, |path| {
        drop(decode_thumbnail(path, THUMBNAIL, None).unwrap());
    });
    if let Some(at) = arguments.iter().position(|argument| argument == "--peer") {
        let python = &arguments[at + 1];
        let status = Command::new(python)
            .args(["-c", PEER, &THUMBNAIL.to_string()])
            .args(&paths)
            .status();
        assert!(status.unwrap().success(), "{python}");
    }
}

fn measure(what: &str, paths: &[PathBuf], run: impl Fn(&Path)) {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        paths.iter().for_each(|path| run(path));
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    println!("{what}: {fastest:.3} s");
}
