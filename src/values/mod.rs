//! What the entries are: patterns as they are, byte planes, codes of a codebook, or symbols with low
//! bits (spec §9.2).

mod bins;
mod codebook;
mod coder;
mod planes;

#[cfg(test)]
pub(crate) use bins::BinFinder;
pub(crate) use bins::Bins;
pub(crate) use codebook::{Codebook, MAX_CODES};
pub use coder::ValueCoderKind;
pub(crate) use coder::{CodedValues, SymbolFinder, ValueCoder, ValueCoderHead, ValueMap, code};
pub(crate) use planes::split as split_planes;

use crate::buffer::Buffer;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::kernels::huffman::DecodeTable;
use crate::stream::huffman::Bundle;
use crate::stream::{self, Coding};
use crate::word::Word;
use std::borrow::Cow;
use std::iter;
use std::ops::Deref;

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
    /// Symbols with prefix codes, and the low bits of elements as they are.
    Coded = 3,
    /// Elements one after the other, aligned to be used where they are.
    Aligned = 4,
}

impl ValueKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Planes => "planes",
            Self::Codebook => "codebook",
            Self::Coded => "coded",
            Self::Aligned => "aligned",
        }
    }
}

/// A plan for keeping values, made by the chooser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValuePlan {
    Raw,
    /// The same, not compressed.
    Packed,
    /// Elements rotated left by so many bits.
    Planes {
        rotation: u8,
    },
    Codebook,
    /// Codes of the codebook, not compressed.
    PackedCodes,
    Aligned,
}

/// Values of a block as decoded, and how they were kept.
pub(crate) struct Values<'a, W: Word> {
    pub(crate) kind: ValueKind,
    /// How the streams were coded, in their order.
    pub(crate) codings: Vec<Coding>,
    /// As they are in memory: little-endian. There may be more than were asked for.
    pub(crate) elements: InMemory<'a, W>,
}

/// Elements in memory: those of the block itself, or decoded ones.
pub(crate) enum InMemory<'a, W: Word> {
    Borrowed(&'a [W]),
    Decoded(Buffer<W>),
}

impl<W: Word> Deref for InMemory<'_, W> {
    type Target = [W];

    fn deref(&self) -> &[W] {
        match self {
            Self::Borrowed(elements) => elements,
            Self::Decoded(elements) => elements,
        }
    }
}

/// What the blocks of a payload share for their values.
pub(crate) struct ValueTables<'t, W> {
    pub(crate) codebook: Option<&'t Codebook<W>>,
    pub(crate) coder: Option<&'t ValueCoder>,
}

/// Bytes to the next multiple of eight.
pub(crate) fn padding(at: usize) -> usize {
    at.wrapping_neg() % ALIGNMENT
}

/// What aligned values begin at a multiple of.
pub(crate) const ALIGNMENT: usize = 8;

/// Appends coded values to `out`; their symbols too, but if they are in the bundle of the entries.
pub(crate) fn write_coded(out: &mut Vec<u8>, coded: &CodedValues<'_>, in_bundle: bool) {
    out.push(ValueKind::Coded as u8);
    coded.write(out, in_bundle);
}

/// Appends `entries` as planned to `out`, which is the block so far. The codebook is there if the plan
/// needs it.
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
        (ValuePlan::PackedCodes, Some(codebook)) => {
            out.push(ValueKind::Codebook as u8);
            let codes = codebook.codes(entries)?;
            stream::write_packed(out, &codes, codebook.code_bits());
            Ok(())
        }
        (ValuePlan::Packed, _) => {
            out.push(ValueKind::Raw as u8);
            stream::write_packed_bytes(out, &to_le_bytes(entries));
            Ok(())
        }
        (ValuePlan::Planes { rotation }, _) => {
            out.push(ValueKind::Planes as u8);
            planes::write(out, entries, rotation)
        }
        (ValuePlan::Aligned, _) => {
            out.push(ValueKind::Aligned as u8);
            out.extend(iter::repeat_n(0, padding(out.len())));
            out.extend(to_le_bytes(entries));
            Ok(())
        }
        (ValuePlan::Raw | ValuePlan::Codebook | ValuePlan::PackedCodes, _) => {
            out.push(ValueKind::Raw as u8);
            stream::write_bytes(out, &to_le_bytes(entries))
        }
    }
}

