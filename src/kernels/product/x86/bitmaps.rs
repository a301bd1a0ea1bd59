//! Rows of bitmaps, expanded into registers eight columns at a time.

use super::super::rows::{BitRows, ROWS_AT_ONCE};
use super::super::{LANES, Weights};
use super::prefetch;
use crate::kernels::Isa;
use crate::kernels::expand::sources;
use core::arch::x86_64::*;

/// For every byte of a bitmap, where the bytes of its eight floats come from, four and four: the first ones from the
/// next floats, the others from those that end where the byte's floats end; for a bit that is not set, zero.
#[repr(align(32))]
struct Sources([[[u8; 16]; 2]; 256]);

static SOURCES: Sources = float_sources();

const fn float_sources() -> Sources {
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

/// For every byte of a bitmap, the number of the float for each bit that is set; for others that of a zero.
static LANES_OF: [[u8; 8]; 256] = sources(8);

/// Floats before those of a byte that may be loaded, and not used; and after them.
const FLOATS_BESIDE: usize = 4;

/// Eight numbers in registers. What its functions do is meant to be inlined where the instructions are known.
trait Eight: Copy {
    /// Eight columns of a bitmap: the floats from `from` to `end` where bits are set, zero elsewhere.
    ///
    /// # Safety
    /// The machine has the instructions, as for all functions of this trait. Eight floats are at `from`, and
    /// [`FLOATS_BESIDE`] before it and after it.
    unsafe fn expand(bits: u8, from: *const u32, end: *const u32) -> Self;

    unsafe fn splat(number: f64) -> Self;

    /// # Safety
    /// Eight numbers are there.
    unsafe fn load(from: *const f64) -> Self;

    /// # Safety
    /// There is room for eight numbers.
    unsafe fn store(self, to: *mut f64);

    /// Adds products of numbers of 24 bits, which are exact.
    unsafe fn add_products(self, a: Self, b: Self) -> Self;
}

impl Eight for [__m256d; 2] {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn expand(bits: u8, from: *const u32, end: *const u32) -> Self {
        let [low, high] = &SOURCES.0[usize::from(bits)];
        // SAFETY: sixteen bytes of each table and of four floats, four after `from` and four before `end`.
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

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn splat(number: f64) -> Self {
        [_mm256_set1_pd(number); 2]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: eight numbers, as the caller says.
        unsafe { [_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))] }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: room for eight numbers, as the caller says.
        unsafe {
            _mm256_storeu_pd(to, self[0]);
            _mm256_storeu_pd(to.add(4), self[1]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_products(self, a: Self, b: Self) -> Self {
        [
            _mm256_fmadd_pd(a[0], b[0], self[0]),
            _mm256_fmadd_pd(a[1], b[1], self[1]),
        ]
    }
}

impl Eight for __m512d {
    /// A table of where floats come from takes less time than what expands by a mask, which has to be moved to where
    /// masks are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn expand(bits: u8, from: *const u32, _end: *const u32) -> Self {
        // SAFETY: eight floats, as the caller says, and the eight bytes of an entry.
        let (floats, lanes) = unsafe {
            let lanes = LANES_OF[usize::from(bits)].as_ptr();
            (
                _mm256_loadu_ps(from.cast()),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(lanes.cast())),
            )
        };
        let floats = _mm256_permutex2var_ps(floats, lanes, _mm256_setzero_ps());
        _mm512_cvtps_pd(floats)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn splat(number: f64) -> Self {
        _mm512_set1_pd(number)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: eight numbers, as the caller says.
        unsafe { _mm512_loadu_pd(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: room for eight numbers, as the caller says.
        unsafe { _mm512_storeu_pd(to, self) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_products(self, a: Self, b: Self) -> Self {
        _mm512_fmadd_pd(a, b, self)
    }
}

/// What is done with the next eight columns of some rows.
trait Columns<V, const N: usize> {
    /// Takes what is expanded of each row, columns from `column` on.
    ///
    /// # Safety
    /// The machine has the instructions; eight columns from this one on are there.
    unsafe fn take(&mut self, column: usize, rows: [V; N]);
}

/// Adds rows times numbers to sums.
struct AddRows<V, const N: usize> {
    x: [V; N],
    sums: *mut f64,
}

impl<V: Eight, const N: usize> Columns<V, N> for AddRows<V, N> {
    #[inline(always)]
    unsafe fn take(&mut self, column: usize, rows: [V; N]) {
        // SAFETY: eight sums, as the caller says.
        unsafe {
            let at = self.sums.add(column);
            let mut sums = V::load(at);
            for row in 0..N {
                sums = sums.add_products(rows[row], self.x[row]);
            }
            sums.store(at);
        }
    }
}

/// Adds rows times a vector, each to sums of its own.
struct DotRows<V, const N: usize> {
    x: *const f64,
    sums: [V; N],
}

impl<V: Eight, const N: usize> Columns<V, N> for DotRows<V, N> {
    #[inline(always)]
    unsafe fn take(&mut self, column: usize, rows: [V; N]) {
        // SAFETY: eight numbers, as the caller says.
        unsafe {
            let x = V::load(self.x.add(column));
            for row in 0..N {
                self.sums[row] = self.sums[row].add_products(rows[row], x);
            }
        }
    }
}

/// Columns of a bitmap between two looks at how many weights are left.
const COLUMNS: usize = 64;

/// Floats of a line of the caches.
const LINE: usize = 16;

/// Rows to be multiplied at once.
struct Rows<'a, const N: usize> {
    bitmaps: [&'a [u8]; N],
    floats: &'a [u32],
    /// Where the floats of each row begin.
    firsts: &'a mut [usize; ROWS_AT_ONCE],
    /// Columns that are to be taken.
    n_columns: usize,
}

impl<'a, const N: usize> Rows<'a, N> {
    fn new<W: Weights>(
        rows: &BitRows<'a, W>,
        first_row: usize,
        floats: &'a [u32],
        firsts: &'a mut [usize; ROWS_AT_ONCE],
        n_columns: usize,
    ) -> Self {
        Self {
            bitmaps: std::array::from_fn(|i| rows.row(first_row + i)),
            floats,
            firsts,
            n_columns: n_columns.min(rows.length),
        }
    }

    /// Expands the rows until there may be too few floats; returns how many bytes of each bitmap, and moves
    /// `firsts` on.
    ///
    /// # Safety
    /// The machine has the instructions of `V`; `to` knows as many columns as are to be taken.
    #[inline(always)]
    unsafe fn expand<V: Eight>(self, to: &mut impl Columns<V, N>) -> usize {
        // Loops, not closures that others call: those would be calls in fact, without these instructions.
        let Self {
            bitmaps,
            floats,
            firsts,
            n_columns,
        } = self;
        let n_chunks = n_columns / COLUMNS;
        // Each row is a stream of its own, and those of the next rows begin where nobody expects it. They follow
        // these rows, and are about as long.
        let n_floats = match N {
            1 => 0,
            _ => (firsts[N - 1] - firsts[0]) * N / (N - 1),
        };
        let lines = n_floats.div_ceil(LINE * n_chunks.max(1));
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
                prefetch::<_MM_HINT_T1>(ahead.wrapping_add(LINE * line));
            }
            ahead = ahead.wrapping_add(LINE * lines);
            let start = from;
            // Two bytes at once: what is added to one sum waits for each row, that of another doesn't.
            for i in (0..COLUMNS / 8).step_by(2) {
                // SAFETY: the machine has the instructions.
                let mut expanded = unsafe { [[V::splat(0.0); N]; 2] };
                for half in 0..2 {
                    for row in 0..N {
                        let bits = bytes[row][i + half];
                        // SAFETY: no row has taken more than eight floats for each byte before this one and for
                        // this one: as many as there are, with four more; and four are before the first of them.
                        unsafe {
                            let end = from[row].add(bits.count_ones() as usize);
                            expanded[half][row] = V::expand(bits, from[row], end);
                            from[row] = end;
                        }
                    }
                }
                for half in 0..2 {
                    // SAFETY: the columns of a whole byte.
                    unsafe { to.take(8 * (done + i + half), expanded[half]) };
                }
            }
            for row in 0..N {
                // SAFETY: both are in the floats, or in their copy.
                firsts[row] += unsafe { from[row].offset_from(start[row]) } as usize;
            }
        }
        n_chunks * (COLUMNS / 8)
    }

    /// Adds the rows, times a number each, to sums of which there are as many as columns that are to be taken.
    ///
    /// # Safety
    /// The machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn add_scaled<V: Eight>(self, x: [f64; ROWS_AT_ONCE], sums: &mut [f64]) -> usize {
        assert!(self.n_columns <= sums.len());
        // SAFETY: the caller's promise; there are so many sums.
        unsafe {
            let mut to = AddRows {
                x: [V::splat(0.0); N],
                sums: sums.as_mut_ptr(),
            };
            for row in 0..N {
                to.x[row] = V::splat(x[row]);
            }
            self.expand(&mut to)
        }
    }

    /// Makes the dot products of the rows and a vector of as many numbers as columns that are to be taken, into the
    /// lanes of each row.
    ///
    /// # Safety
    /// The machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn dot<V: Eight>(self, x: &[f64], sums: &mut [f64]) -> usize {
        assert!(self.n_columns <= x.len());
        // SAFETY: the caller's promise; `x` has so many numbers. Eight are stored in each of the lanes.
        unsafe {
            let mut to = DotRows {
                x: x.as_ptr(),
                sums: [V::splat(0.0); N],
            };
            let done = self.expand(&mut to);
            for (lanes, sum) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(to.sums) {
                sum.store(lanes.as_mut_ptr());
            }
            done
        }
    }
}

/// The same with the instructions that there are.
impl<const N: usize> Rows<'_, N> {
    fn add_scaled_on(self, isa: Isa, x: [f64; ROWS_AT_ONCE], sums: &mut [f64]) -> usize {
        #[target_feature(enable = "avx2,fma,popcnt")]
        fn with_avx2<const N: usize>(
            rows: Rows<'_, N>,
            x: [f64; ROWS_AT_ONCE],
            sums: &mut [f64],
        ) -> usize {
            // SAFETY: these are the instructions.
            unsafe { rows.add_scaled::<[__m256d; 2]>(x, sums) }
        }
        #[target_feature(enable = "avx512f,avx512vl,popcnt")]
        fn with_avx512<const N: usize>(
            rows: Rows<'_, N>,
            x: [f64; ROWS_AT_ONCE],
            sums: &mut [f64],
        ) -> usize {
            // SAFETY: these are the instructions.
            unsafe { rows.add_scaled::<__m512d>(x, sums) }
        }
        // SAFETY: kernels are only chosen on machines that have their instructions.
        unsafe {
            match isa {
                Isa::Avx512 => with_avx512(self, x, sums),
                _ => with_avx2(self, x, sums),
            }
        }
    }

    fn dot_on(self, isa: Isa, x: &[f64], sums: &mut [f64]) -> usize {
        #[target_feature(enable = "avx2,fma,popcnt")]
        fn with_avx2<const N: usize>(rows: Rows<'_, N>, x: &[f64], sums: &mut [f64]) -> usize {
            // SAFETY: these are the instructions.
            unsafe { rows.dot::<[__m256d; 2]>(x, sums) }
        }
        #[target_feature(enable = "avx512f,avx512vl,popcnt")]
        fn with_avx512<const N: usize>(rows: Rows<'_, N>, x: &[f64], sums: &mut [f64]) -> usize {
            // SAFETY: these are the instructions.
            unsafe { rows.dot::<__m512d>(x, sums) }
        }
        // SAFETY: kernels are only chosen on machines that have their instructions.
        unsafe {
            match isa {
                Isa::Avx512 => with_avx512(self, x, sums),
                _ => with_avx2(self, x, sums),
            }
        }
    }
}

/// As [`super::super::WholeRows::add_scaled`] of bitmaps for `n` rows from `first_row` on, whose weights begin at
/// `firsts`. Returns how many bytes of each bitmap it has taken, and moves `firsts` on.
pub(in super::super) fn add_scaled_rows<W: Weights>(
    isa: Isa,
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
    macro_rules! of {
        ($n:expr) => {
            Rows::<$n>::new(&rows, first_row, floats, firsts, sums.len())
                .add_scaled_on(isa, x, sums)
        };
    }
    match n {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        _ => of!(ROWS_AT_ONCE),
    }
}

/// As [`super::super::WholeRows::dot`] of bitmaps for `n` rows, into the lanes of each; otherwise as
/// [`add_scaled_rows`].
pub(in super::super) fn dot_rows<W: Weights>(
    isa: Isa,
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
    macro_rules! of {
        ($n:expr) => {
            Rows::<$n>::new(&rows, first_row, floats, firsts, x.len()).dot_on(isa, x, sums)
        };
    }
    match n {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        _ => of!(ROWS_AT_ONCE),
    }
}
