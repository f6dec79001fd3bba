/** Grow a text field with its text, to at most a third of the window. @param {HTMLTextAreaElement|null} field */
export function fit(field) {
  if (!field) return;
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + field.offsetHeight - field.clientHeight, innerHeight / 3)}px`;
}
