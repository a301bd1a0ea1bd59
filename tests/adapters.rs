//! Tensors as the types of other crates, each against the crate itself: the elements, and what it makes of
//! them beside the products of the encoded rows.

#![cfg(feature = "pack")]
#![cfg(any(feature = "candle", feature = "ndarray", feature = "sprs"))]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

mod common;

use common::graph_def::{NodeDef, constant, graph};
use common::models::{Noise, bytes_of_f32, pruned};
#[cfg(any(feature = "ndarray", feature = "sprs"))]
use proptest::prelude::*;
use tfzip::product::Matrix;
use tfzip::{Archive, DType, Element, PackOptions, Tensor, pack_slice};

fn pack(nodes: Vec<NodeDef>) -> Archive<Vec<u8>> {
    let (tfz, _) = pack_slice(&graph(nodes), "m.pb", &PackOptions::default()).unwrap();
    Archive::new(tfz).unwrap()
}

/// An archive with one tensor, `t`.
fn one(dtype: DType, shape: &[u64], elements: Vec<u8>) -> Archive<Vec<u8>> {
    pack(vec![constant("t", dtype, shape, elements)])
}

/// One pruned tensor of `float32`.
fn weights(shape: &[u64], seed: u64) -> Archive<Vec<u8>> {
    let n = shape.iter().product::<u64>() as usize;
    let values = pruned(n, 10, &mut Noise(seed));
    one(DType::Float32, shape, bytes_of_f32(&values))
}

#[cfg(any(feature = "ndarray", feature = "sprs"))]
fn shapes() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        Just(vec![]),
        (1..400u64).prop_map(|n| vec![n]),
        (1..40u64, 1..60u64).prop_map(|(r, c)| vec![r, c]),
        (1..4u64, 1..4u64, 1..8u64, 1..20u64).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
        Just(vec![0, 5]),
        Just(vec![5, 0, 2]),
    ]
}

/// The bytes of `n` elements; booleans are 0 or 1.
#[cfg(any(feature = "ndarray", feature = "sprs"))]
fn elements(dtype: DType, mood: common::moods::Mood, n: usize, seed: u64) -> Vec<u8> {
    let mut elements = mood.elements(dtype.width().unwrap(), n, seed);
    if dtype == DType::Bool {
        elements.iter_mut().for_each(|byte| *byte &= 1);
    }
    elements
}

/// Bit patterns, which tell NaNs apart.
fn bits<'a, T: Element>(elements: impl IntoIterator<Item = &'a T>) -> Vec<u8> {
    let elements: Vec<T> = elements.into_iter().copied().collect();
    let mut bytes = vec![];
    for element in &elements {
        bytes.extend_from_slice(bytemuck::bytes_of(element));
    }
    bytes
}

/// Calls a generic function with the types that elements of a tensor are read as.
#[cfg(any(feature = "ndarray", feature = "sprs"))]
macro_rules! with_types {
    ($tensor:expr, $check:ident: $($t:ty),*) => {
        $(if <$t>::DTYPES.contains(&$tensor.dtype()) {
            $check::<$t>($tensor);
        })*
    };
}

/// Sums in `f32` of as many terms as a tensor here has differ from those in `f64` by this share of what their
/// terms are without signs, at most.
const TOLERANCE: f32 = 1e-4;

/// Whether `y` is x·W, with W of `tensor`.
#[track_caller]
fn check_product(tensor: &Tensor<'_>, x: &[f32], y: &[f32]) {
    let matrix = Matrix::new(tensor).unwrap();
    let mut expected = vec![0.0f32; matrix.columns()];
    matrix.multiply_transposed(x, &mut expected).unwrap();
    let dense: Vec<f32> = tensor.to_vec().unwrap();
    assert_eq!(y.len(), expected.len());
    assert!(expected.iter().any(|&y| y != 0.0));
    for (column, (y, expected)) in y.iter().zip(&expected).enumerate() {
        let of_column = dense.iter().skip(column).step_by(matrix.columns());
        let terms: f32 = of_column.zip(x).map(|(w, x)| (w * x).abs()).sum();
        assert!(
            (y - expected).abs() <= TOLERANCE * terms,
            "column {column}: {y}, not {expected}"
        );
    }
}

fn vector(n: usize) -> Vec<f32> {
    let mut noise = Noise(99);
    (0..n).map(|_| noise.weight()).collect()
}

