// tfzip for C++17: tfzip.h with handles that close themselves, and exceptions.
//
// What tfzip.h says of threads, bad files, mapped files and borrowed memory holds here too. A Tensor
// is a name for a tensor of an Archive, and must not be used when the Archive is gone; a Matrix may.

#ifndef TFZIP_HPP
#define TFZIP_HPP

#include "tfzip.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tfzip {

/// A call that failed: what() says why, status() how.
class Error : public std::runtime_error {
public:
    explicit Error(tfzip_status status) : std::runtime_error(tfzip_last_error()), status_(status) {}

    tfzip_status status() const noexcept { return status_; }

private:
    tfzip_status status_;
};

/// Throws unless the call succeeded.
inline void check(tfzip_status status) {
    if (status != TFZIP_STATUS_OK) {
        throw Error(status);
    }
}

/// The dtype whose elements are read as T.
template <typename T> struct DType;
template <> struct DType<float> { static constexpr tfzip_dtype value = TFZIP_DTYPE_FLOAT32; };
template <> struct DType<double> { static constexpr tfzip_dtype value = TFZIP_DTYPE_FLOAT64; };
template <> struct DType<std::int8_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_INT8; };
template <> struct DType<std::int16_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_INT16; };
template <> struct DType<std::int32_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_INT32; };
template <> struct DType<std::int64_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_INT64; };
template <> struct DType<std::uint8_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_UINT8; };
template <> struct DType<std::uint16_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_UINT16; };
template <> struct DType<std::uint32_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_UINT32; };
template <> struct DType<std::uint64_t> { static constexpr tfzip_dtype value = TFZIP_DTYPE_UINT64; };

/// A size in a file as a size in memory.
inline std::size_t to_size(std::uint64_t n) {
    if (n > std::numeric_limits<std::size_t>::max()) {
        throw std::length_error("more elements than memory has");
    }
    return static_cast<std::size_t>(n);
}

/// A matrix in CSR form: the entries of row i are indptr[i] to indptr[i + 1] - 1.
template <typename T> struct Csr {
    std::size_t rows;
    std::size_t columns;
    std::vector<std::uint64_t> indptr;
    std::vector<std::uint32_t> indices;
    std::vector<T> values;
};

/// A tensor's matrix W to multiply with.
class Matrix {
public:
    Matrix(const tfzip_archive *archive, std::size_t number, std::size_t rows, std::size_t columns)
        : rows_(rows), columns_(columns) {
        tfzip_matrix *matrix = nullptr;
        check(tfzip_matrix_open(archive, number, &matrix));
        matrix_.reset(matrix);
    }

    std::size_t rows() const noexcept { return rows_; }
    std::size_t columns() const noexcept { return columns_; }

    /// W * x, of `batch` vectors that stand one after the other.
    template <typename T>
    std::vector<T> multiply(const std::vector<T> &x, std::size_t batch = 1) const {
        std::vector<T> y(count(rows_, batch));
        call(batch, x, y);
        return y;
    }

    /// Transposed W * x, TensorFlow's x * W.
    template <typename T>
    std::vector<T> multiply_transposed(const std::vector<T> &x, std::size_t batch = 1) const {
        std::vector<T> y(count(columns_, batch));
        call_transposed(batch, x, y);
        return y;
    }

private:
    static std::size_t count(std::size_t n, std::size_t batch) {
        if (batch != 0 && n > std::numeric_limits<std::size_t>::max() / batch) {
            throw std::length_error("more results than memory has");
        }
        return n * batch;
    }

    void call(std::size_t batch, const std::vector<float> &x, std::vector<float> &y) const {
        check(tfzip_multiply_f32(matrix_.get(), batch, x.data(), x.size(), y.data(), y.size()));
    }

    void call(std::size_t batch, const std::vector<double> &x, std::vector<double> &y) const {
        check(tfzip_multiply_f64(matrix_.get(), batch, x.data(), x.size(), y.data(), y.size()));
    }

    void call_transposed(std::size_t batch, const std::vector<float> &x, std::vector<float> &y) const {
        check(tfzip_multiply_transposed_f32(matrix_.get(), batch, x.data(), x.size(), y.data(),
                                            y.size()));
    }

    void call_transposed(std::size_t batch, const std::vector<double> &x,
                         std::vector<double> &y) const {
        check(tfzip_multiply_transposed_f64(matrix_.get(), batch, x.data(), x.size(), y.data(),
                                            y.size()));
    }

    struct Close {
        void operator()(tfzip_matrix *matrix) const noexcept { tfzip_matrix_close(matrix); }
    };

    std::unique_ptr<tfzip_matrix, Close> matrix_;
    std::size_t rows_;
    std::size_t columns_;
};

/// A tensor of an archive.
class Tensor {
public:
    Tensor(const tfzip_archive *archive, std::size_t number) : archive_(archive), number_(number) {
        check(tfzip_describe(archive, number, &tensor_));
    }

