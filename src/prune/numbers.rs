//! Stored elements as numbers, and numbers as stored elements.

use super::mask::Mask;
use crate::model::Quantization;
use crate::tensor::DType;
use half::{bf16, f16};

/// How the elements of a tensor stand for numbers. Floats and integers stand for themselves; quantised
/// integers q for scale · (q − zero point).
pub(crate) struct Numbers {
    kind: Kind,
    channels: Option<Channels>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    U8,
    I16,
    U16,
}

/// Scales and zero points, by index along an axis.
struct Channels {
    scales: Vec<f64>,
    zero_points: Vec<f64>,
    /// Elements that follow each other with the same index.
    inner: usize,
}

impl Channels {
    fn of(quantization: &Quantization, shape: &[u64]) -> Option<Self> {
        let n = quantization.scales.len();
        let inner = match n {
            1 => usize::MAX,
            _ => {
                let (dim, after) = shape.get(quantization.axis..)?.split_first()?;
                if usize::try_from(*dim) != Ok(n) {
                    return None;
                }
                let inner = after.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim))?;
                usize::try_from(inner).ok()?.max(1)
            }
        };
        let zero_points = match quantization.zero_points.len() {
            0 => vec![0.0; n],
            1 => vec![quantization.zero_points[0] as f64; n],
            found if found == n => quantization.zero_points.iter().map(|&z| z as f64).collect(),
            _ => return None,
        };
        let scales: Vec<f64> = quantization.scales.iter().map(|&s| f64::from(s)).collect();
        let is_usable = |scale: &f64| scale.is_finite() && *scale > 0.0;
        (n > 0 && scales.iter().all(is_usable)).then_some(Self {
            scales,
            zero_points,
            inner,
        })
    }

    fn at(&self, element: usize) -> (f64, f64) {
        let channel = element / self.inner % self.scales.len();
        (self.scales[channel], self.zero_points[channel])
    }
}

impl Numbers {
    /// How a tensor's elements are to be read, or why they can't be.
    pub(crate) fn of(
        dtype: DType,
        shape: &[u64],
        quantization: Option<&Quantization>,
    ) -> Result<Self, &'static str> {
        let kind = match dtype {
            DType::Float16 => Kind::F16,
            DType::Bfloat16 => Kind::Bf16,
            DType::Float32 => Kind::F32,
            DType::Float64 => Kind::F64,
            DType::Int8 | DType::Qint8 => Kind::I8,
            DType::Uint8 | DType::Quint8 => Kind::U8,
            DType::Int16 | DType::Qint16 => Kind::I16,
            DType::Uint16 | DType::Quint16 => Kind::U16,
            _ => return Err("elements of its dtype are not pruned"),
        };
        let is_float = matches!(kind, Kind::F16 | Kind::Bf16 | Kind::F32 | Kind::F64);
        let channels = match quantization {
            Some(quantization) if !is_float => Some(
                Channels::of(quantization, shape)
                    .ok_or("its scales or zero points don't fit its shape")?,
            ),
            // Signed integers are symmetric unless a file says otherwise.
            None if matches!(kind, Kind::U8 | Kind::U16) => {
                return Err("no zero point is known of its integers");
            }
            _ => None,
        };
        Ok(Self { kind, channels })
    }

    pub(crate) fn width(&self) -> usize {
        match self.kind {
            Kind::I8 | Kind::U8 => 1,
            Kind::F16 | Kind::Bf16 | Kind::I16 | Kind::U16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
        }
    }

    /// The numbers of little-endian elements.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Vec<f64> {
        fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes
                .as_chunks::<N>()
                .0
                .iter()
                .map(|&b| number(b))
                .collect()
        }
        let mut numbers = match self.kind {
            Kind::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f64()),
            Kind::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f64()),
            Kind::F32 => each(bytes, |b| f32::from_le_bytes(b).into()),
            Kind::F64 => each(bytes, f64::from_le_bytes),
            Kind::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
            Kind::U8 => each(bytes, |[b]| b.into()),
            Kind::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
            Kind::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
        };
        if let Some(channels) = &self.channels {
            for (i, number) in numbers.iter_mut().enumerate() {
                let (scale, zero_point) = channels.at(i);
                *number = scale * (*number - zero_point);
            }
        }
        numbers
    }

    /// Puts the element that is nearest to `number` at position `i` of `bytes`. Zero is +0.0, or the
    /// zero point.
    pub(crate) fn encode(&self, bytes: &mut [u8], i: usize, number: f64) {
        let stored = match &self.channels {
            Some(channels) => {
                let (scale, zero_point) = channels.at(i);
                number / scale + zero_point
            }
            None => number,
        };
        let whole = || stored.round_ties_even();
        let width = self.width();
        let out = &mut bytes[i * width..][..width];
        // Casts of floats to integers saturate.
        match self.kind {
            Kind::F16 => out.copy_from_slice(&f16::from_f64(stored).to_le_bytes()),
            Kind::Bf16 => out.copy_from_slice(&bf16::from_f64(stored).to_le_bytes()),
            Kind::F32 => out.copy_from_slice(&(stored as f32).to_le_bytes()),
            Kind::F64 => out.copy_from_slice(&stored.to_le_bytes()),
            Kind::I8 => out.copy_from_slice(&(whole() as i8).to_le_bytes()),
            Kind::U8 => out.copy_from_slice(&(whole() as u8).to_le_bytes()),
            Kind::I16 => out.copy_from_slice(&(whole() as i16).to_le_bytes()),
            Kind::U16 => out.copy_from_slice(&(whole() as u16).to_le_bytes()),
        }
    }
}

