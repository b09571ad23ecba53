"""Rules on what is left over from templates and markup: placeholders, stage business, markup, emoji."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.patterns import any_of, clip
from stages.rules.registry import rule
from stages.rules.text import MARKS, Script

_SLOT_WORD = (
    r"(?:insert|your|the|dj|song|track|artist|band|singer|title|album|name|station|time|hour|clock|date|day|year|city|"
    r"town|place|location|weather|conditions?|temperature|temp|high|low|degrees|number|listener|lyrics?|theme|mood|"
    r"genre|next|previous|current|placeholder|something|here|frequency|call ?sign|call ?letters|x+|n/a|tbd|todo|blank)"
)
_WHOSE = r"(?:SONG|ARTIST|TRACK|DJ|STATION|BAND|LISTENER|HOST|CITY)"
_SLOT = any_of(
    r"\{[^}]{0,60}\}",  # {title}, {{ title }}
    r"%\(\w+\)s|%[sd]\b|\$\{?[A-Za-z_]\w*\}?|%[A-Za-z_]{3,}%",  # other template languages
    r"<(?!/?(?:b|i|u|p|br|em|strong|span|div|a|h\d|ul|li|ol|speak|break|prosody|emphasis|say-as)\b)"
    r"[A-Za-z][\w \-'/]{0,60}>",
    rf"\[(?:[A-Z][A-Z0-9 _'/.-]{{0,60}}|(?i:[^\]]{{0,60}}\b{_SLOT_WORD}\b[^\]]{{0,60}}))\]",
    r"\((?i:insert\b[^)]*|(?:dj|song|artist|track|band|station|listener|host|city|town)(?:'s)?[ _]?(?:names?|titles?)?"
    r"(?: here)?)\)",
    r"(?i:\binsert (?:the |your |an? )?[\w' ]{2,30}? here\b|"
    r"\b(?:your|dj|artist|song|track|station) (?:name|title) here\b)",
    r"\b(?:TBD|TBA|TBC|TODO|FIXME|XX+|xxx+|N/A|NAME HERE|LOREM)\b|\b[Ll]orem ipsum\b",
    rf"\b{_WHOSE}[ _](?:NAME|TITLE)\b|\b(?:Song|Artist|Track|Station|Band|DJ|Host)(?:'s)?[ _](?:Name|Title)\b",
    r"\b(?:song|artist|track|station|dj)_(?:name|title)\b",
    r"_{3,}|(?<!\w)\.{5,}(?=\s\w)|\?{3,}",
    r"\b(?:by|called|titled|from|with|it's|is) (?:undefined|null|NaN|None)\b",
)
_SLOT_HINT = any_of(
    r"[{}\[\]<%$_(]|\.{5}|\?{3}|undefined|null|NaN|None|[Ll]orem|[Ii]nsert|INSERT",
    r"\b(?:TB[DAC]|TODO|FIXME|XX+|xxx+|N/A|LOREM)\b|NAME|TITLE|Name\b|Title\b|_|(?:name|title) here",
)


@rule("a slot nobody filled: [ARTIST], {title}, <name>, insert … here, TBD, XXX, ____")
def placeholders(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if _SLOT_HINT.search(script.masked) and (m := _SLOT.search(script.masked)):
        yield f'has an unfilled placeholder: "{clip(m[0])}"'


_ACTION = (
    r"(?:laugh|chuckl|sigh|paus|smil|grin|wink|beat\b|music|song|track|instrumental|jingle|sfx|sound|fade|cue|intro|"
    r"outro|"
    r"segue|applause|whisper|clears?|cough|breath|inhal|exhal|softly|gently|warmly|quietly|slowly|dramatic|excited|"
    r"cheer|"
    r"playful|hums?|humming|sips?|silence|static|leans?|taps?|shuffl|vinyl|crackl|upbeat|mic\b|on air|off air|end of|"
    r"end\b|start of|begin|transition|voice|in a\b|with a\b|tone|knock|yawn|pours?)"
)
_STAGE = any_of(
    r"\[[^\]]{0,200}\]",
    r"(?<![\w*])\*(?!\*)[A-Za-z][^*\n]{1,60}(?<!\*)\*(?![\w*])",
    rf"\((?:the )?{_ACTION}[^)]{{0,200}}\)",
    rf"^\s*{_ACTION}\w*(?: in| out| up| down| plays| begins)?:",
    flags=re.IGNORECASE,
)
_STAGE_HINT = re.compile(r"[\[*(:]")


@rule("stage business: [laughs], *pauses*, (music fades); `allow` lists tags the synthesizer speaks", allow=())
def stage_directions(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if not _STAGE_HINT.search(script.masked):
        return
    for m in _STAGE.finditer(script.masked):
        inside = m[0].strip("[]*()")
        if inside.strip(MARKS) and inside.strip().lower() not in options["allow"]:
            yield f'has a stage direction: "{clip(m[0])}"'
            return


_MARKUP = any_of(
    r"""</?[A-Za-z][A-Za-z0-9-]*(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+))*\s*/?>|<!--|&(?:#x?[0-9a-fA-F]+|[a-z]{2,8});""",
    r"\*\*|__(?=\S)|~~|```|`[^`\n]+`|(?<!\w)\*[^*\n]{1,200}\*(?!\w)|(?<!\w)_[^_\n]{1,200}_(?!\w)",
    r"(?:^|\s)#{1,6}\s|^\s*(?:[*•◦‣▪●+]|-(?!\d))\s+|^\s*\d{1,2}[.)]\s+\S|[.!?][\"']? [-*] (?=\S)|^\s*>\s|"
    r"^\s*(?:-{3,}|\*{3,}|={3,})\s*$",
    r"\[[^\]]{0,80}\]\([^)]{0,200}\)|\|.{0,200}\||\\[nt\"]|<\|[^|>]*\|>|\[/?INST\]|</?s>|^\s*[{\[]\s*\"",
    flags=re.MULTILINE,
)
_MARKUP_HINT = re.compile(r"[<&*_#`|~>\\{\[•◦‣▪●]| - |^\s*(?:[-+=]|\d{1,2}[.)])", re.MULTILINE)


@rule("HTML, Markdown or other markup: tags, entities, **bold**, headings, bullets, code, JSON, model tokens")
def markup(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if _MARKUP_HINT.search(script.masked) and (m := _MARKUP.search(script.masked)):
        yield f'has markup: "{clip(m[0].strip())}"'


_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001fb00-\U0001fbff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u2190-\u21ff\u25a0-\u25ff"
    "\u2669-\u266f\ufe0f\u200d\u20e3\u3030\u303d\u3297\u3299\U000e0020-\U000e007f]"
)
_EMOTICON = any_of(
    r"(?<![\w:;=])[:;=]['^-]?[)(DPpO3|/\\](?![\w/])|:\s\)(?=\s|$)",
    r"<3\b|\b[xX]D\b|\^_\^|¯\\|(?<!\w):[a-z_]+:(?!\w)",
)
_EMOTICON_HINT = re.compile(r"[:;=][^\s\w\"]|<3|[xX]D|\^|¯|:[a-z_]+:|: \)")


@rule("emoji, pictographs and emoticons")
def emoji(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    masked = script.masked
    m = None if script.text.isascii() else _EMOJI.search(masked)
    m = m or (_EMOTICON.search(masked) if _EMOTICON_HINT.search(masked) or ":" in masked else None)
    if m:
        yield f'has an emoji or emoticon: "{m[0]}"'
