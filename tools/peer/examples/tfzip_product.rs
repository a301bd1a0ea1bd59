//! Products with the tensors of a `.tfz` file, for a harness in another language to time. The file is
//! mapped; whatever is allocated while a product is made is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, c_char};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use tfzip::Archive;
use tfzip::product::Matrix;

/// The system's allocator, with counts of bytes.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Threads to multiply on. One of them is the caller's, as in an app, which need not wait for it to wake up.
static POOLS: [std::sync::OnceLock<rayon::ThreadPool>; 3] =
    [const { std::sync::OnceLock::new() }; 3];

/// The matrix of the first tensor of a file that has as many rows and columns; it is never given back. Null if
/// there is none.
///
/// # Safety
/// `path` is a C string, of a file that nobody changes from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_open(
    path: *const c_char,
    rows: u64,
    columns: u64,
) -> *const Matrix<'static> {
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    // SAFETY: the caller's promise.
    let Ok(archive) = (unsafe { Archive::map(&*path) }) else {
        return std::ptr::null();
    };
    let archive = Box::leak(Box::new(archive));
    let fits = |tensor: &tfzip::Tensor<'_>| tensor.matrix_shape() == (rows, columns);
    let matrix = archive.tensors().find(fits).map(|t| Matrix::new(&t));
    match matrix {
        Some(Ok(matrix)) => Box::leak(Box::new(matrix)),
        _ => std::ptr::null(),
    }
}

fn pool(threads: u32) -> &'static rayon::ThreadPool {
    POOLS[threads.min(2) as usize].get_or_init(|| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .use_current_thread()
            .build()
            .expect("threads")
    })
}

/// Gives all of 1 or 2 threads something to do, after which they stay awake for a while. The caller's is one of them, and
/// from then on always calls with as many.
///
/// # Panics
/// If threads can't be started.
#[unsafe(no_mangle)]
pub extern "C" fn product_wake(threads: u32) {
    pool(threads).broadcast(|_| ());
}

/// Multiplies from the left (`transposed` is not 0) or from the right with `batch` vectors, on 1 or 2 threads.
/// Returns the most bytes that were allocated at a time meanwhile, or -1.
///
/// # Panics
/// If threads can't be started.
///
/// # Safety
/// `matrix` is from [`product_open`]; `x` and `y` have as many numbers as its rows and columns, and `batch`, want.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_multiply(
    matrix: *const Matrix<'static>,
    transposed: u32,
    x: *const f32,
    y: *mut f32,
    batch: u64,
    threads: u32,
) -> i64 {
    // SAFETY: the caller's promise.
    let matrix = unsafe { &*matrix };
    let batch = batch as usize;
    let (n_x, n_y) = match transposed {
        0 => (matrix.columns(), matrix.rows()),
        _ => (matrix.rows(), matrix.columns()),
    };
    // SAFETY: the caller's promise.
    let x = unsafe { slice::from_raw_parts(x, n_x * batch) };
    // SAFETY: the caller's promise.
    let y = unsafe { slice::from_raw_parts_mut(y, n_y * batch) };
    pool(threads).install(|| {
        let before = LIVE.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let done = match transposed {
            0 => matrix.multiply_batch(x, y, batch),
            _ => matrix.multiply_transposed_batch(x, y, batch),
        };
        match done {
            Ok(()) => (MOST.load(Ordering::Relaxed) - before) as i64,
            Err(_) => -1,
        }
    })
}
