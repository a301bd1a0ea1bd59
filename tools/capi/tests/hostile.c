/*
 * Calls that no program should make, and files that nobody should trust: every one of them is an
 * error, and neither AddressSanitizer nor the system finds an access that is none.
 *
 *     hostile MODEL.tfz FILE...   all tests; every FILE, of whatever contents, is read as far as it goes
 *     hostile --leak MODEL.tfz    opens an archive and forgets it, so that LeakSanitizer has to say so
 *     hostile --overrun MODEL.tfz gives a buffer shorter than it says, which has to end the program
 *
 * Buffers are of exactly the size that is told, and where a page ends: the page after them can be
 * neither read nor written, so that a byte too much is found whoever touches it.
 */

#define _DEFAULT_SOURCE

#include "tfzip.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s: last error \"%s\"\n", __FILE__, __LINE__, #condition, \
                    tfzip_last_error()); \
            exit(1); \
        } \
    } while (0)

/* The call fails as the caller's mistake, and says so in these words. */
#define REFUSED(call, because) \
    do { \
        CHECK((call) == TFZIP_STATUS_INVALID_ARGUMENT); \
        CHECK(strstr(tfzip_last_error(), (because)) != NULL); \
    } while (0)

#define F32 TFZIP_DTYPE_FLOAT32

/* What programs that were compiled before rely on. */
_Static_assert(TFZIP_STATUS_OK == 0 && TFZIP_STATUS_TRUNCATED == 1 && TFZIP_STATUS_CORRUPT == 2, "");
_Static_assert(TFZIP_STATUS_UNSUPPORTED == 3 && TFZIP_STATUS_LIMIT_EXCEEDED == 4, "");
_Static_assert(TFZIP_STATUS_INVALID_ARGUMENT == 5 && TFZIP_STATUS_MODEL == 6, "");
_Static_assert(TFZIP_STATUS_IO == 7 && TFZIP_STATUS_INTERNAL == 100, "");
_Static_assert(TFZIP_DTYPE_FLOAT32 == 1 && TFZIP_DTYPE_FLOAT4_E2M1FN == 33, "");
_Static_assert(sizeof(tfzip_status) == 4 && sizeof(tfzip_dtype) == 4, "");
_Static_assert(sizeof(tfzip_limits) == 10 * sizeof(uint64_t), "");

/* More than this of a tensor is not read: files may promise a lot. */
static const uint64_t MOST_BYTES = 1 << 24;

/* Bytes of the pages that a buffer is in, and of the one after them. */
static size_t page_bytes(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes / page + 2) * page;
}

/* A buffer that ends with its page. */
static void *allocate(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), all = page_bytes(bytes);
    unsigned char *pages = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK(mprotect(pages + all - page, page, PROT_NONE) == 0);
    return pages + all - page - bytes;
}

static void release(void *buffer, size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), all = page_bytes(bytes);
    CHECK(munmap((unsigned char *)buffer + bytes + page - all, all) == 0);
}

static unsigned char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    const long end = ftell(file);
    CHECK(end >= 0);
    rewind(file);
    *bytes = (size_t)end;
    unsigned char *data = allocate(*bytes);
    CHECK(fread(data, 1, *bytes, file) == *bytes);
    fclose(file);
    return data;
}

/* A call that was told nothing wrong: what failed is the file's fault. */
static void check_fault(tfzip_status status) {
    CHECK(status != TFZIP_STATUS_INTERNAL);
    CHECK(status == TFZIP_STATUS_OK || *tfzip_last_error() != '\0');
}

