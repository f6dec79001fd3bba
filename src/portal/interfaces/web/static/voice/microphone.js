// The microphone: how loud it is, and recordings of it.

const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

/** @typedef {{level: () => number, record: () => Take, close: () => void}} Microphone */
/** @typedef {{stop: () => Promise<Blob>, drop: () => void}} Take */

/** Whether this browser, at this address, gives a page the microphone at all. */
export const available = () => Boolean(navigator.mediaDevices?.getUserMedia) && typeof MediaRecorder !== "undefined";

/** Asks the person, if the browser does not know yet. Throws DOMException where it may not. @returns {Promise<Microphone>} */
export async function openMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const level = () => {
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);
  };
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
  };
  return { level, record: () => record(stream), close };
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
