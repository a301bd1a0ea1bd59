//! Every kernel of this machine against the plain one, on any bytes: the body of a fuzz target and of
//! a property test.

use super::chain::{Chain, Step};
use super::columns::{self, select};
use super::expand::{BitmapRows, count_ones, expand_rows};
use super::huffman::{DecodeTable, MAX_CODE_BITS, MAX_STREAMS, Streams};
use super::lookup::{Bin, MAX_LOW_BITS, bins};
use super::marks::{self, SPARE};
use super::product::{
    self, BEYOND, BitRows, Codes, Doubles, Floats, Positions, Sorted, StepRows, Steps, Sum, TABLE,
    Weights, WholeRows,
};
use super::scatter::scatter;
use super::window::Window;
use super::{Isa, Store, alternate, copy, planes, unpack, window};
use crate::cursor::Cursor;
use crate::word::{Word, with_word};

/// Widths that values are coded in.
const CODED_WIDTHS: [usize; 4] = [1, 2, 4, 8];

/// Runs the kernel that the first byte names on the bytes after it, in every version that this machine
/// has.
///
/// # Panics
/// If two of them differ.
pub(crate) fn compare(bytes: &[u8]) {
    let mut input = Cursor::new(bytes);
    let (kernel, width) = (byte(&mut input), byte(&mut input));
    let width = CODED_WIDTHS[usize::from(width) % CODED_WIDTHS.len()];
    match kernel % 17 {
        0 => decoded_symbols(&mut input),
        1 => unpacked_symbols(&mut input),
        2 => with_word!(width, W => joined_planes::<W>(&mut input)),
        3 => with_word!(width, W => joined_windows::<W>(&mut input)),
        4 => with_word!(width, W => looked_up_bins::<W>(&mut input)),
        5 => with_word!(width, W => expanded_rows::<W>(&mut input)),
        6 => selected_columns(&mut input),
        7 => with_word!(width, W => scattered_entries::<W, u8>(&mut input)),
        8 => with_word!(width, W => scattered_entries::<W, u16>(&mut input)),
        9 => with_word!(width, W => marked_alternates::<W>(&mut input)),
        10 => copied_bytes(&mut input),
        11 => positions_of_steps(&mut input),
        12 => listed_products(&mut input),
        13 => products_of_bits(&mut input),
        14 => products_of_steps(&mut input),
        15 => marked_entries::<u8>(&mut input),
        _ => marked_entries::<u16>(&mut input),
    }
}

/// The next byte, or zero.
fn byte(input: &mut Cursor<'_>) -> u8 {
    input.u8().unwrap_or(0)
}

/// The next number of two bytes, modulo `n`.
fn below(input: &mut Cursor<'_>, n: usize) -> usize {
    usize::from(input.u16().unwrap_or(0)) % n
}

/// As many of the next bytes as there are, up to `n`.
fn take<'a>(input: &mut Cursor<'a>, n: usize) -> &'a [u8] {
    let n = n.min(input.rest().len());
    input.take(n).unwrap_or_default()
}

/// The next elements.
fn words<W: Word>(input: &mut Cursor<'_>, n: usize) -> Vec<W> {
    let bytes = take(input, n * W::WIDTH);
    bytes.chunks_exact(W::WIDTH).map(W::from_le).collect()
}

/// Asserts that a kernel does the same in all versions.
fn same<T: PartialEq + std::fmt::Debug>(run: impl Fn(Isa) -> T) {
    let plain = run(Isa::Plain);
    for isa in Isa::available() {
        assert_eq!(run(isa), plain, "{}", isa.name());
    }
}

