//! `metrics.jsonl` read as it grows. A resumed run cuts it back, so what was read may no longer be there.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::records::MetricsLine;
use super::runs::{METRICS, RunsError};

/// Bytes of one reading: a long run comes in parts.
const PART: u64 = 2 * 1024 * 1024;
/// So many bytes before the place of reading are compared: a file that was cut back and has grown again since has others.
/// Some lines, since their ends alone may agree.
const WITNESS: usize = 1_024;

/// What one reading found.
#[derive(Debug, Default, PartialEq)]
pub struct MetricsPart {
    /// What was read before no longer holds: these lines are the first.
    pub restarted: bool,
    /// Whole lines in their order.
    pub lines: Vec<MetricsLine>,
    /// Lines that are not of this format.
    pub refused: usize,
    /// The file has more already.
    pub has_more: bool,
}

/// A place in the file.
#[derive(Debug)]
pub struct MetricsReader {
    path: PathBuf,
    offset: u64,
    /// The bytes before `offset`.
    witness: Vec<u8>,
}

impl MetricsReader {
    /// At the beginning of the run's metrics.
    pub fn new(run: &Path) -> Self {
        Self {
            path: run.join(METRICS),
            offset: 0,
            witness: Vec::new(),
        }
    }

    /// Reads what is new. A last line without its end is left for the next reading.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&mut self) -> Result<MetricsPart, RunsError> {
        let path = self.path.clone();
        let refused = |source| RunsError::Read {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let restarted = self.offset > 0;
                self.restart();
                return Ok(MetricsPart {
                    restarted,
                    ..MetricsPart::default()
                });
            }
            Err(error) => return Err(refused(error)),
        };
        let restarted = !self.holds(&mut file).map_err(refused)?;
        if restarted {
            self.restart();
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(refused)?;
        let mut bytes = Vec::new();
        file.take(PART).read_to_end(&mut bytes).map_err(refused)?;
        let is_full = bytes.len() as u64 == PART;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        bytes.truncate(whole);
        self.offset += whole as u64;
        self.remember(&bytes);
        let mut part = parse(&bytes);
        part.restarted = restarted;
        part.has_more = is_full && whole > 0;
        Ok(part)
    }

    /// Whether the bytes before the place of reading are still those that were read.
    fn holds(&self, file: &mut File) -> std::io::Result<bool> {
        if self.offset == 0 {
            return Ok(true);
        }
        if file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset - self.witness.len() as u64))?;
        let mut now = vec![0; self.witness.len()];
        file.read_exact(&mut now)?;
        Ok(now == self.witness)
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.witness.clear();
    }

    fn remember(&mut self, read: &[u8]) {
        self.witness.extend_from_slice(read);
        let surplus = self.witness.len().saturating_sub(WITNESS);
        self.witness.drain(..surplus);
    }
}

fn parse(bytes: &[u8]) -> MetricsPart {
    let mut part = MetricsPart::default();
    let lines = bytes.split(|&byte| byte == b'\n');
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(line) => part.lines.push(line),
            Err(_) => part.refused += 1,
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(step: usize) -> String {
        let losses =
            r#""rpn_cls":0.1,"rpn_box":0.1,"cls":0.1,"bbox":0.1,"mask":0.1,"mask_iou":0.1"#;
        format!(
            r#"{{"kind":"step","epoch":1,"step":{step},"global_step":{step},"loss":0.6,{losses},"lr":0.01,"grad_norm":null,"images_per_second":2,"data_time":0.1,"step_time":1,"memory_mib":900}}"#
        ) + "\n"
    }

    fn steps(part: &MetricsPart) -> Vec<usize> {
        let step = |line: &MetricsLine| match line {
            MetricsLine::Step(step) => step.global_step,
            MetricsLine::Eval(eval) => 1000 + eval.epoch,
        };
        part.lines.iter().map(step).collect()
    }

    #[test]
    fn lines_come_once_and_whole() {
        let home = tempfile::tempdir().unwrap();
        let mut reader = MetricsReader::new(home.path());
        assert_eq!(reader.read().unwrap(), MetricsPart::default());
        let path = home.path().join(METRICS);
        std::fs::write(&path, line(1) + &line(2)[..40]).unwrap();
        assert_eq!(steps(&reader.read().unwrap()), [1]);
        assert_eq!(steps(&reader.read().unwrap()), [0; 0]);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&line(2).as_bytes()[40..]).unwrap();
        file.write_all(b"{\"kind\":\"other\"}\n").unwrap();
        let eval = r#"{"kind":"eval","epoch":1,"global_step":2,"bbox_mAP":0.2,"seg_mAP":0.1,"seg_mAP_by_score":0.1,"loss":0.6,"seconds":3}"#;
        file.write_all(format!("{eval}\n").as_bytes()).unwrap();
        let part = reader.read().unwrap();
        assert_eq!((steps(&part), part.refused), (vec![2, 1001], 1));
        assert!(!part.restarted && !part.has_more);
    }

    #[test]
    fn a_file_that_was_cut_back_is_read_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(METRICS);
        let write = |steps: &[usize]| {
            let text: String = steps.iter().copied().map(line).collect();
            std::fs::write(&path, text).unwrap();
        };
        let mut reader = MetricsReader::new(home.path());
        write(&[1, 2, 3]);
        assert_eq!(steps(&reader.read().unwrap()), [1, 2, 3]);
        write(&[1]);
        let part = reader.read().unwrap();
        assert!(part.restarted);
        assert_eq!(steps(&part), [1]);
        // Cut back and grown past the old end between two readings.
        write(&[1, 5, 6]);
        assert_eq!(steps(&reader.read().unwrap()), [5, 6]);
        write(&[1, 7, 8, 9]);
        let part = reader.read().unwrap();
        assert!(part.restarted);
        assert_eq!(steps(&part), [1, 7, 8, 9]);
        std::fs::remove_file(&path).unwrap();
        assert!(reader.read().unwrap().restarted);
    }

    #[test]
    fn a_long_file_comes_in_parts() {
        let home = tempfile::tempdir().unwrap();
        let count = PART as usize / line(1).len() + 100;
        let text: String = (1..=count).map(line).collect();
        std::fs::write(home.path().join(METRICS), text).unwrap();
        let mut reader = MetricsReader::new(home.path());
        let first = reader.read().unwrap();
        assert!(first.has_more);
        let second = reader.read().unwrap();
        assert!(!second.has_more && !second.restarted);
        assert_eq!(first.lines.len() + second.lines.len(), count);
    }
}
