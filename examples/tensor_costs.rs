//! What each way to use a tensor costs in time and memory, beside a memcpy of its elements: for the table in
//! `docs/embedding.md`.
//!
//!     cargo run --release --example tensor_costs -- MODEL TENSOR
//!
//! MODEL is a model file that is packed with profiles `direct` and `balanced`, TENSOR a matrix of float32 in it:
//! without them, the first layer of the example model. With `RAYON_NUM_THREADS=1` in the environment everything
//! is done on one thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tfzip::product::Matrix;
use tfzip::{Archive, Mapped, PackOptions, Profile, Result};

/// A way is measured so often at least, and for so long.
const LEAST_RUNS: usize = 5;
const LEAST_TIME: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (model, tensor) = match args.as_slice() {
        [] => (
            concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb"),
            "fc1/kernel",
        ),
        [model, tensor] => (model.as_str(), tensor.as_str()),
        _ => {
            eprintln!("usage: tensor_costs [MODEL TENSOR]");
            return ExitCode::from(2);
        }
    };
    match [Profile::Direct, Profile::Balanced]
        .into_iter()
        .try_for_each(|profile| of_profile(model, tensor, profile))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tensor_costs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Packs the model and measures the tensor in the mapped file.
fn of_profile(model: &str, name: &str, profile: Profile) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| tfzip::Error::io("no temporary folder", e))?;
    let path = folder.path().join("packed.tfz");
    let mut options = PackOptions::default();
    options.profile = profile;
    tfzip::pack_file(model, &path, &options)?;
    // SAFETY: nobody else knows of the file.
    let archive = unsafe { Archive::map(&path) }?;
    measure_all(&archive, name, profile, || {
        // SAFETY: as above.
        let archive = unsafe { Archive::map(&path) }?;
        black_box(archive.tensor(name)?.shape());
        Ok(())
    })
}

fn measure_all(
    archive: &Archive<Mapped>,
    name: &str,
    profile: Profile,
    mut open: impl FnMut() -> Result<()>,
) -> Result<()> {
    let tensor = archive.tensor(name)?;
    let (rows, columns) = tensor.matrix_shape();
    let (n_rows, n_columns) = (rows as usize, columns as usize);
    let dense: Vec<f32> = tensor.to_vec()?;
    // Not zeros: the pages are there then.
    let mut buffer = vec![1.0f32; dense.len()];
    let mut copy = Copy {
        from: &dense,
        to: vec![1.0; dense.len()],
    };
    let x = vec![0.5f32; n_rows];
    let mut y = vec![0.0f32; n_columns];

    println!(
        "\n{name} {:?}, density {:.1} %: {} bytes dense, {} in profile {profile}\n",
        tensor.shape(),
        100.0 * tensor.density(),
        4 * tensor.len(),
        tensor.stored_bytes()
    );
    println!("| way | time | of a memcpy | allocated at most | of the dense bytes |");
    println!("|---|---:|---:|---:|---:|");
    let dense_bytes = 4.0 * tensor.len() as f64;
    let print = |way: &str, cost: Cost| {
        println!(
            "| {way} | {} | {:.3} | {} | {:.3} |",
            time(cost.seconds),
            cost.seconds / cost.copy_seconds,
            bytes(cost.peak),
            cost.peak as f64 / dense_bytes
        );
    };
    let mut measure = |way: &mut dyn FnMut() -> Result<()>| measure(&mut copy, way);
    print(
        "memcpy of its elements",
        measure(&mut || {
            black_box(&mut buffer).copy_from_slice(black_box(&dense));
            Ok(())
        })?,
    );
    print("open: `Archive::map`, `tensor`", measure(&mut open)?);
    print(
        "dense: `to_vec`",
        measure(&mut || tensor.to_vec::<f32>().map(consume))?,
    );
    print(
        "dense: `read_into` a buffer that is there",
        measure(&mut || tensor.read_into(black_box(&mut buffer[..])))?,
    );
    let middle = rows / 2;
    print(
        "rows: `rows` of one row",
        measure(&mut || tensor.rows::<f32>(middle..middle + 1).map(consume))?,
    );
    print(
        "CSR: `csr`",
        measure(&mut || tensor.csr::<f32>().map(consume))?,
    );
    print(
        "entries: all of `nonzeros`",
        measure(&mut || {
            let mut sum = 0.0;
            for entry in tensor.nonzeros::<f32>()? {
                sum += entry?.2;
            }
            consume(sum);
            Ok(())
        })?,
    );
    // The thread keeps buffers for the next product: what the first one takes is measured on a thread of its own.
    print(
        "product: `Matrix::new`, the first x·W",
        measure(&mut || {
            let of_thread = std::thread::scope(|scope| {
                let product = || Matrix::new(&tensor)?.multiply_transposed(&x, &mut y);
                scope.spawn(product).join()
            });
            of_thread.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?,
    );
    let matrix = Matrix::new(&tensor)?;
    matrix.multiply_transposed(&x, &mut y)?;
    print(
        "product: each x·W after it",
        measure(&mut || matrix.multiply_transposed(black_box(&x[..]), &mut y))?,
    );
    print(
        "for comparison: x·W of the dense elements, in a loop",
        measure(&mut || {
            y.fill(0.0);
            for (row, x) in dense.chunks_exact(n_columns).zip(black_box(&x[..])) {
                y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
            }
            black_box(&mut y);
            Ok(())
        })?,
    );
    Ok(())
}

/// Elements that are copied beside what is measured.
struct Copy<'a> {
    from: &'a [f32],
    to: Vec<f32>,
}

/// Times of a way and of a copy, and bytes on the heap beyond those that were there before.
struct Cost {
    seconds: f64,
    copy_seconds: f64,
    peak: usize,
}

/// Runs a copy and a way in turn: the median times, and the most that a run had allocated.
fn measure(copy: &mut Copy<'_>, way: &mut dyn FnMut() -> Result<()>) -> Result<Cost> {
    let (mut seconds, mut copy_seconds, mut peak) = (vec![], vec![], 0);
    let start = Instant::now();
    while seconds.len() < LEAST_RUNS || start.elapsed() < LEAST_TIME {
        let copying = Instant::now();
        black_box(&mut copy.to).copy_from_slice(black_box(copy.from));
        let copying = copying.elapsed();
        let before = ALLOCATED.load(Relaxed);
        PEAK.store(before, Relaxed);
        let running = Instant::now();
        way()?;
        let running = running.elapsed();
        peak = peak.max(PEAK.load(Relaxed) - before);
        seconds.push(running.as_secs_f64());
        copy_seconds.push(copying.as_secs_f64());
    }
    Ok(Cost {
        seconds: median(seconds),
        copy_seconds: median(copy_seconds),
        peak,
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn consume<T>(value: T) {
    drop(black_box(value));
}

fn time(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        0.001.. => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} µs", seconds * 1e6),
    }
}

fn bytes(n: usize) -> String {
    match n {
        0 => "none".to_owned(),
        1..10_000 => format!("{n} B"),
        10_000..10_000_000 => format!("{} kB", n / 1000),
        _ => format!("{} MB", n / 1_000_000),
    }
}

/// The system's allocator, with a count of what it has given, and of the most that it had.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize) {
    PEAK.fetch_max(ALLOCATED.fetch_add(more, Relaxed) + more, Relaxed);
}

// SAFETY: every call goes to `System` as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at a time.
        count(size);
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
