//! Views beyond their storage, containers, headers and messages that lie, files that are something else.

use super::super::build::*;
use super::{read, refused};

fn view_refused(what: &str, change: impl Fn(&mut View), part: &str) {
    let mut view = View::new(&[2, 3]);
    change(&mut view);
    let pickle = state_dict(&[view.clone()]);
    refused(what, &torch_zip(&pickle, &floats(6)), part);
    if view.key == "0" && view.numel == 6 && view.storage == "FloatStorage" {
        let data = floats(6);
        let legacy = torch_legacy(&pickle, &[("0", 6, &data)]);
        refused(what, &legacy, part);
    }
}

#[test]
fn views_that_reach_beyond_their_storage() {
    assert_eq!(
        read(&torch_zip(&state_dict(&[View::new(&[2, 3])]), &floats(6)))
            .unwrap()
            .len(),
        1
    );
    view_refused(
        "shorter than claimed",
        |v| v.numel = 7,
        "claims 28 bytes, 24 are there",
    );
    view_refused(
        "longer than claimed",
        |v| v.numel = 5,
        "claims 20 bytes, 24 are there",
    );
    view_refused("numel below zero", |v| v.numel = -1, "not as it should be");
    view_refused(
        "numel overflows",
        |v| v.numel = i64::MAX,
        "bytes, 24 are there",
    );
    view_refused(
        "other element",
        |v| v.storage = "DoubleStorage",
        "claims 48 bytes",
    );
    view_refused(
        "unknown element",
        |v| v.storage = "QUInt8Storage",
        "QUInt8Storage",
    );
    view_refused(
        "no such storage",
        |v| v.key = "../../etc/passwd",
        "not in the file",
    );
    view_refused(
        "negative stride",
        |v| v.stride = vec![-3, 1],
        "negative stride -3",
    );
    view_refused("negative offset", |v| v.offset = -1, "negative offset -1");
    view_refused(
        "negative size",
        |v| v.size = vec![-2, 3],
        "negative size -2",
    );
    view_refused("offset", |v| v.offset = 1, "beyond its storage");
    view_refused(
        "offset overflows",
        |v| v.offset = i64::MAX,
        "beyond its storage",
    );
    view_refused("stride", |v| v.stride = vec![4, 1], "beyond its storage");
    view_refused(
        "stride overflows",
        |v| v.stride = vec![i64::MAX, 1],
        "beyond its storage",
    );
    view_refused(
        "ranks differ",
        |v| v.stride = vec![1],
        "2 sizes, but 1 strides",
    );
    view_refused(
        "sizes overflow",
        |v| v.size = vec![1 << 40, 1 << 40],
        "more elements",
    );
    view_refused(
        "sizes overflow to zero",
        |v| {
            v.size = vec![1 << 32, 1 << 32];
            v.stride = vec![0, 0];
        },
        "more elements",
    );
    view_refused(
        "repeated without end",
        |v| {
            v.size = vec![1 << 30];
            v.stride = vec![0];
        },
        "larger than its storage",
    );
    let twice = state_dict(&[View::new(&[2, 3]), View::new(&[2, 3])]);
    refused(
        "one name twice",
        &torch_zip(&twice, &floats(6)),
        "appears twice",
    );
}

