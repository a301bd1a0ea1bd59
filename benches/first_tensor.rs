//! What an app waits for that maps a model and takes one tensor out of it, beside the same from the same
//! tensors in a safetensors file. Needs `../shared/data`; says so where that is missing.

mod common;

use criterion::{Bencher, Throughput};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use tfzip::{Archive, DType, Mapped, Profile, Tensor, pack_file};

const MODEL: &str = "../shared/data/pruned/hand-sparse-f32.pb";

/// The float32 tensors of an archive, as a safetensors file.
fn write_safetensors<D: AsRef<[u8]>>(archive: &Archive<D>, path: &Path) {
    let tensors = archive
        .tensors()
        .filter(|tensor| tensor.dtype() == DType::Float32 && tensor.is_readable());
    let contents: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .map(|tensor| {
            let shape = tensor.shape().iter().map(|&n| n as usize).collect();
            let mut bytes = vec![0; 4 * tensor.len() as usize];
            tensor.read_bytes_into(&mut bytes).unwrap();
            (tensor.name(), shape, bytes)
        })
        .collect();
    let views = contents.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (*name, view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// The kernel of a 1x1 convolution: of the pruned ones that of the middle size. They are `[out, 1, 1, in]`, as
/// TFLite has them.
fn convolution<D: AsRef<[u8]>>(archive: &Archive<D>) -> Tensor<'_> {
    let mut kernels: Vec<Tensor<'_>> = archive
        .tensors()
        .filter(|t| t.dtype() == DType::Float32 && matches!(t.shape(), [_, 1, 1, _]))
        .filter(|t| t.density() < 0.5)
        .collect();
    kernels.sort_by_key(Tensor::len);
    kernels[kernels.len() / 2]
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "first_tensor");
    if !Path::new(MODEL).exists() {
        eprintln!("first_tensor: skipped, {MODEL} is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("hand-sparse-f32.safetensors");
    for profile in [Profile::Direct, Profile::Balanced] {
        let path = folder.path().join(format!("{profile}.tfz"));
        pack_file(MODEL, &path, &common::pack_options(profile)).unwrap();
        // SAFETY: nobody changes the files of this folder.
        let map = || unsafe { Archive::map(&path) }.unwrap();
        let archive = map();
        let tensor = convolution(&archive);
        let name = tensor.name();
        let mut out = vec![0f32; tensor.len() as usize];
        let expected = tensor.to_vec::<f32>().unwrap();
        eprintln!(
            "first_tensor: {} of {} tensors, {:?}, density {:.3}; {} of {} bytes",
            name,
            archive.tensors().len(),
            tensor.shape(),
            tensor.density(),
            tensor.stored_bytes(),
            archive.as_bytes().len()
        );
        if !beside.exists() {
            write_safetensors(&archive, &beside);
        }
        group.throughput(Throughput::Bytes(4 * tensor.len()));
        let mut bench = |id: &str, f: &mut dyn FnMut(&mut Bencher<'_>)| {
            group.bench_function(format!("{id}/{profile}"), f);
        };
        bench("map, open, read", &mut |b| {
            b.iter(|| {
                let archive = map();
                archive.tensor(name).unwrap().read_into(&mut out).unwrap();
                black_box(&mut out);
            });
        });
        assert_eq!(out, expected);
        bench("map, open", &mut |b| b.iter(&map));
        bench("open", &mut |b| {
            b.iter_with_large_drop(|| Archive::new(archive.as_bytes()).unwrap());
        });
        bench("read", &mut |b| {
            b.iter(|| {
                archive.tensor(name).unwrap().read_into(&mut out).unwrap();
                black_box(&mut out);
            });
        });
    }

    // SAFETY: nobody changes the files of this folder.
    let map = || unsafe { Mapped::open(&beside) }.unwrap();
    let mapped = map();
    let path = folder.path().join("direct.tfz");
    let archive = Archive::open(path).unwrap();
    let tensor = convolution(&archive);
    let mut out = vec![0f32; tensor.len() as usize];
    // Copied out, as it is there: it may not be aligned.
    let read = |mapped: &Mapped, out: &mut [f32]| {
        let file = SafeTensors::deserialize(mapped.as_ref()).unwrap();
        let bytes = file.tensor(tensor.name()).unwrap();
        bytemuck::cast_slice_mut(out).copy_from_slice(bytes.data());
    };
    group.bench_function("map, open, read/safetensors", |b| {
        b.iter(|| {
            read(&map(), &mut out);
            black_box(&mut out);
        });
    });
    assert_eq!(out, tensor.to_vec::<f32>().unwrap());
    group.bench_function("open, read/safetensors", |b| {
        b.iter(|| {
            read(&mapped, &mut out);
            black_box(&mut out);
        });
    });
    group.bench_function("open/safetensors", |b| {
        b.iter_with_large_drop(|| SafeTensors::deserialize(mapped.as_ref()).unwrap());
    });
    let n_bytes = File::open(&beside).unwrap().metadata().unwrap().len();
    eprintln!("first_tensor: {n_bytes} bytes in the safetensors file");
    group.finish();
    criterion.final_summary();
}