fn decoded_symbols(input: &mut Cursor<'_>) {
    // A complete code: the words are split until there are enough of them, or they are too long.
    let mut lengths = vec![0u8];
    for _ in 0..byte(input) {
        let i = below(input, lengths.len());
        if u32::from(lengths[i]) < MAX_CODE_BITS {
            lengths[i] += 1;
            lengths.push(lengths[i]);
        }
    }
    lengths.sort_unstable();
    let mut next = 0u16;
    let words: Vec<(u8, u16, u8)> = (0..)
        .zip(&lengths)
        .map(|(symbol, &bits)| {
            let word = match bits {
                0 => 0,
                bits => (next >> (MAX_CODE_BITS - u32::from(bits))).reverse_bits() >> (16 - bits),
            };
            next = next.wrapping_add(1 << (MAX_CODE_BITS - u32::from(bits)));
            (symbol, word, bits)
        })
        .collect();
    let table = DecodeTable::new(words.into_iter());
    let n_symbols = below(input, 4096);
    let n_streams = if byte(input) & 1 == 0 { MAX_STREAMS } else { 1 };
    let starts: Vec<usize> = (0..n_streams).map(|_| below(input, 1024)).collect();
    let bytes = take(input, usize::MAX);
    let starts: Vec<usize> = starts.iter().map(|&start| start.min(bytes.len())).collect();
    same(|isa| {
        let mut streams = Streams::new(bytes, &starts);
        let mut out = vec![0; n_symbols];
        // In two parts, as runs follow each other.
        let (first, second) = out.split_at_mut(n_symbols / 3);
        streams.decode(isa, &table, first);
        streams.decode(isa, &table, second);
        let taken: Vec<usize> = (0..n_streams)
            .map(|stream| streams.bits_taken(stream, starts[stream]))
            .collect();
        (out, taken)
    });
}

fn unpacked_symbols(input: &mut Cursor<'_>) {
    let bits = u32::from(byte(input) % 8) + 1;
    let short = usize::from(byte(input) % 8);
    let packed = take(input, usize::MAX);
    let count = (8 * packed.len() / bits as usize).saturating_sub(short);
    let packed = &packed[..(count * bits as usize).div_ceil(8)];
    same(|isa| unpack::bytes(isa, packed, count, bits).map(|symbols| symbols.to_vec()));
}

fn joined_planes<W: Word>(input: &mut Cursor<'_>) {
    let rotation = u32::from(byte(input)) % (8 * W::WIDTH as u32);
    let bytes = take(input, usize::MAX);
    let n = bytes.len() / W::WIDTH;
    let planes: Vec<&[u8]> = bytes.chunks_exact(n.max(1)).take(W::WIDTH).collect();
    if planes.len() == W::WIDTH {
        same(|isa| {
            let mut out = vec![W::default(); planes[0].len()];
            planes::join(isa, &planes, rotation, &mut out);
            out
        });
    }
}

fn joined_windows<W: Word>(input: &mut Cursor<'_>) {
    let most = window::MAX_LOW_BITS.min(8 * W::WIDTH as u32 - 1);
    let window = Window {
        rotation: u32::from(byte(input)) % (8 * W::WIDTH as u32),
        low_bits: u32::from(byte(input)) % (most + 1),
        base: u64::from(input.u16().unwrap_or(0)),
    };
    let n = below(input, 1024);
    let symbols = take(input, n);
    let raw = take(input, usize::MAX);
    same(|isa| {
        let mut out = vec![W::default(); symbols.len()];
        window::join(isa, window, symbols, raw, &mut out);
        out
    });
}

fn looked_up_bins<W: Word>(input: &mut Cursor<'_>) {
    let most = MAX_LOW_BITS.min(8 * W::WIDTH as u32);
    let all: Vec<Bin> = (0..byte(input))
        .map(|_| {
            let low_bits = u32::from(byte(input)) % (most + 1);
            let base = words::<W>(input, 1)
                .first()
                .map_or(0, |word| word.to_bits());
            // As in a file: the low bits of a base are zero.
            let base = base >> low_bits << low_bits;
            Bin { base, low_bits }
        })
        .collect();
    let n = below(input, 1024);
    let symbols = take(input, n);
    let raw = take(input, usize::MAX);
    same(|isa| {
        let mut out = vec![W::default(); symbols.len()];
        let bits = bins(isa, &all, symbols, raw, &mut out);
        (bits, out)
    });
}

