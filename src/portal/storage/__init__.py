"""Where Portal keeps everything: one small database port, named SQL on top of it, two engines below it."""
