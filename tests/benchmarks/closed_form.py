#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PhiNets' closed form in plain Python, held against mcufit's figures and its speed.

usage: closed_form.py MCUFIT BENCHMARK_JSON

BENCHMARK_JSON is what cost_benchmark --benchmark_format=json printed in the same run. Prints a table of ratios;
exits with 1 where a member's params or MACs differ from the program's.
"""
import json
import random
import subprocess
import sys
import time

MEMBERS = 2000


def make_divisible(value, divisor):
    nearest = max(divisor, (value + divisor // 2) // divisor * divisor)
    return nearest + divisor if 10 * nearest < 9 * value else nearest


class Sum:
    """Follows one tensor through the layers."""

    def __init__(self, height, width, channels):
        self.shape = (height, width, channels)
        self.params = self.macs = self.peak = self.skip = 0

    def live(self, total):
        self.peak = max(self.peak, total + self.skip)

    def elements(self):
        return self.shape[0] * self.shape[1] * self.shape[2]

    def slide(self, kernel, stride, padding, channels, depthwise, norm=True):
        h, w, c = self.shape
        out = ((h + padding - kernel) // stride + 1, (w + padding - kernel) // stride + 1, channels)
        weights = kernel * kernel * channels * (1 if depthwise else c)
        self.params += weights + (2 * channels if norm else 0)
        self.macs += weights * out[0] * out[1]
        self.live(self.elements() + out[0] * out[1] * out[2])
        self.shape = out


def footprint(alpha, beta, t_zero, layers, side, classes, divisor=8):
    def width(value):
        return make_divisible(max(1, int(value)), divisor)

    s = Sum(side, side, 3)
    first = width(24 * alpha)
    s.slide(3, 2, 1 if side % 2 == 0 else 2, 3, True, False)
    s.slide(1, 1, 0, width(48 * alpha), False)
    s.slide(3, 1, 2, s.shape[2], True)
    s.slide(1, 1, 0, first, False)
    base = 48.0
    for b in range(1, layers + 1):
        down = b in (5, 7)
        if down:
            base *= 2
        strides = b in (1, 3) or down
        inputs = s.shape[2]
        held = s.elements()
        t = t_zero * (1 + (beta - 1) * (b / layers))
        expanded = width(t * inputs)
        output = first if b <= 2 else width(base * alpha)
        s.slide(1, 1, 0, expanded, False)
        s.skip = held if not strides and output == inputs else 0
        s.slide(3, 2 if strides else 1, 2, expanded, True)
        s.slide(1, 1, 0, output, False)
        s.skip = 0
    channels = s.shape[2]
    s.live(s.elements() + channels)
    s.live(channels + classes)
    s.params += (channels + 1) * classes
    s.macs += channels * classes
    return s.params, s.macs, s.peak


def program_members(mcufit):
    """Members of many sizes with the program's figures."""
    for limit in ("300k", "2M", "10M", "40M"):
        command = [mcufit, "fit", "--limits", "macs=" + limit, "--input", "96x96x3", "--resolutions", "47,96,160",
                   "--classes", "2", "--family", "phinet", "--top", "50", "--json"]
        yield from json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["families"][0]["fitting"]


def check(mcufit):
    count = 0
    for member in program_members(mcufit):
        a = member["architecture"]
        k = a["hyperparameters"]
        found = footprint(k["alpha"], k["beta"], k["t_zero"], k["num_layers"], a["input"][0], a["classes"])
        if found[:2] != (member["params"], member["macs"]):
            sys.exit(f"closed_form.py: {a} has {found} here, params and MACs {member['params']}, {member['macs']} there")
        count += 1
    return count


def seconds_per_member():
    stream = random.Random(1)
    members = [(stream.randrange(100, 1101, 25) / 1000, stream.randrange(500, 1501, 50) / 1000,
                stream.randrange(2000, 6001, 250) / 1000, stream.randrange(3, 10), stream.randrange(48, 225, 16), 2)
               for _ in range(MEMBERS)]
    best = None
    for _ in range(5):
        start = time.process_time()
        for member in members:
            footprint(*member)
        spent = (time.process_time() - start) / MEMBERS
        best = spent if best is None else min(best, spent)
    return best


def main():
    mcufit, results = sys.argv[1:]
    with open(results, encoding="utf-8") as file:
        rows = {row["name"].split("/")[0]: row for row in json.load(file)["benchmarks"]}
    checked = check(mcufit)
    python = seconds_per_member()
    closed = rows["closed_form"]["cpu_time"] * 1e-9
    certify = rows["certify_a_million"]
    seconds = certify["real_time"] * 1e-3
    timed = rows["certify_a_million_in_time"]
    front = rows["front_of_a_million"]
    print(f"closed form of a PhiNet: {1 / closed:,.0f} members/s, Python {1 / python:,.0f}: {python / closed:.0f} times; "
          f"equal on {checked} members")
    print(f"best of {certify['members']:,.0f} members, certified: {seconds:.3f} s, {certify['priced']:.0f} priced exactly; "
          f"Python's closed forms of all, at that rate: {python * certify['members']:.0f} s: {python * certify['members'] / seconds:,.0f} times")
    print(f"the same where a limit of latency binds: {timed['real_time'] * 1e-3:.3f} s, {timed['priced']:.0f} priced exactly")
    print(f"non-dominated set of them: {front['real_time'] * 1e-3:.2f} s, {front['front']:,.0f} members of "
          f"{front['priced']:,.0f} priced exactly")
    price = rows["price_sixty_layers"]
    print(f"exact price of {price['nodes']:.0f} nodes: {price['cpu_time']:.0f} us (build "
          f"{rows['build_sixty_layers']['cpu_time']:.0f}, lower {rows['lower_sixty_layers']['cpu_time']:.0f}, plan "
          f"{rows['plan_sixty_layers']['cpu_time']:.0f})")


if __name__ == "__main__":
    main()