fn expanded_rows<W: Word>(input: &mut Cursor<'_>) {
    let length = below(input, 300) + 1;
    let (n_rows, spare) = (usize::from(byte(input) % 16), usize::from(byte(input) % 40));
    let first = byte(input);
    let row_bytes = length.div_ceil(8);
    let mut bitmaps = take(input, n_rows * row_bytes).to_vec();
    bitmaps.truncate(bitmaps.len() / row_bytes * row_bytes);
    for bitmap in bitmaps.chunks_exact_mut(row_bytes) {
        // Bits after the last element are checked where a file is read.
        bitmap[row_bytes - 1] &= 0xff >> (8 * row_bytes - length);
    }
    same(|isa| count_ones(isa, &bitmaps));
    let n_rows = bitmaps.len() / row_bytes;
    // Rows in an order of their own, with one between that stays as it is.
    let rows: Vec<u32> = (0..n_rows as u32)
        .map(|row| (row + u32::from(first)) % (n_rows as u32 + 1))
        .collect();
    let background = words::<W>(input, 1).first().copied().unwrap_or_default();
    let seed: Vec<u8> = [take(input, usize::MAX), &[7, 11]].concat();
    let values: Vec<W> = (0..count_ones(Isa::Plain, &bitmaps) + spare)
        .map(|i| W::from_bits(seed[i % seed.len()] as u64 * 0x0101_0101 + i as u64))
        .collect();
    for store in [Store::Cached, Store::PastCaches] {
        same(|isa| {
            let mut out = vec![W::from_bits(0x55); (n_rows + 1) * length];
            let rows = BitmapRows {
                bitmaps: &bitmaps,
                length,
                rows: &rows,
            };
            let n = expand_rows(isa, store, rows, background, &values, (&mut out[..]).into());
            copy::fence(isa);
            (n, out)
        });
    }
}

fn selected_columns(input: &mut Cursor<'_>) {
    let n = below(input, 600);
    let bitmap = take(input, n.div_ceil(8));
    let n = n.min(8 * bitmap.len());
    let first = input.u16().unwrap_or(0);
    let all: Vec<u16> = (0..n as u16).map(|i| first.wrapping_add(3 * i)).collect();
    same(|isa| {
        let mut out = vec![0; n + columns::SLACK];
        let n = select(isa, bitmap, &all, &mut out);
        out.truncate(n);
        out
    });
}

/// Steps, and how many of them are those of a chain.
fn chained_steps<S: Step>(input: &mut Cursor<'_>, n_steps: usize) -> (Vec<S>, usize) {
    let steps: Vec<S> = take(input, usize::MAX)
        .chunks_exact(size_of::<S>())
        .map(bytemuck::pod_read_unaligned)
        .collect();
    // The last one is no escape, which is checked where a chain is read.
    let is_entry = |step: &S| (*step).into() != 0u32;
    let n_steps = steps[..n_steps.min(steps.len())]
        .iter()
        .rposition(is_entry)
        .map_or(0, |last| last + 1);
    (steps, n_steps)
}

fn scattered_entries<W: Word, S: Step>(input: &mut Cursor<'_>) {
    let row = below(input, 600) + 1;
    let n_rows = usize::from(byte(input) % 16);
    let escape = u32::from(input.u16().unwrap_or(0)) + 1;
    let (n_values, n_steps) = (below(input, 600), below(input, 600));
    let (steps, n_steps) = chained_steps::<S>(input, n_steps);
    let values: Vec<W> = (1..=n_values as u64).map(W::from_bits).collect();
    same(|isa| {
        let mut chain = Chain::new(&steps, n_steps, escape);
        let mut left = &values[..];
        let mut out = vec![W::default(); n_rows * row];
        for row in out.chunks_mut(row) {
            scatter(isa, &mut chain, &mut left, row);
        }
        // Where it ended too early, what is left is not looked at.
        (out, chain.is_done(), left.len())
    });
}

fn marked_entries<S: Step>(input: &mut Cursor<'_>) {
    let n = below(input, 600);
    let n_pieces = usize::from(byte(input) % 16);
    let escape = u32::from(input.u16().unwrap_or(0)) + 1;
    let n_steps = below(input, 600);
    let (steps, n_steps) = chained_steps::<S>(input, n_steps);
    same(|isa| {
        let mut chain = Chain::new(&steps, n_steps, escape);
        let mut all = vec![];
        let mut marks = vec![0; n + SPARE];
        for _ in 0..n_pieces {
            marks::mark(isa, &mut chain, &mut marks);
            let mut bits = vec![0xee; n.div_ceil(8)];
            marks::collect(isa, &mut marks[..n], &mut bits);
            assert!(marks[..n].iter().all(|&mark| mark == 0));
            all.extend(bits);
        }
        (all, chain.is_done())
    });
}

