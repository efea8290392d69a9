"""Cluster files as a user fills them in."""

import re

PLACEHOLDER = re.compile(r"<([A-Z][A-Z0-9_]*)>")


def render(path, values):
    """The file's text with every ``<NAME>`` replaced; a value without a place is a mistake."""
    text = path.read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert set(PLACEHOLDER.findall(code)) == set(values)
    return PLACEHOLDER.sub(lambda match: values.get(match.group(1), match.group()), text)
