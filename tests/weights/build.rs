//! Checkpoint files of every format as bytes, small, right or wrong on purpose.

use std::io::Write;

/// A pickle under construction. Nothing is checked: hostile files are made with it too.
#[derive(Clone, Default)]
pub struct Pickle(Vec<u8>);

impl Pickle {
    /// Begins with a protocol.
    pub fn protocol(number: u8) -> Self {
        Self(vec![0x80, number])
    }

    /// Some instructions as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// GLOBAL.
    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// BINUNICODE.
    pub fn text(self, text: &str) -> Self {
        self.raw(b"X")
            .raw(&(text.len() as u32).to_le_bytes())
            .raw(text.as_bytes())
    }

    /// BINBYTES.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.raw(b"B")
            .raw(&(bytes.len() as u32).to_le_bytes())
            .raw(bytes)
    }

    /// LONG1.
    pub fn int(self, value: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    /// A tuple of integers.
    pub fn ints(self, values: &[i64]) -> Self {
        let marked = self.raw(b"(");
        values.iter().fold(marked, |p, &v| p.int(v)).raw(b"t")
    }

    /// STOP.
    pub fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A tensor of a PyTorch file: a view of a storage.
#[derive(Clone)]
pub struct View {
    pub name: &'static str,
    pub key: &'static str,
    pub storage: &'static str,
    pub numel: i64,
    pub offset: i64,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}

impl View {
    /// A row-major f32 view of the whole of storage 0.
    pub fn new(size: &[i64]) -> Self {
        let mut stride = vec![1; size.len()];
        for axis in (1..size.len()).rev() {
            stride[axis - 1] = stride[axis] * size[axis];
        }
        Self {
            name: "conv1.weight",
            key: "0",
            storage: "FloatStorage",
            numel: size.iter().product(),
            offset: 0,
            size: size.to_vec(),
            stride,
        }
    }

    /// Instructions that leave the tensor on the stack.
    pub fn push(&self, pickle: Pickle) -> Pickle {
        pickle
            .global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", self.storage)
            .text(self.key)
            .text("cpu")
            .int(self.numel)
            .raw(b"tQ")
            .int(self.offset)
            .ints(&self.size)
            .ints(&self.stride)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }
}

/// The pickle of `{'state_dict': OrderedDict(...)}`.
pub fn state_dict(views: &[View]) -> Vec<u8> {
    let begin = Pickle::protocol(2)
        .raw(b"}(")
        .text("state_dict")
        .global("collections", "OrderedDict")
        .raw(b")R(");
    views
        .iter()
        .fold(begin, |pickle, view| view.push(pickle.text(view.name)))
        .raw(b"uu")
        .stop()
}

/// One entry of a zip file.
pub struct Entry<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
}

