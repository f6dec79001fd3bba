// German: backups.
/** @type {Record<keyof typeof import("./en-backups.js").backups, import("../strings.js").Entry>} */
export const backups = {
  "backups.title": "Sicherungen",
  "backups.about": "Kopien von allem, was Portal aufbewahrt. Zurückgespielt wird eine im Terminal mit portal restore.",
  "backups.never": "Es wurde noch nie eine Sicherung gemacht.",
  "backups.last": "Die letzte Sicherung ist von {time}, wurde zurückgelesen und ist vollständig. Sie hat {size}.",
  "backups.failed": "Die letzte Sicherung schlug fehl, {time}: {why}",
  "backups.scheduled": { one: "Jede Stunde geht eine nach {folder}; die neuesten {keep} bleiben.", other: "Alle {n} Stunden geht eine nach {folder}; die neuesten {keep} bleiben." },
  "backups.unscheduled": "Von selbst wird keine gemacht: nennen Sie einen Ordner in der Einstellung backup.folder, am besten auf einer anderen Platte. Bis dahin kommen sie nach {folder}.",
  "backups.next": "Die nächste ist fällig: {time}.",
  "backups.sealed": "Sie stehen unter dem Kennwort der Einstellung backup.password. Ohne es kann sie niemand lesen.",
  "backups.open": "Sie stehen unter keinem Kennwort und enthalten keine API-Schlüssel anderer Server.",
  "backups.make": "Jetzt eine Sicherung machen",
  "backups.making": "Eine Sicherung wird gemacht…",
  "backups.made": "Die Sicherung ist da und vollständig",
  "backups.list": "Sicherungen",
  "backups.locked": "unter einem Kennwort",
};