#[test]
fn zip_containers() {
    let pickle = state_dict(&[View::new(&[2, 3])]);
    let good = torch_zip(&pickle, &floats(6));
    for cut in [good.len() - 1, good.len() - 30, good.len() / 2, 40] {
        refused("truncated", &good[..cut], "truncated or damaged");
    }
    fn entry<'a>(name: &'a str, data: &'a [u8]) -> Entry<'a> {
        Entry { name, data }
    }
    let data = floats(6);
    let pkl = entry("m/data.pkl", pickle.as_slice());
    let with = |name: &str, data: &[u8]| {
        zip(&[
            entry("m/data.pkl", &pickle),
            entry("m/data/0", &floats(6)),
            entry(name, data),
        ])
    };
    refused("TorchScript", &with("m/constants.pkl", b""), "TorchScript");
    refused(
        "two entries",
        &with("m/data/0", &data),
        "two entries of one name",
    );
    refused(
        "two pickles",
        &with("n/data.pkl", &pickle),
        "more than once",
    );
    refused("big-endian", &with("m/byteorder", b"big"), "big-endian");
    refused(
        "no pickle",
        &zip(&[entry("a.txt", b"hello, world")]),
        "no PyTorch checkpoint",
    );
    refused("npz", &zip(&[entry("a.npy", b"\x93NUMPY")]), ".npz");
    refused("no storage", &zip(&[pkl]), "storage 0 is not in the file");
    refused("no entries", &zip(&[]), "not a checkpoint");

    // The second entry's directory record points at the first one's bytes.
    let mut overlapping = good.clone();
    let records: Vec<usize> = (0..good.len() - 4)
        .filter(|&at| good[at..].starts_with(b"PK\x01\x02"))
        .collect();
    let first = overlapping[records[0] + 42..records[0] + 46].to_vec();
    overlapping[records[1] + 42..records[1] + 46].copy_from_slice(&first);
    refused("overlapping", &overlapping, "overlap");

    let mut beyond = good.clone();
    for at in [20, 24] {
        beyond[records[2] + at..records[2] + at + 4]
            .copy_from_slice(&0x7FFF_FFFF_u32.to_le_bytes());
    }
    refused("beyond the end", &beyond, "hostile.bin");
}

#[test]
fn zip_bombs() {
    let pickle = state_dict(&[View::new(&[2, 3])]);
    assert_eq!(read(&deflated_zip(&pickle, &floats(6))).unwrap().len(), 1);
    let bomb = deflated_zip(&pickle, &vec![0; 100 << 20]);
    assert!(bomb.len() < 200_000);
    refused("100 MB of zeros", &bomb, "too much");
    // The directory claims ten bytes, the data holds ten million.
    let mut lie = deflated_zip(&pickle, &vec![0; 10 << 20]);
    let size = (10_u32 << 20).to_le_bytes();
    let at: Vec<usize> = (0..lie.len() - 4)
        .filter(|&at| lie[at..].starts_with(&size))
        .collect();
    assert!(!at.is_empty());
    for at in at {
        lie[at..at + 4].copy_from_slice(&24_u32.to_le_bytes());
    }
    refused("a size that lies", &lie, "does not inflate");
}

#[test]
fn legacy_containers() {
    let pickle = state_dict(&[View::new(&[2, 3])]);
    let data = floats(6);
    let good = torch_legacy(&pickle, &[("0", 6, &data)]);
    assert_eq!(read(&good).unwrap().len(), 1);
    for cut in [good.len() - 1, good.len() - 24, good.len() - 30] {
        refused("truncated", &good[..cut], "claims 24 bytes");
    }
    for cut in [good.len() - 40, good.len() / 2, LEGACY_MAGIC.len() + 2] {
        refused("truncated", &good[..cut], "truncated");
    }
    refused(
        "another length",
        &torch_legacy(&pickle, &[("0", 7, &data)]),
        "length of a storage",
    );
    refused(
        "unknown key",
        &torch_legacy(&pickle, &[("1", 6, &data)]),
        "storage 1 is not",
    );
    let twice = torch_legacy(&pickle, &[("0", 6, &data), ("0", 6, &data)]);
    refused("one key twice", &twice, "list of storages");
    let at = good.windows(3).position(|w| w == b"M\xe9\x03").unwrap();
    let mut protocol = good.clone();
    protocol[at + 1] = 0;
    refused("another protocol", &protocol, "protocol number");
    let mut big = good.clone();
    let at = good.windows(2).position(|w| w == b"\x88u").unwrap();
    big[at] = 0x89;
    refused("big-endian", &big, "big-endian");
}

