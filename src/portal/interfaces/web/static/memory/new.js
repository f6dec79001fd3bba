// Something to remember, written by hand.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { remember } from "../state/memory.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

export function NewMemory() {
  const [text, setText] = useState("");
  /** @param {Event} event */
  const add = async (event) => {
    event.preventDefault();
    if (text.trim() && (await remember(text.trim()))) setText("");
  };
  return html`<form class="row wrap" onSubmit=${add}>
    <input class="input grow memory-new" dir="auto" maxlength="2000" autocomplete="off" aria-label=${t("memory.newLabel")} placeholder=${t("memory.newPlaceholder")} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <button class="button" disabled=${!text.trim()}><${Icon} name="plus" />${t("memory.add")}</button>
  </form>`;
}