fn marked_alternates<W: Word>(input: &mut Cursor<'_>) {
    let n = below(input, 600);
    let elements = words::<W>(input, n);
    let bits = take(input, usize::MAX);
    let background = elements.first().copied().unwrap_or_default();
    same(|isa| {
        let mut out = elements.clone();
        alternate::mark(isa, bits, (background, background.flip_top()), &mut out);
        out
    });
}

/// Steps with whatever follows them.
fn positions_of_steps(input: &mut Cursor<'_>) {
    let bits = u32::from(byte(input) % 8) + 1;
    let (first, start) = (below(input, 40), below(input, 1 << 16) as u32);
    let less = below(input, 100);
    let packed = take(input, usize::MAX);
    let end = (8 * packed.len() / bits as usize)
        .saturating_sub(less)
        .max(first);
    if end * bits as usize > 8 * packed.len() {
        return;
    }
    same(|isa| {
        let mut steps = Steps::new(packed, bits, first..end, start);
        let mut positions = Positions::new();
        let mut all = vec![];
        loop {
            steps.positions(isa, &mut positions);
            all.extend_from_slice(positions.get().list());
            if !positions.is_full() {
                break;
            }
        }
        assert!(all.is_sorted_by(|a, b| a < b));
        all
    });
}

/// Bits of sums, which tell NaNs and zeros apart but not one NaN from another.
fn bits_of(sums: &[f64]) -> Vec<u64> {
    let bits = |sum: &f64| {
        if sum.is_nan() {
            u64::MAX
        } else {
            sum.to_bits()
        }
    };
    sums.iter().map(bits).collect()
}

/// Runs `f` with weights of the kind that a byte says, made from any bytes; there are at least `n`.
macro_rules! with_weights {
    ($input:expr, $n:expr, $weights:ident => $body:expr) => {{
        let (kind, n) = (byte($input), $n);
        let seed = [take($input, 600), &[1, 0, 0x80, 0x3f]].concat();
        let any: Vec<u8> = seed.iter().copied().cycle().take(8 * n).collect();
        match kind % 3 {
            0 => {
                let words: Vec<u32> = any[..4 * n]
                    .chunks_exact(4)
                    .map(<u32 as Word>::from_le)
                    .collect();
                let $weights = Floats(&words);
                $body
            }
            1 => {
                let words: Vec<u64> = any.chunks_exact(8).map(<u64 as Word>::from_le).collect();
                let $weights = Doubles(&words);
                $body
            }
            _ => {
                let bits = u32::from(kind / 3 % 8) + 1;
                let table: [f64; TABLE] = std::array::from_fn(|code| code as f64 * 0.37 - 9.0);
                let $weights = Codes::new(&any[..(n * bits as usize).div_ceil(8)], bits, &table);
                $body
            }
        }
    }};
}

fn numbers(input: &mut Cursor<'_>, n: usize) -> Vec<f64> {
    let few = f64::from(byte(input));
    // As an `f32` has them.
    (0..n)
        .map(|i| (few + i as f64 * 0.7 - 40.0) as f32 as f64)
        .collect()
}

fn listed_products(input: &mut Cursor<'_>) {
    let bits = u32::from(byte(input) % 8) + 1;
    let length = below(input, 3000) + 1;
    let n_packed = below(input, 400);
    let packed = take(input, n_packed);
    let mut steps = Steps::new(packed, bits, 0..8 * packed.len() / bits as usize, 7);
    let mut positions = Positions::new();
    steps.positions(Isa::Plain, &mut positions);
    let (positions, _) = positions.get().split_below(7 + length as u32);
    let n = positions.list().len();
    let x = numbers(input, length);
    fn products<S: Sum>(
        isa: Isa,
        n: usize,
        columns: Sorted<'_>,
        weights: impl Weights,
        x: &[f64],
    ) -> Vec<u64> {
        let mut sums = vec![S::default(); x.len()];
        product::add_scaled(isa, n, columns, weights, x[0], &mut sums);
        product::add_scaled(isa, n, columns, weights, 0.1f32.into(), &mut sums);
        sums.push(product::dot(isa, n, columns, weights, x, true));
        sums.push(product::dot(isa, n, columns, weights, x, false));
        bits_of(&sums.into_iter().map(Sum::value).collect::<Vec<_>>())
    }
    with_weights!(input, n, weights => same(|isa| {
        let columns = Sorted(positions, 7);
        let of_f32 = products::<f64>(isa, n, columns, weights, &x);
        (of_f32, products::<[f64; 2]>(isa, n, columns, weights, &x))
    }));
}