/* Reads all of one tensor, in every way; counts the calls that succeed. */
static size_t walk_tensor(const tfzip_archive *archive, size_t number) {
    tfzip_tensor tensor;
    CHECK(tfzip_describe(archive, number, &tensor) == TFZIP_STATUS_OK);
    CHECK(tensor.name != NULL && tensor.file != NULL && strlen(tensor.name) < 1 << 17);
    uint64_t elements = 1;
    for (size_t i = 0; i < tensor.rank; i++) {
        elements *= tensor.shape[i];
    }
    CHECK(elements == tensor.len && tensor.nnz <= tensor.len);
    if (tensor.dense_bytes > MOST_BYTES || tensor.rows > MOST_BYTES / 8 ||
        tensor.columns > MOST_BYTES / 8) {
        return 0;
    }
    size_t good = 0;
    const size_t bytes = (size_t)tensor.dense_bytes;
    void *dense = allocate(bytes);
    tfzip_status status = tfzip_read(archive, number, tensor.dtype, dense, bytes);
    check_fault(status);
    good += status == TFZIP_STATUS_OK;
    release(dense, bytes);

    const size_t row_bytes = (size_t)(tensor.columns * tensor.width);
    void *row = allocate(row_bytes);
    for (uint64_t i = 0; i < tensor.rows; i += 1 + tensor.rows / 8) {
        status = tfzip_read_rows(archive, number, tensor.dtype, i, 1, row, row_bytes);
        check_fault(status);
        good += status == TFZIP_STATUS_OK;
    }
    release(row, row_bytes);

    const size_t nnz = (size_t)tensor.nnz;
    const size_t n_indptr = (size_t)tensor.rows + 1;
    uint64_t *indptr = allocate(n_indptr * sizeof *indptr);
    uint32_t *indices = allocate(nnz * sizeof *indices);
    void *values = allocate(nnz * tensor.width);
    status = tfzip_read_csr(archive, number, tensor.dtype, indptr, n_indptr, indices, nnz, values,
                            nnz * tensor.width);
    check_fault(status);
    if (status == TFZIP_STATUS_OK) {
        good++;
        CHECK(indptr[0] == 0 && indptr[n_indptr - 1] == nnz);
        for (size_t i = 0; i + 1 < n_indptr; i++) {
            CHECK(indptr[i] <= indptr[i + 1]);
        }
        for (size_t i = 0; i < nnz; i++) {
            CHECK(indices[i] < tensor.columns);
        }
    }
    release(values, nnz * tensor.width);
    release(indices, nnz * sizeof *indices);
    release(indptr, n_indptr * sizeof *indptr);

    tfzip_matrix *matrix;
    status = tfzip_matrix_open(archive, number, &matrix);
    check_fault(status);
    CHECK((status == TFZIP_STATUS_OK) == (matrix != NULL));
    if (matrix != NULL) {
        const size_t rows = (size_t)tensor.rows, columns = (size_t)tensor.columns;
        double *of_row = allocate(rows * sizeof(double));
        double *of_column = allocate(columns * sizeof(double));
        for (size_t i = 0; i < columns; i++) {
            of_column[i] = 1;
        }
        status = tfzip_multiply_f64(matrix, 1, of_column, columns, of_row, rows);
        check_fault(status);
        good += status == TFZIP_STATUS_OK;
        for (size_t i = 0; i < rows; i++) {
            of_row[i] = 1;
        }
        status = tfzip_multiply_transposed_f64(matrix, 1, of_row, rows, of_column, columns);
        check_fault(status);
        good += status == TFZIP_STATUS_OK;
        release(of_column, columns * sizeof(double));
        release(of_row, rows * sizeof(double));
        tfzip_matrix_close(matrix);
    }
    return good;
}

/* Reads all of a file that is in memory; counts the calls that succeed. */
static size_t walk(const void *data, size_t bytes) {
    tfzip_archive *archive;
    const tfzip_status status = tfzip_open_borrowed(data, bytes, NULL, &archive);
    check_fault(status);
    CHECK((status == TFZIP_STATUS_OK) == (archive != NULL));
    if (archive == NULL) {
        return 0;
    }
    size_t good = 0;
    for (size_t number = 0; number < tfzip_count(archive); number++) {
        good += walk_tensor(archive, number);
    }
    tfzip_close(archive);
    return good;
}

