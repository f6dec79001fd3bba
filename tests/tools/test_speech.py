"""The tools that speak and write down: espeak-ng for real, what is heard from a script."""

from pathlib import Path

import pytest

from portal.app.speech import open_speech
from portal.core.speech import Speech
from portal.errors import ToolError
from portal.settings import Settings, load_settings
from portal.speech.hearing import Listener
from portal.speech.speaking import Speaking
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.testing.tool_calls import call, tool_context
from portal.tools import speech, transcription
from portal.tools.families import Needs
from portal.speech.espeak_ng import EspeakNg
