//! Products with AVX2. A multiplication is only fused with an addition where it is exact.

#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "several arrays have something for each row"
)]

use super::positions::{Ascending, CHUNK, SLACK, Steps};
use super::{BitRows, Codes, Doubles, Floats, LANES, ROWS_AT_ONCE, StepRows, Taken, Weights};
use crate::kernels::chosen::CHOSEN;
use core::arch::x86_64::*;

/// Weights four at a time.
pub(crate) trait Fours {
    /// Weights that can be had in this way: those with lower numbers.
    fn n_fours(&self) -> usize;

    /// The weights with numbers `i` to `i` + 3.
    ///
    /// # Safety
    /// The machine has AVX2 and BMI2; `i` + 4 is at most [`n_fours`](Self::n_fours).
    unsafe fn four(&self, i: usize) -> __m256d;

    /// Tells the machine that the weights from `i` on will be wanted, if there are any.
    fn prefetch(&self, i: usize) {
        let _ = i;
    }

    /// The first weights as floats, if they are.
    fn floats(&self) -> Option<&[u32]> {
        None
    }
}

/// Tells the machine that memory will be wanted; what there is not does no harm.
#[inline(always)]
fn prefetch<const HINT: i32>(at: *const u32) {
    // SAFETY: a hint, for any address, on every machine of this architecture.
    unsafe { _mm_prefetch::<HINT>(at.cast()) }
}

impl Fours for Floats<'_> {
    fn n_fours(&self) -> usize {
        self.0.len()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        // SAFETY: four of the slice, as the caller says.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(self.0.as_ptr().add(i).cast())) }
    }

    #[inline(always)]
    fn prefetch(&self, i: usize) {
        prefetch::<_MM_HINT_T0>(self.0.as_ptr().wrapping_add(i));
    }

    fn floats(&self) -> Option<&[u32]> {
        Some(self.0)
    }
}

impl Fours for Doubles<'_> {
    fn n_fours(&self) -> usize {
        self.0.len()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        // SAFETY: four of the slice, as the caller says.
        unsafe { _mm256_loadu_pd(self.0.as_ptr().add(i).cast()) }
    }
}

impl Fours for Codes<'_> {
    fn n_fours(&self) -> usize {
        // A load of eight bytes at the byte that the last four codes begin in.
        let bits = 8 * self.packed.len().saturating_sub(7);
        (bits / self.bits).saturating_sub(self.first)
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        let bit = (self.first + i) * self.bits;
        // SAFETY: the last of the codes begins eight bytes before the end at the latest, and the first
        // one no later.
        let word = unsafe {
            self.packed
                .as_ptr()
                .add(bit / 8)
                .cast::<u64>()
                .read_unaligned()
        };
        // Of four codes and seven bits before them.
        let word = word >> (bit % 8);
        let mask = (1 << self.bits) - 1;
        let weight = |i: usize| self.table[(word >> (i * self.bits) & mask) as usize & 0xff];
        _mm256_setr_pd(weight(0), weight(1), weight(2), weight(3))
    }
}

/// Adds four numbers to the sums at these positions.
///
/// # Safety
/// The machine has AVX2; all positions have a sum.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_four(sums: *mut f64, positions: *const u32, numbers: __m256d) {
    // SAFETY: four positions are read, and their sums, as the caller says. Two at a time: a load each
    // would be the most that the machine can do.
    unsafe {
        let ab = positions.cast::<u64>().read_unaligned();
        let cd = positions.add(2).cast::<u64>().read_unaligned();
        let (low, high) = (
            _mm256_castpd256_pd128(numbers),
            _mm256_extractf128_pd::<1>(numbers),
        );
        for (pair, numbers) in [(ab, low), (cd, high)] {
            let first = sums.add(pair as u32 as usize);
            let second = sums.add((pair >> 32) as usize);
            _mm_store_sd(first, _mm_add_sd(numbers, _mm_load_sd(first)));
            _mm_storeh_pd(second, _mm_add_pd(numbers, _mm_loadh_pd(numbers, second)));
        }
    }
}

