"""Memory with every guard at work: one sidecar, many calls in many conversations, its RSS as they go by.

What guards remember is bounded by count and by time. Until a bound is reached each call adds to what is kept; from then
on it takes the place of something older. The run fails where the process takes more than the limit at any time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.contenders import GUARDED, Builder, callee_and_sink, running
from bench.load import load
from bench.scrape import counted
from bench.traffic import METHOD, requests

RSS_MAX_MIB = 900
"""With every bound reached at once: claims and their answers, charges, purses, names, trails and tasks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000, help="calls in all (%(default)s)")
    parser.add_argument("--conversation", type=int, default=5, help="calls in one conversation (%(default)s)")
    parser.add_argument("--slices", type=int, default=20, help="lines of the table (%(default)s)")
    parser.add_argument("--limit", type=int, default=RSS_MAX_MIB, help="MiB that it may take at most (%(default)s)")
    arguments = parser.parse_args()
    calls = arguments.calls // arguments.slices
    with tempfile.TemporaryDirectory() as name, callee_and_sink(Path(name)) as around:
        contender = Builder(Path(name), around).guarded(GUARDED)
        with running([contender.process]):
            print(f"{'calls':>10}{'conversations':>15}{'RSS MiB':>10}{'CPU µs/call':>13}", flush=True)
            for slice_number in range(arguments.slices):
                first, before_s = slice_number * calls, contender.process.cpu_s()
                load(contender.process.port, METHOD, requests(first, calls, arguments.conversation), calls)
                done, cpu_us = first + calls, (contender.process.cpu_s() - before_s) / calls * 1e6
                rss_mib = contender.process.rss_mib()
                print(f"{done:>10}{done // arguments.conversation:>15}{rss_mib:>10.0f}{cpu_us:>13.0f}", flush=True)
                if rss_mib > arguments.limit:
                    raise SystemExit(f"{rss_mib:.0f} MiB after {done} calls: {arguments.limit} are allowed")
            assert contender.metrics is not None
            if (seen := counted(contender.metrics)).ok_calls != done or seen.findings:
                raise SystemExit(f"the sidecar counted {seen}, and {done} calls were made")


if __name__ == "__main__":
    main()
