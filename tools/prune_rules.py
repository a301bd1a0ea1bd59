"""The rules of tfzip-prune in NumPy, from the formulas in src/prune/rule.rs.

Weights are float64 arrays of the tensor's shape. Sums are exactly rounded, as math.fsum does it.
Squares are taken of numbers divided by a power of two, which changes no digit of a result but
keeps squares from overflowing and from vanishing.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np


class Pruning(NamedTuple):
    """What a rule leaves of a tensor."""

    mask: np.ndarray
    threshold: float | None


# Sums


def exact_sum(values):
    return math.fsum(values.ravel().tolist())


def finite(weights):
    return weights[np.isfinite(weights)]


def unit_of(values):
    """The power of two that the largest of the values reaches."""
    _, exponent = np.frexp(np.abs(values).max(initial=0.0))
    return float(np.ldexp(1.0, exponent - 1))


def norm(values, divisor=1.0):
    """The root of the sum of squares over a divisor."""
    unit = unit_of(values)
    return unit * math.sqrt(exact_sum((values / unit) ** 2) / divisor)


def deviation(values):
    """The standard deviation; 0 of no values."""
    if not values.size:
        return 0.0
    unit = unit_of(values)
    scaled = values / unit
    mean = exact_sum(scaled) / values.size
    return unit * math.sqrt(exact_sum((scaled - mean) ** 2) / values.size)


def variance(values):
    """The mean square of the distance from the mean; 0 of no values."""
    if not values.size:
        return 0.0
    mean = exact_sum(values) / values.size
    return exact_sum((values - mean) ** 2) / values.size


def relative_error(before, after):
    """The norm of what was lost over the norm of what was there, of finite numbers."""
    is_finite = np.isfinite(before)
    whole = norm(before[is_finite])
    return norm(before[is_finite] - after[is_finite]) / whole if whole else 0.0


# Rules: from weights and parameters to what is pruned, and a threshold


def std(weights, quality):
    return below(weights, quality * deviation(finite(weights)))


def magnitude(weights, threshold):
    return below(weights, threshold)


def norm_rule(weights, quality):
    return below(weights, quality * norm(finite(weights), 2.0))


def below(weights, threshold):
    return np.abs(weights) < threshold, threshold


def column_variance(weights):
    columns = as_matrix(weights).T
    variances = np.array([variance(finite(column)) for column in columns])
    thresholds = variances * variances * norm(finite(weights), 2.0)
    return np.abs(weights) < thresholds, None


def sparsity(weights, share):
    return smallest(weights, share_of(share, weights.size))


def error(weights, limit):
    """The longest run of smallest weights within the limit, near where rounded sums say."""
    sizes = np.sort(np.abs(finite(weights)))
    unit, allowed = unit_of(sizes), limit * norm(sizes)
    squares = (sizes / unit) ** 2

    def is_within(n):
        return unit * math.sqrt(exact_sum(squares[:n])) <= allowed

    n = np.searchsorted(unit * np.sqrt(np.cumsum(squares)), allowed, side="right")
    while n < sizes.size and is_within(n + 1):
        n += 1
    while not is_within(n):
        n -= 1
    return smallest(weights, n)


def smallest(weights, n):
    """The first n in the order of size and, of equal ones, of position."""
    is_finite = np.isfinite(weights).ravel()
    sizes = np.where(is_finite, np.abs(weights).ravel(), np.inf)
    order = np.argsort(sizes, kind="stable")[: min(n, is_finite.sum())]
    pruned = np.zeros(weights.size, bool)
    pruned[order] = True
    threshold = float(sizes[order[-1]]) if order.size else None
    return pruned.reshape(weights.shape), threshold


def n_of_m(weights, keep, of):
    """NaN and infinities count as the largest, so that they keep others from staying."""
    sizes = np.where(np.isfinite(weights), np.abs(weights), np.inf)
    pruned = np.zeros(weights.shape, bool)
    rows, pruned_rows = as_matrix(sizes), as_matrix(pruned)
    for start in range(0, rows.shape[1], int(of)):
        group = rows[:, start : start + int(of)]
        n = max(0, group.shape[1] - int(keep))
        order = np.argsort(group, axis=1, kind="stable")[:, :n]
        np.put_along_axis(pruned_rows[:, start : start + int(of)], order, True, axis=1)
    return pruned, None


def block(weights, size, share):
    height, width = map(int, size.split("x"))
    rows = as_matrix(weights) / unit_of(finite(weights))
    pruned = np.zeros(weights.shape, bool)
    tops, lefts = range(0, rows.shape[0], height), range(0, rows.shape[1], width)
    places = [
        (slice(top, top + height), slice(left, left + width))
        for top, left in itertools.product(tops, lefts)
    ]
    sizes = [block_size(rows[place]) for place in places]
    chosen, _ = smallest(np.array(sizes), share_of(float(share), len(places)))
    for place in itertools.compress(places, chosen):
        as_matrix(pruned)[place] = True
    return pruned, None


def block_size(values):
    """The sum of squares; infinity for a block that is not to be pruned."""
    return exact_sum(values**2) if np.isfinite(values).all() else math.inf


def as_matrix(weights):
    """A view whose rows are the last axis."""
    columns = weights.shape[-1] if weights.ndim else 1
    return weights.reshape(weights.size // columns if columns else 0, columns)


def share_of(share, n):
    """Rounded to the nearest whole number, halves up."""
    return math.floor(share * n + 0.5)


RULES = {
    "std": std,
    "magnitude": magnitude,
    "sparsity": sparsity,
    "norm": norm_rule,
    "column-variance": column_variance,
    "nm": n_of_m,
    "block": block,
    "error": error,
}


def prune(rule, tensors):
    """What a rule, as tfzip-prune takes it, leaves of each of the tensors."""
    name, *parameters = rule.split(":")
    if name != "block":
        parameters = list(map(float, parameters))
    with np.errstate(invalid="ignore", over="ignore"):
        if name == "global":
            return prune_together(tensors, *parameters)
        return [left(weights, *RULES[name](weights, *parameters)) for weights in tensors]


def prune_together(tensors, share):
    """The tensors as if they were one, in their order."""
    joined = np.concatenate([weights.ravel() for weights in tensors])
    pruned, threshold = sparsity(joined, share)
    ends = np.cumsum([weights.size for weights in tensors])
    return [
        left(weights, part.reshape(weights.shape), threshold)
        for weights, part in zip(tensors, np.split(pruned, ends[:-1]))
    ]


def left(weights, pruned, threshold):
    """NaN and infinities stay; what was zero is not left."""
    return Pruning((weights != 0) & ~(pruned & np.isfinite(weights)), threshold)


# Weight sharing


def centroids(values, k):
    """K-means from k numbers evenly spaced from the smallest value to the largest."""
    values = np.sort(values)
    if len(np.unique(values)) <= k:
        return np.unique(values)
    first, last = values[0], values[-1]
    found = first + (last - first) * (np.arange(k) / (k - 1))
    before = None
    while True:
        nearest = nearest_of(found, values)
        if before is not None and np.array_equal(nearest, before):
            return found
        before = nearest
        for number in np.unique(nearest):
            own = values[nearest == number]
            found[number] = exact_sum(own) / own.size
        found.sort()


def nearest_of(found, values):
    """The number of the nearest centroid of each value, the lower one of two."""
    borders = (found[:-1] + found[1:]) / 2
    return np.searchsorted(borders, values, side="left")


def shared(numbers, mask, bits):
    """What is left and finite, each replaced by the nearest centroid."""
    is_shared = mask & np.isfinite(numbers)
    result = np.where(mask, numbers, 0.0)
    values = numbers[is_shared]
    if values.size:
        found = centroids(values, 2**bits)
        result[is_shared] = found[nearest_of(found, values)]
    return result