/// Whether all positions are those of a row of `length` elements from `start` on.
fn lie_in(positions: Ascending<'_>, start: u32, length: usize) -> bool {
    let list = positions.list();
    match (list.first(), list.last()) {
        (Some(&first), Some(&last)) => first >= start && ((last - start) as usize) < length,
        _ => true,
    }
}

/// As [`super::add_scaled`]; returns how many it has added.
///
/// # Panics
/// If a position has no sum.
pub(super) fn add_scaled(
    positions: Ascending<'_>,
    start: u32,
    weights: impl Weights,
    x: f64,
    sums: &mut [f64],
) -> usize {
    assert!(lie_in(positions, start, sums.len()));
    let n = positions.list().len().min(weights.n_fours());
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2. As positions ascend, none is
    // before the first one or after the last, which have just been looked at.
    unsafe { add_fours(positions.list(), start, n, weights, x, sums) }
}

/// # Safety
/// All positions from `start` on are those of sums; there are `n` weights in fours.
#[target_feature(enable = "avx2,bmi2")]
unsafe fn add_fours(
    positions: &[u32],
    start: u32,
    n: usize,
    weights: impl Weights,
    x: f64,
    sums: &mut [f64],
) -> usize {
    // Where the sum of position 0 would be.
    let sums = sums.as_mut_ptr().wrapping_sub(start as usize);
    let (x_of_all, x) = (x, _mm256_set1_pd(x));
    let mut i = 0;
    while i + 4 <= n {
        // SAFETY: four positions and weights from `i` on are there; as the caller says.
        unsafe {
            let numbers = _mm256_mul_pd(weights.four(i), x);
            add_four(sums, positions.as_ptr().add(i), numbers);
        }
        i += 4;
    }
    while i < n {
        // SAFETY: as before.
        unsafe { *sums.add(*positions.get_unchecked(i) as usize) += weights.at(i) * x_of_all };
        i += 1;
    }
    i
}

