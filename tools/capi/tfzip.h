/*
 * tfzip: reads .tfz files, which hold pruned TensorFlow models at the size that pruning promised.
 *
 * Results. Functions that can fail return TFZIP_STATUS_OK, which is 0, or what was wrong;
 * tfzip_last_error() says it in words. After a failure, outputs have unspecified contents.
 *
 * Pointers. They point to what their type says, outputs to as many elements as the length beside
 * them says, names and paths to text that ends in a NUL. Null, lengths that don't fit, alignment and
 * outputs that overlap are checked, and are TFZIP_STATUS_INVALID_ARGUMENT; null will do where the
 * length is 0. What can't be checked is the caller's: that a pointer is valid, and that nobody else
 * uses a buffer while a call writes it. Nothing is kept but what a function says it keeps.
 *
 * Ownership. Who opens an archive or a matrix closes it, with tfzip_close() or tfzip_matrix_close().
 * What this library returns as a pointer to const belongs to it.
 *
 * Threads. Any number of threads may use one archive and one matrix at the same time, without locks.
 * Any of them may close it when the others are done. Errors are kept for each thread.
 *
 * Bad files. No contents of a file make these functions crash or use more memory than the limits
 * allow; they fail. A defect of tfzip itself becomes TFZIP_STATUS_INTERNAL. Where the system has
 * no more memory, the process ends.
 */

#ifndef TFZIP_H
#define TFZIP_H

/* Made by cbindgen of tools/capi/src: change it there. */

#include <stddef.h>
#include <stdint.h>

/// Version of the functions in this header. It changes when a program that was compiled before has
/// to be compiled again.
#define TFZIP_ABI_VERSION 0

/// How a call ended. The numbers never change.
enum tfzip_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// It did what it was asked for.
    TFZIP_STATUS_OK = 0,
    /// The file ended before something that it announced.
    TFZIP_STATUS_TRUNCATED = 1,
    /// The bytes break a rule of the format, or a checksum does not match.
    TFZIP_STATUS_CORRUPT = 2,
    /// Well-formed, but written by a newer format, or a form that this library leaves out.
    TFZIP_STATUS_UNSUPPORTED = 3,
    /// Legal, but more than the limits allow.
    TFZIP_STATUS_LIMIT_EXCEEDED = 4,
    /// The caller asked for something that does not exist or does not fit: a null pointer, a short
    /// buffer, another dtype, a name that no tensor has.
    TFZIP_STATUS_INVALID_ARGUMENT = 5,
    /// Not a model file that this library understands.
    TFZIP_STATUS_MODEL = 6,
    /// The operating system failed to read.
    TFZIP_STATUS_IO = 7,
    /// A defect of this library. Nothing is lost but this call: please report the message.
    TFZIP_STATUS_INTERNAL = 100,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tfzip_status tfzip_status;
