"""The text of our CUDA kernels itself, run on the CPU: a few definitions make it C++, and g++ compiles it.

The threads of a block are coroutines that take turns. At a warp shuffle a lane waits until its warp has come, and at
`__syncthreads` a thread waits until the block has, which is what the kernels rely on. Where threads meet at barriers
everything is computed twice, the threads in one order and in the other: what one thread reads without a barrier after
another has written it, or before, differs then. The arrays are handed over with a margin on both sides, and the shared
memory with one behind it, so that a write beyond their ends is seen.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.core.gpu.raw_kernels import Launch, Parameter, parameters_of_kernels

MARGIN = 64
"""Elements before and behind each array."""

MOST_SHARED = 1 << 18
"""Bytes of shared memory for any launch, with the margin."""

_DEFINITIONS = """
#include <cmath>
#include <cstring>
#include <ucontext.h>
using std::erfc; using std::exp; using std::expm1; using std::fabs; using std::log; using std::log1p; using std::sqrt;
using std::tanh;
#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(threads)
static struct { unsigned x; } blockIdx, threadIdx, blockDim, gridDim;

namespace host {
enum State { READY, IN_SHUFFLE, AT_BARRIER, GONE };
static ucontext_t scheduler, threads[1024];
static char stacks[1024][32768];
static State states[1024];
static unsigned turns[1024];
static int current;
static void (*kernel)(void**);
static void** arguments;

static void run() { kernel(arguments); states[current] = GONE; }

static void wait(State state) {
  int thread = current;
  states[thread] = state;
  swapcontext(&threads[thread], &scheduler);
}

// Let a warp go on until all its lanes are at a barrier or gone; return whether they stay together.
static bool run_warp(int first, bool backwards) {
  do {
    for (int turn = 0; turn < 32; turn++) {
      current = first + (backwards ? 31 - turn : turn);
      threadIdx.x = current;
      if (states[current] != GONE) swapcontext(&scheduler, &threads[current]);
    }
    for (int lane = 1; lane < 32; lane++)
      if (states[first + lane] != states[first]) return false;
  } while (states[first] == IN_SHUFFLE);
  return true;
}

static int run_block(int n_threads, bool backwards) {
  for (int thread = 0; thread < n_threads; thread++) {
    getcontext(&threads[thread]);
    threads[thread].uc_stack.ss_sp = stacks[thread];
    threads[thread].uc_stack.ss_size = sizeof stacks[thread];
    threads[thread].uc_link = &scheduler;
    makecontext(&threads[thread], run, 0);
    states[thread] = READY;
    turns[thread] = 0;
  }
  for (;;) {
    int gone = 0;
    for (int turn = 0; turn < n_threads; turn += 32) {
      int first = backwards ? n_threads - 32 - turn : turn;
      if (!run_warp(first, backwards)) return 1;
      gone += 32 * (states[first] == GONE);
    }
    if (gone) return gone == n_threads ? 0 : 2;
  }
}
}  // namespace host

static void __syncthreads() { host::wait(host::AT_BARRIER); }

template <class T> static T __shfl_xor_sync(unsigned, T value, int lane_mask) {
  // A lane may be one shuffle ahead of another, so two sets of slots are in use by turns.
  static T slots[2][32];
  int lane = host::current % 32, side = host::turns[host::current]++ % 2;
  slots[side][lane] = value;
  host::wait(host::IN_SHUFFLE);
  return slots[side][lane ^ lane_mask];
}

extern "C" int launch(
    void (*kernel)(void**), bool together, bool backwards, unsigned blocks, unsigned threads, void** arguments,
    unsigned char* shared, unsigned n_shared, unsigned all_shared) {
  host::kernel = kernel; host::arguments = arguments; gridDim.x = blocks; blockDim.x = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
    if (shared) memset(shared, 255, all_shared);
    for (threadIdx.x = 0; !together && threadIdx.x < threads; threadIdx.x++) kernel(arguments);
    if (int fault = together ? host::run_block(threads, backwards) : 0) return fault;
    for (unsigned at = n_shared; shared && at < all_shared; at++)
      if (shared[at] != 255) return 3;
  }
  return 0;
}
"""

_FAULTS = {
    1: "a lane left while the others of its warp waited for it in a shuffle, or at a barrier",
    2: "a warp left while others of its block waited for it at a barrier",
    3: "it wrote beyond the end of the shared memory",
}


def compute_on_host(code: str, name: str) -> Launch:
    """Return what runs the kernel `name` of the CUDA source `code`."""
    library, parameters = _compile(code), parameters_of_kernels(code)[name]
    # Otherwise the threads know nothing of each other and may run one by one.
    with_barriers = "__syncthreads(" in code
    together = with_barriers or "_sync(" in code
    memory = ctypes.addressof(ctypes.c_ubyte.in_dll(library, "shared")) if _SHARED.search(code) else None

    def run(blocks: int, threads: int, args: list[Any], shared: int, backwards: bool) -> list[_Argument]:
        given = [_Argument(parameter, value) for parameter, value in zip(parameters, args, strict=True)]
        addresses = (ctypes.c_void_p * len(given))(*(argument.address for argument in given))
        kernel = ctypes.cast(getattr(library, f"call_{name}"), ctypes.c_void_p)
        whole = (ctypes.c_void_p(memory), shared, MOST_SHARED)
        if fault := library.launch(kernel, together, backwards, blocks, threads, addresses, *whole):
            raise RuntimeError(f"{name}: {_FAULTS[fault]}")
        return given

    def launch(blocks: int, threads: int, args: list[Any], shared: int = 0, /) -> None:
        if together and threads % 32:
            raise ValueError(f"{name}: a block of {threads} threads isn't whole warps, which its shuffles need")
        given = run(blocks, threads, args, shared, backwards=False)
        if with_barriers:
            for one, other in zip(given, run(blocks, threads, args, shared, backwards=True), strict=True):
                if not one.same(other):
                    raise RuntimeError(f"{name}: {one.name} depends on the order of the threads: a barrier is missing")
        for argument in given:
            argument.take_back()

    return launch


_SHARED = re.compile(r"extern __shared__ (\w+) shared\[\];")


@cache
def _compile(code: str) -> ctypes.CDLL:
    calls = [
        f'extern "C" void call_{name}(void** from) {{ {name}('
        + ", ".join(f"*({parameter.text}*)from[{index}]" for index, parameter in enumerate(parameters))
        + "); }\n"
        for name, parameters in parameters_of_kernels(code).items()
    ]
    if found := _SHARED.search(code):
        code = code.replace(found[0], f'extern "C" {{ {found[1]} shared[{MOST_SHARED} / sizeof({found[1]})]; }}')
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

    @property
    def name(self) -> str:
        return self._parameter.name

    def same(self, other: _Argument) -> bool:
        """Return whether a kernel left the same bits in both."""
        return self._padded is None or other._padded is None or self._padded.tobytes() == other._padded.tobytes()

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
    return 1e3 + np.sqrt(np.arange(size, dtype=dtype)) if dtype.kind == "f" else np.full(size, -1).astype(dtype)
