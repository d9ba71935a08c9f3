"""Compiles every pattern of an OpenAPI document as it is written, and prints how many there were."""

import json
import re
import sys


def patterns_in(value):
    if isinstance(value, dict):
        pattern = value.get("pattern")
        if isinstance(pattern, str):
            yield pattern
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from patterns_in(part)


with open(sys.argv[1], encoding="utf-8") as document:
    patterns = list(patterns_in(json.load(document)))
for pattern in patterns:
    re.compile(pattern)
print(len(patterns))