#else
typedef int32_t tfzip_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// Type of a tensor's elements, with the numbers of TensorFlow's DataType. They never change.
enum tfzip_dtype
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// IEEE 754 binary32: float.
    TFZIP_DTYPE_FLOAT32 = 1,
    /// IEEE 754 binary64: double.
    TFZIP_DTYPE_FLOAT64 = 2,
    /// int32_t.
    TFZIP_DTYPE_INT32 = 3,
    /// uint8_t.
    TFZIP_DTYPE_UINT8 = 4,
    /// int16_t.
    TFZIP_DTYPE_INT16 = 5,
    /// int8_t.
    TFZIP_DTYPE_INT8 = 6,
    /// Byte strings of any length: can't be read.
    TFZIP_DTYPE_STRING = 7,
    /// Two floats: real, imaginary.
    TFZIP_DTYPE_COMPLEX64 = 8,
    /// int64_t.
    TFZIP_DTYPE_INT64 = 9,
    /// One byte, 0 or 1.
    TFZIP_DTYPE_BOOL = 10,
    /// Quantised: int8_t.
    TFZIP_DTYPE_QINT8 = 11,
    /// Quantised: uint8_t.
    TFZIP_DTYPE_QUINT8 = 12,
    /// Quantised: int32_t.
    TFZIP_DTYPE_QINT32 = 13,
    /// The upper half of a float.
    TFZIP_DTYPE_BFLOAT16 = 14,
    /// Quantised: int16_t.
    TFZIP_DTYPE_QINT16 = 15,
    /// Quantised: uint16_t.
    TFZIP_DTYPE_QUINT16 = 16,
    /// uint16_t.
    TFZIP_DTYPE_UINT16 = 17,
    /// Two doubles: real, imaginary.
    TFZIP_DTYPE_COMPLEX128 = 18,
    /// IEEE 754 binary16.
    TFZIP_DTYPE_FLOAT16 = 19,
    /// A handle: can't be read.
    TFZIP_DTYPE_RESOURCE = 20,
    /// Anything: can't be read.
    TFZIP_DTYPE_VARIANT = 21,
    /// uint32_t.
    TFZIP_DTYPE_UINT32 = 22,
    /// uint64_t.
    TFZIP_DTYPE_UINT64 = 23,
    /// One byte: 5 bits of exponent, 2 of mantissa.
    TFZIP_DTYPE_FLOAT8_E5M2 = 24,
    /// One byte: 4 bits of exponent, 3 of mantissa.
    TFZIP_DTYPE_FLOAT8_E4M3FN = 25,
    /// As E4M3, without -0.0.
    TFZIP_DTYPE_FLOAT8_E4M3FNUZ = 26,
    /// As E4M3, bias 11, without -0.0.
    TFZIP_DTYPE_FLOAT8_E4M3B11FNUZ = 27,
    /// As E5M2, without -0.0.
    TFZIP_DTYPE_FLOAT8_E5M2FNUZ = 28,
    /// 4 bits, signed: can't be read.
    TFZIP_DTYPE_INT4 = 29,
    /// 4 bits: can't be read.
    TFZIP_DTYPE_UINT4 = 30,
    /// 2 bits, signed: can't be read.
    TFZIP_DTYPE_INT2 = 31,
    /// 2 bits: can't be read.
    TFZIP_DTYPE_UINT2 = 32,
    /// 4 bits, 2 of exponent, 1 of mantissa: can't be read.
    TFZIP_DTYPE_FLOAT4_E2M1FN = 33,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tfzip_dtype tfzip_dtype;
#else
typedef uint32_t tfzip_dtype;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// An open .tfz file.
typedef struct tfzip_archive tfzip_archive;

/// A tensor's matrix W to multiply with: rows and columns as tfzip_tensor has them.
typedef struct tfzip_matrix tfzip_matrix;

/// What opening and reading may spend on a file that nobody vouches for. What is above a limit is
/// refused with TFZIP_STATUS_LIMIT_EXCEEDED before memory is reserved.
typedef struct tfzip_limits {
    /// Bytes of the manifest once decoded. Default 256 MiB.
    uint64_t manifest_bytes;
    /// Rows of each of the manifest's tables of files, empty folders, sections, payloads and
    /// tensors. Default 2^20.
    uint64_t rows;
    /// Rows of the manifest's table of holes. Default 2^24.
    uint64_t holes;
    /// Dimensions of all tensors together. Default 2^24.
    uint64_t dims;
    /// Dimensions of a tensor. Default 254, as in TensorFlow.
    uint64_t rank;
    /// Bytes of the name of a file or tensor. Default 65,535.
    uint64_t name_bytes;
    /// Bytes of one tensor, decoded. Default 2^36.
    uint64_t tensor_bytes;
    /// Bytes of all files that the archive restores. Default 2^38.
    uint64_t total_bytes;
    /// Bytes of all files that the archive restores, or of one tensor, decoded, for each byte of the
    /// archive. Default 2^20.
    uint64_t expansion;
    /// Folders that the name of a file leads through. Default 64.
    uint64_t nesting;
} tfzip_limits;

