//! Small right files of every format, mutated: no panic, no hang, no large allocation. `MASKSCOPE_MUTATIONS` sets
//! the number of seeds a reader (20,000 without it).

use crate::support::hang::Stopwatch;
use std::path::Path;
use std::time::Duration;

use maskscope::weights::tensors_of_bytes;

use super::build::*;
use crate::support::memory;

/// More than any of these files, of less than 4 kB, can need.
const MEMORY: usize = 64 << 20;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// One to four changes: bits, telling bytes, numbers, cuts, copies, exchanges.
fn mutate(file: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    const BYTES: [u8; 8] = [0, 1, 0x7F, 0x80, 0xFF, b'.', b'(', b'R'];
    const NUMBERS: [u64; 8] = [
        0,
        1,
        0x7FFF_FFFF,
        0xFFFF_FFFF,
        1 << 32,
        i64::MAX as u64,
        u64::MAX,
        100_000_000,
    ];
    let mut out = file.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len());
        match random.below(8) {
            0 | 1 if !out.is_empty() => out[at] ^= 1 << random.below(8),
            2 if !out.is_empty() => out[at] = BYTES[random.below(BYTES.len())],
            3 if !out.is_empty() => out[at] = random.next() as u8,
            4 => {
                let width = [2, 4, 8][random.below(3)].min(out.len() - at);
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                out[at..at + width].copy_from_slice(&number[..width]);
            }
            5 => out.truncate(at),
            6 => {
                let part = &others[random.below(others.len())];
                let start = random.below(part.len());
                let len = random.below(64).min(part.len() - start);
                let end = (at + random.below(64)).min(out.len());
                out.splice(at..end, part[start..start + len].iter().copied());
            }
            _ => {
                let len = random.below(64).min(out.len() - at);
                let copy = out[at..at + len].to_vec();
                let to = random.below(out.len() + 1);
                out.splice(to..to, copy);
            }
        }
    }
    out
}

fn survives(reader: &str, files: &[Vec<u8>]) {
    let seeds: u64 = std::env::var("MASKSCOPE_MUTATIONS")
        .ok()
        .map_or(20_000, |text| text.parse().expect("a number of seeds"));
    for file in files {
        let tensors = tensors_of_bytes(Path::new(reader), file.clone());
        assert!(!tensors.unwrap().is_empty(), "{reader}: a right file");
    }
    let (mut read, mut refused) = (0, 0);
    for seed in 0..seeds {
        let mut random = Random(seed);
        let file = &files[random.below(files.len())];
        let bytes = mutate(file, files, &mut random);
        let start = Stopwatch::start();
        let (result, peak) = memory::peak(|| {
            let tensors = tensors_of_bytes(Path::new(reader), bytes)?;
            // Every element is touched.
            Ok::<_, maskscope::weights::WeightsError>(
                tensors.iter().map(|t| t.bytes().len()).sum::<usize>(),
            )
        });
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{reader}: seed {seed} hangs"
        );
        assert!(peak < MEMORY, "{reader}: seed {seed} takes {peak} bytes");
        match result {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(
                    error.to_string().ends_with(&format!("(in {reader})")),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    // Mutations that change nothing, or everything, would test nothing.
    assert!(
        read > 0 && refused > 0,
        "{reader}: {read} read, {refused} refused"
    );
}

fn views() -> Vec<View> {
    let mut second = View::new(&[2, 3]);
    second.name = "fc.weight";
    second.size = vec![3, 2];
    second.stride = vec![1, 3];
    vec![View::new(&[2, 3]), second]
}

#[test]
fn mutated_safetensors() {
    let header = r#"{"__metadata__":{"format":"maskscope"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]}}"#;
    survives("safetensors", &[safetensors(header, &floats(7))]);
}

#[test]
fn mutated_torch_zips() {
    let pickle = state_dict(&views());
    let files = [
        torch_zip(&pickle, &floats(6)),
        deflated_zip(&pickle, &floats(6)),
    ];
    survives("zip", &files);
}

#[test]
fn mutated_torch_legacy() {
    let data = floats(6);
    let file = torch_legacy(&state_dict(&views()), &[("0", 6, &data)]);
    survives("legacy", &[file]);
}

#[test]
fn mutated_pickles() {
    let data = floats(6);
    let python2 = Pickle::protocol(2).raw(b"}(U\x05model}(U\x01a");
    let python2 = numpy_array(python2, &[6], "f4", "<", &data)
        .raw(b"U\x01bccollections\nOrderedDict\n)Ruu")
        .stop();
    survives(
        "pickle",
        &[numpy_pickle(&[2, 3], "f4", "<", &data), python2],
    );
}

#[test]
fn mutated_mindspore() {
    let data = floats(6);
    let body = [
        value("conv1.weight", &[2, 3], "Float32", &data[..12]),
        value("conv1.weight", &[2, 3], "Float32", &data[12..]),
        value("bn1.gamma", &[3], "Float64", &data),
        value("step", &[0], "Int64", &data[..8]),
    ]
    .concat();
    let crc = crc32fast::hash(&body);
    survives("mindspore", &[body.clone(), with_crc(body, crc)]);
}
