"""`stockline run` on local processes, not threads: a scheduler and workers of one thread each, all below this one.

    python -m benchmarks.processes WORKERS run --config ...

What is measured is what a run would cost if `--workers` started processes: their start is in it.
"""

import sys
from collections.abc import Sequence

import distributed

from pipeline import cli


def main(arguments: Sequence[str]) -> int:
    """Start the processes, run the command on them, end them; its exit status."""
    workers, *command = arguments
    with distributed.LocalCluster(
        n_workers=int(workers), threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        return cli.main([*command, "--scheduler", cluster.scheduler_address])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
