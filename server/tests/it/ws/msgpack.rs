//! MessagePack by its specification, read into JSON values, so that tests see every field that was sent.

use kalam_link_core::codec::Frame;
use kalam_link_core::message::Serialization;
use serde_json::{Map, Value};

/// The bytes of one value.
pub fn write(value: &Value) -> Vec<u8> {
    Frame::encode(value, Serialization::Msgpack)
        .as_bytes()
        .to_vec()
}

/// Reads one value that takes up all of the bytes.
pub fn read(bytes: &[u8]) -> Value {
    let mut reader = Reader(bytes);
    let value = reader.value();
    assert_eq!(reader.0, b"", "bytes after the value");
    value
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self) -> Value {
        let first = self.number(1);
        match first {
            0x00..=0x7f => first.into(),
            0x80..=0x8f => self.map(first & 0x0f),
            0x90..=0x9f => self.array(first & 0x0f),
            0xa0..=0xbf => self.text(first & 0x1f),
            0xc0 => Value::Null,
            0xc2 => false.into(),
            0xc3 => true.into(),
            0xca => f64::from(f32::from_bits(u32::try_from(self.number(4)).unwrap())).into(),
            0xcb => f64::from_bits(self.number(8)).into(),
            0xcc..=0xcf => self.number(1 << (first - 0xcc)).into(),
            0xd0..=0xd3 => self.signed(1 << (first - 0xd0)).into(),
            0xd9..=0xdb => {
                let length = self.number(1 << (first - 0xd9));
                self.text(length)
            }
            0xdc | 0xdd => {
                let length = self.number(2 << (first - 0xdc));
                self.array(length)
            }
            0xde | 0xdf => {
                let length = self.number(2 << (first - 0xde));
                self.map(length)
            }
            0xe0..=0xff => (i64::try_from(first).unwrap() - 0x100).into(),
            first => panic!("a byte {first:#x} where a value begins"),
        }
    }

    fn map(&mut self, length: u64) -> Value {
        let mut map = Map::new();
        for _ in 0..length {
            let key = self.value().as_str().unwrap().to_owned();
            let value = self.value();
            assert!(map.insert(key.clone(), value).is_none(), "{key} twice");
        }
        map.into()
    }

    fn array(&mut self, length: u64) -> Value {
        (0..length).map(|_| self.value()).collect()
    }

    fn text(&mut self, length: u64) -> Value {
        let bytes = self.take(usize::try_from(length).unwrap());
        std::str::from_utf8(bytes).unwrap().into()
    }

    fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes)
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn signed(&mut self, bytes: usize) -> i64 {
        let unused = 64 - 8 * u32::try_from(bytes).unwrap();
        self.number(bytes).wrapping_shl(unused).cast_signed() >> unused
    }

    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }
}