/// As [`super::dot`], into the lanes; returns how many it has added.
///
/// # Panics
/// If `x` has nothing for a position.
pub(super) fn dot(
    positions: Ascending<'_>,
    start: u32,
    weights: impl Weights,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> usize {
    assert!(lie_in(positions, start, x.len()));
    let n = positions.list().len().min(weights.n_fours());
    // SAFETY: as in `add_scaled`.
    unsafe { dot_eights(positions.list(), start, n, weights, x, sums) }
}

/// # Safety
/// All positions from `start` on are in `x`; there are `n` weights in fours.
#[target_feature(enable = "avx2,bmi2")]
unsafe fn dot_eights(
    positions: &[u32],
    start: u32,
    n: usize,
    weights: impl Weights,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> usize {
    let x = x.as_ptr().wrapping_sub(start as usize);
    let mut i = 0;
    let mut both = [_mm256_setzero_pd(); 2];
    while i + LANES <= n {
        for (half, sum) in both.iter_mut().enumerate() {
            let i = i + 4 * half;
            // SAFETY: four positions and weights from `i` on are there; as the caller says.
            unsafe {
                let at = |i: usize| x.add(*positions.get_unchecked(i) as usize);
                let low = _mm_loadh_pd(_mm_load_sd(at(i)), at(i + 1));
                let high = _mm_loadh_pd(_mm_load_sd(at(i + 2)), at(i + 3));
                let products = _mm256_mul_pd(weights.four(i), _mm256_set_m128d(high, low));
                *sum = _mm256_add_pd(*sum, products);
            }
        }
        i += LANES;
    }
    let (low, high) = sums.split_at_mut(4);
    // SAFETY: each half has four numbers.
    unsafe {
        _mm256_storeu_pd(low.as_mut_ptr(), both[0]);
        _mm256_storeu_pd(high.as_mut_ptr(), both[1]);
    }
    i
}

/// Weights between those that are taken and those that are fetched meanwhile: a bare loop waits for memory
/// a third of its time.
const WEIGHTS_AHEAD: usize = 512;

/// Steps of a byte that are taken at once.
const BYTES: usize = 8;

/// Eight steps that are all taken.
struct Eight {
    /// The column before the next one, so to say: steps lead to the column after the last.
    column: usize,
    left: u64,
    /// The column after the last one.
    after: usize,
}

impl Eight {
    /// The column that the next step leads to.
    #[inline(always)]
    fn next_column(&mut self) -> usize {
        self.column = self.column.wrapping_add((self.left & 0xff) as usize);
        self.left >>= 8;
        self.column
    }
}

impl Taken {
    /// Takes eight entries more.
    #[inline(always)]
    fn add(&mut self, eight: &Eight) {
        self.steps += BYTES;
        self.entries += BYTES;
        self.weights += BYTES;
        self.after = eight.after;
    }
}

/// Eight steps, if so many are left and none of them is an escape, they lead to columns of the row, and eight weights
/// can be had in fours. Fetches weights that come later.
#[inline]
#[target_feature(enable = "avx2")]
fn eight_steps<W: Weights>(
    rows: &StepRows<'_, W>,
    steps: &[u8],
    n_fours: usize,
    taken: &Taken,
) -> Option<Eight> {
    let eight = steps.get(taken.steps..)?.first_chunk::<BYTES>()?;
    let eight = u64::from_le_bytes(*eight);
    // Where a byte is zero, its top bit comes, from it or from a lower one that is zero.
    let borrows = eight.wrapping_sub(0x0101_0101_0101_0101) & !eight & 0x8080_8080_8080_8080;
    let total = _mm_sad_epu8(_mm_cvtsi64_si128(eight as i64), _mm_setzero_si128());
    let after = taken.after + _mm_cvtsi128_si64(total) as usize;
    let are_there = borrows == 0 && after <= rows.length && taken.weights + BYTES <= n_fours;
    if !are_there {
        return None;
    }
    if taken.steps.is_multiple_of(2 * BYTES) {
        rows.weights.prefetch(taken.weights + WEIGHTS_AHEAD);
    }
    Some(Eight {
        column: taken.after.wrapping_sub(1),
        left: eight,
        after,
    })
}

/// As [`super::WholeRows::add_scaled`] of steps.
///
/// # Panics
/// If there are fewer sums than columns.
pub(super) fn add_scaled_steps<A: Copy + Into<f64>, W: Weights>(
    rows: StepRows<'_, W>,
    x: &[A],
    sums: &mut [f64],
) -> Option<usize> {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2.
    unsafe { add_steps(rows, x, sums) }
}

#[target_feature(enable = "avx2,bmi2")]
fn add_steps<A: Copy + Into<f64>, W: Weights>(
    rows: StepRows<'_, W>,
    x: &[A],
    sums: &mut [f64],
) -> Option<usize> {
    assert!(sums.len() >= rows.length);
    let n_fours = rows.weights.n_fours().min(rows.n_weights);
    let mut weights = 0;
    for row in 0..rows.pointers.len() {
        let (steps, x): (_, f64) = (rows.row(row)?, (*x.get(row)?).into());
        let x_of_all = _mm256_set1_pd(x);
        let mut taken = Taken {
            weights,
            ..Taken::default()
        };
        loop {
            while x.is_finite()
                && let Some(mut eight) = eight_steps(&rows, steps, n_fours, &taken)
            {
                for i in [0, 4] {
                    // SAFETY: eight weights can be had in fours. A step is at least 1 and the sum of them is
                    // below the row's end: each column is one of the row, and has a sum.
                    unsafe {
                        let four = _mm256_mul_pd(rows.weights.four(taken.weights + i), x_of_all);
                        let (low, high) = (
                            _mm256_castpd256_pd128(four),
                            _mm256_extractf128_pd::<1>(four),
                        );
                        for pair in [low, high] {
                            let at = sums.as_mut_ptr().add(eight.next_column());
                            _mm_store_sd(at, _mm_add_sd(pair, _mm_load_sd(at)));
                            let at = sums.as_mut_ptr().add(eight.next_column());
                            _mm_storeh_pd(at, _mm_add_pd(pair, _mm_loadh_pd(pair, at)));
                        }
                    }
                }
                taken.add(&eight);
            }
            // The last ones of the row, or an escape and what is beside it.
            rows.take(steps, &mut taken, BYTES, |_, column, weight| {
                if x.is_finite() || weight != 0.0 {
                    sums[column] += weight * x;
                }
            })?;
            if taken.steps == steps.len() {
                break;
            }
        }
        weights = taken.weights;
    }
    Some(weights)
}

/// As [`super::WholeRows::dot`] of steps for a row, into the lanes; leaves some steps to take.
///
/// # Panics
/// If `x` has fewer numbers than there are columns.
pub(super) fn dot_steps<W: Weights>(
    rows: StepRows<'_, W>,
    steps: &[u8],
    taken: &mut Taken,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> Option<()> {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2.
    unsafe { dot_eight_steps(rows, steps, taken, x, sums) }
}

#[target_feature(enable = "avx2,bmi2")]
fn dot_eight_steps<W: Weights>(
    rows: StepRows<'_, W>,
    steps: &[u8],
    taken: &mut Taken,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> Option<()> {
    assert!(x.len() >= rows.length);
    let n_fours = rows.weights.n_fours().min(rows.n_weights);
    loop {
        // SAFETY: all eight numbers are loaded.
        let mut both = unsafe {
            [
                _mm256_loadu_pd(sums.as_ptr()),
                _mm256_loadu_pd(sums.as_ptr().add(4)),
            ]
        };
        while let Some(mut eight) = eight_steps(&rows, steps, n_fours, taken) {
            let mut next = || eight.next_column();
            for (half, sum) in both.iter_mut().enumerate() {
                // SAFETY: as in `add_steps`.
                unsafe {
                    let (a, b) = (x.as_ptr().add(next()), x.as_ptr().add(next()));
                    let (c, d) = (x.as_ptr().add(next()), x.as_ptr().add(next()));
                    let low = _mm_loadh_pd(_mm_load_sd(a), b);
                    let high = _mm_loadh_pd(_mm_load_sd(c), d);
                    let four = rows.weights.four(taken.weights + 4 * half);
                    let products = _mm256_mul_pd(four, _mm256_set_m128d(high, low));
                    *sum = _mm256_add_pd(*sum, products);
                }
            }
            taken.add(&eight);
        }
        // SAFETY: all eight numbers are stored.
        unsafe {
            _mm256_storeu_pd(sums.as_mut_ptr(), both[0]);
            _mm256_storeu_pd(sums.as_mut_ptr().add(4), both[1]);
        }
        if taken.steps == steps.len() {
            return Some(());
        }
        // As many steps that the next entry goes to the first lane again.
        let mut add = |i: usize, column: usize, weight: f64| sums[i % LANES] += weight * x[column];
        rows.take(steps, taken, 1, &mut add)?;
        while !taken.entries.is_multiple_of(LANES) && taken.steps < steps.len() {
            rows.take(steps, taken, 1, &mut add)?;
        }
    }
}

/// Steps that are taken at once.
const STEPS: usize = 16;

/// Makes positions as long as there is room for that many, and eight bytes can be read at each eight of them.
/// Returns how many.
pub(super) fn positions(steps: &mut Steps<'_>, out: &mut [u32; CHUNK + SLACK]) -> usize {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2, BMI2 and POPCNT.
    unsafe { positions_of_sixteens(steps, out) }
}

/// Of lanes of 16 bits: the sums of each half up to each, at most 8 · 255; and the last of them in all lanes of 32
/// bits of its half.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_and_totals(moves: __m256i) -> (__m256i, __m256i) {
    let sums = _mm256_add_epi16(moves, _mm256_slli_si256::<2>(moves));
    let sums = _mm256_add_epi16(sums, _mm256_slli_si256::<4>(sums));
    let sums = _mm256_add_epi16(sums, _mm256_slli_si256::<8>(sums));
    let top = _mm256_set1_epi32(0x8080_0f0e_u32 as i32);
    (sums, _mm256_shuffle_epi8(sums, top))
}

#[target_feature(enable = "avx2,bmi2,popcnt")]
fn positions_of_sixteens(steps: &mut Steps<'_>, out: &mut [u32; CHUNK + SLACK]) -> usize {
    let bits = steps.bits as usize;
    let first_bit = steps.next * bits;
    let (mut byte, shift) = (first_bit / 8, first_bit % 8);
    let mask = 0x0101_0101_0101_0101 * ((1 << bits) - 1);
    let escape = _mm256_set1_epi16((1 << bits) - 1);
    // The position of the last step.
    let mut at = _mm256_set1_epi32(steps.after.wrapping_sub(1) as i32);
    let mut n = 0;
    let mut left = steps.end - steps.next;
    while bits == 8
        && n + STEPS <= CHUNK
        && left > 0
        && let Some(sixteen) = steps
            .packed
            .get(byte..)
            .and_then(<[u8]>::first_chunk::<STEPS>)
    {
        // SAFETY: an array of sixteen bytes is loaded.
        let sixteen = unsafe { _mm_loadu_si128(sixteen.as_ptr().cast()) };
        let escapes = _mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, _mm_setzero_si128())) as u32;
        let taken = left.min(STEPS);
        if _bzhi_u32(escapes, taken as u32) != 0 {
            break;
        }
        let (sums, totals) = sums_and_totals(_mm256_cvtepu8_epi16(sixteen));
        let half = _mm256_add_epi32(at, _mm256_permute2x128_si256::<0x00>(totals, totals));
        let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums));
        let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(sums));
        debug_assert!(n + STEPS <= out.len());
        // SAFETY: at most CHUNK − 16 positions are before these, of which the first ones count.
        unsafe {
            let to = out.as_mut_ptr().add(n);
            _mm256_storeu_si256(to.cast(), _mm256_add_epi32(low, at));
            _mm256_storeu_si256(to.add(8).cast(), _mm256_add_epi32(high, half));
        }
        n += taken;
        left -= taken;
        byte += STEPS;
        // After fewer than sixteen steps nothing comes that begins there.
        at = _mm256_add_epi32(half, _mm256_permute2x128_si256::<0x11>(totals, totals));
    }
    // Eight steps are `bits` bytes, and with those before them in the first byte at most eight. Loads of eight
    // bytes at this one, and `bits` after it, are inside.
    let last_byte = steps.packed.len().saturating_sub(bits + 7);
    while n + STEPS <= CHUNK && left > 0 && byte < last_byte {
        let eight = |at: usize| {
            // SAFETY: `byte` is below `last_byte`, and `at` at most `bits` after it.
            let word = unsafe { steps.packed.as_ptr().add(at).cast::<u64>().read_unaligned() };
            _pdep_u64(word >> shift, mask)
        };
        let (mut a, mut b) = (eight(byte), eight(byte + bits));
        if left < STEPS {
            // What follows the last step is an escape over nothing, which adds no position.
            let of_eight = |n: usize| _bzhi_u64(u64::MAX, 8 * n as u32);
            (a, b) = (
                a & of_eight(left.min(8)),
                b & of_eight(left.saturating_sub(8)),
            );
        }
        let moves = _mm256_cvtepu8_epi16(_mm_set_epi64x(b as i64, a as i64));
        let is_escape = _mm256_cmpeq_epi16(moves, _mm256_setzero_si256());
        let moves = _mm256_or_si256(moves, _mm256_and_si256(is_escape, escape));
        let (sums, totals) = sums_and_totals(moves);
        let entries = !_mm256_movemask_epi8(_mm256_packs_epi16(is_escape, is_escape)) as u32;
        let half = _mm256_add_epi32(at, _mm256_permute2x128_si256::<0x00>(totals, totals));
        let halves = [
            (_mm256_castsi256_si128(sums), entries & 0xff, at),
            (
                _mm256_extracti128_si256::<1>(sums),
                entries >> 16 & 0xff,
                half,
            ),
        ];
        for (sums, entries, at) in halves {
            // SAFETY: an array of sixteen bytes is loaded.
            let chosen = unsafe { _mm_loadu_si128(CHOSEN[entries as usize].as_ptr().cast()) };
            let sums = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(sums, chosen));
            let positions = _mm256_add_epi32(sums, at);
            debug_assert!(n + 8 <= out.len());
            // SAFETY: at most CHUNK − 8 positions are before these eight, of which the first ones count.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(n).cast(), positions) };
            n += entries.count_ones() as usize;
        }
        if left < STEPS {
            // The last one is no escape where the block keeps the rules; nothing comes after it anyway.
            left = 0;
            break;
        }
        at = _mm256_add_epi32(half, _mm256_permute2x128_si256::<0x11>(totals, totals));
        byte += 2 * bits;
        left -= STEPS;
    }
    steps.next = steps.end - left;
    steps.after = (_mm256_extract_epi32::<0>(at) as u32).wrapping_add(1);
    n
}

