"""Large files pass through in pieces: the server's memory does not grow with them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_large_file_takes_no_memory() -> None:
    command = [sys.executable, "bench/files.py", "--megabytes", "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    grown = [float(one) for one in re.findall(r"grew by +([\d.]+) MB", done.stdout)]
    assert len(grown) == 2
    assert max(grown) <= 20