/// What a tensor is. It belongs to the archive, and is valid until the archive is closed.
typedef struct tfzip_tensor {
    /// What it is called, in UTF-8. Names need not be unique; one that holds a NUL ends there.
    const char *name;
    /// Name of the model file that it stands in.
    const char *file;
    /// Dimensions, outermost first: `rank` of them.
    const uint64_t *shape;
    /// Number of dimensions; 0 for a scalar.
    size_t rank;
    /// Type of its elements.
    tfzip_dtype dtype;
    /// Bytes of one element; 0 if the elements can't be read.
    uint32_t width;
    /// Number of elements: the product of the shape.
    uint64_t len;
    /// Number of elements that are not zero; -0.0 is zero, NaN is not.
    uint64_t nnz;
    /// nnz / len; 0 without elements.
    double density;
    /// Rows of its matrix: all dimensions but the last.
    uint64_t rows;
    /// Columns of its matrix: the last dimension.
    uint64_t columns;
    /// Bytes of all elements: len * width.
    uint64_t dense_bytes;
    /// Bytes that its elements take in the .tfz file, before the compression of what isn't weights.
    /// Tensors with the same elements share them.
    uint64_t stored_bytes;
} tfzip_tensor;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// ---- Versions ----

/// Version of this library, for instance "0.1.0".
const char *tfzip_version(void);

/// TFZIP_ABI_VERSION of the library that is linked: a program that loads it at run time compares.
uint32_t tfzip_abi_version(void);

/// Version of the .tfz format that this library reads. 0 is a draft.
uint32_t tfzip_format_version(void);

/// ---- Errors ----

/// What was wrong in the last call of this thread that failed: where, what was expected and what
/// was found, in one line of UTF-8. Empty if none has failed; calls that succeed leave it as it is.
/// It is valid until a call of the same thread fails, or the thread ends.
const char *tfzip_last_error(void);

/// Name of a status, for instance "limit-exceeded"; "unknown" for a number that is none.
const char *tfzip_status_name(tfzip_status status);

/// ---- Opening and closing ----
///
/// Opening reads the footer and the manifest, and compares their checksums. Everything else is read,
/// and its checksums are compared, when it is asked for.
///
/// Where `limits` is null, the default limits hold. On failure *archive becomes null.

/// Sets *limits to the defaults, which suit a server that opens files from strangers.
tfzip_status tfzip_limits_default(struct tfzip_limits *limits);

/// Reads the whole file at `path` into memory and opens it. The path is what the system's own
/// functions take on Unix, and UTF-8 on Windows.
tfzip_status tfzip_open(const char *path,
                        const struct tfzip_limits *limits,
                        struct tfzip_archive **archive);

/// Maps the file at `path` and opens it: nothing is read from disk that isn't asked for.
///
/// Until the archive is closed, and every matrix of it, nobody may change the file or cut it short,
/// in this process or in another: bytes that change under a reader are undefined behaviour, and a page that was cut off
/// ends the process with SIGBUS. To replace the file, write another one and rename it: the map
/// stays whole. tfzip's own programs do so.
tfzip_status tfzip_map(const char *path,
                       const struct tfzip_limits *limits,
                       struct tfzip_archive **archive);

/// Opens the .tfz file that stands in memory at `data`, and keeps a copy of its `data_bytes` bytes.
tfzip_status tfzip_open_copy(const void *data,
                             size_t data_bytes,
                             const struct tfzip_limits *limits,
                             struct tfzip_archive **archive);

/// Opens the .tfz file that stands in memory at `data`, without a copy of its `data_bytes` bytes.
/// They have to stay where they are, and nobody may change them, until the archive is closed, and
/// every matrix of it.
tfzip_status tfzip_open_borrowed(const void *data,
                                 size_t data_bytes,
                                 const struct tfzip_limits *limits,
                                 struct tfzip_archive **archive);

/// Closes an archive; null is no archive, and nothing happens. What belongs to it goes with it: the
/// names and shapes of its tensors.
void tfzip_close(struct tfzip_archive *archive);

/// ---- Tensors ----
///
/// Tensors have numbers, from 0 to tfzip_count() - 1, in the order of the model files' bytes.

/// Number of tensors; 0 for a null archive.
size_t tfzip_count(const struct tfzip_archive *archive);

/// Sets *number to that of the tensor called `name`.
///
/// TFZIP_STATUS_INVALID_ARGUMENT if there is none, or if there are several: the message says where,
/// and `file` of their tfzip_tensor tells them apart.
tfzip_status tfzip_find(const struct tfzip_archive *archive, const char *name, size_t *number);

/// Sets *tensor to what tensor `number` is.
tfzip_status tfzip_describe(const struct tfzip_archive *archive,
                            size_t number,
                            struct tfzip_tensor *tensor);

/// TensorFlow's name for a dtype, for instance "float32"; "unknown" for a number that is none.
const char *tfzip_dtype_name(tfzip_dtype dtype);

