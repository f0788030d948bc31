"""Prints the resources of a kustomization as JSON, by their kinds and names.

With --check, those of the Prometheus Operator first pass through the models of its definitions, which take seconds to
load. A model drops a field that it does not know, and the result then differs. Usage:
validate-python resources.py [--check] FILE, where FILE is the output of kubectl kustomize.
"""
import json
import sys

import yaml

*check, path = sys.argv[1:]
with open(path) as file:
    resources = list(yaml.safe_load_all(file))
checked = []
if check:
    from cloudcoil.models.prometheus_operator import v1

    for resource in resources:
        if resource["apiVersion"] == "monitoring.coreos.com/v1":
            model = getattr(v1, resource["kind"]).model_validate(resource)
            known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
            assert known == resource, f"fields that the definition lacks: {resource}, {known}"
            checked.append(resource["kind"])
by_name = {f'{one["kind"]}/{one["metadata"]["name"]}': one for one in resources}
assert len(by_name) == len(resources)
print(json.dumps({"resources": by_name, "checked": checked}))
