"""What the machine can do: builds and runs peak.c."""
import json
import os
import subprocess
import tempfile


def machine_peaks(threads=1):
    """Roofs of `threads` processes of peak.c at once: 1e9 a second by name; {} on an unknown CPU."""
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "peak")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peak.c")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, source], check=True)
        running = [subprocess.Popen([program], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
        found = [json.loads(p.communicate()[0]) for p in running]
    return {k: sum(f[k] for f in found) for k in found[0]}
