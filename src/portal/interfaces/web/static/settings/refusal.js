// A form that is sent: busy meanwhile, and what the server refused, beside it.
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { t } from "../strings.js";

export function useRefusal() {
  const [state, setState] = useState({ busy: false, error: "" });
  /** What a form calls when it is sent. @param {() => Promise<unknown>} work */
  const attempt = (work) => async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true, error: "" });
    try {
      await work();
      setState({ busy: false, error: "" });
    } catch (refusal) {
      if (!(refusal instanceof ApiError)) throw refusal;
      setState({ busy: false, error: refusal.status ? refusal.message : t("error.unreachable") });
    }
  };
  return { ...state, attempt };
}