static void test_null(const tfzip_archive *archive) {
    tfzip_archive *other = NULL;
    tfzip_matrix *matrix = NULL;
    size_t number;
    float x[1] = {1};
    REFUSED(tfzip_limits_default(NULL), "limits is null");
    REFUSED(tfzip_open(NULL, NULL, &other), "path is null");
    REFUSED(tfzip_open("x", NULL, NULL), "archive is null");
    REFUSED(tfzip_map(NULL, NULL, &other), "path is null");
    REFUSED(tfzip_open_copy(NULL, 1, NULL, &other), "data is null");
    REFUSED(tfzip_open_borrowed(NULL, 1, NULL, &other), "data is null");
    REFUSED(tfzip_find(NULL, "x", &number), "archive is null");
    REFUSED(tfzip_find(archive, NULL, &number), "name is null");
    REFUSED(tfzip_find(archive, "x", NULL), "number is null");
    REFUSED(tfzip_describe(archive, 0, NULL), "tensor is null");
    REFUSED(tfzip_read(NULL, 0, F32, x, sizeof x), "archive is null");
    REFUSED(tfzip_read(archive, 0, F32, NULL, sizeof x), "out is null");
    REFUSED(tfzip_read_rows(NULL, 0, F32, 0, 1, x, sizeof x), "archive is null");
    REFUSED(tfzip_read_rows(archive, 0, F32, 0, 1, NULL, sizeof x), "out is null");
    REFUSED(tfzip_read_csr(NULL, 0, F32, NULL, 0, NULL, 0, NULL, 0), "archive is null");
    REFUSED(tfzip_read_csr(archive, 0, F32, NULL, 1, NULL, 0, NULL, 0), "indptr is null");
    REFUSED(tfzip_read_csr(archive, 0, F32, NULL, 0, NULL, 1, NULL, 0), "indices is null");
    REFUSED(tfzip_read_csr(archive, 0, F32, NULL, 0, NULL, 0, NULL, 1), "values is null");
    REFUSED(tfzip_matrix_open(NULL, 0, &matrix), "archive is null");
    REFUSED(tfzip_matrix_open(archive, 0, NULL), "matrix is null");
    REFUSED(tfzip_multiply_f32(NULL, 1, x, 1, x, 1), "matrix is null");
    CHECK(tfzip_count(NULL) == 0);
    CHECK(other == NULL && matrix == NULL);
    tfzip_close(NULL);
    tfzip_matrix_close(NULL);
}

