//! Writing a prediction file: one line an image into `OUTPUT.partial`, the whole file in one rename at the end.
//!
//! The partial file is JSON lines: a head with the fingerprint of what made it, then one image a line in the order of
//! work. A kill can only cut the last line, which the next run drops.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::ser::{SerializeMap, Serializer as _};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::quality::{self, Quality};
use crate::coco::{CocoError, PredictedImage, file, python_json};
use crate::structures::ClassTable;

/// Version of the partial file's form.
const FORM: u32 = 1;
/// A head is far shorter; a longer first line is no partial file.
const MAX_HEAD: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Head {
    maskscope_partial: u32,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    entry: Entry,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quality: Vec<Option<Quality>>,
}

/// Where an image's line lies in the partial file.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    length: usize,
    has_quality: bool,
}

/// Collects predictions in `OUTPUT.partial`; `finish` makes OUTPUT of it.
pub struct Writer {
    output: PathBuf,
    partial: PathBuf,
    /// Removes a partial file that no later run is to go on from.
    temporary: Option<tempfile::TempPath>,
    /// OUTPUT is a device or a pipe: written straight.
    is_special: bool,
    file: File,
    end: u64,
    index: BTreeMap<String, Span>,
}

/// A writer, and what an earlier run left for it.
pub struct Resumed {
    /// The writer.
    pub writer: Writer,
    /// Images that are done, in name order.
    pub done: Vec<String>,
    /// What to tell the user: resumed, or why not.
    pub note: Option<String>,
}

impl Writer {
    /// Starts afresh, whatever an earlier run left. `hash` is the fingerprint of checkpoint and configuration.
    ///
    /// # Errors
    /// The folder cannot be written, or another run writes the same output.
    pub fn create(output: &Path, hash: &str) -> Result<Self, CocoError> {
        let mut writer = Self::open(output, Keep::Partial)?;
        writer.restart(hash)?;
        Ok(writer)
    }

    /// Goes on where an earlier run with the same `hash` stopped; with another, starts afresh and says so.
    ///
    /// # Errors
    /// As `create`.
    pub fn resume_or_create(output: &Path, hash: &str) -> Result<Resumed, CocoError> {
        let mut writer = Self::open(output, Keep::Partial)?;
        let partial = writer.partial.display().to_string();
        let note = match writer.read_partial(hash)? {
            Found::Nothing => None,
            Found::Same if writer.index.is_empty() => None,
            Found::Same => {
                let count = writer.index.len();
                Some(format!("resuming {partial}: {count} images are done"))
            }
            Found::OtherHash => Some(format!(
                "{partial} was made with another checkpoint or configuration: starting afresh"
            )),
            Found::Damaged => Some(format!("{partial} cannot be read: starting afresh")),
        };
        if writer.index.is_empty() {
            writer.restart(hash)?;
        }
        Ok(Resumed {
            done: writer.index.keys().cloned().collect(),
            note,
            writer,
        })
    }

    /// Where finished images wait until `finish`.
    pub fn partial_path(&self) -> &Path {
        &self.partial
    }

    /// Number of images done.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no image is done.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Adds an image, or replaces it. After an error the images before it are safe.
    ///
    /// # Errors
    /// A full disk, a number that is not finite.
    pub fn append(
        &mut self,
        image: &PredictedImage,
        classes: &ClassTable,
    ) -> Result<(), CocoError> {
        let line = Line {
            path: image.path.clone(),
            entry: Entry::new(image, classes)?,
            quality: quality::of_detections(&image.detections),
        };
        let has_quality = !line.quality.is_empty();
        let mut bytes = to_bytes(&line).map_err(|source| self.failed(source))?;
        bytes.push(b'\n');
        self.write_at_end(&bytes)?;
        let span = Span {
            start: self.end - bytes.len() as u64,
            length: bytes.len(),
            has_quality,
        };
        self.index.insert(line.path, span);
        Ok(())
    }

    /// Writes OUTPUT with its images in name order, then removes the partial file. OUTPUT is replaced in one step.
    ///
    /// # Errors
    /// OUTPUT cannot be written; the partial file stays and the next run goes on from it.
    pub fn finish(mut self) -> Result<(), CocoError> {
        let result = if self.is_special {
            self.finish_special()
        } else {
            self.finish_file()
        };
        result.map_err(|source| self.failed(source))
    }

    fn finish_special(&mut self) -> std::io::Result<()> {
        let target = OpenOptions::new().write(true).open(&self.output)?;
        let mut buffered = BufWriter::new(target);
        self.write_entries(&mut buffered)?;
        buffered.flush()
    }

    fn finish_file(&mut self) -> std::io::Result<()> {
        let beside = quality::path_beside(&self.output);
        if self.index.values().any(|span| span.has_quality) {
            let mut temporary = file::temporary_beside(&beside)?;
            self.write_quality(&mut BufWriter::new(&mut temporary))?;
            file::persist(temporary, &beside)?;
        } else {
            remove_if_there(&beside)?; // of an earlier file
        }
        let mut temporary = file::temporary_beside(&self.output)?;
        self.write_entries(&mut BufWriter::new(&mut temporary))?;
        file::persist(temporary, &self.output)?;
        remove_if_there(&self.partial)
    }

    fn write_entries(&mut self, writer: &mut impl Write) -> std::io::Result<()> {
        let spans: Vec<Span> = self.index.values().copied().collect();
        let mut serializer = python_json::serializer(&mut *writer);
        let mut map = serializer.serialize_map(Some(spans.len()))?;
        for span in spans {
            let line = self.read_line(span)?;
            map.serialize_entry(&line.path, &line.entry)?;
        }
        map.end()?;
        writer.flush()
    }