/// Columns of a bitmap between two looks at how many weights are left.
const COLUMNS: usize = 64;

/// For every byte of a bitmap, where the bytes of its eight floats come from, four and four: the first ones from the
/// next floats, the others from those that end where the byte's floats end; for a bit that is not set, zero.
#[repr(align(32))]
struct Sources([[[u8; 16]; 2]; 256]);

static SOURCES: Sources = sources();

const fn sources() -> Sources {
    let mut table = [[[0x80; 16]; 2]; 256];
    let mut bits: usize = 0;
    while bits < 256 {
        let high = (bits >> 4).count_ones() as usize;
        let (mut bit, mut n) = (0, 0);
        while bit < 8 {
            if bit == 4 {
                n = 4 - high;
            }
            if bits >> bit & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    table[bits][bit / 4][4 * (bit % 4) + byte] = (4 * n + byte) as u8;
                    byte += 1;
                }
                n += 1;
            }
            bit += 1;
        }
        bits += 1;
    }
    Sources(table)
}

/// Floats before those of a byte that may be loaded, and not used; and after them.
const FLOATS_BESIDE: usize = 4;

/// Eight columns of a bitmap: the floats from `from` to `end` where bits are set, zero elsewhere.
///
/// # Safety
/// The machine has AVX2; four floats are at `from`, and four before `end`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn expand_eight(bits: u8, from: *const u32, end: *const u32) -> [__m256d; 2] {
    let [low, high] = &SOURCES.0[usize::from(bits)];
    // SAFETY: sixteen bytes of each table and of four floats.
    let (low, high) = unsafe {
        let (low, high) = (
            _mm_load_si128(low.as_ptr().cast()),
            _mm_load_si128(high.as_ptr().cast()),
        );
        (
            _mm_shuffle_epi8(_mm_loadu_si128(from.cast()), low),
            _mm_shuffle_epi8(_mm_loadu_si128(end.sub(FLOATS_BESIDE).cast()), high),
        )
    };
    [
        _mm256_cvtps_pd(_mm_castsi128_ps(low)),
        _mm256_cvtps_pd(_mm_castsi128_ps(high)),
    ]
}

