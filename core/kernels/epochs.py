"""Many steps in one call, taken by one thread or by several side by side.

They are the passes of `core.backpropagation` for dense layers and dropout, line for line, with an optimizer's formula
at the end. Each product is made in parts that lie beside each other, and what is done element by element with a part
follows at once, as long as it is in the cache: f(z) behind z, f'(z) behind ā, the optimizer behind Θ̄. The threads
share the parts; no number depends on the part in which it lies, and so none on the threads.

The formulas are called by their address (`core.kernels.called`). So this is compiled once for float32 and once for
float64, and a new activation, loss or optimizer takes no longer than its own few loops.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from core.kernels.addresses import activate, judge, pull_back, update
from core.kernels.numba_functions import add_bias_to, decay, drop, multiply, sum_rows, take_batch
from core.kernels.products import product
from core.kernels.team import count_parts, cut, meet

compiled: Any = njit(error_model="numpy", nogil=True, cache=True)


@compiled
def steps(  # noqa: PLR0912, PLR0915 -- to hand these arrays on would take longer than a tiny network's step
    loss, rule, activations, derivatives, thread, n_threads, arrivals, x, y, order, total, batch_size, first, count,
    parameters, gradients, slots, numbers, widths, weight_at, bias_at, at, share, cuts, keep, seed, streams,
    x_batch, y_batch, j_bar, values, z, a, bar, mask, dropped, zeros, packed,
):  # fmt: skip
    """Take `count` steps from the epoch's step `first` on, and return the new Σ losses.

    Args:
        loss, rule: the addresses of `judge` and `update`.
        activations, derivatives: for each layer those of `activate` and `pull_back`; 0 where there is no f.
        thread, n_threads, arrivals: which of how many threads this is, and where they meet (`core.kernels.team`). Each
            is called with the same arguments otherwise; thread 0 returns Σ losses.
        x, y: the samples and their targets, as `take_batch` has them.
        order, total: the order of the samples, and Σ losses up to here.
        batch_size, first, count: samples of a step, the epoch's step to begin with, and how many to take.
        parameters, gradients: flat.
        slots: where those of the optimizer begin, as numbers.
        numbers: for each step those of the rule, and the share by which Θ decays, `(count, n + 1)`.
        widths: layer l takes `widths[l]` numbers to `widths[l + 1]`.
        weight_at, bias_at: where Θ and b begin in the flat buffers; −1 where there is no b.
        at: see z.
        share: samples of a part of the losses.
        cuts: those of each layer (`core.kernels.parts`).
        keep, streams: the share that a dropout behind each layer keeps, 1 where there is none, and for each step the
            stream of its mask, `(count, n_layers)`.
        seed: the network's.
        x_batch, y_batch, j_bar: memory for a batch, of this thread alone: to share it would take longer than to fill
            it.
        values: memory for the losses.
        z, a, bar: memory for z, a, and the adjoint of each layer of a batch; layer l has the columns of a sample from
            `at[l]` on, and so begins at `at[l] * batch_size`.
        mask, dropped: memory for the mask, and a ∘ mask, likewise, where there is a dropout.
        zeros: as many as the widest layer has columns, in the place of a bias that isn't there.
        packed: memory for `core.kernels.products`, of this thread alone.
    """
    n_layers, n_samples, goal = activations.size, order.size, 0
    for k in range(count):
        start = (first + k) * batch_size
        m = min(batch_size, n_samples - start)
        take_batch(x, y, order[start : start + m], x_batch, y_batch)
        j_bar[:m] = 1 / m
        # Forward: z = a_prev Θᵀ + b, a = f(z).
        a_prev = x_batch
        for l in range(n_layers):
            n_in, n_out, here = widths[l], widths[l + 1], at[l] * batch_size
            part_rows, part_columns = cuts[l, 0, 0], cuts[l, 0, 1]
            for part in range(thread, count_parts(m, n_out, part_rows, part_columns), n_threads):
                low, high, left, right = cut(m, n_out, part_rows, part_columns, part)
                rows, columns, corner = high - low, right - left, here + low * n_out + left
                of_theta = parameters[weight_at[l] + left * n_in :]
                shape = rows, columns, n_in
                below = a_prev[low * n_in :]
                product(below, n_in, False, of_theta, n_in, True, z[corner:], n_out, shape, packed)
                b = zeros[left:right] if bias_at[l] < 0 else parameters[bias_at[l] + left : bias_at[l] + right]
                if activations[l] == 0:
                    add_bias_to(z, corner, n_out, rows, b)
                else:
                    activate(activations[l], z, a, corner, n_out, rows, columns, b)
                if keep[l] < 1:
                    f_z = z if activations[l] == 0 else a
                    drop(f_z, corner, n_out, rows, columns, corner - here, seed + streams[k, l], keep[l], mask, dropped)
            if n_threads > 1:
                goal += n_threads
                meet(arrivals, goal)
            a_prev = dropped[here:] if keep[l] < 1 else (z[here:] if activations[l] == 0 else a[here:])
        # Top.
        l, n_out, here = n_layers - 1, widths[n_layers], at[n_layers - 1] * batch_size
        for low in range(thread * share, m, n_threads * share):
            high = min(low + share, m)
            judge(loss, a_prev, y_batch, j_bar, values, bar, here, low, high, n_out)
            if activations[l] != 0:
                pull_back(derivatives[l], bar, z, a, here + low * n_out, n_out, high - low, n_out)
        if n_threads > 1:
            goal += n_threads
            meet(arrivals, goal)
        if thread == 0:
            for row in range(m):
                total += values[row]
        # Backward: ā_prev = z̄ Θ, z̄_prev = ā_prev ∘ f'(z_prev).
        for l in range(n_layers - 1, 0, -1):
            n_in, n_out, here, below = widths[l], widths[l + 1], at[l] * batch_size, at[l - 1] * batch_size
            part_rows, part_columns = cuts[l, 1, 0], cuts[l, 1, 1]
            for part in range(thread, count_parts(m, n_in, part_rows, part_columns), n_threads):
                low, high, left, right = cut(m, n_in, part_rows, part_columns, part)
                rows, columns, corner = high - low, right - left, below + low * n_in + left
                z_bar, of_theta = bar[here + low * n_out :], parameters[weight_at[l] + left :]
                shape = rows, columns, n_out
                product(z_bar, n_out, False, of_theta, n_in, False, bar[corner:], n_in, shape, packed)
                if keep[l - 1] < 1:
                    multiply(bar, mask, corner, n_in, rows, columns)
                if activations[l - 1] != 0:
                    pull_back(derivatives[l - 1], bar, z, a, corner, n_in, rows, columns)
            if n_threads > 1:
                goal += n_threads
                meet(arrivals, goal)
        # Θ̄ = z̄ᵀ a_prev, b̄ = Σ z̄, and the optimizer.
        share_of_theta = numbers[k, numbers.shape[1] - 1]
        for l in range(n_layers):
            n_in, n_out, here, below = widths[l], widths[l + 1], at[l] * batch_size, at[max(l - 1, 0)] * batch_size
            if l > 0:
                a_prev = dropped[below:] if keep[l - 1] < 1 else (z[below:] if activations[l - 1] == 0 else a[below:])
            else:
                a_prev = x_batch[0:]
            part_rows, part_columns = cuts[l, 2, 0], cuts[l, 2, 1]
            for part in range(thread, count_parts(n_out, n_in, part_rows, part_columns), n_threads):
                left, right, _, _ = cut(n_out, n_in, part_rows, part_columns, part)
                columns, z_bar = right - left, bar[here + left :]
                for of_bias in range(1 if bias_at[l] < 0 else 2):
                    if of_bias:
                        corner, end = bias_at[l] + left, bias_at[l] + right
                        sum_rows(z_bar, n_out, m, gradients[corner:end])
                    else:
                        corner, end, shape = weight_at[l] + left * n_in, weight_at[l] + right * n_in, (columns, n_in, m)
                        product(z_bar, n_out, True, a_prev, n_in, False, gradients[corner:], n_in, shape, packed)
                        if share_of_theta > 0:
                            decay(parameters[corner:end], share_of_theta)
                    update(rule, parameters, gradients, slots, corner, end, numbers[k])
        if n_threads > 1:
            goal += n_threads
            meet(arrivals, goal)
    return total