fn products_of_bits(input: &mut Cursor<'_>) {
    let length = below(input, 300) + 1;
    let (n_rows, spare) = (usize::from(byte(input) % 12), below(input, 90));
    let bitmaps = take(input, n_rows * length.div_ceil(8));
    let bitmaps = &bitmaps[..bitmaps.len() / length.div_ceil(8) * length.div_ceil(8)];
    // Sometimes too few.
    let n_weights = (count_ones(Isa::Plain, bitmaps) + spare).saturating_sub(10);
    let x = numbers(input, length.max(n_rows));
    with_weights!(input, n_weights, weights => same(|isa| {
        let rows = BitRows { bitmaps, length, weights, n_weights };
        let mut sums = vec![0.0; length];
        let n_added = rows.add_scaled(isa, &x, &mut sums);
        let mut dots = vec![0.0; n_rows];
        let n_dots = rows.dot(isa, &x[..length], true, &mut dots);
        // Of too few weights, who knows which have been taken.
        n_added.map(|n| (n, bits_of(&sums), n_dots, bits_of(&dots)))
    }));
}

fn products_of_steps(input: &mut Cursor<'_>) {
    let length = below(input, 3000) + 1;
    let (n_rows, spare) = (usize::from(byte(input) % 5), below(input, 90));
    let pointers: Vec<[u8; 2]> = take(input, n_rows)
        .iter()
        .scan(0u16, |before, &more| {
            let pointer = *before;
            // Sometimes they descend, or lead too far.
            *before = before.wrapping_add(u16::from(more)) % 700;
            Some(pointer.to_le_bytes())
        })
        .collect();
    let steps = take(input, 600);
    // Escapes are rare where bytes are any, and steps are long: these have some of all kinds.
    let steps: Vec<u8> = steps
        .iter()
        .map(|&step| {
            if step < 250 {
                step % 16 + 1
            } else {
                step - 250
            }
        })
        .collect();
    let end = steps.len() - below(input, 9).min(steps.len());
    let n_weights = (steps.len() + spare).saturating_sub(60);
    // Enough for the faster kernels, or one less.
    let n_columns = length + BEYOND - usize::from(byte(input).is_multiple_of(8));
    let x = numbers(input, n_columns.max(n_rows));
    fn products<S: Sum>(
        isa: Isa,
        rows: StepRows<'_, impl Weights>,
        x: &[f64],
        n_columns: usize,
    ) -> [Option<(usize, Vec<u64>)>; 3] {
        let bits = |sums: Vec<S>| bits_of(&sums.into_iter().map(Sum::value).collect::<Vec<_>>());
        let mut sums = vec![S::default(); n_columns];
        let n = rows.add_scaled(isa, x, &mut sums);
        let dots = [true, false].map(|all_finite| {
            let mut sums = vec![S::default(); rows.pointers.len()];
            let n = rows.dot(isa, &x[..n_columns], all_finite, &mut sums);
            n.map(|n| (n, bits(sums)))
        });
        // Of what breaks a rule, who knows what has been taken.
        [n.map(|n| (n, bits(sums))), dots[0].clone(), dots[1].clone()]
    }
    with_weights!(input, n_weights, weights => same(|isa| {
        let rows = StepRows { steps: &steps, pointers: &pointers, end, length, weights, n_weights };
        let of_f32 = products::<f64>(isa, rows, &x, n_columns);
        (of_f32, products::<[f64; 2]>(isa, rows, &x, n_columns))
    }));
}

fn copied_bytes(input: &mut Cursor<'_>) {
    let start = usize::from(byte(input) % 64);
    let from = take(input, usize::MAX);
    same(|isa| {
        let mut to = vec![0x55; start + from.len() + 64];
        copy::past_caches(isa, from, (&mut to[start..start + from.len()]).into());
        copy::fence(isa);
        to
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn kernels_agree_on_any_bytes(kernel in 0u8..15, bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), 0u8..4], 0..1200,
        )) {
            compare(&[&[kernel], &bytes[..]].concat());
        }
    }
}
