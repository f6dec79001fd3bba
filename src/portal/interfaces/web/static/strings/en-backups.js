// English: backups.
export const backups = {
  "backups.title": "Backups",
  "backups.about": "Copies of everything that Portal keeps. To put one back, use portal restore in the terminal.",
  "backups.never": "No backup was ever made.",
  "backups.last": "The last backup was made {time}, read back, and is whole. It has {size}.",
  "backups.failed": "The last backup failed {time}: {why}",
  "backups.scheduled": { one: "Every hour one goes to {folder}; the newest {keep} are kept.", other: "Every {n} hours one goes to {folder}; the newest {keep} are kept." },
  "backups.unscheduled": "None are made by themselves: name a folder in the setting backup.folder, best on another disk. Until then they go to {folder}.",
  "backups.next": "The next one is due {time}.",
  "backups.sealed": "They are under the password of the setting backup.password. Nobody can read them without it.",
  "backups.open": "They are not under a password, and hold no API keys of other servers.",
  "backups.make": "Make a backup now",
  "backups.making": "Making a backup…",
  "backups.made": "The backup is there and whole",
  "backups.list": "Backups",
  "backups.locked": "under a password",
};
