//! `maskscope review`: what a review has said and changed so far, and edits from a script.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::Shared;
use super::{interrupt, output};
use crate::document::review::{
    Access, Applied, Conflict, Counts, Edit, Keep, Opinion, ReviewSession, Target,
};
use crate::jobs::sets::open_set;

/// How long a disk may refuse before a script ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// List verdicts, tags, notes and edits of a set's review, or apply edits from a file
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope review val2017/ --list
  maskscope review labels.json --list --json
  maskscope review labels.json --apply edits.jsonl
  maskscope review labels.json --keep theirs

--apply reads one JSON object a line, from standard input where the file is -. Each is on disk before its answer is printed:
  {\"edit\": \"set_class\", \"id\": 12, \"category_id\": 3}
  {\"edit\": \"set_mask\", \"id\": 12, \"segmentation\": [[10, 10, 60, 10, 60, 40]]}
  {\"edit\": \"set_crowd\", \"id\": 12, \"iscrowd\": true}
  {\"edit\": \"delete\", \"ids\": [12, 13]}
  {\"edit\": \"add\", \"image_id\": 1, \"category_id\": 3, \"segmentation\": {\"size\": [425, 640], \"counts\": \"...\"}}
  {\"edit\": \"split\", \"id\": 12}          {\"edit\": \"merge\", \"ids\": [12, 13]}
  {\"edit\": \"add_category\", \"name\": \"cat\"}
  {\"edit\": \"verdict\", \"target\": {\"annotation\": 12}, \"verdict\": \"reject\"}
      (accept, reject, wrong_class, bad_mask, missing_object or null; target also {\"image\": 1})
  {\"edit\": \"tags\", \"target\": {\"annotation\": 12}, \"tags\": [\"blurred\"]}
  {\"edit\": \"note\", \"target\": {\"annotation\": 12}, \"note\": \"half of it\"}
  {\"edit\": \"together\", \"words\": \"Clean up\", \"edits\": [..]}
  {\"edit\": \"undo\"}                      {\"edit\": \"redo\"}

The first line that is refused ends it with exit code 1; the lines before it are kept.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["list", "apply", "keep"]))]
pub struct Args {
    /// The set: a folder of any COCO layout, or a JSON
    #[arg(value_name = "SET")]
    pub data: PathBuf,
    /// Where the set's images lie, if not where its layout says
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// List what there is
    #[arg(long)]
    pub list: bool,
    /// Apply the edits of a file of JSON lines; - is standard input
    #[arg(long, value_name = "EDITS.jsonl")]
    pub apply: Option<PathBuf>,
    /// Settle every conflict with a file that another program changed
    #[arg(long, value_name = "SIDE", value_enum)]
    pub keep: Option<Side>,
}

/// Whose annotation stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// The review's
    Mine,
    /// The file's
    Theirs,
}

/// Runs the command.
///
/// # Errors
/// The set or its review refused; an edit refused; the disk refuses.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let set = Arc::new(open_set(&args.data, args.images.as_deref())?);
    if args.list {
        let review = ReviewSession::open(set, Access::Read)?;
        return list(&review, shared, out);
    }
    let mut review = ReviewSession::open(set, Access::Edit)?;
    for note in review.notes().iter().filter(|_| !shared.quiet) {
        eprintln!("note: {note}");
    }
    if let Some(side) = args.keep {
        let keep = match side {
            Side::Mine => Keep::Mine,
            Side::Theirs => Keep::Theirs,
        };
        let ids: Vec<u64> = review
            .conflicts()
            .iter()
            .map(|conflict| conflict.id)
            .collect();
        for id in ids {
            let done = review.settle(id, keep)?;
            answer(&review, &done, out)?;
        }
        return Ok(review.close(PATIENCE)?);
    }
    let path = args.apply.clone().unwrap_or_default();
    apply(&mut review, &path, out)?;
    Ok(review.close(PATIENCE)?)
}

/// A line of a script.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Move { edit: Move },
    Edit(Box<Edit>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Move {
    Undo,
    Redo,
}

fn apply(review: &mut ReviewSession, path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let stop = interrupt::flag()?;
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        Box::new(std::io::BufReader::new(file))
    };
    for (number, line) in (1..).zip(input.lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        if stop.load(Ordering::Relaxed) {
            anyhow::bail!("stopped before line {number}; what was answered is saved");
        }
        let place = || format!("line {number} of {}", path.display());
        let done = match read(&line).with_context(place)? {
            Line::Edit(edit) => review.apply(&edit).with_context(place)?,
            Line::Move { edit } => {
                let moved = match edit {
                    Move::Undo => review.undo(),
                    Move::Redo => review.redo(),
                };
                let nothing = || anyhow::anyhow!("there is nothing to undo or redo");
                moved?.ok_or_else(nothing).with_context(place)?
            }
        };
        answer(review, &done, out)?;
    }
    Ok(())
}

/// The error of an untagged enum tells nothing: an edit is read again by itself.
fn read(line: &str) -> Result<Line, serde_json::Error> {
    match serde_json::from_str(line) {
        Ok(read) => Ok(read),
        Err(_) => serde_json::from_str(line).map(|edit| Line::Edit(Box::new(edit))),
    }
}

/// Printed when it is on disk, not before.
fn answer(review: &ReviewSession, done: &Applied, out: &mut dyn Write) -> anyhow::Result<()> {
    review.wait_saved(done.ticket, PATIENCE)?;
    let position = review.history_position();
    let seq = position
        .checked_sub(1)
        .and_then(|at| review.history().get(at));
    let line = json!({
        "seq": seq.map_or(0, |line| line.seq),
        "words": done.words,
        "new_ids": done.new_ids,
        "changed": done.is_change,
    });
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// What `--list --json` prints.
#[derive(Serialize)]
struct Listing<'a> {
    set: &'a Path,
    database: Option<&'a Path>,
    edits: Counts,
    history: Vec<Entry<'a>>,
    opinions: Vec<Said<'a>>,
    conflicts: &'a [Conflict],
    queues: Vec<QueueRow<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    seq: i64,
    at: &'a str,
    words: &'a str,
    image_id: Option<u64>,
    done: bool,
}

#[derive(Serialize)]
struct Said<'a> {
    target: &'a Target,
    #[serde(flatten)]
    opinion: &'a Opinion,
}

#[derive(Serialize)]
struct QueueRow<'a> {
    name: &'a str,
    progress: String,
}

fn list(review: &ReviewSession, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let done = review.history_position();
    let lines = review.history().iter().enumerate();
    let opinions = review.opinions().iter();
    let queues = review.queues().iter();
    let listing = Listing {
        set: review.set().json(),
        database: review.database(),
        edits: review.corrections().counts(),
        history: lines
            .map(|(at, line)| Entry {
                seq: line.seq,
                at: &line.at,
                words: &line.words,
                image_id: line.image_id,
                done: at < done,
            })
            .collect(),
        opinions: opinions
            .map(|(target, opinion)| Said { target, opinion })
            .collect(),
        conflicts: review.conflicts(),
        queues: queues
            .map(|(name, queue)| QueueRow {
                name,
                progress: review.progress(queue).words(),
            })
            .collect(),
    };
    if shared.json {
        return output::json(&listing, out);
    }
    print(&listing, out)
}

fn print(listing: &Listing<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let counts = listing.edits;
    writeln!(out, "{}", listing.set.display())?;
    match listing.database {
        Some(path) => writeln!(out, "review in {}", path.display())?,
        None => writeln!(out, "no review yet")?,
    }
    writeln!(
        out,
        "{} masks changed, {} other changes, {} added, {} deleted, {} new categories",
        counts.masks_changed,
        counts.fields_changed,
        counts.added,
        counts.deleted,
        counts.categories_added
    )?;
    for conflict in listing.conflicts {
        writeln!(out, "conflict: {}", conflict.words)?;
    }
    for queue in &listing.queues {
        writeln!(out, "queue {}: {}", queue.name, queue.progress)?;
    }
    for said in &listing.opinions {
        let verdict = said.opinion.verdict.map_or("–", |verdict| verdict.words());
        let target = match said.target {
            Target::Annotation(id) => format!("annotation {id}"),
            Target::Image(id) => format!("image {id}"),
            Target::Prediction(key) => format!("prediction {} of image {}", key.mask, key.image_id),
        };
        let tags = said.opinion.tags.join(", ");
        writeln!(out, "{target}: {verdict}; {tags}; {}", said.opinion.note)?;
    }
    for entry in &listing.history {
        let undone = if entry.done { "" } else { " (undone)" };
        writeln!(
            out,
            "{:>6}  {}  {}{undone}",
            entry.seq, entry.at, entry.words
        )?;
    }
    Ok(())
}
