//! The image service: results, order, the cache on disk, damaged files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use maskscope::jobs::images::{ImageEvent, ImageResult, ImageService, ImageServiceOptions};
use maskscope::jobs::infer::ImageTask;
use maskscope::structures::Size;

/// Long enough for a busy machine; a test that waits so long fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(cache_dir: Option<PathBuf>) -> ImageServiceOptions {
    ImageServiceOptions {
        cache_dir,
        thumbnail_side: 64,
        ..ImageServiceOptions::default()
    }
}

fn task(index: usize, path: &Path) -> ImageTask {
    ImageTask {
        index,
        path: path.to_owned(),
        declared: None,
    }
}

/// A gradient: column in red, row in green.
fn write_png(path: &Path, width: u32, height: u32) {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]))
        .save(path)
        .unwrap();
}

/// A service and what its `wake` sends.
fn start(options: ImageServiceOptions) -> (ImageService, mpsc::Receiver<()>) {
    let (send, receive) = mpsc::channel();
    let service = ImageService::start(options, move || {
        send.send(()).ok();
    });
    (service, receive)
}

/// The next event, asked for only after `wake`.
fn next_event(service: &ImageService, woken: &mpsc::Receiver<()>) -> Vec<ImageEvent> {
    let end = Instant::now() + PATIENCE;
    loop {
        woken
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .expect("wake was not called");
        let events = service.events();
        if !events.is_empty() {
            return events;
        }
    }
}

fn thumbnail(service: &ImageService, woken: &mpsc::Receiver<()>, task: ImageTask) -> ImageResult {
    service.request_thumbnail(task, 1);
    match next_event(service, woken).pop().unwrap() {
        ImageEvent::Thumbnail { result, .. } => result,
        other => panic!("expected a thumbnail, got {other:?}"),
    }
}

#[test]
fn a_requested_image_arrives_whole_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    write_png(&path, 20, 10);
    let (service, woken) = start(options(None));
    assert!(service.full(3).is_none());
    service.request_full(task(3, &path));
    next_event(&service, &woken);
    let image = service.full(3).unwrap().unwrap();
    assert_eq!((image.size, image.pixels), (Size::new(20, 10), image.size));
    assert_eq!(image.rgba.len(), 20 * 10 * 4);
    assert_eq!(image.rgba[(4 * 20 + 13) * 4..][..4], [13, 4, 7, 255]);
    service.request_full(task(3, &path));
    service.prefetch(vec![task(3, &path)]);
    assert!(
        woken.recv_timeout(Duration::from_millis(50)).is_err(),
        "what is in memory is not decoded again"
    );
    service.clear();
    assert!(service.full(3).is_none());
}

#[test]
fn the_next_images_are_decoded_before_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let tasks: Vec<ImageTask> = (0..6)
        .map(|i| {
            let path = folder.path().join(format!("{i}.png"));
            write_png(&path, 30, 20);
            task(i, &path)
        })
        .collect();
    let (service, _woken) = start(options(None));
    service.prefetch(tasks);
    let end = Instant::now() + PATIENCE;
    while !(0..6).all(|i| matches!(service.full(i), Some(Ok(_)))) {
        assert!(Instant::now() < end, "not all were prefetched");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_very_large_image_is_shown_smaller_in_its_own_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    write_png(&path, 200, 100);
    let (service, woken) = start(ImageServiceOptions {
        max_pixels: 5000,
        ..options(None)
    });
    service.request_full(task(0, &path));
    next_event(&service, &woken);
    let image = service.full(0).unwrap().unwrap();
    assert_eq!(
        (image.size, image.pixels),
        (Size::new(200, 100), Size::new(100, 50))
    );
    assert_eq!(image.rgba.len(), 100 * 50 * 4);
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.png");
    let bad = folder.path().join("bad.png");
    write_png(&good, 8, 8);
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let (service, woken) = start(options(None));
    for (index, path) in [(0, &bad), (1, &folder.path().join("gone.png"))] {
        let error = thumbnail(&service, &woken, task(index, path)).unwrap_err();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        service.request_full(task(index, path));
        next_event(&service, &woken);
        assert!(service.full(index).unwrap().is_err());
    }
    assert!(thumbnail(&service, &woken, task(2, &good)).is_ok());
}

