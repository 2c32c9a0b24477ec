//! Numbers, ids and masks out of an entry: each is a value, or a reason why the entry cannot be used.

use super::json::{Cursor, Syntax, Token};
use super::text::Text;
use crate::coco::rle_string;
use crate::structures::{Rle, Size};

/// A value, or why there is none.
pub(super) type Checked<T> = Result<T, String>;

/// Largest integer that a float holds without its neighbours falling on it.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The first thing wrong with an entry.
#[derive(Default)]
pub(super) struct Problem(pub Option<String>);

impl Problem {
    /// The value; of a reason, the first is kept, with the key in front.
    pub fn keep<T>(&mut self, key: &str, value: Checked<T>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(reason) => {
                self.add(|| format!("{key} {reason}"));
                None
            }
        }
    }

    /// Notes what is wrong where nothing was so far.
    pub fn add(&mut self, reason: impl FnOnce() -> String) {
        self.0.get_or_insert_with(reason);
    }
}

fn unlike<T>(token: Token<'_>, wanted: &str) -> Checked<T> {
    Err(format!("is {}, not {wanted}", token.kind()))
}

/// A finite number.
pub(super) fn finite(token: Token<'_>) -> Checked<f64> {
    let Token::Number(number) = token else {
        return unlike(token, "a number");
    };
    let text = number.text();
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("is {text}, no finite number")),
    }
}

/// A finite number or null.
pub(super) fn finite_or_null(token: Token<'_>) -> Checked<Option<f64>> {
    match token {
        Token::Null => Ok(None),
        _ => finite(token).map(Some),
    }
}

/// A whole number from 0, also as `7.0` or in quotes.
pub(super) fn id(token: Token<'_>) -> Checked<u64> {
    let refuse = |text: &str| Err(format!("is {text}, not a whole number from 0"));
    match token {
        Token::Number(number) => {
            let value = number.digits().or_else(|| whole(number.text()));
            value.map_or_else(|| refuse(number.text()), Ok)
        }
        Token::Text(text) => {
            let text = text.lossy();
            whole(text.trim()).map_or_else(|| refuse(&format!("`{text}`")), Ok)
        }
        _ => unlike(token, "a whole number"),
    }
}

fn whole(text: &str) -> Option<u64> {
    if let Ok(value) = text.parse::<u64>() {
        return Some(value);
    }
    let value = text.parse::<f64>().ok()?;
    let is_whole = value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&value);
    is_whole.then_some(value as u64)
}

/// Which image a result belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ImageKey {
    Id(u64),
    Name(String),
}