/// What is done with eight columns of some rows.
trait Columns<const N: usize> {
    /// Takes what is expanded of each row: columns from `column` on, four and four.
    ///
    /// # Safety
    /// The machine has AVX2 and FMA; eight columns from this one on are there.
    unsafe fn eight(&mut self, column: usize, rows: impl Fn(usize) -> [__m256d; 2]);
}

/// Expands `N` rows, whose floats begin at `firsts`, until there may be too few of them; returns how many
/// bytes of each bitmap, and moves `firsts` on.
///
/// # Safety
/// The machine has AVX2, FMA and POPCNT; the columns that `to` knows are at least those of the bitmaps' whole bytes.
#[allow(clippy::needless_range_loop, reason = "one index for several slices")]
#[inline]
#[target_feature(enable = "avx2,fma,popcnt")]
unsafe fn expand<const N: usize>(
    bitmaps: [&[u8]; N],
    floats: &[u32],
    firsts: &mut [usize; ROWS_AT_ONCE],
    n_columns: usize,
    to: &mut impl Columns<N>,
) -> usize {
    // Loops, not closures that others call: those would be calls in fact, without these instructions.
    let n_chunks = n_columns / COLUMNS;
    // Each row is a stream of its own, and those of the next rows begin where nobody expects it. They follow these
    // rows, and are about as long.
    let n_floats = match N {
        1 => 0,
        _ => (firsts[N - 1] - firsts[0]) * N / (N - 1),
    };
    let lines = (4 * n_floats).div_ceil(64 * n_chunks.max(1));
    let mut ahead = floats.as_ptr().wrapping_add(firsts[0] + n_floats);
    // The first floats, where nothing may be loaded before them.
    let mut copy = [0; FLOATS_BESIDE + COLUMNS + FLOATS_BESIDE];
    for chunk in 0..n_chunks {
        let done = chunk * (COLUMNS / 8);
        let mut bytes = [&[0; COLUMNS / 8]; N];
        let mut from = [floats.as_ptr(); N];
        for row in 0..N {
            let Some(next) = bitmaps[row].get(done..).and_then(<[u8]>::first_chunk) else {
                return done;
            };
            bytes[row] = next;
            // As many columns take at most as many floats, and four may be loaded that are not used.
            let left = match floats.get(firsts[row]..) {
                Some(left) if left.len() >= COLUMNS + FLOATS_BESIDE => left,
                _ => return done,
            };
            from[row] = left.as_ptr();
            if firsts[row] < FLOATS_BESIDE {
                if row > 0 {
                    return done;
                }
                copy[FLOATS_BESIDE..].copy_from_slice(&left[..COLUMNS + FLOATS_BESIDE]);
                from[row] = copy[FLOATS_BESIDE..].as_ptr();
            }
        }
        for line in 0..lines {
            prefetch::<_MM_HINT_T1>(ahead.wrapping_add(16 * line));
        }
        ahead = ahead.wrapping_add(16 * lines);
        let start = from;
        for i in 0..COLUMNS / 8 {
            let mut ends = from;
            for row in 0..N {
                // SAFETY: no row has taken more than eight floats for each byte before this one and for
                // this one: as many as there are, with four more.
                ends[row] = unsafe { from[row].add(bytes[row][i].count_ones() as usize) };
            }
            // SAFETY: four floats at least are after these, and before the first of them.
            let row = |row: usize| unsafe { expand_eight(bytes[row][i], from[row], ends[row]) };
            // SAFETY: the columns of a whole byte.
            unsafe { to.eight(8 * (done + i), row) };
            from = ends;
        }
        for row in 0..N {
            // SAFETY: both are in the floats, or in their copy.
            firsts[row] += unsafe { from[row].offset_from(start[row]) } as usize;
        }
    }
    n_chunks * (COLUMNS / 8)
}

