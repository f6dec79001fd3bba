// Deutsch: sprechen und vorlesen.
export const voice = {
  "voice.group": "Sprechen",
  "voice.asking": "Fragt nach dem Mikrofon",
  "voice.listening": "Hört zu. Fertig drücken, wenn alles gesagt ist.",
  "voice.listeningFree": "Hört zu. Eine Pause sendet.",
  "voice.writing": "Schreibt es auf",
  "voice.reading": "Liest vor. Sprechen unterbricht.",
  "voice.free": "Freisprechen",
  "voice.done": "Fertig",
  "voice.cancel": "Mikrofon schließen",
  "voice.read": "Vorlesen",
  "voice.silence": "Vorlesen beenden",
  "voice.nothing": "Es waren keine Worte zu hören. Bitte noch einmal, näher am Mikrofon.",
  "voice.refused": "Der Browser gibt dieser Seite das Mikrofon nicht. Neben der Adresse erlauben und noch einmal versuchen.",
  "voice.noMicrophone": "Es wurde kein Mikrofon gefunden.",
  "voice.unavailable": "Browser geben das Mikrofon nur Seiten mit https oder auf diesem Rechner selbst.",
};
