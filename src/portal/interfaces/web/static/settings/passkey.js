// What the browser does with passkeys.

const browser = /** @type {any} */ (globalThis);

/** Whether this browser has them here: pages at a plain address, or without TLS elsewhere than on this machine, have none. */
export const canPasskeys = () => Boolean(browser.PublicKeyCredential?.parseRequestOptionsFromJSON) && !/^[\d.]+$|^\[/.test(location.hostname);

/** Make one; null where the person turned away. @param {any} options */
export const makePasskey = (options) => asked(() => navigator.credentials.create({ publicKey: browser.PublicKeyCredential.parseCreationOptionsFromJSON(options) }));

/** Answer with one; null where the person turned away. @param {any} options */
export const askPasskey = (options) => asked(() => navigator.credentials.get({ publicKey: browser.PublicKeyCredential.parseRequestOptionsFromJSON(options) }));

/** @param {() => Promise<any>} ask */
async function asked(ask) {
  try {
    return (await ask())?.toJSON() ?? null;
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}
