// What tfzip.hpp adds to tfzip.h: exceptions, types, handles that move.
//
//     wrapper MODEL.tfz

#include "tfzip.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1); \
        } \
    } while (false)

static_assert(!std::is_copy_constructible_v<tfzip::Archive>);
static_assert(std::is_nothrow_move_constructible_v<tfzip::Archive>);
static_assert(!std::is_copy_constructible_v<tfzip::Matrix>);
static_assert(std::is_nothrow_move_constructible_v<tfzip::Matrix>);
static_assert(std::is_copy_constructible_v<tfzip::Tensor>);

namespace {

// The status that `call` throws, and a message that says why.
template <typename Call> tfzip_status thrown_by(const Call &call) {
    try {
        call();
    } catch (const tfzip::Error &error) {
        CHECK(*error.what() != '\0');
        return error.status();
    }
    return TFZIP_STATUS_OK;
}

// The first matrix of float.
tfzip::Tensor weights(const tfzip::Archive &archive) {
    for (std::size_t i = 0; i < archive.size(); i++) {
        if (archive[i].dtype() == TFZIP_DTYPE_FLOAT32 && archive[i].rows() > 1) {
            return archive[i];
        }
    }
    CHECK(!"a matrix of float");
    return archive[0];
}

} // namespace

int main(int n_arguments, char **arguments) {
    CHECK(n_arguments == 2);
    const std::string path = arguments[1];
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};

    auto opened = tfzip::Archive::open(path);
    const auto archive = std::move(opened);
    const auto mapped = tfzip::Archive::map(path);
    const auto copied = tfzip::Archive::copy(bytes.data(), bytes.size());
    const auto borrowed = tfzip::Archive::borrow(bytes.data(), bytes.size());
    const auto tensor = weights(archive);
    const auto dense = tensor.read<float>();
    CHECK(dense.size() == tensor.len());
    for (const auto *other : {&mapped, &copied, &borrowed}) {
        CHECK(other->size() == archive.size());
        CHECK(weights(*other).name() == tensor.name() && weights(*other).file() == tensor.file());
        CHECK(weights(*other).read<float>() == dense);
    }
    CHECK(archive.tensor(std::string(tensor.name())).number() == tensor.number());

    // The ways of reading agree.
    CHECK(tensor.shape().size() == tensor.description().rank && tensor.shape().back() == tensor.columns());
    CHECK(tensor.read_rows<float>(0, tensor.rows()) == dense);
    std::vector<float> into(dense.size());
    tensor.read_into(into.data(), into.size());
    CHECK(into == dense);
    const auto csr = tensor.csr<float>();
    CHECK(csr.values.size() == tensor.nnz() && csr.indptr.back() == tensor.nnz());
    std::vector<float> scattered(dense.size());
    for (std::size_t row = 0; row < csr.rows; row++) {
        for (auto i = csr.indptr[row]; i < csr.indptr[row + 1]; i++) {
            scattered[row * csr.columns + csr.indices[i]] = csr.values[i];
        }
    }
    CHECK(scattered == dense);
    CHECK(tensor.density() > 0 && tensor.density() <= 1);

    // A matrix outlives its archive, moved or not. Unit vectors pick rows and columns.
    auto of_temporary = weights(tfzip::Archive::map(path)).matrix();
    const auto matrix = std::move(of_temporary);
    CHECK(matrix.rows() == csr.rows && matrix.columns() == csr.columns);
    std::vector<float> units(2 * matrix.rows());
    units[0] = units[matrix.rows() + 1] = 1;
    const auto rows = matrix.multiply_transposed(units, 2);
    CHECK(rows == std::vector<float>(dense.begin(), dense.begin() + 2 * static_cast<std::ptrdiff_t>(matrix.columns())));
    std::vector<double> unit(matrix.columns());
    unit[1] = 2;
    const auto column = matrix.multiply(unit);
    for (std::size_t row = 0; row < matrix.rows(); row++) {
        const double expected = 2 * static_cast<double>(dense[row * matrix.columns() + 1]);
        CHECK(!(column[row] < expected) && !(column[row] > expected));
    }

    // What fails throws.
    CHECK(thrown_by([&] { tensor.read<double>(); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { tensor.csr<std::int32_t>(); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { tensor.read_rows<float>(1, tensor.rows()); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { tensor.read_into(into.data(), into.size() - 1); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { archive.tensor("no such tensor"); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { archive[archive.size()]; }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { matrix.multiply(units); }) == TFZIP_STATUS_INVALID_ARGUMENT);
    CHECK(thrown_by([&] { tfzip::Archive::open("no such file"); }) == TFZIP_STATUS_IO);
    CHECK(thrown_by([&] { tfzip::Archive::copy(bytes.data(), bytes.size() - 1); }) != TFZIP_STATUS_OK);
    tfzip_limits limits;
    tfzip::check(tfzip_limits_default(&limits));
    limits.tensor_bytes = 8;
    CHECK(thrown_by([&] { tfzip::Archive::open(path, &limits); }) == TFZIP_STATUS_LIMIT_EXCEEDED);
    std::printf("%zu tensors, %zu weights\n", archive.size(), csr.values.size());
    return 0;
}
