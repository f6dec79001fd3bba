// What the server did not take, in the words of the form.
import { t } from "../strings.js";

/** @type {Record<string, () => string>} */
const LABELS = {
  title: () => t("workspaces.label"), description: () => t("workspaces.description"), instructions: () => t("workspaces.instructions"),
  prefer: () => t("workspaces.models"), users: () => t("workspaces.who"), max_output_tokens: () => t("workspaces.limit"),
  temperature: () => t("workspaces.p.temperature"), top_p: () => t("workspaces.p.top_p"), top_k: () => t("workspaces.p.top_k"),
  seed: () => t("workspaces.p.seed"), num_ctx: () => t("workspaces.p.num_ctx"), prompt: () => t("workspaces.tryPrompt"),
};
/** The numbers that the fields take, from and to. @type {Record<string, [number?, number?]>} */
export const RANGES = { temperature: [0, 2], top_p: [0, 1], top_k: [0], seed: [], num_ctx: [1], max_output_tokens: [1] };

/** @param {import("../api.js").ApiError} error */
export function wrong(error) {
  if (!error.status) return t("error.unreachable");
  if (!error.message.startsWith("Invalid ")) return error.message; // a sentence already
  const said = `${error.param ?? ""} ${error.message}`;
  const name = Object.keys(LABELS).find((each) => new RegExp(`\\b${each}\\b`).test(said));
  if (!name) return t("workspaces.wrong");
  const field = LABELS[name]();
  if (!RANGES[name]) return t(error.code?.includes("above_max") ? "workspaces.wrongLong" : "workspaces.wrongField", { field });
  const [min, max] = RANGES[name];
  if (max !== undefined) return t("workspaces.wrongBetween", { field, min: min ?? 0, max });
  return min === undefined ? t("workspaces.wrongWhole", { field }) : t("workspaces.wrongLeast", { field, min });
}
