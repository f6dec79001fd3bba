"""The web page and what it, the command line and scripts need beside OpenAI's API."""
