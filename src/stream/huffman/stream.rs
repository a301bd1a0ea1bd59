//! A stream in Huffman coding that brings its code along (spec §10.3.3).

use super::{MAX_SYMBOLS, PrefixCode, SymbolOrder};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::kernels::huffman::Streams;
use crate::stream::bits::{BitReader, BitWriter};

/// Codes `symbols`; `None` if there are none, or it saves nothing.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a writer's: the histogram and the code have all symbols up to the last one, and what is in \
              memory can be counted"
)]
pub(crate) fn write(symbols: &[u8]) -> Option<Vec<u8>> {
    let last = usize::from(*symbols.iter().max()?);
    let mut histogram = vec![0; last + 1];
    symbols.iter().for_each(|&s| histogram[usize::from(s)] += 1);
    let code = PrefixCode::of_histogram(&histogram)?;
    let coded_bits = code.cost(&histogram) + code.written_bits(SymbolOrder::Number);
    if coded_bits >= 8 * symbols.len() as u64 {
        return None;
    }
    let mut bits = BitWriter::default();
    bits.put(last as u32, 8);
    code.write(&mut bits, SymbolOrder::Number);
    let words = code.words();
    for &symbol in symbols {
        let symbol = usize::from(symbol);
        bits.put(words[symbol].into(), code.lengths()[symbol].into());
    }
    Some(bits.finish())
}

/// Reads `count` symbols.
pub(crate) fn read(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<u8>> {
    let mut bits = BitReader::new(cursor.rest());
    let n = 1 + usize::from(bits.take(8)? as u8);
    debug_assert!(n <= MAX_SYMBOLS);
    let code = PrefixCode::read(&mut bits, n, SymbolOrder::Number)?;
    let mut symbols = vec![0; count];
    let start = bits.position();
    let mut stream = Streams::at_bit(cursor.rest(), start);
    stream.decode(Isa::Plain, &code.decode_table(), &mut symbols);
    // Those before its first bit were as if taken.
    let taken = stream.bits_taken(0, start / 8).saturating_sub(start % 8);
    bits.skip(taken)
        .ok_or_else(|| Error::corrupt(format!("the code words of {count} symbols pass the end")))?;
    cursor.take(bits.finish()?)?;
    Ok(symbols)
}