/// ---- Reading ----
///
/// Elements are in row-major order and in the machine's own byte order. `dtype` says what the caller
/// takes them for: if the tensor has another, the call fails, and never converts. `out_bytes` has to
/// be exactly what is asked for. Buffers of elements need no alignment but what the caller wants.

/// Reads all elements of tensor `number`: `dense_bytes` of them.
tfzip_status tfzip_read(const struct tfzip_archive *archive,
                        size_t number,
                        tfzip_dtype dtype,
                        void *out,
                        size_t out_bytes);

/// Reads `n_rows` rows of the matrix of tensor `number`, from row `first_row` on: n_rows * columns *
/// width bytes. Decodes only the blocks that they lie in.
tfzip_status tfzip_read_rows(const struct tfzip_archive *archive,
                             size_t number,
                             tfzip_dtype dtype,
                             uint64_t first_row,
                             uint64_t n_rows,
                             void *out,
                             size_t out_bytes);

/// Reads the elements of tensor `number` that are not zero, as compressed sparse rows (CSR) of its
/// matrix. tfzip_describe() says how large the three outputs have to be:
///
/// - `indptr`: `n_indptr` = rows + 1 numbers; the entries of row i are indptr[i] to indptr[i + 1] - 1;
/// - `indices`: `n_indices` = nnz columns, ascending within a row;
/// - `values`: `values_bytes` = nnz * width, in the order of `indices`.
///
/// They must not overlap. Complex elements are left out: TFZIP_STATUS_UNSUPPORTED; and matrices of more
/// than 2^32 columns: TFZIP_STATUS_LIMIT_EXCEEDED. Decodes a block at a time.
tfzip_status tfzip_read_csr(const struct tfzip_archive *archive,
                            size_t number,
                            tfzip_dtype dtype,
                            uint64_t *indptr,
                            size_t n_indptr,
                            uint32_t *indices,
                            size_t n_indices,
                            void *values,
                            size_t values_bytes);

/// ---- Products ----
///
/// Products are computed on what the file holds of a tensor, which is never expanded. `x` has `batch`
/// vectors, one after the other, and so has `y`; `x_len` and `y_len` count the numbers of all of
/// them. Any dtype of real numbers can be multiplied with vectors of float or double.
///
/// An element that is zero adds nothing, also where `x` is infinite or NaN. The bits of a result
/// depend on the file and the vector alone: neither on the machine nor on the rest of a batch.

/// Sets *matrix to the matrix of tensor `number`; on failure it becomes null. A checksum is compared
/// when a product first needs its block: who multiplies often keeps the matrix.
///
/// It keeps what it needs of the archive, which may be closed before it. Memory that was borrowed
/// for the archive, and a file that was mapped, have to stay as they are until both are closed.
tfzip_status tfzip_matrix_open(const struct tfzip_archive *archive,
                               size_t number,
                               struct tfzip_matrix **matrix);

/// Closes a matrix; null is no matrix, and nothing happens.
void tfzip_matrix_close(struct tfzip_matrix *matrix);

/// y = W * x: of a vector, `x` has a number for each column, `y` for each row.
tfzip_status tfzip_multiply_f32(const struct tfzip_matrix *matrix,
                                size_t batch,
                                const float *x,
                                size_t x_len,
                                float *y,
                                size_t y_len);

/// As tfzip_multiply_f32(), with double.
tfzip_status tfzip_multiply_f64(const struct tfzip_matrix *matrix,
                                size_t batch,
                                const double *x,
                                size_t x_len,
                                double *y,
                                size_t y_len);

/// y = transposed W * x, TensorFlow's x * W: of a vector, `x` has a number for each row, `y` for
/// each column.
tfzip_status tfzip_multiply_transposed_f32(const struct tfzip_matrix *matrix,
                                           size_t batch,
                                           const float *x,
                                           size_t x_len,
                                           float *y,
                                           size_t y_len);

/// As tfzip_multiply_transposed_f32(), with double.
tfzip_status tfzip_multiply_transposed_f64(const struct tfzip_matrix *matrix,
                                           size_t batch,
                                           const double *x,
                                           size_t x_len,
                                           double *y,
                                           size_t y_len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TFZIP_H */
