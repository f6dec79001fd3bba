// Before the first paint: the theme and language this browser last used. Everything else is a module.
(() => {
  const stored = (/** @type {string} */ name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage switched off: follow the system
    }
  };
  const theme = stored("portal:theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const text = stored("portal:text");
  if (text) document.documentElement.dataset.text = text;
  const language = stored("portal:language");
  if (language) document.documentElement.lang = language;
})();
