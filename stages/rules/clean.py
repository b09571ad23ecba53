"""Rules on what must never be read aloud: placeholders, markup, emoji, talk about the script, noise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.registry import rule
from stages.rules.text import MARKS, Script


def _clip(text: str, n: int = 40) -> str:
    text = " ".join(text.split())
    return text if len(text) <= n else text[: n - 1] + "…"


# ------------------------------------------------------------------------------------------- slots and stage business

_SLOT_WORD = (
    r"(?:insert|your|the|dj|song|track|artist|band|singer|title|album|name|station|time|hour|clock|date|day|year|city|town|place|location|"
    r"weather|conditions?|temperature|temp|high|low|degrees|number|listener|lyrics?|theme|mood|genre|next|previous|current|placeholder|"
    r"something|here|frequency|call ?(?:sign|letters)|x+|n/a|tbd|todo|blank)"
)
_SLOT = re.compile(
    rf"""\{{[^}}]*\}}                                             # {{title}}, {{{{ title }}}}
    |%\((?:\w+)\)s|%[sd]\b|\$\{{?[A-Za-z_]\w*\}}?|%[A-Z_]{{3,}}%        # other template languages
    |<(?!/?(?:b|i|u|p|br|em|strong|span|div|a|h\d|ul|li|ol|speak|break|prosody|emphasis|say-as)\b)[A-Za-z][\w \-'/]*>
    |\[(?:[A-Z][A-Z0-9 _'/.-]*|(?i:[^\]]*\b{_SLOT_WORD}\b[^\]]*))\]
    |\((?:insert\b[^)]*|(?:dj|song|artist|track|band|station|listener|host|city|town)(?:'s)?[ _]?(?:name|title)s?(?:[ ]here)?)\)
    |\b(?i:insert)\s+(?i:the\s+|your\s+|an?\s+)?[\w' ]{{2,30}}?\s(?i:here)\b
    |\b(?:TBD|TBA|TBC|TODO|FIXME|XX+|N/A|NAME HERE|LOREM)\b|\b[Ll]orem ipsum\b
    |\b(?:SONG|ARTIST|TRACK|DJ|STATION|BAND)[ _](?:NAME|TITLE)\b|\b(?:Song|Artist|Track|Station|Band|DJ|Host)(?:'s)?[ _](?:Name|Title)\b
    |\b(?:song|artist|track|station|dj)_(?:name|title)\b
    |_{{3,}}|(?<!\w)\.{{5,}}(?=\s\w)
    |\b(?:by|called|titled|from|with|it's|is)\s+(?:undefined|null|NaN|None)\b
    |\?\?\?+""",
    re.VERBOSE,
)
_SLOT_HINT = re.compile(
    r"[{}\[\]<%$_?(]|\.{5}|\b(?:[Ii]nsert|INSERT|TB[DAC]|TODO|FIXME|XX+|N/A|NAME|LOREM|[Ll]orem|[A-Z]+ (?:NAME|TITLE)|[A-Z]\w+(?:'s)? (?:Name|Title)|undefined|null|NaN|None)\b"
)


@rule("a slot nobody filled: [ARTIST], {title}, <name>, insert … here, TBD, XXX, ____")
def placeholders(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if _SLOT_HINT.search(script.masked) and (m := _SLOT.search(script.masked)):
        yield f'has an unfilled placeholder: "{_clip(m[0])}"'


_ACTIONS = (
    r"(?:laugh|chuckl|sigh|paus|smil|grin|wink|beat\b|music|song|track|instrumental|jingle|sfx|sound|fade|cue|intro|outro|segue|applause|whisper|"
    r"clears?|cough|breath|inhal|exhal|softly|gently|warmly|quietly|slowly|dramatic|excited|cheer|playful|hums?|humming|sips?|silence|static|"
    r"leans?|taps?|shuffl|vinyl|crackl|upbeat|mic\b|on air|off air|end of|end\b|start of|begin|transition|voice|in a\b|with a\b|tone|knock|yawn|pours?)"
)
_STAGE = re.compile(
    rf"""\[[^\]]*\]|(?<![\w*])\*(?!\*)[A-Za-z][^*\n]{{1,60}}(?<!\*)\*(?![\w*])|\((?:the[ ])?{_ACTIONS}[^)]*\)|^\s*\(?{_ACTIONS[:-1]})\w*[ ]?(?:in|out|up|down)?\)?:""",
    re.VERBOSE | re.IGNORECASE,
)


@rule(
    "stage business: [laughs], *pauses*, (music fades); `allow` lists tags the synthesizer speaks",
    allow=(),
)
def stage_directions(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    for m in _STAGE.finditer(script.masked):
        if m[0].strip("[]*() ").lower() in options["allow"] or not m[0].strip("[]*()" + MARKS):
            continue
        yield f'has a stage direction: "{_clip(m[0])}"'
        return


# ------------------------------------------------------------------------------------------------------------- markup

_MARKUP = re.compile(
    r"""</?[A-Za-z][A-Za-z0-9-]*(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+))*\s*/?>|<!--|&(?:\#\d+|[a-z]{2,8});
    |\*\*|__(?=\S)|(?m:^\s{0,3}\#{1,6}\s)|```|`[^`\n]+`|(?m:^\s*(?:[*•◦‣▪●+]|-(?!\d))\s+)|(?m:^\s*\d{1,2}[.)]\s+\S)
    |\[[^\]]*\]\([^)]*\)|(?m:^\s*>\s)|(?m:^\s*(?:-{3,}|\*{3,}|={3,})\s*$)|\|.*\||~~|(?<!\w)\*[^*\n]+\*(?!\w)|(?<![\w])_[^_\n]+_(?![\w])|\\[nt"]
    |<\|[^|>]*\|>|\[/?INST\]|</?s>|(?m:^\s*[{\[]\s*")""",
    re.VERBOSE,
)
_MARKUP_HINT = re.compile(r"[<&*_#`|~>\\{\[•◦‣▪●]|(?m:^\s*(?:[-+=]|\d{1,2}[.)])\s*)|---|===")


@rule("HTML, Markdown or other markup: tags, entities, **bold**, headings, bullets, code, JSON, model tokens")
def markup(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if _MARKUP_HINT.search(script.masked) and (m := _MARKUP.search(script.masked)):
        yield f'has markup: "{_clip(m[0].strip())}"'


_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001fb00-\U0001fbff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u2190-\u21ff\u25a0-\u25ff\u2669-\u266f\ufe0f\u200d\u20e3\u3030\u303d\u3297\u3299\U000e0020-\U000e007f]"
)
_EMOTICON = re.compile(
    r"(?<![\w:;=])(?:[:;=]['^-]?[)(DPpO3|/\\](?![\w/])|<3\b|[xX]D\b|\^_\^|¯\\|\(\s?[:;]|:\s[)](?=\s|$))|(?<!\w)(?::[a-z_]+:)(?!\w)"
)


@rule("emoji, pictographs and emoticons")
def emoji(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    masked = script.masked
    m = None if masked.isascii() else _EMOJI.search(masked)
    if m or (m := _EMOTICON.search(masked)):
        yield f'has an emoji or emoticon: "{m[0]}"'


# ---------------------------------------------------------------------------------------------------------- meta talk

_THING = (
    r"(?:intro(?:duction)?s?|outro(?:duction)?s?|script|link|segue|segment|back[- ]?announce(?:ment)?|time[- ]?check|(?:weather )?(?:report|forecast|update)|"
    r"version|draft|take|rewrite|revision|response|copy|text|line|attempt|example|option|monologue|voice[- ]?over|voice[- ]?track|spot|sample|announcement)"
)
_META = re.compile(
    rf"""\bhere(?:'s|[ ]is|[ ]are|[ ]you[ ]go)[ ,:]+(?:(?:your|my|the|an?|one|some|that|another)[ ])(?:[\w'"/-]+[ ]){{0,5}}?{_THING}\b(?=\s*(?:[:.!,]|$|for[ ]|in[ ]|that[ ]|based|with[ ]|as[ ]|you[ ]))
    |^["'*(\s]*(?:sure(?:[ ]thing)?|certainly|absolutely|of[ ]course|okay|ok|alright|great|understood|got[ ]it|no[ ]problem|my[ ]pleasure|gladly)\s*[!,.:—-]+\s*(?:here|i(?:'ll|'d|[ ]will|[ ]can|[ ]would|'m[ ]happy)|let[ ]me[ ](?:write|give|try|create|help|rewrite|know|craft|draft)|below|this[ ]is[ ](?:an?|your|the)[ ](?:\w+[ ]){{0,3}}{_THING})
    |^["'*(\s]*(?:sure(?:[ ]thing)?|certainly|absolutely|of[ ]course|understood|got[ ]it|no[ ]problem)!
    |\bas[ ]an?[ ](?:ai|a\.i\.|artificial|large[ ]language|language[ ]model|assistant|chatbot|llm)\b|\b(?:ai|large)[ ]language[ ]model\b|\blanguage[ ]model\b
    |\bi(?:'m|[ ]am)[ ](?:just[ ])?an?[ ](?:ai|language[ ]model|assistant|chatbot|virtual[ ]assistant)\b|\bi[ ](?:do[ ]not|don't)[ ]have[ ](?:access|real-?time|personal[ ](?:opinions|feelings))
    |\bi(?:[ ]cannot|[ ]can't|[ ]can[ ]not|'m[ ]unable[ ]to|[ ]am[ ]unable[ ]to|'m[ ]not[ ]able[ ]to|[ ]won't[ ]be[ ]able[ ]to)[ ](?:assist|fulfil|fulfill|generate|write|provide|create|comply|help[ ]with|produce|complete)
    |\b(?:i(?:'m|[ ]am)[ ]sorry|i[ ]apologi[sz]e|my[ ]apologies),?[ ](?:but[ ]i[ ](?:can|do)|for[ ]the[ ](?:confusion|mistake|error|previous|oversight))
    |(?:^|\n)["'*(\s]*(?:(?:radio|dj|final|revised|new|short|updated|corrected)[ ])*(?:script|intro(?:duction)?|outro|link|dj|host|presenter|announcer|assistant|user|system|human|output|response|answer|draft|rewrite|
        revised|revision|title|artist|year|song|track|task|note|notes|word[ ]?count|words|version|option|take|explanation|time[ ]?check|weather(?:[ ](?:report|forecast|update))?|forecast|voice-?over|narrator|text|example|style|tone|final)
        (?:[ ](?:version|script|\d|\#\d|one|two|text|draft))?[ ]?[*_]*:[ \n"*]
    |^["'*(\s]*(?:radio[ ]|dj[ ]|the[ ])?(?:intro|outro|script|link|time[ ]check|weather)\b[^.!?\n]{{0,60}}:\s
    |\bbelow[ ]is[ ](?:an?|the|your|my)\b|\bend[ ]of[ ](?:script|intro|outro|link|message|response)\b|\bthank[ ]you[ ]for[ ](?:your|the)[ ](?:request|feedback|instructions|prompt|clarif\w+)
    |\bin[ ](?:marlow|dot|the[ ]dj|this[ ]dj|the[ ]host)'s[ ](?:voice|style|tone)\b|\bi(?:'ve|[ ]have)[ ](?:created|crafted|prepared|put[ ]together|attempted)\b|\battempt[ ]\#?\d
    |(?:[.!?"\n]|^)\s*\(?(?:please[ ])?note:|\bword[ ]count\b|\(\s*(?:\w+[ :]+)?\d+[ ]words?\s*\)|\b(?:in|under|about|within|exactly)[ ]\d+[ ]words\b(?=[ .,:]*(?:$|or[ ]less|as[ ]requested))
    |\b(?:let[ ]me[ ]know[ ](?:if|what)[ ]you(?:'d|[ ]would|[ ]want|[ ]need|[ ]think[ ]of[ ](?:this|the[ ](?:intro|script)))|(?:i[ ])?hope[ ]this[ ](?:helps|works|meets|fits|is[ ]what)|feel[ ]free[ ]to[ ](?:adjust|modify|edit|change|ask|tweak|use)|would[ ]you[ ]like[ ](?:me[ ]to|another|a[ ]different))
    |\bas[ ](?:requested|you[ ]requested|per[ ]your|per[ ]the|instructed)\b|\b(?:the|your|this|my)[ ](?:prompt|system[ ]message|instructions|guidelines|brief[ ]says|word[ ]limit|persona|rubric|assignment)\b
    |\bin[ ]this[ ](?:intro|outro|script|segment[ ]i|version)\b|\bthis[ ](?:script|intro|outro|version|draft)[ ](?:is|was|should|captures|meets|keeps|uses|follows|has|includes)\b
    |\b(?:revised|rewritten|updated|corrected|alternative)[ ](?:version|script|intro|outro|draft)\b|\bi(?:'ve|[ ]have)[ ](?:written|rewritten|kept[ ](?:it|the[ ]script)|revised|adjusted|tried[ ]to[ ]keep|made[ ]sure[ ]to)\b
    |\b(?:stay(?:ing|s)?|speaking|remain(?:ing)?)[ ]in[ ]character\b|@(?:task|title|artist|dj|year|themes|words|avoid|fix|script|time|period)\b:?
    |<\||\[/?inst\]|\#\#\#\s*(?:response|instruction|input|assistant)|(?:^|\n)(?:assistant|user|system)\s*\n
    """,
    re.VERBOSE,
)
_META_HINT = re.compile(
    r"\bhere(?:'s| is| are| you go)|^\W*(?:sure|certainly|absolutely|of course|ok|alright|great|underst|got it|no prob|my pleas|gladly)|\bas an?\b|language model|\bai\b|assistant|"
    r"\bi(?: can|'m un| am un|'m not able| won't| apolog|'ve| have| do)|sorry|apolog|:|below|end of|thank|\bin \w+(?: \w+)?'s|attempt|\bword|let me know|hope this|feel free|would you like|as (?:req|you req|per|instr)|"
    r"\b(?:the|your|this|my) (?:prompt|system|instr|guide|brief|word|persona|rubric|assign|script|intro|outro|version|draft)|revis|rewrit|updated|corrected|alternative|character|@|<\||inst|###|^(?:user|system)"
)
_ALL_QUOTED = re.compile(r'^"[^"]*"$|^“[^“”]*”$|^‘.*’$|^\'(?:[^\']|\w\'\w)*\'$', re.DOTALL)


@rule(
    "talk about the script instead of the script: Here is your intro, Sure!, As an AI, Script:, word counts, whole-script quotes"
)
def meta_talk(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    plain = script.plain
    if _META_HINT.search(plain) and (m := _META.search(plain)):
        yield f'talks about the script instead of being it: "{_clip(m[0].strip())}"'
        return
    masked = script.masked
    if masked[:1] in "\"'“‘" and len(masked) > 3 and _ALL_QUOTED.match(masked):
        yield "is wrapped in quotation marks"
    elif m := _SPEAKER.match(script.text):
        if m[1].lower() in (
            link.dj.name.lower(),
            link.dj.name.split()[0].lower(),
            link.dj.id.lower(),
        ):
            yield f'opens with a speaker\'s label: "{m[0].strip()}"'


_SPEAKER = re.compile(r"\W*([\w.' -]{2,40}?)\W{0,2}:\s")


@rule(
    "words that answer or repeat an instruction instead of speaking: ignore the rules, system prompt",
    languages=("en",),
)
def injection_echo(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if m := _INJECTION.search(script.plain):
        yield f'echoes an instruction: "{_clip(m[0])}"'


_INJECTION = re.compile(
    r"\b(?:ignor(?:e|ed|ing)|disregard(?:ed|ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?)\s+(?:(?:all|any|the|my|your|of|these|those|previous|prior|above|earlier|every)\s+){0,4}"
    r"(?:rules|instructions?|prompts?|guidelines|directions|constraints|system)\b|\bsystem prompt\b|\bjailbreak|\byou are now (?:a|an|in|free|dan)\b|"
    r"\b(?:developer|dan) mode\b|\bgive (?:this|it|the script) (?:a )?(?:10|ten|full marks|the highest|a perfect)|\b(?:score|rate|mark) (?:this|it|me|everything) (?:a )?(?:10|ten)\b|"
    r"\ball criteria\b|\bprompt injection\b"
)


# -------------------------------------------------------------------------------------------------------- unspeakable

_ODD = re.compile(rf"""[^a-z0-9\s.,;:!?'"()—\-…&$£€%°{MARKS}]""", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?|ftp)://\S+|\bwww\.\S+|[\w.+-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|net|org|fm|co\.uk|io|info|biz|tv|radio)\b(?:/\S*)?",
    re.I,
)
_ADDRESS_HINT = re.compile(r"://|www\.|@|[a-z0-9]\.[a-z]", re.I)
_NOISE = re.compile(
    rf"""(?<!\w)\#(?![\d\s])\S+|@|[=^~|\\<>{{}}_*`]|(?<!\w)[+/](?!\w)|\b[wb]/\w*|[a-z]{{2,}}/[a-z]{{2,}}|[©®™§¶†‡\ufffd\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff\ue005-\uf8ff]
    |\*{{3,}}|\#{{2,}}|[#$%&@*!?^~+]{{3,}}|([^\w\s.\-—{MARKS}])\1{{3,}}""",
    re.VERBOSE | re.IGNORECASE,
)
_RUN = re.compile(r"[!?]{4}|-{4}|([,;:'\"()&$£€%])\1{3}|[$%&!?]{3}(?<![!?]{3})")
_DIGITS = re.compile(r"\d(?:[\d ,-]*\d)?")
_MIXED = re.compile(r"\b[a-z]+\d+[a-z]\w*\b|\b\d+[a-z]+\d+\w*\b")
_SAYABLE = frozenset(("mp3", "y2k", "h2o", "4x4", "2x4", "b2b"))
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")
_VOWELLESS = re.compile(r"\b(?![hmsrzptgkbfw]+\b)[bcdfghjklmnpqrstvwxz]{5,}\b|[bcdfghjklmnpqrstvwxz]{7,}")
_STRETCH = re.compile(r"([a-z])\1{4}")
_TEXTING = frozenset(
    "lol lmao rofl omg btw imho idk fyi tbh smh ftw brb wtf thx pls plz ur b4 gr8 l8r 2nite 2day cya".split()
)
_LONGEST_WORD = 28
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_SPOKEN_MARKS = frozenset(MARKS + "°€£—…½¼¾")
_SYMBOLS = frozenset(("So", "Sm", "Sk", "Cc", "Cf", "Co", "Cn"))


@rule(
    "what a voice cannot say: addresses, hashtags, symbols, more than `digits` digits in a row, chat shorthand, "
    "key mashing, other scripts than Latin in English",
    digits=4,
)
def unspeakable(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    masked, plain = script.masked, script.plain
    m = _ADDRESS.search(masked) if _ADDRESS_HINT.search(masked) else None
    m = m or (_NOISE.search(masked) if _ODD.search(masked) else None) or _RUN.search(masked)
    if m:
        yield f'cannot be spoken: "{_clip(m[0].strip() or repr(m[0]))}"'
        return
    figures = _DIGITS.findall(masked)
    for figure in figures:
        if _THOUSANDS.fullmatch(figure):
            continue
        runs = figure.replace(",", "").replace("-", " ").split()
        if any(len(r) > options["digits"] for r in runs) or (len(runs) > 2 and sum(map(len, runs)) > 6):
            yield f'has a number nobody can follow: "{_clip(figure)}"'
            return
    if not link.dj.language.startswith("en"):
        return
    if figures and (m := _MIXED.search(plain)) and m[0] not in _SAYABLE:
        yield f'cannot be spoken: "{m[0]}"'
    elif chat := _TEXTING.intersection(script.tokens):
        yield f'cannot be spoken: "{sorted(chat)[0]}"'
    elif _CONSONANTS.search(plain) and (m := _VOWELLESS.search(plain)):
        yield f'cannot be spoken: "{_clip(m[0])}"'
    elif (m := _STRETCH.search(plain)) and m[1] not in "hmsrzaow":
        yield f'cannot be spoken: "{_clip(m[0])}"'
    elif any(len(t) > _LONGEST_WORD for t in _LONG.findall(masked)):
        yield "has a word too long to be spoken"
    elif not masked.isascii():
        for c in set(masked) - _SPOKEN_MARKS:
            if c > "\u024f" and c.isalpha() and "LATIN" not in unicodedata.name(c, ""):
                yield f'has letters no English voice can read: "{c}"'
                return
            if unicodedata.category(c) in _SYMBOLS and c > "\x7f":
                yield f'cannot be spoken: "{c}"'
                return


_LONG = re.compile(rf"[^\W\d_]{{{_LONGEST_WORD + 1},}}")
_CAPS = re.compile(r"\b[A-Z][A-Z']{1,}\b(?:[\s,!—-]+(?:[A-Z][A-Z']*\b))*")
_INITIALS = frozenset(
    [
        "FM",
        "AM",
        "PM",
        "DJ",
        "DJS",
        "TV",
        "OK",
        "UK",
        "US",
        "USA",
        "BBC",
        "EP",
        "LP",
        "CD",
        "CDS",
        "II",
        "III",
        "IV",
        "VI",
        "GMT",
        "UTC",
        "NYC",
        "LA",
        "MC",
        "R",
        "B",
        "RSVP",
        "VIP",
        "ID",
    ]
)


@rule("more than `words` words in capitals in a row", words=2)
def shouting(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    for m in _CAPS.finditer(script.masked):
        shouted = [w for w in re.findall(r"[A-Z']{2,}", m[0]) if w.strip("'") not in _INITIALS]
        if len(shouted) > options["words"]:
            yield f'shouts: "{_clip(m[0])}"'
            return


@rule(
    "swearing; `allow` lists words the station permits, `extra` more to refuse",
    languages=("en",),
    allow=(),
    extra=(),
)
def profanity(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    m = _SWEARING.search(script.plain)
    if m and m[0] not in options["allow"]:
        yield f'swears: "{m[0][0]}{"*" * (len(m[0]) - 1)}"'
    elif options["extra"]:
        extra = {str(w).lower() for w in options["extra"]}
        if hit := next((t for t in script.tokens if t in extra), None):
            yield f'uses a word this station does not air: "{hit}"'


_SWEARING = re.compile(
    r"\b(?:mother)?f+u+c+k+\w*|\bf\*+k\w*|\bs+h+i+t+(?:s|ty|ting|head\w*|hole\w*|storm|faced)?\b|\bbull ?shit\w*|\b(?:ass|arse)holes?\b|\bbitch(?:es|y|ing)?\b|\bbastards?\b|"
    r"\bcunts?\b|\bwank(?:er|ers|ing)?\b|\bdick ?heads?\b|\bpiss(?:ed|ing)? off\b|\bpissed\b|\bgod ?dam(?:n|mit|ned)\b|\bbollocks\b|\bslut\w*|\bwhores?\b|\bnigg\w+|\bfag(?:s|got\w*)\b|\bretard(?:ed|s)?\b|\bcrap(?:py)?\b"
)
