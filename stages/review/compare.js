// Two checkpoints side by side, blind. Runs after page.js and server.js, in the same script.
{
  const { el } = page;
  const place = document.getElementById("pair");
  let pair = null;

  const failed = (e) => place.append(el("p", { class: "problem", role: "alert" }, e.message));

  function side(name) {
    const { script, take } = pair[name];
    return el(
      "div",
      { class: "side" },
      take ? el("audio", { controls: true, preload: "none", src: take, "aria-label": `${name} take` }) : null,
      el("p", { class: "script", dir: "auto" }, script),
      el("button", { type: "button", "data-prefers": name, onclick: () => prefer(name) }, `The ${name} one is better`),
    );
  }

  function draw() {
    const progress = el("p", { class: "note" }, `${pair.done} of ${pair.of} pairs judged. `, el("button", { type: "button", class: "quiet", id: "score", onclick: score }, "How it stands"));
    if (pair.pair === null) {
      place.replaceChildren(el("p", {}, pair.of ? "All pairs are judged." : "The two runs have no links that differ."), progress);
      if (pair.of) score();
      return;
    }
    place.replaceChildren(
      el("h3", {}, el("bdi", {}, pair.title), pair.by ? el("bdi", { class: "by" }, pair.by) : null),
      el("p", { class: "note" }, `${pair.dj}, ${pair.kind}`),
      el("div", { class: "sides" }, side("left"), side("right")),
      el("p", { class: "buttons" }, el("button", { type: "button", "data-prefers": "neither", onclick: () => prefer("neither") }, "No difference")),
      progress,
    );
  }

  async function prefer(prefers) {
    try {
      pair = await server.call("api/prefer", { pair: pair.pair, prefers });
      draw();
      page.say(`${pair.done} of ${pair.of} judged`);
      place.querySelector("[data-prefers]")?.focus();
    } catch (e) {
      failed(e);
    }
  }

  async function score() {
    try {
      const s = await server.call("api/score");
      const percent = (share) => `${(100 * share).toFixed(0)} %`;
      const text =
        s.rate === null
          ? "No pair is decided yet."
          : `${s.names.this} was preferred in ${s.this} of ${s.this + s.other} decided pairs: ${percent(s.rate)}, ` +
            `95 % interval ${percent(s.low)} to ${percent(s.high)}; ${s.other} for ${s.names.other}, ${s.neither} without a difference.`;
      place.querySelector("#standing")?.remove();
      place.append(el("p", { id: "standing" }, text));
    } catch (e) {
      failed(e);
    }
  }

  addEventListener("keydown", (e) => {
    const name = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "neither" }[e.key];
    if (!name || !pair?.pair || document.getElementById("compare").hidden || e.target.closest("audio, input")) return;
    e.preventDefault();
    prefer(name);
  });

  server.call("api/pair").then((first) => ((pair = first), draw()), failed);
}
