"""ffmpeg: which program it is, and how a sound becomes one of another format."""

import shutil
from collections.abc import Sequence

from portal.core.speech import PCM_RATE, SoundFormat

MISSING = (
    "ffmpeg is needed, which is not installed: `apt install ffmpeg`, `brew install ffmpeg` or `winget install ffmpeg`"
)
_QUIET = ("-nostdin", "-hide_banner", "-nostats", "-loglevel")
_ENCODERS: dict[SoundFormat, Sequence[str]] = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "96k", "-f", "mp3", "-write_xing", "0", "-id3v2_version", "0"),
    "opus": ("-c:a", "libopus", "-b:a", "48k", "-ar", "48000", "-page_duration", "20000", "-f", "ogg"),
    "aac": ("-c:a", "aac", "-b:a", "96k", "-f", "adts"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "wav": ("-c:a", "pcm_s16le", "-f", "wav"),
    "pcm": ("-c:a", "pcm_s16le", "-ac", "1", "-ar", str(PCM_RATE), "-f", "s16le"),
}


def program() -> str | None:
    """Where it is."""
    return shutil.which("ffmpeg")


def encoding(ffmpeg: str, rate: int, wanted: SoundFormat, *, headed: bool) -> Sequence[str]:
    """The command that takes samples, 16 bits and one channel, and writes the format. `headed`: as a WAV of unknown
    length, else bare ones of this rate."""
    bare = ("-f", "s16le", "-ar", str(rate), "-ac", "1")
    source = (*(("-ignore_length", "1", "-f", "wav") if headed else bare), "-i", "pipe:0")
    low = ("-probesize", "32", "-analyzeduration", "0")  # with nobuffer it would lose the first tenth of a second
    return (ffmpeg, *_QUIET, "error", *low, *source, "-flush_packets", "1", *_ENCODERS[wanted], "pipe:1")


def compressing(ffmpeg: str, path: str, rate: int, formats: str) -> Sequence[str]:
    """The command that writes a file's sound as small as speech can be: some 10 MB an hour."""
    only = ("-protocol_whitelist", "file", "-format_whitelist", formats)
    small = ("-c:a", "libopus", "-b:a", "24k", "-ac", "1", "-ar", str(rate), "-f", "ogg")
    return (
        ffmpeg,
        *_QUIET,
        "error",
        *only,
        "-i",
        f"file:{path}",
        "-map",
        "0:a:0",
        "-vn",
        "-sn",
        "-dn",
        *small,
        "pipe:1",
    )


def decoding(ffmpeg: str, path: str, rate: int, formats: str) -> Sequence[str]:
    """The command that writes a file's sound as bare samples; what it says begins with what the file is."""
    only = ("-protocol_whitelist", "file", "-format_whitelist", formats)  # no list of other files, nothing remote
    return (
        *(ffmpeg, *_QUIET, "info", *only, "-i", f"file:{path}"),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", "1", "-ar", str(rate), "-f", "s16le", "pipe:1"),
    )