#[cfg(feature = "ndarray")]
mod arrays {
    use super::*;
    use common::moods::{dtypes, moods};
    use ndarray::{Array2, Array3, ArrayD, ArrayView1, Axis, Ix2, s};
    use tfzip::ErrorKind;

    fn check<T: Element>(tensor: &Tensor<'_>) {
        let elements: Vec<T> = tensor.to_vec().unwrap();
        let shape: Vec<usize> = tensor.shape().iter().map(|&d| d as usize).collect();

        let array = tensor.to_array::<T>().unwrap();
        assert_eq!(array.shape(), shape);
        assert!(array.is_standard_layout());
        assert_eq!(bits(&array), bits(&elements));

        let mut array = ArrayD::from_elem(shape, T::zeroed());
        tensor.read_into_array(array.view_mut()).unwrap();
        assert_eq!(bits(&array), bits(&elements));

        let (rows, columns) = tensor.matrix_shape();
        let some = rows / 3..rows - rows / 4;
        let array = tensor.rows_to_array::<T>(some.clone()).unwrap();
        let n_some = (some.end - some.start) as usize;
        assert_eq!(array.dim(), (n_some, columns as usize));
        assert_eq!(bits(&array), bits(&tensor.rows::<T>(some).unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn any_tensor_is_an_array(dtype in dtypes(), shape in shapes(), mood in moods(), seed: u64) {
            let n = shape.iter().product::<u64>() as usize;
            let archive = one(dtype, &shape, elements(dtype, mood, n, seed));
            let tensor = &archive.tensor("t").unwrap();
            with_types!(
                tensor, check: f32, f64, half::f16, half::bf16, i8, i16, i32, i64, u8, u16, u32, u64, bool
            );
        }
    }

    #[test]
    fn arrays_multiply_as_encoded_rows_do() {
        let archive = weights(&[3, 50, 40], 1);
        let tensor = archive.tensor("t").unwrap();
        let x = vector(150);
        let kernel = tensor.to_array::<f32>().unwrap();
        let kernel = kernel.into_shape_with_order((150, 40)).unwrap();
        let y = ArrayView1::from(&x).dot(&kernel);
        check_product(&tensor, &x, y.as_slice().unwrap());
    }

    #[test]
    fn a_part_of_an_array_is_read_into() {
        let archive = weights(&[6, 7], 2);
        let tensor = archive.tensor("t").unwrap();
        let mut layers = Array3::<f32>::from_elem((3, 6, 7), 0.5);
        let middle = layers.index_axis_mut(Axis(0), 1);
        tensor.read_into_array(middle).unwrap();
        let expected = tensor.to_array::<f32>().unwrap();
        let expected = expected.into_dimensionality::<Ix2>().unwrap();
        assert_eq!(layers.index_axis(Axis(0), 1), expected);
        for other in [0, 2] {
            let other = layers.index_axis(Axis(0), other);
            assert!(other.iter().all(|&element| element == 0.5));
        }
    }

    #[test]
    fn other_shapes_layouts_and_types_are_errors() {
        let archive = weights(&[6, 7], 3);
        let tensor = archive.tensor("t").unwrap();
        let refused = |result: tfzip::Result<()>, what: &str| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            let message = error.to_string();
            assert!(message.contains("\"t\""), "{message}");
            assert!(message.contains(what), "{message}");
        };
        let mut array = Array2::<f32>::from_elem((7, 6), 0.5);
        refused(tensor.read_into_array(array.view_mut()), "[7, 6]");
        // As many elements, and those of the right shape, but not one after the other.
        refused(
            tensor.read_into_array(array.view_mut().reversed_axes()),
            "row-major",
        );
        let mut wide = Array2::<f32>::from_elem((6, 14), 0.5);
        let gaps = wide.slice_mut(s![.., ..;2]);
        refused(tensor.read_into_array(gaps), "row-major");
        assert!(array.iter().chain(&wide).all(|&element| element == 0.5));

        refused(tensor.to_array::<f64>().map(drop), "float32, not f64");
        let mut array = Array2::<i32>::zeros((6, 7));
        refused(tensor.read_into_array(array.view_mut()), "float32, not i32");
        refused(tensor.rows_to_array::<u32>(0..1).map(drop), "float32");
        refused(tensor.rows_to_array::<f32>(5..7).map(drop), "5..7");
    }

    #[test]
    fn a_shape_that_arrays_cannot_have_is_an_error() {
        // No element, but the other dimensions are too many for an array.
        let archive = one(DType::Float32, &[0, 1 << 40, 1 << 40], vec![]);
        let tensor = archive.tensor("t").unwrap();
        assert!(tensor.to_vec::<f32>().unwrap().is_empty());
        let error = tensor.to_array::<f32>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    }
}

#[cfg(feature = "sprs")]
mod sparse_matrices {
    use super::*;
    use common::moods::{dtypes, moods};
    use common::naive;
    use sprs::CsMatI;
    use sprs::prod::mul_acc_mat_vec_csc;
    use tfzip::{Csr, ErrorKind};

