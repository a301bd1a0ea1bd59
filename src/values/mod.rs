//! What the entries are: patterns as raw bytes, byte planes, or codes of a codebook (spec §9.2).

mod codebook;
mod planes;

pub(crate) use codebook::{Codebook, MAX_CODES};
pub(crate) use planes::split as split_planes;

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::{self, Coding};
use crate::word::Word;
use std::borrow::Cow;

/// How values are kept; the numbers are those of the registry (spec §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ValueKind {
    /// Elements one after the other.
    Raw = 0,
    /// Rotated elements, split into one stream for each of their bytes.
    Planes = 1,
    /// Indices into the payload's codebook.
    Codebook = 2,
}

impl ValueKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Planes => "planes",
            Self::Codebook => "codebook",
        }
    }
}

/// A plan for keeping values, made by the chooser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValuePlan {
    Raw,
    /// Elements rotated left by so many bits.
    Planes {
        rotation: u8,
    },
    Codebook,
}

/// Values of a block as decoded: little-endian elements, and how they were kept.
pub(crate) struct Values<'a> {
    pub(crate) kind: ValueKind,
    /// How the streams were coded, in their order.
    pub(crate) codings: Vec<Coding>,
    pub(crate) elements: Cow<'a, [u8]>,
}

/// Appends `entries` as planned; a codebook plan needs a codebook that holds them all.
pub(crate) fn write<W: Word>(
    out: &mut Vec<u8>,
    plan: ValuePlan,
    entries: &[W],
    codebook: Option<&Codebook<W>>,
) -> Result<()> {
    match (plan, codebook) {
        (ValuePlan::Codebook, Some(codebook)) => {
            out.push(ValueKind::Codebook as u8);
            codebook.write(out, entries)
        }
        (ValuePlan::Planes { rotation }, _) => {
            out.push(ValueKind::Planes as u8);
            planes::write(out, entries, rotation)
        }
        (ValuePlan::Raw | ValuePlan::Codebook, _) => {
            out.push(ValueKind::Raw as u8);
            stream::write_bytes(out, &to_le_bytes(entries))
        }
    }
}

/// Reads `count` ≥ 1 entries.
pub(crate) fn read<'a, W: Word>(
    cursor: &mut Cursor<'a>,
    count: usize,
    codebook: Option<&Codebook<W>>,
) -> Result<Values<'a>> {
    match cursor.u8()? {
        0 => {
            let (elements, coding) = stream::read_bytes(cursor, count * W::WIDTH)?;
            Ok(Values {
                kind: ValueKind::Raw,
                codings: vec![coding],
                elements,
            })
        }
        1 => {
            let (elements, codings) = planes::read::<W>(cursor, count)?;
            Ok(Values {
                kind: ValueKind::Planes,
                codings,
                elements: elements.into(),
            })
        }
        2 => {
            let codebook =
                codebook.ok_or_else(|| Error::corrupt("codes in a payload without a codebook"))?;
            let (elements, coding) = codebook.read(cursor, count)?;
            Ok(Values {
                kind: ValueKind::Codebook,
                codings: vec![coding],
                elements: elements.into(),
            })
        }
        id => Err(Error::unsupported(format!("value kind {id}"))),
    }
}

/// The little-endian bytes of `entries`.
pub(crate) fn to_le_bytes<W: Word>(entries: &[W]) -> Vec<u8> {
    let mut bytes = vec![0; entries.len() * W::WIDTH];
    for (entry, out) in entries.iter().zip(bytes.chunks_exact_mut(W::WIDTH)) {
        entry.put_le(out);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn round_trip<W: Word>(plan: ValuePlan, entries: &[W], codebook: Option<&Codebook<W>>) {
        let mut out = Vec::new();
        write(&mut out, plan, entries, codebook).unwrap();
        let mut cursor = Cursor::new(&out);
        let values = read(&mut cursor, entries.len(), codebook).unwrap();
        cursor.finish().unwrap();
        assert_eq!(values.elements, to_le_bytes(entries), "{plan:?}");
        for end in 0..out.len() {
            assert!(read(&mut Cursor::new(&out[..end]), entries.len(), codebook).is_err());
        }
    }

    fn all_plans<W: Word>(entries: &[W]) {
        round_trip(ValuePlan::Raw, entries, None);
        for rotation in 0..(8 * W::WIDTH as u8) {
            round_trip(ValuePlan::Planes { rotation }, entries, None);
        }
        if let Some(codebook) = Codebook::of(entries.iter().copied()) {
            round_trip(ValuePlan::Codebook, entries, Some(&codebook));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn values_come_back(wide in prop::collection::vec(any::<u128>(), 1..40), repeat in 1usize..4) {
            let wide: Vec<u128> = wide.iter().cycle().take(wide.len() * repeat).copied().collect();
            all_plans::<u8>(&wide.iter().map(|&v| v as u8).collect::<Vec<_>>());
            all_plans::<u16>(&wide.iter().map(|&v| v as u16).collect::<Vec<_>>());
            all_plans::<u32>(&wide.iter().map(|&v| v as u32).collect::<Vec<_>>());
            all_plans::<u64>(&wide.iter().map(|&v| v as u64).collect::<Vec<_>>());
            all_plans::<u128>(&wide);
        }
    }

    #[test]
    fn exponents_become_a_plane() {
        // 1.0 is 0x3f800000: rotated left by one, 0x7f is a byte of its own.
        let entries: Vec<u32> = (0..4)
            .map(|i| (1.0f32 + i as f32 / 8.0).to_bits())
            .collect();
        let mut out = Vec::new();
        write(&mut out, ValuePlan::Planes { rotation: 1 }, &entries, None).unwrap();
        assert_eq!(&out[..7], [1, 1, 0, 0x7f, 0x7f, 0x7f, 0x7f]);
    }

    #[test]
    fn ids_never_change_and_others_are_unsupported() {
        assert_eq!(
            [ValueKind::Raw, ValueKind::Planes, ValueKind::Codebook].map(|k| k as u8),
            [0, 1, 2]
        );
        let error = read::<u32>(&mut Cursor::new(&[3]), 1, None)
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = read::<u32>(&mut Cursor::new(&[2, 0, 0]), 1, None)
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let error = read::<u32>(&mut Cursor::new(&[1, 32, 0]), 1, None)
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
