"""Rules on tense: an intro speaks of a song to come, an outro of one that has been heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.registry import rule
from stages.rules.text import ARTIST, NEXT_ARTIST, NEXT_TITLE, TITLE, Script

_SONG = f"[{TITLE}{ARTIST}]"
_NEXT = f"[{NEXT_TITLE}{NEXT_ARTIST}]"
# What is said of a song's making tells nothing about whether it has just been played.
_MADE = r"(?!wrote|written|recorded|released|made|penned|composed|formed|cut\b|born|produced|topped|hit\b|came out|peaked|toured)"
_PAST = (
    rf"(?:was|were|wasn't|weren't|had|did|{_MADE}\w{{2,}}ed|took|gave|brought|sang|left|went|got|kept|held|broke|found|told|led|sent|drew|spoke|"
    r"hung|rang|flew|swung|spun|shook|stole|bled|shone|wept|knew|rose|fell|blew|sounded|set|put|let|saw|slid|wound|meant|said|ended|swept)"
)
_PLAYED = re.compile(
    rf"""\b(?:that|this)(?:'d|[ ]there|[ ]one|[ ]right[ ]there)?[ ](?:was|were|wasn't|had[ ]been|has[ ]been)\b|\b(?:was|wasn't)[ ]that\b|\bthat's[ ](?:been[ ]|how[ ])?[^.!?]{{0,25}}{_SONG}|\bthat's[ ](?:all|it)[ ]from\b
    |\bthose[ ](?:were|fine|good)\b|\bit[ ]was[ ]{_SONG}
    |\b(?:we|you|they|i)(?:'ve|'d|[ ]all|[ ]have|[ ]had|[ ]two|[ ]both)?[ ](?:just[ ]|only[ ]|now[ ]|all[ ]|already[ ])*(?:heard|been[ ](?:listening|hearing|in|with)|listened|enjoyed|played|spun|caught|spent|drifted|rode|travelled|traveled|danced|swayed|sailed|sat|walked|floated|wandered|kept[ ]company)\b
    |\byou[ ]were[ ](?:just[ ])?(?:listening|hearing|in[ ]the[ ]company)
    |\bjust[ ](?:heard|played|spun|wrapped|finished|faded|ended|listened|gave|sang|now[ ]by|left|took|then|had|shared|brought|been)\b
    |\bthere[ ](?:it|he|she|they|you|we)[ ](?:was|were|went|go|goes|had|have[ ]it|are\b)|\bthere[ ](?:goes|went)\b
    |\b(?:hope|trust|bet|reckon)[ ](?:that[ ]|you[ ]|it[ ]|they[ ]|she[ ]|he[ ]|all[ ]|{_SONG}[ ])+(?:\w+[ ])?(?:enjoyed|liked|loved|heard|found|felt|helped|got|did|woke|warmed|caught|landed|took|made|reached|touched|settled|kept)
    |\bwhat[ ]a[ ](?:\w+[ ])?(?:song|tune|track|voice|record|ride|beauty|gem|number|performance|way)\b
    |\b(?:heard|played|spun|closed|finished|wrapped|rounded|ended|courtesy)\b[^.!?]{{0,30}}{_SONG}
    |{_SONG}[^.!?]{{0,80}}?(?:[ ,](?:right[ ])?there\b(?![ ](?:is|are|was|were))|\b(?:just[ ]now|a[ ]moment[ ]ago|back[ ]there)\b)
    |{_SONG}(?:[ ,]+(?:by|from|and|with|of|called|it|who|which|that)?[ ]?{_SONG})?[^.!?;:]{{0,50}}?\b{_PAST}\b
    |\b(?:still[ ](?:ringing|echoing|humming|hanging|lingering|spinning|in[ ]the[ ]air|going[ ]round|playing[ ]in)|fad(?:es|ed|ing)[ ](?:out|away|into|off|to|down|now)|last[ ](?:notes?|chords?|bars?|word|line|note|verse|chorus)|linger(?:s|ing|ed)|echo(?:es|ed|ing)?\b|leaves[ ]us|wound[ ]down|came[ ]to[ ](?:a[ ]close|an[ ]end|rest))
    |\bwas[ ]the[ ](?:song|tune|one|record|track|voice|sound|number|name|singer|band)\b|\bwere[ ]the[ ](?:ones|voices|band)\b
    """,
    re.VERBOSE,
)
_FORWARD = re.compile(
    rf"""\bhere(?:'s|[ ]is|[ ]are|[ ]comes?|[ ]we[ ]go|[ ]it[ ](?:comes|is)|[ ]they[ ]come)\b(?![ ](?:to|hoping)\b)|\bcoming[ ](?:up|your[ ]way|at[ ]you|right[ ]up|next|to[ ]you)|\bup[ ](?:next|now)\b|\bnext[ ](?:up|on|is|we|comes|in[ ]line|song)\b
    |\b(?:let's|let[ ]us|we're[ ]going[ ]to|we're[ ]about[ ]to|we're[ ]gonna|gonna|time[ ]to)[ ](?:all[ ]|now[ ])?(?:hear|listen|play|spin|get|go|give|dive|roll|kick|slide|settle|drop|start|enjoy|turn|take|let|welcome|ease)
    |\b(?:get|be)[ ]ready\b|\babout[ ]to[ ](?:hear|play|spin|drop|begin|start|take|bring)
    |\b(?:i|we)(?:'ll|'m[ ]going[ ]to|[ ]will|[ ]shall|'re[ ]going[ ]to|'m[ ]gonna)[ ](?:now[ ])?(?:play|spin|hear|listen|let|leave[ ]you[ ]with|give[ ]you|bring)
    |\byou(?:'ll|[ ]will|'re[ ]going[ ]to|'re[ ]about[ ]to|'re[ ]gonna)[ ](?:hear|love|want|enjoy|know|recogni[sz]e)|\blisten[ ](?:to|out|close|closely|up|for|now|in)\b|\bturn[ ](?:it|this|that|the|your)[ ](?:\w+[ ])?(?:up|dial|volume|radio)|\bsettle[ ]in\b|\bsit[ ]back\b
    |\benjoy[ ]{_SONG}|\b(?:take|have)[ ]a[ ]listen|\bgive[ ](?:it|this|{_SONG})[ ]a[ ](?:spin|listen)|{_SONG}[^.!?]{{0,15}}[ ](?:is|are|comes)[ ](?:next|up|on[ ]deck|on[ ]the[ ]way|ready|waiting|coming|about|right[ ]after|here|now)\b
    |\bplease[ ]welcome|\bthis[ ](?:one[ ]|song[ ]|next[ ]one[ ]|here[ ]|right[ ]here[ ])?is[ ](?:the[ ]\w+[ ]of[ ])?{_SONG}|\bnow[ ]it's[ ]{_SONG}|\b(?:and[ ])?now,?[ ](?:\w+[ ]){{0,2}}{_SONG}|\bstay[ ]tuned[ ]for\b|\bdon't[ ]go[ ](?:away|anywhere)|\bstick[ ]around[ ]for\b|\bafter[ ]the[ ]break\b
    |\bkick(?:ing)?[ ](?:things|it)[ ]off\b|\bpress(?:ing)?[ ]play\b|\bneedle[ ]drops?\b|\bcoming[ ]in[ ](?:with|now)|\bon[ ]its[ ]way\b|\bready[ ]for\b
    """,
    re.VERBOSE,
)
_TEASE = re.compile(
    r"\b(?:next|coming up|after (?:this|that|the)|later|in a (?:moment|minute|bit|few|while)|stick around|stay (?:with|tuned)|don't go)\b"
)


@rule(
    "an outro that does not speak of the song as already heard, or announces it",
    languages=("en",),
    subjects=("song",),
    kinds=("outro",),
)
def past_tense(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    for s in script.sentences:
        m = _FORWARD.search(s)
        if not m or not (TITLE in s or ARTIST in s):
            continue
        # A sentence may look back and then on: only the part after the announcement counts, up to a next song.
        tail = re.split(rf"{_NEXT}|[;:—](?=[^;:—]*\b(?:next|coming up|up next)\b)", s[m.start() :])[0]
        if re.search(_SONG, tail) and not (_PLAYED.search(s[: m.end()]) and not re.search(_SONG, s[m.end() :])):
            yield f'announces the song, which has just been played: "{_show(m[0])}"'
            return
    if not _PLAYED.search(script.plain):
        yield 'does not speak of the song as just heard: say "that was", "you heard"'


_JUST_PLAYED = re.compile(
    rf"""\b(?:that|this)[ ](?:there[ ])?was[ ](?!\d)(?:(?!\band\b|\bthis[ ]is\b|\bhere\b|\bnow\b|\bwhen\b|\bbefore\b|\bwhere\b|\bbecause\b|\bwhat\b|\bhow\b|\bthen\b)[^.!?;:—]){{0,60}}?{_SONG}
    |\b(?:you|we)(?:'ve|[ ]have)?[ ](?:all[ ])?just[ ](?:heard|listened|played|enjoyed|caught|spun|had)[^.!?]{{0,60}}{_SONG}
    |\byou(?:'ve|[ ]have)?[ ](?:been[ ]listening[ ]to|heard)[ ](?:(?!about|of\b|this|that|me)[^\s.!?,]+[ ]){{0,4}}{_SONG}|\bwe[ ](?:heard|listened[ ]to|played)[ ](?:[^\s.!?]+[ ]){{0,3}}{_SONG}
    |\byou[ ]were[ ](?:just[ ])?listening[ ]to[^.!?]{{0,40}}{_SONG}
    |\bhope[ ](?:that[ ])?you(?:'ve)?[ ](?:all[ ])?(?:enjoyed|liked|loved)[ ](?:[^.!?]{{0,30}}{_SONG}|(?:that|it)\b(?![ ](?:last|previous|first)))
    |\bthat's[ ]all[ ]from[ ]{_SONG}|\bthere[ ](?:goes|went)[ ]{_SONG}|\bthere[ ]you[ ]have[ ]it\b|\b(?:wasn't|was)[ ]that[ ][^.!?]{{0,30}}{_SONG}|{_SONG}[ ,]+(?:right[ ])?there[,.!]
    |{_SONG}(?:[ ,]+(?:by|from|with)[ ]{_SONG})?,?[ ](?:that[ ]was|just[ ](?:now[ ]?)?(?:played|finished|ended|faded)|was[ ]the[ ](?:song|one[ ]you|track|record)[ ](?:you|we)|you[ ]just[ ]heard)|\bsong[ ]you[ ]just[ ]heard[^.!?]{{0,30}}{_SONG}
    |\bwrapp(?:ed|ing)[ ]up[ ](?:with[ ])?{_SONG}|\bcame[ ]to[ ](?:you[ ])?(?:an[ ]end|a[ ]close)\b
    """,
    re.VERBOSE,
)
_JUST_PLAYED_LOOSE = re.compile(
    r"\b(?:you|we)(?:'ve| have)? (?:all )?just (?:heard|listened|played)\b|\byou've been listening to\b|\byou were listening\b|\bwasn't that\b|\bwhat a \w+ that was\b"
)


@rule(
    "an intro that speaks of the song as already played",
    languages=("en",),
    subjects=("song",),
)
def present_tense(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    m = _JUST_PLAYED.search(script.plain)
    # Looking back without a name may be about the song before, as long as this one is then announced.
    if not m and (m := _JUST_PLAYED_LOOSE.search(script.plain)) and _FORWARD.search(script.plain):
        m = None
    if m:
        yield f'speaks of the song as already played: "{_show(m[0])}"'


def _show(text: str) -> str:
    for mark, word in (
        (TITLE, "…"),
        (ARTIST, "…"),
        (NEXT_TITLE, "…"),
        (NEXT_ARTIST, "…"),
    ):
        text = text.replace(mark, word)
    return text.strip()[:60]
