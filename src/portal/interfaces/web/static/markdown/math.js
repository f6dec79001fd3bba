// Formulas as MathML. The typesetter loads with the first formula; until then, and where it fails, the source is shown.

/** @type {any} */
let temml = null;
/** @type {Promise<any>|null} */
let loading = null;

/** Typeset the formulas below a node, now or as soon as the typesetter is here. @param {ParentNode} root */
export function typeset(root) {
  const formulas = [...root.querySelectorAll("[data-tex]")];
  if (!formulas.length) return;
  if (temml) return formulas.forEach(draw);
  loading ??= load();
  loading.then(() => formulas.forEach(draw));
}

async function load() {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = new URL("../vendor/temml.css", import.meta.url).href;
  document.head.append(sheet);
  temml = (await import("temml")).default;
}

/** @param {Element} formula */
function draw(formula) {
  const tex = /** @type {HTMLElement} */ (formula).dataset.tex ?? "";
  const holder = document.createElement("span");
  try {
    temml.render(tex, holder, { displayMode: formula.classList.contains("is-display"), throwOnError: true, trust: false, strict: false });
  } catch {
    return formula.classList.add("is-source"); // not TeX after all, or not yet complete: its source is what we have
  }
  formula.replaceChildren(...holder.childNodes);
}