/* Lengths that don't fit, of the first matrix of float. */
static void test_lengths(const tfzip_archive *archive) {
    tfzip_tensor tensor = {0};
    size_t number = 0;
    for (; number < tfzip_count(archive); number++) {
        CHECK(tfzip_describe(archive, number, &tensor) == TFZIP_STATUS_OK);
        if (tensor.dtype == F32 && tensor.rows > 1 && tensor.nnz > 1) {
            break;
        }
    }
    CHECK(number < tfzip_count(archive));
    const size_t bytes = (size_t)tensor.dense_bytes;
    const size_t row_bytes = (size_t)tensor.columns * sizeof(float);
    const size_t lengths[] = {0, 1, bytes - 1, bytes - row_bytes, bytes + 1, SIZE_MAX / 2, SIZE_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        /* As short as it says, so that what is written would be found; or shorter, where it is too
         * long, as nothing is written then. */
        const size_t n = lengths[i];
        const size_t buffer = n < bytes ? n : 1;
        void *out = allocate(buffer);
        REFUSED(tfzip_read(archive, number, F32, out, n), "");
        REFUSED(tfzip_read_rows(archive, number, F32, 0, tensor.rows, out, n), "");
        release(out, buffer);
    }
    void *out = allocate(bytes);
    REFUSED(tfzip_read(archive, number, TFZIP_DTYPE_INT32, out, bytes), "float32");
    REFUSED(tfzip_read(archive, number, (tfzip_dtype)12345, out, bytes), "12345");
    REFUSED(tfzip_read(archive, SIZE_MAX, F32, out, bytes), "begin with 0");
    REFUSED(tfzip_read_rows(archive, number, F32, tensor.rows, 1, out, row_bytes), "rows");
    REFUSED(tfzip_read_rows(archive, number, F32, UINT64_MAX, 2, out, row_bytes), "rows");
    release(out, bytes);

    const size_t nnz = (size_t)tensor.nnz, n_indptr = (size_t)tensor.rows + 1;
    uint64_t *indptr = allocate(n_indptr * sizeof *indptr);
    uint32_t *indices = allocate(nnz * sizeof *indices);
    float *values = allocate(nnz * sizeof *values);
    const size_t value_bytes = nnz * sizeof *values;
    REFUSED(tfzip_read_csr(archive, number, F32, indptr, n_indptr - 1, indices, nnz, values,
                           value_bytes), "indptr has");
    REFUSED(tfzip_read_csr(archive, number, F32, indptr, n_indptr, indices, nnz - 1, values,
                           value_bytes), "indices has");
    REFUSED(tfzip_read_csr(archive, number, F32, indptr, n_indptr, indices, nnz, values,
                           value_bytes - 1), "values has");
    REFUSED(tfzip_read_csr(archive, number, F32, indptr, SIZE_MAX / 8, indices, nnz, values,
                           value_bytes), "indptr has");
    REFUSED(tfzip_read_csr(archive, number, F32, indptr, n_indptr, indices, nnz, indices,
                           value_bytes), "values overlaps indices");
    release(values, value_bytes);
    release(indices, nnz * sizeof *indices);
    release(indptr, n_indptr * sizeof *indptr);

    tfzip_matrix *matrix;
    CHECK(tfzip_matrix_open(archive, number, &matrix) == TFZIP_STATUS_OK);
    const size_t rows = (size_t)tensor.rows, columns = (size_t)tensor.columns;
    float *x = allocate(rows * sizeof *x);
    float *y = allocate(columns * sizeof *y);
    REFUSED(tfzip_multiply_transposed_f32(matrix, 1, NULL, rows, y, columns), "x is null");
    REFUSED(tfzip_multiply_transposed_f32(matrix, 1, x, rows, NULL, columns), "y is null");
    REFUSED(tfzip_multiply_transposed_f32(matrix, 1, x, rows - 1, y, columns), "x has");
    REFUSED(tfzip_multiply_transposed_f32(matrix, 1, x, rows, y, columns - 1), "y has");
    REFUSED(tfzip_multiply_transposed_f32(matrix, 2, x, rows, y, columns), "x has");
    REFUSED(tfzip_multiply_transposed_f32(matrix, SIZE_MAX, x, rows, y, columns), "x has");
    REFUSED(tfzip_multiply_transposed_f32(matrix, 1, x, rows, x, columns < rows ? columns : rows),
            "overlaps");
    CHECK(tfzip_multiply_transposed_f32(matrix, 0, NULL, 0, NULL, 0) == TFZIP_STATUS_OK);
    CHECK(tfzip_multiply_transposed_f32(matrix, 1, x, rows, y, columns) == TFZIP_STATUS_OK);
    CHECK(!(y[0] < 0) && !(y[0] > 0));
    release(y, columns * sizeof *y);
    release(x, rows * sizeof *x);
    tfzip_matrix_close(matrix);
}

/* A matrix works on when its archive is closed; and what was borrowed is not kept any longer. */
static void test_lifetimes(const unsigned char *data, size_t bytes) {
    unsigned char *copy = allocate(bytes + 1);
    for (size_t shift = 0; shift < 2; shift++) {
        memcpy(copy + shift, data, bytes);
        tfzip_archive *archive;
        CHECK(tfzip_open_borrowed(copy + shift, bytes, NULL, &archive) == TFZIP_STATUS_OK);
        size_t n_open = 0;
        tfzip_matrix *open[16] = {NULL};
        size_t columns[16], rows[16];
        for (size_t i = 0; i < tfzip_count(archive) && n_open < 16; i++) {
            tfzip_tensor tensor;
            CHECK(tfzip_describe(archive, i, &tensor) == TFZIP_STATUS_OK);
            if (tensor.dtype == F32 &&
                tfzip_matrix_open(archive, i, &open[n_open]) == TFZIP_STATUS_OK) {
                rows[n_open] = (size_t)tensor.rows;
                columns[n_open++] = (size_t)tensor.columns;
            }
        }
        tfzip_close(archive);
        CHECK(n_open > 0);
        for (size_t i = 0; i < n_open; i++) {
            float *x = allocate(columns[i] * sizeof *x);
            float *y = allocate(rows[i] * sizeof *y);
            CHECK(tfzip_multiply_f32(open[i], 1, x, columns[i], y, rows[i]) == TFZIP_STATUS_OK);
            release(y, rows[i] * sizeof *y);
            release(x, columns[i] * sizeof *x);
            tfzip_matrix_close(open[i]);
        }
        memset(copy, 0, bytes + 1);
    }
    release(copy, bytes + 1);
}

