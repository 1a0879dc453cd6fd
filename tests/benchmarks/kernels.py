#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions and modelled cycles per inference of MLPerf Tiny's models on every emulated core, beside what others need.

MODELS_FOLDER holds the published int8 .tflite files; packages are made in WORK_FOLDER. The others' figures and their
sources are in anchors.json beside this file, the timing tables in configs/cycle-tables. Prints Markdown; exits with 1
where a byte differs from the interpreter's.
"""
import argparse
import json
import pathlib
import subprocess
import sys

FILES = {"ic": "ic_resnet8_int8", "kws": "kws_dscnn_int8", "ad": "ad_fc_autoencoder_int8"}
# By core the optional features that the emulated one has.
CORES = {"cortex-m0": [], "cortex-m3": [], "cortex-m4": ["fpu"], "cortex-m7": ["fpu"], "cortex-m33": ["dsp", "fpu"],
         "cortex-m55": ["fpu", "fpu_double", "mve", "mve_float"], "rv32": []}
VECTORS = "4"
CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def printed(arguments):
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)


def config(folder, core):
    path = CONFIGS / folder / f"{core}.json"
    return json.loads(path.read_text()) if path.exists() else None


def row(cells):
    return "| " + " | ".join(cells) + " |"


def heading(names):
    return row(names) + "\n" + "|" + "---|" * len(names)


def target(core, work):
    """A board with this core and memory for all models."""
    path = work / core / "target.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "name": f"emulated-{core}", "board": "none", "core": core, "features": CORES[core], "clock_hz": 1000000,
        "flash_bytes": 524288, "ram_bytes": 131072, "active_power": None, "sleep_power": None, "source": "made up"}))
    return path


def packages(mcufit, models, work, core):
    """By model's name its package for a core: plans have room for what the core's kernels work with."""
    folders = {name: work / core / name / "package" for name in FILES}
    for name, folder in folders.items():
        subprocess.run([mcufit, "import", models / f"{FILES[name]}.tflite", "--name", name, "--vectors", VECTORS,
                        "--target", target(core, work), "--output", folder], check=True, stdout=subprocess.DEVNULL)
    return folders


def anchor(anchors, core, model, key):
    """The engine and its figure beside which a core's stands; nothing where there is none."""
    for engine, figures in anchors.items():
        if core in figures["cores"] and key in figures:
            return engine, figures[key][model]
    return None


def versus(ours, found, counts=""):
    if found is None:
        return ["-", "-", "-"]
    engine, theirs = found
    return [f"{theirs:,}{counts}", f"{ours / theirs:.2f}", engine]


def beside(name, core, report, anchors):
    count = report["instructions_per_inference"]
    linked = report["linked"]
    ram = [linked["arena_bytes"], linked["data_bss_bytes"], report["stack_bytes"]]
    return row([name, core, f"{count:,}", f"{linked['code_bytes']:,}"] + [f"{b:,}" for b in ram] +
               versus(count, anchor(anchors, core, name, "instructions")))


def validated(mcufit, folders):
    """By core, and by model's name: the whole inference."""
    return {core: {name: printed([mcufit, "validate", folder, "--device", core, "--json"])
                   for name, folder in models.items()} for core, models in folders.items()}


def layers_of(mcufit, folders):
    """By core, and by model's name: the inference layer by layer, with cycles where the core has a timing table."""
    return {core: {name: printed([mcufit, "bench", folder, "--device", core, "--json"] +
                                 (["--cycles"] if config("cycle-tables", core) else []))
                   for name, folder in models.items()} for core, models in folders.items()}


def per_mac(reports):
    """Of each kind of convolution the fewest and the most instructions per MAC over all layers."""
    seen = {}
    for report in reports.values():
        for layer in report["layers"]:
            if layer["macs"] > 0:
                seen.setdefault(layer["op"], []).append(layer["instructions"] / layer["macs"])
    return "; ".join(f"{op} {min(ratios):.2f} to {max(ratios):.2f}" for op, ratios in sorted(seen.items()))


def print_cycles(layers, anchors):
    if not any(config("cycle-tables", core) for core in layers):
        return
    print(heading(["model", "core", "instructions", "modelled cycles", "cycles/instruction", "others' cycles", "ratio",
                   "by"]))
    for name in FILES:
        for core, reports in layers.items():
            if "modelled_cycles" in reports[name]:
                count, cycles = reports[name]["per_inference"], reports[name]["modelled_cycles"]["per_inference"]
                print(row([name, core, f"{count:,}", f"{cycles:,}", f"{cycles / count:.2f}"] +
                          versus(cycles, anchor(anchors, core, name, "cycles"))))
    print()


def print_layers(layers):
    for core, reports in layers.items():
        for name, report in reports.items():
            print(f"{name} on {core}:\n")
            unit = ["instructions"] + (["modelled_cycles"] if "modelled_cycles" in report else [])
            print(heading(["layer", "op", "output", "MACs"] +
                          [cell for u in unit for cell in (u.replace("_", " "), "per MAC")]))
            for layer in report["layers"]:
                counts = [cell for u in unit for cell in
                          (f"{layer[u]:,}", f"{layer[u] / layer['macs']:.2f}" if layer["macs"] else "-")]
                print(row([layer["name"], layer["op"], "x".join(map(str, layer["shape"])), f"{layer['macs']:,}"] +
                          counts))
            print()


def print_sources(layers, inferences, anchors):
    for core, reports in layers.items():
        report = next(iter(inferences[core].values()))
        flags = (config("code-sizes", core) or {}).get("flags", "")
        print(f"- {core}: {report['device']}, {report['compiler']} `{flags}`; instructions per MAC: {per_mac(reports)}")
    for core in layers:
        table = config("cycle-tables", core)
        if table:
            print(f"- cycles of {core}: {table['source']}. {table['rules']}")
    for engine, figures in anchors.items():
        if set(figures["cores"]) & set(layers):
            print(f"- {engine}: {figures['source']}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mcufit", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path, metavar="MODELS_FOLDER")
    parser.add_argument("work", type=pathlib.Path, metavar="WORK_FOLDER")
    parser.add_argument("--core", action="append", choices=CORES, help="only this core (may be repeated)")
    parser.add_argument("--layers", action="store_true", help="also each model layer by layer")
    options = parser.parse_args()
    cores = [core for core in CORES if core in (options.core or CORES)]
    anchors = json.loads((pathlib.Path(__file__).parent / "anchors.json").read_text())
    mcufit = options.mcufit.absolute()
    folders = {core: packages(mcufit, options.models, options.work, core) for core in cores}
    inferences = validated(mcufit, folders)
    layers = layers_of(mcufit, folders)
    print(heading(["model", "core", "instructions", "code B", "arena B", "data B", "stack B", "others' instructions",
                   "ratio", "by"]))
    for name in FILES:
        for core in cores:
            print(beside(name, core, inferences[core][name], anchors))
    print()
    print_cycles(layers, anchors)
    if options.layers:
        print_layers(layers)
    print_sources(layers, inferences, anchors)
    sys.exit(any(report["first_mismatch"] for reports in inferences.values() for report in reports.values()))


if __name__ == "__main__":
    main()
