// English: speaking and reading aloud.
export const voice = {
  "voice.group": "Speaking",
  "voice.asking": "Asking for the microphone",
  "voice.listening": "Listening. Press Done when you have finished.",
  "voice.listeningFree": "Listening. Pause to send.",
  "voice.writing": "Writing it down",
  "voice.reading": "Reading aloud. Speak to interrupt.",
  "voice.free": "Hands-free",
  "voice.done": "Done",
  "voice.cancel": "Close the microphone",
  "voice.read": "Read aloud",
  "voice.silence": "Stop reading",
  "voice.nothing": "No words were heard. Try again, closer to the microphone.",
  "voice.refused": "The browser does not let this page use the microphone. Allow it beside the address, and try again.",
  "voice.noMicrophone": "No microphone was found.",
  "voice.unavailable": "Browsers give the microphone to pages at https or on this very machine only.",
};