#[test]
fn numpy_pickles() {
    let data = floats(6);
    assert_eq!(
        read(&numpy_pickle(&[2, 3], "f4", "<", &data))
            .unwrap()
            .len(),
        1
    );
    let check = |what: &str, shape: &[i64], code: &str, order: &str, part: &str| {
        refused(what, &numpy_pickle(shape, code, order, &data), part);
    };
    check(
        "too short",
        &[2, 4],
        "f4",
        "<",
        "needs 32 bytes, 24 are there",
    );
    check("overflow", &[1 << 40, 1 << 40], "f4", "<", "more elements");
    check("negative", &[-2, -3], "f4", "<", "array's shape");
    check("objects", &[6], "O8", "|", "element type");
    check("big-endian", &[2, 3], "f4", ">", "element type");
}

/// Right, but rare: column-major order, bytes as text, another kind of number, a scalar.
#[test]
fn numpy_arrays_of_every_kind() {
    let bytes = |file: &[u8]| {
        let tensors = read(file).unwrap();
        assert_eq!(tensors.len(), 1);
        (tensors[0].shape().to_vec(), tensors[0].bytes())
    };
    let begin = || {
        Pickle::protocol(2)
            .raw(b"}(")
            .text("model")
            .raw(b"}(")
            .text("a")
    };
    // The state's flag for column-major order is the byte before the content.
    let column_major = numpy_array(begin(), &[2, 3], "u1", "|", &[0, 1, 2, 3, 4, 5]);
    let mut column_major = column_major.raw(b"uu").stop();
    let flag = column_major.windows(2).position(|w| w == b"\x89B").unwrap();
    column_major[flag] = 0x88;
    assert_eq!(bytes(&column_major), (vec![2, 3], vec![0, 2, 4, 1, 3, 5]));
    // Protocol 2 writes bytes as a Latin-1 text.
    let empty = numpy_array(begin(), &[2], "u1", "|", &[]).raw(b"uu").stop();
    let at = empty.windows(5).position(|w| w == b"B\0\0\0\0").unwrap();
    let text = Pickle::default()
        .global("_codecs", "encode")
        .raw(b"(")
        .text("\u{ff}a")
        .text("latin1")
        .raw(b"tR?")
        .stop();
    let text = &text[..text.len() - 2];
    let latin1 = [&empty[..at], text, &empty[at + 5..]].concat();
    assert_eq!(bytes(&latin1), (vec![2], vec![0xFF, b'a']));
    let scalar = numpy_pickle(&[], "f8", "<", &2.5_f64.to_le_bytes());
    assert_eq!(bytes(&scalar), (vec![], 2.5_f64.to_le_bytes().to_vec()));
}

/// A storage of the legacy container that is a part of another's block.
#[test]
fn legacy_views() {
    let with_view = |view: &[i64]| {
        let object = Pickle::protocol(2)
            .raw(b"}")
            .text("a")
            .global("torch._utils", "_rebuild_tensor")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .int(6)
            .raw(b"(")
            .text("9")
            .int(view[0])
            .int(view[1])
            .raw(b"ttQ")
            .int(1)
            .ints(&[2])
            .ints(&[1])
            .raw(b"tRs")
            .stop();
        torch_legacy(&object, &[("0", 6, &floats(6))])
    };
    let tensors = read(&with_view(&[2, 4])).unwrap();
    assert_eq!(tensors[0].bytes(), floats(5)[12..]);
    refused("a part beyond", &with_view(&[3, 4]), "claims 28 bytes, 24");
    refused(
        "a part overflows",
        &with_view(&[i64::MAX, 4]),
        "24 are there",
    );
    refused("below zero", &with_view(&[-1, 4]), "not as it should be");
    refused(
        "a view beyond its part",
        &with_view(&[2, 2]),
        "beyond its storage",
    );
}