    std::size_t number() const noexcept { return number_; }
    std::string_view name() const noexcept { return tensor_.name; }
    std::string_view file() const noexcept { return tensor_.file; }
    tfzip_dtype dtype() const noexcept { return tensor_.dtype; }
    std::vector<std::uint64_t> shape() const { return {tensor_.shape, tensor_.shape + tensor_.rank}; }
    std::uint64_t len() const noexcept { return tensor_.len; }
    std::uint64_t nnz() const noexcept { return tensor_.nnz; }
    double density() const noexcept { return tensor_.density; }
    std::uint64_t rows() const noexcept { return tensor_.rows; }
    std::uint64_t columns() const noexcept { return tensor_.columns; }

    /// All that tfzip.h says of it.
    const tfzip_tensor &description() const noexcept { return tensor_; }

    /// All elements. Throws unless T is the tensor's dtype.
    template <typename T> std::vector<T> read() const {
        require<T>();
        std::vector<T> out(to_size(len()));
        read_into(out.data(), out.size());
        return out;
    }

    /// All elements, of which there have to be `n`, into memory that the caller has.
    template <typename T> void read_into(T *out, std::size_t n) const {
        check(tfzip_read(archive_, number_, DType<T>::value, out, bytes<T>(n)));
    }

    /// `n` rows of its matrix, from row `first` on.
    template <typename T> std::vector<T> read_rows(std::uint64_t first, std::uint64_t n) const {
        require<T>();
        if (n > rows()) {
            throw std::out_of_range("more rows than the tensor has");
        }
        std::vector<T> out(to_size(n * columns()));
        check(tfzip_read_rows(archive_, number_, DType<T>::value, first, n, out.data(),
                              bytes<T>(out.size())));
        return out;
    }

    /// The elements that are not zero.
    template <typename T> Csr<T> csr() const {
        require<T>();
        Csr<T> csr;
        csr.rows = to_size(rows());
        csr.columns = to_size(columns());
        csr.indptr.resize(csr.rows + 1);
        csr.indices.resize(to_size(nnz()));
        csr.values.resize(to_size(nnz()));
        check(tfzip_read_csr(archive_, number_, DType<T>::value, csr.indptr.data(),
                             csr.indptr.size(), csr.indices.data(), csr.indices.size(),
                             csr.values.data(), bytes<T>(csr.values.size())));
        return csr;
    }

    /// Its matrix, to multiply with.
    Matrix matrix() const { return Matrix(archive_, number_, to_size(rows()), to_size(columns())); }

private:
    /// Fails before memory is reserved for elements that can't be read: there can be any number of them.
    template <typename T> void require() const {
        if (tensor_.dtype != DType<T>::value || tensor_.width == 0) {
            check(tfzip_read_rows(archive_, number_, DType<T>::value, 0, 0, nullptr, 0));
        }
    }

    template <typename T> static std::size_t bytes(std::size_t n) {
        if (n > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
            throw std::length_error("more elements than memory has");
        }
        return n * sizeof(T);
    }

    const tfzip_archive *archive_;
    std::size_t number_;
    tfzip_tensor tensor_{};
};

/// An open .tfz file.
class Archive {
public:
    /// Reads the whole file into memory.
    static Archive open(const std::string &path, const tfzip_limits *limits = nullptr) {
        return Archive([&](tfzip_archive **out) { return tfzip_open(path.c_str(), limits, out); });
    }

    /// Maps the file, which nobody may change meanwhile: see tfzip_map().
    static Archive map(const std::string &path, const tfzip_limits *limits = nullptr) {
        return Archive([&](tfzip_archive **out) { return tfzip_map(path.c_str(), limits, out); });
    }

    /// Copies a file that is in memory.
    static Archive copy(const void *data, std::size_t data_bytes, const tfzip_limits *limits = nullptr) {
        return Archive([&](tfzip_archive **out) {
            return tfzip_open_copy(data, data_bytes, limits, out);
        });
    }

    /// Uses a file that is in memory, and stays there until this and every Matrix of it is gone.
    static Archive borrow(const void *data, std::size_t data_bytes,
                          const tfzip_limits *limits = nullptr) {
        return Archive([&](tfzip_archive **out) {
            return tfzip_open_borrowed(data, data_bytes, limits, out);
        });
    }

    /// Number of tensors.
    std::size_t size() const noexcept { return tfzip_count(archive_.get()); }

    /// Tensor `number`, 0 to size() - 1.
    Tensor operator[](std::size_t number) const { return Tensor(archive_.get(), number); }

    /// The tensor with this name. Throws if there is none, or if there are several.
    Tensor tensor(const std::string &name) const {
        std::size_t number = 0;
        check(tfzip_find(archive_.get(), name.c_str(), &number));
        return (*this)[number];
    }

    /// For the functions of tfzip.h.
    const tfzip_archive *get() const noexcept { return archive_.get(); }

private:
    template <typename Open> explicit Archive(const Open &open) {
        tfzip_archive *archive = nullptr;
        check(open(&archive));
        archive_.reset(archive);
    }

    struct Close {
        void operator()(tfzip_archive *archive) const noexcept { tfzip_close(archive); }
    };

    std::unique_ptr<tfzip_archive, Close> archive_;
};

} // namespace tfzip

#endif // TFZIP_HPP