/// Adds rows times numbers to sums.
struct AddRows<const N: usize> {
    x: [__m256d; N],
    sums: *mut f64,
}

impl<const N: usize> Columns<N> for AddRows<N> {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn eight(&mut self, column: usize, rows: impl Fn(usize) -> [__m256d; 2]) {
        // SAFETY: eight sums, as the caller says.
        unsafe {
            let at = self.sums.add(column);
            let (mut low, mut high) = (_mm256_loadu_pd(at), _mm256_loadu_pd(at.add(4)));
            for row in 0..N {
                let [a, b] = rows(row);
                // Products of numbers of 24 bits: exact.
                low = _mm256_fmadd_pd(a, self.x[row], low);
                high = _mm256_fmadd_pd(b, self.x[row], high);
            }
            _mm256_storeu_pd(at, low);
            _mm256_storeu_pd(at.add(4), high);
        }
    }
}

/// Adds rows times a vector, each to sums of its own.
struct DotRows<const N: usize> {
    x: *const f64,
    sums: [[__m256d; 2]; N],
}

impl<const N: usize> Columns<N> for DotRows<N> {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn eight(&mut self, column: usize, rows: impl Fn(usize) -> [__m256d; 2]) {
        // SAFETY: eight numbers, as the caller says.
        unsafe {
            let at = self.x.add(column);
            let (low, high) = (_mm256_loadu_pd(at), _mm256_loadu_pd(at.add(4)));
            for row in 0..N {
                let [a, b] = rows(row);
                let sums = &mut self.sums[row];
                // Products of numbers of 24 bits: exact.
                sums[0] = _mm256_fmadd_pd(a, low, sums[0]);
                sums[1] = _mm256_fmadd_pd(b, high, sums[1]);
            }
        }
    }
}

