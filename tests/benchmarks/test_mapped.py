"""The limit is a limit: what is mapped may be larger, what is loaded may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import mapped

LOADS = """
import sys
from pathlib import Path
import numpy as np
from benchmarks import mapped

x = mapped.load(Path(sys.argv[1]), mapped.MAPPED)
print(x.nbytes > mapped.ALLOWED, float(x[-1].sum()))
np.array(x)
"""


def test_a_file_larger_than_the_limit_is_mapped_but_cannot_be_copied(tmp_path: Path):
    rows = 2 * mapped.ALLOWED // (4 * mapped.SHAPE.widths[0])
    path = tmp_path / "x.npy"
    # Nothing is written to it: a file system with holes keeps a few bytes of it.
    np.lib.format.open_memmap(path, "w+", np.float32, (rows, mapped.SHAPE.widths[0])).flush()
    ran = subprocess.run([sys.executable, "-c", LOADS, str(path)], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["True", "0.0"]
    assert "MemoryError" in ran.stderr


def test_what_is_written_is_read(tmp_path: Path):
    path = tmp_path / "x.npy"
    mapped.write(path, 5000)
    x = mapped.load(path, mapped.LOADED)
    assert x.shape == (5000, mapped.SHAPE.widths[0])
    # The standard error of the mean of 5000·784 standard normal numbers is 5e-4; of the last row's 784, 0.036.
    assert abs(x.mean()) < 5 * 5e-4
    assert abs(x[-1].mean()) < 5 * 0.036
    assert x[-1].std() > 0.5
