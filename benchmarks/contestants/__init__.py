"""Who takes part: one module each, which only its own process imports.

A module has `LIBRARIES`, the distributions whose versions count; `why_not(shape)`, a reason why it can't take part, or
None; and `prepare(problem)`, which returns a `Training`: the library's own usual loop at its best.
"""

from __future__ import annotations

US = "deltabar"
PEERS = {
    "torch_eager": "PyTorch eager, fused Adam",
    "torch_compiled": "PyTorch torch.compile, fused Adam",
    "jax_scan": "JAX jit + scan over the epoch",
    "sklearn_mlp": "scikit-learn MLP",
    "thinc_chain": "Thinc",
}
FLEET_PEERS = {
    "jax_vmap": "JAX vmap + scan over the epoch",
    "torch_vmap": "PyTorch torch.func vmap, fused Adam",
    "sklearn_mlp": "scikit-learn MLP",
}
BOUNDS = {
    "matmuls_numpy": "the step's matmuls alone, NumPy",
    "matmuls_torch": "the step's matmuls alone, PyTorch",
}
# On a GPU, where `problem.device` is "cuda".
GPU_PEERS = {name: PEERS[name] for name in ("torch_eager", "torch_compiled", "jax_scan")} | {
    "torch_graphs": "PyTorch, each step a CUDA graph, fused Adam"
}
GPU_FLEET_PEERS = {name: FLEET_PEERS[name] for name in ("jax_vmap", "torch_vmap")}
NAMES = {US: "deltabar"} | PEERS | FLEET_PEERS | BOUNDS | GPU_PEERS
"""Every contestant, by the name of its module, as the tables call it."""
