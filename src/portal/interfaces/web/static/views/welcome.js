// The first steps at an address of their own, for coming back to them.
import { html } from "htm/preact";
import { guideModel, noModels } from "../state.js";
import { t } from "../strings.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { Ways } from "./ways.js";

export function View() {
  return html`<${Bar} title=${t("welcome.title")} />
    <div class="page"><div class="page-inner">
      <section class="column" aria-labelledby="welcome-models">
        <div><h2 id="welcome-models">${noModels.value ? t("firstrun.title") : t("welcome.models")}</h2><p class="muted">${noModels.value ? t("firstrun.text") : t("welcome.text")}</p></div>
        <${Ways} />
      </section>
      <section class="column" aria-labelledby="welcome-guide">
        <div><h2 id="welcome-guide">${t("welcome.guide")}</h2><p class="muted">${t("welcome.guideText")}</p></div>
        <div class="row wrap">
          <a class="button" href=${`/?model=${encodeURIComponent(guideModel.value)}`}><${Icon} name="book" />${t("welcome.guide")}</a>
          <a class="button" href="/manual/getting-started"><${Icon} name="file" />${t("settings.readManual")}</a>
        </div>
      </section>
    </div></div>`;
}
