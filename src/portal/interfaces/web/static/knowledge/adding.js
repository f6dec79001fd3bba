// Ways for files to come in: dropped anywhere on the view, or chosen, folders included.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { toast } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { chosenFiles, droppedFiles } from "./dropped.js";

/** @typedef {import("./dropped.js").Given} Given */
/** @typedef {(given: Given[]) => void} OnFiles */

/** @param {{given: Given[], left: number}} found @param {OnFiles} onFiles */
function pass({ given, left }, onFiles) {
  if (given.length) onFiles(given);
  else toast(left ? t("adding.left", { n: left }) : t("adding.none"));
}

/** @param {{label: string, onFiles: OnFiles, children?: any}} props */
export function DropPlace({ label, onFiles, children }) {
  const [over, setOver] = useState(0);
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const on = (/** @type {number} */ change) => (/** @type {DragEvent} */ event) => {
    if (hasFiles(event)) setOver((depth) => Math.max(0, depth + change));
  };
  const dropped = async (/** @type {DragEvent} */ event) => {
    setOver(0);
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    pass(await droppedFiles(event.dataTransfer), onFiles);
  };
  return html`<div class="drop-place" onDragEnter=${on(1)} onDragLeave=${on(-1)} onDrop=${dropped}
    onDragOver=${(/** @type {DragEvent} */ event) => hasFiles(event) && event.preventDefault()}>
    ${children}
    ${over > 0 && html`<div class="drop"><${Icon} name="download" /> ${label}</div>`}
  </div>`;
}

/** @param {{onFiles: OnFiles, primary?: boolean}} props */
export function AddButtons({ onFiles, primary = false }) {
  return html`<${Choose} label=${t("adding.files")} icon="file" primary=${primary} onFiles=${onFiles} />
    <${Choose} label=${t("adding.folder")} icon="folder" folder=${true} onFiles=${onFiles} />`;
}

/** @param {{label: string, icon: string, folder?: boolean, primary?: boolean, onFiles: OnFiles}} props */
function Choose({ label, icon, folder = false, primary = false, onFiles }) {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const chosen = () => {
    if (!input.current) return;
    pass(chosenFiles(input.current.files ?? []), onFiles);
    input.current.value = "";
  };
  return html`<button type="button" class=${primary ? "button primary" : "button"} onClick=${() => input.current?.click()}><${Icon} name=${icon} />${label}</button>
    <input ref=${input} type="file" multiple hidden webkitdirectory=${folder} aria-label=${label} onChange=${chosen} />`;
}
