"use strict";
// Shows the links. Whatever a station or a model wrote goes into text nodes and attributes, never into markup.
const page = (() => {
  const PAGE_SIZE = 50;
  const STATES = { passed: 0, failed: 1, error: 2, pending: 3 };
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const djs = new Map(data.djs.map((dj) => [dj.id, dj.name]));
  const view = { q: "", dj: "", kind: "", state: "", only: "", sort: "", down: false, at: 0, open: null };
  const extras = { only: [], keys: [], mark: null, detail: null, ready: null };
  let shown = data.links;
  let playing = null;

  /** An element: properties (`on…` are listeners, `data`/`aria` attributes), then children; null ones are left out. */
  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  }

  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  /** The take to hear: the one that is aired, else the last there is (turned down, and not yet spoken again). */
  const takeOf = (link) => link.takes.find((t) => t.number === link.take) || link.takes.findLast((t) => t.file) || null;
  const chosen = (link) => (link.pick === null ? null : link.drafts[link.pick]);
  const attempts = (link) => Math.max(0, ...link.drafts.map((d) => d.attempt));

  /** The draft to show first: the pick, else the best judged one, else the last. */
  function front(link) {
    const judged = link.drafts.filter((d) => d.score !== undefined);
    const best = judged.reduce((a, b) => (a && a.score >= b.score ? a : b), null);
    return chosen(link) || best || link.drafts[link.drafts.length - 1] || null;
  }

  // ------------------------------------------------------------------------------------------- search, filters, sort

  const SORTS = {
    title: (l) => folded(l.title),
    dj: (l) => djs.get(l.dj) || l.dj,
    kind: (l) => l.kind,
    state: (l) => STATES[l.state],
    score: (l) => front(l)?.score ?? -1,
    rounds: attempts,
    words: (l) => front(l)?.words ?? -1,
    length: (l) => takeOf(l)?.duration ?? -1,
  };

  const ONLY = [
    ["several", "several candidates", (l) => l.drafts.length > 1],
    ["rewritten", "written again", (l) => attempts(l) > 1],
    ["hits", "rules found something", (l) => (front(l)?.hits || []).length > 0],
    ["problems", "take has problems", (l) => l.takes.some((t) => t.error || t.problems.length)],
    ["silent", "no take yet", (l) => !takeOf(l)],
  ];

  function haystack(link) {
    link.text ??= folded([link.key, link.title, link.by, ...link.drafts.map((d) => d.script || "")].join("\n"));
    return link.text;
  }

  function update() {
    const words = folded(view.q).split(/\s+/).filter(Boolean);
    const only = [...ONLY, ...extras.only].find(([name]) => name === view.only);
    shown = data.links.filter(
      (l) =>
        (!view.dj || l.dj === view.dj) &&
        (!view.kind || l.kind === view.kind) &&
        (!view.state || l.state === view.state) &&
        (!only || only[2](l)) &&
        words.every((word) => haystack(l).includes(word)),
    );
    if (view.sort) {
      const by = SORTS[view.sort];
      const keyed = shown.map((l, i) => [by(l), i, l]);
      const sign = view.down ? -1 : 1;
      keyed.sort(([a, i], [b, j]) => (a < b ? -sign : a > b ? sign : i - j));
      shown = keyed.map(([, , l]) => l);
    }
    view.at = Math.min(view.at, Math.max(0, Math.ceil(shown.length / PAGE_SIZE) - 1));
    render();
  }

  // ------------------------------------------------------------------------------------------------------------ rows

  function render() {
    const first = view.at * PAGE_SIZE;
    const rows = shown.slice(first, first + PAGE_SIZE).flatMap(row);
    $("rows").replaceChildren(...rows);
    const pages = Math.max(1, Math.ceil(shown.length / PAGE_SIZE));
    $("count").textContent =
      shown.length === data.links.length
        ? `${shown.length.toLocaleString("en")} links`
        : `${shown.length.toLocaleString("en")} of ${data.links.length.toLocaleString("en")} links`;
    $("page").textContent = `page ${view.at + 1} of ${pages}`;
    $("prev").disabled = view.at === 0;
    $("next").disabled = view.at >= pages - 1;
    document.querySelector(".pager").hidden = pages === 1;
    for (const th of document.querySelectorAll("th[data-sort]")) {
      const sorted = th.dataset.sort === view.sort;
      if (sorted) th.setAttribute("aria-sort", view.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
  }

  function row(link) {
    const draft = front(link);
    const open = view.open === link.key;
    const where = djs.get(link.dj) || link.dj;
    const shownScore = draft?.score === undefined ? "" : draft.score.toFixed(1);
    const tr = el(
      "tr",
      { class: `row is-${link.state}${playing === link ? " plays" : ""}`, "data-key": link.key },
      el("td", { class: "c-play" }, playButton(link)),
      el(
        "td",
        { class: "c-link" },
        el(
          "button",
          {
            type: "button",
            class: "title",
            "aria-expanded": String(open),
            "aria-controls": open ? "detail" : null,
            onclick: () => toggle(link),
          },
          el("bdi", {}, link.title),
          link.by ? el("bdi", { class: "by" }, link.by) : null,
        ),
        el("span", { class: "meta" }, `${where}, ${link.kind}`),
      ),
      el("td", { class: "c-dj" }, el("bdi", {}, where)),
      el("td", { class: "c-kind" }, link.kind),
      el("td", { class: "c-state" }, el("span", { class: "state" }, link.state), extras.mark ? extras.mark(link) : null),
      el("td", { class: "c-num c-score" }, shownScore),
      el("td", { class: "c-num c-round" }, String(attempts(link) || "")),
      el("td", { class: "c-num c-words" }, draft?.words === undefined ? "" : String(draft.words)),
      el("td", { class: "c-num c-length" }, takeOf(link) ? `${takeOf(link).duration.toFixed(1)} s` : ""),
    );
    if (!open) return [tr];
    return [tr, el("tr", { class: "detail", id: "detail" }, el("td", { colspan: String(columns()) }, detail(link)))];
  }

  /** How many columns are shown at this width: a cell must not span others into being. */
  const columns = () =>
    [...document.querySelectorAll("#table thead th")].filter((th) => getComputedStyle(th).display !== "none").length;
  addEventListener("resize", () => document.querySelector("#detail > td")?.setAttribute("colspan", columns()));

  function toggle(link, open = view.open !== link.key) {
    view.open = open ? link.key : null;
    render();
    focusRow(link.key);
  }

  const rowOf = (key) => document.querySelector(`tr.row[data-key="${CSS.escape(key)}"]`);

  function focusRow(key) {
    const button = rowOf(key)?.querySelector(".title");
    if (!button) return;
    button.focus({ preventScroll: true });
    const target = rowOf(key);
    const below = document.getElementById("detail") || target;
    const { top } = target.getBoundingClientRect();
    if (top < 0 || Math.min(below.getBoundingClientRect().bottom, top + innerHeight) > innerHeight - 60)
      target.scrollIntoView({ block: view.open === key ? "start" : "nearest" });
  }

  /** Bring a link into view, whatever is filtered, and open it. */
  function show(key) {
    const link = data.links.find((l) => l.key === key);
    if (!link) return false;
    switchTo("links");
    if (!shown.includes(link)) clear();
    view.at = Math.floor(shown.indexOf(link) / PAGE_SIZE);
    toggle(link, true);
    return true;
  }

  // ---------------------------------------------------------------------------------------------------------- detail

  function detail(link) {
    const draft = front(link);
    const others = link.drafts.filter((d) => d !== draft);
    return el(
      "div",
      { class: "open" },
      el(
        "div",
        { class: "spoken" },
        draft && draft.script !== null ? el("p", { class: "script", dir: "auto" }, draft.script) : null,
        draft?.error ? el("p", { class: "problem" }, draft.error) : null,
        takePlayers(link),
        el("p", { class: "facts" }, facts(link, draft).join("  ·  ")),
        extras.detail ? extras.detail(link, draft) : null,
      ),
      el("div", { class: "judged" }, draft ? verdict(link, draft, link.reasons) : el("p", {}, "Nothing written yet.")),
      others.length
        ? el(
            "div",
            { class: "others" },
            el("h3", {}, others.length === 1 ? "One other candidate" : `${others.length} other candidates`),
            others.map((d) => other(link, d)),
          )
        : null,
    );
  }

  function facts(link, draft) {
    const out = [link.key];
    if (draft?.words !== undefined) out.push(`${draft.words} words of ${link.words[0]}–${link.words[1]}`);
    const take = takeOf(link);
    if (take) {
      out.push(`${take.duration.toFixed(1)} s of ${link.budget[0]}–${link.budget[1]} s`);
      out.push(`${minus(take.lufs)} LUFS`, `peak ${minus(take.peak)} dBTP`);
    }
    if (link.why) out.push(link.why);
    return out;
  }

  const minus = (n) => n.toFixed(1).replace("-", "−");

  /** A player for each take: the one that is aired, the others folded away. */
  function takePlayers(link) {
    const aired = takeOf(link);
    const others = link.takes.filter((t) => t !== aired);
    return [
      aired ? takePlayer(link, aired) : null,
      others.length
        ? el(
            "details",
            { class: "takes" },
            el("summary", {}, others.length === 1 ? "one other take" : `${others.length} other takes`),
            others.map((t) => takePlayer(link, t)),
          )
        : null,
    ];
  }

  function takePlayer(link, take) {
    if (take.error) return el("p", { class: "problem" }, `take ${take.number}: ${take.error}`);
    const label = `Take ${take.number} of ${link.title}`;
    return el(
      "div",
      { class: "take" },
      el("audio", { controls: true, preload: "none", src: source(take), "aria-label": label }),
      take.problems.map((p) => el("p", { class: "problem" }, p)),
    );
  }

  /** Where a take's file is; one that is made anew has the same name, hence the time. */
  const source = (take) => (isElsewhere(take.file) ? take.file : `${data.takes}${take.file}?${Math.round(take.made)}`);

  /** Whether a file is not in the checkpoint but under output.url. */
  const isElsewhere = (file) => /^(\/|\w+:\/\/)/.test(file);

  function verdict(link, draft, reasons) {
    if (draft.score === undefined) return draft.error ? null : el("p", { class: "note" }, "Not audited yet.");
    const criteria = data.kinds[link.kind].criteria;
    const parts = [
      el(
        "p",
        { class: "score" },
        el("strong", {}, draft.score.toFixed(2)),
        ` ${draft.passed ? "passed" : "did not pass"}, threshold ${draft.threshold}`,
        draft.weighted !== draft.score ? `, ${draft.weighted.toFixed(2)} before rules` : "",
      ),
      el(
        "ul",
        { class: "criteria" },
        criteria.map((c) => criterion(c, draft.scores[c.name])),
      ),
    ];
    const said = [];
    const list = (items, cls) => {
      // A rule's message is an issue for the writer and, with the rule's name before it, a reason: say it once.
      const fresh = items.filter((i) => !said.some((s) => s.endsWith(i)) && said.push(i));
      return fresh.length ? el("ul", { class: cls }, fresh.map((i) => el("li", { dir: "auto" }, i))) : null;
    };
    parts.push(list(reasons?.length ? reasons : draft.reasons, "reasons"), list(draft.issues, "issues"));
    if (draft.notes) parts.push(el("p", { class: "notes", dir: "auto" }, draft.notes));
    return parts;
  }

  function criterion(c, score) {
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span", {}));
    bar.firstChild.style.width = `${10 * (score ?? 0)}%`;
    return el(
      "li",
      { title: c.ask },
      el("span", { class: "what" }, c.name.replaceAll("_", " ")),
      bar,
      el("span", { class: "got" }, score === undefined ? "–" : String(score)),
      el("span", { class: "weight" }, `× ${c.weight.toFixed(2)}`),
    );
  }

  function other(link, draft) {
    const state = draft.error ? "error" : draft.turned ? "turned down" : draft.score === undefined ? "not audited" : draft.passed ? "passed" : "failed";
    return el(
      "details",
      { class: `other is-${state.replace(" ", "-")}` },
      el(
        "summary",
        {},
        el("span", { class: "which" }, draft.key.split("#")[1]),
        el("span", { class: "state" }, state),
        draft.score !== undefined ? ` ${draft.score.toFixed(2)} ` : " ",
        el("span", { class: "start", dir: "auto" }, (draft.script || draft.error || "").slice(0, 90)),
      ),
      draft.script !== null ? el("p", { class: "script", dir: "auto" }, draft.script) : null,
      draft.turned?.reason ? el("p", { class: "note", dir: "auto" }, `Turned down in review: ${draft.turned.reason}`) : null,
      draft.error ? el("p", { class: "problem" }, draft.error) : null,
      verdict(link, draft),
    );
  }

  // --------------------------------------------------------------------------------------------------------- playing

  const audio = $("audio");

  function playButton(link) {
    if (!takeOf(link)) return null;
    const on = playing === link && !audio.paused;
    return el(
      "button",
      {
        type: "button",
        class: on ? "play on" : "play",
        "aria-label": `${on ? "Pause" : "Play"} ${link.title}, ${link.kind}`,
        onclick: () => play(link),
      },
    );
  }

  function play(link) {
    if (!link || !takeOf(link)) return;
    if (playing === link) {
      if (audio.paused) audio.play().catch(failed);
      else audio.pause();
      return;
    }
    const before = playing;
    playing = link;
    $("player").hidden = false;
    document.body.classList.add("playing");
    $("playing").textContent = link.title;
    $("playing-by").textContent = `${djs.get(link.dj) || link.dj}, ${link.kind}`;
    audio.src = source(takeOf(link));
    audio.play().catch(failed);
    for (const l of [before, link]) if (l) refreshPlay(l);
  }

  function failed(e) {
    if (e.name !== "AbortError") say(`The take cannot be played: ${e.message}`);
  }

  function refreshPlay(link) {
    const tr = rowOf(link.key);
    if (!tr) return;
    tr.classList.toggle("plays", playing === link);
    const cell = tr.querySelector(".c-play");
    const focused = cell.contains(document.activeElement);
    cell.replaceChildren(...[playButton(link)].filter(Boolean));
    if (focused) cell.firstChild?.focus({ preventScroll: true });
  }

  function next(step) {
    const from = shown.indexOf(playing);
    for (let i = from + step; i >= 0 && i < shown.length; i += step) if (takeOf(shown[i])) return shown[i];
    return null;
  }

  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => playing && refreshPlay(playing));
  audio.addEventListener("ended", () => $("through").checked && play(next(1)));
  // Only one thing sounds at a time, whichever player started it.
  document.addEventListener(
    "play",
    (e) => document.querySelectorAll("audio").forEach((a) => a !== e.target && a.pause()),
    true,
  );

  // -------------------------------------------------------------------------------------------------- views and keys

  const VIEWS = ["links", "compare", "figures", "repeats"].filter((name) => $(name));

  function switchTo(name) {
    for (const other of VIEWS) $(other).hidden = other !== name;
    for (const a of document.querySelectorAll("nav a[data-view]"))
      if (a.dataset.view === name) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
  }

  function route() {
    const name = decodeURIComponent(location.hash.slice(1));
    if (name && !VIEWS.includes(name) && show(name)) return;
    switchTo(VIEWS.includes(name) ? name : "links");
  }

  function say(text) {
    $("said").textContent = text;
  }

  const KEYS = [
    ["/", "search", () => $("q").focus()],
    ["j", "next link", () => move(1)],
    ["k", "link before", () => move(-1)],
    ["Enter", "open or close", null],
    ["p", "play or pause", (link) => play(link)],
    ["n", "next page", () => $("next").click()],
    ["b", "page before", () => $("prev").click()],
    ["?", "these keys", () => $("help").showModal()],
  ];

  function current() {
    const tr = document.activeElement?.closest?.("tr.row, tr.detail");
    const key = tr?.classList.contains("detail") ? view.open : tr?.dataset.key;
    return data.links.find((l) => l.key === (key ?? view.open)) || null;
  }

  function move(step) {
    const here = shown.indexOf(current());
    const to = here < 0 ? view.at * PAGE_SIZE : here + step;
    if (to < 0 || to >= shown.length) return;
    const wasOpen = view.open !== null;
    view.at = Math.floor(to / PAGE_SIZE);
    view.open = wasOpen ? shown[to].key : null;
    render();
    focusRow(shown[to].key);
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || $("links").hidden || $("help").open) return;
    if (e.target.closest("input, select, textarea, audio")) {
      if (e.key === "Escape" && e.target.id === "q") e.target.blur();
      return;
    }
    const found = [...KEYS, ...extras.keys].find(([key, , act]) => key === e.key && act);
    if (!found) return;
    e.preventDefault();
    found[2](current());
  });

  function clear() {
    Object.assign(view, { q: "", dj: "", kind: "", state: "", only: "", at: 0 });
    for (const id of ["q", "f-dj", "f-kind", "f-state", "f-only"]) $(id).value = "";
    update();
  }

  function options(id, name, entries) {
    const select = $(id);
    select.append(el("option", { value: "" }, "all"), ...entries.map(([v, label]) => el("option", { value: v }, label)));
    select.addEventListener("change", () => {
      view[name] = select.value;
      view.at = 0;
      update();
    });
  }

  function start() {
    const kinds = [...new Set(data.links.map((l) => l.kind))];
    const states = Object.keys(STATES).filter((s) => data.links.some((l) => l.state === s));
    options("f-dj", "dj", data.djs.map((dj) => [dj.id, dj.name]));
    options("f-kind", "kind", kinds.map((k) => [k, k]));
    options("f-state", "state", states.map((s) => [s, s]));
    options("f-only", "only", [...ONLY, ...extras.only].map(([name, label]) => [name, label]));
    let typing = 0;
    $("q").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        view.q = $("q").value;
        view.at = 0;
        update();
      }, 80);
    });
    document.querySelector("form.tools").addEventListener("submit", (e) => e.preventDefault());
    $("reset").addEventListener("click", clear);
    for (const th of document.querySelectorAll("th[data-sort]"))
      th.firstElementChild.addEventListener("click", () => {
        const name = th.dataset.sort;
        if (view.sort !== name) Object.assign(view, { sort: name, down: false });
        else if (!view.down) view.down = true;
        else Object.assign(view, { sort: "", down: false });
        update();
      });
    const turn = (step) => {
      view.at += step;
      render();
      $("table").scrollIntoView({ block: "start" });
    };
    $("prev").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    $("keys").addEventListener("click", () => $("help").showModal());
    for (const [key, label] of [...KEYS, ...extras.keys]) $("help-keys").append(el("dt", {}, key), el("dd", {}, label));
    for (const a of document.querySelectorAll("a[data-key]"))
      a.addEventListener("click", (e) => {
        e.preventDefault();
        show(a.dataset.key);
      });
    addEventListener("hashchange", route);
    update();
    route();
  }

  // After further scripts have put in their extras, and what these wait for has come.
  queueMicrotask(() => Promise.resolve(extras.ready).then(start, start));
  return { data, el, extras, say, update, render, show, front, current, takeOf, play };
})();
