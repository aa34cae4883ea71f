"""The text of many steps in one call, taken by one thread or by several side by side.

It is the passes of `core.backpropagation` for dense layers and dropout, line for line, with an optimizer's formula at
the end. Each product is made in parts that lie beside each other, and what is done element by element with a part
follows at once, as long as it is in the cache: f(z) behind z, f'(z) behind ā, the optimizer behind Θ̄. The threads share
the parts; no number depends on the part in which it lies, and so none on the threads.

What it calls is compiled and kept by itself: the loops of `core.kernels.loops`, the same that single kernels run, and
those of `core.kernels.numba_functions`. So a new combination of activation, loss and optimizer is compiled in little
time.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.kernels.loops import OUTER
from core.rule import Rule


def epoch_loops(rule: type[Rule], rule_module: str, activation_modules: Sequence[str], loss_module: str) -> str:
    """Return a module with `steps`: `count` steps from the epoch's step `first` on, which return the new Σ losses.

    The modules are those of `core.kernels.loops`, by name. Args of `steps`:
        thread, n_threads, arrivals: which of how many threads this is, and where they meet (`core.kernels.team`). Each
            is called with the same arguments otherwise; thread 0 returns Σ losses.
        x, y, order, total: the samples, their targets, the order of the samples, and Σ losses up to here.
        parameters, gradients, slots: flat.
        numbers: for each step those of the rule, and the share by which Θ decays, `(count, n + 1)`.
        widths: layer l takes `widths[l]` numbers to `widths[l + 1]`.
        codes: of each layer's f: 0 for none, else one more than its place in `activation_modules`.
        weight_at, bias_at: where Θ and b begin in the flat buffers; −1 where there is no b.
        share: samples of a part of the losses.
        cuts: those of each layer (`core.kernels.parts`).
        keep, streams: the share that a dropout behind each layer keeps, 1 where there is none, and for each step the
            stream of its mask, `(count, n_layers)`; `seed` is the network's.
        x_batch, y_batch, j_bar: memory for a batch, of this thread alone: to share it would take longer than to fill
            it.
        values: memory for the losses.
        z, a, bar: memory for z, a, and the adjoint of each layer of a batch; layer l has the columns of a sample from
            `at[l]` on, and so begins at `at[l] * batch_size`.
        mask, dropped: memory for the mask, and a ∘ mask, likewise, where there is a dropout.
        zeros: as many as the widest layer has columns, in the place of a bias that isn't there.
        packed: memory for `core.kernels.products`, of this thread alone.
    """
    slots = "".join(f"slot_{name}, " for name in rule.slots)
    numbers = ", ".join(f"numbers[k, {index}]" for index in range(len(rule.numbers)))
    imports = "\n".join(
        f"from {module} import activate as activate_{code}, pull_back as pull_back_{code}"
        for code, module in enumerate(activation_modules, start=1)
    )
    codes = range(1, len(activation_modules) + 1)

    def update(place: str) -> str:
        arrays = ["parameters", "gradients", *(f"slot_{name}" for name in rule.slots)]
        return f"update({', '.join(f'{array}[{place}]' for array in arrays)}, {numbers})"

    activate = "".join(
        f"\n                elif codes[l] == {code}: activate_{code}(z, a, corner, n_out, rows, b)" for code in codes
    )
    pull_back = "".join(
        f"\n                elif codes[l - 1] == {code}: pull_back_{code}(bar, z, a, corner, n_in, rows, columns)"
        for code in codes
    )
    pull_back_top = "".join(
        f"\n            elif codes[l] == {code}: pull_back_{code}(bar, z, a, corner, n_out, high - low, n_out)"
        for code in codes
    )
    return f"""\"\"\"Made by deltabar; it is made again when it is missing.\"\"\"
import numpy as np
from numba import njit

from core.kernels.numba_functions import add_bias_to, decay, drop, multiply, sum_rows, take_batch
from core.kernels.products import product
from core.kernels.team import count_parts, cut, meet
from {rule_module} import step as update
from {loss_module} import loss
{imports}


{OUTER}
def steps(
    thread, n_threads, arrivals, x, y, order, total, batch_size, first, count, parameters, gradients, {slots}numbers,
    widths, codes, weight_at, bias_at, at, share, cuts, keep, seed, streams,
    x_batch, y_batch, j_bar, values, z, a, bar, mask, dropped, zeros, packed,
):
    n_layers, n_samples, goal = codes.size, order.size, 0
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
                if codes[l] == 0: add_bias_to(z, corner, n_out, rows, b){activate}
                if keep[l] < 1:
                    f_z = z if codes[l] == 0 else a
                    drop(f_z, corner, n_out, rows, columns, corner - here, seed + streams[k, l], keep[l], mask, dropped)
            if n_threads > 1: goal += n_threads; meet(arrivals, goal)
            a_prev = dropped[here:] if keep[l] < 1 else (z[here:] if codes[l] == 0 else a[here:])
        # Top.
        l, n_out, here = n_layers - 1, widths[n_layers], at[n_layers - 1] * batch_size
        for low in range(thread * share, m, n_threads * share):
            high = min(low + share, m)
            corner, end = here + low * n_out, here + high * n_out
            u = a_prev[low * n_out : high * n_out].reshape(high - low, n_out)
            loss(u, y_batch[low:high], j_bar[low:high], values[low:high], bar[corner:end].reshape(high - low, n_out))
            if codes[l] == 0: pass{pull_back_top}
        if n_threads > 1: goal += n_threads; meet(arrivals, goal)
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
                if keep[l - 1] < 1: multiply(bar, mask, corner, n_in, rows, columns)
                if codes[l - 1] == 0: pass{pull_back}
            if n_threads > 1: goal += n_threads; meet(arrivals, goal)
        # Θ̄ = z̄ᵀ a_prev, b̄ = Σ z̄, and the optimizer.
        share_of_theta = numbers[k, {len(rule.numbers)}]
        for l in range(n_layers):
            n_in, n_out, here, below = widths[l], widths[l + 1], at[l] * batch_size, at[max(l - 1, 0)] * batch_size
            if l > 0:
                a_prev = dropped[below:] if keep[l - 1] < 1 else (z[below:] if codes[l - 1] == 0 else a[below:])
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
                        if share_of_theta > 0: decay(parameters[corner:end], share_of_theta)
                    {update("corner:end")}
        if n_threads > 1: goal += n_threads; meet(arrivals, goal)
    return total
"""