#[test]
fn safetensors_headers() {
    let entry = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let data = floats(4);
    let check = |what: &str, entries: &[String], part: &str| {
        let header = format!("{{{}}}", entries.join(","));
        refused(what, &safetensors(&header, &data), part);
    };
    let whole = entry("a", "F32", "[4]", "[0,16]");
    let (first, second) = (
        entry("a", "F32", "[2]", "[0,8]"),
        entry("b", "F32", "[2]", "[8,16]"),
    );
    assert_eq!(
        read(&safetensors(&format!("{{{first},{second}}}"), &data))
            .unwrap()
            .len(),
        2
    );
    check(
        "one name twice",
        &[first.clone(), entry("a", "F32", "[2]", "[8,16]")],
        "a appears twice",
    );
    check(
        "overlap",
        &[whole.clone(), second.clone()],
        "was expected as its start",
    );
    check(
        "same bytes",
        &[whole.clone(), entry("b", "F32", "[4]", "[0,16]")],
        "expected",
    );
    check(
        "gap",
        &[entry("a", "F32", "[1]", "[0,4]"), second.clone()],
        "expected",
    );
    check(
        "reversed",
        &[entry("a", "F32", "[4]", "[16,0]")],
        "expected",
    );
    check(
        "beyond",
        &[entry("a", "F32", "[8]", "[0,32]")],
        "the data has 16 bytes",
    );
    check(
        "huge",
        &[entry("a", "F32", "[4]", "[0,18446744073709551615]")],
        "16 bytes",
    );
    check(
        "too many for them",
        &[entry("a", "F32", "[8]", "[0,16]")],
        "needs 32 bytes",
    );
    check(
        "left over",
        std::slice::from_ref(&first),
        "8 bytes belong to no tensor",
    );
    check(
        "overflow",
        &[entry(
            "a",
            "F32",
            "[4294967296,4294967296,4294967296]",
            "[0,16]",
        )],
        "more elements",
    );
    check(
        "negative",
        &[entry("a", "F32", "[-4]", "[0,16]")],
        "header is broken",
    );
    check(
        "a fraction",
        &[entry("a", "F32", "[4.5]", "[0,16]")],
        "header is broken",
    );
    check(
        "unknown element",
        &[entry("a", "F8_E4M3", "[16]", "[0,16]")],
        "F8_E4M3",
    );
    check(
        "unknown key",
        &[r#""a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}"#.into()],
        "broken",
    );
    check(
        "metadata of numbers",
        &[r#""__metadata__":{"a":1}"#.into(), whole.clone()],
        "broken",
    );
    check(
        "metadata twice",
        &[
            r#""__metadata__":{},"__metadata__":{}"#.into(),
            whole.clone(),
        ],
        "twice",
    );
    check(
        "metadata key twice",
        &[r#""__metadata__":{"a":"1","a":"2"}"#.into(), whole],
        "twice",
    );
    let nested = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    refused("nested JSON", &safetensors(&nested, &data), "broken");
    refused("cut JSON", &safetensors(r#"{"a":{"#, &data), "broken");
    let mut claims = safetensors("{}", &data);
    for length in [100_000_001_u64, 1 << 62, u64::MAX, claims.len() as u64] {
        claims[..8].copy_from_slice(&length.to_le_bytes());
        refused("a header that is not there", &claims, "hostile.bin");
    }
}

#[test]
fn mindspore_messages() {
    let data = floats(6);
    let good = value("conv1.weight", &[2, 3], "Float32", &data);
    assert_eq!(read(&good).unwrap().len(), 1);
    // After a right first entry, so that the format is recognised.
    let after = |bytes: &[u8]| [good.as_slice(), bytes].concat();
    let check = |what: &str, bytes: &[u8], part: &str| refused(what, &after(bytes), part);
    let max = varint(u64::MAX);
    check(
        "length overflow",
        &[b"\x0a".as_slice(), &max].concat(),
        "claims 18446744073709551615",
    );
    check(
        "a number without end",
        &[&[0x0a][..], &[0xff; 20]].concat(),
        "no valid number",
    );
    check(
        "cut",
        &value("b", &[2, 3], "Float32", &data)[..20],
        "truncated",
    );
    check("another field", &field(2, b"abc"), "field 2");
    check("a number field", &[8, 1], "wire type 0");
    check("a group", &[11, 12], "wire type 3");
    check(
        "no name",
        &field(1, &field(2, &field(3, b"abcd"))),
        "no name",
    );
    check("no tensor", &field(1, &field(1, b"b")), "no tensor");
    let named = |tensor: &[u8]| field(1, &[field(1, b"b"), field(2, tensor)].concat());
    check("no type", &named(&field(3, b"abcd")), "no element type");
    check("no content", &named(&field(2, b"Float32")), "no content");
    check(
        "content twice",
        &named(&[field(3, b"a"), field(3, b"b")].concat()),
        "field 3",
    );
    check(
        "name not UTF-8",
        &field(1, &field(1, b"\xff\xfe")),
        "not UTF-8",
    );
    check(
        "too few bytes",
        &value("b", &[2, 4], "Float32", &data),
        "needs 32 bytes, 24",
    );
    check(
        "dims overflow",
        &value("b", &[1 << 40, 1 << 40], "Float32", &data),
        "more elements",
    );
    check(
        "negative",
        &value("b", &[u64::MAX], "Float32", &data),
        "18446744073709551615",
    );
    check(
        "many dims",
        &value("b", &vec![1; 1_000_000], "Float32", &data),
        "more than 32 sizes",
    );
    let packed = [
        field(1, &vec![1; 1_000_000]),
        field(2, b"Float32"),
        field(3, &data),
    ]
    .concat();
    check("many packed dims", &named(&packed), "more than 32 sizes");
    let again = value("conv1.weight", &[2, 3], "Float32", &data);
    let other = value("other", &[2, 3], "Float32", &data);
    check(
        "one name twice",
        &[other, again.clone()].concat(),
        "appears twice",
    );
    check("pieces beyond the shape", &again, "needs 24 bytes, 48");
    check(
        "pieces of two shapes",
        &value("conv1.weight", &[6], "Float32", &data),
        "appears twice",
    );
    let crc = crc32fast::hash(&good);
    assert_eq!(read(&with_crc(good.clone(), crc)).unwrap().len(), 1);
    refused(
        "a wrong checksum",
        &with_crc(good.clone(), crc ^ 1),
        "checksum",
    );
    let mut high = with_crc(good.clone(), crc);
    let at = good.len() + 7;
    high[at] = 1;
    refused("a checksum above 32 bits", &high, "checksum");
}

#[test]
fn files_that_are_something_else() {
    refused("empty", b"", "empty or truncated");
    refused("short", b"PK\x03\x04", "empty or truncated");
    refused(
        "LFS",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "git-lfs",
    );
    refused(
        "a web page",
        b"<!doctype html><html><body>Not found</body>",
        "web page",
    );
    refused("JSON", br#"{"error": "not found", "code": 404}"#, "JSON");
    refused(
        "a PNG",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01",
        "not a checkpoint",
    );
    refused("zeros", &[0; 1_000], "not a checkpoint");
    for magic in [0x7F3A_5ED8_u32, 0x7F3A_5ED9, 0x7F3A_5EDA] {
        let block = |head: [u8; 4]| [head.as_slice(), &[7; 60]].concat();
        refused("encrypted", &block(magic.to_le_bytes()), "encrypted");
        refused("encrypted", &block(magic.to_be_bytes()), "encrypted");
    }
    let mut tar = b"./././@PaxHeader".to_vec();
    tar.resize(257, 0);
    tar.extend(b"ustar\x0000");
    tar.resize(512, 0);
    refused("a tar of 2016", &tar, "too old");
}
