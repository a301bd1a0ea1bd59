// Classifies the test images of MNIST with LeNet-300-100 from a .tfz file, four times: with weights
// that are read densely, by rows, as CSR, and with products on the encoded weights.
//
//     classify MODEL.tfz FOLDER
//
// MODEL.tfz is a packed lenet300-a.pb or lenet300-b.pb; FOLDER has t10k-images-idx3-ubyte and
// t10k-labels-idx1-ubyte, unpacked. Exit status 1 if the four accuracies differ, 2 if something fails.

#include "tfzip.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using Floats = std::vector<float>;

// Adds x * W for n images to y, with the weights of one layer.
using Multiply = std::function<void(const tfzip::Tensor &, std::size_t n, const Floats &x, Floats &y)>;

// Adds the products of some rows of W to y.
void add_rows(const tfzip::Tensor &tensor, const Floats &weights, std::size_t first, std::size_t n,
              const Floats &x, Floats &y) {
    const auto rows = static_cast<std::size_t>(tensor.rows());
    const auto columns = static_cast<std::size_t>(tensor.columns());
    for (std::size_t image = 0; image < n; image++) {
        float *to = y.data() + image * columns;
        for (std::size_t row = 0; row < weights.size() / columns; row++) {
            const float from = x[image * rows + first + row];
            if (from == 0) {
                continue;
            }
            const float *of_row = weights.data() + row * columns;
            for (std::size_t column = 0; column < columns; column++) {
                to[column] += from * of_row[column];
            }
        }
    }
}

void with_dense(const tfzip::Tensor &tensor, std::size_t n, const Floats &x, Floats &y) {
    add_rows(tensor, tensor.read<float>(), 0, n, x, y);
}

void with_rows(const tfzip::Tensor &tensor, std::size_t n, const Floats &x, Floats &y) {
    constexpr std::uint64_t at_once = 28;
    for (std::uint64_t first = 0; first < tensor.rows(); first += at_once) {
        const auto rows = tensor.read_rows<float>(first, std::min(at_once, tensor.rows() - first));
        add_rows(tensor, rows, static_cast<std::size_t>(first), n, x, y);
    }
}

void with_csr(const tfzip::Tensor &tensor, std::size_t n, const Floats &x, Floats &y) {
    const auto csr = tensor.csr<float>();
    for (std::size_t image = 0; image < n; image++) {
        for (std::size_t row = 0; row < csr.rows; row++) {
            for (auto i = csr.indptr[row]; i < csr.indptr[row + 1]; i++) {
                y[image * csr.columns + csr.indices[i]] += x[image * csr.rows + row] * csr.values[i];
            }
        }
    }
}

void with_product(const tfzip::Tensor &tensor, std::size_t n, const Floats &x, Floats &y) {
    const auto products = tensor.matrix().multiply_transposed(x, n);
    std::transform(y.begin(), y.end(), products.begin(), y.begin(), std::plus<>());
}

// How many of the images have the largest output at their label.
std::size_t count_right(const tfzip::Archive &archive, const Multiply &multiply, Floats x,
                        const std::vector<unsigned char> &labels) {
    const std::size_t n = labels.size();
    for (const std::string layer : {"fc1", "fc2", "fc3"}) {
        const auto weights = archive.tensor(layer + "/weights");
        const auto biases = archive.tensor(layer + "/biases").read<float>();
        if (biases.size() != weights.columns() || x.size() != n * weights.rows()) {
            throw std::runtime_error("the layers don't fit onto each other");
        }
        Floats y;
        for (std::size_t image = 0; image < n; image++) {
            y.insert(y.end(), biases.begin(), biases.end());
        }
        multiply(weights, n, x, y);
        if (layer != "fc3") {
            std::transform(y.begin(), y.end(), y.begin(), [](float v) { return std::max(v, 0.0F); });
        }
        x = std::move(y);
    }
    const std::size_t classes = x.size() / n;
    std::size_t right = 0;
    for (std::size_t image = 0; image < n; image++) {
        const auto *outputs = x.data() + image * classes;
        right += std::max_element(outputs, outputs + classes) == outputs + labels[image];
    }
    return right;
}

// What follows `header` bytes of a file of MNIST.
std::vector<unsigned char> read_idx(const std::string &path, std::size_t header) {
    std::ifstream file(path, std::ios::binary);
    std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() <= header) {
        throw std::runtime_error("cannot read " + path);
    }
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
    return bytes;
}

int run(const std::string &model, const std::string &folder) {
    const auto pixels = read_idx(folder + "/t10k-images-idx3-ubyte", 16);
    const auto labels = read_idx(folder + "/t10k-labels-idx1-ubyte", 8);
    Floats images(pixels.size());
    std::transform(pixels.begin(), pixels.end(), images.begin(),
                   [](unsigned char pixel) { return static_cast<float>(pixel) / 255; });

    const auto archive = tfzip::Archive::map(model);
    const std::array<std::pair<const char *, Multiply>, 4> ways{
        {{"dense", with_dense}, {"rows", with_rows}, {"csr", with_csr}, {"product", with_product}}};
    std::set<std::size_t> results;
    for (const auto &[name, multiply] : ways) {
        const auto right = count_right(archive, multiply, images, labels);
        std::printf("%-8s %.2f %%\n", name,
                    100 * static_cast<double>(right) / static_cast<double>(labels.size()));
        results.insert(right);
    }
    return results.size() == 1 ? 0 : 1;
}

} // namespace

int main(int n_arguments, char **arguments) {
    if (n_arguments != 3) {
        std::fprintf(stderr, "usage: classify MODEL.tfz FOLDER\n");
        return 2;
    }
    try {
        return run(arguments[1], arguments[2]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
