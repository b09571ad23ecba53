"""eSpeak NG's shared library through ctypes: the voices it has, and one utterance at a time.

The library comes with the wheel `espeakng-loader`, voices included. Its C interface is `speak_lib.h` of eSpeak NG
1.52; constants below carry its names.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from engine.errors import EngineError

AUDIO_OUTPUT_SYNCHRONOUS = 2  # audio is handed to the callback before espeak_Synth returns
INITIALIZE_DONT_EXIT = 0x8000  # a missing data file is a return code, not exit(1)
CHARS_UTF8 = 1  # and neither SSML (0x10) nor PHONEMES (0x100): mark-up in a script is spoken, not obeyed
POS_CHARACTER = 1
RANDOM_SEED = 1  # of the breath of voices such as f2; the library itself takes the time of day in seconds
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "word_gap": 7}

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_one_at_a_time = threading.Lock()  # every state of the library is global to the process


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


def speak(text: str, voice: str, parameters: dict[str, int]) -> tuple[bytes, int]:
    """Speak `text` whole.

    The same arguments give the same samples, whatever was spoken before.

    Args:
        voice: an identifier that `find_voice` returned.
        parameters: values by the names in `PARAMETERS`.

    Returns:
        signed 16-bit native-endian mono samples, and samples per second.

    Raises:
        EngineError: the library refused.
    """
    pieces: list[bytes] = []

    @_SYNTH_CALLBACK
    def keep(samples, count, _events):
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    encoded = text.encode("utf-8", "replace")
    with _library() as (lib, sample_rate):
        lib.espeak_SetSynthCallback(keep)
        _ask(lib.espeak_SetVoiceByName(voice.encode()), f"voice {voice}")
        for name, value in parameters.items():
            _ask(lib.espeak_SetParameter(PARAMETERS[name], int(value), 0), f"{name} {value}")
        _ask(
            lib.espeak_Synth(encoded, len(encoded) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None),
            "speaking",
        )
        _ask(lib.espeak_Synchronize(), "flushing")
    return b"".join(pieces), sample_rate


@cache
def version() -> str:
    """Version of library and voice data: `1.52.0` and a hash of the data files that shape the sound."""
    import espeakng_loader

    with _library() as (lib, _):
        number = lib.espeak_Info(None).decode()
    data = Path(espeakng_loader.get_data_path())
    seen = hashlib.blake2b(digest_size=4)
    for name in ("phontab", "phonindex", "phondata", "intonations"):
        seen.update((data / name).read_bytes())
    for path in sorted(data.glob("*_dict")):
        seen.update(f"{path.name}:{path.stat().st_size}".encode())
    return f"{number}+{seen.hexdigest()}"


@cache
def voices() -> dict[str, str]:
    """Identifier (`gmw/en-US`) by every lower-case name a voice goes by: language, name, identifier.

    A language that several voices speak names the one that claims it most.
    """
    claims: dict[str, tuple[int, str]] = {}
    with _library() as (lib, _):
        for voice in _listed(lib.espeak_ListVoices(None)):
            identifier = voice.identifier.decode()
            names = [(0, identifier), (0, voice.name.decode()), *_languages(voice.languages)]
            for priority, name in names:
                claims[name.lower()] = min(claims.get(name.lower(), (99, "")), (priority, identifier))
    return {name: identifier for name, (_, identifier) in claims.items()}


@cache
def variants() -> dict[str, str]:
    """File name of a variant (`f3`, `whisper`) by its lower-case file name and name; spoken as `voice+variant`."""
    found: dict[str, str] = {}
    with _library() as (lib, _):
        wanted = ctypes.create_string_buffer(b"variant")
        spec = _Voice(languages=ctypes.addressof(wanted))
        for voice in _listed(lib.espeak_ListVoices(ctypes.byref(spec))):
            file_name = voice.identifier.decode().removeprefix("!v/")
            found.setdefault(voice.name.decode().lower(), file_name)
            found[file_name.lower()] = file_name
    return found


def find_voice(name: str) -> str | None:
    """The identifier eSpeak loads for `voice` or `voice+variant` in any case, or None where there is none."""
    base, plus, variant = name.strip().lower().partition("+")
    if base not in voices() or (plus and variant not in variants()):
        return None
    return voices()[base] + (f"+{variants()[variant]}" if plus else "")


@contextmanager
def _library() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library freshly loaded and initialised, and its sample rate; for this thread alone, unloaded afterwards.

    Loading anew costs half a millisecond and is the only way back to a known state: the pitch flutter runs on in
    static variables from one utterance to the next, through espeak_Terminate, so that a take would depend on
    those before it.
    """
    import _ctypes

    import espeakng_loader

    with _one_at_a_time:
        try:
            lib = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise EngineError(f"eSpeak NG's library cannot be loaded: {error}") from error
        try:
            lib.espeak_Info.restype = ctypes.c_char_p
            lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
            lib.espeak_Synth.argtypes = (
                ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
                ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
            )  # fmt: skip
            data = espeakng_loader.get_data_path()
            sample_rate = lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), INITIALIZE_DONT_EXIT)
            if sample_rate <= 0:
                raise EngineError(f"eSpeak NG cannot read its voice data at {data}")
            lib.espeak_ng_SetRandSeed(ctypes.c_long(RANDOM_SEED))
            yield lib, sample_rate
            lib.espeak_Terminate()
        finally:
            unload = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary  # the latter on Windows
            unload(lib._handle)


def _listed(array) -> Iterator[_Voice]:
    """The voices of a NULL-terminated array, which the library owns."""
    at = 0
    while array[at]:
        yield array[at].contents
        at += 1


def _languages(address: int) -> Iterator[tuple[int, str]]:
    """(priority, language) pairs of espeak_VOICE.languages: a byte, a C string, …, a zero byte. Lower is stronger."""
    while (priority := ctypes.string_at(address, 1)) != b"\0":
        name = ctypes.string_at(address + 1)
        yield priority[0], name.decode()
        address += len(name) + 2


def _ask(code: int, what: str) -> None:
    if code != 0:
        raise EngineError(f"eSpeak NG refused {what} (code {code})")