/// A zip file of stored entries.
pub fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut central = Vec::new();
    for entry in entries {
        let start = out.len() as u32;
        // Version, flags, method, time, date, crc, sizes, lengths of name and extra.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(entry.data).to_le_bytes());
        common.extend((entry.data.len() as u32).to_le_bytes());
        common.extend((entry.data.len() as u32).to_le_bytes());
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(entry.name.as_bytes());
        out.extend(entry.data);
        central.extend(b"PK\x01\x02\x14\x00");
        central.extend(&common);
        // Comment length, disk, attributes.
        central.extend([0; 10]);
        central.extend(start.to_le_bytes());
        central.extend(entry.name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A PyTorch zip of one pickle and storage 0.
pub fn torch_zip(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    zip(&[
        Entry {
            name: "m/data.pkl",
            data: pickle,
        },
        Entry {
            name: "m/byteorder",
            data: b"little",
        },
        Entry {
            name: "m/data/0",
            data: storage,
        },
    ])
}

/// A PyTorch zip whose entries are deflated.
pub fn deflated_zip(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, data) in [("m/data.pkl", pickle), ("m/data/0", storage)] {
        writer.start_file(name, options).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The magic number of the legacy container as a pickle.
pub const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The legacy container of one object and its storages in order.
pub fn torch_legacy(object: &[u8], storages: &[(&str, i64, &[u8])]) -> Vec<u8> {
    let mut out = LEGACY_MAGIC.to_vec();
    out.extend(Pickle::protocol(2).raw(b"M\xe9\x03").stop());
    let system = Pickle::protocol(2)
        .raw(b"}(")
        .text("protocol_version")
        .raw(b"M\xe9\x03")
        .text("little_endian")
        .raw(b"\x88u");
    out.extend(system.stop());
    out.extend(object);
    let keys = storages
        .iter()
        .fold(Pickle::protocol(2).raw(b"]("), |p, (key, ..)| p.text(key))
        .raw(b"e");
    out.extend(keys.stop());
    for (_, numel, data) in storages {
        out.extend(numel.to_le_bytes());
        out.extend(*data);
    }
    out
}

/// A numpy array on the stack, as detectron2's files have them.
pub fn numpy_array(pickle: Pickle, shape: &[i64], code: &str, order: &str, data: &[u8]) -> Pickle {
    pickle
        .global("numpy.core.multiarray", "_reconstruct")
        .raw(b"(")
        .global("numpy", "ndarray")
        .raw(b"K\0\x85C\x01btR(K\x01")
        .ints(shape)
        .global("numpy", "dtype")
        .text(code)
        .raw(b"K\0K\x01\x87R(K\x03")
        .text(order)
        .raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89")
        .bytes(data)
        .raw(b"tb")
}

/// A bare pickle of `{'model': {'conv1.weight': array}}`.
pub fn numpy_pickle(shape: &[i64], code: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let begin = Pickle::protocol(4)
        .raw(b"}(")
        .text("model")
        .raw(b"}(")
        .text("conv1.weight");
    numpy_array(begin, shape, code, order, data)
        .raw(b"uu")
        .stop()
}

/// A safetensors file from its header's text.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// A protobuf number.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A protobuf field of bytes.
pub fn field(number: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(payload.len() as u64));
    out.extend(payload);
    out
}

/// A MindSpore entry.
pub fn value(name: &str, dims: &[u64], type_name: &str, content: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    for &size in dims {
        tensor.push(8);
        tensor.extend(varint(size));
    }
    tensor.extend(field(2, type_name.as_bytes()));
    tensor.extend(field(3, content));
    let mut message = field(1, name.as_bytes());
    message.extend(field(2, &tensor));
    field(1, &message)
}

/// The checksum trailer of a MindSpore file.
pub fn with_crc(mut body: Vec<u8>, crc: u32) -> Vec<u8> {
    body.extend(b"crc_num");
    body.extend([0; 6]);
    body.extend(crc.to_be_bytes());
    body
}

/// Little-endian bytes of 0, 1, 2, …
pub fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// A named tensor in memory.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// A PyTorch zip as a training program writes it: `{meta: …, state_dict: {…}}`, one storage a tensor. `meta` are
/// instructions that leave one value.
pub fn checkpoint_zip(tensors: &[Named], meta: &[u8]) -> Vec<u8> {
    let mut pickle = Pickle::protocol(2)
        .raw(b"}(")
        .text("meta")
        .raw(meta)
        .text("state_dict")
        .global("collections", "OrderedDict")
        .raw(b")R(");
    let mut data = Vec::new();
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        let size: Vec<i64> = shape.iter().map(|&s| s as i64).collect();
        let mut view = View::new(&size);
        view.key = index.to_string().leak();
        pickle = view.push(pickle.text(name));
        data.push((
            format!("archive/data/{index}"),
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<u8>>(),
        ));
    }
    let pickle = pickle.raw(b"uu").stop();
    let mut entries = vec![Entry {
        name: "archive/data.pkl",
        data: &pickle,
    }];
    entries.extend(data.iter().map(|(name, data)| Entry { name, data }));
    zip(&entries)
}

/// A MindSpore file of f32 tensors.
pub fn checkpoint_ckpt(tensors: &[Named]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, shape, values) in tensors {
        let dims: Vec<u64> = shape.iter().map(|&s| s as u64).collect();
        let content: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.extend(value(name, &dims, "Float32", &content));
    }
    out
}
