//! Types of numbers, as files of others hold them, and a stream of their bytes as numbers.

use crate::{Error, Result};
use half::{bf16, f16};
use std::io::Read;

/// Bytes that are read and converted at a time; a whole number of every type.
const PIECE: usize = 1 << 20;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// 0 or 1, in a byte.
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    /// What messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Bytes of one.
    pub(super) fn width(self) -> u64 {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether it has a fraction, as activations do and class numbers do not.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// The next `count` numbers, as `of` makes them. What is allocated grows with what is there.
    ///
    /// # Errors
    /// When there are fewer, or memory ends.
    pub(super) fn read<T>(
        self,
        from: impl Read,
        big_endian: bool,
        count: usize,
        place: &str,
        of: impl Fn(f64) -> T,
    ) -> Result<Vec<T>> {
        let stream = Stream { from, big_endian, count, place };
        match self {
            Self::Bool => stream.numbers(|[b]: [u8; 1]| of(f64::from(u8::from(b != 0)))),
            Self::U8 => stream.numbers(|[b]: [u8; 1]| of(f64::from(b))),
            Self::I8 => stream.numbers(|b| of(f64::from(i8::from_le_bytes(b)))),
            Self::U16 => stream.numbers(|b| of(f64::from(u16::from_le_bytes(b)))),
            Self::I16 => stream.numbers(|b| of(f64::from(i16::from_le_bytes(b)))),
            Self::U32 => stream.numbers(|b| of(f64::from(u32::from_le_bytes(b)))),
            Self::I32 => stream.numbers(|b| of(f64::from(i32::from_le_bytes(b)))),
            Self::U64 => stream.numbers(|b| of(u64::from_le_bytes(b) as f64)),
            Self::I64 => stream.numbers(|b| of(i64::from_le_bytes(b) as f64)),
            Self::F16 => stream.numbers(|b| of(f64::from(f16::from_le_bytes(b)))),
            Self::Bf16 => stream.numbers(|b| of(f64::from(bf16::from_le_bytes(b)))),
            Self::F32 => stream.numbers(|b| of(f64::from(f32::from_le_bytes(b)))),
            Self::F64 => stream.numbers(|b| of(f64::from_le_bytes(b))),
        }
    }
}

/// Bytes to come.
struct Stream<'a, R> {
    from: R,
    big_endian: bool,
    count: usize,
    place: &'a str,
}

impl<R: Read> Stream<'_, R> {
    fn numbers<T, const WIDTH: usize>(mut self, of: impl Fn([u8; WIDTH]) -> T) -> Result<Vec<T>> {
        let mut values = Vec::new();
        let mut piece = vec![0; PIECE.min(self.count.saturating_mul(WIDTH))];
        while values.len() < self.count {
            let bytes = (self.count - values.len()).saturating_mul(WIDTH).min(PIECE);
            let piece = &mut piece[..bytes];
            self.from.read_exact(piece).map_err(|e| Error::malformed(self.place, e))?;
            values.try_reserve(bytes / WIDTH).map_err(|e| Error::malformed(self.place, e))?;
            let numbers = piece.as_chunks().0.iter().map(|bytes: &[u8; WIDTH]| {
                let mut bytes = *bytes;
                if self.big_endian {
                    bytes.reverse();
                }
                of(bytes)
            });
            values.extend(numbers);
        }
        Ok(values)
    }
}
