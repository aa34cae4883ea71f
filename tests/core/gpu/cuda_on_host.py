"""The text of our CUDA kernels itself, run on the CPU: a few definitions make it C++, and g++ compiles it.

Each warp's 32 lanes are coroutines that take turns. At a warp shuffle a lane waits until all have come, which is what
the kernels rely on. The arrays are handed over with a margin on both sides, so that a write beyond their ends is seen.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.core.gpu.raw_kernels import Launch, Parameter, parameters_of_kernels

MARGIN = 64
"""Elements before and behind each array."""

_DEFINITIONS = """
#include <cmath>
#include <ucontext.h>
using std::erfc; using std::exp; using std::expm1; using std::fabs; using std::log; using std::log1p; using std::sqrt;
using std::tanh;
#define __global__
#define __device__
static struct { unsigned x; } blockIdx, threadIdx, blockDim, gridDim;

namespace host {
static ucontext_t scheduler, lanes[32];
static char stacks[32][65536];
static bool alive[32];
static int current;
static unsigned turns[32];
static void (*kernel)(void**);
static void** arguments;

static void run_lane() { kernel(arguments); alive[current] = false; }

static bool run_warp(unsigned first_thread) {
  for (int lane = 0; lane < 32; lane++) {
    getcontext(&lanes[lane]);
    lanes[lane].uc_stack.ss_sp = stacks[lane];
    lanes[lane].uc_stack.ss_size = sizeof stacks[lane];
    lanes[lane].uc_link = &scheduler;
    makecontext(&lanes[lane], run_lane, 0);
    alive[lane] = true;
    turns[lane] = 0;
  }
  for (int waiting = 32; waiting;) {
    waiting = 0;
    for (current = 0; current < 32; current++) {
      threadIdx.x = first_thread + current;
      swapcontext(&scheduler, &lanes[current]);
      waiting += alive[current];
    }
    if (waiting % 32) return false;  // a lane left while others wait for it: undefined on a GPU
  }
  return true;
}
}  // namespace host

template <class T> static T __shfl_xor_sync(unsigned, T value, int lane_mask) {
  // A lane may be one shuffle ahead of another, so two sets of slots are in use by turns.
  static T slots[2][32];
  int lane = host::current, side = host::turns[lane]++ % 2;
  slots[side][lane] = value;
  swapcontext(&host::lanes[lane], &host::scheduler);
  return slots[side][lane ^ lane_mask];
}

extern "C" int launch(void (*kernel)(void**), bool shuffles, unsigned blocks, unsigned threads, void** arguments) {
  host::kernel = kernel; host::arguments = arguments; gridDim.x = blocks; blockDim.x = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
    for (threadIdx.x = 0; !shuffles && threadIdx.x < threads; threadIdx.x++) kernel(arguments);
    for (unsigned first = 0; shuffles && first < threads; first += 32)
      if (!host::run_warp(first)) return 1;
  }
  return 0;
}
"""


def compute_on_host(code: str, name: str) -> Launch:
    """Return what runs the kernel `name` of the CUDA source `code`."""
    library, parameters = _compile(code), parameters_of_kernels(code)[name]
    shuffles = "_sync(" in code  # otherwise the threads know nothing of each other and may run one by one

    def launch(blocks: int, threads: int, args: list[Any]) -> None:
        if shuffles and threads % 32:
            raise ValueError(f"{name}: a block of {threads} threads isn't whole warps, which its shuffles need")
        given = [_Argument(parameter, value) for parameter, value in zip(parameters, args, strict=True)]
        addresses = (ctypes.c_void_p * len(given))(*(argument.address for argument in given))
        kernel = ctypes.cast(getattr(library, f"call_{name}"), ctypes.c_void_p)
        if library.launch(kernel, shuffles, blocks, threads, addresses):
            raise RuntimeError(f"{name}: a lane left while the others of its warp waited for it in a shuffle")
        for argument in given:
            argument.take_back()

    return launch


@cache
def _compile(code: str) -> ctypes.CDLL:
    calls = [
        f'extern "C" void call_{name}(void** from) {{ {name}('
        + ", ".join(f"*({parameter.text}*)from[{index}]" for index, parameter in enumerate(parameters))
        + "); }\n"
        for name, parameters in parameters_of_kernels(code).items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        source.write_text(_DEFINITIONS + code + "".join(calls))
        command = ["g++", "-std=c++14", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"g++ can't compile the CUDA text:\n{done.stderr}")
        return ctypes.CDLL(str(library))


class _Argument:
    """A kernel's argument in memory: `address` is where its value lies, which for an array is a pointer."""

    def __init__(self, parameter: Parameter, value: Any) -> None:
        self._parameter, self._value, self._padded = parameter, value, None
        if not parameter.pointer:
            self._cell = np.array(value)
        elif value is None:
            self._cell = np.zeros((), np.uint64)
        else:
            if value.flags.c_contiguous:  # all but the biases of a fleet, which no kernel writes
                self._padded = _filler(value.size + 2 * MARGIN, value.dtype)
                self._padded[MARGIN:-MARGIN] = value.reshape(-1)
            memory = value if self._padded is None else self._padded[MARGIN:]
            self._cell = np.array(memory.ctypes.data, np.uint64)
        self.address = self._cell.ctypes.data

    def take_back(self) -> None:
        """Copy what the kernel wrote to the caller's array; raise where it wrote beyond the ends."""
        if self._padded is None:
            return
        untouched = _filler(self._padded.size, self._padded.dtype)
        for margin in (slice(None, MARGIN), slice(-MARGIN, None)):
            if not np.array_equal(self._padded[margin], untouched[margin]):
                raise RuntimeError(f"the kernel wrote beyond the ends of {self._parameter.name}")
        if not self._parameter.const:
            self._value[...] = self._padded[MARGIN:-MARGIN].reshape(self._value.shape)


def _filler(size: int, dtype: np.dtype[Any]) -> np.ndarray:
    # Numbers that a kernel hardly makes of each other; −1 as a label still points into a margin.
    return 1e3 + np.sqrt(np.arange(size, dtype=dtype)) if dtype.kind == "f" else np.full(size, -1, dtype)
