// Decisions on links. Runs after page.js and server.js, in the same script.
{
  const { el, extras, data } = page;
  const marks = new Map();
  const byKey = new Map(data.links.map((l) => [l.key, l]));
  const LABELS = {
    approve: ["approved", "Nothing will change it."],
    reject: ["rejected", "The next run writes it again and is told why."],
    rewrite: ["write again", "The next run writes it again."],
    edit: ["edited", "The next run audits this text and speaks it."],
    respeak: ["speak again", "The next run makes another take."],
  };
  let asking = null; // the decision whose form is open: { key, decision }

  async function decide(link, decision, more = {}) {
    try {
      const body = { link: link.key, decision, on: page.front(link)?.key, ...more };
      const { mark } = await server.call("api/decide", body);
      if (mark) marks.set(link.key, mark);
      else marks.delete(link.key);
      asking = null;
      page.say(decision === "undo" ? `${link.title}: taken back` : `${link.title}: ${LABELS[decision][0]}`);
      refresh(link);
    } catch (e) {
      page.say(e.message);
      const problem = document.querySelector(".decide .problem");
      if (problem) problem.textContent = e.message.includes("fetch") ? "The server is gone; start it again." : e.message;
    }
  }

  /** Draw the page again and leave the keyboard where it was. */
  function refresh(link) {
    page.render();
    (document.querySelector(".decide [data-focus]") || document.querySelector(`tr.row[data-key="${CSS.escape(link.key)}"] .title`))?.focus(
      { preventScroll: true },
    );
  }

  function ask(link, decision) {
    if (!page.front(link)) return;
    asking = { key: link.key, decision };
    if (!document.getElementById("detail")) page.show(link.key);
    refresh(link);
  }

  const respeak = (link) => link.take && decide(link, "respeak", { take: link.take });

  extras.mark = (link) => {
    const mark = marks.get(link.key);
    return mark ? el("span", { class: `chip is-${mark.decision}` }, LABELS[mark.decision][0]) : null;
  };

  extras.detail = (link, draft) => {
    if (!draft || draft.script === null) return null;
    const mark = marks.get(link.key);
    const open = asking?.key === link.key ? asking.decision : null;
    return el(
      "div",
      { class: "decide", role: "group", "aria-label": "Decision" },
      mark ? said(link, mark) : null,
      open === "reject" ? rejectForm(link) : open === "edit" ? editForm(link, draft, mark) : buttons(link, mark),
      el("p", { class: "problem", role: "alert" }),
    );
  };

  function said(link, mark) {
    const [label, then] = LABELS[mark.decision];
    return el(
      "div",
      { class: `said is-${mark.decision}` },
      el("p", {}, el("strong", {}, label), mark.reason ? [": ", el("bdi", {}, mark.reason)] : null, ". ", then),
      mark.text ? el("p", { class: "script", dir: "auto" }, mark.text) : null,
    );
  }

  function buttons(link, mark) {
    const button = (label, act, name) =>
      el("button", { type: "button", class: name, "data-decision": name, onclick: act }, label);
    return el(
      "p",
      { class: "buttons" },
      mark?.decision === "approve" ? null : button("Approve", () => decide(link, "approve"), "approve"),
      button("Reject", () => ask(link, "reject"), "reject"),
      button("Edit", () => ask(link, "edit"), "edit"),
      button("Write again", () => decide(link, "rewrite"), "rewrite"),
      link.take ? button("Speak again", () => respeak(link), "respeak") : null,
      mark ? button("Undo", () => decide(link, "undo"), "undo") : null,
    );
  }

  function form(link, label, field, send) {
    const submit = (e) => {
      e.preventDefault();
      decide(link, asking.decision, send());
    };
    const cancel = () => {
      asking = null;
      refresh(link);
    };
    return el(
      "form",
      { onsubmit: submit, onkeydown: (e) => e.key === "Escape" && cancel() },
      el("label", {}, el("span", {}, label), field),
      el("p", { class: "buttons" }, el("button", { class: "keep" }, "Keep"), el("button", { type: "button", onclick: cancel }, "Cancel")),
    );
  }

  function rejectForm(link) {
    const field = el("input", { name: "reason", maxlength: "500", autocomplete: "off", "data-focus": "", required: true });
    return form(link, "What is wrong with it? The writer is told.", field, () => ({ reason: field.value }));
  }

  function editForm(link, draft, mark) {
    const field = el("textarea", { name: "text", rows: "5", maxlength: "4000", dir: "auto", "data-focus": "", required: true });
    field.value = mark?.text ?? draft.script;
    field.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) field.form.requestSubmit();
    });
    return form(link, `Text, ${link.words[0]}–${link.words[1]} words`, field, () => ({ text: field.value }));
  }

  extras.only.push(
    ["undecided", "not decided on", (l) => !marks.has(l.key)],
    ["decided", "decided on", (l) => marks.has(l.key)],
  );
  const withLink = (act) => (link) => link && act(link);
  extras.keys.push(
    ["a", "approve", withLink((link) => decide(link, "approve"))],
    ["r", "reject, with a reason", withLink((link) => ask(link, "reject"))],
    ["e", "edit the text", withLink((link) => ask(link, "edit"))],
    ["w", "write again", withLink((link) => decide(link, "rewrite"))],
    ["s", "speak again", withLink(respeak)],
    ["u", "undo the decision", withLink((link) => marks.has(link.key) && decide(link, "undo"))],
  );

  extras.ready = server.call("api/marks").then((found) => {
    for (const [key, mark] of Object.entries(found)) if (byKey.has(key)) marks.set(key, mark);
  });
}
