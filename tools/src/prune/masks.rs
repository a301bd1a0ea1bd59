//! Masks as NumPy's archives: `numpy.load` gives one array of booleans for each weight.

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{NpzReader, NpzWriter, ReadNpzError, ReadableElement};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;
use tfzip::prune::{Mask, Masks, PruneReport, TensorMask};
use tfzip::{Error, ErrorKind, Result};

/// The masks of a report, as the bytes of a compressed `.npz`: true where a weight is left.
///
/// # Errors
/// `LimitExceeded` if a tensor has more elements than memory.
pub fn to_npz(report: &PruneReport) -> Result<Vec<u8>> {
    let failed = |name: &str, e: &dyn std::fmt::Display| {
        Error::new(ErrorKind::LimitExceeded, format!("mask of {name:?}: {e}"))
    };
    let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    for tensor in &report.tensors {
        let dims: Vec<usize> = tensor
            .shape
            .iter()
            .map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX))
            .collect();
        let bits = tensor.mask.iter().collect();
        let array = ArrayD::<bool>::from_shape_vec(IxDyn(&dims), bits)
            .map_err(|e| failed(&tensor.name, &e))?;
        npz.add_array(tensor.name.as_str(), &array)
            .map_err(|e| failed(&tensor.name, &e))?;
    }
    let file = npz.finish().map_err(|e| failed("all", &e))?;
    Ok(file.into_inner())
}

/// The masks in the `.npz` file at `path`: arrays of booleans or numbers, where what is not zero is
/// left.
///
/// # Errors
/// `Io` if it can't be read; `InvalidArgument` if it is no `.npz`, or an array has another type.
pub fn read(path: &Path) -> Result<Masks> {
    let cannot = |e| Error::io(format!("cannot open {}", path.display()), e);
    let file = File::open(path).map_err(cannot)?;
    from_npz(BufReader::new(file)).map_err(|e| e.within(path.display()))
}

fn from_npz(file: impl Read + Seek) -> Result<Masks> {
    let mut npz = NpzReader::new(file).map_err(|e| failed("cannot be read", e))?;
    let names = npz.names().map_err(|e| failed("cannot be read", e))?;
    let mut masks = Masks::new();
    for name in names {
        let mask = array::<bool, _>(&mut npz, &name, |left| left)
            .or_else(|e| other_type(e, || array::<f32, _>(&mut npz, &name, |w| w != 0.0)))
            .or_else(|e| other_type(e, || array::<u8, _>(&mut npz, &name, |w| w != 0)))
            .or_else(|e| other_type(e, || array::<f64, _>(&mut npz, &name, |w| w != 0.0)))
            .or_else(|e| other_type(e, || array::<i64, _>(&mut npz, &name, |w| w != 0)))
            .map_err(|e| failed(&format!("array {name:?}"), e))?;
        masks.insert(name, mask);
    }
    Ok(masks)
}

/// Tries another type if that was what was wrong.
fn other_type<T>(
    error: ReadNpzError,
    read: impl FnOnce() -> std::result::Result<T, ReadNpzError>,
) -> std::result::Result<T, ReadNpzError> {
    match error {
        ReadNpzError::Npy(ndarray_npy::ReadNpyError::WrongDescriptor(_)) => read(),
        error => Err(error),
    }
}

fn array<T: ReadableElement + Copy, R: Read + Seek>(
    npz: &mut NpzReader<R>,
    name: &str,
    is_left: impl Fn(T) -> bool,
) -> std::result::Result<TensorMask, ReadNpzError> {
    let array: ArrayD<T> = npz.by_name(name)?;
    Ok(TensorMask {
        shape: array.shape().iter().map(|&dim| dim as u64).collect(),
        // In row-major order, whatever the order in the file.
        mask: array
            .iter()
            .map(|&element| is_left(element))
            .collect::<Mask>(),
    })
}

fn failed(what: &str, error: ReadNpzError) -> Error {
    match error {
        ReadNpzError::Zip(e) => Error::new(
            ErrorKind::InvalidArgument,
            format!("{what}: expected NumPy's .npz: {e}"),
        ),
        ReadNpzError::Npy(ndarray_npy::ReadNpyError::Io(e)) => Error::io(what, e),
        e => Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{what}: expected booleans or numbers: {}",
                io::Error::other(e)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npz<T: ndarray_npy::WritableElement>(array: ArrayD<T>) -> Vec<u8> {
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        npz.add_array("a/b", &array).unwrap();
        npz.finish().unwrap().into_inner()
    }

    #[test]
    fn masks_are_booleans_or_numbers_in_any_order() {
        let shape = IxDyn(&[2, 3]);
        let bits = vec![true, false, true, false, true, true];
        let plain = ArrayD::from_shape_vec(shape.clone(), bits.clone()).unwrap();
        let floats = plain.mapv(|bit| if bit { -0.5f32 } else { 0.0 });
        let bytes = plain.mapv(u8::from);
        let mut columns_first = ArrayD::from_elem(ndarray::ShapeBuilder::f(shape), false);
        columns_first.assign(&plain);
        for file in [npz(plain), npz(floats), npz(bytes), npz(columns_first)] {
            let masks = from_npz(Cursor::new(file)).unwrap();
            let mask = &masks["a/b"];
            assert_eq!(mask.shape, [2, 3]);
            assert_eq!(mask.mask.iter().collect::<Vec<_>>(), bits);
        }
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        let error = |file: Vec<u8>| from_npz(Cursor::new(file)).unwrap_err();
        assert!(error(b"not a zip".to_vec()).to_string().contains(".npz"));
        let text = npz(ArrayD::from_elem(IxDyn(&[1]), 3i16));
        assert!(error(text).to_string().contains("a/b"));
    }
}