/// The bitmaps of `N` rows.
fn bitmaps<'a, const N: usize, W: Weights>(rows: BitRows<'a, W>, first: usize) -> [&'a [u8]; N] {
    std::array::from_fn(|i| rows.row(first + i))
}

/// As [`super::WholeRows::add_scaled`] of bitmaps for `n` rows from `first_row` on, whose weights begin at `firsts`.
/// Returns how many bytes of each bitmap it has taken, and moves `firsts` on.
pub(super) fn add_scaled_rows<W: Weights>(
    rows: BitRows<'_, W>,
    first_row: usize,
    n: usize,
    firsts: &mut [usize; ROWS_AT_ONCE],
    x: [f64; ROWS_AT_ONCE],
    sums: &mut [f64],
) -> usize {
    let Some(floats) = rows.weights.floats() else {
        return 0;
    };
    #[target_feature(enable = "avx2,fma,popcnt")]
    fn run<const N: usize, W: Weights>(
        rows: BitRows<'_, W>,
        first_row: usize,
        floats: &[u32],
        firsts: &mut [usize; ROWS_AT_ONCE],
        x: [f64; ROWS_AT_ONCE],
        sums: &mut [f64],
    ) -> usize {
        let n_columns = sums.len().min(rows.length);
        let mut to = AddRows::<N> {
            x: std::array::from_fn(|i| _mm256_set1_pd(x[i])),
            sums: sums.as_mut_ptr(),
        };
        // SAFETY: this has AVX2, FMA and POPCNT, and there are sums for so many columns.
        unsafe { expand(bitmaps(rows, first_row), floats, firsts, n_columns, &mut to) }
    }
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2, FMA and POPCNT.
    unsafe {
        match n {
            1 => run::<1, W>(rows, first_row, floats, firsts, x, sums),
            2 => run::<2, W>(rows, first_row, floats, firsts, x, sums),
            3 => run::<3, W>(rows, first_row, floats, firsts, x, sums),
            _ => run::<ROWS_AT_ONCE, W>(rows, first_row, floats, firsts, x, sums),
        }
    }
}