static void test_limits(const char *path) {
    tfzip_limits limits;
    tfzip_archive *archive;
    CHECK(tfzip_limits_default(&limits) == TFZIP_STATUS_OK);
    CHECK(tfzip_open(path, &limits, &archive) == TFZIP_STATUS_OK);
    tfzip_close(archive);
    limits.tensor_bytes = 8;
    CHECK(tfzip_open(path, &limits, &archive) == TFZIP_STATUS_LIMIT_EXCEEDED);
    CHECK(archive == NULL);
    CHECK(tfzip_map(path, &limits, &archive) == TFZIP_STATUS_LIMIT_EXCEEDED);
    CHECK(tfzip_open("no such file", NULL, &archive) == TFZIP_STATUS_IO);
    CHECK(strstr(tfzip_last_error(), "no such file") != NULL);
    CHECK(strcmp(tfzip_status_name(TFZIP_STATUS_IO), "io") == 0);
    CHECK(strcmp(tfzip_status_name((tfzip_status)-5), "unknown") == 0);
    CHECK(strcmp(tfzip_dtype_name(F32), "float32") == 0);
    CHECK(tfzip_abi_version() == TFZIP_ABI_VERSION);
}

/* What is cut off is missed, and what is changed is noticed or makes no difference to safety. */
static void test_damage(const unsigned char *data, size_t bytes) {
    const size_t step = 1 + bytes / 4096;
    for (size_t n = 0; n < bytes; n += n + 64 < bytes && n > 64 ? step : 1) {
        unsigned char *prefix = allocate(n);
        memcpy(prefix, data, n);
        tfzip_archive *archive;
        CHECK(tfzip_open_borrowed(prefix, n, NULL, &archive) != TFZIP_STATUS_OK);
        CHECK(archive == NULL);
        check_fault(TFZIP_STATUS_CORRUPT);
        release(prefix, n);
    }
    unsigned char *changed = allocate(bytes);
    uint32_t random = 1;
    for (size_t i = 0; i < 256; i++) {
        memcpy(changed, data, bytes);
        random = random * 1664525 + 1013904223;
        /* Half of them near the end, where the manifest is. */
        const size_t range = i % 2 == 0 || bytes < 512 ? bytes : 512;
        changed[bytes - 1 - (random >> 8) % range] ^= (unsigned char)(1 << (random >> 29));
        walk(changed, bytes);
    }
    release(changed, bytes);
}

struct reader {
    const tfzip_archive *archive;
    const tfzip_matrix *matrix;
    const float *expected;
    tfzip_tensor tensor;
    size_t number;
    unsigned id;
};

/* Reads, and fails in its own way, while others do. */
static void *read_and_fail(void *argument) {
    const struct reader *reader = argument;
    const size_t rows = (size_t)reader->tensor.rows, columns = (size_t)reader->tensor.columns;
    const size_t bytes = (size_t)reader->tensor.dense_bytes;
    float *out = allocate(bytes);
    float *x = allocate(rows * sizeof *x);
    float *y = allocate(columns * sizeof *y);
    CHECK(*tfzip_last_error() == '\0');
    for (unsigned i = 0; i < 50; i++) {
        char name[32];
        size_t number;
        snprintf(name, sizeof name, "thread %u call %u", reader->id, i);
        CHECK(tfzip_find(reader->archive, name, &number) == TFZIP_STATUS_INVALID_ARGUMENT);
        CHECK(tfzip_read(reader->archive, reader->number, F32, out, bytes) == TFZIP_STATUS_OK);
        CHECK(memcmp(out, reader->expected, bytes) == 0);
        CHECK(tfzip_multiply_transposed_f32(reader->matrix, 1, x, rows, y, columns) ==
              TFZIP_STATUS_OK);
        CHECK(strstr(tfzip_last_error(), name) != NULL);
    }
    release(y, columns * sizeof *y);
    release(x, rows * sizeof *x);
    release(out, bytes);
    return NULL;
}

