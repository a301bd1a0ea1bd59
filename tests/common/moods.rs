//! What the elements of tensors look like.

use super::models::Noise;
use proptest::prelude::*;
use tfzip::DType;

/// The dtypes whose elements have a number of bytes.
pub(crate) fn dtypes() -> impl Strategy<Value = DType> {
    let has_width = |dtype: &DType| dtype.width().is_some();
    let all: Vec<DType> = DType::ALL.iter().copied().filter(has_width).collect();
    prop::sample::select(all)
}

/// How the elements of a tensor are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    Zeros,
    /// One pattern everywhere.
    Constant,
    /// Pruned: so many percent are not zero.
    Pruned(u32),
    /// Pruned by `weight * mask`: zeros of both signs.
    Masked,
    /// A few patterns, some of them far from zero.
    Shared(u32),
    /// NaNs with payloads, infinities, denormals, and numbers next to zero.
    Odd,
    Noise,
    /// The same few elements again and again.
    Periodic(usize),
}

pub(crate) fn moods() -> impl Strategy<Value = Mood> {
    prop_oneof![
        Just(Mood::Zeros),
        Just(Mood::Constant),
        (1..100u32).prop_map(Mood::Pruned),
        Just(Mood::Masked),
        (1..20u32).prop_map(Mood::Shared),
        Just(Mood::Odd),
        Just(Mood::Noise),
        (1..9usize).prop_map(Mood::Periodic),
    ]
}

impl Mood {
    /// The bytes of `n` elements of `width` bytes.
    pub(crate) fn elements(self, width: usize, n: usize, seed: u64) -> Vec<u8> {
        let mut noise = Noise(seed);
        let any =
            |noise: &mut Noise| -> Vec<u8> { (0..width).map(|_| noise.next() as u8).collect() };
        let zero = vec![0; width];
        let mut negative_zero = zero.clone();
        negative_zero[width - 1] = 0x80;
        let odd = |noise: &mut Noise| {
            // The bits that an exponent has in one dtype or another, and a few below.
            let top = [0x7f, 0xff, 0x7c, 0xfc, 0x00, 0x80][noise.below(6) as usize];
            let next = [0x80, 0xf0, 0xc0, 0x00, noise.next() as u8][noise.below(5) as usize];
            let mut element = zero.clone();
            element[0] = noise.below(3) as u8;
            if width > 1 {
                element[width - 2] = next;
            }
            element[width - 1] = top;
            element
        };
        let few: Vec<_> = (0..20).map(|_| any(&mut noise)).collect();
        let mut out: Vec<u8> = Vec::with_capacity(n * width);
        for i in 0..n {
            let element = match self {
                Self::Zeros => zero.clone(),
                Self::Constant => few[0].clone(),
                Self::Pruned(percent) if noise.below(100) < percent => any(&mut noise),
                Self::Pruned(_) => zero.clone(),
                Self::Masked => match noise.below(8) {
                    0 => any(&mut noise),
                    1..5 => negative_zero.clone(),
                    _ => zero.clone(),
                },
                Self::Shared(count) => few[noise.below(count) as usize].clone(),
                Self::Odd => odd(&mut noise),
                Self::Noise => any(&mut noise),
                Self::Periodic(period) => few[i % period].clone(),
            };
            out.extend(element);
        }
        out
    }
}
