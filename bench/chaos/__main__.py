"""`python -m bench.chaos`; what it does is in the docstring of the package."""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Lock

import bench.chaos
from bench.chaos.hosts import hosts
from bench.chaos.rounds import Ground, names_to_draw, play_round
from bench.chaos.scenarios import SCENARIOS
from bench.chaos.verdict import NANO, Findings
from tests.processes import clean_environment, prefect_server


def main() -> None:
    """Play rounds until there were as many kills as asked for, and print what they came to."""
    arguments = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        environment = clean_environment(folder)
        with (
            prefect_server(folder, environment) as api,
            hosts(folder, environment | {"PREFECT_API_URL": api}) as places,
        ):
            total = _played(Ground(folder, api, places), arguments)
    figures = {"seed": arguments.seed, **vars(total)}
    figures["overspend_usd"] = f"{Decimal(figures.pop('overspend')) / NANO:f}"
    figures["scenarios"] = dict(sorted(total.scenarios.items()))
    print(json.dumps(figures | {"seconds": round(time.monotonic() - began)}))
    sys.exit(0 if total.is_well else 1)


def _played(ground: Ground, arguments: argparse.Namespace) -> Findings:
    """The findings of all rounds; each lane plays one after the other while kills are missing."""
    total = Findings()
    lock = Lock()
    names = names_to_draw(ground, arguments.only)
    seeds = iter(range(arguments.seed, arguments.seed + max(1, 3 * arguments.kills)))

    def lane() -> None:
        for seed in seeds:
            found = play_round(ground, seed, names)
            with lock:
                total.add(found)
                for sentence in found.wrong:
                    print(sentence, file=sys.stderr, flush=True)
                if total.kills >= arguments.kills:
                    return

    with ThreadPoolExecutor(arguments.workers) as pool:
        for played in [pool.submit(lane) for _ in range(arguments.workers)]:
            played.result()
    return total


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=bench.chaos.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(SCENARIOS), help="play this scenario in every round")
    parser.add_argument("--workers", type=int, default=2, help="rounds that are played at once")
    parser.add_argument("--keep", type=Path, help="keep the rounds' folders here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
