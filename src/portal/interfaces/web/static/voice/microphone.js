// The microphone: how loud it is (see meter.js), and recordings of it.

const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

/** @typedef {{record: () => Take, close: () => void}} Microphone */
/** @typedef {{stop: () => Promise<Blob>, drop: () => void}} Take */

/** Whether this browser, at this address, gives a page the microphone at all. */
export const available = () => Boolean(navigator.mediaDevices?.getUserMedia) && typeof MediaRecorder !== "undefined";

/**
 * Asks the person, if the browser does not know yet. Throws DOMException where it may not.
 * @param {(level: number, ms: number) => void} told  how loud it was (root mean square) for so long, again and again
 * @returns {Promise<Microphone>}
 */
export async function openMicrophone(told) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  const context = new AudioContext();
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("./meter.js", import.meta.url));
  } catch (error) {
    close();
    throw error;
  }
  const meter = new AudioWorkletNode(context, "portal-meter");
  meter.port.onmessage = ({ data }) => told(data.level, data.ms);
  context.createMediaStreamSource(stream).connect(meter);
  meter.connect(new GainNode(context, { gain: 0 })).connect(context.destination); // only what leads somewhere is run
  return { record: () => record(stream), close };
}

/** @param {MediaStream} stream @returns {Take} */
function record(stream) {
  const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
  /** @type {Blob[]} */
  const pieces = [];
  recorder.ondataavailable = (event) => void pieces.push(event.data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  const end = () => recorder.state !== "inactive" && recorder.stop();
  return {
    stop: async () => {
      end();
      await ended;
      return new Blob(pieces, { type: recorder.mimeType });
    },
    drop: end,
  };
}