    fn check<T: Element>(tensor: &Tensor<'_>) {
        let matrix = tensor.to_sprs::<T>().unwrap();
        let (rows, columns) = tensor.matrix_shape();
        assert!(matrix.is_csr());
        assert_eq!(matrix.shape(), (rows as usize, columns as usize));
        assert_eq!(matrix.nnz() as u64, tensor.nnz());
        // What it has are the elements that are not zero, and the others are.
        let elements: Vec<T> = tensor.to_vec().unwrap();
        let width = size_of::<T>();
        let all = bits(&elements);
        for (i, element) in all.chunks_exact(width).enumerate() {
            let (row, column) = (i / columns as usize, i % columns as usize);
            let found = matrix.get(row, column).map(|value| bits([value]));
            let expected = naive::is_nonzero(tensor.dtype(), element).then(|| element.to_vec());
            assert_eq!(found, expected, "{row}, {column}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn any_tensor_is_a_sparse_matrix(dtype in dtypes(), shape in shapes(), mood in moods(), seed: u64) {
            let n = shape.iter().product::<u64>() as usize;
            let archive = one(dtype, &shape, elements(dtype, mood, n, seed));
            let tensor = &archive.tensor("t").unwrap();
            with_types!(
                tensor, check: f32, f64, half::f16, half::bf16, i8, i16, i32, i64, u8, u16, u32, u64, bool
            );
        }
    }

    /// x·W, as sprs makes it.
    fn transposed_product(kernel: &CsMatI<f32, u32, usize>, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; kernel.cols()];
        mul_acc_mat_vec_csc(kernel.transpose_view(), x, &mut y[..]);
        y
    }

    #[test]
    fn sparse_matrices_multiply_as_encoded_rows_do() {
        let archive = weights(&[3, 50, 40], 4);
        let tensor = archive.tensor("t").unwrap();
        let kernel = tensor.to_sprs::<f32>().unwrap();
        let x = vector(150);
        let y = transposed_product(&kernel, &x);
        check_product(&tensor, &x, &y);
    }

    #[test]
    fn zeros_of_both_signs_have_no_entry_and_nan_has_one() {
        let mut elements = vec![0.0f32; 600];
        for i in (0..600).step_by(3) {
            elements[i] = -0.0;
        }
        elements[7] = f32::NAN;
        elements[5] = f32::from_bits(1);
        let archive = one(DType::Float32, &[20, 30], bytes_of_f32(&elements));
        let tensor = archive.tensor("t").unwrap();
        let matrix = tensor.to_sprs::<f32>().unwrap();
        let entries: Vec<_> = matrix.iter().map(|(w, at)| (at, w.to_bits())).collect();
        assert_eq!(
            entries,
            [((0, 5), 1), ((0, 7), f32::NAN.to_bits())],
            "{entries:?}"
        );
        // An infinite number meets no zero: the products agree, and that of NaN is NaN.
        let mut x = vec![0.0f32; 20];
        x[3] = f32::INFINITY;
        x[0] = 1.0;
        let y = transposed_product(&matrix, &x);
        let mut products = vec![0.0f32; 30];
        let of_rows = Matrix::new(&tensor).unwrap();
        of_rows.multiply_transposed(&x, &mut products).unwrap();
        assert!(y[7].is_nan() && products[7].is_nan());
        let without = |y: &[f32]| -> Vec<f32> { [&y[..7], &y[8..]].concat() };
        assert_eq!(without(&y), without(&products));
    }

