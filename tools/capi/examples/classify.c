/*
 * Classifies the test images of MNIST with LeNet-300-100 from a .tfz file, four times: with weights
 * that are read densely, by rows, as CSR, and with products on the encoded weights.
 *
 *     classify MODEL.tfz FOLDER
 *
 * MODEL.tfz is a packed lenet300-a.pb or lenet300-b.pb; FOLDER has t10k-images-idx3-ubyte and
 * t10k-labels-idx1-ubyte, unpacked. Exit status 1 if the four accuracies differ, 2 if a call fails.
 */

#include "tfzip.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_LAYERS = 3, PIXELS = 28 * 28, CLASSES = 10, ROWS_AT_ONCE = 28 };

static const char *const LAYERS[N_LAYERS] = {"fc1", "fc2", "fc3"};

/* A layer: y = x * W + b, and its weights as far as a way of reading wants them. */
struct layer {
    size_t number;
    size_t rows, columns, nnz;
    float *biases;
};

/* Ends the program. */
static void give_up(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(2);
}

/* Ends the program if a call failed. */
static void check(tfzip_status status) {
    if (status != TFZIP_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", tfzip_status_name(status), tfzip_last_error());
        exit(2);
    }
}

static void *allocate(size_t n, size_t bytes) {
    void *memory = calloc(n > 0 ? n : 1, bytes);
    if (memory == NULL) {
        give_up("out of memory");
    }
    return memory;
}

static size_t find(const tfzip_archive *archive, const char *layer, const char *what,
                   tfzip_tensor *tensor) {
    char name[64];
    size_t number;
    snprintf(name, sizeof name, "%s/%s", layer, what);
    check(tfzip_find(archive, name, &number));
    check(tfzip_describe(archive, number, tensor));
    return number;
}

static struct layer find_layer(const tfzip_archive *archive, const char *name) {
    tfzip_tensor weights, biases;
    struct layer found;
    found.number = find(archive, name, "weights", &weights);
    found.rows = (size_t)weights.rows;
    found.columns = (size_t)weights.columns;
    found.nnz = (size_t)weights.nnz;
    const size_t number = find(archive, name, "biases", &biases);
    if (biases.len != weights.columns) {
        give_up("as many biases as columns, please");
    }
    found.biases = allocate(found.columns, sizeof(float));
    check(tfzip_read(archive, number, TFZIP_DTYPE_FLOAT32, found.biases,
                     found.columns * sizeof(float)));
    return found;
}

/* Adds the products of rows `first` to `first + n_rows` of W, which `weights` has, to y. */
static void add_rows(const struct layer *layer, const float *weights, size_t first, size_t n_rows,
                     size_t n, const float *x, float *y) {
    for (size_t image = 0; image < n; image++) {
        const float *from = x + image * layer->rows + first;
        float *to = y + image * layer->columns;
        for (size_t row = 0; row < n_rows; row++) {
            const float *of_row = weights + row * layer->columns;
            if (from[row] == 0) {
                continue;
            }
            for (size_t column = 0; column < layer->columns; column++) {
                to[column] += from[row] * of_row[column];
            }
        }
    }
}

/* y += x * W for n images, with all weights in memory. */
static void with_dense(const tfzip_archive *archive, const struct layer *layer, size_t n, const float *x,
                       float *y) {
    const size_t bytes = layer->rows * layer->columns * sizeof(float);
    float *weights = allocate(layer->rows * layer->columns, sizeof(float));
    check(tfzip_read(archive, layer->number, TFZIP_DTYPE_FLOAT32, weights, bytes));
    add_rows(layer, weights, 0, layer->rows, n, x, y);
    free(weights);
}

/* The same with a few rows in memory. */
static void with_rows(const tfzip_archive *archive, const struct layer *layer, size_t n, const float *x,
                      float *y) {
    float *weights = allocate(ROWS_AT_ONCE * layer->columns, sizeof(float));
    for (size_t first = 0; first < layer->rows; first += ROWS_AT_ONCE) {
        const size_t left = layer->rows - first;
        const size_t n_rows = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        check(tfzip_read_rows(archive, layer->number, TFZIP_DTYPE_FLOAT32, first, n_rows, weights,
                              n_rows * layer->columns * sizeof(float)));
        add_rows(layer, weights, first, n_rows, n, x, y);
    }
    free(weights);
}

/* The same with the weights that are not zero. */
static void with_csr(const tfzip_archive *archive, const struct layer *layer, size_t n, const float *x,
                     float *y) {
    uint64_t *indptr = allocate(layer->rows + 1, sizeof(uint64_t));
    uint32_t *indices = allocate(layer->nnz, sizeof(uint32_t));
    float *values = allocate(layer->nnz, sizeof(float));
    check(tfzip_read_csr(archive, layer->number, TFZIP_DTYPE_FLOAT32, indptr, layer->rows + 1,
                         indices, layer->nnz, values, layer->nnz * sizeof(float)));
    for (size_t image = 0; image < n; image++) {
        const float *from = x + image * layer->rows;
        float *to = y + image * layer->columns;
        for (size_t row = 0; row < layer->rows; row++) {
            for (uint64_t i = indptr[row]; i < indptr[row + 1]; i++) {
                to[indices[i]] += from[row] * values[i];
            }
        }
    }
    free(values);
    free(indices);
    free(indptr);
}

