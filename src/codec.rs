//! The codec without the container: the elements of one tensor become a record (spec §8), and come
//! back.
//!
//! For those who have a container of their own, and for measuring.

use crate::error::{Error, Result};
use crate::kernels::out::overwrite;
use crate::parallel;
use crate::payload::{self, EncodeOptions, PayloadMeta, PayloadSpec, Record, fold};
use crate::profile::{Effort, Profile};
use crate::tensor::{DType, ElementClass, element_count};

/// How to encode and decode.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CodecOptions {
    /// What the record is for.
    pub profile: Profile,
    /// How long encoding may take.
    pub effort: Effort,
    /// Threads to use; 0 is one for each processor. The bytes written don't depend on it.
    pub threads: usize,
}

/// What has to be known of a record to decode it. In a `.tfz` file it stands in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Bytes of an element: 1, 2, 4, 8 or 16.
    pub width: usize,
    /// Number of elements, at least 1.
    pub elements: u64,
    /// Elements of a row; divides their number.
    pub columns: u64,
    /// Bytes of the tables at the start of the record.
    pub table_bytes: u64,
    /// Number of blocks, at least 1.
    pub blocks: u64,
}

/// Encodes the `elements` of a tensor: little-endian, in row-major order.
///
/// # Errors
/// `InvalidArgument` if the dtype has no width, or if there are no elements, or not as many as the
/// shape says; `LimitExceeded` if those are 2^63 or more.
pub fn encode(
    dtype: DType,
    shape: &[u64],
    elements: &[u8],
    options: &CodecOptions,
) -> Result<(RecordHead, Vec<u8>)> {
    let width = dtype
        .width()
        .ok_or_else(|| Error::invalid(format!("elements of {dtype} have no width")))?;
    let expected = element_count(shape)?;
    if elements.is_empty() || Some(elements.len() as u64) != expected.checked_mul(width as u64) {
        return Err(Error::invalid(format!(
            "{} bytes for {expected} elements of {dtype}",
            elements.len()
        )));
    }
    let spec = PayloadSpec {
        width,
        columns: fold(shape),
        float: dtype.class() == ElementClass::Float,
    };
    let encoding = EncodeOptions {
        profile: options.profile,
        effort: options.effort,
    };
    let mut record = Vec::new();
    let (meta, _) = parallel::with_threads(options.threads, || {
        payload::encode(spec, encoding, elements, &mut |piece| {
            record.extend_from_slice(piece);
            Ok(())
        })
    })?;
    let head = RecordHead {
        width: meta.width,
        elements: meta.elements,
        columns: meta.columns,
        table_bytes: meta.table_bytes,
        blocks: meta.blocks,
    };
    Ok((head, record))
}

/// Decodes all elements of a record into `out`, little-endian; every checksum is compared.
///
/// # Errors
/// `InvalidArgument` if `out` has another length than the elements; `Corrupt` or `Unsupported` if the
/// record breaks a rule of the spec, or is not what `head` says.
pub fn decode(
    head: &RecordHead,
    record: &[u8],
    out: &mut [u8],
    options: &CodecOptions,
) -> Result<()> {
    let meta = PayloadMeta {
        width: head.width,
        elements: head.elements,
        columns: head.columns,
        stored_bytes: record.len() as u64,
        table_bytes: head.table_bytes,
        blocks: head.blocks,
    };
    meta.check()?;
    if out.len() as u64 != meta.decoded_bytes() {
        return Err(Error::invalid(format!(
            "a buffer of {} bytes for {}",
            out.len(),
            meta.decoded_bytes()
        )));
    }
    let record = Record::new(record, meta)?;
    parallel::with_threads(options.threads, || {
        overwrite(out, |out| payload::read(&record, 0..head.elements, out))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn records_come_back_in_every_profile_and_on_any_number_of_threads() {
        let elements: Vec<u8> = (0..200_000u32)
            .flat_map(|i| {
                if i.is_multiple_of(7) {
                    (i as f32).sqrt()
                } else {
                    0.0
                }
                .to_le_bytes()
            })
            .collect();
        for profile in Profile::ALL {
            for effort in Effort::ALL {
                let mut options = CodecOptions {
                    profile,
                    effort,
                    threads: 1,
                };
                let (head, record) =
                    encode(DType::Float32, &[2000, 100], &elements, &options).unwrap();
                options.threads = 3;
                assert_eq!(
                    encode(DType::Float32, &[2000, 100], &elements, &options).unwrap(),
                    (head, record.clone())
                );
                for threads in [1, 2] {
                    options.threads = threads;
                    let mut out = vec![0xee; elements.len()];
                    decode(&head, &record, &mut out, &options).unwrap();
                    assert!(out == elements, "{profile} {effort} {threads}");
                }
                let kind = |head: RecordHead| {
                    decode(&head, &record, &mut [0; 8], &options)
                        .unwrap_err()
                        .kind()
                };
                assert_eq!(kind(head), ErrorKind::InvalidArgument);
                assert_eq!(kind(RecordHead { columns: 7, ..head }), ErrorKind::Corrupt);
                assert_eq!(kind(RecordHead { blocks: 0, ..head }), ErrorKind::Corrupt);
            }
        }
    }

    #[test]
    fn elements_must_be_as_many_as_the_shape_says() {
        let kind = |shape: &[u64], bytes: &[u8]| {
            let encoded = encode(DType::Float32, shape, bytes, &CodecOptions::default());
            encoded.unwrap_err().kind()
        };
        for (shape, n_bytes) in [(&[0][..], 0), (&[2], 7), (&[1 << 62], 8)] {
            assert_eq!(kind(shape, &vec![0; n_bytes]), ErrorKind::InvalidArgument);
        }
        assert!(encode(DType::String, &[1], &[0], &CodecOptions::default()).is_err());
    }
}
