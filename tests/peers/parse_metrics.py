"""Parses metrics on standard input with Prometheus' own library for Python, and prints the samples as JSON.

The argument is the format: "openmetrics" or "text".
"""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

parse = {"openmetrics": openmetrics, "text": text}[sys.argv[1]]
samples = []
for family in parse(sys.stdin.read()):
    for sample in family.samples:
        labels = dict(sample.labels)
        if "le" in labels:
            labels["le"] = repr(float(labels["le"]))
        samples.append([sample.name, sorted(labels.items()), float(sample.value)])
samples.sort(key=repr)
print(json.dumps(samples))
