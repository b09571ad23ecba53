"""Rules on tense: an intro speaks of a song to come, an outro of one that has been heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.patterns import any_of
from stages.rules.registry import rule
from stages.rules.text import ARTIST, MARKS, NEXT_ARTIST, NEXT_TITLE, TITLE, Script

SONG = f"[{TITLE}{ARTIST}]"
_NEXT = re.compile(f"[{NEXT_TITLE}{NEXT_ARTIST}]")
_HAS_SONG = re.compile(SONG)


# Past verbs. What is said of a song's making ("they recorded it in 1987") tells nothing about its having been played.
_IRREGULAR = (
    "was|were|wasn't|weren't|had|hadn't|did|didn't|took|gave|brought|sang|left|went|got|kept|held|broke|found|told|"
    "led|sent|drew|spoke|"
    "hung|rang|flew|swung|spun|shook|stole|bled|shone|wept|knew|rose|fell|blew|set|put|let|saw|slid|wound|meant|said|"
    "swept|paid|ran|"
    "came|caught|stood|sat|heard|felt|lost|won|burnt|rode|drove|woke|shot|hit|cut|sold|bought|built|began|drank|ate|"
    "threw|grew|wore|"
    "dealt|lit|laid|lay|leant|crept|slept|dreamt|taught|thought|fought|sought|forgot|chose|froze|hid|dug|stuck|"
    "struck|stung|sank|swam|"
    "managed"
)
_MADE = (
    r"(?!recorded|released|penned|composed|formed|produced|topped|"
    r"peaked|toured|charted|debuted|need|based|born|called|named)"
)
_PAST = rf"(?:{_IRREGULAR}|{_MADE}[a-z]{{2,}}ed)"
_ADVERB = (
    r"(?:(?:just|only|never|ever|always|really|certainly|sure|all|both|even|still|each|then|well|truly|once|"
    r"[a-z]+ly) ){0,2}"
)

# Says by itself that the song has been heard.
_HEARD = any_of(
    r"\b(?:that|this|those)(?:'d| there| one| two| right there| my friends?| folks| lovely| beauty| gem)*[, ]+(?:was|"
    r"were|wasn't|weren't|had been|has been)\b(?! then\b)",
    r"\b(?:was|wasn't|weren't) (?:that|those)\b",
    rf"\bthat's (?:been |how |it for |all from |the (?:one and only|great|mighty|lovely|wonderful|"
    rf"late) )?{SONG}(?! for you)",
    r"\bthat's (?:all|it) from\b|\bthat's how (?:you|it|they|she|he)\b|\bhow about that\b",
    rf"\bit was {SONG}|\b(?:you|we)(?:'ve| have)? just {_PAST}\b",
    r"\b(?:we|you)(?:'ve|'d| all| have| had| both)?(?: just| only| now| all| already)* "
    r"(?:heard(?! me\b)|been (?:listening|hearing|in|with|treated)|listened|enjoyed|played|spun|caught|spent|drifted|"
    r"rode|danced|sailed|floated)\b",
    r"\byou were (?:just )?(?:listening|hearing|in the company)",
    r"\bjust (?:heard|played|spun|wrapped|finished|faded|ended|listened|gave|sang|left|took|had|shared|brought|been|"
    r"treated|then|now by)\b",
    r"\bthere (?:it|he|she|they|you|we) (?:was|were|went|go|goes|had|have it|are)\b|\bthere (?:goes|went)\b",
    rf"\b(?:hope|trust|bet|reckon) (?:(?:that|you|it|they|she|he|all|everyone|{SONG}) )+(?:\w+ )?{_PAST}\b",
    r"\bwhat a (?:\w+ )?(?:song|tune|track|voice|record|ride|beauty|gem|number|performance|way)\b",
    rf"\b(?:heard|played|spun|closed|finished|wrapped|rounded|ended|courtesy)\b[^.!?]{{0,30}}{SONG}",
    rf"{SONG}[^.!?]{{0,80}}?(?:(?<!n't)[ ,](?:right )?there\b(?! (?:is|are|was|were|'s))|\b(?:just now|a moment ago|"
    rf"back there)\b)",
    r"\b(?:needed|loved|enjoyed) (?:that|it)\b|\b(?:don't|didn't) (?:\w+ )?make '?(?:em|them) like that\b|"
    r"\bthanks? (?:you )?for (?:that|the)\b",
    r"\bstill (?:ringing|echoing|humming|hanging|lingering|spinning|in the air|going round|playing in)",
    r"\bfad(?:es|ed|ing) (?:out|away|into|off|to|down|now)|\blinger(?:s|ing|ed)\b|\becho(?:es|ed|ing)\b|\bleaves us\b",
    r"\b(?:last|final|closing) (?:notes?|chords?|bars?|word|line|verse|chorus|strains)\b",
    r"\b(?:was|were) (?:the )?(?:song|tune|one|ones|record|track|voices?|sound|number|names?|singer|band)\b",
)
# Says so when it comes after the song has been named: what is told of a song before its name is often its story.
_HAPPENED = any_of(
    rf"{SONG}(?:[ ,]+(?:by|from|and|with|of|called|in)? ?{SONG})?(?:, [^,.!?;:]{{1,30}},)? (?:and |who |which |"
    rf"it )?(?:'ve |have |has )?{_ADVERB}{_PAST}\b(?!')",
    rf"(?<!as if )(?<!if )\b(?:they|she|he|it|we|you|i|that|that one|this one|and|everybody|everyone|nobody|"
    rf"somebody)(?:'d)? {_ADVERB}{_PAST}\b(?!')",
    rf"\band the (?:[a-z]+ ){{1,3}}?{_PAST}\b",
    rf"\bwe(?:'ve| have) {_ADVERB}{_PAST}\b",
    rf"\b(?:in|out|up|down|away|off|round) (?:it|they|she|he|we) {_PAST}\b",
)
# Says so wherever it stands.
_DONE = any_of(
    rf"(?<!when )(?<!where )(?<!before )(?<!until )\b(?:they|she|we|nothing|everybody|everyone|"
    rf"nobody) {_ADVERB}(?!called|made){_PAST}\b(?!')",
    rf"\b(?:she|he|they) said \W?{SONG}",
    rf"\b[a-z]+ all {_PAST}\b(?!')",
)
_FORWARD = any_of(
    r"\bhere(?:'s| is| are| comes?| we go| it (?:comes|is)| they come)\b(?! (?:to|hoping)\b)",
    r"\bcoming (?:up|your way|at you|right up|next|to you|in with|in now)|\bup (?:next|now)\b|\bnext (?:up|on|is|we|"
    r"comes|in line|song)\b",
    r"\b(?:let's|let us|we're going to|we're about to|we're gonna|gonna|time to)(?: all| now)? "
    r"(?:hear|listen|play|spin|get|go|give(?! it up| a hand| them a)|dive|roll|kick|slide|settle|drop|start|enjoy|"
    r"turn|take|let|welcome|ease|crank|groove|dance)",
    r"\b(?:get|be) ready\b|\babout to (?:hear|play|spin|drop|begin|start|take|bring|be)|\bready for\b|"
    r"\bready to (?:hear|rock|dance|groove)",
    r"\b(?:i|we)(?:'ll|'m going to| will| shall|'re going to|'m gonna|'ve got) (?:now )?"
    rf"(?:play|spin|hear|listen|let(?! (?:that|it))|leave you with|give you|bring|have|be (?:playing|hearing|"
    rf"spinning))|\bwe've got {SONG}",
    r"\byou(?:'ll| will|'re going to|'re about to|'re gonna) (?:hear|love|want|enjoy|know|recogni[sz]e)",
    r"\blisten (?:to|out|close|closely|up|for|now|in)\b|\bturn (?:it|this|that|the|your) (?:\w+ )?(?:up|dial|volume|"
    r"radio)",
    rf"\bsettle in\b|\bsit back\b|\benjoy {SONG}|\b(?:take|have) a listen|\bgive (?:it|this|{SONG}) a (?:spin|"
    rf"listen)|\bplease welcome|\bpress(?:ing)? play\b",
    rf"{SONG}[^.!?]{{0,15}} (?:is|are|comes|will be) (?:next|up|on deck|on the way|ready|waiting|coming|about|"
    rf"right after|here|now)\b",
    rf"\bthis (?:one |song |next one |here |right here )?is (?:the \w+ of )?{SONG}|\b(?:it's|it is) {SONG}|"
    rf"\b(?:and )?now,? (?:\w+ ){{0,2}}{SONG}",
    r"\b(?:stay tuned|stick around) for\b|\bdon't go (?:away|anywhere)|\bafter the break\b|\bkick(?:ing)? (?:things|"
    r"it|us) off\b|\bneedle drops?\b|\bon its way\b",
)
_TEASE = re.compile(
    rf"\b(?:next|coming up|after|later|in a (?:moment|minute|bit|while)|stick around|stay|don't go|more|rest)\b|"
    rf"[{NEXT_TITLE}{NEXT_ARTIST}]"
)
_TURN = re.compile(r"[;:—](?=[^;:—]*\b(?:next|coming up)\b)")


@rule(
    "an outro that does not speak of the song as already heard, or announces it",
    languages=("en",),
    subjects=("song",),
    kinds=("outro",),
)
def past_tense(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    plain = script.plain
    first = _HAS_SONG.search(plain)
    for s in script.sentences if first else ():
        if not _HAS_SONG.search(s) or not (m := _FORWARD.search(s)):
            continue
        # A sentence may look back and then on: what counts is the song named after the announcement, up to a next one.
        tail = _TURN.split(_NEXT.split(s[m.start() :])[0])[0]
        after = _HAS_SONG.search(s, m.end())
        if _HAS_SONG.search(tail) and (after or not _HEARD.search(s[: m.end()])):
            yield f'announces the song, which has just been played: "{_show(m[0])}"'
            return
    if _HEARD.search(plain):
        return
    if not first or not (_HAPPENED.search(plain, first.start()) or _DONE.search(plain)):
        yield 'does not speak of the song as just heard: say "that was", "you heard"'
    elif m := next((m for s in script.sentences if not _TEASE.search(s) and (m := _FORWARD.search(s))), None):
        yield f'announces a song where one has just been played: "{_show(m[0])}"'


_ELSEWHERE = r"(?:and|this is|here|now|when|before|where|because|what|how|then|until|after)"
_JUST_PLAYED = any_of(
    rf"\bthat was [^.!?,]{{1,30}} (?:for you|calling)[^.!?]{{0,30}}{SONG}",
    rf"\b(?:that|this) (?:there )?was (?!\d)(?:(?!\b{_ELSEWHERE}\b)[^.!?;:—]){{0,60}}?{SONG}",
    rf"\b(?:you|we)(?:'ve| have)? (?:all )?just (?:heard|listened|played|enjoyed|caught|spun|had|"
    rf"been)[^.!?]{{0,60}}{SONG}",
    rf"\byou(?:'ve| have)? (?:been listening to|heard) (?:(?!about|of\b|this|that|me)[^\s.!?,]+ ){{0,4}}{SONG}",
    rf"\bwe (?:heard|listened to|played) (?:[^\s.!?]+ ){{0,3}}{SONG}",
    rf"\byou were (?:just )?listening to[^.!?]{{0,40}}{SONG}",
    rf"\bhope (?:that )?you(?:'ve)? (?:all )?(?:enjoyed|liked|loved) (?:[^.!?]{{0,30}}{SONG}|(?:that|"
    rf"it)\b(?! (?:last|previous|first)))",
    rf"\bthat's all from {SONG}|\bthere (?:goes|went) {SONG}|\bthere you have it\b|\bthere (?:it|they|she|"
    rf"he) (?:went|was|were)\b|\b(?:wasn't|was) that [^.!?]{{0,30}}{SONG}",
    rf"{SONG}[ ,]+(?:right )?there[,.!]|\bsong you just heard[^.!?]{{0,30}}{SONG}|\bwrapp(?:ed|"
    rf"ing) up (?:with )?{SONG}",
    rf"{SONG}(?:[ ,]+(?:by|from|with) {SONG})?,? (?:that was|just (?:now ?)?(?:played|finished|ended|faded)|"
    rf"you just heard)",
    rf"{SONG}(?:[ ,]+(?:by|from|with) {SONG})?,? was the (?:song|one you|track|record) (?:you|we)",
    r"\bcame to (?:you )?(?:an end|a close)\b",
    rf"\b(?:last|final|closing) (?:notes?|chords?|bars?|strains)(?: of|:| were| was)[^.!?]{{0,20}}{SONG}|"
    rf"\bthose were {SONG}",
)
_BACKWARD = any_of(
    r"\b(?:you|we)(?:'ve| have)? (?:all )?just (?:heard|listened|played)\b|\byou(?:'ve been| were) listening\b",
    r"\bwasn't that\b|\bwhat a \w+ that was\b|\bwhat a (?:tune|track|record|performance)!|\b(?:last|final) (?:notes?|"
    r"chords?) (?:fade|die|ring|drift)",
    r"\bthat one (?:took|got|gets|always|never|hit|was)\b|\bneeded that\b|\bjust like that,|\blike that any ?more\b",
)


@rule("an intro that speaks of the song as already played", languages=("en",), subjects=("song",), kinds=("intro",))
def present_tense(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    plain = script.plain
    m = _JUST_PLAYED.search(plain)
    # Looking back without a name may be about the song before, as long as this one is then announced.
    if not m and (m := _BACKWARD.search(plain)) and _FORWARD.search(plain):
        m = None
    if m:
        yield f'speaks of the song as already played: "{_show(m[0])}"'


def _show(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, MARKS), "…")).strip()[:60]