impl Numbers {
    /// Puts zero in place of every element that `mask` doesn't leave.
    pub(crate) fn clear(&self, bytes: &mut [u8], mask: &Mask) {
        fn each<const N: usize>(bytes: &mut [u8], mask: &Mask) {
            for (element, is_left) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(mask.iter()) {
                if !is_left {
                    *element = [0; N];
                }
            }
        }
        match (&self.channels, self.width()) {
            (None, 1) => each::<1>(bytes, mask),
            (None, 2) => each::<2>(bytes, mask),
            (None, 4) => each::<4>(bytes, mask),
            (None, 8) => each::<8>(bytes, mask),
            _ => {
                for (i, _) in mask.iter().enumerate().filter(|(_, is_left)| !is_left) {
                    self.encode(bytes, i, 0.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_numbers_and_numbers_are_elements() {
        for (dtype, element, number) in [
            (DType::Float16, &[0x00, 0x3e][..], 1.5),
            (DType::Bfloat16, &[0xc0, 0xbf], -1.5),
            (DType::Float32, &1.5f32.to_le_bytes(), 1.5),
            (DType::Float64, &(-1.5f64).to_le_bytes(), -1.5),
            (DType::Int8, &[0xfe], -2.0),
            (DType::Int16, &[0xfe, 0xff], -2.0),
        ] {
            let numbers = Numbers::of(dtype, &[1], None).unwrap();
            assert_eq!(numbers.width(), element.len());
            assert_eq!(numbers.decode(element), [number], "{dtype}");
            let mut bytes = vec![0xaa; element.len()];
            numbers.encode(&mut bytes, 0, number);
            assert_eq!(bytes, element, "{dtype}");
            numbers.clear(&mut bytes, &[true].into_iter().collect());
            assert_eq!(bytes, element, "{dtype}");
            numbers.clear(&mut bytes, &Mask::none_of(1));
            assert_eq!(bytes, vec![0; element.len()]);
            numbers.encode(&mut bytes, 0, 0.0);
            assert_eq!(bytes, vec![0; element.len()]);
        }
    }

    #[test]
    fn channels_have_scales_and_zero_points() {
        let quantization = Quantization {
            scales: vec![0.5, 2.0],
            zero_points: vec![128, 1],
            axis: 1,
        };
        let numbers = Numbers::of(DType::Uint8, &[2, 2, 2], Some(&quantization)).unwrap();
        let mut bytes = [130, 128, 1, 2, 126, 0, 0, 255];
        let expected = [1.0, 0.0, 0.0, 2.0, -1.0, -64.0, -2.0, 508.0];
        assert_eq!(numbers.decode(&bytes), expected);
        numbers.clear(&mut bytes, &Mask::none_of(8));
        assert_eq!(bytes, [128, 128, 1, 1, 128, 128, 1, 1]);
        numbers.encode(&mut bytes, 0, 1e9);
        assert_eq!(bytes[0], 255);
        assert!(Numbers::of(DType::Uint8, &[2, 3], Some(&quantization)).is_err());
        assert!(Numbers::of(DType::Uint8, &[2, 2], None).is_err());
        assert!(Numbers::of(DType::Int32, &[2, 2], None).is_err());
    }
}
