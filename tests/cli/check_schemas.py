# SPDX-License-Identifier: Apache-2.0
"""Checks every file of configs/ against its schema: check_schemas.py CONFIGS. Exit code 77: jsonschema is missing."""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

FOLDERS = {"code-sizes": "code-sizes", "cycle-tables": "cycle-table", "jobs": "job", "latency-laws": "latency-law", "targets": "target"}

configs = pathlib.Path(sys.argv[1])
schemas = {}
for path in sorted((configs / "schemas").glob("*.json")):
    schema = json.loads(path.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    schemas[path.stem] = jsonschema.Draft7Validator(schema)
checked = 0
for folder in sorted(p for p in configs.iterdir() if p.is_dir() and p.name != "schemas"):
    for path in sorted(folder.glob("*.json")):
        errors = list(schemas[FOLDERS[folder.name]].iter_errors(json.loads(path.read_text())))
        for error in errors:
            print(f"{path}: {list(error.path)}: {error.message}", file=sys.stderr)
        if errors:
            sys.exit(1)
        checked += 1
# Each schema refuses what its reader refuses.
for name, validator in schemas.items():
    if validator.is_valid({"no such key": 1}) or validator.is_valid([]):
        sys.exit(f"{name}: the schema accepts an unknown key")
broken = json.loads((configs / "targets" / "nrf52840.json").read_text())
broken["regions"][0]["bytes"] = -1
if schemas["target"].is_valid(broken):
    sys.exit("target: the schema accepts a negative size")
print(checked)
