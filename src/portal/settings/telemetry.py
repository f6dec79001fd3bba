"""Settings of traces: where they go, and how long the times of turns are kept. The standard variables of OpenTelemetry
are read as well, below Portal's own and above the settings file."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import Field, SecretStr

from portal.settings.section import Seconds, Section

_OTLP = "otel_exporter_otlp_"
_TRUE = frozenset({"true", "1"})
_CONTENT = "otel_instrumentation_genai_capture_message_content"
_CAPTURE = _TRUE | {"span_only", "span_and_event"}


class TelemetrySettings(Section):
    """Traces (OpenTelemetry)."""

    enabled: bool = Field(True, description="Send traces, where there is an `endpoint`.")
    endpoint: str = Field(
        "", description="Where traces go by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; empty sends none."
    )
    protocol: str = Field("http/protobuf", description="How they are sent: http/protobuf alone is known.")
    headers: dict[str, SecretStr] = Field({}, description="HTTP headers sent along, such as a collector's key.")
    compression: str = Field("", description="gzip, or empty for none.")
    timeout: Seconds = Field(10, description="Seconds that a collector may take to accept some.")
    interval: Seconds = Field(5, description="Seconds between two sendings.")
    service_name: str = Field("portal", description="What Portal is called in traces.")
    resource: dict[str, str] = Field({}, description="More about this Portal, such as `deployment.environment.name`.")
    sampler: str = Field(
        "parentbased_always_on",
        description="Which traces are sent: always_on, always_off, traceidratio, or one of these behind `parentbased_`,"
        " which follows what a caller decided.",
    )
    ratio: float = Field(1.0, ge=0, le=1, description="The share of traces that traceidratio sends.")
    content: bool = Field(
        False,
        description="Send with the traces of turns what was asked and answered, and what tools were given and brought.",
    )
    keep_days: int = Field(30, ge=1, description="Days that the times of an answer's steps are kept.")


def standard(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """What OpenTelemetry's own variables say (names in small letters); what cannot be understood is left aside."""
    given = {name: value.strip() for name, value in variables.items() if name.startswith("otel_") and value}
    found: dict[str, Any] = {}

    def otlp(name: str) -> str:
        return given.get(f"{_OTLP}traces_{name}") or given.get(f"{_OTLP}{name}") or ""

    base = given.get(f"{_OTLP}endpoint", "")
    endpoint = given.get(f"{_OTLP}traces_endpoint") or (f"{base.rstrip('/')}/v1/traces" if base else "")
    texts = {
        "endpoint": endpoint,
        "protocol": otlp("protocol"),
        "compression": otlp("compression").replace("none", ""),
        "sampler": given.get("otel_traces_sampler", ""),
        "headers": _pairs(otlp("headers")),
        "resource": _pairs(given.get("otel_resource_attributes", "")),
    }
    found |= {name: value for name, value in texts.items() if value}
    named = found.get("resource", {}).pop("service.name", "")
    name = given.get("otel_service_name") or named
    numbers = {
        "timeout": _number(otlp("timeout"), 1e-3),
        "interval": _number(given.get("otel_bsp_schedule_delay", ""), 1e-3),
        "ratio": _number(given.get("otel_traces_sampler_arg", "")),
    }
    found |= {each: value for each, value in numbers.items() if value is not None}
    if name:
        found["service_name"] = name
    if given.get(_CONTENT, "").lower() in _CAPTURE:
        found["content"] = True
    if given.get("otel_sdk_disabled", "").lower() in _TRUE or given.get("otel_traces_exporter", "otlp") == "none":
        found["enabled"] = False
    return found


def _pairs(text: str) -> dict[str, str]:
    """`name=value,name=value`, percent-encoded."""
    split = (pair.partition("=") for pair in text.split(","))
    return {unquote(name.strip()): unquote(value.strip()) for name, sign, value in split if sign and name.strip()}


def _number(text: str, unit: float = 1) -> float | None:
    """Milliseconds as seconds, and shares as they are; what is no positive number says nothing."""
    try:
        value = float(text) * unit
    except ValueError:
        return None
    return value if 0 < value < 1e6 and (unit < 1 or value <= 1) else None