/// Reads the entries of runs, at least one; `decode_tables` are those of the value coder, `bundle` is
/// that of the positions. The cursor began with the block.
pub(crate) fn read<'a, W: Word>(
    cursor: &mut Cursor<'a>,
    isa: Isa,
    runs: &[usize],
    tables: &ValueTables<'_, W>,
    decode_tables: &[DecodeTable],
    bundle: Option<Bundle<'a>>,
) -> Result<Values<'a, W>> {
    let count: usize = runs.iter().sum();
    // What can't be counted is more than the block holds.
    let n_bytes = count.saturating_mul(W::WIDTH);
    let is_coded = cursor.rest().first() == Some(&(ValueKind::Coded as u8));
    if let (Some(bundle), false) = (&bundle, is_coded) {
        bundle.check_end()?;
    }
    let (kind, codings, elements) = match cursor.u8()? {
        0 => {
            let (bytes, coding) = stream::read_bytes(cursor, n_bytes)?;
            let elements = match bytes {
                Cow::Borrowed(bytes) => in_memory(bytes),
                Cow::Owned(bytes) => InMemory::Decoded(copied(&bytes)),
            };
            (ValueKind::Raw, vec![coding], elements)
        }
        1 => {
            let (elements, codings) = planes::read(cursor, isa, count)?;
            (ValueKind::Planes, codings, InMemory::Decoded(elements))
        }
        2 => {
            let codebook = tables
                .codebook
                .ok_or_else(|| Error::corrupt("codes in a payload without a codebook"))?;
            let (elements, coding) = codebook.read(cursor, isa, count)?;
            (
                ValueKind::Codebook,
                vec![coding],
                InMemory::Decoded(elements),
            )
        }
        3 => {
            let coder = tables
                .coder
                .ok_or_else(|| Error::corrupt("coded values in a payload without a value coder"))?;
            let elements = coder::read(
                cursor,
                isa,
                coder,
                decode_tables,
                tables.codebook,
                runs,
                bundle,
            )?;
            (
                ValueKind::Coded,
                vec![Coding::Huffman],
                InMemory::Decoded(elements),
            )
        }
        4 => (
            ValueKind::Aligned,
            vec![Coding::Packed],
            in_memory(take_aligned(cursor, n_bytes)?),
        ),
        id => return Err(Error::unsupported(format!("value kind {id}"))),
    };
    Ok(Values {
        kind,
        codings,
        elements,
    })
}

/// The bytes of aligned values, after what aligns them; the cursor began with the block.
pub(crate) fn take_aligned<'a>(cursor: &mut Cursor<'a>, n_bytes: usize) -> Result<&'a [u8]> {
    let padding = cursor.take(padding(cursor.position()))?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Error::corrupt(
            "the padding before aligned values is not zero",
        ));
    }
    cursor.take(n_bytes)
}

/// Bytes as the elements that they are; without a copy where they are aligned.
fn in_memory<W: Word>(bytes: &[u8]) -> InMemory<'_, W> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => InMemory::Borrowed(elements),
        Err(_) => InMemory::Decoded(copied(bytes)),
    }
}

/// A copy of bytes as the elements that they are.
fn copied<W: Word>(bytes: &[u8]) -> Buffer<W> {
    let mut elements = Buffer::new(bytes.chunks_exact(W::WIDTH).len());
    bytemuck::cast_slice_mut(&mut elements).copy_from_slice(bytes);
    elements
}

/// Patterns as they are in memory: little-endian.
fn put_in_memory_order<W: Word>(elements: &mut [W]) {
    if cfg!(target_endian = "big") {
        elements
            .iter_mut()
            .for_each(|element| *element = element.to_le());
    }
}

