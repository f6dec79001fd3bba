// Style sheets of views that the first paint does not need.
import { useLayoutEffect } from "preact/hooks";

/** Load `css/NAME.css` once. @param {string} name */
export function useSheet(name) {
  useLayoutEffect(() => {
    const href = new URL(`./css/${name}.css`, import.meta.url).href;
    if ([...document.styleSheets].some((sheet) => sheet.href === href) || document.querySelector(`link[href="${href}"]`)) return;
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    document.head.append(link);
  }, []);
}
