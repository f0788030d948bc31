"""Reads a dashboard with Grafana's models, which drop fields that they do not know, and compares what they write.

Usage: validate-python dashboards.py FILE. Prints the number of panels, and each query with its panel.
"""
import json
import sys

from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def compare(ours, theirs, path):
    """Theirs may have defaults beside our fields."""
    if isinstance(ours, dict):
        assert isinstance(theirs, dict), path
        for key, value in ours.items():
            assert key in theirs, f"{path}: Grafana's models have no {key}"
            compare(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list):
        assert isinstance(theirs, list) and len(ours) == len(theirs), path
        for index, (value, other) in enumerate(zip(ours, theirs)):
            compare(value, other, f"{path}[{index}]")
    else:
        assert ours == theirs, f"{path}: {ours} became {theirs}"


plugins.register_default_plugins()
with open(sys.argv[1]) as file:
    ours = json.load(file)
theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(ours)))
compare(ours, theirs, ours["uid"])
panels = [panel for panel in ours["panels"] if panel["type"] != "row"]
for panel in panels:
    assert runtime.panelcfg_config(panel["type"]) is not None, f'{panel["type"]} is no panel of Grafana'
assert len({panel["id"] for panel in ours["panels"]}) == len(ours["panels"])
queries = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
print(json.dumps({"panels": len(panels), "queries": queries}))
