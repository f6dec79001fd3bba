// Dialogs that any view may open: one at a time, by `openOverlay({kind, ...})`. Each loads when first opened.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { closeOverlay, overlay } from "./state.js";
import { moreWords } from "./strings.js";

/** @type {Record<string, () => Promise<any>>} each module exports `Overlay`, which gets the content and `onClose` */
const KINDS = {
  palette: () => import("./overlays/palette.js"),
  keys: () => import("./overlays/keys.js"),
  rename: () => import("./overlays/rename.js"),
  move: () => import("./overlays/move.js"),
  export: () => import("./overlays/export.js"),
  share: () => import("./overlays/share.js"),
  continue: () => import("./overlays/continue.js"),
  newFolder: () => import("./overlays/folder.js"),
};

/** What has been loaded, so that it opens at once and no key typed meanwhile goes astray. @type {Record<string, any>} */
const loaded = {};

/** @param {string} kind */
async function load(kind) {
  const [module] = await Promise.all([KINDS[kind](), moreWords(2)]);
  return (loaded[kind] ??= module.Overlay);
}

/** Fetch the palette at the first key or touch, before it is asked for; what fails now is fetched when it is. */
export function preloadPalette() {
  for (const sign of ["keydown", "pointerdown"]) addEventListener(sign, () => void load("palette").catch(() => {}), { once: true, capture: true });
}

export function Overlays() {
  const content = overlay.value;
  return content && html`<${Shown} key=${content.kind} content=${content} />`;
}

/** @param {{content: {kind: string} & Record<string, any>}} props */
function Shown({ content }) {
  const [component, setComponent] = useState(() => loaded[content.kind]);
  useEffect(() => void load(content.kind).then((overlay) => setComponent(() => overlay)), []);
  return component && html`<${component} ...${content} onClose=${closeOverlay} />`;
}