/// The little-endian bytes of `entries`.
pub(crate) fn to_le_bytes<W: Word>(entries: &[W]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(entries)];
    for (entry, out) in entries.iter().zip(bytes.chunks_exact_mut(W::WIDTH)) {
        entry.put_le(out);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::kernels::lookup::Bin;
    use crate::kernels::window::Window;
    use crate::stream::huffman::PrefixCode;
    use proptest::prelude::*;

    /// Without a plan, coded.
    fn round_trip<W: Word>(plan: Option<ValuePlan>, entries: &[W], tables: &ValueTables<'_, W>) {
        let mut out = Vec::new();
        let runs = [entries.len() / 3, entries.len() - entries.len() / 3];
        match (plan, tables.coder) {
            (Some(plan), _) => write(&mut out, plan, entries, tables.codebook).unwrap(),
            (None, coder) => {
                let coded = code(coder.unwrap(), tables.codebook, entries, &runs).unwrap();
                write_coded(&mut out, &coded, false);
            }
        }
        let decode_tables = tables
            .coder
            .map(ValueCoder::decode_tables)
            .unwrap_or_default();
        for isa in Isa::available() {
            let mut cursor = Cursor::new(&out);
            let values = read(&mut cursor, isa, &runs, tables, &decode_tables, None).unwrap();
            cursor.finish().unwrap();
            let in_memory: Vec<W> = entries.iter().map(|entry| entry.to_le()).collect();
            assert_eq!(values.elements[..entries.len()], in_memory, "{plan:?}");
        }
        for end in 0..out.len() {
            let cut = &mut Cursor::new(&out[..end]);
            assert!(read(cut, Isa::active(), &runs, tables, &decode_tables, None).is_err());
        }
    }

    fn all_plans<W: Word>(entries: &[W]) {
        let none = ValueTables {
            codebook: None,
            coder: None,
        };
        round_trip(Some(ValuePlan::Raw), entries, &none);
        round_trip(Some(ValuePlan::Packed), entries, &none);
        round_trip(Some(ValuePlan::Aligned), entries, &none);
        for rotation in 0..(8 * W::WIDTH as u8) {
            round_trip(Some(ValuePlan::Planes { rotation }), entries, &none);
        }
        let codebook = Codebook::of(entries.iter().copied());
        if let Some(codebook) = &codebook {
            let tables = ValueTables {
                codebook: Some(codebook),
                coder: None,
            };
            round_trip(Some(ValuePlan::Codebook), entries, &tables);
            round_trip(Some(ValuePlan::PackedCodes), entries, &tables);
        }
        if W::WIDTH <= 8 {
            for map in maps(entries, codebook.as_ref()) {
                let coder = coder_of(map, entries, codebook.as_ref());
                let tables = ValueTables {
                    codebook: codebook.as_ref(),
                    coder: Some(&coder),
                };
                round_trip(None, entries, &tables);
            }
        }
    }

    /// Maps of every kind that suit the entries somehow.
    fn maps<W: Word>(entries: &[W], codebook: Option<&Codebook<W>>) -> Vec<ValueMap> {
        let bits = 8 * W::WIDTH as u32;
        let window = |rotation, low_bits| ValueMap::Window {
            window: Window {
                rotation,
                low_bits,
                base: entries[0].rotate_left(rotation).to_bits() >> low_bits,
            },
            n_symbols: 200,
        };
        let halves = (0..4)
            .map(|i| Bin {
                base: i << (bits - 2),
                low_bits: bits - 2,
            })
            .collect::<Vec<_>>();
        let mut maps = vec![
            window(0, 0),
            window(1, bits - 8),
            window(3, (bits / 3).min(bits - 8)),
        ];
        if bits < 64 {
            maps.push(ValueMap::Bins(Bins::new(halves)));
        }
        maps.extend(codebook.map(|book| ValueMap::Codes {
            n_symbols: book.len(),
        }));
        maps
    }

    fn coder_of<W: Word>(
        map: ValueMap,
        entries: &[W],
        codebook: Option<&Codebook<W>>,
    ) -> ValueCoder {
        // All symbols have code words: the two runs share them, and patches take any.
        let mut histogram = vec![1; map.n_symbols()];
        for entry in entries {
            if let Some((symbol, ..)) = SymbolFinder::new(&map, codebook).find(*entry) {
                histogram[usize::from(symbol)] += 5;
            }
        }
        let code = PrefixCode::of_histogram(&histogram).unwrap();
        ValueCoder {
            map,
            codes: vec![code.clone(), code],
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
            [
                ValueKind::Raw,
                ValueKind::Planes,
                ValueKind::Codebook,
                ValueKind::Coded,
                ValueKind::Aligned
            ]
            .map(|k| k as u8),
            [0, 1, 2, 3, 4]
        );
        let kind = |bytes: &[u8]| {
            let tables = ValueTables::<u32> {
                codebook: None,
                coder: None,
            };
            let values = read(
                &mut Cursor::new(bytes),
                Isa::Plain,
                &[1],
                &tables,
                &[],
                None,
            );
            values.map(drop).unwrap_err().kind()
        };
        assert_eq!(kind(&[5]), ErrorKind::Unsupported);
        // Codes without a codebook, a coder that is missing, a rotation by all bits, padding.
        for bytes in [
            &[2, 0, 0][..],
            &[3, 1, 0],
            &[1, 32, 0],
            &[4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        ] {
            assert_eq!(kind(bytes), ErrorKind::Corrupt);
        }
    }
}
