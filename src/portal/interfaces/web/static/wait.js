// Waiting, kindly.

/** Wait, but not longer than until the network is back. @param {number} milliseconds */
export function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done, { once: true });
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve(undefined);
    }
  });
}

/** Run `work` once in the next frame; soon even where frames stand still (a hidden tab). @param {() => void} work */
export function nextFrame(work) {
  let ran = false;
  const once = () => {
    if (ran) return;
    ran = true;
    clearTimeout(timer);
    work();
  };
  const timer = setTimeout(once, 200);
  requestAnimationFrame(once);
}