    fn write_quality(&mut self, writer: &mut impl Write) -> std::io::Result<()> {
        let spans = self.index.values().filter(|span| span.has_quality);
        let spans: Vec<Span> = spans.copied().collect();
        let mut serializer = python_json::serializer(&mut *writer);
        let mut map = serializer.serialize_map(Some(spans.len()))?;
        for span in spans {
            let line = self.read_line(span)?;
            map.serialize_entry(&line.path, &line.quality)?;
        }
        map.end()?;
        writer.flush()
    }

    fn read_line(&mut self, span: Span) -> std::io::Result<Line> {
        let mut bytes = vec![0; span.length];
        self.file.seek(SeekFrom::Start(span.start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn open(output: &Path, keep: Keep) -> Result<Self, CocoError> {
        let fail = |path: &Path, source| CocoError::Write {
            path: path.to_owned(),
            source,
            kept: "choose another output, or make its folder writable".into(),
        };
        // Through a link the file itself is replaced, not the link.
        let output = std::fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
        let kind = std::fs::metadata(&output);
        if kind.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(fail(&output, source));
        }
        let is_special = kind.is_ok_and(|kind| !kind.is_file());
        let (file, partial, temporary) = match keep {
            Keep::Partial if !is_special => {
                let partial = file::with_suffix(&output, ".partial");
                let file = open_or_create(&partial).map_err(|source| fail(&partial, source))?;
                (file, partial, None)
            }
            _ => {
                let temporary = if is_special {
                    tempfile::NamedTempFile::new()
                } else {
                    file::temporary_beside(&output)
                };
                let temporary = temporary.map_err(|source| fail(&output, source))?;
                let (file, path) = temporary.into_parts();
                (file, path.to_path_buf(), Some(path))
            }
        };
        // Where a file system has no locks, two runs are the user's own risk.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(CocoError::Busy { path: partial });
        }
        Ok(Self {
            output,
            partial,
            temporary,
            is_special,
            file,
            end: 0,
            index: BTreeMap::new(),
        })
    }

    fn restart(&mut self, hash: &str) -> Result<(), CocoError> {
        self.index.clear();
        self.end = 0;
        let head = Head {
            maskscope_partial: FORM,
            hash: hash.to_owned(),
        };
        let mut bytes = to_bytes(&head).map_err(|source| self.failed(source))?;
        bytes.push(b'\n');
        self.file.set_len(0).map_err(|source| self.failed(source))?;
        self.write_at_end(&bytes)
    }

    /// One write a line, so that a kill cuts at most this one; a failed one is taken back.
    fn write_at_end(&mut self, bytes: &[u8]) -> Result<(), CocoError> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(bytes));
        if let Err(source) = written {
            let _ = self.file.set_len(self.end);
            return Err(self.failed(source));
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads what an earlier run left and cuts off what is not whole.
    fn read_partial(&mut self, hash: &str) -> Result<Found, CocoError> {
        let found = self
            .scan(hash)
            .map_err(|source| CocoError::read(&self.partial, source))?;
        if matches!(found, Found::Same) {
            self.file
                .set_len(self.end)
                .map_err(|source| self.failed(source))?;
        }
        Ok(found)
    }

    fn scan(&mut self, hash: &str) -> std::io::Result<Found> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.file);
        let mut bytes = Vec::new();
        (&mut reader).take(MAX_HEAD).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(Found::Nothing);
        }
        match serde_json::from_slice::<Head>(&bytes) {
            Ok(head) if head.maskscope_partial != FORM || !bytes.ends_with(b"\n") => {
                return Ok(Found::Damaged);
            }
            Ok(head) if head.hash != hash => return Ok(Found::OtherHash),
            Ok(_) => {}
            Err(_) => return Ok(Found::Damaged),
        }
        let mut end = bytes.len() as u64;
        loop {
            bytes.clear();
            reader.read_until(b'\n', &mut bytes)?;
            if !bytes.ends_with(b"\n") {
                break;
            }
            let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
                break;
            };
            let span = Span {
                start: end,
                length: bytes.len(),
                has_quality: !line.quality.is_empty(),
            };
            self.index.insert(line.path, span);
            end += bytes.len() as u64;
        }
        self.end = end;
        Ok(Found::Same)
    }

    fn failed(&self, source: std::io::Error) -> CocoError {
        let kept = if self.temporary.is_some() {
            "make room or choose another output, then run it again".into()
        } else {
            format!(
                "{} finished images are kept in {}: make room or choose another output, then run the same command again",
                self.index.len(),
                self.partial.display()
            )
        };
        CocoError::Write {
            path: self.output.clone(),
            source,
            kept,
        }
    }
}

/// Whether a later run is to go on from what this one wrote.
enum Keep {
    Partial,
    Nothing,
}

/// What an earlier run left.
enum Found {
    Nothing,
    Same,
    OtherHash,
    Damaged,
}

/// Writes a whole file at once, images in name order: what Export does.
///
/// # Errors
/// As `Writer`; an existing file stays as it was.
pub fn write(
    output: &Path,
    images: &[PredictedImage],
    classes: &ClassTable,
) -> Result<(), CocoError> {
    let mut writer = Writer::open(output, Keep::Nothing)?;
    writer.restart("")?;
    for image in images {
        writer.append(image, classes)?;
    }
    writer.finish()
}

fn open_or_create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

fn to_bytes(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