#[test]
fn thumbnails_come_from_the_disk_until_the_image_changes() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let path = folder.path().join("a.png");
    write_png(&path, 200, 100);
    let files = || walk(&cache);
    let (service, woken) = start(options(Some(cache.clone())));
    let first = thumbnail(&service, &woken, task(0, &path)).unwrap();
    assert_eq!(first.pixels, Size::new(64, 32));
    assert_eq!(files().len(), 1);

    // A mark that only the cached file can have.
    let mark = image::RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 30]));
    mark.save_with_format(&files()[0], image::ImageFormat::Jpeg)
        .unwrap();
    let (service, woken) = start(options(Some(cache.clone())));
    let second = thumbnail(&service, &woken, task(0, &path)).unwrap();
    assert!(
        second.rgba[0] > 150,
        "read from the cache: {:?}",
        &second.rgba[..4]
    );

    // Damage is repaired.
    std::fs::write(&files()[0], b"no image").unwrap();
    let third = thumbnail(&service, &woken, task(0, &path)).unwrap();
    assert_eq!(third.rgba, first.rgba);

    // Another content at the same path has another name.
    write_png(&path, 100, 100);
    let other = thumbnail(&service, &woken, task(0, &path)).unwrap();
    assert_eq!(other.pixels, Size::new(64, 64));
    assert_eq!(files().len(), 2);

    std::fs::write(cache.join("mine.txt"), b"not ours").unwrap();
    service.clear_cache();
    let end = Instant::now() + PATIENCE;
    while files().len() > 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        files(),
        [cache.join("mine.txt")],
        "only our files are deleted"
    );
}

#[test]
fn the_cache_on_disk_keeps_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let limit = 20_000;
    let (service, woken) = start(ImageServiceOptions {
        cache_bytes: limit,
        ..options(Some(cache.clone()))
    });
    let mut written = 0;
    for i in 0..40 {
        let path = folder.path().join(format!("{i}.png"));
        write_png(&path, 64, 64);
        thumbnail(&service, &woken, task(i, &path)).unwrap();
        written += 1;
    }
    let bytes: u64 = walk(&cache)
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    let kept = walk(&cache).len();
    assert!(bytes <= limit, "{bytes} bytes in {kept} files");
    assert!(kept > 0 && kept < written, "{kept} of {written} kept");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[cfg(feature = "gui")]
mod loader {
    use super::*;
    use maskscope::ui::loader::{ImageRef, Loaded, Loader};

    /// Polls as frames do until `ready` says so.
    fn frames<T>(
        ctx: &egui::Context,
        loader: &mut Loader,
        mut ready: impl FnMut(&mut Loader) -> Option<T>,
    ) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "nothing arrived");
            loader.poll(ctx);
            if let Some(found) = ready(loader) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_image_arrives_and_thumbnails_become_textures() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..30)
            .map(|i| folder.path().join(format!("{i}.png")))
            .collect();
        for path in &paths[..29] {
            write_png(path, 40, 30);
        }
        let image = |index: usize| ImageRef {
            index,
            path: &paths[index],
            declared: None,
        };
        let ctx = egui::Context::default();
        let mut loader = Loader::new(&ctx, options(None));
        frames(&ctx, &mut loader, |loader| {
            match loader.image(image(10), &[image(9), image(11)]) {
                Loaded::Ready(found) => Some(found),
                Loaded::Pending => None,
                Loaded::Failed(error) => panic!("{error}"),
            }
        });
        let failed = frames(&ctx, &mut loader, |loader| {
            let mut failed = None;
            let mut textures = 0;
            for index in 0..30 {
                match loader.thumbnail(image(index)) {
                    Loaded::Ready(texture) => {
                        assert_eq!(texture.size, egui::vec2(40.0, 30.0));
                        textures += 1;
                    }
                    Loaded::Failed(error) => failed = Some(error),
                    Loaded::Pending => {}
                }
            }
            failed.filter(|_| textures == 29)
        });
        assert!(failed.contains("29.png"), "{failed}");
        loader.clear();
        assert!(matches!(loader.thumbnail(image(0)), Loaded::Pending));
    }
}
