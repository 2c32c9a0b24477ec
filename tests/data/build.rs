//! Small image files built by hand, for the forms that no encoder at hand writes.

/// A PNG chunk.
fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    let sum = crc32fast::hash(&bytes[4..]);
    bytes.extend(sum.to_be_bytes());
    bytes
}

/// A zlib stream of one stored block.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let mut bytes = vec![0x78, 0x01, 0x01];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(data);
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    bytes.extend(((b << 16) | a).to_be_bytes());
    bytes
}

fn header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut body = width.to_be_bytes().to_vec();
    body.extend(height.to_be_bytes());
    body.extend([depth, colour, 0, 0, 0]);
    chunk(b"IHDR", &body)
}

const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// A PNG of `rows` (each without its filter byte), with more chunks before its data.
pub fn png(
    width: u32,
    depth: u8,
    colour: u8,
    extra: &[(&[u8; 4], &[u8])],
    rows: &[&[u8]],
) -> Vec<u8> {
    let data: Vec<u8> = rows.iter().flat_map(|row| [&[0], *row].concat()).collect();
    let mut bytes = PNG.to_vec();
    bytes.extend(header(width, rows.len() as u32, depth, colour));
    for (kind, body) in extra {
        bytes.extend(chunk(kind, body));
    }
    bytes.extend(chunk(b"IDAT", &stored(&data)));
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// A PNG that says it is that large, with next to no data.
pub fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = PNG.to_vec();
    bytes.extend(header(width, height, 8, 2));
    bytes.extend(chunk(b"IDAT", &stored(&[0, 1, 2, 3])));
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// An animated PNG of one column and two frames: `first` is also the default image.
pub fn apng(first: [u8; 3], second: [u8; 3]) -> Vec<u8> {
    let control = |number: u32| {
        let mut body = number.to_be_bytes().to_vec();
        for value in [1u32, 1, 0, 0] {
            body.extend(value.to_be_bytes());
        }
        body.extend([0, 1, 0, 10, 0, 0]);
        chunk(b"fcTL", &body)
    };
    let row = |[r, g, b]: [u8; 3]| stored(&[0, r, g, b]);
    let mut bytes = PNG.to_vec();
    bytes.extend(header(1, 1, 8, 2));
    bytes.extend(chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]));
    bytes.extend(control(0));
    bytes.extend(chunk(b"IDAT", &row(first)));
    bytes.extend(control(1));
    bytes.extend(chunk(
        b"fdAT",
        &[&2u32.to_be_bytes()[..], &row(second)].concat(),
    ));
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// An animated WebP of two still ones of the same size.
pub fn animated_webp(width: u32, height: u32, frames: [&[u8]; 2]) -> Vec<u8> {
    let riff = |kind: &[u8; 4], body: &[u8]| {
        let mut bytes = kind.to_vec();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let three = |value: u32| value.to_le_bytes()[..3].to_vec();
    let mut body = b"WEBP".to_vec();
    let canvas = [three(width - 1), three(height - 1)].concat();
    body.extend(riff(b"VP8X", &[&[0b10, 0, 0, 0][..], &canvas].concat()));
    body.extend(riff(b"ANIM", &[0; 6]));
    for still in frames {
        let place = [three(0), three(0)].concat();
        let picture = &still[12..]; // without RIFF, length and WEBP
        let frame = [&place[..], &canvas, &three(100), &[0b10], picture].concat();
        body.extend(riff(b"ANMF", &frame));
    }
    riff(b"RIFF", &body)
}

/// A baseline JPEG of 8×8 blocks that each hold one value per component.
pub struct FlatJpeg<'a> {
    pub width: u16,
    pub height: u16,
    /// Per block, row by row: the value of each component.
    pub blocks: &'a [Vec<u8>],
    /// Transform byte of the Adobe marker; `None`: no marker.
    pub adobe: Option<u8>,
    /// An EXIF orientation.
    pub orientation: Option<u8>,
}

impl FlatJpeg<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let components = self.blocks[0].len() as u8;
        let mut bytes = vec![0xff, 0xd8];
        if let Some(orientation) = self.orientation {
            segment(&mut bytes, 0xe1, &exif(orientation));
        }
        if let Some(transform) = self.adobe {
            segment(
                &mut bytes,
                0xee,
                &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat(),
            );
        }
        segment(&mut bytes, 0xdb, &[&[0u8][..], &[1; 64]].concat());
        let mut frame = vec![8];
        frame.extend(self.height.to_be_bytes());
        frame.extend(self.width.to_be_bytes());
        frame.push(components);
        for id in 1..=components {
            frame.extend([id, 0x11, 0]);
        }
        segment(&mut bytes, 0xc0, &frame);
        // DC: categories 0..=11 in codes of four bits. AC: one code of one bit, end of block.
        let dc_lengths = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        segment(
            &mut bytes,
            0xc4,
            &[&[0][..], &dc_lengths, &(0..12).collect::<Vec<u8>>()].concat(),
        );
        let ac_lengths = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        segment(&mut bytes, 0xc4, &[&[0x10][..], &ac_lengths, &[0]].concat());
        let mut scan = vec![components];
        for id in 1..=components {
            scan.extend([id, 0]);
        }
        scan.extend([0, 63, 0]);
        segment(&mut bytes, 0xda, &scan);
        bytes.extend(self.entropy());
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    fn entropy(&self) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut push = |value: u32, count: u32| {
            bits.extend((0..count).rev().map(|bit| value >> bit & 1));
        };
        let mut before = vec![0i32; self.blocks[0].len()];
        for block in self.blocks {
            for (&value, before) in block.iter().zip(&mut before) {
                // The DC coefficient of a flat block is eight times its value.
                let dc = 8 * (i32::from(value) - 128);
                let difference = dc - std::mem::replace(before, dc);
                let category = 32 - difference.unsigned_abs().leading_zeros();
                push(category, 4);
                let raw = if difference < 0 {
                    difference - 1
                } else {
                    difference
                };
                push(raw as u32, category);
                push(0, 1);
            }
        }
        bits.resize(bits.len().next_multiple_of(8), 1);
        let mut bytes = Vec::new();
        for byte in bits.chunks_exact(8) {
            let byte = byte.iter().fold(0u8, |byte, &bit| byte << 1 | bit as u8);
            bytes.push(byte);
            if byte == 0xff {
                bytes.push(0);
            }
        }
        bytes
    }
}

fn segment(bytes: &mut Vec<u8>, marker: u8, body: &[u8]) {
    bytes.extend([0xff, marker]);
    bytes.extend((body.len() as u16 + 2).to_be_bytes());
    bytes.extend(body);
}

/// An EXIF segment with nothing but an orientation.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"Exif\0\0".to_vec();
    bytes.extend(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
