"""The text of many steps in one call, for networks so small that the calls of single kernels would cost the most.

It is the passes of `core.backpropagation` for dense layers, line for line, with an optimizer's formula at the end. What
it calls is compiled and kept by itself: the loops of `core.kernels.loops`, the same that single kernels run, and those
of `core.kernels.numba_functions`. So a new combination of activation, loss and optimizer is compiled in little time.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.kernels.loops import OUTER
from core.rule import Rule


def epoch_loops(rule: type[Rule], rule_module: str, activation_modules: Sequence[str], loss_module: str) -> str:
    """Return a module with `steps`: `count` steps from the epoch's step `first` on, which return the new Σ losses.

    The modules are those of `core.kernels.loops`, by name. Args of `steps`:
        x, y, order, total: the samples, their targets, the order of the samples, and Σ losses up to here.
        parameters, gradients, slots: flat.
        numbers: those of the rule for each step, `(count, …)`.
        widths: layer l takes `widths[l]` numbers to `widths[l + 1]`.
        codes: of each layer's f: 0 for none, else one more than its place in `activation_modules`.
        weight_at, bias_at: where Θ and b begin in the flat buffers; −1 where there is no b.
        x_batch, y_batch, j_bar, values: memory for a batch.
        z, a, bar: memory for z, a, and the adjoint of each layer of a batch; layer l has the columns of a sample from
            `at[l]` on, and so begins at `at[l] * batch_size`.
        zeros: as many as the widest layer has columns, in the place of a bias that isn't there.
    """
    slots = "".join(f"slot_{name}, " for name in rule.slots)
    numbers = ", ".join(f"numbers[k, {index}]" for index in range(len(rule.numbers)))
    imports = "\n".join(
        f"from {module} import bias_activation as activate_{code}, pull_back as pull_back_{code}"
        for code, module in enumerate(activation_modules, start=1)
    )
    codes = range(1, len(activation_modules) + 1)
    activate = "".join(f"elif codes[l] == {code}: activate_{code}(z_l, b, a_l)\n            " for code in codes)
    pull_back = "".join(
        f"elif codes[l] == {code}: pull_back_{code}(bar_l, z[part], a[part])\n            " for code in codes
    )
    return f"""\"\"\"Made by deltabar; it is made again when it is missing.\"\"\"
import numpy as np
from numba import njit

from core.kernels.numba_functions import add_bias, backward_products, forward_product, sum_samples, take_batch
from {rule_module} import step as update
from {loss_module} import loss
{imports}


{OUTER}
def steps(
    x, y, order, total, batch_size, first, count, parameters, gradients, {slots}numbers,
    widths, codes, weight_at, bias_at, at, x_batch, y_batch, j_bar, values, z, a, bar, zeros,
):
    n_layers, n_samples = codes.size, order.size
    for k in range(count):
        start = (first + k) * batch_size
        m = min(batch_size, n_samples - start)
        take_batch(x, y, order[start : start + m], x_batch, y_batch)
        j_bar[:m] = 1 / m
        # Forward: z = a_prev Θᵀ + b, a = f(z).
        a_prev = x_batch[: m * widths[0]]
        for l in range(n_layers):
            n_in, n_out, here = widths[l], widths[l + 1], at[l] * batch_size
            theta = parameters[weight_at[l] : weight_at[l] + n_out * n_in]
            part = slice(here, here + m * n_out)
            forward_product(a_prev, theta, z[part], m)
            b = zeros[:n_out] if bias_at[l] < 0 else parameters[bias_at[l] : bias_at[l] + n_out]
            b, z_l, a_l = b.reshape(1, 1, n_out), z[part].reshape(1, m, n_out), a[part].reshape(1, m, n_out)
            if codes[l] == 0: add_bias(z_l, b)
            {activate}
            a_prev = z[part] if codes[l] == 0 else a[part]
        # Top.
        last, n_out = at[n_layers - 1] * batch_size, widths[n_layers]
        top = bar[last : last + m * n_out].reshape(m, n_out)
        loss(a_prev.reshape(m, n_out), y_batch[:m], j_bar[:m], values[:m], top)
        for row in range(m):
            total += values[row]
        # Backward: z̄ = ā ∘ f'(z), Θ̄ = z̄ᵀ a_prev, b̄ = Σ z̄, ā_prev = z̄ Θ.
        for l in range(n_layers - 1, -1, -1):
            n_in, n_out, here = widths[l], widths[l + 1], at[l] * batch_size
            part, below = slice(here, here + m * n_out), at[max(l - 1, 0)] * batch_size
            bar_l, under = bar[part], slice(below, below + m * n_in)
            if codes[l] == 0: pass
            {pull_back}
            if l == 0:
                a_prev = x_batch[: m * n_in]
            else:
                a_prev = z[under] if codes[l - 1] == 0 else a[under]
            of_theta = slice(weight_at[l], weight_at[l] + n_out * n_in)
            below_bar = bar[under] if l > 0 else bar[:0]
            backward_products(bar_l, a_prev, parameters[of_theta], gradients[of_theta], below_bar, m)
            if bias_at[l] >= 0:
                b_bar = gradients[bias_at[l] : bias_at[l] + n_out]
                sum_samples(bar_l.reshape(1, m, n_out), b_bar.reshape(1, 1, n_out))
        update(parameters, gradients, {slots}{numbers})
    return total
"""