impl ImageKey {
    pub fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// An image id; a text that is no number is a name.
pub(super) fn image_key(token: Token<'_>) -> Checked<ImageKey> {
    if let Token::Text(text) = token {
        let name = text.text().ok_or("is not UTF-8")?;
        if name.is_empty() {
            return Err("is an empty text".into());
        }
        let like_a_number = name.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !like_a_number || name.trim().parse::<f64>().is_err() {
            return Ok(ImageKey::Name(name.into_owned()));
        }
    }
    id(token).map(ImageKey::Id)
}

/// Four finite numbers; `None` for null and for an empty list.
pub(super) fn four(cursor: &mut Cursor<'_>) -> Result<Checked<Option<[f64; 4]>>, Syntax> {
    if cursor.peek() != Some(b'[') {
        let token = cursor.value()?;
        return Ok(match token {
            Token::Null => Ok(None),
            _ => unlike(token, "a list of four numbers"),
        });
    }
    let (mut values, mut count, mut bad) = ([0.0; 4], 0, None);
    cursor.list(|cursor| {
        let value = finite(cursor.value()?);
        match (value, values.get_mut(count)) {
            (Ok(value), Some(slot)) => *slot = value,
            (Err(reason), _) => {
                bad.get_or_insert(format!("[{count}] {reason}"));
            }
            (Ok(_), None) => {}
        }
        count += 1;
        Ok(())
    })?;
    Ok(match (bad, count) {
        (Some(reason), _) => Err(reason),
        (None, 4) => Ok(Some(values)),
        (None, 0) => Ok(None),
        (None, count) => Err(format!("has {count} numbers, not 4")),
    })
}

/// Boxes have no negative side.
pub(super) fn check_sides(width: f64, height: f64) -> Checked<()> {
    for (side, name) in [(width, "width"), (height, "height")] {
        if side < 0.0 {
            return Err(format!("has a {name} of {side}, below 0"));
        }
    }
    Ok(())
}

enum Counts<'a> {
    Text(Text<'a>),
    Runs(Vec<u32>),
}

/// A COCO mask, compressed or not: `None` for null or an empty list, which some tools write for boxes.
pub(super) fn mask(cursor: &mut Cursor<'_>) -> Result<Checked<Option<Rle>>, Syntax> {
    if cursor.peek() != Some(b'{') {
        return no_object(cursor);
    }
    let (mut problem, mut size, mut counts) = (Problem::default(), None, None);
    cursor.object(|cursor, key| {
        match key.bytes().as_ref() {
            b"size" => size = problem.keep("size", mask_size(cursor)?),
            b"counts" => counts = problem.keep("counts", mask_counts(cursor)?),
            _ => {
                cursor.value()?;
            }
        }
        Ok(())
    })?;
    if let Some(reason) = problem.0 {
        return Ok(Err(format!("is broken: {reason}")));
    }
    let (Some(size), Some(counts)) = (size, counts) else {
        let missing = if size.is_none() { "size" } else { "counts" };
        return Ok(Err(format!("has no {missing}")));
    };
    let rle = match counts {
        Counts::Text(text) => rle_string::decode_whole(&text.bytes(), size),
        Counts::Runs(runs) => rle_string::from_whole_runs(runs, size),
    };
    Ok(rle.map(Some).map_err(|error| format!("is broken: {error}")))
}

fn no_object(cursor: &mut Cursor<'_>) -> Result<Checked<Option<Rle>>, Syntax> {
    if cursor.peek() != Some(b'[') {
        let token = cursor.value()?;
        return Ok(match token {
            Token::Null => Ok(None),
            _ => unlike(token, "a mask of size and counts"),
        });
    }
    let mut is_empty = true;
    cursor.list(|cursor| {
        is_empty = false;
        cursor.value().map(drop)
    })?;
    Ok(if is_empty {
        Ok(None)
    } else {
        Err("is a list of polygons, not a mask of size and counts".into())
    })
}

/// [height, width]
fn mask_size(cursor: &mut Cursor<'_>) -> Result<Checked<Size>, Syntax> {
    if cursor.peek() != Some(b'[') {
        return Ok(unlike(cursor.value()?, "a list of height and width"));
    }
    let (mut sides, mut count, mut bad) = ([0; 2], 0, None);
    cursor.list(|cursor| {
        match (id(cursor.value()?), sides.get_mut(count)) {
            (Ok(value), Some(side)) => *side = value,
            (Ok(_), None) => {}
            (Err(reason), _) => {
                bad.get_or_insert(reason);
            }
        }
        count += 1;
        Ok(())
    })?;
    let [height, width] = sides;
    Ok(match (bad, count) {
        (Some(reason), _) => Err(reason),
        (None, 2) => check_size(width, height),
        (None, _) => Err("is not [height, width]".into()),
    })
}

/// A size that an image can have.
pub(super) fn check_size(width: u64, height: u64) -> Checked<Size> {
    let size = Size::new(
        usize::try_from(width).unwrap_or(usize::MAX),
        usize::try_from(height).unwrap_or(usize::MAX),
    );
    if size.pixels() == 0 || size.pixels() > u32::MAX as usize {
        return Err(format!("is {size}, no size of an image"));
    }
    Ok(size)
}

fn mask_counts<'a>(cursor: &mut Cursor<'a>) -> Result<Checked<Counts<'a>>, Syntax> {
    if cursor.peek() != Some(b'[') {
        let token = cursor.value()?;
        return Ok(match token {
            Token::Text(text) => Ok(Counts::Text(text)),
            _ => unlike(token, "a text or a list of runs"),
        });
    }
    let (mut runs, mut bad) = (Vec::new(), None);
    cursor.list(|cursor| {
        let run = id(cursor.value()?);
        match run.map(u32::try_from) {
            Ok(Ok(run)) => runs.push(run),
            Ok(Err(_)) => {
                bad.get_or_insert("hold a run beyond 32 bits".into());
            }
            Err(reason) => {
                bad.get_or_insert(format!("hold a run that {reason}"));
            }
        }
        Ok(())
    })?;
    Ok(bad.map_or(Ok(Counts::Runs(runs)), Err))
}
