"""Numbered SQL, only ever added; see `portal.storage.migrate`."""
