"""YAML of strangers and models."""

from typing import Any

import yaml

from portal.errors import ToolError


def plain_yaml(text: str) -> Any:
    """YAML without references, by which a small text could become a huge one.

    Raises:
        ToolError: it has references.
        ValueError: it is no YAML.
    """
    try:
        if "*" in text and any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ToolError("YAML with references (*name) is not read.")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