/* The same with the weights as the file has them. */
static void with_product(const tfzip_archive *archive, const struct layer *layer, size_t n, const float *x,
                         float *y) {
    const size_t n_results = n * layer->columns;
    float *products = allocate(n_results, sizeof(float));
    tfzip_matrix *matrix;
    check(tfzip_matrix_open(archive, layer->number, &matrix));
    check(tfzip_multiply_transposed_f32(matrix, n, x, n * layer->rows, products, n_results));
    tfzip_matrix_close(matrix);
    for (size_t i = 0; i < n_results; i++) {
        y[i] += products[i];
    }
    free(products);
}

typedef void way(const tfzip_archive *, const struct layer *, size_t n, const float *x, float *y);

/* The share of the images whose label has the largest output. */
static double accuracy(const tfzip_archive *archive, const struct layer *layers, way *multiply,
                       size_t n, const float *images, const unsigned char *labels) {
    float *x = allocate(n * PIXELS, sizeof(float));
    memcpy(x, images, n * PIXELS * sizeof(float));
    for (size_t i = 0; i < N_LAYERS; i++) {
        const struct layer *layer = &layers[i];
        float *y = allocate(n * layer->columns, sizeof(float));
        for (size_t image = 0; image < n; image++) {
            memcpy(y + image * layer->columns, layer->biases, layer->columns * sizeof(float));
        }
        multiply(archive, layer, n, x, y);
        for (size_t j = 0; i + 1 < N_LAYERS && j < n * layer->columns; j++) {
            y[j] = y[j] > 0 ? y[j] : 0;
        }
        free(x);
        x = y;
    }
    size_t right = 0;
    for (size_t image = 0; image < n; image++) {
        const float *outputs = x + image * CLASSES;
        size_t best = 0;
        for (size_t class = 1; class < CLASSES; class++) {
            best = outputs[class] > outputs[best] ? class : best;
        }
        right += best == labels[image];
    }
    free(x);
    return (double)right / (double)n;
}

/* Reads what follows `header` bytes of a file of MNIST; the images or labels in it are counted by
 * the four bytes after the first four. */
static unsigned char *read_idx(const char *folder, const char *name, size_t header,
                               size_t item_bytes, size_t *n) {
    char path[4096];
    unsigned char head[16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(head, 1, header, file) != header) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    *n = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | (size_t)head[7];
    unsigned char *items = allocate(*n, item_bytes);
    if (fread(items, item_bytes, *n, file) != *n) {
        fprintf(stderr, "%s ends too early\n", path);
        exit(2);
    }
    fclose(file);
    return items;
}

int main(int n_arguments, char **arguments) {
    if (n_arguments != 3) {
        give_up("usage: classify MODEL.tfz FOLDER");
    }
    size_t n, n_labels;
    unsigned char *pixels = read_idx(arguments[2], "t10k-images-idx3-ubyte", 16, PIXELS, &n);
    unsigned char *labels = read_idx(arguments[2], "t10k-labels-idx1-ubyte", 8, 1, &n_labels);
    if (n == 0 || n_labels != n) {
        give_up("as many labels as images, please");
    }
    float *images = allocate(n * PIXELS, sizeof(float));
    for (size_t i = 0; i < n * PIXELS; i++) {
        images[i] = (float)pixels[i] / 255;
    }

    tfzip_archive *archive;
    check(tfzip_map(arguments[1], NULL, &archive));
    struct layer layers[N_LAYERS];
    for (size_t i = 0; i < N_LAYERS; i++) {
        layers[i] = find_layer(archive, LAYERS[i]);
        const size_t expected = i == 0 ? PIXELS : layers[i - 1].columns;
        if (layers[i].rows != expected) {
            give_up("the layers don't fit onto each other");
        }
    }
    if (layers[N_LAYERS - 1].columns != CLASSES) {
        give_up("ten classes, please");
    }

    way *const ways[] = {with_dense, with_rows, with_csr, with_product};
    const char *const names[] = {"dense", "rows", "csr", "product"};
    double first = 0;
    bool same = true;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const double share = accuracy(archive, layers, ways[i], n, images, labels);
        printf("%-8s %.2f %%\n", names[i], 100 * share);
        first = i == 0 ? share : first;
        same = same && !(share < first) && !(share > first);
    }

    for (size_t i = 0; i < N_LAYERS; i++) {
        free(layers[i].biases);
    }
    tfzip_close(archive);
    free(images);
    free(labels);
    free(pixels);
    return same ? 0 : 1;
}