static void test_threads(const unsigned char *data, size_t bytes) {
    tfzip_archive *archive;
    tfzip_matrix *matrix = NULL;
    struct reader readers[2];
    pthread_t threads[2];
    CHECK(tfzip_open_copy(data, bytes, NULL, &archive) == TFZIP_STATUS_OK);
    tfzip_tensor tensor = {0};
    size_t number = 0;
    for (; number < tfzip_count(archive); number++) {
        CHECK(tfzip_describe(archive, number, &tensor) == TFZIP_STATUS_OK);
        if (tensor.dtype == F32 && tensor.rows > 1) {
            break;
        }
    }
    CHECK(number < tfzip_count(archive));
    float *expected = allocate((size_t)tensor.dense_bytes);
    CHECK(tfzip_read(archive, number, F32, expected, (size_t)tensor.dense_bytes) == TFZIP_STATUS_OK);
    CHECK(tfzip_matrix_open(archive, number, &matrix) == TFZIP_STATUS_OK);
    for (unsigned i = 0; i < 2; i++) {
        readers[i] = (struct reader){archive, matrix, expected, tensor, number, i};
        CHECK(pthread_create(&threads[i], NULL, read_and_fail, &readers[i]) == 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    tfzip_matrix_close(matrix);
    release(expected, (size_t)tensor.dense_bytes);
    tfzip_close(archive);
}

static int forget(const char *path) {
    tfzip_archive *archive;
    CHECK(tfzip_open(path, NULL, &archive) == TFZIP_STATUS_OK);
    archive = NULL;
    return 0;
}

static int overrun(const char *path) {
    tfzip_archive *archive;
    tfzip_tensor tensor;
    CHECK(tfzip_open(path, NULL, &archive) == TFZIP_STATUS_OK);
    CHECK(tfzip_describe(archive, 0, &tensor) == TFZIP_STATUS_OK);
    const size_t bytes = (size_t)tensor.dense_bytes;
    void *out = allocate(bytes - 1);
    CHECK(tfzip_read(archive, 0, tensor.dtype, out, bytes) == TFZIP_STATUS_OK);
    release(out, bytes - 1);
    tfzip_close(archive);
    return 0;
}

int main(int n_arguments, char **arguments) {
    if (n_arguments < 2) {
        fprintf(stderr, "usage: hostile MODEL.tfz FILE...\n");
        return 2;
    }
    if (n_arguments == 3 && strcmp(arguments[1], "--leak") == 0) {
        return forget(arguments[2]);
    }
    if (n_arguments == 3 && strcmp(arguments[1], "--overrun") == 0) {
        return overrun(arguments[2]);
    }
    size_t bytes;
    unsigned char *data = read_file(arguments[1], &bytes);
    tfzip_archive *archive;
    CHECK(tfzip_open_copy(data, bytes, NULL, &archive) == TFZIP_STATUS_OK);
    test_null(archive);
    test_lengths(archive);
    tfzip_close(archive);
    test_limits(arguments[1]);
    test_lifetimes(data, bytes);
    test_threads(data, bytes);
    CHECK(walk(data, bytes) > 0);
    test_damage(data, bytes);
    release(data, bytes);

    size_t good = 0;
    for (int i = 2; i < n_arguments; i++) {
        data = read_file(arguments[i], &bytes);
        good += walk(data, bytes);
        release(data, bytes);
    }
    printf("%d files, of which %zu reads succeed\n", n_arguments - 2, good);
    return 0;
}
