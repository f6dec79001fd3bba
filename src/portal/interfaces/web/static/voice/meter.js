// In the browser's audio thread: how loud the microphone is, about sixteen times a second, also in a hidden tab.
const BLOCKS = 24;

class Meter extends AudioWorkletProcessor {
  sum = 0;
  count = 0;
  blocks = 0;

  /** @param {Float32Array[][]} inputs */
  process([[samples]]) {
    for (const each of samples ?? []) this.sum += each * each;
    this.count += samples?.length ?? 0;
    if (++this.blocks < BLOCKS) return true;
    this.port.postMessage({ level: this.count ? Math.sqrt(this.sum / this.count) : 0, ms: (BLOCKS * 128_000) / sampleRate });
    this.sum = this.count = this.blocks = 0;
    return true;
  }
}

registerProcessor("portal-meter", Meter);
