#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per inference of MLPerf Tiny's models on every emulated core, beside what others need.

usage: kernels.py MCUFIT MODELS_FOLDER WORK_FOLDER

MODELS_FOLDER holds the published int8 .tflite files; packages are made in WORK_FOLDER. The others' figures and their
sources are in anchors.json beside this file. Prints Markdown; exits with 1 where a byte differs from the interpreter's.
"""
import json
import pathlib
import subprocess
import sys

FILES = {"ic": "ic_resnet8_int8", "kws": "kws_dscnn_int8", "ad": "ad_fc_autoencoder_int8"}
CORES = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32"]
VECTORS = "4"


def printed(arguments):
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)


def packages(mcufit, models, work):
    for name, file in FILES.items():
        folder = work / name / "package"
        subprocess.run([mcufit, "import", models / f"{file}.tflite", "--name", name, "--vectors", VECTORS, "--output",
                        folder], check=True, stdout=subprocess.DEVNULL)
        yield folder


def anchor(anchors, core, model):
    for engine, figures in anchors.items():
        if core in figures["cores"]:
            return engine, figures["models"][model], figures["counts"]
    return "", None, ""


def beside(entry, anchors):
    report = entry["report"]
    count = report["instructions_per_inference"]
    engine, theirs, counts = anchor(anchors, entry["device"], entry["model"])
    linked = report["linked"]
    ram = [linked["arena_bytes"], linked["data_bss_bytes"], report["stack_bytes"]]
    cells = [entry["model"], entry["device"], f"{count:,}", f"{linked['code_bytes']:,}"] + [f"{b:,}" for b in ram]
    cells += [f"{theirs:,} {counts}", f"{count / theirs:.2f}", engine] if theirs else ["-", "-", "-"]
    return "| " + " | ".join(cells) + " |"


def per_mac(mcufit, folders, device):
    """Of each kind of convolution the fewest and the most instructions per MAC over all layers."""
    seen = {}
    for folder in folders:
        for layer in printed([mcufit, "bench", folder, "--device", device, "--json"])["layers"]:
            if layer["macs"] > 0:
                seen.setdefault(layer["op"], []).append(layer["instructions"] / layer["macs"])
    return "; ".join(f"{op} {min(ratios):.2f} to {max(ratios):.2f}" for op, ratios in sorted(seen.items()))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    mcufit, models, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    anchors = json.loads((pathlib.Path(__file__).parent / "anchors.json").read_text())
    folders = list(packages(mcufit, models, work))
    entries = [e for e in printed([mcufit, "bench", *folders, "--device", "all", "--json"]) if e["device"] in CORES]
    flags = {c: json.loads((pathlib.Path("configs/code-sizes") / f"{c}.json").read_text())["flags"] for c in CORES
             if (pathlib.Path("configs/code-sizes") / f"{c}.json").exists()}
    print("| model | core | instructions | code B | arena B | data B | stack B | others' | ratio | by |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for entry in entries:
        print(beside(entry, anchors))
    print()
    for core in CORES:
        reports = [e["report"] for e in entries if e["device"] == core]
        print(f"- {core}: {reports[0]['device']}, {reports[0]['compiler']} `{flags.get(core, '')}`; "
              f"instructions per MAC: {per_mac(mcufit, folders, core)}")
    for engine, figures in anchors.items():
        print(f"- {engine}: {figures['source']}.")
    sys.exit(any(e["report"]["first_mismatch"] for e in entries))


if __name__ == "__main__":
    main()