/// As [`super::WholeRows::dot`] of bitmaps for `n` rows, into the lanes of each; otherwise as [`add_scaled_rows`].
pub(super) fn dot_rows<W: Weights>(
    rows: BitRows<'_, W>,
    first_row: usize,
    n: usize,
    firsts: &mut [usize; ROWS_AT_ONCE],
    x: &[f64],
    sums: &mut [f64],
) -> usize {
    let Some(floats) = rows.weights.floats() else {
        return 0;
    };
    #[target_feature(enable = "avx2,fma,popcnt")]
    fn run<const N: usize, W: Weights>(
        rows: BitRows<'_, W>,
        first_row: usize,
        floats: &[u32],
        firsts: &mut [usize; ROWS_AT_ONCE],
        x: &[f64],
        sums: &mut [f64],
    ) -> usize {
        let n_columns = x.len().min(rows.length);
        let mut to = DotRows::<N> {
            x: x.as_ptr(),
            sums: [[_mm256_setzero_pd(); 2]; N],
        };
        // SAFETY: this has AVX2, FMA and POPCNT, and there are numbers for so many columns.
        let done = unsafe { expand(bitmaps(rows, first_row), floats, firsts, n_columns, &mut to) };
        for (lanes, sum) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(to.sums) {
            // SAFETY: eight numbers are stored.
            unsafe {
                _mm256_storeu_pd(lanes.as_mut_ptr(), sum[0]);
                _mm256_storeu_pd(lanes.as_mut_ptr().add(4), sum[1]);
            }
        }
        done
    }
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2, FMA and POPCNT.
    unsafe {
        match n {
            1 => run::<1, W>(rows, first_row, floats, firsts, x, sums),
            2 => run::<2, W>(rows, first_row, floats, firsts, x, sums),
            3 => run::<3, W>(rows, first_row, floats, firsts, x, sums),
            _ => run::<ROWS_AT_ONCE, W>(rows, first_row, floats, firsts, x, sums),
        }
    }
}
