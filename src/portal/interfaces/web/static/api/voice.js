// Calls about sound: what was said becomes text, a text becomes sound.
import { call } from "../api.js";

/** What is said in a recording. @param {Blob} sound @param {AbortSignal} [signal] @returns {Promise<string>} */
export async function transcribe(sound, signal) {
  const form = new FormData();
  form.append("model", "auto");
  form.append("file", sound, `recording.${ending(sound.type)}`);
  const response = await call("/v1/audio/transcriptions", { method: "POST", body: form, signal });
  return (await response.json()).text;
}

/** A text as sound, in a voice of the language. @param {string} input @param {string} language @param {AbortSignal} [signal] @returns {Promise<Blob>} */
export async function speech(input, language, signal) {
  const body = JSON.stringify({ model: "auto", input, language, response_format: "wav" });
  const response = await call("/v1/audio/speech", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal });
  return response.blob();
}

/** @param {string} type */
const ending = (type) => (/mp4/.test(type) ? "m4a" : /ogg/.test(type) ? "ogg" : /wav/.test(type) ? "wav" : "webm");
