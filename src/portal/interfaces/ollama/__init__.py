"""Ollama's API as a server."""
