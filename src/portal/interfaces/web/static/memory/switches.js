// What memory may do.
import { html } from "htm/preact";
import * as library from "../api/memory.js";
import { attempt } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").MemorySwitches} MemorySwitches */

/** @type {[keyof MemorySwitches, "memory.enabled"|"memory.conversations"|"memory.propose", "memory.enabledText"|"memory.conversationsText"|"memory.proposeText"][]} */
const ALL = [
  ["enabled", "memory.enabled", "memory.enabledText"],
  ["conversations", "memory.conversations", "memory.conversationsText"],
  ["propose", "memory.propose", "memory.proposeText"],
];

/** @param {{switches: MemorySwitches, onChange: () => Promise<void>}} props */
export function Switches({ switches, onChange }) {
  return html`<section class="column" aria-labelledby="memory-switches"><h2 id="memory-switches">${t("memory.switches")}</h2><div class="card switches">
    ${ALL.map(([name, label, about]) => html`<label key=${name} class="switch-line"><span class="grow past"><span id=${`memory-name-${name}`}>${t(label)}</span><span class="small muted" id=${`memory-${name}`}>${t(about)}</span></span>
      <input type="checkbox" role="switch" class="switch" aria-labelledby=${`memory-name-${name}`} aria-describedby=${`memory-${name}`} checked=${switches[name]} disabled=${name !== "enabled" && !switches.enabled} onChange=${(/** @type {any} */ event) => turn({ [name]: event.target.checked }, onChange)} /></label>`)}
  </div></section>`;
}

/** @param {{onChange: () => Promise<void>}} props */
export function Off({ onChange }) {
  return html`<div class="notice is-warn"><${Icon} name="info" /><p class="grow">${t("memory.isOff")}</p>
    <button type="button" class="button" onClick=${() => turn({ enabled: true }, onChange)}>${t("memory.turnOn")}</button></div>`;
}

/** @param {Partial<MemorySwitches>} changes @param {() => Promise<void>} onChange */
async function turn(changes, onChange) {
  await attempt(() => library.setMemorySwitches(changes));
  await onChange();
}
