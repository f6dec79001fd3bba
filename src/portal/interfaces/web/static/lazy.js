// Components that are not part of the first load.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { moreWords } from "./strings.js";

const AGAIN = 3000; // milliseconds until what could not be fetched is tried again

/**
 * A component whose module is fetched when it is first rendered; nothing is shown until it is there.
 * @param {() => Promise<any>} load  resolves to the component
 */
export function lazy(load) {
  /** @type {any} */
  let component = null;
  return function Lazy(/** @type {any} */ props) {
    const [, redraw] = useState(0);
    useEffect(() => {
      let gone = false;
      const fetched = () => Promise.all([load(), moreWords()]).then(([loaded]) => {
        component = loaded;
        redraw(1);
      }, () => gone || setTimeout(fetched, AGAIN));
      if (!component) fetched();
      return () => {
        gone = true;
      };
    }, []);
    return component && html`<${component} ...${props} />`;
  };
}
