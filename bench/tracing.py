"""What sending traces costs a request through the gateway: the same Portal with a collector and without one.

    python bench/tracing.py [--rounds 6] [--short] [--command "./launch.sh"]

Two Portals before one fake model server, called by a plain model id at 16 clients in turns; one has the standard
variable of an OTLP endpoint, where a collector counts what comes. The aim is at most a tenth more processor time.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import uvloop

from load import Target, drive
from servers import Process, free_port, portal, portal_key, upstream
from upstream import MODEL

CLIENTS = 16
VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = """
import sys, uvicorn
spans = 0
async def app(scope, receive, send):
    global spans
    body, more = b"", scope["method"] == "POST"
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body")
    spans += body.count(b"gen_ai.request.model")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(spans).encode()})
uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="critical")
"""


async def one(target: Target, process: Process, each: int) -> tuple[float, float, int]:
    """Microseconds of CPU a request, requests a second, and how many went wrong."""
    before = process.cpu()
    sample = await drive(target, "words=64", clients=CLIENTS, each=each, words=64)
    return (process.cpu() - before) / max(sample.count, 1) * 1e6, sample.count / sample.wall, len(sample.errors)


def counted(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.read())


async def run(arguments: argparse.Namespace) -> None:
    command = arguments.command.split()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(upstream())
        port = free_port()
        collector = stack.enter_context(Process([sys.executable, "-c", COLLECTOR, str(port)], port=port, path="/"))
        plain = stack.enter_context(portal(command, folder / "plain", kind="openai_compatible", url=server.url))
        sending = ["env", f"{VARIABLE}={collector.url}", *command]
        traced = stack.enter_context(portal(sending, folder / "traced", kind="openai_compatible", url=server.url))
        both = [
            (process, Target(url=process.url, model=MODEL, key=portal_key(command, folder / name)))
            for name, process in (("plain", plain), ("traced", traced))
        ]
        cpu: list[list[float]] = [[], []]
        rate: list[list[float]] = [[], []]
        wrong = asked = 0
        for number in range(arguments.rounds + 1):  # the first warms up
            for place in (0, 1) if number % 2 else (1, 0):
                process, target = both[place]
                took, much, errors = await one(target, process, arguments.each)
                wrong += errors
                asked += CLIENTS * arguments.each * place
                if number:
                    cpu[place].append(took)
                    rate[place].append(much)
        await asyncio.sleep(7)  # the last of them leave within the interval
        arrived = await asyncio.to_thread(counted, collector.url)
    ratios = sorted(on / off for on, off in zip(cpu[1], cpu[0], strict=True))
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load}, {arguments.rounds} rounds\n")
    print("| | off | on |\n|---|---|---|")
    print(f"| CPU for a request, {CLIENTS} clients (µs) | {median(cpu[0]):.0f} | {median(cpu[1]):.0f} |")
    print(f"| requests a second | {median(rate[0]):.0f} | {median(rate[1]):.0f} |")
    print(f"| CPU, on to off | 1 | {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) |")
    print(f"| spans that arrived, of requests | | {arrived} of {asked} |")
    print(f"| errors | {wrong} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--short", action="store_true", help="about a quarter of a minute")
    parser.add_argument("--command", default=f"{sys.executable} -m portal")
    arguments = parser.parse_args()
    arguments.each = 60 if arguments.short else 200
    if arguments.short:
        arguments.rounds = min(arguments.rounds, 3)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(arguments))


if __name__ == "__main__":
    main()
