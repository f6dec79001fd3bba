"""The doors: each decodes requests to a Turn and renders events; nothing else."""
