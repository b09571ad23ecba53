"""Rules on talk that is not the DJ's: about the script, to the one who asked for it, from the prompt, swearing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.patterns import any_of, clip
from stages.rules.registry import rule
from stages.rules.text import Script

# What a model calls its own answer. The second list a DJ may announce too ("here's your forecast").
_ANSWER = (
    r"(?:intro(?:duction)?s?|outro(?:duction)?s?|script|segue|back[- ]?announce(?:ment)?|draft|rewrite|revision|"
    r"response|attempt|monologue|voice[- ]?over|voice[- ]?track|"
    r"(?:link|take|copy|version)(?=\s*:|,? (?:for you|as you|based|below)))"
)
_AIRED = r"(?:segment|time[- ]?check|weather|report|forecast|update|announcement|spot|option|example|text|line|sample)"
_LABEL = (
    r"(?:script|intro(?:duction)?|outro|link|dj|host|presenter|announcer|assistant|user|system|human|output|response|"
    r"answer|draft|rewrite|revised|revision|title|artist|year|song|track|task|notes?|word count|words|version|option|"
    r"take|"
    r"explanation|time check|weather(?: (?:report|forecast|update))?|forecast|voice-?over|narrator|text|example|"
    r"style|tone|"
    r"final|opening|closing|title card)"
)
_START = r"(?:^|\n)[\"'*(\s]*"
_EAGER = r"(?:sure(?: thing)?|certainly|absolutely|of course|understood|got it|no problem)"
_META = any_of(
    rf"\bhere(?:'s| is| are| you go)[ ,:]+(?:your|my|the|an?|one|some|that|another) (?:[\w'\"/-]+ ){{0,5}}?{_ANSWER}\b"
    r"(?=\s*(?:[:.!,]|$|for |in |that |based|with |as |you |below))",
    rf"\bhere(?:'s| is)[ ,:]+(?:an?|one|another) (?:[\w'/-]+ ){{0,4}}?{_AIRED}\b[^.!?]{{0,50}}:",
    rf"{_START}(?:{_EAGER}|okay|ok|alright|great|my pleasure|gladly)\s*[!,.:—-]+\s*"
    r"(?:here|i(?:'ll|'d| will| can| would|'m happy)|let me (?:write|give|try|create|help|rewrite|draft|craft)|below)\b"
    r"(?! (?:comes?|it|we|they|she|he|play|spin|take|leave|go|tell|say|be|admit))",
    rf"{_START}{_EAGER}!",
    r"\bas an? (?:ai|a\.i\.|artificial|large language|language model|assistant|chatbot|llm)\b|\blanguage model\b",
    r"\bi(?:'m| am) (?:just )?an? (?:ai|language model|assistant|chatbot|virtual assistant)\b",
    r"\bi (?:do not|don't) have (?:access to|real-?time|personal (?:opinions|feelings))",
    r"\bi(?: cannot| can't| can not|'m unable to| am unable to|'m not able to| won't be able to) "
    r"(?:assist|fulfil|fulfill|generate|write|provide|create|comply|help with|produce|complete|verify)\b",
    r"\bi(?:'m| am) sorry,? but i (?:can|do)|\b(?:i apologi[sz]e|my apologies),? for the|"
    r"\bapologi[sz]e for (?:the|any) (?:confusion|mistake|error|previous|oversight|inconvenience)",
    rf"{_START}(?:(?:radio|the|final|revised|new|short|updated|corrected) )*{_LABEL}"
    r"(?: (?:version|script|text|draft|#?\d|one|two))?(?:\s*\([^)]*\))?\s?[*_]*:[\s\"*]",
    rf"{_START}(?:radio |dj |the )?(?:intro|outro|script|link|time check)\b[^.!?\n]{{0,60}}:\s",
    r"\bword count\b|\(\s*(?:\w+[ :]+)?\d+ words?\s*\)|\b(?:in|under|about|within|exactly) \d+ words\b",
    r"(?:[.!?\"\n]|^)\s*\(?(?:please )?note:|\b(?:this|that|which) (?:intro|outro|link) (?:is|was|should|captures|"
    r"has)\b",
    r"\blet me know (?:if|what) you(?:'d| would| want| need| think of)|\bhope this (?:helps|works|meets|fits|is what)",
    r"\bfeel free to (?:adjust|modify|edit|change|ask|tweak|use)|\bwould you like (?:me to|another|a different)",
    r"\bas (?:requested|you requested|per your|per the|instructed)\b|\bthank you for (?:your|the) "
    r"(?:request|feedback|instructions|prompt|clarif\w+)",
    r"\b(?:the|your|this|my) (?:prompt|system message|instructions|guidelines|word limit|persona|rubric|assignment)\b",
    r"\bin this (?:intro|outro|script|version|draft)\b|\b(?:the|this) (?:script|outro|draft) "
    r"(?:is|was|should|captures|meets|keeps|uses|follows|has|includes|above|below)\b",
    rf"\bthis is (?:an?|the|your|my) (?:\w+ )?(?:{_ANSWER}|script) (?:of|for|in)\b|\b(?:a|the|my|first) draft of\b",
    r"\b(?:revised|rewritten|updated|corrected|alternative) (?:version|script|intro|outro|draft)\b",
    r"\bi(?:'ve| have) (?:written|rewritten|revised|adjusted|created|crafted|prepared|put together|attempted|"
    r"tried to keep|made sure to|kept (?:it|the (?:script|tone)))\b",
    r"\bbelow is (?:an?|the|your|my)\b|\bscript (?:ends|begins|starts|over)\b|\bend of (?:script|intro|outro|link|"
    r"message|response)\b|\battempt #?\d",
    r"\bin (?:marlow|dot|the dj|this dj|the host)'s (?:voice|style|tone)\b|\b(?:stay|staying|remain|"
    r"speaking) in character\b",
    r"@(?:task|title|artist|dj|year|themes|words|avoid|fix|script|time|period)\b:?",
    r"<\||\[/?inst\]|### ?(?:response|instruction|input|assistant)|(?:^|\n)(?:assistant|user|system)\s*\n",
)
# What the phrases above cannot do without: most scripts have none of it and are not searched for them.
_META_WORDS = frozenset(
    """ai llm chatbot assistant artificial language cannot unable able sorry apologize apologise apologies word
    words prompt system instructions instructed guidelines persona rubric assignment requested request
    feedback revised rewritten updated corrected alternative written adjusted created crafted prepared
    attempted attempt kept below script intro outro introduction draft character note adjust modify edit tweak
    helps fits meets clarification message response""".split()
)
_EAGER_WORDS = frozenset("sure certainly absolutely of understood got no okay ok alright great my gladly".split())
_ANSWER_WORDS = frozenset(
    """intro intros outro outros introduction introductions script link segue back backannounce announcement
    version draft take rewrite revision response copy attempt monologue voice voiceover segment time weather
    report forecast update spot option example text line sample""".split()
)
_META_PHRASES = (
    "let me know",
    "hope this",
    "feel free",
    "would you like",
    "thank you for",
    "don't have",
    "do not have",
    "as per",
    "made sure",
    "put together",
    "this is a",
    "tried to",
    "can't",
    "can not",
    "'s voice",
    "'s style",
    "'s tone",
)


_META_MARKS = (": ", ":\n", ':"', ":*", "@", "#", "<")


def _may_be_meta(script: Script) -> bool:
    tokens, plain = script.tokens, script.plain
    return (
        bool(tokens and tokens[0] in _EAGER_WORDS)
        or not _META_WORDS.isdisjoint(tokens)
        or any(c in plain for c in _META_MARKS)
        or ("here" in tokens and not _ANSWER_WORDS.isdisjoint(tokens))
        or any(p in plain for p in _META_PHRASES)
    )


_ALL_QUOTED = re.compile(r'"[^"]*"|“[^“”]*”|‘.*’|\'(?:[^\']|\w\'\w)*\'', re.DOTALL)
_SPEAKER = re.compile(r"\W*([\w.' -]{2,40}?)\W{0,2}:\s")


@rule(
    "talk about the script instead of the script: Here is your intro, Sure!, As an AI, Script:, word counts, "
    "quotation marks around the whole"
)
def meta_talk(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    plain, masked = script.plain, script.masked
    if _may_be_meta(script) and (m := _META.search(plain)):
        yield f'talks about the script instead of being it: "{clip(m[0].strip())}"'
    elif masked[:1] and masked[0] in "\"'“‘" and len(masked) > 3 and _ALL_QUOTED.fullmatch(masked):
        yield "is wrapped in quotation marks"
    elif ":" in script.text and (m := _SPEAKER.match(script.text)):
        own = (link.dj.name.lower(), link.dj.name.split()[0].lower(), link.dj.id.lower())
        if m[1].lower() in own:
            yield f'opens with a speaker\'s label: "{m[0].strip()}"'


_INJECTION = any_of(
    r"\b(?:ignor(?:e|ed|ing)|disregard(?:ed|ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?) "
    r"(?:(?:all|any|the|my|your|of|these|those|previous|prior|above|earlier|every) ){0,4}"
    r"(?:rules|instructions?|prompts?|guidelines|directions|constraints|system)\b",
    r"\bsystem prompt\b|\bjailbreak|\byou are now (?:a|an|in|free|dan)\b|\b(?:developer|dan) mode\b|"
    r"\bprompt injection\b",
    r"\bgive (?:this|it|the script) (?:a )?(?:10|ten|full marks|the highest|a perfect)|\ball criteria\b",
    r"\b(?:score|rate|mark) (?:this|it|me|everything) (?:a )?(?:10|ten)\b",
)


@rule(
    "words that answer or repeat an instruction instead of speaking: ignore the rules, system prompt", languages=("en",)
)
def injection_echo(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if m := _INJECTION.search(script.plain):
        yield f'echoes an instruction: "{clip(m[0])}"'


_SWEARING = any_of(
    r"\b(?:mother)?f+u+c+k+\w*|\bf\*+k\w*|\bs+h+i+t+(?:s|ty|ting|head\w*|hole\w*|storm|faced)?\b|\bbull ?shit\w*",
    r"\b(?:ass|arse)holes?\b|\bbitch(?:es|y|ing)?\b|\bbastards?\b|\bcunts?\b|\bwank(?:er|ers|ing)?\b|\bdick ?heads?\b",
    r"\bpiss(?:ed|ing)? off\b|\bpissed\b|\bgod ?dam(?:n|mit|ned)\b|\bbollocks\b|\bslut\w*|\bwhores?\b|\bnigg\w+",
    r"\bfag(?:s|got\w*)\b|\bretard(?:ed|s)?\b|\bcrap(?:py)?\b",
)


@rule(
    "swearing; `allow` lists words the station permits, `extra` more to refuse", languages=("en",), allow=(), extra=()
)
def profanity(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    said = next((m[0] for m in _SWEARING.finditer(script.plain) if m[0] not in options["allow"]), None)
    if said:
        yield f'swears: "{said[0]}{"*" * (len(said) - 1)}"'
    elif options["extra"]:
        extra = {str(w).lower() for w in options["extra"]}
        if word := next((t for t in script.tokens if t in extra), None):
            yield f'uses a word this station does not air: "{word}"'