    #[test]
    fn a_csr_is_moved() {
        let archive = weights(&[30, 40], 5);
        let csr = archive.tensor("t").unwrap().csr::<f32>().unwrap();
        let pointers = (
            csr.indptr.as_ptr(),
            csr.indices.as_ptr(),
            csr.values.as_ptr(),
        );
        let matrix = CsMatI::try_from(csr).unwrap();
        let (indptr, indices, values) = matrix.into_raw_storage();
        assert_eq!(
            pointers,
            (indptr.as_ptr(), indices.as_ptr(), values.as_ptr())
        );
    }

    #[test]
    fn a_csr_that_was_broken_is_an_error() {
        let archive = weights(&[30, 40], 6);
        let csr = archive.tensor("t").unwrap().csr::<f32>().unwrap();
        let broken = |change: fn(&mut Csr<f32>)| {
            let mut csr = csr.clone();
            change(&mut csr);
            CsMatI::try_from(csr).unwrap_err()
        };
        let changes: [fn(&mut Csr<f32>); 4] = [
            |csr| csr.indices[0] = 40,
            |csr| csr.indptr[1] = csr.indices.len() + 1,
            |csr| csr.values.push(1.0),
            |csr| csr.n_rows += 1,
        ];
        for change in changes {
            let error = broken(change);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
        assert!(CsMatI::try_from(csr).is_ok());
    }

    #[test]
    fn more_columns_than_sprs_counts_are_an_error() {
        for (columns, is_small) in [((1 << 32) - 1, true), (1 << 32, false)] {
            let archive = one(DType::Float32, &[0, columns], vec![]);
            let tensor = archive.tensor("t").unwrap();
            assert!(tensor.csr::<f32>().is_ok());
            match tensor.to_sprs::<f32>() {
                Ok(matrix) => assert!(is_small && matrix.cols() as u64 == columns),
                Err(error) => {
                    assert!(!is_small, "{error}");
                    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
                }
            }
        }
    }

    #[test]
    fn another_type_is_an_error() {
        let archive = weights(&[6, 7], 7);
        let error = archive.tensor("t").unwrap().to_sprs::<f64>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}

#[cfg(feature = "candle")]
mod candle {
    use super::*;
    use candle_core::{DType as C, Device, Tensor as CandleTensor, WithDType};
    use common::graph_def::{Attr, TensorProto, node, tensor};
    use common::moods::Mood;
    use half::{bf16, f16};

    const CPU: &Device = &Device::Cpu;

    fn check_as<T: Element + WithDType>(tensor: &Tensor<'_>, loaded: &CandleTensor) {
        assert_eq!(loaded.dtype(), T::DTYPE);
        let found: Vec<T> = loaded.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(bits(&found), bits(&tensor.to_vec::<T>().unwrap()));
    }

    #[test]
    fn every_dtype_is_loaded_or_named() {
        let mut loaded = vec![];
        for &dtype in DType::ALL {
            let Some(width) = dtype.width() else {
                continue;
            };
            for mood in [Mood::Pruned(20), Mood::Masked, Mood::Odd, Mood::Noise] {
                let elements = mood.elements(width, 3 * 5 * 7 * 2, 8);
                let archive = one(dtype, &[3, 5, 7, 2], elements);
                let tensor = archive.tensor("t").unwrap();
                let result = archive.load("t", CPU);
                let Some(of_candle) = tensor.candle_dtype() else {
                    let message = result.unwrap_err().to_string();
                    assert!(message.contains(dtype.name()), "{message}");
                    assert!(message.contains("\"t\""), "{message}");
                    continue;
                };
                let result = result.unwrap();
                assert_eq!(result.dims(), [3, 5, 7, 2]);
                assert!(result.is_contiguous());
                match of_candle {
                    C::U8 => check_as::<u8>(&tensor, &result),
                    C::U32 => check_as::<u32>(&tensor, &result),
                    C::I16 => check_as::<i16>(&tensor, &result),
                    C::I32 => check_as::<i32>(&tensor, &result),
                    C::I64 => check_as::<i64>(&tensor, &result),
                    C::BF16 => check_as::<bf16>(&tensor, &result),
                    C::F16 => check_as::<f16>(&tensor, &result),
                    C::F32 => check_as::<f32>(&tensor, &result),
                    C::F64 => check_as::<f64>(&tensor, &result),
                    other => assert_eq!((other, result.dtype()), (C::F8E4M3, C::F8E4M3)),
                }
                if !loaded.contains(&dtype.name()) {
                    loaded.push(dtype.name());
                }
            }
        }
        assert_eq!(
            loaded,
            [
                "float32",
                "float64",
                "int32",
                "uint8",
                "int16",
                "int64",
                "bool",
                "bfloat16",
                "float16",
                "uint32",
                "float8_e4m3fn"
            ]
        );
    }

    #[test]
    fn float8_has_the_same_numbers() {
        let archive = one(DType::Float8E4m3fn, &[256, 1], (0..=255).collect());
        let mut expected = vec![0.0f32; 256];
        let matrix = Matrix::new(&archive.tensor("t").unwrap()).unwrap();
        matrix.multiply(&[1.0], &mut expected).unwrap();
        let loaded = archive.load("t", CPU).unwrap();
        let found = loaded.flatten_all().unwrap().to_dtype(C::F32).unwrap();
        let found: Vec<f32> = found.to_vec1().unwrap();
        for (byte, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let same = found == expected || found.is_nan() && expected.is_nan();
            assert!(same, "{byte:#x}: {found}, not {expected}");
        }
    }

    #[test]
    fn any_shape_is_loaded() {
        for shape in [
            &[][..],
            &[7],
            &[0],
            &[0, 5],
            &[5, 0, 2],
            &[2, 1, 3, 1, 2, 2],
        ] {
            let archive = weights(shape, 9);
            let loaded = archive.load("t", CPU).unwrap();
            let dims: Vec<u64> = loaded.dims().iter().map(|&d| d as u64).collect();
            assert_eq!(dims, shape);
            check_as::<f32>(&archive.tensor("t").unwrap(), &loaded);
        }
    }

    #[test]
    fn tensors_multiply_as_encoded_rows_do() {
        let archive = weights(&[150, 40], 10);
        let x = vector(150);
        let of_candle = CandleTensor::from_slice(&x, (1, 150), CPU).unwrap();
        let y = of_candle.matmul(&archive.load("t", CPU).unwrap()).unwrap();
        let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        check_product(&archive.tensor("t").unwrap(), &x, &y);
    }

    #[test]
    fn all_tensors_but_those_without_a_dtype_are_loaded() {
        let strings = TensorProto {
            string_val: vec![b"a".to_vec(), b"b".to_vec()],
            ..tensor(DType::String, &[2])
        };
        let archive = pack(vec![
            constant("a", DType::Float32, &[2], bytes_of_f32(&[1.0, -0.0])),
            node("labels", "Const", [("value", Attr::Tensor(strings))]),
            constant("scales", DType::Qint8, &[2], vec![1, 2]),
            constant("b", DType::Int64, &[1], 5i64.to_le_bytes().to_vec()),
        ]);
        let loaded = archive.load_all(CPU).unwrap();
        let mut names: Vec<_> = loaded.keys().collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        let a: Vec<f32> = loaded["a"].to_vec1().unwrap();
        assert_eq!(bits(&a), bits(&[1.0f32, -0.0]));
        assert_eq!(loaded["b"].to_vec1::<i64>().unwrap(), [5]);

        let error = |name| archive.load(name, CPU).unwrap_err().to_string();
        assert!(error("labels").contains("string"), "{}", error("labels"));
        assert!(error("c").contains("no tensor"), "{}", error("c"));
    }

    #[test]
    fn integers_that_the_model_has_as_varints_are_not_loaded() {
        let ints = TensorProto {
            int_val: vec![1, 2],
            ..tensor(DType::Int32, &[2])
        };
        let archive = pack(vec![node("t", "Const", [("value", Attr::Tensor(ints))])]);
        assert!(!archive.tensor("t").unwrap().is_readable());
        assert!(archive.load_all(CPU).unwrap().is_empty());
        let message = archive.load("t", CPU).unwrap_err().to_string();
        assert!(message.contains("the model file's own form"), "{message}");
    }

    #[test]
    fn a_name_that_several_tensors_have_is_an_error() {
        let one = |value: f32| constant("t", DType::Float32, &[1], bytes_of_f32(&[value]));
        let archive = pack(vec![one(1.0), one(2.0)]);
        let message = archive.load_all(CPU).unwrap_err().to_string();
        assert!(message.contains("2 tensors"), "{message}");
        // One by one they can be had.
        let second = archive.tensors().nth(1).unwrap();
        let second: Vec<f32> = second.to_candle(CPU).unwrap().to_vec1().unwrap();
        assert_eq!(second, [2.0]);
    }
}
