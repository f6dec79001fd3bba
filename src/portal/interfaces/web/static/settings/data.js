// One's data: bringing it in, and taking it along.
import { html } from "htm/preact";
import { me } from "../state.js";
import { Exporting } from "../exchange/exporting.js";
import { Importing } from "../exchange/importing.js";

export function Data() {
  return html`${me.value?.user?.role !== "guest" && html`<${Importing} />`}<${Exporting} />`;
}
