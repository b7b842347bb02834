"""Work units: how CPU time on one machine becomes work that all machines agree on.

One WU is one CPU second of the reference machine. CPU seconds hold still where wall time wanders (the measurements behind
this are in docs/decisions/0004-work-units.md).
"""

from contracts.values import MICRO, Benchmark

BENCHMARK_MICRO_WU = 950_000
"""Work of the benchmark frame in the render image: its CPU seconds on the reference machine, in millionths. The median of 18 runs
in 6 containers (0.90 to 1.32) on a 2-core AMD EPYC virtual machine with AVX2, Blender 5.0.1. Measured again when the frame of
`infra/images/render/benchmark.py` changes; a change is a new reference machine for everyone."""


def work(cpu_micros: int, benchmark: Benchmark) -> int:
    """Micro-WU of `cpu_micros` microseconds of CPU time on a machine with this benchmark."""
    return cpu_micros * BENCHMARK_MICRO_WU // benchmark.cpu_micros


def wupm(benchmark: Benchmark) -> int:
    """Micro-WU per minute of wall time, as the benchmark shows it."""
    return BENCHMARK_MICRO_WU * 60 * MICRO // benchmark.wall_micros


def price(micro_wu: int, price_per_wu_micro: int) -> int:
    """Micro-credits for this much work, rounded down once per frame."""
    return micro_wu * price_per_wu_micro // MICRO
